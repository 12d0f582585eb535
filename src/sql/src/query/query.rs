//! WITH, set operations, VALUES, ORDER BY and LIMIT.

use std::rc::Rc;

use hw_expr::func::CastContext;
use hw_expr::hir::WindowExpr;
use hw_expr::window::{WindowFrame, WindowFunc};
use hw_expr::{HirRelationExpr, HirScalarExpr};
use hw_repr::{ColumnOrder, Datum, RelationType, Row, ScalarType};
use sqlparser::ast::{
    Cte as AstCte, Expr, LimitClause, Offset, OrderByExpr, OrderByKind, Query, SetExpr, SetOperator,
    SetQuantifier, Spanned, UnaryOperator, Value, ValueWithSpan, Values, With,
};
use sqlparser::tokenizer::Span;

use super::aggregate::order_of;
use super::coerce::{Planned, Typed, cast_typed, common_type, settle, unify_types};
use super::context::{Cte, Ecx, Qcx, check_columns, ident};
use super::fold::fold_literal;
use super::operator::operator;
use super::recursive;
use super::scalar::plan_expr;
use super::scope::Scope;
use super::select::plan_select;
use super::types::check_comparable;
use crate::context::StatementContext;
use crate::error::PlanError;

/// Whether a column has a type of its own; one that has none is text for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It has.
    No,
    /// It is a literal.
    Literal,
    /// It is a parameter, which stands there.
    Param(usize, Span),
}

impl Unknown {
    /// What is said of a value.
    pub(super) fn of(p: &Planned) -> Unknown {
        match p {
            Planned::Unknown(..) | Planned::Null => Unknown::Literal,
            Planned::Param(n, span) => Unknown::Param(*n, *span),
            Planned::Typed(_) | Planned::Row(_) => Unknown::No,
        }
    }
}

/// A planned relation.
pub(super) struct Rel {
    /// The rows.
    pub(super) expr: HirRelationExpr,
    /// The columns' names.
    pub(super) names: Vec<String>,
    /// The columns' types.
    pub(super) types: Vec<ScalarType>,
    /// Which columns have no type of their own.
    pub(super) unknown: Vec<Unknown>,
}

/// A query whose order and limit are still apart.
pub(super) struct Parts {
    /// The rows, with the columns that are only there to sort by.
    pub(super) expr: HirRelationExpr,
    /// The result's names.
    pub(super) names: Vec<String>,
    /// The result's types.
    pub(super) types: Vec<ScalarType>,
    /// Which of the result's columns have no type of their own.
    pub(super) unknown: Vec<Unknown>,
    /// Where the result's columns are in `expr`.
    pub(super) project: Vec<usize>,
    /// The order, over `expr`.
    pub(super) order_by: Vec<ColumnOrder>,
    /// LIMIT, as a top-k has it.
    pub(super) limit: Option<HirScalarExpr>,
    /// OFFSET, as a top-k has it.
    pub(super) offset: Option<HirScalarExpr>,
    /// How many rows LIMIT is expected to choose from, for each row of the scopes around the query.
    pub(super) limit_hint: Option<u64>,
    /// The columns of FROM, which LIMIT and OFFSET may not refer to.
    pub(super) scope: Scope,
}

impl From<Rel> for Parts {
    fn from(r: Rel) -> Parts {
        Parts {
            project: (0..r.types.len()).collect(),
            expr: r.expr,
            names: r.names,
            types: r.types,
            unknown: r.unknown,
            order_by: vec![],
            limit: None,
            offset: None,
            limit_hint: None,
            scope: Scope::default(),
        }
    }
}

impl Parts {
    /// The rows without their order.
    pub(super) fn into_rel(self) -> Rel {
        let arity = self.expr.arity();
        let limited = self.limit.is_some() || self.offset.is_some();
        let mut expr = self.expr;
        if limited {
            expr = top_k(expr, self.order_by, self.limit, self.offset, self.limit_hint);
        }
        if !self.project.iter().copied().eq(0..arity) {
            expr = expr.project(self.project);
        }
        Rel { expr, names: self.names, types: self.types, unknown: self.unknown }
    }
}

