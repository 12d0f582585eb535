//! Bytes to rows.

use hw_repr::text::DecodeContext;
use hw_repr::{RelationDesc, Row, RowArena, ScalarType};
use hw_sql::plan::{CopyForced, CopyFormat, CopyHeader};

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
        let (style, null, header, delimiter, forced) = match format {
            CopyFormat::Binary => return CopyDecoder(Decoder::Binary(BinaryDecoder::new(columns))),
            CopyFormat::Text { delimiter, null, header } => (None, null, *header, *delimiter, vec![]),
            CopyFormat::Csv { delimiter, quote, escape, null, header, forced } => {
                let style = csv::Style { delimiter: *delimiter, quote: *quote, escape: *escape };
                (Some(style), null, *header, *delimiter, forced.clone())
            }
        };
        let decoder = LineDecoder {
            columns,
            cx,
            style,
            delimiter,
            null: null.clone().into_bytes(),
            header,
            forced,
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
    /// What the next line is.
    header: CopyHeader,
    /// What is said of single columns.
    forced: Vec<CopyForced>,
    fields: Fields,
    rows: Vec<Row>,
}

impl LineSink for LineDecoder {
    fn line(&mut self, line: &[u8], number: u64) -> Result<(), CopyError> {
        let header = std::mem::replace(&mut self.header, CopyHeader::No);
        if header == CopyHeader::Yes {
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
        // A table without columns has empty lines, which would be taken for one field.
        if header == CopyHeader::Match && self.columns.is_empty() && line.is_empty() {
            return Ok(());
        }
        if header == CopyHeader::Match {
            return self.match_header().map_err(of_line);
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
    /// That the fields of the first line are the columns' names.
    fn match_header(&self) -> Result<(), CopyError> {
        let (found, wanted) = (self.fields.len(), self.columns.len());
        if found != wanted {
            let text =
                format!("wrong number of fields in header line: field count is {found}, expected {wanted}");
            return Err(CopyError::format(text));
        }
        for (i, (field, (name, _))) in self.fields.iter().zip(&self.columns).enumerate() {
            let found = match field {
                Some(bytes) if bytes == name.as_bytes() => continue,
                Some(bytes) => format!("got \"{}\"", String::from_utf8_lossy(bytes)),
                None => format!("got null value (\"{}\")", String::from_utf8_lossy(&self.null)),
            };
            let text =
                format!("column name mismatch in header line field {}: {found}, expected \"{name}\"", i + 1);
            return Err(CopyError::format(text));
        }
        Ok(())
    }

    /// The value of a field as the column's options have it: NULL and the text that stands for it are taken for each other.
    fn forced<'f>(&'f self, column: usize, field: Option<&'f [u8]>) -> Option<&'f [u8]> {
        let forced = self.forced.get(column).copied().unwrap_or_default();
        match field {
            None if forced.not_null => Some(self.null.as_slice()),
            Some(bytes) if forced.null && bytes == self.null => None,
            field => field,
        }
    }

    fn row(&self, number: u64) -> Result<Row, CopyError> {
        let arena = RowArena::new();
        Row::try_pack_with(|packer| {
            for (i, (field, (name, typ))) in self.fields.iter().zip(&self.columns).enumerate() {
                let Some(bytes) = self.forced(i, field) else {
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
