//! Rows to bytes.

use bytes::{BufMut, BytesMut};
use hw_repr::adt::TimeZone;
use hw_repr::text::EncodeContext;
use hw_repr::{RelationDesc, Row, ScalarType};
use hw_sql::plan::{CopyFormat, CopyHeader};

use super::{binary, csv, text};

/// Encodes rows in a format.
#[derive(Debug)]
pub struct CopyEncoder {
    format: CopyFormat,
    names: Vec<String>,
    types: Vec<ScalarType>,
    cx: EncodeContext,
    value: String,
}

impl CopyEncoder {
    /// An encoder of rows of `desc`; `timestamptz` is shown in that zone.
    pub fn new(desc: &RelationDesc, format: CopyFormat, timezone: TimeZone) -> Self {
        CopyEncoder {
            format,
            names: desc.names().to_vec(),
            types: desc.typ().column_types.iter().map(|t| t.scalar_type.clone()).collect(),
            cx: EncodeContext { timezone },
            value: String::new(),
        }
    }

    /// What comes before the rows.
    pub fn header(&self, out: &mut BytesMut) {
        match &self.format {
            CopyFormat::Csv { delimiter, quote, escape, null, header, .. } if *header != CopyHeader::No => {
                for (i, name) in self.names.iter().enumerate() {
                    if i > 0 {
                        out.put_u8(*delimiter);
                    }
                    let style = csv::Style { delimiter: *delimiter, quote: *quote, escape: *escape };
                    csv::write_field(name, &style, null, self.names.len() == 1, false, out);
                }
                out.put_u8(b'\n');
            }
            CopyFormat::Text { delimiter, header, .. } if *header != CopyHeader::No => {
                for (i, name) in self.names.iter().enumerate() {
                    if i > 0 {
                        out.put_u8(*delimiter);
                    }
                    text::write_field(name, *delimiter, out);
                }
                out.put_u8(b'\n');
            }
            CopyFormat::Binary => binary::write_header(out),
            CopyFormat::Csv { .. } | CopyFormat::Text { .. } => {}
        }
    }

    /// A row.
    pub fn row(&mut self, row: &Row, out: &mut BytesMut) {
        match &self.format {
            CopyFormat::Binary => binary::write_row(row, &self.types, out),
            CopyFormat::Text { delimiter, null, .. } => {
                for (i, (datum, typ)) in row.iter().zip(&self.types).enumerate() {
                    if i > 0 {
                        out.put_u8(*delimiter);
                    }
                    if datum.is_null() {
                        out.put_slice(null.as_bytes());
                        continue;
                    }
                    self.value.clear();
                    hw_repr::text::encode_with(datum, typ, &self.cx, &mut self.value);
                    text::write_field(&self.value, *delimiter, out);
                }
                out.put_u8(b'\n');
            }
            CopyFormat::Csv { delimiter, quote, escape, null, forced, .. } => {
                let style = csv::Style { delimiter: *delimiter, quote: *quote, escape: *escape };
                for (i, (datum, typ)) in row.iter().zip(&self.types).enumerate() {
                    if i > 0 {
                        out.put_u8(*delimiter);
                    }
                    if datum.is_null() {
                        out.put_slice(null.as_bytes());
                        continue;
                    }
                    self.value.clear();
                    hw_repr::text::encode_with(datum, typ, &self.cx, &mut self.value);
                    let force = forced.get(i).is_some_and(|f| f.quote);
                    csv::write_field(&self.value, &style, null, self.types.len() == 1, force, out);
                }
                out.put_u8(b'\n');
            }
        }
    }

    /// What comes after the rows.
    pub fn trailer(&self, out: &mut BytesMut) {
        if matches!(self.format, CopyFormat::Binary) {
            binary::write_trailer(out);
        }
    }
}
