//! Aggregates: their arguments, to which query level they belong, and those that stand for others.

use hw_expr::aggregate::AggregateDef;
use hw_expr::func::{CastContext, Func, registry};
use hw_expr::hir::{ColumnRef, HirAggregateExpr};
use hw_expr::{AggregateFunc, HirScalarExpr};
use hw_repr::{ColumnOrder, Datum, ScalarType};
use sqlparser::ast::{OrderByExpr, OrderBySort};

use super::coerce::{Planned, Typed};
use super::context::Ecx;
use super::function::{Call, call_error, function_error, undetermined};
use super::hypothetical::{Key, expand, is_hypothetical, plan_keys};
use super::named::in_order;
use super::operator::operator;
use super::resolve::{NoMatch, Signature, choose};
use super::scalar::{plan_condition, plan_expr};
use super::scope::Frame;
use super::types::{check_comparable, is_incomparable};
use crate::error::PlanError;

/// The clause of an aggregate's arguments, in which no other may stand.
pub(super) const AGGREGATE_ARGUMENTS: &str = "aggregate function calls";

/// Plans an aggregate that belongs to a query level: gives the column that will hold its value.
pub(super) fn plan_aggregate(ecx: &Ecx<'_>, call: &Call<'_>) -> Result<Planned, PlanError> {
    let frame = Frame { collector: None, clause: AGGREGATE_ARGUMENTS, ..*ecx.frame };
    let inner = Ecx { qcx: ecx.qcx, frame: &frame };
    let parts = plan_aggregate_parts(&inner, call)?;
    let level = parts.level();
    let owner = ecx.frame.chain().nth(level).map(|(_, f)| f);
    let Some(owner) = owner else { return Err(PlanError::new("XX000", "an aggregate belongs to no query")) };
    let Some(collector) = owner.gathers() else {
        let text = match owner.clause {
            AGGREGATE_ARGUMENTS => "aggregate function calls cannot be nested".to_owned(),
            clause => format!("aggregate functions are not allowed in {clause}"),
        };
        return Err(call_error(ecx, call, PlanError::new("42803", text)));
    };
    let shift_down = |e: HirScalarExpr| lowered(e, level);
    for a in &parts.args[..parts.direct] {
        collector.borrow_mut().add_direct(lowered(a.expr.clone(), level));
    }
    let value = parts.expand(&inner, &mut |func, args, order_by, distinct, filter| {
        let aggregate = HirAggregateExpr {
            func,
            args: args.into_iter().map(shift_down).collect(),
            order_by,
            distinct,
            filter: filter.map(|f| Box::new(shift_down(f))),
        };
        let typ = aggregate.func.output_type().scalar_type;
        let column = collector.borrow_mut().add_aggregate(aggregate);
        Ok(Typed::new(HirScalarExpr::Column(ColumnRef { level, column }), typ))
    })?;
    Ok(Planned::Typed(value))
}

/// The expression as the scope `by` levels further out sees it.
pub(super) fn lowered(mut e: HirScalarExpr, by: usize) -> HirScalarExpr {
    e.visit_mut_post(0, &mut |depth, e| {
        if let HirScalarExpr::Column(c) = e
            && c.level >= depth
        {
            c.level -= by;
        }
    });
    e
}

/// The query level that an aggregate of these expressions belongs to: the innermost of its columns' (manual 4.2.7), counted
/// outwards.
pub(super) fn innermost_level<'e>(exprs: impl Iterator<Item = &'e HirScalarExpr>) -> usize {
    let mut level: Option<usize> = None;
    for e in exprs {
        e.visit_free(&mut |c: ColumnRef| level = Some(level.map_or(c.level, |l: usize| l.min(c.level))));
    }
    level.unwrap_or(0)
}

/// What is computed.
enum Kind {
    Def(&'static AggregateDef),
    /// A hypothetical-set aggregate.
    Hypothetical(String, Vec<Key>),
}

/// An aggregate with planned arguments.
pub(super) struct AggregateParts {
    kind: Kind,
    args: Vec<Typed>,
    sort: Vec<(HirScalarExpr, ColumnOrder)>,
    distinct: bool,
    filter: Option<HirScalarExpr>,
    /// How many of the arguments are direct ones, which are the same for a whole group.
    direct: usize,
}

/// What makes one aggregate's value: function, arguments, order, DISTINCT and FILTER.
pub(super) type Emit<'e> = dyn FnMut(
        AggregateFunc,
        Vec<HirScalarExpr>,
        Vec<ColumnOrder>,
        bool,
        Option<HirScalarExpr>,
    ) -> Result<Typed, PlanError>
    + 'e;

