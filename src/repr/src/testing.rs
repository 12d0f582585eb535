//! Random types and values for property tests.

use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use crate::adt::numeric::{self, Numeric};
use crate::adt::{CivilTimestamp, Date, Interval, Time};
use crate::datum::{ArrayDimension, Datum};
use crate::row::Row;
use crate::types::{ColumnType, NumericTypmod, ScalarType};

/// Any type, containers nested at most a few levels.
pub fn arb_scalar_type() -> BoxedStrategy<ScalarType> {
    let modified = prop_oneof![
        (1u8..=39).prop_flat_map(|p| (Just(p), 0..=p)).prop_map(|(precision, scale)| ScalarType::Numeric {
            typmod: Some(NumericTypmod { precision, scale })
        }),
        (1u32..20).prop_map(|n| ScalarType::VarChar { max_length: Some(n) }),
        (1u32..20).prop_map(|n| ScalarType::Char { length: Some(n) }),
        (0u8..=6).prop_map(|p| ScalarType::Timestamp { precision: Some(p) }),
        (0u8..=6).prop_map(|p| ScalarType::TimestampTz { precision: Some(p) }),
    ];
    let builtins: Vec<ScalarType> = ScalarType::builtins().collect();
    let leaf = prop_oneof![4 => proptest::sample::select(builtins), 1 => modified];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|t| match t {
                // PostgreSQL has no arrays of these that read back without their element's type.
                ScalarType::Array(e) => ScalarType::Array(e),
                t => t.array_of(),
            }),
            inner.clone().prop_map(ScalarType::list_of),
            inner.clone().prop_map(|t| ScalarType::Map { value: Box::new(t), custom_id: None }),
            vec(inner, 0..4).prop_map(|types| ScalarType::Record {
                fields: types
                    .into_iter()
                    .enumerate()
                    .map(|(i, t)| (format!("f{i}"), t.nullable(true)))
                    .collect(),
                custom_id: None,
            }),
        ]
    })
    .boxed()
}

/// A row of one datum of each column's type, NULL where that is allowed.
pub fn arb_row(columns: &[ColumnType]) -> BoxedStrategy<Row> {
    let values: Vec<BoxedStrategy<Row>> = columns.iter().map(arb_column_value).collect();
    values
        .prop_map(|values| {
            let mut row = Row::default();
            let mut packer = row.packer();
            values.iter().for_each(|v| packer.extend_packed(v.data()));
            row
        })
        .boxed()
}

/// A row of one datum of the column's type, NULL where that is allowed.
pub fn arb_column_value(column: &ColumnType) -> BoxedStrategy<Row> {
    let value = arb_value(&column.scalar_type);
    if column.nullable { prop_oneof![1 => null(), 6 => value].boxed() } else { value }
}

fn null() -> BoxedStrategy<Row> {
    Just(Row::pack_slice(&[Datum::Null])).boxed()
}

fn nullable(typ: &ScalarType) -> BoxedStrategy<Row> {
    prop_oneof![1 => null(), 6 => arb_value(typ)].boxed()
}

fn one<T: std::fmt::Debug>(
    strategy: impl Strategy<Value = T> + 'static,
    datum: impl Fn(&T) -> Datum<'_> + 'static,
) -> BoxedStrategy<Row> {
    strategy.prop_map(move |v| Row::pack_slice(&[datum(&v)])).boxed()
}

/// A numeric of at most 39 digits, NaN and the infinities now and then.
pub fn arb_numeric() -> BoxedStrategy<Numeric> {
    let finite = (any::<bool>(), vec(0u8..10, 0..=39), 0i64..=39).prop_map(|(negative, digits, scale)| {
        numeric::from_digits(negative, &digits, -scale).expect("39 digits fit")
    });
    let special = prop_oneof![
        Just(numeric::nan()),
        Just(numeric::infinity()),
        Just(numeric::neg_infinity()),
        Just(numeric::zero()),
    ];
    prop_oneof![8 => finite, 1 => special].boxed()
}

/// Text that is hard to quote.
pub fn arb_text() -> BoxedStrategy<String> {
    prop_oneof!["[ -~]{0,12}", "[{}\"\\\\,() \t\n=>a\\[\\]]{0,8}", "\\PC{0,6}", Just("NULL".to_owned())]
        .boxed()
}

