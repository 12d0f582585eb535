//! Relations, joins aside.

use hw_expr::func::Func;
use hw_expr::hir::{HirAggregateExpr, WindowExpr};
use hw_expr::scalar::{canonical_key, is_canonical};
use hw_expr::{
    AggregateExpr, EvalError, HirRelationExpr, HirScalarExpr, Id, LocalId, MirRelationExpr, MirScalarExpr,
};
use hw_repr::{ColumnOrder, ColumnType, Datum, RelationType, ScalarType};

use super::scalar::Cx;
use super::simplify::conjuncts;
use super::subquery::Keep;
use super::{Bound, Lowerer, Outer, broken, is_global, join_on_keys, with_prefix};
use crate::error::PlanError;

/// A call of an entry of the registry with two bigint operands.
pub(super) fn call2(key: &str, a: MirScalarExpr, b: MirScalarExpr) -> Result<MirScalarExpr, PlanError> {
    let func = Func::by_key(key, vec![ScalarType::Int64, ScalarType::Int64]);
    Ok(MirScalarExpr::call(func.ok_or_else(|| broken(key))?, vec![a, b]))
}

/// A bigint literal.
pub(super) fn literal_int8(n: i64) -> MirScalarExpr {
    MirScalarExpr::literal(Datum::Int64(n), ScalarType::Int64)
}

impl Lowerer {
    /// Lowers a relation at `depth`: `outer`'s columns come first.
    pub(super) fn relation(
        &mut self,
        expr: &HirRelationExpr,
        outer: &Outer,
        depth: usize,
    ) -> Result<MirRelationExpr, PlanError> {
        stacker::maybe_grow(256 << 10, 4 << 20, || self.relation_here(expr, outer, depth))
    }

    fn relation_here(
        &mut self,
        expr: &HirRelationExpr,
        outer: &Outer,
        depth: usize,
    ) -> Result<MirRelationExpr, PlanError> {
        let prefix = outer.arity;
        Ok(match expr {
            HirRelationExpr::Constant { rows, typ } => {
                with_prefix(outer, MirRelationExpr::constant(rows.clone(), typ.clone()))
            }
            HirRelationExpr::Get { id, typ } if is_global(id) => {
                with_prefix(outer, MirRelationExpr::Get { id: *id, typ: typ.clone() })
            }
            HirRelationExpr::Get { id, .. } => self.local_get(id, outer)?,
            HirRelationExpr::Let { id, value, body, .. } => self.let_in(*id, value, body, outer, depth)?,
            HirRelationExpr::LetRec { bindings, limit, body } => {
                let limits = vec![*limit; bindings.len()];
                let bindings: Vec<_> = bindings.iter().map(|(_, id, value, typ)| (*id, value, typ)).collect();
                self.let_rec(&bindings, limits, body, outer, depth)?
            }
            HirRelationExpr::Project { input, outputs } => {
                let rel = self.relation(input, outer, depth)?;
                rel.project((0..prefix).chain(outputs.iter().map(|o| o + prefix)).collect())
            }
            HirRelationExpr::Map { input, scalars } => self.map(input, scalars, outer, depth)?,
            HirRelationExpr::CallTable { func, exprs } => {
                let mut rel = outer.rel.clone();
                let cx = Cx { places: outer.places.clone(), own: vec![], depth };
                let exprs = self.scalars(exprs, &mut rel, &cx)?;
                let arity = rel.arity();
                let columns = func.desc().arity();
                let rel = MirRelationExpr::FlatMap { input: Box::new(rel), func: func.clone(), exprs };
                cut(rel, prefix, arity..arity + columns, arity + columns)
            }
            HirRelationExpr::Filter { input, predicates } => {
                let rel = self.relation(input, outer, depth)?;
                let arity = rel.arity();
                let cx = Cx { places: outer.places.clone(), own: (prefix..arity).collect(), depth };
                self.filter(rel, predicates, &cx)?
            }
            HirRelationExpr::Join { left, right, on, kind } => {
                self.join(left, right, on, *kind, outer, depth)?
            }
            HirRelationExpr::Reduce { input, group_key, aggregates, expected_group_size } => {
                self.reduce(input, group_key, aggregates, *expected_group_size, outer, depth)?
            }
            HirRelationExpr::Distinct { input } => {
                let rel = self.relation(input, outer, depth)?;
                let types = rel.column_types();
                let key = |(i, t): (usize, &ColumnType)| match i < prefix {
                    true => MirScalarExpr::Column(i),
                    false => canonical_key(MirScalarExpr::Column(i), &t.scalar_type, false),
                };
                let keys = types.iter().enumerate().map(key).collect();
                rel.reduce(keys, vec![])
            }
            HirRelationExpr::TopK { .. } => self.top_k(expr, outer, depth)?,
            HirRelationExpr::Negate { input } => self.relation(input, outer, depth)?.negate(),
            HirRelationExpr::Threshold { input } => self.relation(input, outer, depth)?.threshold(),
            HirRelationExpr::Union { inputs } => {
                let inputs = inputs.iter().map(|i| self.relation(i, outer, depth));
                MirRelationExpr::Union { inputs: inputs.collect::<Result<_, _>>()? }
            }
        })
    }

