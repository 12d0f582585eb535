//! [`crate::scalar::canonical_key`]: values that SQL calls equal become equal bytes.
//!
//! Numerics lose the zeros of their scale, intervals become their comparable length, `character` its blanks;
//! containers and `jsonb` are rewritten through and through.

use hw_repr::adt::{Interval, numeric};
use hw_repr::{Datum, Row, RowArena, RowPacker, ScalarType};

use super::signature::{element_type, f};
use crate::func::{Registry, Role};
use crate::scalar::is_canonical;

pub(super) fn register(r: &mut Registry) {
    r.add(
        f("hw_canonical_key(Any) -> $1 total internal", |cx, arena, a| {
            Ok(canonical(a[0], &cx.types.args[0], arena))
        })
        .role(Role::CanonicalKey),
    );
}

/// The representative of a value's class of equal values.
pub(crate) fn canonical<'a>(d: Datum<'a>, typ: &ScalarType, arena: &'a RowArena) -> Datum<'a> {
    match d {
        Datum::Numeric(n) => Datum::Numeric(numeric::trim_scale(&n)),
        Datum::Interval(i) => canonical_interval(i),
        Datum::String(s) if matches!(typ, ScalarType::Char { .. }) => Datum::String(s.trim_end_matches(' ')),
        Datum::JsonArray(_) | Datum::List(_) | Datum::Map(_) | Datum::Array(_) | Datum::Range(_)
            if !is_canonical(typ) || holds_numeric(typ) =>
        {
            arena.make_datum(|p| pack(d, typ, p))
        }
        other => other,
    }
}

fn holds_numeric(typ: &ScalarType) -> bool {
    match typ {
        ScalarType::Numeric { .. } | ScalarType::Jsonb | ScalarType::Char { .. } => true,
        ScalarType::Record { fields, .. } => fields.iter().any(|(_, t)| holds_numeric(&t.scalar_type)),
        ScalarType::Array(_) | ScalarType::List { .. } | ScalarType::Map { .. } | ScalarType::Range(_) => {
            holds_numeric(&element_type(typ))
        }
        _ => false,
    }
}

fn canonical_interval(i: Interval) -> Datum<'static> {
    let us = i.comparable_us();
    let day = i128::from(Interval::US_PER_DAY);
    let days = us / day;
    let micros = (us % day) as i64;
    // Days alone may not fit; months of 30 days take what is above.
    let per_month = i128::from(Interval::DAYS_PER_MONTH);
    let (months, days) = match i32::try_from(days) {
        Ok(days) => (0, days),
        Err(_) => ((days / per_month) as i32, (days % per_month) as i32),
    };
    Datum::Interval(Interval { months, days, micros })
}

fn pack(d: Datum<'_>, typ: &ScalarType, p: &mut RowPacker<'_>) {
    match d {
        Datum::List(l) => p.push_list_with(|p| match typ {
            ScalarType::Record { fields, .. } => {
                for (d, (_, t)) in l.iter().zip(fields) {
                    pack(d, &t.scalar_type, p);
                }
            }
            _ => {
                let element = element_type(typ);
                l.iter().for_each(|d| pack(d, &element, p));
            }
        }),
        Datum::JsonArray(l) => p.push_json_array_with(|p| l.iter().for_each(|d| pack(d, typ, p))),
        Datum::Map(m) => p.push_map_with(|p| {
            let value = element_type(typ);
            for (k, v) in m.iter() {
                p.push(Datum::String(k));
                pack(v, &value, p);
            }
        }),
        Datum::Array(array) => {
            let dims: Vec<_> = array.dims().collect();
            let element = element_type(typ);
            p.push_array_with(&dims, |p| array.elements().iter().for_each(|d| pack(d, &element, p)));
        }
        Datum::Range(range) if range.is_empty() => p.push_empty_range(),
        Datum::Range(range) => {
            let element = element_type(typ);
            let bound = |d: Option<Datum<'_>>| {
                d.map(|d| {
                    let mut row = Row::default();
                    pack(d, &element, &mut row.packer());
                    row
                })
            };
            let (lower, upper) = (bound(range.lower()), bound(range.upper()));
            p.push_range(
                lower.as_ref().map(|r| (r.unpack_first(), range.lower_inc())),
                upper.as_ref().map(|r| (r.unpack_first(), range.upper_inc())),
            );
        }
        Datum::Numeric(n) => p.push(Datum::Numeric(numeric::trim_scale(&n))),
        Datum::Interval(i) => p.push(canonical_interval(i)),
        Datum::String(s) if matches!(typ, ScalarType::Char { .. }) => {
            p.push(Datum::String(s.trim_end_matches(' ')))
        }
        other => p.push(other),
    }
}
