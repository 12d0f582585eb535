//! COPY TO STDOUT: each row is a CopyData message, sent as rows come and the client reads.

use bytes::{BufMut, BytesMut};
use hw_coord::{AdapterError, RowStream};
use hw_repr::RelationDesc;
use hw_sql::plan::CopyFormat;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::response::Failure;
use super::wire::FLUSH_BYTES;
use crate::context::session_timezone;
use crate::copy::CopyEncoder;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Sends rows in a format; gives the command tag.
    pub(crate) async fn copy_out(
        &mut self,
        desc: &RelationDesc,
        mut rows: RowStream,
        format: &CopyFormat,
        live: bool,
    ) -> Result<String, Failure> {
        let session = self.client.session();
        let cancel = session.cancel.clone();
        let mut encoder = CopyEncoder::new(desc, format.clone(), session_timezone(session));
        let (code, codes) = copy_formats(desc.arity(), format);
        self.wire.put(&CopyOutResponse::new(code, codes.len() as i16, codes))?;
        let mut start = self.begin_data();
        encoder.header(&mut self.wire.out);
        end_data(&mut self.wire.out, start)?;
        let mut sent: u64 = 0;
        while let Some(batch) = self.next_batch(&mut rows, &cancel, live).await? {
            for row in batch {
                start = self.begin_data();
                encoder.row(&row, &mut self.wire.out);
                end_data(&mut self.wire.out, start)?;
                sent += 1;
                if self.wire.out.len() >= FLUSH_BYTES {
                    self.flush_rows(&cancel).await?;
                }
            }
        }
        start = self.begin_data();
        encoder.trailer(&mut self.wire.out);
        end_data(&mut self.wire.out, start)?;
        self.wire.put(&CopyDone::new())?;
        Ok(format!("COPY {sent}"))
    }

    fn begin_data(&mut self) -> usize {
        let start = self.wire.out.len();
        self.wire.out.put_slice(b"d\0\0\0\0");
        start
    }
}

/// The overall format code and one for each column.
pub(crate) fn copy_formats(columns: usize, format: &CopyFormat) -> (i8, Vec<i16>) {
    let code = i8::from(matches!(format, CopyFormat::Binary));
    (code, vec![i16::from(code); columns])
}

/// Ends the CopyData message that began at `start`; an empty one is taken back.
fn end_data(out: &mut BytesMut, start: usize) -> Result<(), AdapterError> {
    if out.len() == start + 5 {
        out.truncate(start);
        return Ok(());
    }
    let Ok(length) = i32::try_from(out.len() - start - 1) else {
        out.truncate(start);
        return Err(AdapterError::new("54000", "a row is too large for a message"));
    };
    out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