/// The first rows in an order.
pub(super) fn top_k(
    input: HirRelationExpr,
    order_key: Vec<ColumnOrder>,
    limit: Option<HirScalarExpr>,
    offset: Option<HirScalarExpr>,
    expected_group_size: Option<u64>,
) -> HirRelationExpr {
    HirRelationExpr::TopK {
        input: Box::new(input),
        group_key: vec![],
        order_key,
        limit: limit.map(Box::new),
        offset: offset.map(Box::new),
        expected_group_size,
    }
}

/// Plans a query that stands inside another.
pub(super) fn plan_nested(qcx: &Qcx<'_>, query: &Query) -> Result<Rel, PlanError> {
    Ok(plan_parts(qcx, query)?.into_rel())
}

/// Plans a query.
pub(super) fn plan_parts(qcx: &Qcx<'_>, query: &Query) -> Result<Parts, PlanError> {
    let bound = query.with.as_ref().map_or(0, |w| w.cte_tables.len());
    qcx.shared.deeper_by(1 + bound, || plan_parts_here(qcx, query))
}

fn plan_parts_here(qcx: &Qcx<'_>, query: &Query) -> Result<Parts, PlanError> {
    let wanted = qcx.shared.take_wanted();
    refuse(query)?;
    let mut qcx = qcx.clone();
    let mut bindings = vec![];
    if let Some(with) = &query.with {
        bindings = plan_with(&mut qcx, with)?;
    }
    if matches!(&*query.body, SetExpr::Select(_)) {
        qcx.shared.want(wanted);
    }
    let order_by: &[OrderByExpr] = match &query.order_by {
        None => &[],
        Some(o) => match &o.kind {
            OrderByKind::Expressions(e) => e,
            OrderByKind::All(_) => return Err(PlanError::unsupported("ORDER BY ALL")),
        },
    };
    let mut parts = plan_body(&qcx, &query.body, order_by)?;
    settle_as_text(qcx.scx(), &mut parts.unknown)?;
    let Limits { limit, offset, ties } = plan_limit(&qcx, query, &parts.scope)?;
    if ties {
        if parts.order_by.is_empty() {
            return Err(PlanError::syntax("WITH TIES cannot be specified without ORDER BY clause"));
        }
        parts = with_ties(&qcx, parts, limit, offset)?;
        return Ok(bind_all(parts, bindings));
    }
    let simple = |e: &Option<HirScalarExpr>| {
        e.as_ref().is_none_or(|e| matches!(e, HirScalarExpr::Literal(..) | HirScalarExpr::Parameter(..)))
    };
    if parts.limit.is_some() || parts.offset.is_some() {
        let rel = parts.into_rel();
        parts = rel.into();
    }
    if simple(&limit) && simple(&offset) {
        (parts.limit, parts.offset) = (limit, offset);
    } else {
        // It may refer to what is bound here.
        parts.expr = top_k(parts.expr, parts.order_by.clone(), limit, offset, parts.limit_hint);
    }
    Ok(bind_all(parts, bindings))
}

fn bind_all(mut parts: Parts, bindings: Vec<Binding>) -> Parts {
    for binding in bindings.into_iter().rev() {
        parts.expr = binding.around(parts.expr);
    }
    parts
}

