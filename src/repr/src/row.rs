//! Packed rows.
//!
//! A [`Row`] is a byte string: each datum is a tag byte and its payload, back to back. The encoding is canonical
//! per stored value: the same datum always gives the same bytes, so that rows can be compared, hashed and
//! arranged without being unpacked. (Two values that SQL calls equal yet prints differently, such as numeric
//! `1.5` and `1.50` or interval `1 day` and `24 hours`, are different datums to a row; keys over such types are
//! normalised by the planner, see `hw_expr`.)
//!
//! Layout by tag:
//!
//! ```text
//! null, false, true, json null          no payload
//! integers                              the tag says the width kept: 0, 1, 2, 4 or 8 bytes, little-endian
//! float32, float64                      4, 8 bytes, little-endian; NaN is one pattern, -0 is kept as +0
//! numeric small                         exponent i8, coefficient i64
//! numeric large                         bits u8, exponent i32, digits u8, one u16 for each three digits
//! date 4; time, timestamp(tz), mz_timestamp 8; interval 16; uuid 16
//! string, bytes                         length of 1, 2, 4 or 8 bytes as the tag says, then the bytes
//! list, map, json array                 length u32, then packed datums
//! array                                 ndims u8, (lower bound i32, length u32) each, length u32, packed datums
//! range                                 flags u8, length u32, then its bounds packed
//! ```

use std::borrow::Borrow;
use std::cell::Cell;
use std::fmt;

use dec::Decimal;
use ordered_float::OrderedFloat;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::adt::numeric::{Numeric, WIDTH};
use crate::adt::{CivilTimestamp, Date, Interval, Time};
use crate::datum::{ArrayDimension, ArrayRef, Datum, DatumIter, DatumList, DatumMap, RangeRef};

const INLINE_BYTES: usize = 24;
/// A larger scratch is given back.
const MAX_SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    /// Where rows are packed before their size is known, so that each takes one allocation and no spare room.
    static SCRATCH: Cell<Row> = Cell::default();
}

/// A packed sequence of datums. Order and equality are those of the bytes: total and cheap, but not SQL's order.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    data: SmallVec<[u8; INLINE_BYTES]>,
}

/// Appends datums to a row.
#[derive(Debug)]
pub struct RowPacker<'r> {
    row: &'r mut Row,
}

#[derive(Clone, Copy)]
#[repr(u8)]
enum Tag {
    Null = 0,
    False = 1,
    True = 2,
    JsonNull = 3,
    Int16 = 4,
    Int32 = 8,
    Int64 = 12,
    UInt16 = 20,
    UInt32 = 24,
    UInt64 = 28,
    Float32 = 40,
    Float64 = 41,
    NumericSmall = 42,
    NumericLarge = 43,
    Date = 44,
    Time = 45,
    Timestamp = 46,
    TimestampTz = 47,
    Interval = 48,
    Uuid = 49,
    MzTimestamp = 50,
    String = 52,
    Bytes = 56,
    JsonArray = 60,
    Map = 61,
    Array = 62,
    Range = 63,
    List = 64,
}

/// The widths in bytes that an integer payload may have, by the offset added to its tag.
const WIDTHS: [usize; 5] = [0, 1, 2, 4, 8];

impl Row {
    /// Packs the given datums.
    pub fn pack<'a, I, D>(datums: I) -> Row
    where
        I: IntoIterator<Item = D>,
        D: Borrow<Datum<'a>>,
    {
        let packed = Row::try_pack_with(|packer| {
            packer.extend(datums);
            Ok::<_, std::convert::Infallible>(())
        });
        match packed {
            Ok(row) => row,
            Err(never) => match never {},
        }
    }

