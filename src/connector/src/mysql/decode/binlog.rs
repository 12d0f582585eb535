//! Row images of the binlog to rows.
//!
//! A [`RowLayout`] is made from a table map event: for each upstream column its wire type, and which of them the columns
//! of the export are. Then each row image is walked once to find where its fields are, and the fields of the export are
//! packed in the export's order straight from the event's bytes.

use hw_expr::EvalError;
use hw_repr::{Row, RowPacker};

use super::temporal::{Civil, fraction_bytes, fraction_micros, time_from_binary};
use super::{ColumnPlan, DecodeError, Kind, TablePlan, decimal, json};

/// Wire types (`enum_field_types`) and their metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireType {
    typ: u8,
    meta: [u8; 2],
}

const TINY: u8 = 1;
const SHORT: u8 = 2;
const LONG: u8 = 3;
const FLOAT: u8 = 4;
const DOUBLE: u8 = 5;
const NULL: u8 = 6;
const TIMESTAMP: u8 = 7;
const LONGLONG: u8 = 8;
const INT24: u8 = 9;
const DATE: u8 = 10;
const TIME: u8 = 11;
const DATETIME: u8 = 12;
const YEAR: u8 = 13;
const NEWDATE: u8 = 14;
const VARCHAR: u8 = 15;
const BIT: u8 = 16;
const TIMESTAMP2: u8 = 17;
const DATETIME2: u8 = 18;
const TIME2: u8 = 19;
const VECTOR: u8 = 242;
const JSON: u8 = 245;
const NEWDECIMAL: u8 = 246;
const ENUM: u8 = 247;
const SET: u8 = 248;
const TINY_BLOB: u8 = 249;
const BLOB: u8 = 252;
const VAR_STRING: u8 = 253;
const STRING: u8 = 254;
const GEOMETRY: u8 = 255;

impl WireType {
    /// The wire type of a table map's raw type byte and metadata. Fixed strings hide enums and sets, and the upper bits of
    /// their length in the inverted bits 4 and 5 of the type.
    pub(crate) fn new(typ: u8, meta: &[u8]) -> WireType {
        let meta = [meta.first().copied().unwrap_or(0), meta.get(1).copied().unwrap_or(0)];
        if typ != STRING {
            return WireType { typ, meta };
        }
        if meta[0] & 0x30 != 0x30 {
            let length = u16::from(meta[1]) | u16::from((meta[0] & 0x30) ^ 0x30) << 4;
            return WireType { typ: STRING, meta: length.to_le_bytes() };
        }
        match meta[0] {
            ENUM | SET => WireType { typ: meta[0], meta: [meta[1], 0] },
            _ => WireType { typ: STRING, meta: [meta[1], 0] },
        }
    }

    /// Where a field's bytes begin and end in `data`, which starts at the field.
    fn extent(&self, data: &[u8]) -> Result<(usize, usize), DecodeError> {
        let prefixed = |width: usize| {
            let bytes = data.get(..width).ok_or_else(|| DecodeError::shape("row image ends early"))?;
            let length = bytes.iter().rev().fold(0usize, |v, b| v << 8 | usize::from(*b));
            Ok((width, width + length))
        };
        let fixed = |n: usize| Ok((0, n));
        match self.typ {
            NULL => fixed(0),
            TINY | YEAR => fixed(1),
            SHORT => fixed(2),
            INT24 | DATE | NEWDATE | TIME => fixed(3),
            LONG | FLOAT | TIMESTAMP => fixed(4),
            LONGLONG | DOUBLE | DATETIME => fixed(8),
            TIMESTAMP2 => fixed(4 + fraction_bytes(self.meta[0])),
            DATETIME2 => fixed(5 + fraction_bytes(self.meta[0])),
            TIME2 => fixed(3 + fraction_bytes(self.meta[0])),
            BIT => fixed(usize::from(self.meta[1]) + usize::from(self.meta[0] > 0)),
            ENUM | SET => fixed(self.meta[0].into()),
            NEWDECIMAL => {
                let length = decimal::binary_len(self.meta[0], self.meta[1]);
                fixed(length.ok_or_else(|| DecodeError::shape("invalid decimal metadata"))?)
            }
            VARCHAR | VAR_STRING | STRING => {
                prefixed(if u16::from_le_bytes(self.meta) < 256 { 1 } else { 2 })
            }
            TINY_BLOB..=BLOB | JSON | GEOMETRY | VECTOR if (1..=4).contains(&self.meta[0]) => {
                prefixed(self.meta[0].into())
            }
            other => Err(DecodeError::shape(format!("unknown column type {other} in the binlog"))),
        }
    }

