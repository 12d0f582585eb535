//! SELECT: from its clauses to operators.
//!
//! All expressions are planned over the columns of FROM. Aggregates, window functions and table functions that they
//! contain are gathered in a [`Collector`], and columns far beyond any real one stand for their values. When all is
//! known, the operators are stacked (reduce, windows, table functions) and a [`Rewriter`] brings the expressions to the columns of
//! the last one: grouping expressions and placeholders become columns, and a column that is neither grouped nor aggregated is
//! an error, as in PostgreSQL.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use hw_expr::func::CastContext;
use hw_expr::hir::{ColumnRef, HirAggregateExpr, JoinKind, WindowExpr};
use hw_expr::{HirRelationExpr, HirScalarExpr, TableFunc};
use hw_repr::{ColumnOrder, RelationDesc, ScalarType};
use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, GroupByWithModifier, NamedWindowExpr, OrderByExpr, Select, SelectItem,
    SelectItemQualifiedWildcardKind, Spanned, WildcardAdditionalOptions, WindowSpec,
};
use sqlparser::tokenizer::Span;

use super::aggregate::order_of;
use super::coerce::{Planned, Typed};
use super::context::{Ecx, Qcx, check_columns, ident, name_parts};
use super::from::{RowsOf, plan_from, rows_from};
use super::grouping::{Grouped, grouping_sets, reduce_sets, resolve_groupings};
use super::names::output_name;
use super::query::{Parts, Unknown, ordinal, settle_as_text};
use super::rewrite::{AGGREGATES, GROUPINGS, Rewriter, TABLES, WINDOWS};
use super::scalar::{plan_condition, plan_expr, plan_typed};
use super::scope::{Frame, Resolved, Scope};
use super::types::check_comparable;
use super::window::check_named_windows;
use crate::error::PlanError;

/// The clause of grouping expressions, in which table functions may stand and aggregates may not.
pub(super) const GROUP_BY: &str = "GROUP BY";

/// A table function, its arguments, and the first of the columns that stand for its own.
type TableCall = (TableFunc, Vec<HirScalarExpr>, usize);

/// What the expressions of one query level contain.
#[derive(Default)]
pub(super) struct Collector {
    aggregates: Vec<HirAggregateExpr>,
    groupings: Vec<(Vec<HirScalarExpr>, Span)>,
    direct: Vec<HirScalarExpr>,
    windows: Vec<WindowExpr>,
    tables: Vec<TableCall>,
    table_columns: usize,
    /// The WINDOW clause.
    pub(super) named_windows: BTreeMap<String, WindowSpec>,
}

fn position_or_push<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|x| *x == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

impl Collector {
    /// The column that stands for an aggregate.
    pub(super) fn add_aggregate(&mut self, e: HirAggregateExpr) -> usize {
        AGGREGATES + position_or_push(&mut self.aggregates, e)
    }

    /// Notes a direct argument of an ordered-set aggregate, which may name grouped columns only.
    pub(super) fn add_direct(&mut self, e: HirScalarExpr) {
        self.direct.push(e);
    }

    /// The column that stands for a GROUPING.
    pub(super) fn add_grouping(&mut self, args: Vec<HirScalarExpr>, span: Span) -> usize {
        self.groupings.push((args, span));
        GROUPINGS + self.groupings.len() - 1
    }

    /// The column that stands for a window function's value.
    pub(super) fn add_window(&mut self, e: WindowExpr) -> usize {
        WINDOWS + position_or_push(&mut self.windows, e)
    }

    /// How many table functions there are.
    pub(super) fn table_functions(&self) -> usize {
        self.tables.len()
    }