    /// Packs what `f` packs, into exactly the memory that it needs.
    ///
    /// # Errors
    /// When `f` fails.
    pub fn try_pack_with<E>(f: impl FnOnce(&mut RowPacker<'_>) -> Result<(), E>) -> Result<Row, E> {
        // What `f` packs by this function meanwhile gets a scratch of its own.
        let mut scratch = SCRATCH.take();
        let packed = f(&mut scratch.packer());
        let row = packed.map(|()| Row { data: SmallVec::from_slice(&scratch.data) });
        if scratch.data.capacity() <= MAX_SCRATCH_BYTES {
            SCRATCH.set(scratch);
        }
        row
    }

    /// Packs a slice of datums.
    pub fn pack_slice(datums: &[Datum<'_>]) -> Row {
        Row::pack(datums)
    }

    /// Empties the row and returns a packer for it, so that its allocation is used again.
    pub fn packer(&mut self) -> RowPacker<'_> {
        self.data.clear();
        RowPacker { row: self }
    }

    /// A packer that appends to what the row holds.
    pub fn appender(&mut self) -> RowPacker<'_> {
        RowPacker { row: self }
    }

    /// The datums in order.
    pub fn iter(&self) -> DatumIter<'_> {
        DatumIter { data: &self.data }
    }

    /// The datums in order, collected.
    pub fn unpack(&self) -> Vec<Datum<'_>> {
        self.iter().collect()
    }

    /// The first datum.
    ///
    /// # Panics
    /// When the row is empty.
    pub fn unpack_first(&self) -> Datum<'_> {
        self.iter().next().expect("the row holds a datum")
    }

    /// The packed bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The packed bytes, owned.
    pub fn into_bytes(self) -> Box<[u8]> {
        self.data.into_boxed_slice()
    }

    /// How many bytes the row takes in memory, itself included.
    pub fn byte_len(&self) -> usize {
        let heap = if self.data.spilled() { self.data.capacity() } else { 0 };
        heap + size_of::<Row>()
    }

    /// Whether there are no datums.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// A row of bytes that came from a row of this process, checked only in debug builds.
    pub fn from_trusted_bytes(bytes: &[u8]) -> Row {
        debug_assert!(validate(bytes).is_some(), "packed rows are valid");
        Row { data: SmallVec::from_slice(bytes) }
    }

    /// A row of bytes from elsewhere (disk, network), checked in full; `None` when they are no row.
    pub fn from_untrusted_bytes(bytes: &[u8]) -> Option<Row> {
        validate(bytes)?;
        Some(Row { data: SmallVec::from_slice(bytes) })
    }
}

/// Iterates over the datums of packed bytes taken from [`Row::data`].
pub fn iter_packed(data: &[u8]) -> DatumIter<'_> {
    DatumIter { data }
}

/// The first datum of packed bytes.
pub fn read_first(mut data: &[u8]) -> Option<Datum<'_>> {
    if data.is_empty() { None } else { Some(read_datum(&mut data)) }
}

/// Splits the first datum's bytes off packed bytes from elsewhere, checked in full; `None` when they begin with no datum.
pub fn split_packed(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = data;
    validate_datum(&mut rest, 0)?;
    data.split_at_checked(data.len() - rest.len())
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Row")?;
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a Row {
    type Item = Datum<'a>;
    type IntoIter = DatumIter<'a>;
    fn into_iter(self) -> DatumIter<'a> {
        self.iter()
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.data)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Row, D::Error> {
        struct RowVisitor;
        impl<'de> serde::de::Visitor<'de> for RowVisitor {
            type Value = Row;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a packed row")
            }
            fn visit_bytes<E: serde::de::Error>(self, v: &[u8]) -> Result<Row, E> {
                Row::from_untrusted_bytes(v).ok_or_else(|| E::custom("malformed row"))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Row, A::Error> {
                let mut bytes = Vec::new();
                while let Some(b) = seq.next_element::<u8>()? {
                    bytes.push(b);
                }
                self.visit_bytes(&bytes)
            }
        }
        d.deserialize_bytes(RowVisitor)
    }
}

impl<'r> RowPacker<'r> {
    /// Appends one datum.
    pub fn push<'a, D: Borrow<Datum<'a>>>(&mut self, datum: D) {
        push_datum(&mut self.row.data, *datum.borrow());
    }

    /// Appends datums.
    pub fn extend<'a, I, D>(&mut self, datums: I)
    where
        I: IntoIterator<Item = D>,
        D: Borrow<Datum<'a>>,
    {
        for d in datums {
            self.push(d);
        }
    }

