//! Where the containers of a value would begin in PostgreSQL's binary form: `.keyvalue()` gives these numbers as ids.
//!
//! A container is four bytes, four for each key and each value, then the keys, then the values. Numbers and containers
//! are aligned to four bytes; a number is four bytes of length, two of header, and two for each four digits.

use std::collections::HashMap;

use hw_repr::Datum;
use hw_repr::adt::{Numeric, numeric};

/// The offsets of all containers in a value, by where they are in memory.
pub(super) fn offsets(root: Datum<'_>) -> HashMap<usize, i64> {
    let mut out = HashMap::new();
    place(root, 0, &mut out);
    out
}

/// What tells a container from all others of a value.
pub(super) fn address(d: Datum<'_>) -> Option<usize> {
    match d {
        Datum::JsonArray(l) => Some(l.packed().as_ptr() as usize),
        Datum::Map(m) => Some(m.packed().as_ptr() as usize),
        _ => None,
    }
}

fn aligned(at: i64) -> i64 {
    (at + 3) & !3
}

/// Lays out a value from an offset on; gives the offset after it.
fn place(d: Datum<'_>, at: i64, out: &mut HashMap<usize, i64>) -> i64 {
    match d {
        Datum::String(s) => at + s.len() as i64,
        Datum::Numeric(n) => aligned(at) + 6 + 2 * groups(&n),
        Datum::JsonArray(_) | Datum::Map(_) => stacker::maybe_grow(32 << 10, 1 << 20, || {
            let start = aligned(at);
            if let Some(address) = address(d) {
                out.insert(address, start);
            }
            match d {
                Datum::JsonArray(l) => {
                    let body = start + 4 + 4 * l.iter().count() as i64;
                    l.iter().fold(body, |at, e| place(e, at, out))
                }
                Datum::Map(m) => {
                    let (count, keys) =
                        m.iter().fold((0, 0), |(n, len), (k, _)| (n + 1, len + k.len() as i64));
                    m.iter().fold(start + 4 + 8 * count + keys, |at, (_, v)| place(v, at, out))
                }
                _ => start,
            }
        }),
        _ => at,
    }
}

/// How many groups of four digits, counted from the point, hold the digits of a number.
fn groups(n: &Numeric) -> i64 {
    let (digits, exponent) = numeric::digits(n);
    let Some(first) = digits.iter().position(|d| *d != 0) else { return 0 };
    let last = digits.iter().rposition(|d| *d != 0).unwrap_or(first);
    let power = |at: usize| i64::from(exponent) + (digits.len() - 1 - at) as i64;
    power(first).div_euclid(4) - power(last).div_euclid(4) + 1
}
