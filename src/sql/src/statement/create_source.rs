//! CREATE SOURCE, CREATE TABLE … FROM SOURCE, and what they need to ask upstream.
//!
//! Planning such a statement takes three steps, so that no catalog is held while a server is asked:
//!
//! 1. [`needs_purification`] says what has to be asked;
//! 2. [`PurifyRequest::run`] asks;
//! 3. [`plan_purified`] plans with the answer.

use std::collections::{BTreeMap, BTreeSet};

use hw_plan::source::{ExportDetails, LoadGenerator, MySqlConnection, MySqlTable};
use hw_repr::{GlobalId, RelationDesc, RelationType, ScalarType, SchemaId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Ids;
use super::create_relation::rename_columns;
use super::normalize::{quote_literal, stored_cluster, stored_name};
use super::resolve::{self, NewName, Options};
use crate::catalog::{ItemInfo, ItemKind};
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::names::quote_ident;
use crate::parser::Statement;
use crate::parser::ast::{
    CreateSourceStatement, CreateSubsourceStatement, CreateTableFromSourceStatement, ForTables, Name,
    OptionValue, SourceFrom, SqlOption,
};
use crate::plan::{
    ConnectionDefinition, ItemDefinition, NewItem, Plan, SourceDefinition, SourceKind, TableDefinition,
};
use crate::upstream::{TableSelection, Upstream, UpstreamColumn};

/// What has to be asked upstream before a statement can be planned.
#[derive(Debug, Clone)]
pub struct PurifyRequest {
    /// The connection, whose secrets the caller looks up.
    pub connection: GlobalId,
    selection: TableSelection,
    text_columns: Vec<UpstreamColumn>,
    exclude_columns: Vec<UpstreamColumn>,
}

/// What upstream has answered.
#[derive(Debug, Clone)]
pub struct Purified {
    tables: Vec<MySqlTable>,
    progress: RelationDesc,
}

impl PurifyRequest {
    /// Asks upstream, and checks that everything that the statement names is there.
    pub async fn run(
        self,
        upstream: &dyn Upstream,
        connection: &MySqlConnection,
    ) -> Result<Purified, PlanError> {
        let tables = upstream
            .discover_mysql(connection, &self.selection, &self.text_columns, &self.exclude_columns)
            .await?;
        self.check(&tables)?;
        Ok(Purified { tables, progress: upstream.mysql_progress_desc() })
    }

    fn check(&self, tables: &[MySqlTable]) -> Result<(), PlanError> {
        match &self.selection {
            TableSelection::Tables(wanted) => {
                for (schema, table) in wanted {
                    if !tables.iter().any(|t| t.schema == *schema && t.table == *table) {
                        return Err(PlanError::new("42P01", format!("upstream table \"{schema}.{table}\" does not exist"))
                            .with_hint("Names of MySQL may differ in case: quote them as they are upstream. The user needs the SELECT privilege on the table."));
                    }
                }
            }
            TableSelection::Schemas(schemas) => {
                for schema in schemas {
                    if !tables.iter().any(|t| t.schema == *schema) {
                        return Err(PlanError::new(
                            "3F000",
                            format!(
                                "upstream schema \"{schema}\" does not exist or has no tables that the user may read"
                            ),
                        ));
                    }
                }
            }
            TableSelection::All if tables.is_empty() => {
                return Err(PlanError::new("42P01", "there are no upstream tables that the user may read")
                    .with_hint("Grant the SELECT privilege to the connection's user."));
            }
            TableSelection::All => {}
        }
        let given = [("TEXT COLUMNS", &self.text_columns), ("EXCLUDE COLUMNS", &self.exclude_columns)];
        for (option, columns) in given {
            for (schema, table, column) in columns {
                let found = tables.iter().find(|t| t.schema == *schema && t.table == *table);
                let known = found.is_some_and(|t| t.columns.iter().any(|c| c.name == *column));
                if !known {
                    return Err(PlanError::new(
                        "42703",
                        format!(
                            "column \"{schema}.{table}.{column}\" of {option} is not a column of a selected upstream table"
                        ),
                    ));
                }
            }
        }
        if let Some(c) = self.text_columns.iter().find(|c| self.exclude_columns.contains(c)) {
            return Err(PlanError::new(
                "42701",
                format!("column \"{}.{}.{}\" is in both TEXT COLUMNS and EXCLUDE COLUMNS", c.0, c.1, c.2),
            ));
        }
        self.check_types(tables)
    }

    /// Columns that are neither ingested nor excluded are of types that are not supported.
    fn check_types(&self, tables: &[MySqlTable]) -> Result<(), PlanError> {
        let mut unsupported = vec![];
        for t in tables {
            for c in t.columns.iter().filter(|c| c.ingest.is_none()) {
                let name = (t.schema.clone(), t.table.clone(), c.name.clone());
                if !self.exclude_columns.contains(&name) {
                    unsupported.push(format!("{}.{}.{} ({})", t.schema, t.table, c.name, c.column_type));
                }
            }
        }
        if unsupported.is_empty() {
            return Ok(());
        }
        Err(PlanError::new("0A000", "some columns have types that are not supported")
            .with_detail(format!("The columns are: {}.", unsupported.join(", ")))
            .with_hint("Use TEXT COLUMNS to take enum and year columns as text, or EXCLUDE COLUMNS to leave columns out."))
    }
}

/// The columns that an option names: qualified in CREATE SOURCE, alone or qualified in CREATE TABLE … FROM SOURCE.
fn upstream_columns(
    options: &mut Options<'_>,
    name: &str,
    table: Option<&(String, String)>,
) -> Result<Vec<UpstreamColumn>, PlanError> {
    let names = options.names(name)?;
    let column = |n: &Name| {
        let mut parts = n.parts();
        match (parts.len(), table) {
            (1, Some((s, t))) => Ok((s.clone(), t.clone(), parts.remove(0))),
            (3, None) => {
                let (c, t) = (parts.pop(), parts.pop());
                Ok((parts.remove(0), t.unwrap_or_default(), c.unwrap_or_default()))
            }
            (_, Some(_)) => {
                Err(PlanError::syntax(format!("{name}: \"{n}\" must be a column's name")).at(n.position()))
            }
            (_, None) => {
                let message = format!("{name}: \"{n}\" must be qualified with schema and table");
                Err(PlanError::syntax(message).at(n.position()))
            }
        }
    };
    names.iter().map(column).collect()
}

fn two_parts(n: &Name) -> Result<(String, String), PlanError> {
    let mut parts = n.parts();
    match (parts.len(), parts.pop(), parts.pop()) {
        (2, Some(table), Some(schema)) => Ok((schema, table)),
        _ => Err(PlanError::syntax(format!("upstream table \"{n}\" must be named as schema.table"))
            .at(n.position())),
    }
}

/// What has to be asked upstream before the statement is planned by [`plan_purified`]; `None` if it is planned as any other.
pub fn needs_purification(
    scx: &StatementContext<'_>,
    stmt: &Statement,
) -> Result<Option<PurifyRequest>, PlanError> {
    match stmt {
        Statement::CreateSource(s) => {
            let SourceFrom::MySql { connection, options } = &s.from else { return Ok(None) };
            if s.if_not_exists && exists(scx, &s.name)? {
                return Ok(None);
            }
            let connection = resolve::existing_item(scx, connection, ItemKind::Connection)?;
            let selection = match &s.tables {
                ForTables::None => TableSelection::Tables(vec![]),
                ForTables::All => TableSelection::All,
                ForTables::Schemas(names) => {
                    TableSelection::Schemas(names.iter().map(|n| n.value.clone()).collect())
                }
                ForTables::Tables(tables) => {
                    let names = tables.iter().map(|(n, _)| two_parts(n)).collect::<Result<Vec<_>, _>>()?;
                    TableSelection::Tables(names)
                }
            };
            let mut options = Options::new("MYSQL", options)?;
            let request = PurifyRequest {
                connection: connection.id,
                selection,
                text_columns: upstream_columns(&mut options, "TEXT COLUMNS", None)?,
                exclude_columns: upstream_columns(&mut options, "EXCLUDE COLUMNS", None)?,
            };
            options.finish()?;
            if s.tables == ForTables::None
                && !(request.text_columns.is_empty() && request.exclude_columns.is_empty())
            {
                return Err(PlanError::syntax("TEXT COLUMNS and EXCLUDE COLUMNS need a FOR clause")
                    .with_hint("Without one they are options of CREATE TABLE … FROM SOURCE."));
            }
            Ok(Some(request))
        }
        Statement::CreateTableFromSource(s) => {
            if s.if_not_exists && exists(scx, &s.name)? {
                return Ok(None);
            }
            let (_, connection) = mysql_source(scx, &s.source)?;
            let reference = s.reference.as_ref().ok_or_else(|| {
                PlanError::syntax("a table of the source has to be named")
                    .with_hint("Write (REFERENCE schema.table).")
            })?;
            let table = two_parts(reference)?;
            let mut options = Options::new("CREATE TABLE … FROM SOURCE", &s.options)?;
            let request = PurifyRequest {
                connection,
                text_columns: upstream_columns(&mut options, "TEXT COLUMNS", Some(&table))?,
                exclude_columns: upstream_columns(&mut options, "EXCLUDE COLUMNS", Some(&table))?,
                selection: TableSelection::Tables(vec![table]),
            };
            options.finish()?;
            Ok(Some(request))
        }
        _ => Ok(None),
    }
}

fn exists(scx: &StatementContext<'_>, name: &Name) -> Result<bool, PlanError> {
    let parts = name.parts();
    let Some((item, qualifiers)) = parts.split_last() else { return Ok(false) };
    let schema = scx.resolve_schema_for_create(qualifiers)?;
    Ok(scx.catalog.item_by_name(schema, item).is_some())
}

/// A MySQL source and its connection.
fn mysql_source(
    scx: &StatementContext<'_>,
    name: &Name,
) -> Result<(std::sync::Arc<ItemInfo>, GlobalId), PlanError> {
    let item = resolve::existing_item(scx, name, ItemKind::Source)?;
    match &item.definition {
        ItemDefinition::Source(SourceDefinition { kind: SourceKind::MySql { connection, .. }, .. }) => {
            let connection = *connection;
            Ok((item, connection))
        }
        _ => Err(PlanError::new("42809", format!("source \"{name}\" has no tables to refer to"))
            .at(name.position())),
    }
}

/// Plans a statement for which [`needs_purification`] has given a request.
pub fn plan_purified(
    scx: &StatementContext<'_>,
    stmt: &Statement,
    purified: &Purified,
    ids: Ids<'_>,
) -> Result<Plan, PlanError> {
    match stmt {
        Statement::CreateSource(s) => create_mysql_source(scx, s, Some(purified), ids),
        Statement::CreateTableFromSource(s) => create_table_from_source(scx, s, purified, ids),
        _ => super::plan_statement(scx, stmt, ids),
    }
}

/// The columns of a MySQL table's collection.
pub fn mysql_table_desc(table: &MySqlTable) -> RelationDesc {
    let ingested: Vec<usize> =
        (0..table.columns.len()).filter(|i| table.columns[*i].ingest.is_some()).collect();
    let types = table.columns.iter().filter_map(|c| c.ingest.as_ref().map(|i| i.typ.clone())).collect();
    let mut typ = RelationType::new(types);
    for key in &table.keys {
        let mapped: Option<Vec<usize>> = key.iter().map(|k| ingested.iter().position(|i| i == k)).collect();
        if let Some(key) = mapped {
            typ = typ.with_key(key);
        }
    }
    let names = ingested.iter().map(|i| table.columns[*i].name.clone()).collect();
    RelationDesc::new(typ, names)
}

/// The columns of a load generator's progress subsource.
fn generator_progress_desc() -> RelationDesc {
    RelationDesc::empty().with_column("offset", ScalarType::UInt64.nullable(true))
}

fn counter_desc() -> RelationDesc {
    RelationDesc::empty().with_column("counter", ScalarType::Int64.nullable(false))
}

fn details<T: Serialize>(value: &T) -> Result<String, PlanError> {
    let json = serde_json::to_string(value);
    json.map(|j| quote_literal(&j))
        .map_err(|e| PlanError::new("XX000", format!("details cannot be stored: {e}")))
}

fn parse_details<T: DeserializeOwned>(option: Option<&SqlOption>) -> Result<T, PlanError> {
    let Some(SqlOption { value: OptionValue::String(json), .. }) = option else {
        return Err(PlanError::unsupported("CREATE SUBSOURCE by people"));
    };
    serde_json::from_str(json)
        .map_err(|e| PlanError::new("XX000", format!("stored details cannot be read: {e}")))
}

/// The items of one statement: no two may have the same name.
struct NewNames<'a, 'b> {
    scx: &'a StatementContext<'b>,
    taken: BTreeSet<(SchemaId, String)>,
}

impl NewNames<'_, '_> {
    fn take(
        &mut self,
        schema: SchemaId,
        item: &str,
        what: &str,
        lenient: bool,
        ids: Ids<'_>,
    ) -> Result<NewName, PlanError> {
        if !self.taken.insert((schema, item.to_owned())) {
            return Err(PlanError::new("42710", format!("more than one {what} would be named \"{item}\""))
                .with_hint("Name them apart: FOR TABLES (schema.table AS name, …)."));
        }
        if item.is_empty() || item.len() > 255 || item.chars().any(char::is_control) {
            return Err(PlanError::new(
                "42602",
                format!("invalid name \"{}\" of a {what}", item.escape_debug()),
            )
            .with_hint("Give it another one: FOR TABLES (schema.table AS name, …)."));
        }
        resolve::new_name_in(self.scx, schema, item, false, lenient, ItemKind::Source, ids).map_err(|e| {
            if what == "source" || e.hint.is_some() {
                return e;
            }
            e.with_hint(format!(
                "It is the name of a {what} that the statement would make; give it another one."
            ))
        })
    }
}

/// The schema and name of a new item.
fn split_new(scx: &StatementContext<'_>, name: &Name) -> Result<(SchemaId, String), PlanError> {
    let mut parts = name.parts();
    let item = parts.pop().unwrap_or_default();
    Ok((scx.resolve_schema_for_create(&parts)?, item))
}

fn progress_item(name: NewName, desc: RelationDesc) -> Result<NewItem, PlanError> {
    Ok(NewItem {
        create_sql: format!(
            "CREATE SUBSOURCE {} WITH (PROGRESS, DETAILS = {})",
            name.stored,
            details(&desc)?
        ),
        name: name.name,
        definition: ItemDefinition::Source(SourceDefinition {
            kind: SourceKind::Progress,
            desc: Some(desc),
            cluster: None,
        }),
        uses: BTreeSet::new(),
        id: Some(name.id),
    })
}

fn subsource_item(name: NewName, source: &NewName, table: &MySqlTable) -> Result<NewItem, PlanError> {
    let export = ExportDetails::MySql(table.clone());
    Ok(NewItem {
        create_sql: format!(
            "CREATE SUBSOURCE {} OF SOURCE {} WITH (EXTERNAL REFERENCE = {}.{}, DETAILS = {})",
            name.stored,
            source.stored,
            quote_ident(&table.schema),
            quote_ident(&table.table),
            details(&export)?
        ),
        name: name.name,
        definition: ItemDefinition::Source(SourceDefinition {
            kind: SourceKind::Subsource { source: source.id, details: export },
            desc: Some(mysql_table_desc(table)),
            cluster: None,
        }),
        uses: BTreeSet::from([source.id]),
        id: Some(name.id),
    })
}

/// The FOR clause as written.
fn for_clause(tables: &ForTables) -> String {
    let name = |n: &Name| n.0.iter().map(|i| quote_ident(&i.value)).collect::<Vec<_>>().join(".");
    match tables {
        ForTables::None => String::new(),
        ForTables::All => " FOR ALL TABLES".into(),
        ForTables::Schemas(s) => {
            let names: Vec<String> = s.iter().map(|i| quote_ident(&i.value)).collect();
            format!(" FOR SCHEMAS ({})", names.join(", "))
        }
        ForTables::Tables(t) => {
            let each = t.iter().map(|(upstream, alias)| match alias {
                Some(a) => format!("{} AS {}", name(upstream), name(a)),
                None => name(upstream),
            });
            format!(" FOR TABLES ({})", each.collect::<Vec<_>>().join(", "))
        }
    }
}

fn columns_clause(options: &[SqlOption]) -> String {
    let each = options.iter().filter_map(|o| match &o.value {
        OptionValue::List(names) => Some((o.name, names.clone())),
        OptionValue::Raw(_, Some(n)) => Some((o.name, vec![n.clone()])),
        _ => None,
    });
    let texts: Vec<String> = each
        .map(|(option, names)| {
            let names =
                names.iter().map(|n| n.0.iter().map(|i| quote_ident(&i.value)).collect::<Vec<_>>().join("."));
            format!("{option} = ({})", names.collect::<Vec<_>>().join(", "))
        })
        .collect();
    texts.join(", ")
}

/// CREATE SOURCE … FROM MYSQL; without an answer from upstream only if the source exists.
fn create_mysql_source(
    scx: &StatementContext<'_>,
    s: &CreateSourceStatement,
    purified: Option<&Purified>,
    ids: Ids<'_>,
) -> Result<Plan, PlanError> {
    let SourceFrom::MySql { connection, options } = &s.from else {
        return Err(PlanError::new("XX000", "not a MySQL source"));
    };
    Options::new("CREATE SOURCE", &s.options)?.finish()?;
    let connection = resolve::existing_item(scx, connection, ItemKind::Connection)?;
    let ItemDefinition::Connection(ConnectionDefinition::MySql { .. }) = &connection.definition else {
        return Err(PlanError::new(
            "42809",
            format!("\"{}\" is not a MySQL connection", connection.name.item),
        ));
    };
    let cluster = resolve::cluster_for_object(scx, s.cluster.as_ref())?;
    let (schema, item) = split_new(scx, &s.name)?;
    let (progress_schema, progress_name) = match &s.progress {
        Some(n) => split_new(scx, n)?,
        None => (schema, format!("{item}_progress")),
    };
    let lenient = purified.is_none();
    let mut names = NewNames { scx, taken: BTreeSet::new() };
    let progress = names.take(progress_schema, &progress_name, "progress subsource", lenient, &mut *ids)?;
    let source = names
        .take(schema, &item, "source", s.if_not_exists, &mut *ids)
        .map_err(|e| e.at(s.name.position()))?;
    let mut items = vec![progress_item(
        progress.clone(),
        purified.map_or_else(RelationDesc::empty, |p| p.progress.clone()),
    )?];
    let columns = columns_clause(options);
    let create_sql = format!(
        "CREATE SOURCE {} IN CLUSTER {} FROM MYSQL CONNECTION {}{}{} EXPOSE PROGRESS AS {}",
        source.stored,
        stored_cluster(scx.catalog, cluster),
        stored_name(&connection),
        if columns.is_empty() { String::new() } else { format!(" ({columns})") },
        for_clause(&s.tables),
        progress.stored
    );
    items.push(NewItem {
        name: source.name.clone(),
        create_sql,
        definition: ItemDefinition::Source(SourceDefinition {
            kind: SourceKind::MySql { connection: connection.id, progress: progress.id },
            desc: None,
            cluster: Some(cluster),
        }),
        uses: BTreeSet::from([connection.id, progress.id]),
        id: Some(source.id),
    });
    let aliases = aliases(scx, &s.tables)?;
    let selected = purified.filter(|_| s.tables != ForTables::None).map_or(&[][..], |p| &p.tables);
    for table in selected {
        let key = (table.schema.clone(), table.table.clone());
        let targets = aliases.get(&key).cloned().unwrap_or_else(|| vec![(schema, table.table.clone())]);
        for (schema, name) in targets {
            let name = names.take(schema, &name, "subsource", false, &mut *ids)?;
            items.push(subsource_item(name, &source, table)?);
        }
    }
    Ok(Plan::CreateItems { items, replace: None, if_not_exists: s.if_not_exists, tag: "CREATE SOURCE" })
}

type Aliases = BTreeMap<(String, String), Vec<(SchemaId, String)>>;

/// Where the tables that are named go.
fn aliases(scx: &StatementContext<'_>, tables: &ForTables) -> Result<Aliases, PlanError> {
    let mut all = Aliases::new();
    if let ForTables::Tables(tables) = tables {
        for (upstream, alias) in tables {
            if let Some(alias) = alias {
                all.entry(two_parts(upstream)?).or_default().push(split_new(scx, alias)?);
            }
        }
    }
    Ok(all)
}

fn generator(kind: &str, options: &[SqlOption]) -> Result<LoadGenerator, PlanError> {
    if kind != "COUNTER" {
        return Err(PlanError::unsupported(format!("LOAD GENERATOR {kind}")));
    }
    let mut options = Options::new("LOAD GENERATOR COUNTER", options)?;
    let tick_ms = options.milliseconds("TICK INTERVAL")?.unwrap_or(1000);
    let max_cardinality = options.number("MAX CARDINALITY")?;
    options.finish()?;
    if tick_ms == 0 {
        return Err(PlanError::new("22023", "TICK INTERVAL must be at least a millisecond"));
    }
    Ok(LoadGenerator::Counter { tick_ms, max_cardinality })
}

/// CREATE SOURCE without a question upstream.
pub(crate) fn create_source(
    scx: &StatementContext<'_>,
    s: &CreateSourceStatement,
    ids: Ids<'_>,
) -> Result<Plan, PlanError> {
    let SourceFrom::LoadGenerator { kind, options } = &s.from else {
        if s.if_not_exists && exists(scx, &s.name)? {
            return create_mysql_source(scx, s, None, ids);
        }
        return Err(PlanError::new("XX000", "the source has not been looked up upstream"));
    };
    Options::new("CREATE SOURCE", &s.options)?.finish()?;
    if s.tables != ForTables::None {
        return Err(PlanError::syntax("FOR … is not for a load generator with a single collection"));
    }
    let generator = generator(kind, options)?;
    let cluster = resolve::cluster_for_object(scx, s.cluster.as_ref())?;
    let (schema, item) = split_new(scx, &s.name)?;
    let (progress_schema, progress_name) = match &s.progress {
        Some(n) => split_new(scx, n)?,
        None => (schema, format!("{item}_progress")),
    };
    let mut names = NewNames { scx, taken: BTreeSet::new() };
    let progress =
        names.take(progress_schema, &progress_name, "progress subsource", s.if_not_exists, &mut *ids)?;
    let source = names
        .take(schema, &item, "source", s.if_not_exists, &mut *ids)
        .map_err(|e| e.at(s.name.position()))?;
    let LoadGenerator::Counter { tick_ms, max_cardinality } = &generator;
    let max = max_cardinality.map(|m| format!(", MAX CARDINALITY = {m}")).unwrap_or_default();
    let create_sql = format!(
        "CREATE SOURCE {} IN CLUSTER {} FROM LOAD GENERATOR COUNTER (TICK INTERVAL = '{tick_ms}ms'{max}) EXPOSE PROGRESS AS {}",
        source.stored,
        stored_cluster(scx.catalog, cluster),
        progress.stored
    );
    let progress_id = progress.id;
    let items = vec![
        progress_item(progress, generator_progress_desc())?,
        NewItem {
            name: source.name,
            create_sql,
            definition: ItemDefinition::Source(SourceDefinition {
                kind: SourceKind::LoadGenerator { generator, progress: progress_id },
                desc: Some(counter_desc()),
                cluster: Some(cluster),
            }),
            uses: BTreeSet::from([progress_id]),
            id: Some(source.id),
        },
    ];
    Ok(Plan::CreateItems { items, replace: None, if_not_exists: s.if_not_exists, tag: "CREATE SOURCE" })
}

/// What a stored CREATE SOURCE stands for.
pub(crate) fn define_source(
    scx: &StatementContext<'_>,
    s: &CreateSourceStatement,
) -> Result<SourceDefinition, PlanError> {
    let missing = || PlanError::new("XX000", "a stored source has no progress subsource");
    let progress =
        s.progress.as_ref().and_then(|n| crate::names::parse_id_name(n.last())).ok_or_else(missing)?;
    scx.uses.borrow_mut().insert(progress);
    let cluster = Some(resolve::cluster(scx, s.cluster.as_ref())?);
    match &s.from {
        SourceFrom::MySql { connection, .. } => {
            let connection = scx.resolve_item(&connection.parts())?.id;
            Ok(SourceDefinition { kind: SourceKind::MySql { connection, progress }, desc: None, cluster })
        }
        SourceFrom::LoadGenerator { kind, options } => {
            let generator = generator(kind, options)?;
            let kind = SourceKind::LoadGenerator { generator, progress };
            Ok(SourceDefinition { kind, desc: Some(counter_desc()), cluster })
        }
    }
}

/// What a stored CREATE SUBSOURCE stands for.
pub(crate) fn define_subsource(
    scx: &StatementContext<'_>,
    s: &CreateSubsourceStatement,
) -> Result<SourceDefinition, PlanError> {
    let stored = s.options.iter().find(|o| o.name == "DETAILS");
    match &s.source {
        None => {
            let desc: RelationDesc = parse_details(stored)?;
            Ok(SourceDefinition { kind: SourceKind::Progress, desc: Some(desc), cluster: None })
        }
        Some(source) => {
            let details: ExportDetails = parse_details(stored)?;
            // The source itself may be planned after its subsources.
            let source = match crate::names::parse_id_name(source.last()) {
                Some(id) => id,
                None => scx.resolve_item(&source.parts())?.id,
            };
            scx.uses.borrow_mut().insert(source);
            let desc = export_desc(&details);
            Ok(SourceDefinition {
                kind: SourceKind::Subsource { source, details },
                desc: Some(desc),
                cluster: None,
            })
        }
    }
}

fn export_desc(details: &ExportDetails) -> RelationDesc {
    match details {
        ExportDetails::MySql(table) => mysql_table_desc(table),
        ExportDetails::LoadGenerator => counter_desc(),
    }
}

/// What a stored CREATE TABLE … FROM SOURCE stands for.
pub(crate) fn define_table_from_source(
    scx: &StatementContext<'_>,
    s: &CreateTableFromSourceStatement,
) -> Result<TableDefinition, PlanError> {
    let details: ExportDetails = parse_details(s.options.iter().find(|o| o.name == "DETAILS"))?;
    let source = scx.resolve_item(&s.source.parts())?.id;
    table_definition(s, source, details)
}

fn table_definition(
    s: &CreateTableFromSourceStatement,
    source: GlobalId,
    details: ExportDetails,
) -> Result<TableDefinition, PlanError> {
    let desc = rename_columns(export_desc(&details), &s.columns, "CREATE TABLE")?;
    let null = |(_, t): (&String, &hw_repr::ColumnType)| hw_expr::HirScalarExpr::null(t.scalar_type.clone());
    let defaults = desc.iter().map(null).collect();
    Ok(TableDefinition { desc, defaults, source: Some((source, details)), temporary: false })
}

fn create_table_from_source(
    scx: &StatementContext<'_>,
    s: &CreateTableFromSourceStatement,
    purified: &Purified,
    ids: Ids<'_>,
) -> Result<Plan, PlanError> {
    let (source, _) = mysql_source(scx, &s.source)?;
    let table = purified
        .tables
        .first()
        .ok_or_else(|| PlanError::new("42P01", "the upstream table does not exist"))?;
    let export = ExportDetails::MySql(table.clone());
    let stored_details = details(&export)?;
    let definition = table_definition(s, source.id, export)?;
    let name = resolve::new_name(scx, &s.name, false, s.if_not_exists, ItemKind::Table, ids)?;
    let columns: Vec<String> = s.columns.iter().map(|c| quote_ident(&c.value)).collect();
    let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
    let mut options = columns_clause(&s.options);
    if !options.is_empty() {
        options.push_str(", ");
    }
    let create_sql = format!(
        "CREATE TABLE {}{columns} FROM SOURCE {} (REFERENCE = {}.{}) WITH ({options}DETAILS = {stored_details})",
        name.stored,
        stored_name(&source),
        quote_ident(&table.schema),
        quote_ident(&table.table)
    );
    let item = NewItem {
        name: name.name,
        create_sql,
        definition: ItemDefinition::Table(definition),
        uses: BTreeSet::from([source.id]),
        id: Some(name.id),
    };
    Ok(Plan::CreateItems {
        items: vec![item],
        replace: None,
        if_not_exists: s.if_not_exists,
        tag: "CREATE TABLE",
    })
}

/// CREATE TABLE … FROM SOURCE where IF NOT EXISTS makes it nothing.
pub(crate) fn existing_table(
    scx: &StatementContext<'_>,
    s: &CreateTableFromSourceStatement,
) -> Result<Plan, PlanError> {
    if s.if_not_exists && exists(scx, &s.name)? {
        let notices = vec![format!("relation \"{}\" already exists, skipping", s.name.last())];
        return Ok(super::nothing("CREATE TABLE", notices));
    }
    Err(PlanError::new("XX000", "the table has not been looked up upstream"))
}
