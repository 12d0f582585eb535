//! Planning of statements other than the queries in them, one file for each family.
//!
//! * [`plan_statement`] plans a statement that a person has sent; [`describe`] says what it will return.
//! * [`needs_purification`], [`PurifyRequest::run`] and [`plan_purified`] do so for statements for which an upstream system has to be asked.
//! * [`plan_item`] plans a definition that the catalog has stored (at start); [`humanize`] shows one to people.
//!
//! Invariants:
//!
//! 1. Every option that a statement is given is carried out or refused with an error that names it.
//! 2. Planning changes nothing: names are checked as of the catalog that was passed in, and the catalog checks again when it
//!    carries out the plan.
//! 3. What [`plan_statement`] puts into `create_sql` gives the same definition again in [`plan_item`], also after any renaming.

mod alter;
mod cluster;
mod connection;
mod copy;
mod create_relation;
mod create_source;
mod dml;
mod drop;
mod normalize;
mod resolve;
mod select;
mod session;
mod show;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use hw_repr::{GlobalId, RelationDesc, ScalarType};

pub use create_source::{Purified, PurifyRequest, mysql_table_desc, needs_purification, plan_purified};
pub use normalize::humanize;
pub use session::plan_execute;
pub use stored::{column_defaults, index_key_texts};

use crate::catalog::Catalog;
use crate::context::{SessionInfo, StatementContext};
use crate::error::PlanError;
use crate::parser::{Extensions, Statement, parse_one};
use crate::plan::{CopySource, DropPlan, ItemDefinition, Plan};

/// Gives out ids of users' objects. One that is not used in the end is lost.
pub type Ids<'a> = &'a mut dyn FnMut() -> GlobalId;

/// A plan that does nothing but give notices.
pub(crate) fn nothing(tag: &'static str, notices: Vec<String>) -> Plan {
    Plan::Drop(DropPlan { objects: vec![], tag, notices })
}

/// Plans a statement.
pub fn plan_statement(scx: &StatementContext<'_>, stmt: &Statement, ids: Ids<'_>) -> Result<Plan, PlanError> {
    match stmt {
        Statement::Select(s) => Ok(Plan::Select(select::select(scx, s)?)),
        Statement::Subscribe(s) => Ok(Plan::Subscribe(select::subscribe(scx, s)?)),
        Statement::Explain(s) => Ok(Plan::Explain(select::explain(scx, s, ids)?)),
        Statement::Copy(s) => copy::copy(scx, s),
        Statement::Insert(s) => dml::insert(scx, s),
        Statement::Update(s) => dml::update(scx, s),
        Statement::Delete(s) => dml::delete(scx, s),
        Statement::CreateTable(s) => create_relation::create_table(scx, s, ids),
        Statement::CreateTableFromSource(s) => create_source::existing_table(scx, s),
        Statement::CreateView(s) => create_relation::create_view(scx, s, ids),
        Statement::CreateMaterializedView(s) => create_relation::create_materialized_view(scx, s, ids),
        Statement::CreateIndex(s) => create_relation::create_index(scx, s, ids),
        Statement::CreateType(s) => create_relation::create_type(scx, s, ids),
        Statement::CreateSource(s) => create_source::create_source(scx, s, ids),
        Statement::CreateSubsource(_) => Err(PlanError::unsupported("CREATE SUBSOURCE by people")),
        Statement::CreateConnection(s) => connection::create_connection(scx, s, ids),
        Statement::ValidateConnection(name) => connection::validate(scx, name),
        Statement::CreateSecret { name, if_not_exists, value } => {
            connection::create_secret(scx, name, *if_not_exists, value.as_ref(), ids)
        }
        Statement::AlterSecret { name, if_exists, value } => {
            connection::alter_secret(scx, name, *if_exists, value)
        }
        Statement::CreateDatabase { name, if_not_exists } => {
            session::create_database(scx, name, *if_not_exists)
        }
        Statement::CreateSchema { name, if_not_exists } => session::create_schema(scx, name, *if_not_exists),
        Statement::CreateRole { name, options } => session::create_role(scx, name, options),
        Statement::CreateCluster { name, if_not_exists, options } => {
            cluster::create_cluster(scx, name, *if_not_exists, options)
        }
        Statement::CreateClusterReplica { name, if_not_exists, options } => {
            cluster::create_replica(scx, name, *if_not_exists, options)
        }
        Statement::Alter { kind, if_exists, name, action } => {
            alter::alter(scx, *kind, *if_exists, name, action)
        }
        Statement::AlterSystem { name, value } => Ok(alter::alter_system(name.as_deref(), value.as_ref())),
        Statement::Drop { kind, if_exists, names, cascade } => {
            drop::drop(scx, *kind, *if_exists, names, *cascade)
        }
        Statement::Comment { kind, name, text } => alter::comment(scx, *kind, name, text.as_deref()),
        Statement::ShowObjects(s) => show::show_objects(scx, s),
        Statement::ShowCreate { kind, name } => show::show_create(scx, *kind, name),
        Statement::ShowVariable(name) => Ok(Plan::ShowVariable(name.clone())),
        Statement::ShowAll => Ok(Plan::ShowAll),
        Statement::SetVariable { name, value, local } => Ok(session::set(name, value, *local)),
        Statement::SetTransaction { session, modes } => session::set_transaction(*session, modes),
        Statement::ResetVariable(name) => Ok(Plan::ResetVariable(name.clone())),
        Statement::ResetAll => Ok(Plan::ResetAll),
        Statement::Discard(what) => Ok(Plan::Discard(*what)),
        Statement::Begin(modes, tag) => Ok(session::begin(modes, tag)),
        Statement::Commit => Ok(Plan::Commit),
        Statement::Rollback => Ok(Plan::Rollback),
        Statement::Prepare { name, types, sql } => session::prepare(scx, name, types, sql),
        // The types that it expects are the session's to know: see [`plan_execute`].
        Statement::Execute { name, .. } => {
            Err(PlanError::new("26000", format!("prepared statement \"{}\" does not exist", name.value)))
        }
        Statement::Deallocate(name) => Ok(Plan::Deallocate(name.as_ref().map(|n| n.value.clone()))),
        Statement::Declare { name, statement, sql, hold } => {
            // The statement is planned now, so that its errors come now.
            plan_statement(scx, statement, ids)?;
            Ok(Plan::Declare { name: name.value.clone(), sql: sql.clone(), hold: *hold })
        }
        Statement::Fetch { name, direction, discard, options } => {
            session::fetch(name, *direction, *discard, options)
        }
        Statement::Close(name) => Ok(Plan::Close(name.as_ref().map(|n| n.value.clone()))),
    }
}

