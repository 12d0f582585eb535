//! SELECT, SUBSCRIBE and EXPLAIN.

use std::collections::BTreeMap;

use hw_expr::HirRelationExpr;
use hw_repr::{ColumnOrder, RelationDesc, ScalarType};
use sqlparser::ast::{Expr, OrderByExpr};

use super::Ids;
use super::create_relation::{self, unnamed};
use super::resolve::{self, Options};
use crate::catalog::ItemKind;
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::parser::ast::{
    ExplainStatement, ExplainTarget as Target, ExplainWhat, Ident, Name, SelectStatement, Statement,
    SubscribeForm, SubscribeStatement, SubscribeTarget,
};
use crate::parser::position;
use crate::plan::{
    ExplainPlan, ExplainStage, ExplainTarget, ItemDefinition, NewItem, Plan, SelectPlan, SubscribeFrom,
    SubscribeOutput, SubscribePlan,
};
use crate::query;

/// SELECT
pub(crate) fn select(scx: &StatementContext<'_>, stmt: &SelectStatement) -> Result<SelectPlan, PlanError> {
    let planned = query::plan_query(scx, &stmt.query.query)?;
    let when = resolve::query_when(scx, stmt.as_of.as_ref())?;
    Ok(SelectPlan { expr: planned.expr, desc: planned.desc, finishing: planned.finishing, when })
}

/// SUBSCRIBE
pub(crate) fn subscribe(
    scx: &StatementContext<'_>,
    stmt: &SubscribeStatement,
) -> Result<SubscribePlan, PlanError> {
    let mut options = Options::new("SUBSCRIBE", &stmt.options)?;
    let with_snapshot = options.flag("SNAPSHOT")?.unwrap_or(true);
    let progress = options.flag("PROGRESS")?.unwrap_or(false);
    options.finish()?;
    let (from, from_desc) = match &stmt.target {
        SubscribeTarget::Name(name) => {
            let (item, desc) = resolve::relation(scx, name)?;
            (SubscribeFrom::Id(item.id), desc)
        }
        SubscribeTarget::Query(text) => {
            let (expr, desc) = query::plan_view_query(scx, &text.query)?;
            (SubscribeFrom::Query(expr), desc)
        }
    };
    let when = resolve::query_when(scx, stmt.as_of.as_ref())?;
    let up_to = stmt.up_to.as_ref().map(|e| resolve::time_expr(scx, e)).transpose()?;
    let diffs = subscribe_desc(&from_desc, progress, &[("mz_diff", ScalarType::Int64)], |_| true, "");
    let (output, desc) = match &stmt.form {
        SubscribeForm::Diffs => (SubscribeOutput::Diffs, diffs),
        SubscribeForm::WithinTimestampOrderBy(order) => {
            let order = within_order(&from_desc, &diffs, progress, order)?;
            (SubscribeOutput::WithinTimestampOrderBy(order), diffs)
        }
        SubscribeForm::Upsert(key) => {
            let key = envelope_key(&from_desc, key)?;
            let desc = envelope_desc(&from_desc, progress, &key, &[""]);
            (SubscribeOutput::EnvelopeUpsert { key }, desc)
        }
        SubscribeForm::Debezium(key) => {
            let key = envelope_key(&from_desc, key)?;
            let desc = envelope_desc(&from_desc, progress, &key, &["before_", "after_"]);
            (SubscribeOutput::EnvelopeDebezium { key }, desc)
        }
    };
    Ok(SubscribePlan { from, from_desc, with_snapshot, progress, when, up_to, output, desc })
}

fn envelope_key(desc: &RelationDesc, key: &[Ident]) -> Result<Vec<usize>, PlanError> {
    let mut found = vec![];
    for ident in key {
        let at = position(ident.span).unwrap_or(1);
        let unknown = || PlanError::unknown_column(&ident.value).at(at);
        let i = desc.position(&ident.value).ok_or_else(unknown)?;
        if found.contains(&i) {
            let e = PlanError::new("42701", format!("column \"{}\" specified more than once", ident.value));
            return Err(e.at(at));
        }
        found.push(i);
    }
    Ok(found)
}

