//! Values of MySQL columns to datums.
//!
//! A [`ColumnPlan`] says what a column is upstream and what it becomes. Both ways in which a value arrives end in the
//! same functions here (`push_…`), so that one value has one encoding:
//!
//! * [`binlog`] takes the bytes of a row image;
//! * [`snapshot`] takes what the binary protocol of a SELECT gives.
//!
//! A value that cannot be held (a time of 30 hours, a zero date in a column that is NOT NULL, a decimal of 50 digits) is
//! a [`DecodeError`]; its row becomes an error in the data. The error depends on the row alone, so that the row's deletion
//! retracts it.

pub(crate) mod binlog;
pub(crate) mod decimal;
pub(crate) mod json;
pub(crate) mod snapshot;
pub(crate) mod temporal;

use std::borrow::Cow;
use std::fmt::Write;

use hw_expr::EvalError;
use hw_plan::source::{MySqlColumn, MySqlTable};
use hw_repr::adt::numeric;
use hw_repr::adt::{CivilTimestamp, Date, Time};
use hw_repr::{Datum, Row, RowPacker};

use super::charset::Charset;
use super::types::{enum_values, first_argument, fraction_digits};
use temporal::Civil;

/// A value that has no datum: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// The value has no counterpart.
    Value(String),
    /// The bytes are not what the column's definition says: the definition must have changed.
    Shape(String),
}

impl DecodeError {
    pub(crate) fn value(what: impl Into<String>) -> Self {
        DecodeError::Value(what.into())
    }

    pub(crate) fn shape(what: impl Into<String>) -> Self {
        DecodeError::Shape(what.into())
    }
}

/// What a column is upstream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Int { width: u8, unsigned: bool },
    Float,
    Double,
    Decimal,
    Bit,
    Text { charset: Charset, pad_to: Option<u32> },
    Bytes { pad_to: Option<u32> },
    Date,
    DateTime,
    Timestamp,
    Time,
    Year,
    Enum(Vec<String>),
    Set(Vec<String>),
    Json,
}

/// How one column is ingested.
#[derive(Debug, Clone)]
pub(crate) struct ColumnPlan {
    /// Its name.
    pub(crate) name: String,
    /// What it is upstream.
    pub(crate) kind: Kind,
    /// Whether NULL may occur.
    pub(crate) nullable: bool,
    /// Whether it becomes text.
    pub(crate) as_text: bool,
    /// Digits of fractional seconds.
    fraction_digits: u8,
}

/// How a table is ingested: the plans of the columns that are, in order.
#[derive(Debug, Clone)]
pub(crate) struct TablePlan {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) columns: Vec<ColumnPlan>,
}

impl TablePlan {
    /// The plan of a table. `Err` when a column is of a type that cannot be ingested.
    pub(crate) fn new(table: &MySqlTable) -> Result<TablePlan, EvalError> {
        let mut columns = Vec::new();
        for column in table.columns.iter().filter(|c| c.ingest.is_some()) {
            columns.push(ColumnPlan::new(column).ok_or_else(|| {
                let message = format!(
                    "column {:?} of {}.{} cannot be ingested",
                    column.name, table.schema, table.table
                );
                EvalError::new("0A000", format!("{message}: unsupported type {}", column.column_type))
            })?);
        }
        Ok(TablePlan { schema: table.schema.clone(), table: table.table.clone(), columns })
    }

    /// The error that stands in place of a row.
    pub(crate) fn error(&self, column: &str, what: &str) -> EvalError {
        let message = format!(
            "invalid value in column {column:?} of MySQL table {}.{}: {what}",
            self.schema, self.table
        );
        EvalError::new("22000", message)
    }
}

