//! One borrowed value.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use ordered_float::OrderedFloat;
use uuid::Uuid;

use crate::adt::{CivilTimestamp, Date, Interval, Numeric, Time};
use crate::row;

/// One value. A datum says how it is stored, not its SQL type: `text`, `varchar` and `name` are all `String`,
/// `oid` and `regclass` are `UInt32`, records are `List`. The stored kind of each type is noted at
/// [`crate::ScalarType`].
///
/// `jsonb` is built from `JsonNull`, `Bool`, `Numeric`, `String`, `JsonArray` and `Map`.
///
/// Order is total. Between values of one type it is SQL's; NULL is greatest; between kinds it is arbitrary.
#[derive(Debug, Clone, Copy)]
pub enum Datum<'a> {
    /// JSON's `null`, which is a value of type `jsonb`.
    JsonNull,
    /// A boolean.
    Bool(bool),
    /// A 16-bit integer.
    Int16(i16),
    /// A 32-bit integer.
    Int32(i32),
    /// A 64-bit integer.
    Int64(i64),
    /// An unsigned 16-bit integer.
    UInt16(u16),
    /// An unsigned 32-bit integer.
    UInt32(u32),
    /// An unsigned 64-bit integer.
    UInt64(u64),
    /// A 32-bit float; NaN equals itself and is greatest.
    Float32(OrderedFloat<f32>),
    /// A 64-bit float; NaN equals itself and is greatest.
    Float64(OrderedFloat<f64>),
    /// A decimal.
    Numeric(Numeric),
    /// Text.
    String(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A date.
    Date(Date),
    /// A time of day.
    Time(Time),
    /// A timestamp without time zone.
    Timestamp(CivilTimestamp),
    /// A timestamp with time zone, in UTC.
    TimestampTz(CivilTimestamp),
    /// A span of time.
    Interval(Interval),
    /// A UUID.
    Uuid(Uuid),
    /// A logical time.
    MzTimestamp(u64),
    /// An array.
    Array(ArrayRef<'a>),
    /// A JSON array, which is apart from a list because its order is another.
    JsonArray(DatumList<'a>),
    /// A list or a record.
    List(DatumList<'a>),
    /// A map or a JSON object.
    Map(DatumMap<'a>),
    /// A range.
    Range(RangeRef<'a>),
    /// SQL's NULL.
    Null,
}

/// A packed sequence of datums.
#[derive(Debug, Clone, Copy)]
pub struct DatumList<'a> {
    pub(crate) data: &'a [u8],
}

/// A packed sequence of keys and values: keys are distinct and in the order in which they were pushed, which is
/// bytewise for `map` and by length, then bytewise, for `jsonb`.
#[derive(Debug, Clone, Copy)]
pub struct DatumMap<'a> {
    pub(crate) data: &'a [u8],
}

/// One dimension of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrayDimension {
    /// The index of the first element.
    pub lower_bound: i32,
    /// How many elements there are along it.
    pub length: u32,
}

/// An array: its elements in row-major order, and its dimensions.
#[derive(Debug, Clone, Copy)]
pub struct ArrayRef<'a> {
    pub(crate) dims: &'a [u8],
    pub(crate) elements: DatumList<'a>,
}

/// A range. Its bounds are datums, or `None` where unbounded.
#[derive(Debug, Clone, Copy)]
pub struct RangeRef<'a> {
    pub(crate) flags: u8,
    pub(crate) data: &'a [u8],
}

impl<'a> Datum<'a> {
    /// Whether this is SQL's NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    fn is_json_scalar(&self) -> bool {
        matches!(self, Datum::JsonNull | Datum::String(_) | Datum::Numeric(_) | Datum::Bool(_))
    }

    /// The position of the variant, by which different kinds are ordered.
    fn kind(&self) -> u8 {
        match self {
            Datum::JsonNull => 0,
            Datum::String(_) => 1,
            Datum::Numeric(_) => 2,
            Datum::Bool(_) => 3,
            Datum::JsonArray(_) => 4,
            Datum::Map(_) => 5,
            Datum::Int16(_) => 6,
            Datum::Int32(_) => 7,
            Datum::Int64(_) => 8,
            Datum::UInt16(_) => 9,
            Datum::UInt32(_) => 10,
            Datum::UInt64(_) => 11,
            Datum::Float32(_) => 12,
            Datum::Float64(_) => 13,
            Datum::Bytes(_) => 14,
            Datum::Date(_) => 15,
            Datum::Time(_) => 16,
            Datum::Timestamp(_) => 17,
            Datum::TimestampTz(_) => 18,
            Datum::Interval(_) => 19,
            Datum::Uuid(_) => 20,
            Datum::MzTimestamp(_) => 21,
            Datum::Array(_) => 22,
            Datum::Range(_) => 23,
            Datum::List(_) => 24,
            Datum::Null => 255,
        }
    }
}

