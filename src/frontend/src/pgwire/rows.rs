//! Rows on the wire: formats, DataRow messages, and sending rows as they come.

use bytes::{BufMut, BytesMut};
use hw_coord::cancel::StatementCancel;
use hw_coord::{AdapterError, RowStream};
use hw_repr::adt::TimeZone;
use hw_repr::text::EncodeContext;
use hw_repr::{RelationDesc, Row, ScalarType};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::response::{End, Failure};
use super::wire::FLUSH_BYTES;

/// The format of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Binary,
}

impl Format {
    pub(crate) fn code(self) -> i16 {
        match self {
            Format::Text => 0,
            Format::Binary => 1,
        }
    }

    /// The format with that code.
    pub(crate) fn of(code: i16) -> Result<Format, AdapterError> {
        match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(AdapterError::new("22023", format!("unsupported format code: {other}"))),
        }
    }
}

/// A format for each of `columns` columns: no code is text for all, one is for all, else there is one for each.
pub(crate) fn result_formats(codes: &[i16], columns: usize) -> Result<Vec<Format>, AdapterError> {
    match codes {
        [] => Ok(vec![Format::Text; columns]),
        [one] => Ok(vec![Format::of(*one)?; columns]),
        all if all.len() == columns => all.iter().map(|c| Format::of(*c)).collect(),
        all => Err(AdapterError::new(
            "08P01",
            format!("bind message has {} result formats but query has {columns} columns", all.len()),
        )),
    }
}

/// Makes DataRow messages.
pub(crate) struct RowEncoder {
    columns: Vec<(ScalarType, Format)>,
    cx: EncodeContext,
    text: String,
}

impl RowEncoder {
    pub(crate) fn new(desc: &RelationDesc, formats: &[Format], timezone: TimeZone) -> Self {
        let types = desc.iter().map(|(_, t)| t.scalar_type.clone());
        RowEncoder {
            columns: types.zip(formats.iter().copied()).collect(),
            cx: EncodeContext { timezone },
            text: String::new(),
        }
    }

    /// Appends the message for a row.
    ///
    /// # Errors
    /// 54000 when the row does not fit into a message.
    pub(crate) fn encode(&mut self, row: &Row, out: &mut BytesMut) -> Result<(), AdapterError> {
        let start = out.len();
        out.put_u8(b'D');
        out.put_i32(0);
        out.put_u16(self.columns.len() as u16);
        for (datum, (typ, format)) in row.iter().zip(&self.columns) {
            if datum.is_null() {
                out.put_i32(-1);
                continue;
            }
            match format {
                Format::Text => {
                    self.text.clear();
                    hw_repr::text::encode_with(datum, typ, &self.cx, &mut self.text);
                    out.put_u32(self.text.len() as u32);
                    out.put_slice(self.text.as_bytes());
                }
                Format::Binary => {
                    let length_at = out.len();
                    out.put_i32(0);
                    hw_repr::binary::encode(datum, typ, out);
                    let length = (out.len() - length_at - 4) as u32;
                    out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
                }
            }
        }
        let Ok(length) = i32::try_from(out.len() - start - 1) else {
            out.truncate(start);
            return Err(AdapterError::new("54000", "a row is too large for a message"));
        };
        out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

/// A result that is being sent.
pub(crate) struct ResultRows {
    pub(crate) encoder: RowEncoder,
    pub(crate) rows: RowStream,
    /// Rows that have come and not been sent.
    pub(crate) pending: std::vec::IntoIter<Row>,
    pub(crate) tag: String,
    pub(crate) bare_tag: bool,
    pub(crate) live: bool,
    pub(crate) cancel: StatementCancel,
}

impl ResultRows {
    /// The command tag after that many rows.
    pub(crate) fn command_tag(&self, sent: u64) -> String {
        if self.bare_tag { self.tag.clone() } else { format!("{} {sent}", self.tag) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Sends rows until they end (`true`) or `limit` of them have been sent (`false`). Also gives how many were sent.
    pub(crate) async fn send_rows(
        &mut self,
        result: &mut ResultRows,
        limit: Option<u64>,
    ) -> Result<(u64, bool), Failure> {
        let mut sent = 0;
        loop {
            while limit != Some(sent) {
                let Some(row) = result.pending.next() else { break };
                result.encoder.encode(&row, &mut self.wire.out)?;
                sent += 1;
                if self.wire.out.len() >= FLUSH_BYTES {
                    self.flush_rows(&result.cancel).await?;
                }
            }
            if limit == Some(sent) {
                return Ok((sent, false));
            }
            match self.next_batch(&mut result.rows, &result.cancel, result.live).await? {
                Some(batch) => result.pending = batch.into_iter(),
                None => return Ok((sent, true)),
            }
        }
    }

    /// The next rows. What has come so far is sent first if the result is live.
    pub(crate) async fn next_batch(
        &mut self,
        rows: &mut RowStream,
        cancel: &StatementCancel,
        live: bool,
    ) -> Result<Option<Vec<Row>>, Failure> {
        if live {
            self.flush_rows(cancel).await?;
        }
        tokio::select! {
            biased;
            batch = rows.next() => Ok(batch.transpose()?),
            () = cancel.cancelled() => Err(cancel.error().into()),
            () = self.wire.gone() => Err(End::Disconnected.into()),
            () = self.shared.shutdown.cancelled() => Err(End::Shutdown.into()),
        }
    }

    /// Sends what there is, unless the statement is cancelled: a client that does not read holds nothing up for ever.
    pub(crate) async fn flush_rows(&mut self, cancel: &StatementCancel) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(cancel.error().into()),
            () = self.shared.shutdown.cancelled() => Err(End::Shutdown.into()),
            flushed = self.wire.flush() => Ok(flushed?),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hw_repr::Datum;

    use super::*;

    #[test]
    fn data_rows() {
        let desc = RelationDesc::empty()
            .with_column("a", ScalarType::Int32.nullable(false))
            .with_column("b", ScalarType::String.nullable(true))
            .with_column("c", ScalarType::Int32.nullable(true));
        let mut out = BytesMut::new();
        let formats = result_formats(&[1, 0, 0], 3).unwrap();
        let mut encoder = RowEncoder::new(&desc, &formats, TimeZone::default());
        let row = Row::pack_slice(&[Datum::Int32(258), Datum::String("x"), Datum::Null]);
        encoder.encode(&row, &mut out).unwrap();
        encoder
            .encode(&Row::pack_slice(&[Datum::Int32(1), Datum::Null, Datum::Int32(-7)]), &mut out)
            .unwrap();
        let expected = [
            &b"D\0\0\0\x17\0\x03\0\0\0\x04\0\0\x01\x02\0\0\0\x01x\xff\xff\xff\xff"[..],
            b"D\0\0\0\x18\0\x03\0\0\0\x04\0\0\0\x01\xff\xff\xff\xff\0\0\0\x02-7",
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn formats() {
        assert_eq!(result_formats(&[], 2).unwrap(), [Format::Text; 2]);
        assert_eq!(result_formats(&[1], 2).unwrap(), [Format::Binary; 2]);
        assert_eq!(result_formats(&[0, 1], 2).unwrap(), [Format::Text, Format::Binary]);
        assert_eq!(result_formats(&[0, 1], 3).unwrap_err().sqlstate, "08P01");
        assert_eq!(result_formats(&[2], 3).unwrap_err().sqlstate, "22023");
    }
}
