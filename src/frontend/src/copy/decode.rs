//! Bytes to rows.

use hw_repr::text::DecodeContext;
use hw_repr::{RelationDesc, Row, RowArena, ScalarType};
use hw_sql::plan::CopyFormat;

use super::binary::BinaryDecoder;
use super::lines::{LineSink, Lines};
use super::text::Fields;
use super::{CopyError, csv, excerpt, text};
use crate::pgwire::{utf8, value_error};

/// Decodes rows from bytes that are cut anywhere.
#[derive(Debug)]
pub struct CopyDecoder(Decoder);

#[derive(Debug)]
enum Decoder {
    Lines(Lines, LineDecoder),
    Binary(BinaryDecoder),
}

impl CopyDecoder {
    /// A decoder of rows of `desc`.
    pub fn new(desc: &RelationDesc, format: &CopyFormat, cx: DecodeContext) -> Self {
        let columns = desc.iter().map(|(name, typ)| (name.clone(), typ.scalar_type.clone())).collect();
        let (style, null, skip, delimiter) = match format {
            CopyFormat::Binary => return CopyDecoder(Decoder::Binary(BinaryDecoder::new(columns))),
            CopyFormat::Text { delimiter, null } => (None, null, false, *delimiter),
            CopyFormat::Csv { delimiter, quote, escape, null, header } => {
                let style = csv::Style { delimiter: *delimiter, quote: *quote, escape: *escape };
                (Some(style), null, *header, *delimiter)
            }
        };
        let decoder = LineDecoder {
            columns,
            cx,
            style,
            delimiter,
            null: null.clone().into_bytes(),
            skip,
            fields: Fields::default(),
            rows: Vec::new(),
        };
        CopyDecoder(Decoder::Lines(Lines::new(style), decoder))
    }

    /// Takes bytes; appends the rows that are complete.
    ///
    /// # Errors
    /// When the data is malformed; nothing may be pushed after that.
    pub fn push(&mut self, data: &[u8], rows: &mut Vec<Row>) -> Result<(), CopyError> {
        match &mut self.0 {
            Decoder::Binary(decoder) => decoder.push(data, rows),
            Decoder::Lines(lines, decoder) => {
                let result = lines.push(data, decoder);
                rows.append(&mut decoder.rows);
                result
            }
        }
    }

    /// Ends the data; appends the last rows.
    ///
    /// # Errors
    /// When the data is malformed or incomplete.
    pub fn finish(&mut self, rows: &mut Vec<Row>) -> Result<(), CopyError> {
        match &mut self.0 {
            Decoder::Binary(decoder) => decoder.finish(),
            Decoder::Lines(lines, decoder) => {
                let result = lines.finish(decoder);
                rows.append(&mut decoder.rows);
                result
            }
        }
    }
}

/// Lines to rows.
#[derive(Debug)]
struct LineDecoder {
    columns: Vec<(String, ScalarType)>,
    cx: DecodeContext,
    /// CSV, or text.
    style: Option<csv::Style>,
    delimiter: u8,
    null: Vec<u8>,
    /// Whether the next line is a header.
    skip: bool,
    fields: Fields,
    rows: Vec<Row>,
}

impl LineSink for LineDecoder {
    fn line(&mut self, line: &[u8], number: u64) -> Result<(), CopyError> {
        if std::mem::take(&mut self.skip) {
            return Ok(());
        }
        let of_line = |mut e: CopyError| {
            e.place = format!("line {number}: \"{}\"", excerpt(line));
            e
        };
        match &self.style {
            None => text::split(line, self.delimiter, &self.null, &mut self.fields),
            Some(style) => csv::split(line, style, &self.null, &mut self.fields).map_err(of_line)?,
        }
        if self.columns.is_empty() && line.is_empty() {
            self.rows.push(Row::default());
            return Ok(());
        }
        if self.fields.len() > self.columns.len() {
            return Err(of_line(CopyError::format("extra data after last expected column")));
        }
        if let Some((name, _)) = self.columns.get(self.fields.len()) {
            return Err(of_line(CopyError::format(format!("missing data for column \"{name}\""))));
        }
        let row = self.row(number)?;
        self.rows.push(row);
        Ok(())
    }
}

impl LineDecoder {
    fn row(&self, number: u64) -> Result<Row, CopyError> {
        let arena = RowArena::new();
        Row::try_pack_with(|packer| {
            for (field, (name, typ)) in self.fields.iter().zip(&self.columns) {
                let Some(bytes) = field else {
                    packer.push(hw_repr::Datum::Null);
                    continue;
                };
                let decoded = utf8(bytes)
                    .and_then(|s| hw_repr::text::decode_with(s, typ, &self.cx, &arena).map_err(value_error));
                packer.push(decoded.map_err(|error| CopyError {
                    error,
                    place: format!("line {number}, column {name}: \"{}\"", excerpt(bytes)),
                })?);
            }
            Ok(())
        })
    }
}