/// Plans an aggregate's arguments in the context that is given.
pub(super) fn plan_aggregate_parts(ecx: &Ecx<'_>, call: &Call<'_>) -> Result<AggregateParts, PlanError> {
    if call.star && call.name != "count" {
        return Err(function_error(&call.name, &[], super::resolve::NoMatch::None));
    }
    if !call.star && call.args.is_empty() && call.name == "count" {
        return Err(PlanError::new(
            "42809",
            "count(*) must be used to call a parameterless aggregate function",
        ));
    }
    let sorted = &call.within_group;
    if !sorted.is_empty() && call.distinct {
        return Err(PlanError::syntax("cannot use DISTINCT with WITHIN GROUP"));
    }
    if !sorted.is_empty() && !call.order_by.is_empty() {
        return Err(PlanError::syntax("cannot use multiple ORDER BY clauses with WITHIN GROUP"));
    }
    if is_hypothetical(call) {
        let keys = plan_keys(ecx, call)?;
        let direct = keys.len();
        let args = keys.iter().map(|k| k.given.clone()).chain(keys.iter().map(|k| k.row.clone())).collect();
        let filter = call.filter.map(|f| plan_condition(ecx, f, "FILTER")).transpose()?;
        let kind = Kind::Hypothetical(call.name.clone(), keys);
        return Ok(AggregateParts { kind, args, sort: vec![], distinct: false, filter, direct });
    }
    let exprs = call.args.iter().map(|a| &**a).chain(sorted.iter().map(|o| &o.expr));
    let args = exprs.map(|a| plan_expr(ecx, a)).collect::<Result<Vec<_>, _>>()?;
    let args = in_order(&call.name, &call.names, args)?;
    let types: Vec<_> = args.iter().map(Planned::typ).collect();
    let texts: Vec<_> = args.iter().map(Planned::type_text).collect();
    if let Some(e) = undetermined(&call.name, &types) {
        return Err(call_error(ecx, call, e));
    }
    let defs = registry().aggregates.get(call.name.as_str()).map(Vec::as_slice).unwrap_or_default();
    let signatures: Vec<_> = defs.iter().map(|d| Signature { params: &d.params, variadic: None }).collect();
    let (chosen, bound) = choose(&signatures, &types, false)
        .map_err(|n| call_error(ecx, call, function_error(&call.name, &texts, n)))?;
    if matches!(call.name.as_str(), "min" | "max") && bound.iter().any(is_incomparable) {
        return Err(call_error(ecx, call, function_error(&call.name, &texts, NoMatch::None)));
    }
    check_kind(defs[chosen], call).map_err(|e| call_error(ecx, call, e))?;
    let args = signatures[chosen].fit(ecx, args, &bound)?;
    if !sorted.is_empty() {
        let direct = call.args.len();
        let sort = sorted.iter().zip(&args[direct..]).map(|(o, a)| Ok((a.expr.clone(), order_of(o, 0)?)));
        let sort = sort.collect::<Result<_, PlanError>>()?;
        let filter = call.filter.map(|f| plan_condition(ecx, f, "FILTER")).transpose()?;
        return Ok(AggregateParts {
            kind: Kind::Def(defs[chosen]),
            args,
            sort,
            distinct: false,
            filter,
            direct,
        });
    }
    let sort = call.order_by.iter().map(|o| {
        let e = plan_expr(ecx, &o.expr)?.resolve(ecx)?;
        check_comparable(&e.typ, "ordering")?;
        Ok((e.expr, order_of(o, 0)?))
    });
    let sort = sort.collect::<Result<Vec<_>, PlanError>>()?;
    if call.distinct && sort.iter().any(|(e, _)| !args.iter().any(|a| a.expr == *e)) {
        let text = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
        return Err(PlanError::new("42P10", text));
    }
    let filter = call.filter.map(|f| plan_condition(ecx, f, "FILTER")).transpose()?;
    Ok(AggregateParts {
        kind: Kind::Def(defs[chosen]),
        args,
        sort,
        distinct: call.distinct,
        filter,
        direct: 0,
    })
}

