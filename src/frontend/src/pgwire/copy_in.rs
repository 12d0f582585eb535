//! COPY FROM STDIN: the client's data is decoded as it comes and handed on in batches.

use hw_coord::cancel::StatementCancel;
use hw_coord::client::CopyIn;
use hw_coord::{AdapterError, ExecuteResponse};
use hw_repr::{RelationDesc, Row};
use hw_sql::plan::CopyFormat;
use pgwire::messages::copy::CopyInResponse;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, attend};
use super::copy_out::copy_formats;
use super::message::{self, FrontendMessage};
use super::response::{End, Failure};
use crate::context::decode_context;
use crate::copy::{CopyDecoder, CopyError};

/// How many rows are handed on at once.
const BATCH_ROWS: usize = 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Reads rows in a format and inserts them; gives the command tag.
    pub(crate) async fn copy_in(
        &mut self,
        table: &str,
        desc: &RelationDesc,
        format: &CopyFormat,
        mut copy: CopyIn,
    ) -> Result<String, Failure> {
        let session = self.client.session();
        let cancel = session.cancel.clone();
        let mut decoder = CopyDecoder::new(desc, format, decode_context(session));
        let (code, codes) = copy_formats(desc.arity(), format);
        self.wire.put(&CopyInResponse::new(code, codes.len() as i16, codes))?;
        self.flush().await?;
        let placed = |e: CopyError| {
            let context = if e.place.is_empty() { None } else { Some(format!("COPY {table}, {}", e.place)) };
            Failure::Statement(e.error, context)
        };
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let data = self.copy_data(&cancel).await?;
            match &data {
                Some(data) => decoder.push(data, &mut rows).map_err(placed)?,
                None => decoder.finish(&mut rows).map_err(placed)?,
            }
            if data.is_none() || rows.len() >= BATCH_ROWS {
                self.client.copy_rows(&mut copy, std::mem::take(&mut rows))?;
            }
            if data.is_none() {
                break;
            }
        }
        let call = self.client.copy_done(copy);
        match attend(&mut self.wire, &self.shared.shutdown, call).await?? {
            ExecuteResponse::Done(tag) => Ok(tag),
            other => Err(AdapterError::internal(format!("unexpected answer to COPY: {other:?}")).into()),
        }
    }

    /// The next data of a copy; `None` at its end.
    async fn copy_data(&mut self, cancel: &StatementCancel) -> Result<Option<bytes::Bytes>, Failure> {
        loop {
            let frame = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(cancel.error().into()),
                () = self.shared.shutdown.cancelled() => return Err(End::Shutdown.into()),
                frame = self.wire.frame() => frame?,
            };
            let tag = frame.tag;
            match message::decode(frame)? {
                FrontendMessage::CopyData(data) => return Ok(Some(data)),
                FrontendMessage::CopyDone => return Ok(None),
                FrontendMessage::CopyFail(reason) => {
                    let message = format!("COPY from stdin failed: {reason}");
                    return Err(AdapterError::new("57014", message).into());
                }
                // Clients send them at once after Execute; they count after the copy.
                FrontendMessage::Flush | FrontendMessage::Sync => {}
                FrontendMessage::Terminate => return Err(End::Terminated.into()),
                _ => {
                    let message = format!("unexpected message type 0x{tag:02X} during COPY from stdin");
                    return Err(AdapterError::new("08P01", message).into());
                }
            }
        }
    }
}