    /// Appends datums that are packed already, as [`Row::data`] or [`DatumList::packed`] gives them.
    pub fn extend_packed(&mut self, packed: &[u8]) {
        self.row.data.extend_from_slice(packed);
    }

    /// Appends a list whose elements `f` packs.
    pub fn push_list_with<R>(&mut self, f: impl FnOnce(&mut RowPacker<'_>) -> R) -> R {
        self.row.data.push(Tag::List as u8);
        self.with_length(f)
    }

    /// Appends a list.
    pub fn push_list<'a, I, D>(&mut self, elements: I)
    where
        I: IntoIterator<Item = D>,
        D: Borrow<Datum<'a>>,
    {
        self.push_list_with(|p| p.extend(elements));
    }

    /// Appends a JSON array whose elements `f` packs.
    pub fn push_json_array_with<R>(&mut self, f: impl FnOnce(&mut RowPacker<'_>) -> R) -> R {
        self.row.data.push(Tag::JsonArray as u8);
        self.with_length(f)
    }

    /// Appends a JSON array.
    pub fn push_json_array<'a, I, D>(&mut self, elements: I)
    where
        I: IntoIterator<Item = D>,
        D: Borrow<Datum<'a>>,
    {
        self.push_json_array_with(|p| p.extend(elements));
    }

    /// Appends a map whose keys (strings) and values `f` packs in turn; it must keep to the order of keys that
    /// [`DatumMap`] states.
    pub fn push_map_with<R>(&mut self, f: impl FnOnce(&mut RowPacker<'_>) -> R) -> R {
        self.row.data.push(Tag::Map as u8);
        self.with_length(f)
    }

    /// Appends an array of the given dimensions; `f` packs the elements in row-major order, as many as the
    /// dimensions' lengths multiply to. No dimension means an empty array.
    pub fn push_array_with<R>(
        &mut self,
        dims: &[ArrayDimension],
        f: impl FnOnce(&mut RowPacker<'_>) -> R,
    ) -> R {
        self.row.data.push(Tag::Array as u8);
        self.row.data.push(u8::try_from(dims.len()).expect("an array has few dimensions"));
        for d in dims {
            self.row.data.extend_from_slice(&d.lower_bound.to_le_bytes());
            self.row.data.extend_from_slice(&d.length.to_le_bytes());
        }
        self.with_length(f)
    }

    /// Appends a one-dimensional array with lower bound 1 (an empty one when there are no elements).
    pub fn push_array<'a, I, D>(&mut self, elements: I)
    where
        I: IntoIterator<Item = D>,
        D: Borrow<Datum<'a>>,
    {
        let elements = Row::pack(elements);
        let length = u32::try_from(elements.iter().count()).expect("an array's length fits");
        let dim = [ArrayDimension { lower_bound: 1, length }];
        let dims: &[ArrayDimension] = if length == 0 { &[] } else { &dim };
        self.push_array_with(dims, |p| p.extend_packed(elements.data()));
    }

    /// Appends a range; each bound is a datum and whether it belongs to the range. The caller has made it
    /// canonical (PostgreSQL manual 8.17.7).
    pub fn push_range(&mut self, lower: Option<(Datum<'_>, bool)>, upper: Option<(Datum<'_>, bool)>) {
        let mut flags = 0;
        if let Some((_, inclusive)) = lower {
            flags |= RangeRef::HAS_LOWER | if inclusive { RangeRef::LOWER_INC } else { 0 };
        }
        if let Some((_, inclusive)) = upper {
            flags |= RangeRef::HAS_UPPER | if inclusive { RangeRef::UPPER_INC } else { 0 };
        }
        self.row.data.push(Tag::Range as u8);
        self.row.data.push(flags);
        self.with_length(|p| {
            p.extend(lower.map(|b| b.0));
            p.extend(upper.map(|b| b.0));
        });
    }

    /// Appends the empty range.
    pub fn push_empty_range(&mut self) {
        self.row.data.extend_from_slice(&[Tag::Range as u8, RangeRef::EMPTY, 0, 0, 0, 0]);
    }

    fn with_length<R>(&mut self, f: impl FnOnce(&mut RowPacker<'_>) -> R) -> R {
        let at = self.row.data.len();
        self.row.data.extend_from_slice(&[0; 4]);
        let out = f(&mut RowPacker { row: self.row });
        let len = u32::try_from(self.row.data.len() - at - 4).expect("a nested value is under 4 GiB");
        self.row.data[at..at + 4].copy_from_slice(&len.to_le_bytes());
        out
    }
}

type Buf = SmallVec<[u8; INLINE_BYTES]>;

fn push_signed(buf: &mut Buf, tag: Tag, v: i64) {
    let offset = match v {
        0 => 0,
        -0x80..=0x7f => 1,
        -0x8000..=0x7fff => 2,
        -0x8000_0000..=0x7fff_ffff => 3,
        _ => 4,
    };
    buf.push(tag as u8 + offset);
    buf.extend_from_slice(&v.to_le_bytes()[..WIDTHS[usize::from(offset)]]);
}

fn push_unsigned(buf: &mut Buf, tag: Tag, v: u64) {
    let offset = match v {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 3,
        _ => 4,
    };
    buf.push(tag as u8 + offset);
    buf.extend_from_slice(&v.to_le_bytes()[..WIDTHS[usize::from(offset)]]);
}

fn push_lengthed(buf: &mut Buf, tag: Tag, bytes: &[u8]) {
    let len = bytes.len() as u64;
    let (offset, width) = match len {
        0..=0xff => (0, 1),
        0x100..=0xffff => (1, 2),
        0x1_0000..=0xffff_ffff => (2, 4),
        _ => (3, 8),
    };
    buf.push(tag as u8 + offset);
    buf.extend_from_slice(&len.to_le_bytes()[..width]);
    buf.extend_from_slice(bytes);
}

fn push_numeric(buf: &mut Buf, n: Numeric) {
    let (digits, exponent, bits, lsu) = n.0.to_raw_parts();
    let units = Decimal::<WIDTH>::digits_to_lsu_elements_len(digits);
    let special = n.0.is_special();
    if !special && digits <= 18 && (-128..=127).contains(&exponent) && !(n.0.is_negative() && n.0.is_zero()) {
        let mut c: i64 = 0;
        for u in lsu[..units].iter().rev() {
            c = c * 1000 + i64::from(*u);
        }
        if n.0.is_negative() {
            c = -c;
        }
        buf.push(Tag::NumericSmall as u8);
        buf.push((exponent as i8) as u8);
        buf.extend_from_slice(&c.to_le_bytes());
        return;
    }
    buf.push(Tag::NumericLarge as u8);
    if n.0.is_nan() {
        let (digits, exponent, bits, _) = Decimal::<WIDTH>::nan().to_raw_parts();
        push_numeric_raw(buf, digits, exponent, bits, &[0]);
    } else {
        push_numeric_raw(buf, digits, exponent, bits, &lsu[..units]);
    }
}

fn push_numeric_raw(buf: &mut Buf, digits: u32, exponent: i32, bits: u8, units: &[u16]) {
    buf.push(bits);
    buf.extend_from_slice(&exponent.to_le_bytes());
    buf.push(digits as u8);
    for u in units {
        buf.extend_from_slice(&u.to_le_bytes());
    }
}

fn push_fixed(buf: &mut Buf, tag: Tag, bytes: &[u8]) {
    buf.push(tag as u8);
    buf.extend_from_slice(bytes);
}

fn push_datum(buf: &mut Buf, datum: Datum<'_>) {
    match datum {
        Datum::Null => buf.push(Tag::Null as u8),
        Datum::JsonNull => buf.push(Tag::JsonNull as u8),
        Datum::Bool(false) => buf.push(Tag::False as u8),
        Datum::Bool(true) => buf.push(Tag::True as u8),
        Datum::Int16(v) => push_signed(buf, Tag::Int16, v.into()),
        Datum::Int32(v) => push_signed(buf, Tag::Int32, v.into()),
        Datum::Int64(v) => push_signed(buf, Tag::Int64, v),
        Datum::UInt16(v) => push_unsigned(buf, Tag::UInt16, v.into()),
        Datum::UInt32(v) => push_unsigned(buf, Tag::UInt32, v.into()),
        Datum::UInt64(v) => push_unsigned(buf, Tag::UInt64, v),
        Datum::Float32(v) => {
            let v = if v.is_nan() { f32::NAN } else { v.0 + 0.0 };
            push_fixed(buf, Tag::Float32, &v.to_le_bytes());
        }
        Datum::Float64(v) => {
            let v = if v.is_nan() { f64::NAN } else { v.0 + 0.0 };
            push_fixed(buf, Tag::Float64, &v.to_le_bytes());
        }
        Datum::Numeric(v) => push_numeric(buf, v),
        Datum::Date(v) => push_fixed(buf, Tag::Date, &v.0.to_le_bytes()),
        Datum::Time(v) => push_fixed(buf, Tag::Time, &v.0.to_le_bytes()),
        Datum::Timestamp(v) => push_fixed(buf, Tag::Timestamp, &v.0.to_le_bytes()),
        Datum::TimestampTz(v) => push_fixed(buf, Tag::TimestampTz, &v.0.to_le_bytes()),
        Datum::MzTimestamp(v) => push_fixed(buf, Tag::MzTimestamp, &v.to_le_bytes()),
        Datum::Interval(v) => {
            buf.push(Tag::Interval as u8);
            buf.extend_from_slice(&v.months.to_le_bytes());
            buf.extend_from_slice(&v.days.to_le_bytes());
            buf.extend_from_slice(&v.micros.to_le_bytes());
        }
        Datum::Uuid(v) => push_fixed(buf, Tag::Uuid, v.as_bytes()),
        Datum::String(v) => push_lengthed(buf, Tag::String, v.as_bytes()),
        Datum::Bytes(v) => push_lengthed(buf, Tag::Bytes, v),
        Datum::JsonArray(v) => push_nested(buf, &[Tag::JsonArray as u8], v.data),
        Datum::List(v) => push_nested(buf, &[Tag::List as u8], v.data),
        Datum::Map(v) => push_nested(buf, &[Tag::Map as u8], v.data),
        Datum::Range(v) => push_nested(buf, &[Tag::Range as u8, v.flags], v.data),
        Datum::Array(v) => {
            buf.push(Tag::Array as u8);
            buf.push((v.dims.len() / 8) as u8);
            push_nested(buf, v.dims, v.elements.data);
        }
    }
}

fn push_nested(buf: &mut Buf, head: &[u8], data: &[u8]) {
    buf.extend_from_slice(head);
    buf.extend_from_slice(&u32::try_from(data.len()).expect("a nested value is under 4 GiB").to_le_bytes());
    buf.extend_from_slice(data);
}

fn take<'a>(data: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (head, tail) = data.split_at(n);
    *data = tail;
    head
}

fn take_array<const N: usize>(data: &mut &[u8]) -> [u8; N] {
    let (head, tail) = data.split_first_chunk::<N>().expect("packed datum is whole");
    *data = tail;
    *head
}

fn read_signed(data: &mut &[u8], offset: u8) -> i64 {
    match offset {
        0 => 0,
        1 => i64::from(i8::from_le_bytes(take_array(data))),
        2 => i64::from(i16::from_le_bytes(take_array(data))),
        3 => i64::from(i32::from_le_bytes(take_array(data))),
        _ => i64::from_le_bytes(take_array(data)),
    }
}

fn read_unsigned(data: &mut &[u8], offset: u8) -> u64 {
    match offset {
        0 => 0,
        1 => u64::from(u8::from_le_bytes(take_array(data))),
        2 => u64::from(u16::from_le_bytes(take_array(data))),
        3 => u64::from(u32::from_le_bytes(take_array(data))),
        _ => u64::from_le_bytes(take_array(data)),
    }
}

fn read_lengthed<'a>(data: &mut &'a [u8], offset: u8) -> &'a [u8] {
    let len = match offset {
        0 => usize::from(u8::from_le_bytes(take_array(data))),
        1 => usize::from(u16::from_le_bytes(take_array(data))),
        2 => u32::from_le_bytes(take_array(data)) as usize,
        _ => u64::from_le_bytes(take_array(data)) as usize,
    };
    take(data, len)
}

fn read_nested<'a>(data: &mut &'a [u8]) -> &'a [u8] {
    let len = u32::from_le_bytes(take_array(data)) as usize;
    take(data, len)
}