/// `mz_timestamp`, (`mz_progressed`,) further columns of the system, then columns of the relation; in progress messages all but the
/// first two are NULL.
fn subscribe_desc(
    from: &RelationDesc,
    progress: bool,
    system: &[(&str, ScalarType)],
    keep: impl Fn(usize) -> bool,
    prefix: &str,
) -> RelationDesc {
    let mut desc = RelationDesc::empty().with_column("mz_timestamp", ScalarType::MzTimestamp.nullable(false));
    if progress {
        desc = desc.with_column("mz_progressed", ScalarType::Bool.nullable(false));
    }
    for (name, typ) in system {
        desc = desc.with_column(*name, typ.clone().nullable(progress));
    }
    for (i, (name, typ)) in from.iter().enumerate() {
        if keep(i) {
            desc = desc.with_column(
                format!("{prefix}{name}"),
                typ.scalar_type.clone().nullable(progress || typ.nullable),
            );
        }
    }
    desc
}

fn envelope_desc(from: &RelationDesc, progress: bool, key: &[usize], prefixes: &[&str]) -> RelationDesc {
    let mut desc = subscribe_desc(from, progress, &[("mz_state", ScalarType::String)], |_| false, "");
    for i in key {
        let typ = &from.typ().column_types[*i];
        desc =
            desc.with_column(&from.names()[*i], typ.scalar_type.clone().nullable(progress || typ.nullable));
    }
    for prefix in prefixes {
        for (i, (name, typ)) in from.iter().enumerate() {
            if !key.contains(&i) {
                desc = desc.with_column(format!("{prefix}{name}"), typ.scalar_type.clone().nullable(true));
            }
        }
    }
    desc
}

/// The order within a time, over the columns of the output: `mz_diff` and the relation's columns may be named.
fn within_order(
    from: &RelationDesc,
    output: &RelationDesc,
    progress: bool,
    order: &[OrderByExpr],
) -> Result<Vec<ColumnOrder>, PlanError> {
    let offset = if progress { 3 } else { 2 };
    let column = |o: &OrderByExpr| {
        let Expr::Identifier(ident) = &o.expr else {
            return Err(PlanError::unsupported(
                "an expression other than a column in WITHIN TIMESTAMP ORDER BY",
            ));
        };
        let at = position(ident.span).unwrap_or(1);
        let i = match ident.value.as_str() {
            "mz_diff" => output.position("mz_diff"),
            name => from.position(name).map(|i| i + offset),
        };
        let column = i.ok_or_else(|| PlanError::unknown_column(&ident.value).at(at))?;
        let desc = matches!(o.options.sort, Some(sqlparser::ast::OrderBySort::Desc));
        Ok(ColumnOrder { column, desc, nulls_last: o.options.nulls_first.map_or(!desc, |first| !first) })
    };
    order.iter().map(column).collect()
}

/// EXPLAIN
pub(crate) fn explain(
    scx: &StatementContext<'_>,
    stmt: &ExplainStatement,
    ids: Ids<'_>,
) -> Result<ExplainPlan, PlanError> {
    let stage = match stmt.what {
        ExplainWhat::Raw => ExplainStage::Raw,
        ExplainWhat::Decorrelated => ExplainStage::Decorrelated,
        ExplainWhat::LocallyOptimized => ExplainStage::LocallyOptimized,
        ExplainWhat::Optimized => ExplainStage::Optimized,
        ExplainWhat::Physical => ExplainStage::Physical,
        ExplainWhat::Timestamp => ExplainStage::Timestamp,
    };
    let options = explain_options(&stmt.options)?;
    for name in options.iter().filter(|(_, on)| **on).map(|(name, _)| name.as_str()) {
        if !shows(stage, name) || stmt.json && name == "timing" {
            let what = format!("EXPLAIN option {} of this plan", name.to_uppercase());
            return Err(PlanError::unsupported(what));
        }
    }
    if stmt.json && stage == ExplainStage::Timestamp {
        return Err(PlanError::unsupported("EXPLAIN TIMESTAMP AS JSON"));
    }
    let target = match &stmt.target {
        Target::Item(kind, name) => explain_item(scx, *kind, name)?,
        Target::Statement(s) => explain_statement(scx, s, ids)?,
    };
    if stage == ExplainStage::Timestamp && !matches!(target, ExplainTarget::Select(_)) {
        return Err(PlanError::unsupported("EXPLAIN TIMESTAMP of anything but a query"));
    }
    Ok(ExplainPlan { stage, target, json: stmt.json, options })
}