impl ColumnPlan {
    fn new(column: &MySqlColumn) -> Option<ColumnPlan> {
        let ingest = column.ingest.as_ref()?;
        let unsigned = column.column_type.to_ascii_lowercase().contains("unsigned");
        let int = |width| Kind::Int { width, unsigned };
        let charset = || Charset::by_name(column.charset.as_deref().unwrap_or("utf8mb4"));
        let kind = match column.data_type.to_ascii_lowercase().as_str() {
            "tinyint" | "bool" | "boolean" => int(1),
            "smallint" => int(2),
            "mediumint" => int(3),
            "int" | "integer" => int(4),
            "bigint" => int(8),
            "float" => Kind::Float,
            "double" | "real" => Kind::Double,
            "decimal" | "numeric" => Kind::Decimal,
            "bit" => Kind::Bit,
            "char" if ingest.as_text => Kind::Text { charset: charset()?, pad_to: None },
            "char" => {
                let length = first_argument(&column.column_type).unwrap_or(1);
                Kind::Text { charset: charset()?, pad_to: Some(length).filter(|n| *n > 0) }
            }
            "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
                Kind::Text { charset: charset()?, pad_to: None }
            }
            "binary" => Kind::Bytes { pad_to: Some(first_argument(&column.column_type).unwrap_or(1)) },
            "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Bytes { pad_to: None },
            "date" => Kind::Date,
            "datetime" => Kind::DateTime,
            "timestamp" => Kind::Timestamp,
            "time" => Kind::Time,
            "year" => Kind::Year,
            "enum" => Kind::Enum(enum_values(&column.column_type)?),
            "set" => Kind::Set(enum_values(&column.column_type)?),
            "json" => Kind::Json,
            _ => return None,
        };
        let text_only = matches!(kind, Kind::Enum(_) | Kind::Set(_) | Kind::Year);
        if (text_only && !ingest.as_text) || (matches!(kind, Kind::Bytes { .. }) && ingest.as_text) {
            return None;
        }
        Some(ColumnPlan {
            name: column.name.clone(),
            kind,
            nullable: ingest.typ.nullable,
            as_text: ingest.as_text,
            fraction_digits: fraction_digits(&column.column_type),
        })
    }

    fn push_null(&self, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        if !self.nullable {
            return Err(DecodeError::value("NULL in a column that was NOT NULL when the table was added"));
        }
        packer.push(Datum::Null);
        Ok(())
    }

    /// An integer; `v` holds any that MySQL has.
    fn push_int(&self, v: i128, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        if self.as_text {
            return push_display(v, packer);
        }
        let out = || DecodeError::shape("an integer is out of its type's range");
        let Kind::Int { width, unsigned } = self.kind else { return Err(out()) };
        let datum = match (width, unsigned) {
            (1 | 2, false) => Datum::Int16(v.try_into().map_err(|_| out())?),
            (1 | 2, true) => Datum::UInt16(v.try_into().map_err(|_| out())?),
            (3 | 4, false) => Datum::Int32(v.try_into().map_err(|_| out())?),
            (3 | 4, true) => Datum::UInt32(v.try_into().map_err(|_| out())?),
            (_, false) => Datum::Int64(v.try_into().map_err(|_| out())?),
            (_, true) => Datum::UInt64(v.try_into().map_err(|_| out())?),
        };
        packer.push(datum);
        Ok(())
    }

    fn push_float(&self, v: f32, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        if self.as_text {
            return push_display(v, packer);
        }
        packer.push(Datum::from(v));
        Ok(())
    }

    fn push_double(&self, v: f64, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        if self.as_text {
            return push_display(v, packer);
        }
        packer.push(Datum::from(v));
        Ok(())
    }

    /// A decimal as its text: an optional minus sign, digits, an optional point and digits.
    fn push_decimal(&self, text: &str, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        if self.as_text {
            packer.push(Datum::String(text));
            return Ok(());
        }
        packer.push(Datum::Numeric(decimal::to_numeric(text)?));
        Ok(())
    }

    fn push_bit(&self, bytes: &[u8], packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        if bytes.len() > 8 {
            return Err(DecodeError::shape("a bit value of more than 8 bytes"));
        }
        let v = bytes.iter().fold(0u64, |v, b| v << 8 | u64::from(*b));
        if self.as_text {
            return push_display(v, packer);
        }
        packer.push(Datum::UInt64(v));
        Ok(())
    }

    fn push_text(&self, bytes: &[u8], packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        let Kind::Text { charset, pad_to } = self.kind else {
            return Err(DecodeError::shape("text in a column of another type"));
        };
        let text = charset
            .decode(bytes)
            .ok_or_else(|| DecodeError::value("text that its character set does not have"))?;
        match pad_to {
            None => packer.push(Datum::String(&text)),
            Some(length) => packer.push(Datum::String(&pad_text(text, length as usize))),
        }
        Ok(())
    }

    fn push_bytes(&self, bytes: &[u8], packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        match self.kind {
            Kind::Bytes { pad_to: Some(length) } if bytes.len() < length as usize => {
                // The binlog cuts trailing zeros of BINARY(n).
                let mut padded = bytes.to_vec();
                padded.resize(length as usize, 0);
                packer.push(Datum::Bytes(&padded));
            }
            _ => packer.push(Datum::Bytes(bytes)),
        }
        Ok(())
    }

    fn push_date(&self, c: Civil, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        if self.as_text {
            return push_display(c.date_text(), packer);
        }
        if c.is_zero() {
            return self.push_zero_date("0000-00-00", packer);
        }
        let date = Date::from_ymd(i32::from(c.year), c.month.into(), c.day.into());
        let date = date
            .filter(|_| c.year > 0)
            .ok_or_else(|| DecodeError::value(format!("no such date: {}", c.date_text())))?;
        packer.push(Datum::Date(date));
        Ok(())
    }

    /// A datetime, or a timestamp in UTC.
    fn push_datetime(&self, c: Civil, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        let text = || c.datetime_text(self.fraction_digits);
        if self.as_text {
            return push_display(text(), packer);
        }
        if c.is_zero() {
            return self.push_zero_date(&text(), packer);
        }
        let no_such = || DecodeError::value(format!("no such time: {}", text()));
        let date = Date::from_ymd(i32::from(c.year), c.month.into(), c.day.into()).filter(|_| c.year > 0);
        let time = Time::from_hms_us(c.hour.into(), c.minute.into(), c.second.into(), c.micros);
        let (date, time) = date.zip(time).ok_or_else(no_such)?;
        let at = CivilTimestamp::from_parts(date, time).map_err(|_| no_such())?;
        packer.push(Datum::Timestamp(at));
        Ok(())
    }

    fn push_zero_date(&self, text: &str, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        if self.nullable {
            packer.push(Datum::Null);
            return Ok(());
        }
        Err(DecodeError::value(format!("{text} in a column that is NOT NULL")))
    }

    fn push_time(&self, micros: i64, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        if self.as_text {
            return push_display(temporal::time_text(micros, self.fraction_digits), packer);
        }
        let time = Time::from_us(micros).map_err(|_| {
            DecodeError::value(format!(
                "time out of range: {}",
                temporal::time_text(micros, self.fraction_digits)
            ))
        })?;
        packer.push(Datum::Time(time));
        Ok(())
    }

    fn push_year(&self, year: u32, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        push_display(format_args!("{year:04}"), packer)
    }

    fn push_enum(&self, index: u64, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        let Kind::Enum(values) = &self.kind else {
            return Err(DecodeError::shape("an enum in a column of another type"));
        };
        let text = match usize::try_from(index) {
            // What MySQL keeps for an invalid value.
            Ok(0) => "",
            Ok(i) => values
                .get(i - 1)
                .ok_or_else(|| DecodeError::shape(format!("enum value {i} is not defined")))?,
            Err(_) => return Err(DecodeError::shape("enum value is not defined")),
        };
        packer.push(Datum::String(text));
        Ok(())
    }

    fn push_set(&self, bits: u64, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        let Kind::Set(values) = &self.kind else {
            return Err(DecodeError::shape("a set in a column of another type"));
        };
        let mut text = String::new();
        for bit in (0..64).filter(|b| bits >> b & 1 == 1) {
            let value = values
                .get(bit)
                .ok_or_else(|| DecodeError::shape(format!("set value {bit} is not defined")))?;
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(value);
        }
        packer.push(Datum::String(&text));
        Ok(())
    }

    fn push_json(&self, value: serde_json::Value, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
        if !self.as_text {
            return json::push(value, packer);
        }
        let mut row = Row::default();
        json::push(value, &mut row.packer())?;
        let mut text = String::new();
        hw_repr::adt::jsonb::write(row.unpack_first(), &mut text);
        packer.push(Datum::String(&text));
        Ok(())
    }
}

fn push_display(v: impl std::fmt::Display, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "{v}");
    packer.push(Datum::String(&text));
    Ok(())
}

fn pad_text(text: Cow<'_, str>, length: usize) -> Cow<'_, str> {
    let chars = if text.is_ascii() { text.len() } else { text.chars().count() };
    if chars >= length {
        return text;
    }
    let mut padded = text.into_owned();
    padded.extend(std::iter::repeat_n(' ', length - chars));
    Cow::Owned(padded)
}

/// Checks that the digits of numerics suffice; here so that the limit is in one place.
pub(crate) const MAX_NUMERIC_DIGITS: usize = numeric::MAX_DIGITS as usize;
