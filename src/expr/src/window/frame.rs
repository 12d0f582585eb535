//! The rows of each row's frame.

use std::cmp::Ordering;
use std::ops::Range;

use hw_repr::adt::{CivilTimestamp, Interval, numeric};
use hw_repr::{ColumnOrder, Datum};

use super::eval::Partition;
use super::{FrameBound, FrameExclusion, FrameUnits, WindowFrame};
use crate::error::EvalError;

/// The frames over one partition.
pub(super) struct Frames<'f, 'p> {
    frame: &'f WindowFrame,
    partition: &'f Partition<'p>,
    /// The ordering column and its direction, for RANGE with offsets.
    order: Option<&'f ColumnOrder>,
    /// The rows whose ordering value is not NULL.
    present: Range<usize>,
}

/// A value that a frame with offset begins or ends at.
enum Edge<'d> {
    Int(i128),
    Float(f64),
    Value(Datum<'d>),
    /// Before or after all values.
    Beyond(Ordering),
}

impl<'f, 'p> Frames<'f, 'p> {
    pub(super) fn new(
        frame: &'f WindowFrame,
        order_by: &'f [ColumnOrder],
        partition: &'f Partition<'p>,
    ) -> Result<Self, EvalError> {
        let order = order_by.first();
        let n = partition.rows.len();
        let present = match order {
            Some(o) => {
                let null = |i: &usize| partition.rows[*i][o.column].is_null();
                let start = (0..n).find(|i| !null(i)).unwrap_or(n);
                let end = (start..n).find(null).unwrap_or(n);
                start..end
            }
            None => 0..n,
        };
        let frames = Frames { frame, partition, order, present };
        frames.check(&frame.start, "starting")?;
        frames.check(&frame.end, "ending")?;
        Ok(frames)
    }

    /// Offsets are neither NULL nor negative.
    fn check(&self, bound: &FrameBound, which: &str) -> Result<(), EvalError> {
        let (FrameBound::Preceding(at) | FrameBound::Following(at)) = bound else { return Ok(()) };
        let Some(row) = self.partition.rows.first() else { return Ok(()) };
        let negative = match row[*at] {
            Datum::Null => {
                return Err(EvalError::new("22004", format!("frame {which} offset must not be null")));
            }
            Datum::Int16(v) => v < 0,
            Datum::Int32(v) => v < 0,
            Datum::Int64(v) => v < 0,
            Datum::Float32(v) => v.0 < 0.0 || v.is_nan(),
            Datum::Float64(v) => v.0 < 0.0 || v.is_nan(),
            Datum::Numeric(v) => v < numeric::zero() || v.0.is_nan(),
            Datum::Interval(v) => v < Interval::ZERO,
            _ => false,
        };
        match (negative, self.frame.units) {
            (false, _) => Ok(()),
            (true, FrameUnits::Range) => {
                Err(EvalError::new("22013", "invalid preceding or following size in window function"))
            }
            (true, _) => Err(EvalError::new("22013", format!("frame {which} offset must not be negative"))),
        }
    }

    /// The frame of a row, as up to three ranges in order.
    pub(super) fn parts(&self, i: usize) -> Result<Vec<Range<usize>>, EvalError> {
        let start = self.edge(i, &self.frame.start, true)?;
        let end = self.edge(i, &self.frame.end, false)?.max(start);
        let peers = &self.partition.peers[i];
        let without = |gap: Range<usize>| {
            let before = start..gap.start.clamp(start, end);
            let after = gap.end.clamp(start, end)..end;
            vec![before, after]
        };
        Ok(match self.frame.exclusion {
            FrameExclusion::NoOthers => std::iter::once(start..end).collect(),
            FrameExclusion::CurrentRow => without(i..i + 1),
            FrameExclusion::Group => without(peers.clone()),
            FrameExclusion::Ties => {
                let mut parts = without(peers.clone());
                if (start..end).contains(&i) {
                    parts.insert(1, i..i + 1);
                }
                parts
            }
        })
    }

    /// Where the frame begins (`start`) or ends.
    fn edge(&self, i: usize, bound: &FrameBound, start: bool) -> Result<usize, EvalError> {
        let n = self.partition.rows.len();
        Ok(match bound {
            FrameBound::UnboundedPreceding => 0,
            FrameBound::UnboundedFollowing => n,
            FrameBound::CurrentRow => match self.frame.units {
                FrameUnits::Rows => i + usize::from(!start),
                _ if start => self.partition.peers[i].start,
                _ => self.partition.peers[i].end,
            },
            FrameBound::Preceding(at) => self.offset_edge(i, *at, false, start),
            FrameBound::Following(at) => self.offset_edge(i, *at, true, start),
        })
    }

