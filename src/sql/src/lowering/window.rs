//! Window functions: one aggregate over each partition, whose list of records is then taken apart.

use std::sync::Arc;

use hw_expr::hir::WindowExpr;
use hw_expr::scalar::canonical_key;
use hw_expr::window::{FrameBound, WindowCall, WindowFrame, WindowFunc, WindowSpec};
use hw_expr::{AggregateExpr, AggregateFunc, Func, MirRelationExpr, MirScalarExpr, TableFunc};
use hw_repr::{ColumnOrder, Datum, ScalarType};

use super::relation::{TopK, call2, literal_int8, not_negative};
use super::scalar::Cx;
use super::{Lowerer, broken};
use crate::error::PlanError;
use crate::query::internal::RECORD_GET;

/// The arguments of the aggregate, beyond the rows that it carries.
struct Arguments {
    exprs: Vec<MirScalarExpr>,
}

impl Arguments {
    fn push(&mut self, e: MirScalarExpr) -> usize {
        self.exprs.iter().position(|x| *x == e).unwrap_or_else(|| {
            self.exprs.push(e);
            self.exprs.len() - 1
        })
    }
}

impl Lowerer {
    /// Appends the values of functions over one window; gives their positions.
    pub(super) fn windows(
        &mut self,
        calls: &[&WindowExpr],
        rel: &mut MirRelationExpr,
        cx: &Cx,
        prefix: usize,
    ) -> Result<Vec<usize>, PlanError> {
        let Some(first) = calls.first() else { return Ok(vec![]) };
        // Everything that may append columns comes first: the rows are carried as they are then.
        let partition = self.scalars(&first.partition_by, rel, cx)?;
        let order = self.scalars(first.order_by.iter().map(|(e, _)| e), rel, cx)?;
        let mut lowered = vec![];
        for call in calls {
            let args = self.scalars(&call.args, rel, cx)?;
            let filter = call.filter.as_ref().map(|f| self.scalar(f, rel, cx)).transpose()?;
            lowered.push((args, filter, self.scalars(&call.frame_offsets, rel, cx)?));
        }
        let carried = rel.column_types();
        let arity = carried.len();
        let mut arguments = Arguments { exprs: (0..arity).map(MirScalarExpr::Column).collect() };
        let order_by: Vec<ColumnOrder> = order
            .into_iter()
            .zip(&first.order_by)
            .map(|(e, (_, o))| ColumnOrder { column: arguments.push(e), ..o.clone() })
            .collect();
        let mut functions = vec![];
        for (call, (args, filter, offsets)) in calls.iter().zip(lowered) {
            let offsets: Vec<usize> = offsets.into_iter().map(|e| arguments.push(e)).collect();
            let bound = |b: &FrameBound| match b {
                FrameBound::Preceding(i) => FrameBound::Preceding(offsets[*i]),
                FrameBound::Following(i) => FrameBound::Following(offsets[*i]),
                other => other.clone(),
            };
            let frame = WindowFrame {
                start: bound(&call.frame.start),
                end: bound(&call.frame.end),
                ..call.frame.clone()
            };
            functions.push(WindowCall {
                func: call.func.clone(),
                args: args.into_iter().map(|e| arguments.push(e)).collect(),
                filter: filter.map(|e| arguments.push(e)),
                frame,
                typ: call.typ.clone(),
            });
        }
        let keys = (0..prefix).map(MirScalarExpr::Column);
        let keys = keys.chain(partition.into_iter().map(|e| {
            let typ = e.typ(&carried).scalar_type;
            canonical_key(e, &typ, false)
        }));
        let keys: Vec<_> = keys.collect();
        let spec = WindowSpec { carried, order_by, functions };
        let input = std::mem::replace(rel, super::unit());
        *rel = expand(input, keys, spec, arguments.exprs)?;
        Ok((arity..arity + calls.len()).collect())
    }

    /// A top-k by the number of each row in its group.
    pub(super) fn top_k_by_number(
        &mut self,
        mut rel: MirRelationExpr,
        top: &TopK<'_>,
        cx: &Cx,
    ) -> Result<MirRelationExpr, PlanError> {
        let limit = top.limit.map(|l| self.scalar(l, &mut rel, cx)).transpose()?;
        let offset = top.offset.map(|o| self.scalar(o, &mut rel, cx)).transpose()?;
        let carried = rel.column_types();
        let arity = carried.len();
        let call = WindowCall {
            func: WindowFunc::RowNumber,
            args: vec![],
            filter: None,
            frame: WindowFrame::default(),
            typ: ScalarType::Int64.nullable(false),
        };
        let spec = WindowSpec { carried, order_by: top.order_key.clone(), functions: vec![call] };
        let keys = top.group.iter().map(|g| MirScalarExpr::Column(*g)).collect();
        let rel = expand(rel, keys, spec, (0..arity).map(MirScalarExpr::Column).collect())?;
        let number = MirScalarExpr::Column(arity);
        let skip = match offset {
            Some(o) => MirScalarExpr::Coalesce(vec![not_negative(o, "OFFSET", "2201X")?, literal_int8(0)]),
            None => literal_int8(0),
        };
        let mut predicates = vec![call2("op:>(AnyCompatible,AnyCompatible)", number.clone(), skip.clone())?];
        if let Some(limit) = limit {
            let counted = call2("op:-(int8,int8)", number, skip)?;
            let limit = not_negative(limit, "LIMIT", "2201W")?;
            let within = call2("op:<=(AnyCompatible,AnyCompatible)", counted, limit.clone())?;
            predicates.push(MirScalarExpr::Or(vec![limit.is_null(), within]));
        }
        Ok(rel.filter(predicates))
    }
}

/// Reduces each partition to its list of records and takes that apart again: the carried columns, then the functions' values.
fn expand(
    input: MirRelationExpr,
    keys: Vec<MirScalarExpr>,
    spec: WindowSpec,
    args: Vec<MirScalarExpr>,
) -> Result<MirRelationExpr, PlanError> {
    let list = spec.output_type();
    let ScalarType::List { element, .. } = &list else { return Err(broken("a window's value is a list")) };
    let ScalarType::Record { fields, .. } = &**element else { return Err(broken("of records")) };
    let fields: Vec<_> = fields.iter().map(|(_, t)| t.clone()).collect();
    let record = (**element).clone();
    let aggregate = AggregateExpr {
        func: AggregateFunc::Window(Arc::new(spec)),
        args,
        order_by: vec![],
        distinct: false,
        filter: None,
    };
    let column = keys.len();
    let func = TableFunc::by_key("unnest(AnyList)", vec![list]).ok_or_else(|| broken("unnest is missing"))?;
    let rows = MirRelationExpr::FlatMap {
        input: Box::new(input.reduce(keys, vec![aggregate])),
        func,
        exprs: vec![MirScalarExpr::Column(column)],
    };
    let get = |(i, t): (usize, &hw_repr::ColumnType)| {
        let func = Func::by_key(RECORD_GET, vec![record.clone(), ScalarType::Int32]);
        let func = func.ok_or_else(|| broken("hw_record_get is missing"))?.with_ret(t.scalar_type.clone());
        let at = i32::try_from(i).map_err(|_| broken("too many columns"))?;
        let at = MirScalarExpr::literal(Datum::Int32(at), ScalarType::Int32);
        Ok(MirScalarExpr::call(func, vec![MirScalarExpr::Column(column + 1), at]))
    };
    let values = fields.iter().enumerate().map(get).collect::<Result<Vec<_>, PlanError>>()?;
    let width = values.len();
    Ok(rows.map(values).project((column + 2..column + 2 + width).collect()))
}