    fn local_get(&mut self, id: &Id, outer: &Outer) -> Result<MirRelationExpr, PlanError> {
        let Id::Local(id) = id else { return Err(broken("a global collection")) };
        let bound = self.bound.get(id).ok_or_else(|| broken("an unbound name"))?;
        let get = MirRelationExpr::local_get(bound.id, RelationType::new(bound.types.clone()));
        if bound.keys.is_empty() {
            return Ok(with_prefix(outer, get));
        }
        let place = |k| outer.places.get(k).copied().ok_or_else(|| broken("a binding's column has no place"));
        let keys = bound.keys.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        Ok(join_on_keys(outer.rel.clone(), outer.arity, &keys, get, bound.types.len()))
    }

    fn let_in(
        &mut self,
        id: LocalId,
        value: &HirRelationExpr,
        body: &HirRelationExpr,
        outer: &Outer,
        depth: usize,
    ) -> Result<MirRelationExpr, PlanError> {
        let needs = self.needs(value, depth);
        let (rel, ()) = self.with_keys(&outer.rel, &outer.places, &needs, |this, inner, _| {
            let value = this.relation(value, inner, depth)?;
            let new_id = this.fresh();
            let bound = Bound { id: new_id, keys: keys_of(inner), types: value.column_types() };
            let old = this.bound.insert(id, bound);
            let body = this.relation(body, outer, depth);
            this.restore(id, old);
            Ok((MirRelationExpr::Let { id: new_id, value: Box::new(value), body: Box::new(body?) }, ()))
        })?;
        Ok(rel)
    }

    fn restore(&mut self, id: LocalId, old: Option<Bound>) {
        match old {
            Some(old) => self.bound.insert(id, old),
            None => self.bound.remove(&id),
        };
    }

    fn let_rec(
        &mut self,
        bindings: &[(LocalId, &HirRelationExpr, &RelationType)],
        limits: Vec<Option<hw_expr::relation::LetRecLimit>>,
        body: &HirRelationExpr,
        outer: &Outer,
        depth: usize,
    ) -> Result<MirRelationExpr, PlanError> {
        let needs = bindings.iter().flat_map(|(_, value, _)| self.needs(value, depth)).collect();
        let (rel, ()) = self.with_keys(&outer.rel, &outer.places, &needs, |this, inner, _| {
            let prefix = inner.rel.column_types();
            let mut ids = vec![];
            let mut saved = vec![];
            for (id, _, typ) in bindings {
                let new_id = this.fresh();
                let types = prefix.iter().chain(&typ.column_types).cloned().collect();
                saved.push((*id, this.bound.insert(*id, Bound { id: new_id, keys: keys_of(inner), types })));
                ids.push(new_id);
            }
            let values = bindings.iter().map(|(_, value, _)| this.relation(value, inner, depth));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            let body = this.relation(body, outer, depth)?;
            for (id, old) in saved.into_iter().rev() {
                this.restore(id, old);
            }
            Ok((MirRelationExpr::LetRec { ids, values, limits, body: Box::new(body) }, ()))
        })?;
        Ok(rel)
    }

    fn map(
        &mut self,
        input: &HirRelationExpr,
        scalars: &[HirScalarExpr],
        outer: &Outer,
        depth: usize,
    ) -> Result<MirRelationExpr, PlanError> {
        let mut rel = self.relation(input, outer, depth)?;
        let prefix = outer.arity;
        let arity = rel.arity();
        let mut cx = Cx { places: outer.places.clone(), own: (prefix..arity).collect(), depth };
        let mut i = 0;
        while i < scalars.len() {
            if let HirScalarExpr::Windowing(first) = &scalars[i] {
                // Those over the same window are computed together.
                let same = |e: &&HirScalarExpr| match e {
                    HirScalarExpr::Windowing(w) => {
                        w.partition_by == first.partition_by && w.order_by == first.order_by
                    }
                    _ => false,
                };
                let calls: Vec<&WindowExpr> = scalars[i..]
                    .iter()
                    .take_while(same)
                    .filter_map(|e| match e {
                        HirScalarExpr::Windowing(w) => Some(w),
                        _ => None,
                    })
                    .collect();
                i += calls.len();
                let columns = self.windows(&calls, &mut rel, &cx, prefix)?;
                cx.own.extend(columns);
                continue;
            }
            let before = rel.arity();
            let run = scalars[i..].iter().take_while(|e| !e.contains_subquery() && !is_window(e)).count();
            if run == 0 {
                let e = self.scalar(&scalars[i], &mut rel, &cx)?;
                cx.own.push(rel.arity());
                rel = rel.map(vec![e]);
                i += 1;
                continue;
            }
            let mut lowered = vec![];
            for (k, e) in scalars[i..i + run].iter().enumerate() {
                lowered.push(self.scalar(e, &mut rel, &cx)?);
                cx.own.push(before + k);
            }
            rel = rel.map(lowered);
            i += run;
        }
        let arity = rel.arity();
        let outputs: Vec<usize> = (0..prefix).chain(cx.own).collect();
        Ok(if outputs.iter().copied().eq(0..arity) { rel } else { rel.project(outputs) })
    }