/// FETCH FIRST … WITH TIES: the rows past the offset whose peers begin within the count.
fn with_ties(
    qcx: &Qcx<'_>,
    parts: Parts,
    limit: Option<HirScalarExpr>,
    offset: Option<HirScalarExpr>,
) -> Result<Parts, PlanError> {
    let Some(limit) = limit else {
        let text = "row count cannot be null in FETCH FIRST ... WITH TIES clause";
        return Err(PlanError::new("2201W", text));
    };
    let mut parts = match (&parts.limit, &parts.offset) {
        (None, None) => parts,
        _ => parts.into_rel().into(),
    };
    let order = parts.order_by.iter().enumerate();
    let order_by: Vec<_> = order
        .map(|(i, o)| (HirScalarExpr::column(o.column), ColumnOrder { column: i, ..o.clone() }))
        .collect();
    let numbered = |func| {
        HirScalarExpr::Windowing(WindowExpr {
            func,
            args: vec![],
            filter: None,
            partition_by: vec![],
            order_by: order_by.clone(),
            frame: WindowFrame::default(),
            frame_offsets: vec![],
            typ: ScalarType::Int64.nullable(false),
        })
    };
    let arity = parts.expr.arity();
    let scope = Scope::default();
    let frame = qcx.frame(&scope, "LIMIT");
    let ecx = Ecx { qcx, frame: &frame };
    let int8 = |e: HirScalarExpr| Planned::typed(e, ScalarType::Int64);
    let call = |symbol: &str, l: Planned, r: Planned| operator(&ecx, symbol, vec![l, r], Span::empty());
    let zero = || int8(HirScalarExpr::literal(Datum::Int64(0), ScalarType::Int64));
    let skipped = match offset {
        Some(o) => {
            let Typed { expr, .. } = zero().resolve(&ecx)?;
            int8(HirScalarExpr::Coalesce(vec![o, expr]))
        }
        None => zero(),
    };
    let begin = call("-", int8(HirScalarExpr::column(arity)), skipped.clone())?;
    let tests = [
        call("<=", begin, int8(limit.clone()))?,
        call(">", int8(HirScalarExpr::column(arity + 1)), skipped)?,
        call(">", int8(limit), zero())?,
    ];
    let predicates =
        tests.into_iter().map(|t| Ok(t.resolve(&ecx)?.expr)).collect::<Result<_, PlanError>>()?;
    let numbers = vec![numbered(WindowFunc::Rank), numbered(WindowFunc::RowNumber)];
    parts.expr = parts.expr.map(numbers).filter(predicates);
    Ok(parts)
}

fn refuse(query: &Query) -> Result<(), PlanError> {
    if !query.locks.is_empty() {
        return Err(PlanError::unsupported("FOR UPDATE and FOR SHARE"));
    }
    if query.for_clause.is_some()
        || query.settings.is_some()
        || query.format_clause.is_some()
        || !query.pipe_operators.is_empty()
    {
        return Err(PlanError::unsupported("this clause of a query"));
    }
    Ok(())
}

/// What a WITH clause binds.
pub(super) enum Binding {
    /// One common table expression.
    Let(String, hw_expr::LocalId, HirRelationExpr),
    /// Recursive ones.
    LetRec(
        Vec<(String, hw_expr::LocalId, HirRelationExpr, RelationType)>,
        Option<hw_expr::relation::LetRecLimit>,
    ),
}

impl Binding {
    fn around(self, body: HirRelationExpr) -> HirRelationExpr {
        let body = Box::new(body);
        match self {
            Binding::Let(name, id, value) => HirRelationExpr::Let { name, id, value: Box::new(value), body },
            Binding::LetRec(bindings, limit) => HirRelationExpr::LetRec { bindings, limit, body },
        }
    }
}

/// Plans a WITH clause and makes its names known.
fn plan_with(qcx: &mut Qcx<'_>, with: &With) -> Result<Vec<Binding>, PlanError> {
    let mut names = std::collections::BTreeSet::new();
    for cte in &with.cte_tables {
        let name = ident(&cte.alias.name);
        if !names.insert(name.clone()) {
            let text = format!("WITH query name \"{name}\" specified more than once");
            return qcx.at(Err(PlanError::new("42712", text)), cte.alias.name.span);
        }
    }
    if let Some(block) = recursive::block_of(qcx, with)? {
        return recursive::plan_mutually_recursive(qcx, with, block);
    }
    let mut bindings = vec![];
    let ordered =
        if with.recursive { recursive::in_order(qcx, with)? } else { with.cte_tables.iter().collect() };
    for cte in ordered {
        if with.recursive
            && let Some(binding) = recursive::plan_recursive(qcx, cte)?
        {
            bindings.push(binding);
            continue;
        }
        recursive::check_clauses(qcx, cte)?;
        let rel = plan_nested(qcx, &cte.query)?;
        let types = qcx.types_of(&rel.expr, &rel.types);
        let names = cte_names(cte, rel.names)?;
        let id = qcx.shared.local_id();
        let name = ident(&cte.alias.name);
        let earlier = qcx.ctes.take();
        qcx.ctes = Some(Rc::new(Cte { name: name.clone(), id, names, types, earlier }));
        bindings.push(Binding::Let(name, id, rel.expr));
    }
    Ok(bindings)
}

