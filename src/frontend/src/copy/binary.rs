//! The binary format.

use bytes::{Buf, BufMut, BytesMut};
use hw_repr::{Row, RowArena, ScalarType};

use super::{CopyError, MAX_LINE_BYTES};
use crate::pgwire::value_error;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Flags from this bit up must be understood by the reader. Of those, bit 16 said that rows had OIDs, long ago.
const CRITICAL_FLAGS: u32 = 0xffff_0000;

pub(super) fn write_header(out: &mut BytesMut) {
    out.put_slice(SIGNATURE);
    out.put_u32(0);
    out.put_u32(0);
}

pub(super) fn write_trailer(out: &mut BytesMut) {
    out.put_i16(-1);
}

pub(super) fn write_row(row: &Row, types: &[ScalarType], out: &mut BytesMut) {
    out.put_u16(types.len() as u16);
    for (datum, typ) in row.iter().zip(types) {
        let length_at = out.len();
        out.put_i32(-1);
        if !datum.is_null() {
            hw_repr::binary::encode(datum, typ, out);
            let length = (out.len() - length_at - 4) as u32;
            out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Ended,
}

/// Reads the binary format.
#[derive(Debug)]
pub(super) struct BinaryDecoder {
    columns: Vec<(String, ScalarType)>,
    buf: BytesMut,
    state: State,
    /// The number of the row that is being read, from 1.
    number: u64,
}

impl BinaryDecoder {
    pub(super) fn new(columns: Vec<(String, ScalarType)>) -> Self {
        BinaryDecoder { columns, buf: BytesMut::new(), state: State::Header, number: 1 }
    }

    pub(super) fn push(&mut self, data: &[u8], rows: &mut Vec<Row>) -> Result<(), CopyError> {
        self.buf.extend_from_slice(data);
        if self.state == State::Header {
            match header_length(&self.buf)? {
                Some(length) => {
                    self.buf.advance(length);
                    self.state = State::Rows;
                }
                None => return Ok(()),
            }
        }
        while self.state == State::Rows {
            match self.row().map_err(|e| e.at_line(self.number))? {
                Some(row) => rows.push(row),
                None => return Ok(()),
            }
            self.number += 1;
        }
        if self.buf.is_empty() {
            Ok(())
        } else {
            Err(CopyError::format("received copy data after EOF marker").at_line(self.number))
        }
    }

    pub(super) fn finish(&mut self) -> Result<(), CopyError> {
        match self.state {
            State::Header => Err(CopyError::format("COPY file signature not recognized")),
            // Data without a trailer is complete, as long as it ends with a row.
            State::Rows if self.buf.is_empty() => Ok(()),
            State::Rows => Err(CopyError::format("unexpected EOF in COPY data").at_line(self.number)),
            State::Ended => Ok(()),
        }
    }

    /// Takes a row off the buffer, if it is whole; `None` also at the trailer.
    fn row(&mut self) -> Result<Option<Row>, CopyError> {
        let mut rest = &self.buf[..];
        let Ok(count) = rest.try_get_i16() else { return Ok(None) };
        if count == -1 {
            self.buf.advance(2);
            self.state = State::Ended;
            return if self.buf.is_empty() {
                Ok(None)
            } else {
                Err(CopyError::format("received copy data after EOF marker"))
            };
        }
        if usize::try_from(count) != Ok(self.columns.len()) {
            let expected = self.columns.len();
            return Err(CopyError::format(format!("row field count is {count}, expected {expected}")));
        }
        let mut fields = Vec::with_capacity(self.columns.len());
        for _ in &self.columns {
            let Ok(length) = rest.try_get_i32() else { return Ok(None) };
            if length == -1 {
                fields.push(None);
                continue;
            }
            let length = usize::try_from(length).ok().filter(|l| *l <= MAX_LINE_BYTES);
            let length = length.ok_or_else(|| CopyError::format("invalid field size"))?;
            if rest.len() < length {
                return Ok(None);
            }
            let (field, after) = rest.split_at(length);
            fields.push(Some(field));
            rest = after;
        }
        let row = self.decode(&fields)?;
        let used = self.buf.len() - rest.len();
        self.buf.advance(used);
        Ok(Some(row))
    }

    fn decode(&self, fields: &[Option<&[u8]>]) -> Result<Row, CopyError> {
        let arena = RowArena::new();
        let mut row = Row::default();
        let mut packer = row.packer();
        for (field, (name, typ)) in fields.iter().zip(&self.columns) {
            let datum = match field {
                None => Ok(hw_repr::Datum::Null),
                Some(bytes) => hw_repr::binary::decode(bytes, typ, &arena),
            };
            packer.push(datum.map_err(|e| CopyError {
                error: value_error(e),
                place: format!("line {}, column {name}", self.number),
            })?);
        }
        Ok(row)
    }
}

/// The length of the header, if it is whole.
fn header_length(buf: &[u8]) -> Result<Option<usize>, CopyError> {
    let known = buf.len().min(SIGNATURE.len());
    if buf[..known] != SIGNATURE[..known] {
        return Err(CopyError::format("COPY file signature not recognized"));
    }
    let mut rest = &buf[known..];
    let (Ok(flags), Ok(extension)) = (rest.try_get_u32(), rest.try_get_i32()) else { return Ok(None) };
    if flags & CRITICAL_FLAGS != 0 {
        return Err(CopyError::format("unrecognized critical flags in COPY file header"));
    }
    let extension = usize::try_from(extension).ok().filter(|l| *l <= MAX_LINE_BYTES);
    let extension = extension.ok_or_else(|| CopyError::format("invalid COPY file header (wrong length)"))?;
    let length = SIGNATURE.len() + 8 + extension;
    Ok((buf.len() >= length).then_some(length))
}
