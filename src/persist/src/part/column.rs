//! Encodings of one column and of integers.

use std::collections::HashMap;

use bytes::Bytes;
use hw_repr::Datum;
use hw_repr::row::{read_first, split_packed};
use serde::{Deserialize, Serialize};

use super::{ColumnStats, STAT_BYTES_MAX};

/// A dictionary has at most so many values.
const DICTIONARY_MAX: usize = 1 << 12;

/// How the values of a column are encoded, see [`crate::part`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// One datum for all rows.
    Constant,
    /// Datums back to back.
    Plain,
    /// One tag, then payloads of so many bytes.
    Fixed(u8),
    /// Distinct datums, then a code for each row.
    Dictionary,
}

/// Encodes a column of packed datums.
pub(super) fn encode(values: &[&[u8]]) -> (Encoding, Vec<u8>, ColumnStats) {
    let Some(first) = values.first() else { return (Encoding::Plain, Vec::new(), ColumnStats::default()) };
    if let Some((distinct, codes)) = dictionary(values) {
        let mut counts = vec![0u64; distinct.len()];
        codes.iter().for_each(|c| counts[usize::from(*c)] += 1);
        let stats = stats(distinct.iter().copied().zip(counts));
        if distinct.len() == 1 {
            return (Encoding::Constant, first.to_vec(), stats);
        }
        let mut out = (distinct.len() as u16).to_le_bytes().to_vec();
        distinct.iter().for_each(|d| out.extend_from_slice(d));
        if distinct.len() <= 256 {
            out.extend(codes.iter().map(|c| *c as u8));
        } else {
            codes.iter().for_each(|c| out.extend_from_slice(&c.to_le_bytes()));
        }
        return (Encoding::Dictionary, out, stats);
    }
    let stats = stats(values.iter().map(|v| (*v, 1)));
    // The tag says the length unless it is that of a variable-length kind, whose payload then begins with the length.
    let fixed =
        (2..=17).contains(&first.len()) && values.iter().all(|v| v.len() == first.len() && v[0] == first[0]);
    if fixed {
        let width = first.len() - 1;
        let mut out = Vec::with_capacity(1 + values.len() * width);
        out.push(first[0]);
        values.iter().for_each(|v| out.extend_from_slice(&v[1..]));
        return (Encoding::Fixed(width as u8), out, stats);
    }
    (Encoding::Plain, values.concat(), stats)
}

/// The distinct values and each row's code, when there are few enough to be worth it.
fn dictionary<'a>(values: &[&'a [u8]]) -> Option<(Vec<&'a [u8]>, Vec<u16>)> {
    let limit = DICTIONARY_MAX.min(values.len() / 4 + 1);
    let mut codes = Vec::with_capacity(values.len());
    let mut distinct: Vec<&[u8]> = Vec::new();
    let mut index: HashMap<&[u8], u16> = HashMap::new();
    let mut last: Option<(&[u8], u16)> = None;
    for (i, value) in values.iter().enumerate() {
        if let Some((v, code)) = last
            && v == *value
        {
            codes.push(code);
            continue;
        }
        let next = distinct.len() as u16;
        let code = *index.entry(value).or_insert_with(|| {
            distinct.push(value);
            next
        });
        // Give up early on a column of mostly distinct values.
        if distinct.len() > limit || (i == 512 && distinct.len() > 384) {
            return None;
        }
        codes.push(code);
        last = Some((value, code));
    }
    Some((distinct, codes))
}

fn stats<'a>(values: impl Iterator<Item = (&'a [u8], u64)>) -> ColumnStats {
    let mut nulls = 0;
    type Value<'v> = (Datum<'v>, &'v [u8]);
    let mut range: Option<(Value<'a>, Value<'a>)> = None;
    for (bytes, count) in values {
        let datum = read_first(bytes).expect("a packed datum is not empty");
        if datum.is_null() {
            nulls += count;
            continue;
        }
        range = Some(match range {
            None => ((datum, bytes), (datum, bytes)),
            Some((min, max)) => (
                if datum < min.0 { (datum, bytes) } else { min },
                if datum > max.0 { (datum, bytes) } else { max },
            ),
        });
    }
    let Some((min, max)) = range else { return ColumnStats { nulls, min: None, max: None } };
    let whole = |bytes: &[u8]| (bytes.len() <= STAT_BYTES_MAX).then(|| Bytes::copy_from_slice(bytes));
    let min_bytes = whole(min.1).or_else(|| cut(min.0));
    ColumnStats { nulls, min: min_bytes, max: whole(max.1) }
}