    /// The expression over earlier table functions in place of those from the `mark`th on, if those are the same.
    fn over_earlier_tables(&self, mark: usize, e: &HirScalarExpr) -> Option<HirScalarExpr> {
        let mut columns = BTreeMap::new();
        let moved = |e: &HirScalarExpr, columns: &BTreeMap<usize, usize>| {
            let mut e = e.clone();
            e.map_columns(&|c| columns.get(&c).copied().unwrap_or(c));
            e
        };
        let (earlier, own) = self.tables.split_at(mark);
        for (func, args, first) in own {
            let args: Vec<_> = args.iter().map(|a| moved(a, &columns)).collect();
            let (_, _, same) = earlier.iter().find(|t| t.0 == *func && t.1 == args)?;
            columns.extend((0..func.desc().arity()).map(|i| (TABLES + first + i, TABLES + same + i)));
        }
        Some(moved(e, &columns))
    }

    /// Forgets the table functions from the `mark`th on.
    fn forget_tables(&mut self, mark: usize) {
        if let Some((_, _, first)) = self.tables.get(mark) {
            self.table_columns = *first;
        }
        self.tables.truncate(mark);
    }

    /// The first of the columns that stand for a table function's.
    pub(super) fn add_table_function(
        &mut self,
        func: TableFunc,
        args: Vec<HirScalarExpr>,
        desc: &RelationDesc,
    ) -> usize {
        let first = self.table_columns;
        self.table_columns += desc.arity();
        self.tables.push((func, args, first));
        TABLES + first
    }
}

/// One column of the select list.
struct Output<'s> {
    name: String,
    value: Typed,
    unknown: Unknown,
    ast: Option<&'s Expr>,
}