    fn offset_edge(&self, i: usize, at: usize, following: bool, start: bool) -> usize {
        let n = self.partition.rows.len();
        let offset = self.partition.rows[i][at];
        let count = match offset {
            Datum::Int16(v) => i64::from(v),
            Datum::Int32(v) => i64::from(v),
            Datum::Int64(v) => v,
            _ => 0,
        };
        let moved =
            |from: usize| if following { (from as i64).saturating_add(count) } else { from as i64 - count };
        match self.frame.units {
            FrameUnits::Rows => {
                let at = moved(i).saturating_add(i64::from(!start));
                usize::try_from(at).unwrap_or(0).min(n)
            }
            FrameUnits::Groups => {
                let groups = &self.partition.groups;
                match usize::try_from(moved(self.partition.group[i])) {
                    Err(_) => 0,
                    Ok(g) if g >= groups.len() => n,
                    Ok(g) => {
                        if start {
                            groups[g].start
                        } else {
                            groups[g].end
                        }
                    }
                }
            }
            FrameUnits::Range => self.range_edge(i, offset, following, start),
        }
    }

    fn range_edge(&self, i: usize, offset: Datum<'_>, following: bool, start: bool) -> usize {
        let Some(order) = self.order else { return if start { 0 } else { self.partition.rows.len() } };
        let value = self.partition.rows[i][order.column];
        if value.is_null() {
            let peers = &self.partition.peers[i];
            return if start { peers.start } else { peers.end };
        }
        let edge = shift(value, offset, following != order.desc);
        let rows = &self.partition.rows[self.present.clone()];
        let inside = |row: &&[Datum<'_>]| {
            let cmp = compare(row[order.column], &edge);
            let cmp = if order.desc { cmp.reverse() } else { cmp };
            if start { cmp.is_lt() } else { cmp.is_le() }
        };
        self.present.start + rows.partition_point(inside)
    }
}

/// A value moved up or down by an offset.
fn shift<'d>(value: Datum<'d>, offset: Datum<'_>, up: bool) -> Edge<'d> {
    let beyond = Edge::Beyond(if up { Ordering::Greater } else { Ordering::Less });
    if let (Some(v), Some(o)) = (integer(value), integer(offset)) {
        return Edge::Int(if up { v + o } else { v - o });
    }
    let float = |d: Datum<'_>| match d {
        Datum::Float32(v) => Some(f64::from(v.0)),
        Datum::Float64(v) => Some(v.0),
        Datum::Numeric(v) => Some(numeric::to_f64(&v)),
        other => integer(other).map(|v| v as f64),
    };
    match (value, offset) {
        (Datum::Float32(_) | Datum::Float64(_), o) => match (float(value), float(o)) {
            (Some(v), Some(o)) => Edge::Float(if up { v + o } else { v - o }),
            _ => beyond,
        },
        (Datum::Numeric(v), o) => {
            let o = match o {
                Datum::Numeric(o) => Some(o),
                other => integer(other).and_then(|o| numeric::from_i128(o).ok()),
            };
            let moved = o.and_then(|o| if up { numeric::add(&v, &o) } else { numeric::sub(&v, &o) }.ok());
            moved.map_or(beyond, |v| Edge::Value(Datum::Numeric(v)))
        }
        (_, Datum::Interval(o)) => {
            let moved = |t: CivilTimestamp| if up { t.add_interval(&o) } else { t.sub_interval(&o) }.ok();
            let micros =
                |us: i64| i128::from(us) + if up { i128::from(o.micros) } else { -i128::from(o.micros) };
            match value {
                Datum::Timestamp(t) => moved(t).map_or(beyond, |t| Edge::Value(Datum::Timestamp(t))),
                Datum::TimestampTz(t) => moved(t).map_or(beyond, |t| Edge::Value(Datum::TimestampTz(t))),
                Datum::Date(d) => {
                    let t = d.to_timestamp().ok().and_then(moved);
                    t.map_or(beyond, |t| Edge::Value(Datum::Timestamp(t)))
                }
                Datum::Time(t) => Edge::Int(micros(t.0)),
                Datum::Interval(v) => {
                    let moved = if up { v.checked_add(&o) } else { v.checked_sub(&o) };
                    moved.map_or(beyond, |v| Edge::Value(Datum::Interval(v)))
                }
                _ => beyond,
            }
        }
        _ => beyond,
    }
}

fn integer(d: Datum<'_>) -> Option<i128> {
    Some(match d {
        Datum::Int16(v) => v.into(),
        Datum::Int32(v) => v.into(),
        Datum::Int64(v) => v.into(),
        Datum::UInt16(v) => v.into(),
        Datum::UInt32(v) => v.into(),
        Datum::UInt64(v) | Datum::MzTimestamp(v) => v.into(),
        _ => return None,
    })
}

fn compare(value: Datum<'_>, edge: &Edge<'_>) -> Ordering {
    match (value, edge) {
        (_, Edge::Beyond(side)) => side.reverse(),
        (Datum::Time(t), Edge::Int(e)) => i128::from(t.0).cmp(e),
        (v, Edge::Int(e)) => integer(v).map_or(Ordering::Less, |v| v.cmp(e)),
        (Datum::Float32(v), Edge::Float(e)) => ordered_float::OrderedFloat(f64::from(v.0)).cmp(&(*e).into()),
        (Datum::Float64(v), Edge::Float(e)) => v.cmp(&(*e).into()),
        (Datum::Date(d), Edge::Value(Datum::Timestamp(t))) => {
            d.to_timestamp().map_or(Ordering::Less, |d| d.cmp(t))
        }
        (v, Edge::Value(e)) => v.cmp(e),
        _ => Ordering::Less,
    }
}