/// A prefix of a long string, which is not greater than it.
fn cut(datum: Datum<'_>) -> Option<Bytes> {
    const KEEP: usize = STAT_BYTES_MAX - 2;
    let row = match datum {
        Datum::String(s) => hw_repr::Row::pack_slice(&[Datum::String(&s[..s.floor_char_boundary(KEEP)])]),
        Datum::Bytes(b) => hw_repr::Row::pack_slice(&[Datum::Bytes(&b[..KEEP.min(b.len())])]),
        _ => return None,
    };
    Some(Bytes::copy_from_slice(row.data()))
}

/// A decoded column: gives its values row by row, in order.
#[derive(Debug)]
pub(super) enum ColumnReader {
    Constant { data: Vec<u8> },
    Plain { data: Vec<u8>, at: usize },
    Fixed { data: Vec<u8>, at: usize, width: usize },
    Dictionary { data: Vec<u8>, values: Vec<(u32, u32)>, at: usize, wide: bool },
}

impl ColumnReader {
    /// Checks what can be checked at once; `None` when the bytes are malformed.
    pub(super) fn new(encoding: Encoding, data: Vec<u8>, rows: usize) -> Option<ColumnReader> {
        match encoding {
            Encoding::Constant => {
                let (_, rest) = split_packed(&data)?;
                rest.is_empty().then_some(())?;
                Some(ColumnReader::Constant { data })
            }
            Encoding::Plain => Some(ColumnReader::Plain { data, at: 0 }),
            Encoding::Fixed(width) => {
                let width = usize::from(width);
                (data.len() == rows.checked_mul(width)?.checked_add(1)?).then_some(())?;
                Some(ColumnReader::Fixed { data, at: 1, width })
            }
            Encoding::Dictionary => {
                let count = usize::from(u16::from_le_bytes(*data.first_chunk::<2>()?));
                let wide = count > 256;
                let mut at = 2;
                let mut values = Vec::with_capacity(count);
                for _ in 0..count {
                    let (value, _) = split_packed(data.get(at..)?)?;
                    values.push((at as u32, (at + value.len()) as u32));
                    at += value.len();
                }
                (data.len() - at == rows.checked_mul(if wide { 2 } else { 1 })?).then_some(())?;
                Some(ColumnReader::Dictionary { data, values, at, wide })
            }
        }
    }

    /// Appends the next value to `out`; `None` when the bytes are malformed.
    pub(super) fn next_into(&mut self, out: &mut Vec<u8>) -> Option<()> {
        match self {
            ColumnReader::Constant { data } => out.extend_from_slice(data),
            ColumnReader::Plain { data, at } => {
                let (value, _) = split_packed(&data[*at..])?;
                *at += value.len();
                out.extend_from_slice(value);
            }
            ColumnReader::Fixed { data, at, width } => {
                let start = out.len();
                out.push(data[0]);
                out.extend_from_slice(data.get(*at..*at + *width)?);
                *at += *width;
                let (_, rest) = split_packed(&out[start..])?;
                rest.is_empty().then_some(())?;
            }
            ColumnReader::Dictionary { data, values, at, wide } => {
                let code = if *wide {
                    usize::from(u16::from_le_bytes([*data.get(*at)?, *data.get(*at + 1)?]))
                } else {
                    usize::from(*data.get(*at)?)
                };
                *at += if *wide { 2 } else { 1 };
                let (from, to) = *values.get(code)?;
                out.extend_from_slice(&data[from as usize..to as usize]);
            }
        }
        Some(())
    }
}

/// Encodes integers as offsets from their least in the fewest bytes.
pub(super) fn encode_offsets(offsets: impl Iterator<Item = u64>, span: u64) -> Vec<u8> {
    let width = offset_width(span);
    let mut out = Vec::new();
    if width > 0 {
        offsets.for_each(|o| out.extend_from_slice(&o.to_le_bytes()[..width]));
    }
    out
}

/// How many bytes an offset takes when the greatest is `span`.
pub(super) fn offset_width(span: u64) -> usize {
    match span {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// Reads an offset; the caller has checked the length.
pub(super) fn read_offset(data: &[u8], width: usize, index: usize) -> u64 {
    let mut word = [0u8; 8];
    word[..width].copy_from_slice(&data[index * width..(index + 1) * width]);
    u64::from_le_bytes(word)
}
