//! FROM: tables, functions, subqueries and joins.
//!
//! The right side of a join stands one scope further in than the left: its frame is the left side's columns, which only
//! what is lateral may name.

use std::borrow::Cow;

use hw_expr::func::{CastContext, registry};
use hw_expr::hir::{ColumnRef, JoinKind};
use hw_expr::relation::Id;
use hw_expr::{HirRelationExpr, HirScalarExpr, TableFunc};
use hw_repr::{RelationDesc, RelationType, ScalarType};
use sqlparser::ast::{
    Expr, FunctionArg, Join, JoinConstraint, JoinOperator, ObjectName, Query, Spanned, TableAlias,
    TableFactor, TableWithJoins,
};

use super::coerce::{Planned, Typed, unify_types};
use super::context::{Ecx, Qcx, ident, name_parts};
use super::declared::plan_declared;
use super::function::{arg_expr, arg_name, choose_table_function, function_name};
use super::named::in_order;
use super::operator::{condition, operator};
use super::query::plan_nested;
use super::scalar::{plan_condition, plan_expr};
use super::scope::{Frame, Scope, ScopeItem, TableName, Visibility};
use super::window::is_window_function;
use crate::catalog::ItemKind;
use crate::error::PlanError;

/// A relation with its names.
pub(super) type Named = (HirRelationExpr, Scope);

/// Plans a FROM clause; without one it is one row of no columns.
pub(super) fn plan_from(qcx: &Qcx<'_>, from: &[TableWithJoins]) -> Result<Named, PlanError> {
    qcx.shared.deeper_by(from.len(), || plan_from_here(qcx, from))
}

fn plan_from_here(qcx: &Qcx<'_>, from: &[TableWithJoins]) -> Result<Named, PlanError> {
    let mut result: Option<Named> = None;
    for item in from {
        result = Some(match result {
            None => plan_table_with_joins(qcx, item)?,
            Some(left) => {
                let right = beside(qcx, &left.1, Visibility::Lateral, |q| plan_table_with_joins(q, item))?;
                cross(left, right, JoinKind::Inner)
            }
        });
    }
    let (expr, scope) = result.unwrap_or_else(|| (HirRelationExpr::unit(), Scope::default()));
    check_aliases(&scope)?;
    Ok((expr, scope))
}

fn check_aliases(scope: &Scope) -> Result<(), PlanError> {
    for (i, t) in scope.tables.iter().enumerate() {
        let same = |o: &&TableName| o.alias == t.alias && o.qualifiers == t.qualifiers;
        if scope.tables[..i].iter().any(|o| same(&o)) {
            let text = format!("table name \"{}\" specified more than once", t.alias);
            return Err(PlanError::new("42712", text));
        }
    }
    Ok(())
}