/// The column names of a common table expression: those written, then the query's.
pub(super) fn cte_names(cte: &AstCte, own: Vec<String>) -> Result<Vec<String>, PlanError> {
    if let Some(typ) = cte.alias.columns.iter().find_map(|c| c.data_type.as_ref()) {
        let text = format!("syntax error at or near \"{}\"", typ.to_string().to_lowercase());
        return Err(PlanError::syntax(text).with_hint("Columns have types in WITH MUTUALLY RECURSIVE only."));
    }
    let given: Vec<String> = cte.alias.columns.iter().map(|c| ident(&c.name)).collect();
    if given.len() > own.len() {
        let (name, has, n) = (ident(&cte.alias.name), own.len(), given.len());
        let text = format!("WITH query \"{name}\" has {has} columns available but {n} columns specified");
        return Err(PlanError::new("42P10", text));
    }
    let rest = own.into_iter().skip(given.len());
    Ok(given.iter().cloned().chain(rest).collect())
}

fn plan_body(qcx: &Qcx<'_>, body: &SetExpr, order_by: &[OrderByExpr]) -> Result<Parts, PlanError> {
    match body {
        SetExpr::Select(select) => plan_select(qcx, select, order_by),
        SetExpr::Query(q) if is_plain(q) => qcx.shared.deeper(|| plan_body(qcx, &q.body, order_by)),
        SetExpr::SetOperation { op, .. } => {
            let rel = plan_set_expr(qcx, body)?;
            let name = match op {
                SetOperator::Union => "UNION",
                SetOperator::Intersect => "INTERSECT",
                _ => "EXCEPT",
            };
            order_rel(qcx, rel, order_by, Some(name))
        }
        other => {
            let rel = plan_set_expr(qcx, other)?;
            order_rel(qcx, rel, order_by, None)
        }
    }
}

fn is_plain(q: &Query) -> bool {
    q.with.is_none() && q.order_by.is_none() && q.limit_clause.is_none() && q.fetch.is_none()
}

/// Plans a body without an order.
pub(super) fn plan_set_expr(qcx: &Qcx<'_>, body: &SetExpr) -> Result<Rel, PlanError> {
    qcx.shared.deeper(|| match body {
        SetExpr::Select(select) => Ok(plan_select(qcx, select, &[])?.into_rel()),
        SetExpr::Query(q) if is_plain(q) => plan_set_expr(qcx, &q.body),
        SetExpr::Query(q) => plan_nested(qcx, q),
        SetExpr::Values(v) => plan_values(qcx, v, None),
        SetExpr::Table(t) => {
            let name = t.table_name.iter().cloned().map(sqlparser::ast::Ident::new);
            let schema = t.schema_name.iter().cloned().map(sqlparser::ast::Ident::new);
            let parts: Vec<String> = schema.chain(name).map(|i| ident(&i)).collect();
            plan_table_command(qcx, &parts)
        }
        SetExpr::SetOperation { left, op, set_quantifier, right } => {
            let all = match set_quantifier {
                SetQuantifier::All => true,
                SetQuantifier::Distinct | SetQuantifier::None => false,
                other => return Err(PlanError::unsupported(format!("{op} {other}"))),
            };
            let (l, r) = (plan_set_expr(qcx, left)?, plan_set_expr(qcx, right)?);
            qcx.at(set_operation(qcx, l, r, *op, all), right.span())
        }
        _ => Err(PlanError::unsupported("a data-modifying statement in a query")),
    })
}