/// Plans a SELECT with the ORDER BY of its query.
pub(super) fn plan_select(
    qcx: &Qcx<'_>,
    select: &Select,
    order_by: &[OrderByExpr],
) -> Result<Parts, PlanError> {
    let wanted = qcx.shared.take_wanted();
    refuse(select)?;
    let (mut rel, scope) = plan_from(qcx, &select.from)?;
    let collector = RefCell::new(Collector::default());
    let frame = |clause| Frame { collector: Some(&collector), ..qcx.frame(&scope, clause) };
    let select_frame = frame("SELECT");
    let ecx = Ecx { qcx, frame: &select_frame };
    name_windows(qcx, &collector, select)?;
    let outputs = plan_items(&ecx, &scope, &select.projection, &wanted)?;
    check_named_windows(&ecx)?;
    if let Some(selection) = &select.selection {
        let frame = qcx.frame(&scope, "WHERE");
        let predicate = plan_condition(&Ecx { qcx, frame: &frame }, selection, "WHERE")?;
        rel = rel.filter(vec![predicate]);
    }

    let group_frame = frame(GROUP_BY);
    let Groups { keys, sets, constants } =
        plan_group_by(&Ecx { qcx, frame: &group_frame }, select, &outputs)?;
    let having_frame = frame("HAVING");
    let having = select.having.as_ref();
    let having =
        having.map(|h| plan_condition(&Ecx { qcx, frame: &having_frame }, h, "HAVING")).transpose()?;

    let order_frame = frame("ORDER BY");
    let order = plan_order(&Ecx { qcx, frame: &order_frame }, &outputs, order_by)?;
    let on_frame = frame("DISTINCT ON");
    let distinct_on = plan_distinct_on(&Ecx { qcx, frame: &on_frame }, select, &outputs)?;

    let hints = qcx.scx().extensions.hints(select);
    let collector = collector.take();
    let groupings = resolve_groupings(&ecx, &collector.groupings, &keys)?;
    let grouped = sets.is_some() || !collector.aggregates.is_empty() || having.is_some();
    let mut rewriter =
        Rewriter::new(&scope, grouped.then_some(&keys[..]), collector.aggregates.len(), groupings.len());
    for e in &collector.direct {
        let detail = "Direct arguments of an ordered-set aggregate must use only grouped columns.";
        rewrite(&ecx, &rewriter, e.clone(), None).map_err(|e| e.with_detail(detail))?;
    }
    let mut tables = collector.tables;
    if grouped {
        let sets = sets.unwrap_or_else(|| vec![vec![]]);
        let aggregates = collector.aggregates;
        let args = aggregates.iter().flat_map(|a| a.args.iter().chain(a.filter.as_deref()));
        let size = args.map(HirScalarExpr::size).sum::<usize>() + aggregates.len() + keys.len();
        qcx.shared.repeat(size, sets.len() - 1)?;
        // Table functions that are grouped by come before the grouping.
        let (before, after) = split_tables(&keys, std::mem::take(&mut tables));
        tables = after;
        let mut ungrouped = Rewriter::new(&scope, None, 0, 0);
        rel = add_tables(&ecx, rel, before, &mut ungrouped)?;
        let computed = keys.iter().map(|k| rewrite(&ecx, &ungrouped, k.clone(), None));
        let computed = computed.collect::<Result<Vec<_>, _>>()?;
        let parts = Grouped { keys: &computed, sets, aggregates, groupings, hint: hints.aggregate };
        rel = reduce_sets(qcx, rel, ungrouped.arity(), parts);
        if let Some(having) = having {
            rel = rel.filter(vec![rewrite(&ecx, &rewriter, having, select.having.as_ref())?]);
        }
    }
    rel = add_windows(&ecx, rel, collector.windows, &mut rewriter, select)?;
    rel = add_tables(&ecx, rel, tables, &mut rewriter)?;

    let mut stack = Stack { arity: rewriter.arity(), rel, scalars: vec![] };
    let mut project = vec![];
    for (i, o) in outputs.iter().enumerate() {
        let e = match constants.get(&i) {
            Some(key) => HirScalarExpr::column(*key),
            None => rewrite(&ecx, &rewriter, o.value.expr.clone(), o.ast)?,
        };
        project.push(stack.column(e));
    }
    let mut order_key = vec![];
    for (e, o, ast) in order {
        let column = match e {
            SortKey::Output(i) => project[i],
            SortKey::Expr(e) => stack.column(rewrite(&ecx, &rewriter, e, Some(ast))?),
        };
        order_key.push(ColumnOrder { column, ..o });
    }
    let mut on_key = vec![];
    for (e, ast) in distinct_on.iter().flatten() {
        on_key.push(match e {
            SortKey::Output(i) => project[*i],
            SortKey::Expr(e) => stack.column(rewrite(&ecx, &rewriter, e.clone(), Some(ast))?),
        });
    }
    let rel = stack.finish();
    let names = outputs.iter().map(|o| o.name.clone()).collect();
    let types: Vec<ScalarType> = outputs.iter().map(|o| o.value.typ.clone()).collect();
    let unknown = outputs.iter().map(|o| o.unknown).collect();
    let mut parts = Parts {
        expr: rel,
        names,
        types,
        unknown,
        project,
        order_by: order_key,
        limit: None,
        offset: None,
        limit_hint: hints.limit,
        scope,
    };
    match &select.distinct {
        None | Some(Distinct::All) => {}
        Some(Distinct::Distinct) => make_distinct(&mut parts)?,
        Some(Distinct::On(_)) => make_distinct_on(&mut parts, on_key, hints.distinct_on)?,
    }
    Ok(parts)
}