/// Whether the aggregate is called as one of its kind is.
fn check_kind(def: &AggregateDef, call: &Call<'_>) -> Result<(), PlanError> {
    let name = def.name;
    match (def.direct, call.within_group.is_empty()) {
        (None, true) => Ok(()),
        (None, false) => {
            let text = format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP");
            Err(PlanError::new("42809", text))
        }
        (Some(_), true) => {
            let text = format!("WITHIN GROUP is required for ordered-set aggregate {name}");
            Err(PlanError::new("42809", text))
        }
        (Some(direct), false) if direct == call.args.len() => Ok(()),
        (Some(direct), false) => {
            let (s, given) = (if direct == 1 { "" } else { "s" }, call.args.len());
            let hint = format!(
                "There is an ordered-set aggregate {name}, but it requires {direct} direct argument{s}, not {given}."
            );
            Err(PlanError::new("42883", format!("function {name} does not exist")).with_hint(hint))
        }
    }
}

/// The order that an ORDER BY item asks for.
pub(super) fn order_of(o: &OrderByExpr, column: usize) -> Result<ColumnOrder, PlanError> {
    let desc = match &o.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(op)) => {
            match op.0.last().and_then(|p| p.as_ident()).map(|i| i.value.as_str()) {
                Some("<") => false,
                Some(">") => true,
                _ => {
                    let text = format!("operator {op} is not a valid ordering operator");
                    return Err(PlanError::new("42809", text).with_hint(
                        "Ordering operators must be \"<\" or \">\" members of btree operator families.",
                    ));
                }
            }
        }
    };
    let nulls_last = o.options.nulls_first.map_or(!desc, |first| !first);
    Ok(ColumnOrder { column, desc, nulls_last })
}

impl AggregateParts {
    fn level(&self) -> usize {
        let args = self.args.iter().map(|a| &a.expr);
        innermost_level(args.chain(self.sort.iter().map(|(e, _)| e)).chain(&self.filter))
    }

    /// The value, by one or several aggregates of the dataflow.
    pub(super) fn expand(self, ecx: &Ecx<'_>, emit: &mut Emit<'_>) -> Result<Typed, PlanError> {
        let def = match &self.kind {
            Kind::Hypothetical(name, keys) => return expand(ecx, name, keys, self.filter, emit),
            Kind::Def(def) => *def,
        };
        if def.kind.is_some() {
            return self.plain(def, emit);
        }
        let args = self.args.iter().map(|a| &a.expr).chain(&self.filter);
        ecx.qcx.shared.repeat(args.map(HirScalarExpr::size).sum(), if self.distinct { 8 } else { 3 })?;
        match def.name {
            "avg" => self.average(ecx, emit),
            name => self.moments(ecx, name, emit),
        }
    }

    fn plain(self, def: &'static AggregateDef, emit: &mut Emit<'_>) -> Result<Typed, PlanError> {
        let types = self.args.iter().map(|a| a.typ.clone()).collect();
        let mut args: Vec<_> = self.args.into_iter().map(|a| a.expr).collect();
        let mut order_by = vec![];
        for (e, o) in self.sort {
            let column = args.iter().position(|a| *a == e).unwrap_or_else(|| {
                args.push(e);
                args.len() - 1
            });
            order_by.push(ColumnOrder { column, ..o });
        }
        emit(AggregateFunc::new(def, types), args, order_by, self.distinct, self.filter)
    }

    fn one(&self, name: &str, arg: Typed, emit: &mut Emit<'_>) -> Result<Typed, PlanError> {
        self.one_where(name, arg, self.filter.clone(), emit)
    }

    /// As [`AggregateParts::one`], over the rows for which the filter is true.
    fn one_where(
        &self,
        name: &str,
        arg: Typed,
        filter: Option<HirScalarExpr>,
        emit: &mut Emit<'_>,
    ) -> Result<Typed, PlanError> {
        let defs = registry().aggregates.get(name).map(Vec::as_slice).unwrap_or_default();
        let signatures: Vec<_> =
            defs.iter().map(|d| Signature { params: &d.params, variadic: None }).collect();
        let (chosen, bound) = choose(&signatures, &[Some(arg.typ)], false)
            .map_err(|_| PlanError::new("XX000", format!("aggregate {name} is missing")))?;
        emit(AggregateFunc::new(defs[chosen], bound), vec![arg.expr], vec![], self.distinct, filter)
    }

