//! Evaluation of window functions over one partition (PostgreSQL manual 3.5, 4.2.8, 9.22).

use std::cmp::Ordering;
use std::ops::Range;

use hw_repr::{Datum, RowArena, compare_rows_by};

use super::frame::Frames;
use super::{FrameExclusion, WindowCall, WindowFunc, WindowSpec};
use crate::aggregate::AggregateFunc;
use crate::error::EvalError;

/// The rows of a partition in the window's order, and where their peers are.
pub(super) struct Partition<'a> {
    pub(super) rows: Vec<&'a [Datum<'a>]>,
    /// For each row, the rows that the order does not tell from it.
    pub(super) peers: Vec<Range<usize>>,
    /// For each row, the number of its peer group.
    pub(super) group: Vec<usize>,
    /// The peer groups.
    pub(super) groups: Vec<Range<usize>>,
}

impl WindowSpec {
    /// Computes the functions over all rows of a partition, each the argument list of one row. The result is a list of
    /// records, see [`WindowSpec::output_type`], in the window's order (ties by the rows' values).
    ///
    /// # Errors
    /// When a function has no value.
    pub fn eval<'a>(&'a self, arena: &'a RowArena, rows: &[Vec<Datum<'a>>]) -> Result<Datum<'a>, EvalError> {
        let mut sorted: Vec<&[Datum<'a>]> = rows.iter().map(Vec::as_slice).collect();
        sorted.sort_by(|x, y| compare_rows_by(&self.order_by, x, y, || x.cmp(y)));
        let partition = self.partition(sorted);
        let columns: Result<Vec<Vec<Datum<'a>>>, EvalError> =
            self.functions.iter().map(|call| self.column(call, &partition, arena)).collect();
        let columns = columns?;
        let carried = self.carried.len();
        Ok(arena.make_datum(|p| {
            p.push_list_with(|p| {
                for (i, row) in partition.rows.iter().enumerate() {
                    p.push_list_with(|p| {
                        p.extend(row[..carried].iter());
                        p.extend(columns.iter().map(|c| c[i]));
                    });
                }
            });
        }))
    }

    fn partition<'r, 'a>(&self, rows: Vec<&'r [Datum<'a>]>) -> Partition<'r>
    where
        'a: 'r,
    {
        let mut groups: Vec<Range<usize>> = vec![];
        for i in 0..rows.len() {
            let same =
                i > 0 && compare_rows_by(&self.order_by, rows[i - 1], rows[i], || Ordering::Equal).is_eq();
            match groups.last_mut() {
                Some(last) if same => last.end = i + 1,
                _ => groups.push(i..i + 1),
            }
        }
        let group: Vec<usize> =
            groups.iter().enumerate().flat_map(|(g, r)| r.clone().map(move |_| g)).collect();
        let peers = group.iter().map(|g| groups[*g].clone()).collect();
        Partition { rows, peers, group, groups }
    }

    /// The values of one function, row by row.
    fn column<'a>(
        &'a self,
        call: &'a WindowCall,
        partition: &Partition<'_>,
        arena: &'a RowArena,
    ) -> Result<Vec<Datum<'a>>, EvalError>
    where
        Self: 'a,
    {
        let n = partition.rows.len();
        // Values outlive the partition: they are copied into the arena where they are not constant in size.
        let keep = |d: Datum<'_>| arena.make_datum(|p| p.push(d));
        let arg = |i: usize, at: usize| call.args.get(at).map(|c| partition.rows[i][*c]);
        match &call.func {
            WindowFunc::RowNumber => Ok((0..n).map(|i| Datum::Int64(i as i64 + 1)).collect()),
            WindowFunc::Rank => {
                Ok(partition.peers.iter().map(|p| Datum::Int64(p.start as i64 + 1)).collect())
            }
            WindowFunc::DenseRank => {
                Ok(partition.group.iter().map(|g| Datum::Int64(*g as i64 + 1)).collect())
            }
            WindowFunc::PercentRank => {
                let rank = |p: &Range<usize>| if n > 1 { p.start as f64 / (n as f64 - 1.0) } else { 0.0 };
                Ok(partition.peers.iter().map(|p| Datum::from(rank(p))).collect())
            }
            WindowFunc::CumeDist => {
                Ok(partition.peers.iter().map(|p| Datum::from(p.end as f64 / n as f64)).collect())
            }
            WindowFunc::Ntile => ntile(n, |i| arg(i, 0)),
            WindowFunc::Lag | WindowFunc::Lead => {
                let lead = call.func == WindowFunc::Lead;
                Ok((0..n).map(|i| offset_value(i, n, lead, &arg).map_or(Datum::Null, keep)).collect())
            }
            WindowFunc::FirstValue | WindowFunc::LastValue | WindowFunc::NthValue => {
                let frames = Frames::new(&call.frame, &self.order_by, partition)?;
                (0..n)
                    .map(|i| {
                        let found = framed_value(&call.func, &frames.parts(i)?, arg(i, 1))?;
                        Ok(found.and_then(|at| arg(at, 0)).map_or(Datum::Null, keep))
                    })
                    .collect()
            }
            WindowFunc::Aggregate(func) => {
                let frames = Frames::new(&call.frame, &self.order_by, partition)?;
                framed_aggregate(func, call, &frames, partition, arena)
            }
        }
    }
}