fn refuse(select: &Select) -> Result<(), PlanError> {
    let unsupported = [
        (select.top.is_some(), "TOP"),
        (select.into.is_some(), "SELECT INTO"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.prewhere.is_some(), "PREWHERE"),
        (
            !select.cluster_by.is_empty() || !select.distribute_by.is_empty() || !select.sort_by.is_empty(),
            "SORT BY",
        ),
        (select.qualify.is_some(), "QUALIFY"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (select.exclude.is_some(), "EXCLUDE"),
        (select.value_table_mode.is_some(), "SELECT AS"),
    ];
    match unsupported.iter().find(|(is, _)| *is) {
        Some((_, what)) => Err(PlanError::unsupported(what)),
        None => Ok(()),
    }
}

fn name_windows(qcx: &Qcx<'_>, collector: &RefCell<Collector>, select: &Select) -> Result<(), PlanError> {
    for def in &select.named_window {
        let name = ident(&def.0);
        let spec = match &def.1 {
            NamedWindowExpr::WindowSpec(spec) => spec.clone(),
            NamedWindowExpr::NamedWindow(base) => WindowSpec {
                window_name: Some(base.clone()),
                partition_by: vec![],
                order_by: vec![],
                window_frame: None,
            },
        };
        let mut c = collector.borrow_mut();
        // A window may take over one that stands before it; so no chain of them is endless.
        let base = spec.window_name.as_ref().and_then(|n| qcx.scx().extensions.window(n).0);
        if let Some(base) = base
            && !c.named_windows.contains_key(&ident(base))
        {
            let text = format!("window \"{}\" does not exist", ident(base));
            return qcx.at(Err(PlanError::new("42704", text)), base.span);
        }
        if c.named_windows.insert(name.clone(), spec).is_some() {
            return Err(PlanError::new("42P20", format!("window \"{name}\" is already defined")));
        }
    }
    Ok(())
}

fn plain_wildcard(o: &WildcardAdditionalOptions) -> Result<(), PlanError> {
    let plain = o.opt_ilike.is_none()
        && o.opt_exclude.is_none()
        && o.opt_except.is_none()
        && o.opt_replace.is_none()
        && o.opt_rename.is_none();
    if plain { Ok(()) } else { Err(PlanError::unsupported("an option of *")) }
}

fn plan_items<'s>(
    ecx: &Ecx<'_>,
    scope: &Scope,
    items: &'s [SelectItem],
    wanted: &[ScalarType],
) -> Result<Vec<Output<'s>>, PlanError> {
    let mut outputs: Vec<Output<'s>> = vec![];
    for item in items {
        let typ = wanted.get(outputs.len());
        match item {
            SelectItem::Wildcard(options) => {
                plain_wildcard(options)?;
                if scope.items.is_empty() && scope.types.is_empty() {
                    return Err(PlanError::syntax("SELECT * with no tables specified is not valid"));
                }
                outputs.extend(scope.items.iter().filter(|i| i.plain).map(|i| Output {
                    name: i.name.clone(),
                    value: Typed::new(HirScalarExpr::column(i.column), scope.item_type(i)),
                    unknown: Unknown::No,
                    ast: None,
                }));
            }
            SelectItem::QualifiedWildcard(kind, options) => {
                plain_wildcard(options)?;
                outputs.extend(plan_star(ecx, kind)?);
            }
            SelectItem::UnnamedExpr(Expr::Identifier(i)) if i.value == crate::parser::NO_COLUMN => {}
            SelectItem::UnnamedExpr(e) => match record_star(e) {
                Some(inner) => outputs.extend(expand_record(ecx, plan_typed(ecx, inner)?)?),
                None => outputs.push(output(ecx, output_name(ecx, e), e, typ)?),
            },
            SelectItem::ExprWithAlias { expr, alias } => outputs.push(output(ecx, ident(alias), expr, typ)?),
            SelectItem::ExprWithAliases { .. } => return Err(PlanError::unsupported("several aliases")),
        }
        check_columns(outputs.len())?;
    }
    Ok(outputs)
}

/// The record of `(record).*`, which the parser makes an access of a field of that name.
fn record_star(e: &Expr) -> Option<&Expr> {
    let Expr::CompoundFieldAccess { root, access_chain } = e else { return None };
    match &access_chain[..] {
        [sqlparser::ast::AccessExpr::Dot(Expr::Identifier(i))] if i.value == crate::parser::RECORD_STAR => {
            Some(root)
        }
        _ => None,
    }
}