fn read_numeric_small(data: &mut &[u8]) -> Numeric {
    let exponent = i8::from_le_bytes(take_array(data));
    let coefficient = i64::from_le_bytes(take_array(data));
    let mut lsu = [0u16; WIDTH];
    let mut rest = coefficient.unsigned_abs();
    let digits = if rest == 0 { 1 } else { rest.ilog10() + 1 };
    for unit in lsu.iter_mut() {
        if rest == 0 {
            break;
        }
        *unit = (rest % 1000) as u16;
        rest /= 1000;
    }
    let bits = if coefficient < 0 { 0x80 } else { 0 };
    dec::OrderedDecimal(Decimal::from_raw_parts(digits, i32::from(exponent), bits, lsu))
}

fn read_numeric_large(data: &mut &[u8]) -> Numeric {
    let [bits] = take_array(data);
    let exponent = i32::from_le_bytes(take_array(data));
    let [digits] = take_array(data);
    let mut lsu = [0u16; WIDTH];
    for unit in &mut lsu[..Decimal::<WIDTH>::digits_to_lsu_elements_len(u32::from(digits))] {
        *unit = u16::from_le_bytes(take_array(data));
    }
    dec::OrderedDecimal(Decimal::from_raw_parts(u32::from(digits), exponent, bits, lsu))
}