macro_rules! unwrap_as {
    ($($(#[$doc:meta])* $name:ident: $variant:ident => $ty:ty),+ $(,)?) => {
        impl<'a> Datum<'a> {
            $(
                $(#[$doc])*
                ///
                /// # Panics
                /// When the datum is of another kind: planning has made sure of types.
                #[track_caller]
                pub fn $name(&self) -> $ty {
                    match self {
                        Datum::$variant(v) => *v,
                        other => panic!(concat!("expected ", stringify!($variant), ", found {:?}"), other),
                    }
                }
            )+
        }
    };
}

unwrap_as! {
    /// The boolean.
    unwrap_bool: Bool => bool,
    /// The integer.
    unwrap_int16: Int16 => i16,
    /// The integer.
    unwrap_int32: Int32 => i32,
    /// The integer.
    unwrap_int64: Int64 => i64,
    /// The integer.
    unwrap_uint16: UInt16 => u16,
    /// The integer.
    unwrap_uint32: UInt32 => u32,
    /// The integer.
    unwrap_uint64: UInt64 => u64,
    /// The float.
    unwrap_float32: Float32 => OrderedFloat<f32>,
    /// The float.
    unwrap_float64: Float64 => OrderedFloat<f64>,
    /// The decimal.
    unwrap_numeric: Numeric => Numeric,
    /// The text.
    unwrap_str: String => &'a str,
    /// The bytes.
    unwrap_bytes: Bytes => &'a [u8],
    /// The date.
    unwrap_date: Date => Date,
    /// The time.
    unwrap_time: Time => Time,
    /// The timestamp.
    unwrap_timestamp: Timestamp => CivilTimestamp,
    /// The timestamp.
    unwrap_timestamptz: TimestampTz => CivilTimestamp,
    /// The interval.
    unwrap_interval: Interval => Interval,
    /// The UUID.
    unwrap_uuid: Uuid => Uuid,
    /// The logical time.
    unwrap_mz_timestamp: MzTimestamp => u64,
    /// The array.
    unwrap_array: Array => ArrayRef<'a>,
    /// The JSON array.
    unwrap_json_array: JsonArray => DatumList<'a>,
    /// The list.
    unwrap_list: List => DatumList<'a>,
    /// The map.
    unwrap_map: Map => DatumMap<'a>,
    /// The range.
    unwrap_range: Range => RangeRef<'a>,
}

impl<'a> DatumList<'a> {
    /// A list of no elements.
    pub fn empty() -> Self {
        DatumList { data: &[] }
    }

    /// The elements in order.
    pub fn iter(&self) -> DatumIter<'a> {
        DatumIter { data: self.data }
    }

    /// Whether there are no elements. Constant time.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The packed bytes.
    pub fn packed(&self) -> &'a [u8] {
        self.data
    }
}

impl<'a> DatumMap<'a> {
    /// A map of no entries.
    pub fn empty() -> Self {
        DatumMap { data: &[] }
    }

    /// The entries in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Datum<'a>)> + use<'a> {
        let mut inner = DatumIter { data: self.data };
        std::iter::from_fn(move || {
            let key = inner.next()?.unwrap_str();
            let value = inner.next().expect("each key has a value");
            Some((key, value))
        })
    }

    /// The value under `key`. Linear in the size of the map.
    pub fn get(&self, key: &str) -> Option<Datum<'a>> {
        self.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// The packed bytes, keys and values in turn.
    pub fn packed(&self) -> &'a [u8] {
        self.data
    }

    /// Whether there are no entries. Constant time.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

impl<'a> ArrayRef<'a> {
    /// The elements in row-major order.
    pub fn elements(&self) -> DatumList<'a> {
        self.elements
    }

    /// The number of dimensions, 0 for an empty array.
    pub fn ndims(&self) -> usize {
        self.dims.len() / 8
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> impl DoubleEndedIterator<Item = ArrayDimension> + ExactSizeIterator + use<'a> {
        self.dims.chunks_exact(8).map(|c| ArrayDimension {
            lower_bound: i32::from_le_bytes([c[0], c[1], c[2], c[3]]),
            length: u32::from_le_bytes([c[4], c[5], c[6], c[7]]),
        })
    }
}

impl<'a> RangeRef<'a> {
    pub(crate) const EMPTY: u8 = 1;
    pub(crate) const HAS_LOWER: u8 = 2;
    pub(crate) const HAS_UPPER: u8 = 4;
    pub(crate) const LOWER_INC: u8 = 8;
    pub(crate) const UPPER_INC: u8 = 16;