fn expand_record<'s>(ecx: &Ecx<'_>, record: Typed) -> Result<Vec<Output<'s>>, PlanError> {
    let ScalarType::Record { fields, .. } = &record.typ else {
        let t = super::types::type_name(&record.typ);
        return Err(PlanError::new("42809", format!("type {t} is not composite")));
    };
    ecx.qcx.shared.repeat(record.expr.size(), fields.len())?;
    let field = |(i, (name, _)): (usize, &(String, hw_repr::ColumnType))| {
        let value = super::internal::record_get(record.clone(), i)?;
        Ok(Output { name: name.clone(), value, unknown: Unknown::No, ast: None })
    };
    fields.iter().enumerate().map(field).collect()
}

fn plan_star<'s>(
    ecx: &Ecx<'_>,
    kind: &SelectItemQualifiedWildcardKind,
) -> Result<Vec<Output<'s>>, PlanError> {
    match kind {
        SelectItemQualifiedWildcardKind::ObjectName(name) => {
            let parts = name_parts(name)?;
            match ecx.at(ecx.frame.table(&parts), name.span())? {
                Some(Resolved::Table(columns)) => {
                    let column = |(name, e, t)| Output {
                        name,
                        value: Typed::new(e, t),
                        unknown: Unknown::No,
                        ast: None,
                    };
                    Ok(columns.into_iter().map(column).collect())
                }
                _ => ecx.at(Err(ecx.frame.missing_table(&parts)), name.span()),
            }
        }
        SelectItemQualifiedWildcardKind::Expr(e) => expand_record(ecx, plan_typed(ecx, e)?),
    }
}

fn output<'s>(
    ecx: &Ecx<'_>,
    name: String,
    e: &'s Expr,
    wanted: Option<&ScalarType>,
) -> Result<Output<'s>, PlanError> {
    let planned = plan_expr(ecx, e)?;
    if let (Some(typ), None) = (wanted, planned.typ()) {
        let value = planned.cast(ecx, typ, CastContext::Assignment)?;
        return Ok(Output { name, value, unknown: Unknown::No, ast: Some(e) });
    }
    let unknown = Unknown::of(&planned);
    // The type of a parameter may be found by what follows.
    let value = match planned {
        Planned::Param(n, _) => {
            Typed::new(HirScalarExpr::Parameter(n, ScalarType::String), ScalarType::String)
        }
        other => other.resolve(ecx)?,
    };
    Ok(Output { name, value, unknown, ast: Some(e) })
}

/// What is grouped by.
#[derive(Default)]
struct Groups {
    /// The grouping expressions.
    keys: Vec<HirScalarExpr>,
    /// The sets of them, `None` without GROUP BY.
    sets: Option<Vec<Vec<usize>>>,
    /// Outputs that are constants and grouped by, with their keys: elsewhere a constant stays what it is.
    constants: BTreeMap<usize, usize>,
}

fn plan_group_by(ecx: &Ecx<'_>, select: &Select, outputs: &[Output<'_>]) -> Result<Groups, PlanError> {
    let (exprs, modifiers) = match &select.group_by {
        GroupByExpr::Expressions(e, m) => (e, m),
        GroupByExpr::All(_) => return Err(PlanError::unsupported("GROUP BY ALL")),
    };
    if modifiers.iter().any(|m| !matches!(m, GroupByWithModifier::GroupingSets(_))) || !modifiers.is_empty() {
        return Err(PlanError::unsupported("GROUP BY … WITH"));
    }
    let mut groups = Groups::default();
    if exprs.is_empty() {
        return Ok(groups);
    }
    check_columns(exprs.len())?;
    let distinct = ecx.scx().extensions.distinct_sets(select);
    let sets = grouping_sets(exprs, distinct, &mut |e| {
        let (key, chosen) = group_key(ecx, e, outputs)?;
        let same = || outputs.iter().position(|o| o.value.expr == key);
        let constant = if matches!(key, HirScalarExpr::Literal(..)) { chosen.or_else(same) } else { None };
        let position = position_or_push(&mut groups.keys, key);
        groups.constants.extend(constant.map(|output| (output, position)));
        Ok(position)
    })?;
    groups.sets = Some(sets);
    Ok(groups)
}