/// Plans what stands to the right of `left`.
fn beside<R>(
    qcx: &Qcx<'_>,
    left: &Scope,
    visible: Visibility,
    plan: impl FnOnce(&Qcx<'_>) -> Result<R, PlanError>,
) -> Result<R, PlanError> {
    let frame = Frame { scope: left, parent: qcx.outer, collector: None, visible, clause: "FROM" };
    let inner = Qcx {
        shared: qcx.shared,
        outer: Some(&frame),
        ctes: qcx.ctes.clone(),
        from_depth: qcx.from_depth + 1,
    };
    plan(&inner)
}

/// Runs `plan` where the left sides of this query's own joins can be named.
fn laterally<R>(
    qcx: &Qcx<'_>,
    plan: &mut dyn FnMut(&Qcx<'_>) -> Result<R, PlanError>,
) -> Result<R, PlanError> {
    fn go<R>(
        qcx: &Qcx<'_>,
        frame: Option<&Frame<'_>>,
        n: usize,
        f: &mut dyn FnMut(Option<&Frame<'_>>) -> Result<R, PlanError>,
    ) -> Result<R, PlanError> {
        match frame {
            Some(frame) if n > 0 => go(qcx, frame.parent, n - 1, &mut |parent| {
                let visible = match frame.visible {
                    Visibility::Lateral => Visibility::Yes,
                    other => other,
                };
                let frame = Frame {
                    scope: frame.scope,
                    parent,
                    collector: frame.collector,
                    visible,
                    clause: frame.clause,
                };
                f(Some(&frame))
            }),
            other => f(other),
        }
    }
    go(qcx, qcx.outer, qcx.from_depth, &mut |outer| {
        plan(&Qcx { shared: qcx.shared, outer, ctes: qcx.ctes.clone(), from_depth: qcx.from_depth })
    })
}

fn cross(left: Named, right: Named, kind: JoinKind) -> Named {
    let expr = if left.0.is_unit() && kind == JoinKind::Inner && is_closed(&right.0) {
        right.0
    } else {
        left.0.join(right.0, HirScalarExpr::literal_true(), kind)
    };
    (expr, left.1.beside(right.1))
}

/// Whether nothing in it points to an enclosing scope.
fn is_closed(expr: &HirRelationExpr) -> bool {
    let mut closed = true;
    expr.visit_free(&mut |_| closed = false);
    closed
}

fn plan_table_with_joins(qcx: &Qcx<'_>, item: &TableWithJoins) -> Result<Named, PlanError> {
    qcx.shared.deeper_by(item.joins.len(), || {
        let mut left = plan_factor(qcx, &item.relation)?;
        for join in &item.joins {
            left = plan_join(qcx, left, join)?;
            check_aliases(&left.1)?;
        }
        Ok(left)
    })
}

fn plan_join(qcx: &Qcx<'_>, left: Named, join: &Join) -> Result<Named, PlanError> {
    let (kind, constraint) = match &join.join_operator {
        JoinOperator::Join(c) | JoinOperator::Inner(c) | JoinOperator::CrossJoin(c) => (JoinKind::Inner, c),
        JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinKind::LeftOuter, c),
        JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (JoinKind::RightOuter, c),
        JoinOperator::FullOuter(c) => (JoinKind::FullOuter, c),
        _ => return Err(PlanError::unsupported("this kind of join")),
    };
    let visible = match kind {
        JoinKind::Inner | JoinKind::LeftOuter => Visibility::Lateral,
        JoinKind::RightOuter | JoinKind::FullOuter => Visibility::Never,
    };
    let right = beside(qcx, &left.1, visible, |q| plan_factor(q, &join.relation))?;
    match constraint {
        JoinConstraint::None => {
            if !matches!(join.join_operator, JoinOperator::CrossJoin(_)) {
                return Err(PlanError::syntax("a JOIN needs ON, USING or NATURAL"));
            }
            Ok(cross(left, right, kind))
        }
        JoinConstraint::On(condition) => {
            let scope = left.1.clone().beside(right.1);
            let frame = qcx.frame(&scope, "JOIN conditions");
            let on = plan_condition(&Ecx { qcx, frame: &frame }, condition, "JOIN/ON")?;
            Ok((left.0.join(right.0, on, kind), nullable_sides(scope, left.1.types.len(), kind)))
        }
        JoinConstraint::Using(names) => {
            let names = names.iter().map(|n| match &name_parts(n)?[..] {
                [name] => Ok(name.clone()),
                _ => Err(PlanError::syntax("a column of USING has a simple name")),
            });
            let names = names.collect::<Result<Vec<_>, _>>()?;
            let mut seen = std::collections::BTreeSet::new();
            if let Some(twice) = names.iter().find(|n| !seen.insert(*n)) {
                let text = format!("column name \"{twice}\" appears more than once in USING clause");
                return Err(PlanError::new("42701", text));
            }
            let (expr, mut scope) = join_using(qcx, left, right, &names, kind)?;
            if let Some(alias) = qcx.scx().extensions.using_alias(constraint) {
                // The alias names the merged columns.
                scope.tables.push(TableName::new(ident(alias)));
                let table = Some(scope.tables.len() - 1);
                let merged: Vec<ScopeItem> = scope.items[..names.len()]
                    .iter()
                    .map(|i| ScopeItem { table, plain: false, ..i.clone() })
                    .collect();
                scope.items.extend(merged);
            }
            Ok((expr, scope))
        }
        JoinConstraint::Natural => {
            let plain =
                |s: &Scope| s.items.iter().filter(|i| i.plain).map(|i| i.name.clone()).collect::<Vec<_>>();
            let (l, r) = (plain(&left.1), plain(&right.1));
            let mut names: Vec<String> = l.into_iter().filter(|n| r.contains(n)).collect();
            let mut seen = std::collections::BTreeSet::new();
            names.retain(|n| seen.insert(n.clone()));
            join_using(qcx, left, right, &names, kind)
        }
    }
}

fn nullable_sides(mut scope: Scope, left: usize, kind: JoinKind) -> Scope {
    let (l, r) = scope.types.split_at_mut(left);
    if matches!(kind, JoinKind::RightOuter | JoinKind::FullOuter) {
        l.iter_mut().for_each(|t| t.nullable = true);
    }
    if matches!(kind, JoinKind::LeftOuter | JoinKind::FullOuter) {
        r.iter_mut().for_each(|t| t.nullable = true);
    }
    scope
}

/// The one plain column of that name on a side of USING.
fn using_column(scope: &Scope, name: &str, side: &str) -> Result<usize, PlanError> {
    let mut found = scope.items.iter().filter(|i| i.plain && i.name == name);
    match (found.next(), found.next()) {
        (Some(i), None) => Ok(i.column),
        (Some(_), Some(_)) => {
            let text = format!("common column name \"{name}\" appears more than once in {side} table");
            Err(PlanError::new("42702", text))
        }
        (None, _) => {
            let text = format!("column \"{name}\" specified in USING clause does not exist in {side} table");
            Err(PlanError::new("42703", text))
        }
    }
}

/// JOIN USING and NATURAL JOIN: equal columns are merged and come first (manual 7.2.1.1).
fn join_using(
    qcx: &Qcx<'_>,
    left: Named,
    right: Named,
    names: &[String],
    kind: JoinKind,
) -> Result<Named, PlanError> {
    let width = left.1.types.len();
    let mut pairs = vec![];
    for name in names {
        let pair = (using_column(&left.1, name, "left")?, width + using_column(&right.1, name, "right")?);
        pairs.push((name.clone(), pair));
    }
    let combined = left.1.beside(right.1);
    let column = |c: usize, s: &Scope| Typed::new(HirScalarExpr::column(c), s.types[c].scalar_type.clone());
    let mut conditions = vec![];
    let mut merged = vec![];
    {
        let frame = qcx.frame(&combined, "JOIN/USING");
        let ecx = Ecx { qcx, frame: &frame };
        for (_, (l, r)) in &pairs {
            let (l, r) = (column(*l, &combined), column(*r, &combined));
            let span = sqlparser::tokenizer::Span::empty();
            let typ = unify_types(&[l.typ.clone(), r.typ.clone()], "JOIN/USING")?;
            let args = vec![Planned::Typed(l.clone()), Planned::Typed(r.clone())];
            conditions.push(condition(&ecx, operator(&ecx, "=", args, span)?, "JOIN/USING")?);
            let cast = |t: Typed| Planned::Typed(t).cast(&ecx, &typ, CastContext::Implicit);
            merged.push(match kind {
                JoinKind::Inner | JoinKind::LeftOuter => cast(l)?,
                JoinKind::RightOuter => cast(r)?,
                JoinKind::FullOuter => {
                    let both = vec![cast(l)?.expr, cast(r)?.expr];
                    Typed::new(HirScalarExpr::Coalesce(both), typ.clone())
                }
            });
        }
    }
    let on = match conditions.len() {
        0 => HirScalarExpr::literal_true(),
        _ => HirScalarExpr::And(conditions),
    };
    let mut expr = left.0.join(right.0, on, kind);
    let mut scope = nullable_sides(combined, width, kind);
    let gone: Vec<usize> = pairs.iter().flat_map(|(_, (l, r))| [*l, *r]).collect();
    for item in &mut scope.items {
        if gone.contains(&item.column) {
            item.plain = false;
        }
    }
    let mut first = vec![];
    for ((name, _), value) in pairs.into_iter().zip(merged) {
        let column = match value.expr {
            HirScalarExpr::Column(ColumnRef { level: 0, column }) => column,
            e => {
                expr = expr.map(vec![e]);
                scope.types.push(value.typ.nullable(true));
                scope.types.len() - 1
            }
        };
        first.push(ScopeItem { table: None, name, column, plain: true, system: false });
    }
    // Merged columns of an earlier join that are merged again must not be found under their old item.
    scope.items.retain(|i| i.table.is_some() || i.plain);
    scope.items.splice(0..0, first);
    Ok((expr, scope))
}

fn plan_factor(qcx: &Qcx<'_>, factor: &TableFactor) -> Result<Named, PlanError> {
    match factor {
        TableFactor::Table { args: None, alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::NestedJoin { alias, .. }
        | TableFactor::UNNEST { alias, .. } => without_types(alias.as_ref())?,
        _ => {}
    }
    match factor {
        TableFactor::Table { with_hints, version, partitions, json_path, sample, index_hints, .. }
            if !with_hints.is_empty()
                || version.is_some()
                || !partitions.is_empty()
                || json_path.is_some()
                || sample.is_some()
                || !index_hints.is_empty() =>
        {
            let what = if sample.is_some() { "TABLESAMPLE" } else { "this clause of a table in FROM" };
            Err(PlanError::unsupported(what))
        }
        TableFactor::Table { name, alias, args: None, with_ordinality, .. } => {
            if *with_ordinality {
                return Err(PlanError::syntax("WITH ORDINALITY is for functions"));
            }
            plan_table(qcx, name, alias.as_ref())
        }
        TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
            plan_function_factor(qcx, name, &args.args, *with_ordinality, alias.as_ref())
        }
        TableFactor::Function { name, args, with_ordinality, alias, .. } => {
            plan_function_factor(qcx, name, args, *with_ordinality, alias.as_ref())
        }
        TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => laterally(qcx, &mut |q| {
            let calls: Vec<FromCall<'_>> =
                array_exprs.iter().map(|e| unnest_call(Cow::Borrowed(e))).collect();
            plan_calls(q, &calls, *with_ordinality, alias.as_ref())
        }),
        TableFactor::Derived { lateral, subquery, alias, sample: None } => {
            plan_derived(qcx, *lateral, subquery, alias.as_ref())
        }
        TableFactor::NestedJoin { table_with_joins, alias } => {
            let (expr, scope) = qcx.shared.deeper(|| plan_table_with_joins(qcx, table_with_joins))?;
            match alias {
                None => Ok((expr, scope)),
                Some(alias) => Ok((expr, alias_join(scope, alias)?)),
            }
        }
        other => Err(PlanError::unsupported(format!("{other} in FROM"))),
    }
}

/// `(a JOIN b) AS j`: the join's columns under one name.
fn alias_join(scope: Scope, alias: &TableAlias) -> Result<Scope, PlanError> {
    let items = scope.items.iter().filter(|i| i.plain).map(|i| ScopeItem { table: Some(0), ..i.clone() });
    let named = Scope {
        items: items.collect(),
        tables: vec![TableName::new(ident(&alias.name))],
        types: scope.types.clone(),
    };
    rename_columns(named, alias)
}

/// That an alias does not declare types: that is for functions whose columns nothing else tells.
fn without_types(alias: Option<&TableAlias>) -> Result<(), PlanError> {
    let typed = alias.and_then(|a| a.columns.iter().find(|c| c.data_type.is_some()));
    match typed {
        None => Ok(()),
        Some(_) => {
            let text = "a column definition list is only allowed for functions returning \"record\"";
            Err(PlanError::syntax(text))
        }
    }
}

/// Applies an alias's column names to the first table.
fn rename_columns(mut scope: Scope, alias: &TableAlias) -> Result<Scope, PlanError> {
    if alias.columns.len() > scope.items.len() {
        let (name, has, given) = (ident(&alias.name), scope.items.len(), alias.columns.len());
        let text = format!("table \"{name}\" has {has} columns available but {given} columns specified");
        return Err(PlanError::new("42P10", text));
    }
    for (item, column) in scope.items.iter_mut().zip(&alias.columns) {
        item.name = ident(&column.name);
    }
    Ok(scope)
}

fn named_scope(desc: &RelationDesc, name: TableName, alias: Option<&TableAlias>) -> Result<Scope, PlanError> {
    match alias {
        None => Ok(Scope::of_table(Some(name), desc)),
        Some(alias) => {
            let name = name.aliased(ident(&alias.name));
            rename_columns(Scope::of_table(Some(name), desc), alias)
        }
    }
}

/// The system column that tells which relation a row is of.
const TABLEOID: &str = "tableoid";

fn plan_table(qcx: &Qcx<'_>, name: &ObjectName, alias: Option<&TableAlias>) -> Result<Named, PlanError> {
    let parts = name_parts(name)?;
    if let [cte_name] = &parts[..]
        && let Some(cte) = qcx.cte(cte_name)
    {
        let typ = RelationType::new(cte.types.clone());
        let desc = RelationDesc::new(typ.clone(), cte.names.clone());
        let scope = named_scope(&desc, TableName::new(cte_name), alias)?;
        return Ok((HirRelationExpr::Get { id: Id::Local(cte.id), typ }, scope));
    }
    let item = qcx.at(qcx.scx().resolve_item(&parts), name.span())?;
    let Some(desc) = item.desc() else {
        let text = format!("{} \"{}\" cannot be read", item.kind(), item.name.item);
        return qcx.at(Err(PlanError::new("42809", text)), name.span());
    };
    let qualifiers = item.name.database.iter().chain([&item.name.schema]).cloned().collect();
    let table = TableName { qualifiers, ..TableName::new(&item.name.item) };
    let mut scope = named_scope(desc, table, alias)?;
    let mut expr = HirRelationExpr::Get { id: Id::Global(item.id), typ: desc.typ().clone() };
    // A view has none, but those of the system stand for tables.
    let stored = item.id.is_system() || item.kind() != ItemKind::View;
    if qcx.scx().extensions.tableoid() && stored && !scope.items.iter().any(|i| i.name == TABLEOID) {
        let oid = HirScalarExpr::literal(hw_repr::Datum::UInt32(item.oid), ScalarType::Oid);
        expr = expr.map(vec![oid]);
        scope = scope.with_system_column(TABLEOID, ScalarType::Oid.nullable(false));
    }
    Ok((expr, scope))
}

fn plan_derived(
    qcx: &Qcx<'_>,
    lateral: bool,
    query: &Query,
    alias: Option<&TableAlias>,
) -> Result<Named, PlanError> {
    let plan = |q: &Qcx<'_>| {
        let inner = Qcx { shared: q.shared, outer: q.outer, ctes: q.ctes.clone(), from_depth: 0 };
        let rel = plan_nested(&inner, query)?;
        let types = inner.types_of(&rel.expr, &rel.types);
        let desc = RelationDesc::new(RelationType::new(types), rel.names);
        Ok((rel.expr, desc))
    };
    let (expr, desc) = if lateral { laterally(qcx, &mut |q| plan(q))? } else { plan(qcx)? };
    let scope = match alias {
        Some(_) => named_scope(&desc, TableName::new(""), alias)?,
        None => Scope::of_table(None, &desc),
    };
    Ok((expr, scope))
}

/// A function in FROM: its name, and its arguments with the names that are written before them.
type FromCall<'a> = (String, Vec<Option<String>>, Vec<Cow<'a, Expr>>);