/// SAFETY of the one unchecked conversion: packed strings are only ever written from `&str` (see `push_datum`),
/// and bytes from elsewhere become a row only through `validate`.
#[allow(unsafe_code)]
fn str_of(bytes: &[u8]) -> &str {
    debug_assert!(std::str::from_utf8(bytes).is_ok());
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

/// Reads one datum and moves `data` past it.
///
/// # Panics
/// When `data` is empty or no packed datum.
pub(crate) fn read_datum<'a>(data: &mut &'a [u8]) -> Datum<'a> {
    let [tag] = take_array(data);
    match tag {
        0 => Datum::Null,
        1 => Datum::Bool(false),
        2 => Datum::Bool(true),
        3 => Datum::JsonNull,
        4..=7 => Datum::Int16(read_signed(data, tag - 4) as i16),
        8..=11 => Datum::Int32(read_signed(data, tag - 8) as i32),
        12..=16 => Datum::Int64(read_signed(data, tag - 12)),
        20..=22 => Datum::UInt16(read_unsigned(data, tag - 20) as u16),
        24..=27 => Datum::UInt32(read_unsigned(data, tag - 24) as u32),
        28..=32 => Datum::UInt64(read_unsigned(data, tag - 28)),
        40 => Datum::Float32(OrderedFloat(f32::from_le_bytes(take_array(data)))),
        41 => Datum::Float64(OrderedFloat(f64::from_le_bytes(take_array(data)))),
        42 => Datum::Numeric(read_numeric_small(data)),
        43 => Datum::Numeric(read_numeric_large(data)),
        44 => Datum::Date(Date(i32::from_le_bytes(take_array(data)))),
        45 => Datum::Time(Time(i64::from_le_bytes(take_array(data)))),
        46 => Datum::Timestamp(CivilTimestamp(i64::from_le_bytes(take_array(data)))),
        47 => Datum::TimestampTz(CivilTimestamp(i64::from_le_bytes(take_array(data)))),
        48 => Datum::Interval(Interval {
            months: i32::from_le_bytes(take_array(data)),
            days: i32::from_le_bytes(take_array(data)),
            micros: i64::from_le_bytes(take_array(data)),
        }),
        49 => Datum::Uuid(Uuid::from_bytes(take_array(data))),
        50 => Datum::MzTimestamp(u64::from_le_bytes(take_array(data))),
        52..=55 => Datum::String(str_of(read_lengthed(data, tag - 52))),
        56..=59 => Datum::Bytes(read_lengthed(data, tag - 56)),
        60 => Datum::JsonArray(DatumList { data: read_nested(data) }),
        61 => Datum::Map(DatumMap { data: read_nested(data) }),
        62 => {
            let [ndims] = take_array(data);
            let dims = take(data, usize::from(ndims) * 8);
            Datum::Array(ArrayRef { dims, elements: DatumList { data: read_nested(data) } })
        }
        63 => {
            let [flags] = take_array(data);
            Datum::Range(RangeRef { flags, data: read_nested(data) })
        }
        64 => Datum::List(DatumList { data: read_nested(data) }),
        _ => panic!("packed datum has a known tag, found {tag}"),
    }
}