/// `TABLE name`.
fn plan_table_command(qcx: &Qcx<'_>, parts: &[String]) -> Result<Rel, PlanError> {
    use hw_expr::relation::Id;
    if let [name] = parts
        && let Some(cte) = qcx.cte(name)
    {
        let expr = HirRelationExpr::Get { id: Id::Local(cte.id), typ: RelationType::new(cte.types.clone()) };
        let types: Vec<_> = cte.types.iter().map(|t| t.scalar_type.clone()).collect();
        return Ok(Rel { expr, names: cte.names.clone(), unknown: vec![Unknown::No; types.len()], types });
    }
    let item = qcx.scx().resolve_item(parts)?;
    let desc = item.desc().ok_or_else(|| PlanError::unknown_relation(parts.join(".")))?;
    let types: Vec<_> = desc.typ().column_types.iter().map(|t| t.scalar_type.clone()).collect();
    let expr = HirRelationExpr::Get { id: Id::Global(item.id), typ: desc.typ().clone() };
    Ok(Rel { expr, names: desc.names().to_vec(), unknown: vec![Unknown::No; types.len()], types })
}

/// Says that a column that is a parameter has that type.
fn give_type(
    scx: &StatementContext<'_>,
    rel: &mut Rel,
    column: usize,
    to: &ScalarType,
) -> Result<(), PlanError> {
    let Unknown::Param(n, span) = rel.unknown[column] else { return Ok(()) };
    let typ = settle(scx, n, span, to)?;
    // All that it stands for so far has been planned with its type open.
    rel.expr.visit_scalars_mut(0, &mut |_, e| match e {
        HirScalarExpr::Parameter(m, t) if *m == n => *t = typ.clone(),
        _ => {}
    });
    rel.types[column] = typ;
    rel.unknown[column] = Unknown::No;
    Ok(())
}

/// Parameters whose type nothing says are text.
pub(super) fn settle_as_text(scx: &StatementContext<'_>, unknown: &mut [Unknown]) -> Result<(), PlanError> {
    for u in unknown {
        if let Unknown::Param(n, span) = *u {
            settle(scx, n, span, &ScalarType::String)?;
            *u = Unknown::No;
        }
    }
    Ok(())
}

/// Brings a relation's columns to these types.
pub(super) fn cast_rel(
    scx: &StatementContext<'_>,
    mut rel: Rel,
    types: &[ScalarType],
    context: CastContext,
) -> Result<HirRelationExpr, (usize, PlanError)> {
    let mut outputs = vec![];
    let mut scalars = vec![];
    let arity = rel.types.len();
    for (i, to) in types.iter().enumerate().take(arity) {
        give_type(scx, &mut rel, i, to).map_err(|e| (i, e))?;
    }
    for (i, (from, to)) in rel.types.iter().zip(types).enumerate() {
        // A literal of unknown type is read as the type that is wanted.
        let context = if rel.unknown[i] == Unknown::Literal { CastContext::Explicit } else { context };
        let cast = cast_typed(Typed::new(HirScalarExpr::column(i), from.clone()), to, context)
            .map_err(|e| (i, e))?;
        match cast.expr {
            HirScalarExpr::Column(_) => outputs.push(i),
            e => {
                outputs.push(arity + scalars.len());
                scalars.push(e);
            }
        }
    }
    if scalars.is_empty() {
        return Ok(rel.expr);
    }
    Ok(rel.expr.map(scalars).project(outputs))
}