/// One grouping expression: a column of FROM, else an output's name, or its position, or any expression; and the output.
fn group_key(
    ecx: &Ecx<'_>,
    e: &Expr,
    outputs: &[Output<'_>],
) -> Result<(HirScalarExpr, Option<usize>), PlanError> {
    let chosen = match e {
        Expr::Identifier(i) if matches!(ecx.frame.scope.has_column(&ident(i)), Ok(false)) => {
            let mut named = outputs.iter().enumerate().filter(|(_, o)| o.name == ident(i));
            match (named.next(), named.next()) {
                (Some((_, a)), Some((_, b))) if a.value.expr != b.value.expr => {
                    let text = format!("GROUP BY \"{}\" is ambiguous", ident(i));
                    return Err(ecx.error_at(PlanError::new("42702", text), e));
                }
                (first, _) => first.map(|(i, _)| i),
            }
        }
        _ => ecx.at(ordinal(e, "GROUP BY", outputs.len()), e.span())?,
    };
    let key = match chosen {
        None => plan_key(ecx, e, outputs)?,
        Some(i) => outputs[i].value.clone(),
    };
    ecx.at(check_comparable(&key.typ, "equality"), e.span())?;
    let key = key.expr;
    let mut misplaced = None;
    key.visit_pre(0, &mut |depth, e| {
        if let HirScalarExpr::Column(c) = e
            && c.level == depth
            && c.column >= AGGREGATES
        {
            misplaced = Some(match c.column {
                AGGREGATES..GROUPINGS => ("42803", "aggregate functions are not allowed in GROUP BY"),
                GROUPINGS..WINDOWS => ("42803", "grouping operations are not allowed in GROUP BY"),
                WINDOWS..TABLES => ("42P20", "window functions are not allowed in GROUP BY"),
                _ => return,
            });
        }
    });
    match misplaced {
        Some((sqlstate, text)) => Err(ecx.error_at(PlanError::new(sqlstate, text), e)),
        None => Ok((key, chosen)),
    }
}

/// An expression of GROUP BY, ORDER BY or DISTINCT ON; if it is that of an output, over the same table functions.
fn plan_key(ecx: &Ecx<'_>, e: &Expr, outputs: &[Output<'_>]) -> Result<Typed, PlanError> {
    let mark = ecx.frame.table_functions();
    let key = plan_typed(ecx, e)?;
    let Some(collector) = ecx.frame.collector.filter(|c| c.borrow().table_functions() > mark) else {
        return Ok(key);
    };
    let mut collector = collector.borrow_mut();
    match collector.over_earlier_tables(mark, &key.expr) {
        Some(same) if outputs.iter().any(|o| o.value.expr == same) => {
            collector.forget_tables(mark);
            Ok(Typed::new(same, key.typ))
        }
        _ => Ok(key),
    }
}

/// What is sorted by.
enum SortKey {
    /// A column of the select list.
    Output(usize),
    /// An expression.
    Expr(HirScalarExpr),
}

/// An item of ORDER BY or DISTINCT ON: an output's name or position, else an expression over FROM.
fn sort_key(ecx: &Ecx<'_>, e: &Expr, clause: &str, outputs: &[Output<'_>]) -> Result<SortKey, PlanError> {
    if let Expr::Identifier(i) = e {
        let mut named = outputs.iter().enumerate().filter(|(_, o)| o.name == ident(i));
        if let Some((first, o)) = named.next() {
            if named.any(|(_, other)| other.value.expr != o.value.expr) {
                let text = format!("{clause} \"{}\" is ambiguous", ident(i));
                return Err(ecx.error_at(PlanError::new("42702", text), e));
            }
            ecx.at(check_comparable(&o.value.typ, "ordering"), e.span())?;
            return Ok(SortKey::Output(first));
        }
    }
    if let Some(i) = ecx.at(ordinal(e, clause, outputs.len()), e.span())? {
        ecx.at(check_comparable(&outputs[i].value.typ, "ordering"), e.span())?;
        return Ok(SortKey::Output(i));
    }
    let key = plan_key(ecx, e, outputs)?;
    ecx.at(check_comparable(&key.typ, "ordering"), e.span())?;
    let key = key.expr;
    Ok(match outputs.iter().position(|o| o.value.expr == key) {
        Some(i) => SortKey::Output(i),
        None => SortKey::Expr(key),
    })
}