/// Takes the first datum off packed bytes of this process and returns its bytes: cheaper than reading it.
///
/// # Panics
/// When there is no datum.
pub fn take_packed<'a>(data: &mut &'a [u8]) -> &'a [u8] {
    let mut rest = *data;
    let [tag] = take_array(&mut rest);
    let length = match tag {
        0..=3 => 0,
        4..=7 => WIDTHS[usize::from(tag - 4)],
        8..=11 => WIDTHS[usize::from(tag - 8)],
        12..=16 => WIDTHS[usize::from(tag - 12)],
        20..=22 => WIDTHS[usize::from(tag - 20)],
        24..=27 => WIDTHS[usize::from(tag - 24)],
        28..=32 => WIDTHS[usize::from(tag - 28)],
        40 | 44 => 4,
        41 | 45..=47 | 50 => 8,
        42 => 9,
        43 => {
            take(&mut rest, 5);
            let [digits] = take_array(&mut rest);
            Decimal::<WIDTH>::digits_to_lsu_elements_len(u32::from(digits)) * 2
        }
        48 | 49 => 16,
        52..=59 => {
            read_lengthed(&mut rest, (tag - 52) % 4);
            0
        }
        60 | 61 | 64 => {
            read_nested(&mut rest);
            0
        }
        62 => {
            let [ndims] = take_array(&mut rest);
            take(&mut rest, usize::from(ndims) * 8);
            read_nested(&mut rest);
            0
        }
        63 => {
            take(&mut rest, 1);
            read_nested(&mut rest);
            0
        }
        _ => panic!("packed datum has a known tag, found {tag}"),
    };
    take(&mut rest, length);
    take(data, data.len() - rest.len())
}