    /// Keeps the rows for which all predicates are true.
    pub(super) fn filter(
        &mut self,
        mut rel: MirRelationExpr,
        predicates: &[HirScalarExpr],
        cx: &Cx,
    ) -> Result<MirRelationExpr, PlanError> {
        let arity = rel.arity();
        let all: Vec<HirScalarExpr> = predicates.iter().flat_map(|p| conjuncts(p, true)).collect();
        let (plain, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|p| !p.contains_subquery());
        let plain = self.scalars(&plain, &mut rel, cx)?;
        rel = rel.filter(plain);
        let mut rest = vec![];
        for p in others {
            match &p {
                HirScalarExpr::Exists(sub) => self.semijoin(sub, Keep::Matching, &mut rel, cx)?,
                HirScalarExpr::Not(e) => match &**e {
                    HirScalarExpr::Exists(sub) => self.semijoin(sub, Keep::Missing, &mut rel, cx)?,
                    _ => rest.push(p),
                },
                _ => rest.push(p),
            }
        }
        if rest.is_empty() {
            return Ok(rel);
        }
        let rest = self.scalars(&rest, &mut rel, cx)?;
        let extended = rel.arity();
        Ok(cut(rel.filter(rest), arity, 0..0, extended))
    }

    fn reduce(
        &mut self,
        input: &HirRelationExpr,
        group_key: &[usize],
        aggregates: &[HirAggregateExpr],
        hint: Option<u64>,
        outer: &Outer,
        depth: usize,
    ) -> Result<MirRelationExpr, PlanError> {
        let prefix = outer.arity;
        let mut rel = self.relation(input, outer, depth)?;
        let cx = Cx { places: outer.places.clone(), own: (prefix..rel.arity()).collect(), depth };
        let mut lowered = vec![];
        for a in aggregates {
            let args = self.scalars(&a.args, &mut rel, &cx)?;
            let filter = a.filter.as_ref().map(|f| self.scalar(f, &mut rel, &cx)).transpose()?;
            lowered.push(AggregateExpr {
                func: a.func.clone(),
                args,
                order_by: a.order_by.clone(),
                distinct: a.distinct,
                filter,
            });
        }
        let types = rel.column_types();
        for a in lowered.iter_mut().filter(|a| a.distinct) {
            for arg in &mut a.args {
                let typ = arg.typ(&types).scalar_type;
                let old = std::mem::replace(arg, MirScalarExpr::Column(0));
                *arg = canonical_key(old, &typ, false);
            }
        }
        let keys = (0..prefix).map(MirScalarExpr::Column);
        let keys = keys.chain(group_key.iter().map(|g| {
            let column = g + prefix;
            canonical_key(MirScalarExpr::Column(column), &types[column].scalar_type, false)
        }));
        let defaults: Vec<MirScalarExpr> = lowered.iter().map(over_no_rows).collect();
        let reduced = MirRelationExpr::Reduce {
            input: Box::new(rel),
            group_key: keys.collect(),
            aggregates: lowered,
            monotonic: false,
            expected_group_size: hint,
        };
        if !group_key.is_empty() {
            return Ok(reduced);
        }
        if aggregates.is_empty() {
            // One row whatever the input.
            return Ok(outer.rel.clone());
        }
        self.bind_only(reduced, |_, reduced| {
            let found = reduced.clone().project((0..prefix).collect());
            let missing = outer.rel.clone().union(found.negate());
            Ok(reduced.union(missing.map(defaults)))
        })
    }