    /// The sum divided by the count; NULL without values, since the sum is.
    fn average(self, ecx: &Ecx<'_>, emit: &mut Emit<'_>) -> Result<Typed, PlanError> {
        let mut arg = self.args[0].clone();
        if arg.typ == ScalarType::Float32 {
            arg = Planned::Typed(arg).cast(ecx, &ScalarType::Float64, CastContext::Implicit)?;
        }
        let (sum, count) = (self.one("sum", arg.clone(), emit)?, self.one("count", arg.clone(), emit)?);
        let (sum_type, count_type) = match arg.typ {
            ScalarType::Float64 => (ScalarType::Float64, ScalarType::Float64),
            ScalarType::Interval => (ScalarType::Interval, ScalarType::Float64),
            _ => (ScalarType::NUMERIC, ScalarType::NUMERIC),
        };
        let sum = Planned::Typed(sum).cast(ecx, &sum_type, CastContext::Explicit)?;
        let count = Planned::Typed(count).cast(ecx, &count_type, CastContext::Explicit)?;
        let span = sqlparser::tokenizer::Span::empty();
        operator(ecx, "/", vec![Planned::Typed(sum), Planned::Typed(count)], span)?.resolve(ecx)
    }

    /// Variances and standard deviations, of the count, the sum and the sum of squares.
    fn moments(self, ecx: &Ecx<'_>, name: &str, emit: &mut Emit<'_>) -> Result<Typed, PlanError> {
        let typ = ScalarType::NUMERIC;
        let arg = Planned::Typed(self.args[0].clone()).cast(ecx, &typ, CastContext::Explicit)?;
        let args = [
            self.one("count", arg.clone(), emit)?,
            self.one("sum", arg.clone(), emit)?,
            self.squares(ecx, arg, emit)?,
        ];
        let name = match name {
            "variance" | "var_samp" => "hw_var_samp",
            "stddev" | "stddev_samp" => "hw_stddev_samp",
            "var_pop" => "hw_var_pop",
            _ => "hw_stddev_pop",
        };
        let key = format!("{name}(int8,numeric,numeric)");
        let (exprs, types): (Vec<_>, Vec<_>) = args.into_iter().map(|a| (a.expr, a.typ)).unzip();
        let func = Func::by_key(&key, types);
        let func =
            func.ok_or_else(|| PlanError::new("XX000", format!("internal function {key} is missing")))?;
        Ok(Typed::new(HirScalarExpr::call(func, exprs), typ))
    }

    /// The sum of squares. With DISTINCT it is that of distinct values, of which two may have the same square: those of either
    /// sign are summed apart.
    fn squares(&self, ecx: &Ecx<'_>, arg: Typed, emit: &mut Emit<'_>) -> Result<Typed, PlanError> {
        let span = sqlparser::tokenizer::Span::empty();
        let binary = |op: &str, x: &Typed, y: &Typed| {
            operator(ecx, op, vec![Planned::Typed(x.clone()), Planned::Typed(y.clone())], span)?.resolve(ecx)
        };
        let square = binary("*", &arg, &arg)?;
        if !self.distinct {
            return self.one("sum", square, emit);
        }
        let zero = Typed::new(HirScalarExpr::literal(Datum::Int32(0), ScalarType::Int32), ScalarType::Int32);
        let zero = Planned::Typed(zero).cast(ecx, &arg.typ, CastContext::Explicit)?;
        let mut halves = vec![];
        for op in ["<", ">="] {
            let sign = binary(op, &arg, &zero)?.expr;
            let filter = match &self.filter {
                Some(f) => HirScalarExpr::And(vec![f.clone(), sign]),
                None => sign,
            };
            let half = self.one_where("sum", square.clone(), Some(filter), emit)?;
            halves.push(Typed::new(HirScalarExpr::Coalesce(vec![half.expr, zero.expr.clone()]), half.typ));
        }
        binary("+", &halves[0], &halves[1])
    }
}