/// Buckets as equal as possible, the larger ones first.
fn ntile<'d, 'o>(n: usize, arg: impl Fn(usize) -> Option<Datum<'d>>) -> Result<Vec<Datum<'o>>, EvalError> {
    let Some(first) = (0..n).next() else { return Ok(vec![]) };
    let buckets = match arg(first) {
        Some(Datum::Int32(b)) => i64::from(b),
        Some(Datum::Int64(b)) => b,
        Some(Datum::Int16(b)) => i64::from(b),
        _ => return Ok(vec![Datum::Null; n]),
    };
    let buckets = usize::try_from(buckets).ok().filter(|b| *b > 0);
    let buckets =
        buckets.ok_or_else(|| EvalError::new("22014", "argument of ntile must be greater than zero"))?;
    let (size, larger) = (n / buckets, n % buckets);
    let bucket = |i: usize| {
        let in_larger = larger * (size + 1);
        if i < in_larger { i / (size + 1) } else { larger + (i - in_larger) / size.max(1) }
    };
    Ok((0..n).map(|i| Datum::Int32(bucket(i) as i32 + 1)).collect())
}

/// The value of `lag` or `lead`.
fn offset_value<'d>(
    i: usize,
    n: usize,
    lead: bool,
    arg: &impl Fn(usize, usize) -> Option<Datum<'d>>,
) -> Option<Datum<'d>> {
    let offset = match arg(i, 1) {
        None => 1,
        Some(Datum::Int32(o)) => i64::from(o),
        Some(Datum::Int64(o)) => o,
        Some(Datum::Int16(o)) => i64::from(o),
        Some(_) => return None,
    };
    let at = (i as i64).checked_add(if lead { offset } else { offset.checked_neg()? })?;
    match usize::try_from(at).ok().filter(|at| *at < n) {
        Some(at) => arg(at, 0),
        None => arg(i, 2),
    }
}

/// The row in the frame that `first_value`, `last_value` or `nth_value` takes.
fn framed_value(
    func: &WindowFunc,
    parts: &[Range<usize>],
    nth: Option<Datum<'_>>,
) -> Result<Option<usize>, EvalError> {
    let mut rows = parts.iter().cloned().flatten();
    match func {
        WindowFunc::FirstValue => Ok(rows.next()),
        WindowFunc::LastValue => Ok(parts.iter().rev().find(|r| !r.is_empty()).map(|r| r.end - 1)),
        _ => {
            let n = match nth {
                Some(Datum::Int32(n)) => i64::from(n),
                Some(Datum::Int64(n)) => n,
                Some(Datum::Int16(n)) => i64::from(n),
                _ => return Ok(None),
            };
            match usize::try_from(n) {
                Ok(n) if n > 0 => Ok(rows.nth(n - 1)),
                _ => Err(EvalError::new("22016", "argument of nth_value must be greater than zero")),
            }
        }
    }
}

fn framed_aggregate<'a>(
    func: &'a AggregateFunc,
    call: &WindowCall,
    frames: &Frames<'_, '_>,
    partition: &Partition<'_>,
    arena: &'a RowArena,
) -> Result<Vec<Datum<'a>>, EvalError> {
    let counted = |i: usize| call.filter.is_none_or(|f| partition.rows[i][f] == Datum::Bool(true));
    let keep = |d: Datum<'_>| arena.make_datum(|p| p.push(d));
    let mut last: Option<(Vec<Range<usize>>, Datum<'a>)> = None;
    let mut running = func.running();
    let mut covered = 0..0;
    let mut out = Vec::with_capacity(partition.rows.len());
    for i in 0..partition.rows.len() {
        let parts = frames.parts(i)?;
        if let Some((old, value)) = &last
            && *old == parts
        {
            out.push(*value);
            continue;
        }
        let value = match (&mut running, parts.as_slice(), call.frame.exclusion) {
            // The frame grows at its end only: what was seen stays.
            (Some(running), [range], FrameExclusion::NoOthers) => {
                if range.start != covered.start || range.end < covered.end {
                    running.clear();
                    covered = range.start..range.start;
                }
                for at in covered.end..range.end {
                    if counted(at) {
                        running.push(call.args.first().map(|c| partition.rows[at][*c]))?;
                    }
                }
                covered = range.clone();
                keep(running.value()?)
            }
            _ => {
                let rows: Vec<Vec<Datum<'_>>> = parts
                    .iter()
                    .cloned()
                    .flatten()
                    .filter(|at| counted(*at))
                    .map(|at| call.args.iter().map(|c| keep(partition.rows[at][*c])).collect())
                    .collect();
                func.eval(arena, &rows)?
            }
        };
        out.push(value);
        last = Some((parts, value));
    }
    Ok(out)
}