    fn top_k(
        &mut self,
        expr: &HirRelationExpr,
        outer: &Outer,
        depth: usize,
    ) -> Result<MirRelationExpr, PlanError> {
        let HirRelationExpr::TopK { input, group_key, order_key, limit, offset, expected_group_size } = expr
        else {
            return Err(broken("no top-k"));
        };
        let prefix = outer.arity;
        let mut rel = self.relation(input, outer, depth)?;
        let arity = rel.arity();
        let order_key: Vec<ColumnOrder> =
            order_key.iter().map(|o| ColumnOrder { column: o.column + prefix, ..o.clone() }).collect();
        // The group, with keys whose equality is that of bytes.
        let types = rel.column_types();
        let mut group: Vec<usize> = (0..prefix).collect();
        let mut keys = vec![];
        for g in group_key {
            let typ = &types[g + prefix].scalar_type;
            if is_canonical(typ) {
                group.push(g + prefix);
            } else {
                group.push(arity + keys.len());
                keys.push(canonical_key(MirScalarExpr::Column(g + prefix), typ, false));
            }
        }
        rel = rel.map(keys);
        let cx = Cx { places: outer.places.clone(), own: vec![], depth };
        let skip = match offset.as_ref().map(|o| o.as_literal()) {
            None => Some(0),
            Some(Some(Datum::Null)) => Some(0),
            Some(Some(Datum::Int64(n))) => usize::try_from(n).ok(),
            _ => None,
        };
        let Some(skip) = skip else {
            let top = TopK { group, order_key, limit: limit.as_deref(), offset: offset.as_deref() };
            let rel = self.top_k_by_number(rel, &top, &cx)?;
            let extended = rel.arity();
            return Ok(cut(rel, arity, 0..0, extended));
        };
        let limit = match limit.as_ref().map(|l| (l.as_literal(), l)) {
            None | Some((Some(Datum::Null), _)) => None,
            Some((Some(d), _)) => Some(MirScalarExpr::literal(d, ScalarType::Int64)),
            Some((None, l)) => {
                // Its value is the same for all rows of a group: it becomes a column of the group.
                let limit = self.scalar(l, &mut rel, &cx)?;
                let limit = not_negative(limit, "LIMIT", "2201W")?;
                if limit.contains_volatile() && limit.support().is_empty() {
                    // In a column it would be another one for each row.
                    Some(limit)
                } else {
                    let column = rel.arity();
                    rel = rel.map(vec![limit]);
                    group.push(column);
                    Some(MirScalarExpr::Column(column))
                }
            }
        };
        let extended = rel.arity();
        let rel = MirRelationExpr::TopK {
            input: Box::new(rel),
            group_key: group,
            order_key,
            limit,
            offset: skip,
            monotonic: false,
            expected_group_size: *expected_group_size,
        };
        Ok(cut(rel, arity, 0..0, extended))
    }
}

/// A top-k whose offset is not known before it runs.
pub(super) struct TopK<'a> {
    pub(super) group: Vec<usize>,
    pub(super) order_key: Vec<ColumnOrder>,
    pub(super) limit: Option<&'a HirScalarExpr>,
    pub(super) offset: Option<&'a HirScalarExpr>,
}

/// The value, or an error if it is negative.
pub(super) fn not_negative(e: MirScalarExpr, name: &str, sqlstate: &str) -> Result<MirScalarExpr, PlanError> {
    let error = EvalError::new(sqlstate, format!("{name} must not be negative"));
    let error = MirScalarExpr::Literal(Err(error), ScalarType::Int64.nullable(false));
    let negative = call2("op:<(AnyCompatible,AnyCompatible)", e.clone(), literal_int8(0))?;
    Ok(negative.if_then_else(error, e))
}

fn is_window(e: &HirScalarExpr) -> bool {
    matches!(e, HirScalarExpr::Windowing(_))
}

fn keys_of(outer: &Outer) -> Vec<super::ScopedColumn> {
    // One scoped column for each position; others at the same position have the same value.
    let mut keys = vec![None; outer.arity];
    for (scoped, position) in &outer.places {
        keys[*position].get_or_insert(*scoped);
    }
    keys.into_iter().flatten().collect()
}

/// The first columns and some later ones.
pub(super) fn cut(
    rel: MirRelationExpr,
    first: usize,
    more: std::ops::Range<usize>,
    arity: usize,
) -> MirRelationExpr {
    let outputs: Vec<usize> = (0..first).chain(more).collect();
    if outputs.iter().copied().eq(0..arity) { rel } else { rel.project(outputs) }
}

/// The value of an aggregate over no rows.
fn over_no_rows(a: &AggregateExpr) -> MirScalarExpr {
    let typ = a.func.output_type();
    match typ.nullable {
        true => MirScalarExpr::null(typ.scalar_type),
        false => MirScalarExpr::literal(Datum::Int64(0), typ.scalar_type),
    }
}