fn plan_order<'o>(
    ecx: &Ecx<'_>,
    outputs: &[Output<'_>],
    order_by: &'o [OrderByExpr],
) -> Result<Vec<(SortKey, ColumnOrder, &'o Expr)>, PlanError> {
    check_columns(order_by.len())?;
    let item =
        |o: &'o OrderByExpr| Ok((sort_key(ecx, &o.expr, "ORDER BY", outputs)?, order_of(o, 0)?, &o.expr));
    order_by.iter().map(item).collect()
}

type OnKeys<'o> = Option<Vec<(SortKey, &'o Expr)>>;

fn plan_distinct_on<'o>(
    ecx: &Ecx<'_>,
    select: &'o Select,
    outputs: &[Output<'_>],
) -> Result<OnKeys<'o>, PlanError> {
    let Some(Distinct::On(exprs)) = &select.distinct else { return Ok(None) };
    if exprs.is_empty() {
        return Err(PlanError::syntax("syntax error at or near \")\""));
    }
    let item = |e: &'o Expr| Ok((sort_key(ecx, e, "DISTINCT ON", outputs)?, e));
    Ok(Some(exprs.iter().map(item).collect::<Result<_, PlanError>>()?))
}

fn rewrite(
    ecx: &Ecx<'_>,
    rewriter: &Rewriter<'_>,
    e: HirScalarExpr,
    ast: Option<&Expr>,
) -> Result<HirScalarExpr, PlanError> {
    rewriter.rewrite(e).map_err(|u| u.into_error(ecx, ast))
}

/// Appends the window functions.
fn add_windows(
    ecx: &Ecx<'_>,
    rel: HirRelationExpr,
    windows: Vec<WindowExpr>,
    rewriter: &mut Rewriter<'_>,
    select: &Select,
) -> Result<HirRelationExpr, PlanError> {
    let mut scalars = vec![];
    let _ = select;
    for w in windows {
        let mut e = HirScalarExpr::Windowing(w);
        for child in e.children_mut() {
            let old = std::mem::replace(child, HirScalarExpr::literal_true());
            *child = rewrite(ecx, rewriter, old, None)?;
        }
        scalars.push(e);
    }
    rewriter.windows_at(scalars.len());
    Ok(rel.map(scalars))
}

/// The table functions that expressions are over, directly or through others' arguments, and the rest.
fn split_tables(exprs: &[HirScalarExpr], tables: Vec<TableCall>) -> (Vec<TableCall>, Vec<TableCall>) {
    let mut used = BTreeSet::new();
    let note = |e: &HirScalarExpr, used: &mut BTreeSet<usize>| {
        e.visit_free(&mut |c| {
            if c.level == 0 && c.column >= TABLES {
                used.insert(c.column - TABLES);
            }
        });
    };
    exprs.iter().for_each(|e| note(e, &mut used));
    let is_used =
        |t: &TableCall, used: &BTreeSet<usize>| used.range(t.2..t.2 + t.0.desc().arity()).next().is_some();
    // Those in arguments come before.
    for t in tables.iter().rev() {
        if is_used(t, &used) {
            t.1.iter().for_each(|e| note(e, &mut used));
        }
    }
    tables.into_iter().partition(|t| is_used(t, &used))
}