/// UNION, INTERSECT and EXCEPT (manual 7.4), over the common types of the columns (manual 10.5).
fn set_operation(qcx: &Qcx<'_>, l: Rel, r: Rel, op: SetOperator, all: bool) -> Result<Rel, PlanError> {
    let name = match op {
        SetOperator::Union => "UNION",
        SetOperator::Intersect => "INTERSECT",
        SetOperator::Except | SetOperator::Minus => "EXCEPT",
    };
    if l.types.len() != r.types.len() {
        return Err(PlanError::syntax(format!("each {name} query must have the same number of columns")));
    }
    let mut types = vec![];
    let mut unknown = vec![];
    for i in 0..l.types.len() {
        let known = [&l, &r]
            .into_iter()
            .filter(|x| x.unknown[i] == Unknown::No)
            .map(|x| x.types[i].clone())
            .collect::<Vec<_>>();
        types.push(unify_types(&known, name)?);
        unknown.push(Unknown::No);
    }
    if !(op == SetOperator::Union && all) {
        types.iter().try_for_each(|t| check_comparable(t, "equality"))?;
    }
    let names = l.names.clone();
    let l = cast_rel(qcx.scx(), l, &types, CastContext::Implicit).map_err(|(_, e)| e)?;
    let r = cast_rel(qcx.scx(), r, &types, CastContext::Implicit).map_err(|(_, e)| e)?;
    let expr = match (op, all) {
        (SetOperator::Union, true) => flat_union(l, r),
        (SetOperator::Union, false) => flat_union(l, r).distinct(),
        (SetOperator::Intersect, all) => {
            let l = canonical(l, &types, all);
            let r = canonical(r, &types, all);
            // What is left of l when what is not in r is taken away.
            let id = qcx.shared.local_id();
            let typ = RelationType::new(qcx.types_of(&l, &types));
            let get = || HirRelationExpr::Get { id: hw_expr::Id::Local(id), typ: typ.clone() };
            let missing = get().union(r.negate()).threshold();
            HirRelationExpr::Let {
                name: "intersect".into(),
                id,
                value: Box::new(l),
                body: Box::new(get().union(missing.negate())),
            }
        }
        (_, all) => canonical(l, &types, all).union(canonical(r, &types, all).negate()).threshold(),
    };
    Ok(Rel { expr, names, types, unknown })
}

fn flat_union(l: HirRelationExpr, r: HirRelationExpr) -> HirRelationExpr {
    match l {
        HirRelationExpr::Union { mut inputs } => {
            inputs.push(r);
            HirRelationExpr::Union { inputs }
        }
        l => l.union(r),
    }
}

/// Makes equal values equal in bytes, and the rows distinct unless `all`.
fn canonical(expr: HirRelationExpr, types: &[ScalarType], all: bool) -> HirRelationExpr {
    if !all {
        return expr.distinct();
    }
    let (mut outputs, mut scalars) = (vec![], vec![]);
    for (i, t) in types.iter().enumerate() {
        let key = hw_expr::Func::by_key(hw_expr::scalar::CANONICAL_KEY, vec![t.clone()]);
        match key {
            Some(func) if !hw_expr::scalar::is_canonical(t) => {
                outputs.push(types.len() + scalars.len());
                scalars.push(HirScalarExpr::call(func, vec![HirScalarExpr::column(i)]));
            }
            _ => outputs.push(i),
        }
    }
    if scalars.is_empty() { expr } else { expr.map(scalars).project(outputs) }
}