/// Checks that bytes are a sequence of packed datums that [`read_datum`] reads without panic.
fn validate(mut data: &[u8]) -> Option<()> {
    while !data.is_empty() {
        validate_datum(&mut data, 0)?;
    }
    Some(())
}

fn skip(data: &mut &[u8], n: usize) -> Option<()> {
    *data = data.get(n..)?;
    Some(())
}

fn checked_len(data: &mut &[u8], width: usize) -> Option<usize> {
    let mut b = [0u8; 8];
    b[..width].copy_from_slice(data.get(..width)?);
    skip(data, width)?;
    usize::try_from(u64::from_le_bytes(b)).ok()
}

/// Checks the packed datums inside of a container and returns how many there are; `is_map` asks for keys.
fn validate_nested(data: &mut &[u8], depth: usize, is_map: bool) -> Option<usize> {
    const MAX_DEPTH: usize = 256;
    if depth >= MAX_DEPTH {
        return None;
    }
    let len = checked_len(data, 4)?;
    let mut inner = data.get(..len)?;
    skip(data, len)?;
    let mut count = 0;
    while let Some(tag) = inner.first() {
        if is_map && count % 2 == 0 && !(Tag::String as u8..Tag::Bytes as u8).contains(tag) {
            return None;
        }
        validate_datum(&mut inner, depth + 1)?;
        count += 1;
    }
    (!is_map || count % 2 == 0).then_some(count)
}