/// Joins in the rows of table functions of the select list: those whose arguments are ready side by side, then those over them.
fn add_tables(
    ecx: &Ecx<'_>,
    mut rel: HirRelationExpr,
    tables: Vec<TableCall>,
    rewriter: &mut Rewriter<'_>,
) -> Result<HirRelationExpr, PlanError> {
    let mut waiting = tables;
    while !waiting.is_empty() {
        let is_ready = |t: &TableCall| t.1.iter().all(|e| rewriter.tables_known(e));
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        if ready.is_empty() {
            return Err(PlanError::new("XX000", "table functions depend on each other"));
        }
        let mut parts = vec![];
        let mut columns = vec![];
        for (func, args, first) in ready {
            let args = args.into_iter().map(|e| Ok(rewrite(ecx, rewriter, e, None)?.shifted(1)));
            let args = args.collect::<Result<Vec<_>, PlanError>>()?;
            columns.extend((0..func.desc().arity()).map(|i| first + i));
            parts.push(RowsOf::Table(func, args));
        }
        rel = rel.join(rows_from(parts, false), HirScalarExpr::literal_true(), JoinKind::Inner);
        rewriter.tables_at(&columns);
        waiting = rest;
    }
    Ok(rel)
}

/// Columns appended to a relation; what is there already is not appended again.
struct Stack {
    rel: HirRelationExpr,
    arity: usize,
    scalars: Vec<HirScalarExpr>,
}

impl Stack {
    fn column(&mut self, e: HirScalarExpr) -> usize {
        match e {
            HirScalarExpr::Column(ColumnRef { level: 0, column }) => column,
            // Each has a value of its own.
            e if e.contains_volatile() => {
                self.scalars.push(e);
                self.arity + self.scalars.len() - 1
            }
            e => self.arity + position_or_push(&mut self.scalars, e),
        }
    }

    fn finish(self) -> HirRelationExpr {
        self.rel.map(self.scalars)
    }
}

/// SELECT DISTINCT: what is sorted by must be selected.
fn make_distinct(parts: &mut Parts) -> Result<(), PlanError> {
    parts.types.iter().try_for_each(|t| check_comparable(t, "equality"))?;
    for o in &mut parts.order_by {
        let Some(output) = parts.project.iter().position(|p| *p == o.column) else {
            let text = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
            return Err(PlanError::new("42P10", text));
        };
        o.column = output;
    }
    let expr = std::mem::replace(&mut parts.expr, HirRelationExpr::unit());
    parts.expr = expr.project(std::mem::take(&mut parts.project)).distinct();
    parts.project = (0..parts.types.len()).collect();
    Ok(())
}

/// SELECT DISTINCT ON: the first row of each group in the order.
fn make_distinct_on(parts: &mut Parts, keys: Vec<usize>, hint: Option<u64>) -> Result<(), PlanError> {
    let mut pending: Vec<usize> = keys.clone();
    for o in &parts.order_by {
        if pending.is_empty() {
            break;
        }
        if !keys.contains(&o.column) {
            let text = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
            return Err(PlanError::new("42P10", text));
        }
        pending.retain(|k| *k != o.column);
    }
    let expr = std::mem::replace(&mut parts.expr, HirRelationExpr::unit());
    parts.expr = HirRelationExpr::TopK {
        input: Box::new(expr),
        group_key: keys,
        order_key: parts.order_by.clone(),
        limit: Some(Box::new(HirScalarExpr::literal(hw_repr::Datum::Int64(1), ScalarType::Int64))),
        offset: None,
        expected_group_size: hint,
    };
    Ok(())
}

/// The values of a RETURNING clause.
pub(super) fn plan_returning_items(
    ecx: &Ecx<'_>,
    items: &[SelectItem],
) -> Result<Vec<(String, Typed)>, PlanError> {
    let mut outputs = plan_items(ecx, ecx.frame.scope, items, &[])?;
    for o in &mut outputs {
        settle_as_text(ecx.scx(), std::slice::from_mut(&mut o.unknown))?;
    }
    Ok(outputs.into_iter().map(|o| (o.name, o.value)).collect())
}