/// What a statement returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementDesc {
    /// Its columns; `None` if it returns no rows. FETCH and EXECUTE return what the cursor or prepared statement does, which the session
    /// knows.
    pub result: Option<RelationDesc>,
    /// The types of its parameters.
    pub params: Vec<ScalarType>,
}

/// Says what a statement returns, and infers the types of its parameters. `scx` has to allow parameters if the statement may have some.
pub fn describe(scx: &StatementContext<'_>, stmt: &Statement) -> Result<StatementDesc, PlanError> {
    let mut ids = || GlobalId::Transient(0);
    let result = match stmt {
        Statement::Select(_)
        | Statement::Subscribe(_)
        | Statement::Explain(_)
        | Statement::Copy(_)
        | Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::ShowObjects(_)
        | Statement::ShowCreate { .. }
        | Statement::ShowVariable(_)
        | Statement::ShowAll => result_desc(&plan_statement(scx, stmt, &mut ids)?),
        _ => None,
    };
    Ok(StatementDesc { result, params: scx.settled_params()? })
}

/// The columns of what a plan returns.
pub fn result_desc(plan: &Plan) -> Option<RelationDesc> {
    let text = |name: &str| RelationDesc::empty().with_column(name, ScalarType::String.nullable(false));
    match plan {
        Plan::Select(s) => Some(s.desc.clone()),
        Plan::Subscribe(s) => Some(s.desc.clone()),
        Plan::Explain(e) => Some(e.stage.desc()),
        Plan::ConstantRows { desc, .. } => Some(desc.clone()),
        Plan::Insert { returning, .. } | Plan::Mutate { returning, .. } => {
            returning.as_ref().map(|r| r.desc.clone())
        }
        Plan::ShowVariable(name) => Some(text(name)),
        Plan::ShowAll => Some(
            text("name")
                .with_column("setting", ScalarType::String.nullable(false))
                .with_column("description", ScalarType::String.nullable(false)),
        ),
        _ => None,
    }
}

/// The columns of what COPY … TO STDOUT sends.
pub fn copy_desc(source: &CopySource) -> &RelationDesc {
    match source {
        CopySource::Select(s) => &s.desc,
        CopySource::Subscribe(s) => &s.desc,
    }
}

/// Plans a definition that the catalog has stored, under the id that it has. Gives what it is and what it refers to. What it refers to has
/// to be in the catalog already, but for the source of a subsource.
pub fn plan_item(
    catalog: &dyn Catalog,
    create_sql: &str,
    id: GlobalId,
) -> Result<(ItemDefinition, BTreeSet<GlobalId>), PlanError> {
    let parsed = parse_one(create_sql)?;
    let session = SessionInfo::default();
    let extensions: &Extensions = &parsed.extensions;
    let mut scx = StatementContext::new(catalog, &session, extensions);
    scx.names_are_ids = true;
    let definition = match &parsed.statement {
        Statement::CreateTable(s) => ItemDefinition::Table(create_relation::define_table(&scx, s)?),
        Statement::CreateTableFromSource(s) => {
            ItemDefinition::Table(create_source::define_table_from_source(&scx, s)?)
        }
        Statement::CreateView(s) => ItemDefinition::View(create_relation::define_view(&scx, s)?),
        Statement::CreateMaterializedView(s) => {
            ItemDefinition::MaterializedView(create_relation::define_materialized_view(&scx, s)?)
        }
        Statement::CreateIndex(s) => ItemDefinition::Index(create_relation::define_index(&scx, s)?),
        Statement::CreateType(s) => ItemDefinition::Type(create_relation::define_type(&scx, s, id)?),
        Statement::CreateSource(s) => ItemDefinition::Source(create_source::define_source(&scx, s)?),
        Statement::CreateSubsource(s) => ItemDefinition::Source(create_source::define_subsource(&scx, s)?),
        Statement::CreateConnection(s) => ItemDefinition::Connection(connection::define_connection(&scx, s)?),
        Statement::CreateSecret { .. } => ItemDefinition::Secret,
        _ => return Err(PlanError::new("XX000", "stored SQL is not a definition")),
    };
    let mut uses = scx.uses.into_inner();
    uses.remove(&id);
    Ok((definition, uses))
}