/// Checks a large numeric: its units are those of a number of that many digits, and its form is that of
/// [`push_numeric`].
fn validate_numeric_large(data: &mut &[u8]) -> Option<()> {
    // Far beyond any result, yet small enough that the number can be written out.
    const MAX_EXPONENT: u32 = 999;
    const NEGATIVE: u8 = 0x80;
    const INFINITE: u8 = 0x40;
    const NAN: u8 = 0x20;
    let bits = *data.first()?;
    let exponent = i32::from_le_bytes(data.get(1..5)?.try_into().ok()?);
    let digits = u32::from(*data.get(5)?);
    skip(data, 6)?;
    let units = Decimal::<WIDTH>::digits_to_lsu_elements_len(digits);
    if digits == 0 || units > WIDTH || exponent.unsigned_abs() > MAX_EXPONENT {
        return None;
    }
    let raw = data.get(..units * 2)?;
    skip(data, units * 2)?;
    let unit = |c: &[u8]| u16::from_le_bytes([c[0], c[1]]);
    let top = unit(&raw[(units - 1) * 2..]);
    if raw.chunks_exact(2).any(|c| unit(c) > 999) {
        return None;
    }
    let top_digits = top.checked_ilog10().map_or(1, |l| l + 1);
    let has_digits = (units as u32 - 1) * 3 + top_digits == digits && (top != 0 || digits == 1);
    let valid = match bits & !NEGATIVE {
        0 => has_digits,
        INFINITE => digits == 1 && top == 0,
        NAN => bits == NAN && digits == 1 && top == 0,
        _ => false,
    };
    valid.then_some(())
}

/// Checks the dimensions and elements of an array: there are as many as the lengths multiply to.
fn validate_array(data: &mut &[u8], depth: usize) -> Option<()> {
    let ndims = usize::from(*data.first()?);
    skip(data, 1)?;
    let dims = data.get(..ndims * 8)?;
    skip(data, ndims * 8)?;
    let mut expected = usize::from(ndims > 0);
    for d in dims.chunks_exact(8) {
        let length = u32::from_le_bytes([d[4], d[5], d[6], d[7]]);
        expected = expected.checked_mul(usize::try_from(length).ok()?)?;
    }
    (validate_nested(data, depth, false)? == expected).then_some(())
}

fn validate_range(data: &mut &[u8], depth: usize) -> Option<()> {
    let flags = *data.first()?;
    skip(data, 1)?;
    let has = |flag: u8| flags & flag != 0;
    let bounds = validate_nested(data, depth, false)?;
    let expected = usize::from(has(RangeRef::HAS_LOWER)) + usize::from(has(RangeRef::HAS_UPPER));
    (bounds == expected && (!has(RangeRef::EMPTY) || flags == RangeRef::EMPTY)).then_some(())
}

fn validate_datum(data: &mut &[u8], depth: usize) -> Option<()> {
    let tag = *data.first()?;
    skip(data, 1)?;
    match tag {
        0..=3 => Some(()),
        4..=6 => skip(data, WIDTHS[usize::from(tag - 4)]),
        8..=11 => skip(data, WIDTHS[usize::from(tag - 8)]),
        12..=16 => skip(data, WIDTHS[usize::from(tag - 12)]),
        20..=22 => skip(data, WIDTHS[usize::from(tag - 20)]),
        24..=27 => skip(data, WIDTHS[usize::from(tag - 24)]),
        28..=32 => skip(data, WIDTHS[usize::from(tag - 28)]),
        40 | 44 => skip(data, 4),
        41 | 45..=47 | 50 => skip(data, 8),
        42 => {
            skip(data, 1)?;
            let c = i64::from_le_bytes(data.get(..8)?.try_into().ok()?);
            skip(data, 8)?;
            (c.unsigned_abs() < 10u64.pow(18)).then_some(())
        }
        43 => validate_numeric_large(data),
        48 | 49 => skip(data, 16),
        52..=55 => {
            let len = checked_len(data, 1 << (tag - 52))?;
            std::str::from_utf8(data.get(..len)?).ok()?;
            skip(data, len)
        }
        56..=59 => {
            let len = checked_len(data, 1 << (tag - 56))?;
            skip(data, len)
        }
        60 | 61 | 64 => validate_nested(data, depth, tag == Tag::Map as u8).map(|_| ()),
        62 => validate_array(data, depth),
        63 => validate_range(data, depth),
        _ => None,
    }
}