    /// Whether a column of this plan may arrive so. Guards against a definition that is not the one the rows were written with.
    pub(crate) fn fits(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Int { width, .. } => {
                matches!((width, self.typ), (1, TINY) | (2, SHORT) | (3, INT24) | (4, LONG) | (8, LONGLONG))
            }
            Kind::Float => self.typ == FLOAT,
            Kind::Double => self.typ == DOUBLE,
            Kind::Decimal => self.typ == NEWDECIMAL,
            Kind::Bit => self.typ == BIT,
            Kind::Text { .. } | Kind::Bytes { .. } => {
                matches!(self.typ, VARCHAR | VAR_STRING | STRING | TINY_BLOB..=BLOB)
            }
            Kind::Date => matches!(self.typ, DATE | NEWDATE),
            Kind::DateTime => matches!(self.typ, DATETIME | DATETIME2),
            Kind::Timestamp => matches!(self.typ, TIMESTAMP | TIMESTAMP2),
            Kind::Time => matches!(self.typ, TIME | TIME2),
            Kind::Year => self.typ == YEAR,
            Kind::Enum(_) => self.typ == ENUM,
            Kind::Set(_) => self.typ == SET,
            Kind::Json => self.typ == JSON,
        }
    }
}

/// How rows of one table map become rows of one export.
#[derive(Debug, Clone)]
pub(crate) struct RowLayout {
    /// All columns of the row image.
    wire: Vec<WireType>,
    /// For each column of the export its position in the row image.
    positions: Vec<usize>,
}

/// The fields of one row image: NULL, or where its bytes are.
type Fields = Vec<Option<(usize, usize)>>;

/// A row image split into its fields, and what is left of the event.
#[derive(Debug, Default)]
pub(crate) struct Image {
    fields: Fields,
}

impl RowLayout {
    pub(crate) fn new(wire: Vec<WireType>, positions: Vec<usize>) -> RowLayout {
        RowLayout { wire, positions }
    }

    /// Finds the fields of the image at the start of `data` and returns how long it is.
    pub(crate) fn split(&self, data: &[u8], image: &mut Image) -> Result<usize, DecodeError> {
        let ends_early = || DecodeError::shape("row image ends early");
        let nulls = data.get(..self.wire.len().div_ceil(8)).ok_or_else(ends_early)?;
        let mut at = nulls.len();
        image.fields.clear();
        for (i, wire) in self.wire.iter().enumerate() {
            if nulls[i / 8] >> (i % 8) & 1 == 1 {
                image.fields.push(None);
                continue;
            }
            let (from, to) = wire.extent(data.get(at..).ok_or_else(ends_early)?)?;
            image.fields.push(Some((at + from, at + to)));
            at += to;
            if at > data.len() {
                return Err(ends_early());
            }
        }
        Ok(at)
    }