    /// Whether the range contains nothing.
    pub fn is_empty(&self) -> bool {
        self.flags & Self::EMPTY != 0
    }

    /// The lower bound, `None` when unbounded or empty.
    pub fn lower(&self) -> Option<Datum<'a>> {
        if self.flags & Self::HAS_LOWER == 0 { None } else { DatumIter { data: self.data }.next() }
    }

    /// The upper bound, `None` when unbounded or empty.
    pub fn upper(&self) -> Option<Datum<'a>> {
        if self.flags & Self::HAS_UPPER == 0 {
            return None;
        }
        let skip = usize::from(self.flags & Self::HAS_LOWER != 0);
        DatumIter { data: self.data }.nth(skip)
    }

    /// Whether the lower bound belongs to the range.
    pub fn lower_inc(&self) -> bool {
        self.flags & Self::LOWER_INC != 0
    }

    /// Whether the upper bound belongs to the range.
    pub fn upper_inc(&self) -> bool {
        self.flags & Self::UPPER_INC != 0
    }
}

/// Iterates over packed datums.
#[derive(Debug, Clone)]
pub struct DatumIter<'a> {
    pub(crate) data: &'a [u8],
}

impl<'a> Iterator for DatumIter<'a> {
    type Item = Datum<'a>;
    fn next(&mut self) -> Option<Datum<'a>> {
        if self.data.is_empty() { None } else { Some(row::read_datum(&mut self.data)) }
    }
}

impl<'a> IntoIterator for DatumList<'a> {
    type Item = Datum<'a>;
    type IntoIter = DatumIter<'a>;
    fn into_iter(self) -> DatumIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &DatumList<'a> {
    type Item = Datum<'a>;
    type IntoIter = DatumIter<'a>;
    fn into_iter(self) -> DatumIter<'a> {
        self.iter()
    }
}

fn compare_ranges(a: &RangeRef<'_>, b: &RangeRef<'_>) -> Ordering {
    // PostgreSQL manual 8.17: empty ranges first, then by lower bound, then by upper bound.
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Less,
        (false, true) => return Ordering::Greater,
        (false, false) => {}
    }
    let lower = match (a.lower(), b.lower()) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(x), Some(y)) => x.cmp(&y).then_with(|| b.lower_inc().cmp(&a.lower_inc())),
    };
    lower.then_with(|| match (a.upper(), b.upper()) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(x), Some(y)) => x.cmp(&y).then_with(|| a.upper_inc().cmp(&b.upper_inc())),
    })
}

fn compare_maps(a: &DatumMap<'_>, b: &DatumMap<'_>) -> Ordering {
    // PostgreSQL manual 8.14.4: an object with more pairs is greater; otherwise pair by pair.
    a.iter().count().cmp(&b.iter().count()).then_with(|| {
        first_difference(a.iter().zip(b.iter()), |(k, v), (l, w)| k.cmp(l).then_with(|| compare_nested(v, w)))
    })
}

fn compare_json_arrays(a: &DatumList<'_>, b: &DatumList<'_>) -> Ordering {
    // PostgreSQL manual 8.14.4: an array with more elements is greater; otherwise element by element.
    a.iter()
        .count()
        .cmp(&b.iter().count())
        .then_with(|| first_difference(a.iter().zip(b.iter()), compare_nested))
}

