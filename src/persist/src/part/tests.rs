//! Tests of part.

#![allow(clippy::unwrap_used)]

use hw_repr::adt::{CivilTimestamp, Date};
use hw_repr::{Datum, Row};
use proptest::prelude::*;

use super::*;
use crate::types::{Entry, ErrorPayload};

fn decoded(bytes: &[u8]) -> Result<Vec<Update>, crate::PersistError> {
    let mut out = Vec::new();
    decode_part(bytes, &mut |u| out.push(u))?;
    Ok(out)
}

#[derive(Debug, Clone)]
enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Small(i16),
    Float(f64),
    Text(String),
    Date(i32),
    Time(i64),
    List(Vec<i64>),
}

fn push(row: &mut Row, value: &Value) {
    let mut packer = row.appender();
    match value {
        Value::Null => packer.push(Datum::Null),
        Value::Bool(b) => packer.push(Datum::Bool(*b)),
        Value::Int(i) => packer.push(Datum::Int64(*i)),
        Value::Small(i) => packer.push(Datum::Int16(*i)),
        Value::Float(f) => packer.push(Datum::Float64((*f).into())),
        Value::Text(s) => packer.push(Datum::String(s)),
        Value::Date(d) => packer.push(Datum::Date(Date(*d))),
        Value::Time(t) => packer.push(Datum::Timestamp(CivilTimestamp(*t))),
        Value::List(l) => packer.push_list(l.iter().map(|i| Datum::Int64(*i))),
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-3..3i64).prop_map(Value::Int),
        any::<i16>().prop_map(Value::Small),
        any::<f64>().prop_map(Value::Float),
        ".{0,8}".prop_map(Value::Text),
        "a{0,400}".prop_map(Value::Text),
        (-1000..1000i32).prop_map(Value::Date),
        (0..1_000_000_000i64).prop_map(Value::Time),
        prop::collection::vec(any::<i64>(), 0..4).prop_map(Value::List),
    ]
}

fn entry(arity: std::ops::Range<usize>) -> impl Strategy<Value = Entry> {
    let row = prop::collection::vec(value(), arity).prop_map(|values| {
        let mut row = Row::default();
        values.iter().for_each(|v| push(&mut row, v));
        Ok(row)
    });
    let error = prop::collection::vec(any::<u8>(), 0..20).prop_map(|b| Err(ErrorPayload::new(b)));
    prop_oneof![9 => row, 1 => error]
}

fn updates(arity: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Update>> {
    let ts = prop_oneof![0..4u64, any::<u64>()];
    let diff = prop_oneof![Just(1i64), -2..3i64, any::<i64>()];
    prop::collection::vec((entry(arity), ts, diff), 0..60).prop_map(|mut updates| {
        consolidate(&mut updates);
        updates
    })
}

proptest! {
    #[test]
    fn parts_round_trip(updates in updates(3..4)) {
        prop_assert_eq!(decoded(&encode_part(&updates)).unwrap(), updates);
    }

    #[test]
    fn parts_of_mixed_arity_round_trip(updates in updates(0..4)) {
        prop_assert_eq!(decoded(&encode_part(&updates)).unwrap(), updates);
    }

    #[test]
    fn inline_batches_round_trip(updates in updates(0..4)) {
        let mut out = Vec::new();
        inline::decode(&inline::encode(&updates), &mut |u| out.push(u)).unwrap();
        prop_assert_eq!(out, updates);
    }

    #[test]
    fn damage_is_an_error(updates in updates(2..3), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = encode_part(&updates).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decoded(&bytes).is_err());
        bytes[at] ^= 1 << bit;
        prop_assert!(decoded(&bytes[..at]).is_err());
    }

    #[test]
    fn malformed_columns_do_not_panic(
        data in prop::collection::vec(any::<u8>(), 0..80), kind in 0..4u8, width in 0..20u8, rows in 0..40usize
    ) {
        let encoding = [Encoding::Constant, Encoding::Plain, Encoding::Fixed(width), Encoding::Dictionary];
        if let Some(mut reader) = column::ColumnReader::new(encoding[usize::from(kind)], data, rows) {
            let mut out = Vec::new();
            for _ in 0..rows {
                out.clear();
                if reader.next_into(&mut out).is_none() {
                    break;
                }
                prop_assert!(Row::from_untrusted_bytes(&out).is_some());
            }
        }
    }

    #[test]
    fn consolidation_adds_up(mut updates in prop::collection::vec((entry(1..2), 0..3u64, -2..3i64), 0..50)) {
        let mut model = std::collections::BTreeMap::new();
        for (entry, ts, diff) in &updates {
            *model.entry((entry.clone(), *ts)).or_insert(0) += diff;
        }
        model.retain(|_, d| *d != 0);
        consolidate(&mut updates);
        let model: Vec<_> = model.into_iter().map(|((e, t), d)| (e, t, d)).collect();
        prop_assert_eq!(updates, model);
    }
}

#[test]
fn columns_are_encoded_by_their_values_and_have_statistics() {
    let mut updates: Vec<Update> = (0..1000i64)
        .map(|i| {
            let name = format!("name {i}");
            let long = "x".repeat(100 + i as usize % 7);
            let row = Row::pack_slice(&[
                Datum::Int64(7),
                Datum::Int64(i + 1_000_000),
                Datum::String(if i % 2 == 0 { "even" } else { "odd" }),
                if i % 10 == 0 { Datum::Null } else { Datum::String(&name) },
                Datum::String(&long),
            ]);
            (Ok(row), 5, 1)
        })
        .collect();
    consolidate(&mut updates);
    let bytes = encode_part(&updates);
    let (header, _) = decode_header(&bytes).unwrap();
    let encodings: Vec<_> = header.columns.iter().map(|c| c.encoding).collect();
    assert_eq!(
        encodings,
        [Encoding::Constant, Encoding::Fixed(4), Encoding::Dictionary, Encoding::Plain, Encoding::Dictionary]
    );
    let bound = |bytes: &Option<Bytes>| Row::from_untrusted_bytes(bytes.as_ref().unwrap()).unwrap();
    assert_eq!(bound(&header.columns[1].stats.min), Row::pack_slice(&[Datum::Int64(1_000_000)]));
    assert_eq!(bound(&header.columns[1].stats.max), Row::pack_slice(&[Datum::Int64(1_000_999)]));
    assert_eq!(header.columns[3].stats.nulls, 100);
    assert_eq!(bound(&header.columns[3].stats.min), Row::pack_slice(&[Datum::String("name 1")]));
    assert!(bound(&header.columns[4].stats.min).unpack_first() < Datum::String(&"x".repeat(100)));
    assert_eq!(header.columns[4].stats.max, None);
    assert_eq!((header.times, header.diffs), ((5, 5), (1, 1)));
}