/// VALUES; `wanted` are the types of the columns that an INSERT fills, in which a row may say DEFAULT.
pub(super) fn plan_values(
    qcx: &Qcx<'_>,
    values: &Values,
    wanted: Option<&dyn Fn(&Ecx<'_>, usize, &Expr) -> Result<Typed, PlanError>>,
) -> Result<Rel, PlanError> {
    let scope = Scope::default();
    let frame = qcx.frame(&scope, "VALUES");
    let ecx = Ecx { qcx, frame: &frame };
    if values.explicit_row || values.value_keyword {
        return Err(PlanError::syntax("syntax error at or near \"row\""));
    }
    let width = values.rows.first().map_or(0, |r| r.content.len());
    check_columns(width)?;
    let mut columns: Vec<Vec<HirScalarExpr>> = vec![vec![]; width];
    let mut types = vec![ScalarType::String; width];
    for row in &values.rows {
        if row.content.len() != width {
            return Err(PlanError::syntax("VALUES lists must all be the same length"));
        }
    }
    for c in 0..width {
        let exprs = values.rows.iter().map(|r| &r.content[c]);
        match wanted {
            Some(wanted) => {
                for e in exprs {
                    let t = wanted(&ecx, c, e)?;
                    types[c] = t.typ;
                    columns[c].push(t.expr);
                }
            }
            None => {
                let planned = exprs.map(|e| plan_expr(&ecx, e)).collect::<Result<Vec<_>, _>>()?;
                types[c] = common_type(&planned.iter().collect::<Vec<_>>(), "VALUES")?;
                for p in planned {
                    columns[c].push(p.cast(&ecx, &types[c], CastContext::Implicit)?.expr);
                }
            }
        }
    }
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    let rows =
        (0..values.rows.len()).map(|_| columns.iter_mut().filter_map(Iterator::next).collect()).collect();
    let names = (1..=width).map(|i| format!("column{i}")).collect();
    Ok(Rel { expr: values_expr(rows, &types), names, unknown: vec![Unknown::No; width], types })
}

/// Rows of expressions: those that are constant as one constant.
fn values_expr(rows: Vec<Vec<HirScalarExpr>>, types: &[ScalarType]) -> HirRelationExpr {
    let mut nullable = vec![false; types.len()];
    let (mut constants, mut others) = (vec![], vec![]);
    for row in rows {
        let folded: Option<Vec<Row>> = row.iter().map(fold_literal).collect();
        match folded {
            Some(values) => {
                let datums: Vec<Datum<'_>> = values.iter().map(Row::unpack_first).collect();
                nullable.iter_mut().zip(&datums).for_each(|(n, d)| *n |= d.is_null());
                constants.push(Row::pack_slice(&datums));
            }
            None => others.push(HirRelationExpr::unit().map(row)),
        }
    }
    let typ = RelationType::new(types.iter().zip(nullable).map(|(t, n)| t.clone().nullable(n)).collect());
    let constant = HirRelationExpr::Constant { rows: constants, typ };
    if others.is_empty() {
        return constant;
    }
    if !matches!(&constant, HirRelationExpr::Constant { rows, .. } if rows.is_empty()) {
        others.insert(0, constant);
    }
    match others.len() {
        1 => others.remove(0),
        _ => HirRelationExpr::Union { inputs: others },
    }
}

/// A position in the select list, if the expression is a number.
pub(super) fn ordinal(expr: &Expr, clause: &str, columns: usize) -> Result<Option<usize>, PlanError> {
    let value = match expr {
        Expr::Value(ValueWithSpan { value, .. }) => value,
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            let Expr::Value(ValueWithSpan { value: Value::Number(n, _), .. }) = &**expr else {
                return Ok(None);
            };
            return Err(match n.parse::<usize>() {
                Ok(_) => PlanError::new("42P10", format!("{clause} position -{n} is not in select list")),
                Err(_) => PlanError::syntax(format!("non-integer constant in {clause}")),
            });
        }
        _ => return Ok(None),
    };
    match value {
        Value::Number(n, _) => match n.parse::<usize>() {
            Ok(i) if (1..=columns).contains(&i) => Ok(Some(i - 1)),
            Ok(_) => Err(PlanError::new("42P10", format!("{clause} position {n} is not in select list"))),
            Err(_) => Err(PlanError::syntax(format!("non-integer constant in {clause}"))),
        },
        Value::SingleQuotedString(_) | Value::Null | Value::Boolean(_) => {
            Err(PlanError::syntax(format!("non-integer constant in {clause}")))
        }
        _ => Ok(None),
    }
}