fn arb_date() -> BoxedStrategy<Date> {
    prop_oneof![
        8 => (-1_000_000..100_000).prop_map(Date),
        2 => (Date::MIN.0..=Date::MAX.0).prop_map(Date),
        1 => Just(Date::INFINITY),
        1 => Just(Date::NEG_INFINITY),
    ]
    .boxed()
}

fn arb_timestamp(precision: Option<u8>) -> BoxedStrategy<CivilTimestamp> {
    let common = -2_000_000_000_000_000i64..2_000_000_000_000_000;
    prop_oneof![
        8 => common.prop_map(CivilTimestamp),
        2 => (CivilTimestamp::MIN.0..=CivilTimestamp::MAX.0 - 1_000_000).prop_map(CivilTimestamp),
        1 => Just(CivilTimestamp::INFINITY),
        1 => Just(CivilTimestamp::NEG_INFINITY),
    ]
    .prop_map(move |t| t.round(precision).unwrap_or(t))
    .boxed()
}

fn arb_interval() -> BoxedStrategy<Interval> {
    (-100_000i32..100_000, -100_000i32..100_000, -1_000_000_000_000_000i64..1_000_000_000_000_000)
        .prop_map(|(months, days, micros)| Interval { months, days, micros })
        .boxed()
}

/// JSON text with repeated keys, nesting and all kinds of values.
fn arb_json() -> BoxedStrategy<serde_json::Value> {
    use serde_json::Value;
    let number = arb_numeric().prop_filter_map("JSON numbers are finite", |n| {
        if n.0.is_special() { None } else { numeric::to_string(&n).parse().ok().map(Value::Number) }
    });
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number,
        arb_text().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((arb_text(), inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
    .boxed()
}

/// A row of one datum of the type, not NULL.
pub fn arb_value(typ: &ScalarType) -> BoxedStrategy<Row> {
    match typ {
        ScalarType::Bool => one(any::<bool>(), |v| Datum::Bool(*v)),
        ScalarType::Int16 => one(any::<i16>(), |v| Datum::Int16(*v)),
        ScalarType::Int32 => one(any::<i32>(), |v| Datum::Int32(*v)),
        ScalarType::Int64 => one(any::<i64>(), |v| Datum::Int64(*v)),
        ScalarType::UInt16 => one(any::<u16>(), |v| Datum::UInt16(*v)),
        ScalarType::UInt32
        | ScalarType::Oid
        | ScalarType::RegClass
        | ScalarType::RegProc
        | ScalarType::RegType
        | ScalarType::RegNamespace
        | ScalarType::RegRole => one(any::<u32>(), |v| Datum::UInt32(*v)),
        ScalarType::UInt64 => one(any::<u64>(), |v| Datum::UInt64(*v)),
        ScalarType::Float32 => one(any::<f32>(), |v| Datum::from(*v)),
        ScalarType::Float64 => one(any::<f64>(), |v| Datum::from(*v)),
        ScalarType::Numeric { typmod: None } => one(arb_numeric(), |v| Datum::Numeric(*v)),
        ScalarType::Numeric { typmod: Some(t) } => {
            let t = *t;
            let digits = vec(0u8..10, 0..=usize::from(t.precision));
            let value = (any::<bool>(), digits).prop_map(move |(negative, digits)| {
                numeric::from_digits(negative, &digits, -i64::from(t.scale)).expect("39 digits fit")
            });
            one(value, |v| Datum::Numeric(*v))
        }
        ScalarType::String | ScalarType::MzAclItem => one(arb_text(), |v| Datum::String(v)),
        ScalarType::VarChar { max_length } | ScalarType::Char { length: max_length } => {
            let limit = max_length.map(|n| n as usize);
            let pad = matches!(typ, ScalarType::Char { .. });
            let text = arb_text().prop_map(move |t| {
                let Some(n) = limit else { return t };
                let mut out: String = t.chars().take(n).collect();
                let missing = n - out.chars().count();
                out.extend(std::iter::repeat_n(' ', if pad { missing } else { 0 }));
                out
            });
            one(text, |v| Datum::String(v))
        }
        ScalarType::PgLegacyChar => one("[a-z]?", |v| Datum::String(v)),
        ScalarType::PgLegacyName => one("[ -~]{0,63}", |v| Datum::String(v)),
        ScalarType::Bytes => one(vec(any::<u8>(), 0..12), |v| Datum::Bytes(v)),
        ScalarType::Date => one(arb_date(), |v| Datum::Date(*v)),
        ScalarType::Time => one(0..=Interval::US_PER_DAY, |v| Datum::Time(Time(*v))),
        ScalarType::Timestamp { precision } => one(arb_timestamp(*precision), |v| Datum::Timestamp(*v)),
        ScalarType::TimestampTz { precision } => one(arb_timestamp(*precision), |v| Datum::TimestampTz(*v)),
        ScalarType::Interval => one(arb_interval(), |v| Datum::Interval(*v)),
        ScalarType::Uuid => one(any::<[u8; 16]>(), |v| Datum::Uuid(Uuid::from_bytes(*v))),
        ScalarType::MzTimestamp => one(any::<u64>(), |v| Datum::MzTimestamp(*v)),
        ScalarType::Jsonpath => one(
            proptest::sample::select(
                &["$", "strict $.\"a\"[*]", "($[1,last]?(@ > 1 || !(@ == \"x\")) + 2)"][..],
            ),
            |v| Datum::String(v),
        ),
        ScalarType::Jsonb => arb_json()
            .prop_map(|v| {
                let mut row = Row::default();
                crate::adt::jsonb::pack(&v, &mut row.packer()).expect("the value is a jsonb");
                row
            })
            .boxed(),
        ScalarType::Int2Vector => vec(any::<i16>(), 0..4).prop_map(|v| array_row(v, 0)).boxed(),
        ScalarType::Array(element) => arb_array(element),
        ScalarType::List { element, .. } => vec(nullable(element), 0..4)
            .prop_map(|v| wrap(|p| p.push_list(v.iter().map(Row::unpack_first))))
            .boxed(),
        ScalarType::Map { value, .. } => proptest::collection::btree_map(arb_text(), nullable(value), 0..4)
            .prop_map(|m| {
                wrap(|p| {
                    p.push_map_with(|p| {
                        for (k, v) in &m {
                            p.push(Datum::String(k));
                            p.push(v.unpack_first());
                        }
                    });
                })
            })
            .boxed(),
        ScalarType::Record { fields, .. } => {
            let columns: Vec<ColumnType> = fields.iter().map(|(_, t)| t.clone()).collect();
            arb_row(&columns).prop_map(|r| wrap(|p| p.push_list(r.iter()))).boxed()
        }
        ScalarType::Range(element) => arb_range(element),
    }
}

fn wrap(f: impl FnOnce(&mut crate::row::RowPacker<'_>)) -> Row {
    let mut row = Row::default();
    f(&mut row.packer());
    row
}

fn array_row(values: Vec<i16>, lower_bound: i32) -> Row {
    let dim = [ArrayDimension { lower_bound, length: values.len() as u32 }];
    let dims: &[ArrayDimension] = if values.is_empty() { &[] } else { &dim };
    wrap(|p| p.push_array_with(dims, |p| p.extend(values.iter().map(|v| Datum::Int16(*v)))))
}

fn arb_array(element: &ScalarType) -> BoxedStrategy<Row> {
    let mut element = element.clone();
    while let ScalarType::Array(inner) = element {
        element = *inner;
    }
    vec((1u32..4, -3i32..4), 0..3)
        .prop_flat_map(move |dims| {
            let count = if dims.is_empty() { 0 } else { dims.iter().map(|d| d.0 as usize).product() };
            (Just(dims), vec(nullable(&element), count))
        })
        .prop_map(|(dims, values)| {
            let dims: Vec<ArrayDimension> = dims
                .into_iter()
                .map(|(length, lower_bound)| ArrayDimension { lower_bound, length })
                .collect();
            wrap(|p| p.push_array_with(&dims, |p| p.extend(values.iter().map(Row::unpack_first))))
        })
        .boxed()
}

fn arb_range(element: &ScalarType) -> BoxedStrategy<Row> {
    let bound = || proptest::option::of((arb_value(element), any::<bool>()));
    (bound(), bound())
        .prop_map(|(a, b)| {
            let (mut lower, mut upper) = (a, b);
            if let (Some(l), Some(u)) = (&lower, &upper)
                && l.0.unpack_first() > u.0.unpack_first()
            {
                std::mem::swap(&mut lower, &mut upper);
            }
            let mut row = Row::default();
            let packed = crate::text::range::pack(
                lower.as_ref().map(|(r, i)| (r.unpack_first(), *i)),
                upper.as_ref().map(|(r, i)| (r.unpack_first(), *i)),
                &mut row.packer(),
            );
            if packed.is_err() {
                // The bound was the last value of its type.
                row.packer().push_empty_range();
            }
            row
        })
        .boxed()
}