fn unnest_call(array: Cow<'_, Expr>) -> FromCall<'_> {
    ("unnest".to_owned(), vec![None], vec![array])
}

/// A function in FROM; `ROWS FROM (f(…), g(…))` arrives as a function of that name over calls.
fn plan_function_factor(
    qcx: &Qcx<'_>,
    name: &ObjectName,
    args: &[FunctionArg],
    ordinality: bool,
    alias: Option<&TableAlias>,
) -> Result<Named, PlanError> {
    let name_text = function_name(name)?;
    let exprs = args
        .iter()
        .map(|a| arg_expr(a)?.ok_or_else(|| PlanError::syntax("syntax error at or near \"*\"")))
        .collect::<Result<Vec<_>, _>>()?;
    let names: Vec<Option<String>> = args.iter().map(arg_name).collect();
    let mut calls: Vec<FromCall<'_>> = vec![];
    if name_text == crate::parser::ROWS_FROM {
        for e in exprs {
            let Expr::Function(f) = &*e else {
                return Err(PlanError::syntax("ROWS FROM takes function calls"));
            };
            let call = super::function::call_parts(f)?;
            if f.over.is_some() || call.star || call.distinct || call.filter.is_some() {
                return Err(PlanError::syntax("ROWS FROM takes function calls"));
            }
            let args = call.args.into_iter().map(|a| Cow::Owned(a.into_owned())).collect();
            calls.push((call.name, call.names, args));
        }
    } else if name_text == "unnest" && exprs.len() > 1 {
        calls.extend(exprs.into_iter().map(unnest_call));
    } else {
        calls.push((name_text, names, exprs));
    }
    if calls.is_empty() {
        return Err(PlanError::syntax("ROWS FROM takes function calls"));
    }
    let plan = || qcx.at(laterally(qcx, &mut |q| plan_calls(q, &calls, ordinality, alias)), name.span());
    qcx.shared.deeper_by(calls.len(), plan)
}

/// Functions in FROM side by side, the shorter ones filled up with NULLs.
fn plan_calls(
    qcx: &Qcx<'_>,
    calls: &[FromCall<'_>],
    ordinality: bool,
    alias: Option<&TableAlias>,
) -> Result<Named, PlanError> {
    let empty = Scope::default();
    let frame = qcx.frame(&empty, "functions in FROM");
    let ecx = Ecx { qcx, frame: &frame };
    if !matches!(calls, [(name, ..)] if name.starts_with("json")) {
        without_types(alias)?;
    }
    let mut parts = vec![];
    let mut desc = RelationDesc::empty();
    for (name, names, args) in calls {
        let args = args.iter().map(|a| plan_expr(&ecx, a)).collect::<Result<Vec<_>, _>>()?;
        let args = in_order(name, names, args)?;
        let part = match plan_declared(&ecx, name, args, alias.filter(|_| calls.len() == 1))? {
            Ok(part) => part,
            Err(args) => plan_call(&ecx, name, args)?,
        };
        let columns = part.desc();
        for (column, typ) in columns.iter() {
            // A function of one unnamed column gives it the alias.
            let own = columns.arity() == 1 && (column == name || column.is_empty() || column == "?column?");
            let column = match alias {
                Some(a) if own && calls.len() == 1 => ident(&a.name),
                _ if own => name.clone(),
                _ => column.clone(),
            };
            desc = desc.with_column(column, typ.clone());
        }
        parts.push(part);
    }
    // An alias of a function hides no relation.
    let table = TableName::new(if alias.is_some() { "" } else { calls[0].0.as_str() });
    let expr = rows_from(parts, ordinality);
    if ordinality {
        desc = desc.with_column("ordinality", ScalarType::Int64.nullable(false));
    }
    if calls.len() > 1 {
        let types = desc.typ().column_types.iter().map(|t| t.scalar_type.clone().nullable(true)).collect();
        desc = RelationDesc::new(RelationType::new(types), desc.names().to_vec());
    }
    Ok((expr, named_scope(&desc, table, alias)?))
}

/// A function that gives rows.
pub(super) enum RowsOf {
    /// A table function.
    Table(TableFunc, Vec<HirScalarExpr>),
    /// A scalar function's one row.
    Scalar(Typed),
}

impl RowsOf {
    fn desc(&self) -> RelationDesc {
        match self {
            RowsOf::Table(f, _) => f.desc(),
            RowsOf::Scalar(t) => RelationDesc::empty().with_column("", t.typ.clone().nullable(true)),
        }
    }

    /// The rows, with a last column that numbers them if asked for.
    fn rows(self, ordinality: bool) -> HirRelationExpr {
        match self {
            RowsOf::Table(f, exprs) => {
                let func = if ordinality { f.with_ordinality() } else { f };
                HirRelationExpr::CallTable { func, exprs }
            }
            RowsOf::Scalar(t) => {
                let mut scalars = vec![t.expr];
                if ordinality {
                    scalars.push(HirScalarExpr::literal(hw_repr::Datum::Int64(1), ScalarType::Int64));
                }
                HirRelationExpr::unit().map(scalars)
            }
        }
    }
}

fn plan_call(ecx: &Ecx<'_>, name: &str, args: Vec<Planned>) -> Result<RowsOf, PlanError> {
    if registry().tables.contains_key(name) {
        let (func, exprs) = choose_table_function(ecx, name, args)?;
        return Ok(RowsOf::Table(func, exprs));
    }
    if registry().aggregates.contains_key(name) {
        return Err(PlanError::new("42803", "aggregate functions are not allowed in functions in FROM"));
    }
    if is_window_function(name) {
        let text = format!("window function {name} requires an OVER clause");
        return Err(PlanError::new("42809", text));
    }
    let span = sqlparser::tokenizer::Span::empty();
    Ok(RowsOf::Scalar(super::function::call_named(ecx, name, args, span)?.resolve(ecx)?))
}

/// Rows side by side by their number.
pub(super) fn rows_from(parts: Vec<RowsOf>, ordinality: bool) -> HirRelationExpr {
    let single = parts.len() == 1;
    let widths: Vec<usize> = parts.iter().map(|p| p.desc().arity()).collect();
    let mut parts = parts.into_iter().map(|p| p.rows(!single || ordinality));
    let Some(mut acc) = parts.next() else { return HirRelationExpr::unit() };
    if single {
        return acc;
    }
    let mut width = widths[0];
    for (part, more) in parts.zip(&widths[1..]) {
        // acc: columns, number; part: columns, number.
        let (l, r) = (HirScalarExpr::column(width), HirScalarExpr::column(width + 1 + more));
        let on = equal_numbers(l.clone(), r.clone());
        let number = HirScalarExpr::Coalesce(vec![l, r]);
        let joined = acc.join(part.shifted(1), on, JoinKind::FullOuter).map(vec![number]);
        let mut outputs: Vec<usize> = (0..width).collect();
        outputs.extend(width + 1..width + 1 + more);
        outputs.push(width + more + 2);
        acc = joined.project(outputs);
        width += more;
    }
    if ordinality { acc } else { acc.project((0..width).collect()) }
}

fn equal_numbers(l: HirScalarExpr, r: HirScalarExpr) -> HirScalarExpr {
    let defs = registry().operators.get("=").map(Vec::as_slice).unwrap_or_default();
    let int8 = || ScalarType::Int64;
    let def = defs.iter().find(|d| {
        super::resolve::Signature { params: &d.params, variadic: None }
            .bind(&[Some(int8()), Some(int8())])
            .is_some()
    });
    match def {
        Some(def) => HirScalarExpr::call(hw_expr::Func::new(def, vec![int8(), int8()]), vec![l, r]),
        None => HirScalarExpr::literal_false(),
    }
}