fn first_difference<T>(
    mut pairs: impl Iterator<Item = (T, T)>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Ordering {
    pairs.find_map(|(x, y)| Some(compare(&x, &y)).filter(|o| o.is_ne())).unwrap_or(Ordering::Equal)
}

/// Compares what stands in a JSON array or a map, where an empty JSON array is above the scalars like any other.
fn compare_nested(a: &Datum<'_>, b: &Datum<'_>) -> Ordering {
    match (a, b) {
        (Datum::JsonArray(_), b) if b.is_json_scalar() => Ordering::Greater,
        (a, Datum::JsonArray(_)) if a.is_json_scalar() => Ordering::Less,
        _ => a.cmp(b),
    }
}

fn compare_arrays(a: &ArrayRef<'_>, b: &ArrayRef<'_>) -> Ordering {
    // PostgreSQL manual 9.19: element by element, then number of dimensions, then the dimensions.
    a.elements.iter().cmp(b.elements.iter()).then_with(|| a.ndims().cmp(&b.ndims())).then_with(|| {
        a.dims().map(|d| (d.length, d.lower_bound)).cmp(b.dims().map(|d| (d.length, d.lower_bound)))
    })
}

impl Ord for Datum<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
            (Datum::Int16(a), Datum::Int16(b)) => a.cmp(b),
            (Datum::Int32(a), Datum::Int32(b)) => a.cmp(b),
            (Datum::Int64(a), Datum::Int64(b)) => a.cmp(b),
            (Datum::UInt16(a), Datum::UInt16(b)) => a.cmp(b),
            (Datum::UInt32(a), Datum::UInt32(b)) => a.cmp(b),
            (Datum::UInt64(a), Datum::UInt64(b)) => a.cmp(b),
            (Datum::Float32(a), Datum::Float32(b)) => a.cmp(b),
            (Datum::Float64(a), Datum::Float64(b)) => a.cmp(b),
            (Datum::Numeric(a), Datum::Numeric(b)) => a.cmp(b),
            (Datum::String(a), Datum::String(b)) => a.cmp(b),
            (Datum::Bytes(a), Datum::Bytes(b)) => a.cmp(b),
            (Datum::Date(a), Datum::Date(b)) => a.cmp(b),
            (Datum::Time(a), Datum::Time(b)) => a.cmp(b),
            (Datum::Timestamp(a), Datum::Timestamp(b)) => a.cmp(b),
            (Datum::TimestampTz(a), Datum::TimestampTz(b)) => a.cmp(b),
            (Datum::Interval(a), Datum::Interval(b)) => a.cmp(b),
            (Datum::Uuid(a), Datum::Uuid(b)) => a.cmp(b),
            (Datum::MzTimestamp(a), Datum::MzTimestamp(b)) => a.cmp(b),
            (Datum::Array(a), Datum::Array(b)) => compare_arrays(a, b),
            (Datum::JsonArray(a), Datum::JsonArray(b)) => compare_json_arrays(a, b),
            (Datum::List(a), Datum::List(b)) => a.iter().cmp(b.iter()),
            (Datum::Map(a), Datum::Map(b)) => compare_maps(a, b),
            (Datum::Range(a), Datum::Range(b)) => compare_ranges(a, b),
            // At the top an empty array is the least of all values.
            (Datum::JsonArray(a), b) if a.is_empty() && b.is_json_scalar() => Ordering::Less,
            (a, Datum::JsonArray(b)) if b.is_empty() && a.is_json_scalar() => Ordering::Greater,
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl PartialOrd for Datum<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Datum<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Datum<'_> {}

impl Hash for Datum<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind().hash(state);
        match self {
            Datum::JsonNull | Datum::Null => {}
            Datum::Bool(v) => v.hash(state),
            Datum::Int16(v) => v.hash(state),
            Datum::Int32(v) => v.hash(state),
            Datum::Int64(v) => v.hash(state),
            Datum::UInt16(v) => v.hash(state),
            Datum::UInt32(v) => v.hash(state),
            Datum::UInt64(v) => v.hash(state),
            Datum::Float32(v) => v.hash(state),
            Datum::Float64(v) => v.hash(state),
            Datum::Numeric(v) => v.hash(state),
            Datum::String(v) => v.hash(state),
            Datum::Bytes(v) => v.hash(state),
            Datum::Date(v) => v.hash(state),
            Datum::Time(v) => v.hash(state),
            Datum::Timestamp(v) | Datum::TimestampTz(v) => v.hash(state),
            Datum::Interval(v) => v.hash(state),
            Datum::Uuid(v) => v.hash(state),
            Datum::MzTimestamp(v) => v.hash(state),
            Datum::Array(v) => v.elements.iter().for_each(|d| d.hash(state)),
            Datum::JsonArray(v) | Datum::List(v) => v.iter().for_each(|d| d.hash(state)),
            Datum::Map(v) => v.iter().for_each(|d| d.hash(state)),
            Datum::Range(v) => (v.is_empty(), v.lower(), v.upper()).hash(state),
        }
    }
}

macro_rules! from_native {
    ($($ty:ty => $variant:ident),+ $(,)?) => {
        $(impl<'a> From<$ty> for Datum<'a> {
            fn from(v: $ty) -> Datum<'a> { Datum::$variant(v.into()) }
        })+
    };
}

from_native! {
    bool => Bool, i16 => Int16, i32 => Int32, i64 => Int64, u16 => UInt16, u32 => UInt32, u64 => UInt64,
    f32 => Float32, f64 => Float64, Numeric => Numeric, &'a str => String, &'a [u8] => Bytes, Date => Date,
    Time => Time, Interval => Interval, Uuid => Uuid,
}

impl<'a, T: Into<Datum<'a>>> From<Option<T>> for Datum<'a> {
    fn from(v: Option<T>) -> Datum<'a> {
        v.map_or(Datum::Null, Into::into)
    }
}