/// What EXPLAIN can show besides the plan.
const EXPLAIN_OPTIONS: &[&str] = &[
    "arity",
    "types",
    "keys",
    "column names",
    "non negative",
    "equivalences",
    "subtree size",
    "join implementations",
    "humanized expressions",
    "redacted",
    "no fast path",
    "timing",
];

/// What the dialect has besides.
const OTHER_EXPLAIN_OPTIONS: &[&str] = &[
    "cardinality",
    "filter pushdown",
    "linear chains",
    "node identifiers",
    "raw plans",
    "raw syntax",
    "verbose syntax",
];

/// Whether an option says something of the plan at a stage.
fn shows(stage: ExplainStage, option: &str) -> bool {
    match stage {
        ExplainStage::Raw => !matches!(
            option,
            "non negative" | "equivalences" | "subtree size" | "join implementations" | "no fast path"
        ),
        ExplainStage::Decorrelated | ExplainStage::LocallyOptimized | ExplainStage::Optimized => {
            option != "no fast path"
        }
        ExplainStage::Physical => !matches!(option, "non negative" | "equivalences"),
        ExplainStage::Timestamp => false,
    }
}

fn explain_options(options: &[(String, bool)]) -> Result<BTreeMap<String, bool>, PlanError> {
    let hint = || format!("The options are: {}.", EXPLAIN_OPTIONS.join(", "));
    let mut out = BTreeMap::new();
    for (name, on) in options {
        if OTHER_EXPLAIN_OPTIONS.contains(&name.as_str()) {
            return Err(
                PlanError::unsupported(format!("EXPLAIN option {}", name.to_uppercase())).with_hint(hint())
            );
        }
        if !EXPLAIN_OPTIONS.contains(&name.as_str()) {
            let e = PlanError::syntax(format!("EXPLAIN option {} is not known", name.to_uppercase()));
            return Err(e.with_hint(hint()));
        }
        if out.insert(name.clone(), *on).is_some() {
            return Err(PlanError::syntax(format!(
                "EXPLAIN option {} specified more than once",
                name.to_uppercase()
            )));
        }
    }
    Ok(out)
}

fn explain_item(scx: &StatementContext<'_>, kind: ItemKind, name: &Name) -> Result<ExplainTarget, PlanError> {
    let item = resolve::existing_item(scx, name, kind)?;
    Ok(ExplainTarget::Item(item.id))
}

fn explain_statement(
    scx: &StatementContext<'_>,
    stmt: &Statement,
    ids: Ids<'_>,
) -> Result<ExplainTarget, PlanError> {
    let created = |definition, name: &Name| {
        let schema = scx.resolve_schema_for_create(&[]).unwrap_or(hw_repr::SchemaId::System(0));
        let item = NewItem {
            name: unnamed(schema, name.last()),
            create_sql: String::new(),
            definition,
            uses: scx.uses.borrow().clone(),
            id: None,
        };
        Ok(ExplainTarget::Create(Box::new(item)))
    };
    match stmt {
        Statement::Select(s) => Ok(ExplainTarget::Select(select(scx, s)?)),
        Statement::Subscribe(s) => {
            let plan = subscribe(scx, s)?;
            let arity = plan.from_desc.arity();
            let expr = match plan.from {
                SubscribeFrom::Query(expr) => expr,
                SubscribeFrom::Id(id) => {
                    HirRelationExpr::Get { id: hw_expr::Id::Global(id), typ: plan.from_desc.typ().clone() }
                }
            };
            let finishing = hw_expr::RowSetFinishing::trivial(arity);
            Ok(ExplainTarget::Select(SelectPlan { expr, desc: plan.from_desc, finishing, when: plan.when }))
        }
        Statement::CreateView(s) => {
            created(ItemDefinition::View(create_relation::define_view(scx, s)?), &s.name)
        }
        Statement::CreateMaterializedView(s) => {
            let definition = create_relation::define_materialized_view(scx, s)?;
            created(ItemDefinition::MaterializedView(definition), &s.name)
        }
        Statement::CreateIndex(s) => match create_relation::create_index(scx, s, ids)? {
            Plan::CreateItems { mut items, .. } if !items.is_empty() => {
                Ok(ExplainTarget::Create(Box::new(items.remove(0))))
            }
            _ => Err(PlanError::unsupported("EXPLAIN of this statement")),
        },
        _ => Err(PlanError::unsupported("EXPLAIN of this statement")),
    }
}
