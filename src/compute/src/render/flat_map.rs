//! Table functions.

use hw_expr::{EvalError, MirScalarExpr, TableFunc};
use hw_plan::temporal::MfpPlan;
use hw_repr::{Datum, Diff, Row, RowArena, Timestamp};

use super::Collection;
use super::mfp::{ErrSink, OkSink, RowMfp, flat_map_rows};
use crate::time::RenderTime;

/// Renders `FlatMap`.
pub(crate) fn render<'scope, T: RenderTime>(
    input: Collection<'scope, T>,
    func: &TableFunc,
    exprs: &[MirScalarExpr],
    mfp: &MfpPlan,
    until: Timestamp,
) -> Collection<'scope, T> {
    let (func, exprs, mfp) = (func.clone(), exprs.to_vec(), RowMfp::new(mfp, until));
    let volatile = exprs.iter().any(MirScalarExpr::contains_volatile);
    let (oks, errs) = flat_map_rows(
        input.oks,
        "FlatMap",
        Box::new(move |row: Row, time: T, diff, oks, errs| {
            // A row that occurs several times has another value of a volatile function each time.
            let (times, diff) = if volatile && diff > 1 { (diff, 1) } else { (1, diff) };
            for _ in 0..times {
                if let Err(e) = expand(&func, &exprs, &mfp, &row, &time, diff, oks, errs) {
                    errs.push((e, time.clone(), diff));
                }
            }
        }),
    );
    Collection { oks, errs: input.errs.concat(errs) }
}

#[allow(clippy::too_many_arguments)]
fn expand<T: RenderTime>(
    func: &TableFunc,
    exprs: &[MirScalarExpr],
    mfp: &RowMfp,
    row: &Row,
    time: &T,
    diff: Diff,
    oks: &mut OkSink<Row, T>,
    errs: &mut ErrSink<T>,
) -> Result<(), EvalError> {
    let arena = RowArena::new();
    let datums: Vec<Datum<'_>> = row.iter().collect();
    let args = exprs.iter().map(|e| e.eval(&datums, &arena)).collect::<Result<Vec<_>, _>>()?;
    for produced in func.eval(&arena, &args)? {
        let (produced, count) = produced?;
        let arena = RowArena::new();
        let mut columns = Vec::with_capacity(mfp.width());
        columns.extend(datums.iter().copied());
        columns.extend(produced.iter());
        mfp.apply(&mut columns, &arena, time.clone(), diff * count, oks, errs);
    }
    Ok(())
}