/// Orders a relation by its columns; after a set operation only by names and positions.
fn order_rel(
    qcx: &Qcx<'_>,
    rel: Rel,
    order_by: &[OrderByExpr],
    set: Option<&str>,
) -> Result<Parts, PlanError> {
    let mut parts: Parts = rel.into();
    let desc = hw_repr::RelationDesc::new(
        RelationType::new(parts.types.iter().map(|t| t.clone().nullable(true)).collect()),
        parts.names.clone(),
    );
    let scope = Scope::of_table(None, &desc);
    check_columns(order_by.len())?;
    for o in order_by {
        let by_name = match &o.expr {
            Expr::Identifier(i) => parts.names.iter().position(|n| *n == ident(i)),
            e => qcx.at(ordinal(e, "ORDER BY", parts.names.len()), e.span())?,
        };
        let column = match (by_name, set) {
            (Some(c), _) => c,
            (None, Some(name)) => {
                let e = PlanError::new("0A000", "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                    .with_detail("Only result column names can be used, not expressions or functions.")
                    .with_hint(format!(
                        "Add the expression/function to every SELECT, or move the {name} into a FROM clause."
                    ));
                let known = matches!(&o.expr, Expr::Identifier(_));
                let e = if known { PlanError::unknown_column(&o.expr) } else { e };
                return qcx.at(Err(e), o.expr.span());
            }
            (None, None) => {
                let frame = qcx.frame(&scope, "ORDER BY");
                let e =
                    plan_expr(&Ecx { qcx, frame: &frame }, &o.expr)?.resolve(&Ecx { qcx, frame: &frame })?;
                let arity = parts.expr.arity();
                parts.expr = parts.expr.map(vec![e.expr]);
                arity
            }
        };
        if let Some(typ) = parts.types.get(column) {
            qcx.at(check_comparable(typ, "ordering"), o.expr.span())?;
        }
        parts.order_by.push(order_of(o, column)?);
    }
    Ok(parts)
}

/// What LIMIT, OFFSET and FETCH FIRST say.
struct Limits {
    limit: Option<HirScalarExpr>,
    offset: Option<HirScalarExpr>,
    /// WITH TIES
    ties: bool,
}

/// LIMIT, OFFSET and FETCH FIRST, as bigint expressions over the scopes around the query.
fn plan_limit(qcx: &Qcx<'_>, query: &Query, scope: &Scope) -> Result<Limits, PlanError> {
    let (mut limit, mut offset) = (None, None);
    match &query.limit_clause {
        None => {}
        Some(LimitClause::LimitOffset { limit: l, offset: o, limit_by }) => {
            if !limit_by.is_empty() {
                return Err(PlanError::unsupported("LIMIT BY"));
            }
            limit = l.as_ref();
            offset = o.as_ref().map(|Offset { value, .. }| value);
        }
        Some(LimitClause::OffsetCommaLimit { .. }) => {
            return Err(PlanError::syntax("LIMIT #,# syntax is not supported")
                .with_hint("Use separate LIMIT and OFFSET clauses."));
        }
    }
    let one = Expr::Value(Value::Number("1".into(), false).with_empty_span());
    if let Some(fetch) = &query.fetch {
        if fetch.percent {
            return Err(PlanError::syntax("syntax error at or near \"percent\""));
        }
        if limit.is_some() {
            return Err(PlanError::syntax("multiple LIMIT clauses not allowed"));
        }
        limit = Some(fetch.quantity.as_ref().unwrap_or(&one));
    }
    let plan = |e: &Expr, name: &'static str, sqlstate| -> Result<Option<HirScalarExpr>, PlanError> {
        let frame = qcx.frame(scope, name);
        let ecx = Ecx { qcx, frame: &frame };
        let value = plan_expr(&ecx, e)?;
        let text = value.type_text();
        let value =
            value.cast(&ecx, &ScalarType::Int64, CastContext::Assignment).map_err(|e| match e.sqlstate {
                "42846" => PlanError::new(
                    "42804",
                    format!("argument of {name} must be type bigint, not type {text}"),
                ),
                _ => e,
            });
        let mut own = false;
        let value = qcx.at(value, e.span())?.expr;
        value.visit_free(&mut |c| own |= c.level == 0);
        if own {
            let text = format!("argument of {name} must not contain variables");
            return qcx.at(Err(PlanError::new("42P10", text)), e.span());
        }
        let Some(row) = fold_literal(&value) else { return Ok(Some(value)) };
        match row.unpack_first() {
            Datum::Null => Ok(None),
            Datum::Int64(n) if n < 0 => Err(PlanError::new(sqlstate, format!("{name} must not be negative"))),
            d => Ok(Some(HirScalarExpr::literal(d, ScalarType::Int64))),
        }
    };
    // PostgreSQL looks at the offset first.
    let offset = offset.map(|e| plan(e, "OFFSET", "2201X")).transpose()?.flatten();
    let limit = limit.map(|e| plan(e, "LIMIT", "2201W")).transpose()?.flatten();
    let zero = |e: &HirScalarExpr| matches!(e.as_literal(), Some(Datum::Int64(0)));
    let ties = query.fetch.as_ref().is_some_and(|f| f.with_ties);
    Ok(Limits { limit, offset: offset.filter(|o| !zero(o)), ties })
}

/// Whether a value has no type of its own.
pub(super) fn is_unknown(p: &Planned) -> bool {
    Unknown::of(p) != Unknown::No
}