    /// The row of an image that was split from `data`. The inner error stands in place of a row with a value that cannot be held;
    /// the outer one says that the layout is wrong.
    pub(crate) fn row(
        &self,
        plan: &TablePlan,
        data: &[u8],
        image: &Image,
    ) -> Result<Result<Row, EvalError>, EvalError> {
        let mut row = Row::default();
        let mut packer = row.packer();
        for (column, position) in plan.columns.iter().zip(&self.positions) {
            let pushed = match image.fields.get(*position) {
                Some(None) => column.push_null(&mut packer),
                Some(Some((from, to))) => self.push(column, *position, &data[*from..*to], &mut packer),
                None => Err(DecodeError::shape("the row has no such column")),
            };
            match pushed {
                Ok(()) => {}
                Err(DecodeError::Value(what)) => return Ok(Err(plan.error(&column.name, &what))),
                Err(DecodeError::Shape(what)) => return Err(plan.error(&column.name, &what)),
            }
        }
        Ok(Ok(row))
    }

    fn push(
        &self,
        column: &ColumnPlan,
        position: usize,
        data: &[u8],
        packer: &mut RowPacker<'_>,
    ) -> Result<(), DecodeError> {
        let wire = &self.wire[position];
        let raw = || data.iter().rev().fold(0u64, |v, b| v << 8 | u64::from(*b));
        match &column.kind {
            Kind::Int { unsigned, .. } => {
                let v = raw();
                let bits = 8 * data.len() as u32;
                let signed = !unsigned && bits > 0 && v >> (bits - 1) & 1 == 1;
                let v = if signed { i128::from(v) - (1i128 << bits) } else { i128::from(v) };
                column.push_int(v, packer)
            }
            Kind::Float => column.push_float(f32::from_bits(raw() as u32), packer),
            Kind::Double => column.push_double(f64::from_bits(raw()), packer),
            Kind::Decimal => {
                let mut text = String::with_capacity(24);
                decimal::binary_to_text(data, wire.meta[0], wire.meta[1], &mut text)?;
                column.push_decimal(&text, packer)
            }
            Kind::Bit => column.push_bit(data, packer),
            Kind::Text { .. } => column.push_text(data, packer),
            Kind::Bytes { .. } => column.push_bytes(data, packer),
            Kind::Date => column.push_date(Civil::from_date_bits(raw() as u32), packer),
            Kind::DateTime => column.push_datetime(datetime(wire, data), packer),
            Kind::Timestamp => column.push_datetime(timestamp(wire, data)?, packer),
            Kind::Time if wire.typ == TIME2 => column.push_time(time_from_binary(data), packer),
            Kind::Time => {
                // Three bytes, signed, as the decimal digits hhmmss.
                let v = raw() as i64;
                let v = if v >= 0x80_0000 { v - 0x100_0000 } else { v };
                let (sign, m) = (v.signum(), v.abs());
                let seconds = m / 10_000 * 3600 + m / 100 % 100 * 60 + m % 100;
                column.push_time(sign * seconds * 1_000_000, packer)
            }
            Kind::Year => column.push_year(if data == [0] { 0 } else { 1900 + raw() as u32 }, packer),
            Kind::Enum(_) => column.push_enum(raw(), packer),
            Kind::Set(_) => column.push_set(raw(), packer),
            Kind::Json => column.push_json(json::from_binary(data)?, packer),
        }
    }
}

fn big_endian(data: &[u8]) -> u64 {
    data.iter().fold(0u64, |v, b| v << 8 | u64::from(*b))
}

fn datetime(wire: &WireType, data: &[u8]) -> Civil {
    if wire.typ == DATETIME {
        return Civil::from_digits(data.iter().rev().fold(0u64, |v, b| v << 8 | u64::from(*b)));
    }
    let (whole, fraction) = data.split_at(data.len().min(5));
    Civil::from_packed(big_endian(whole).wrapping_sub(0x80_0000_0000), fraction_micros(fraction))
}

fn timestamp(wire: &WireType, data: &[u8]) -> Result<Civil, DecodeError> {
    let (whole, fraction) = data.split_at(data.len().min(4));
    let seconds = match wire.typ {
        TIMESTAMP => whole.iter().rev().fold(0u32, |v, b| v << 8 | u32::from(*b)),
        _ => big_endian(whole) as u32,
    };
    Civil::from_unix(seconds, fraction_micros(fraction))
}
