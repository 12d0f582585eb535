//! Errors of sources and of questions to upstream systems.
//!
//! * [`UpstreamError`]: what a statement such as `CREATE SOURCE` answers.
//! * `SourceError`: why a running source stopped; transient ones are retried, definite ones go into the data.
//! * [`payload`]: how an evaluation error is kept in a shard.

use hw_expr::EvalError;
use hw_persist::{ErrorPayload, PersistError};

/// An error of an upstream system, as a statement reports it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UpstreamError {
    /// Five characters, PostgreSQL manual appendix A.
    pub sqlstate: &'static str,
    /// The primary message.
    pub message: String,
    /// More about this case.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl UpstreamError {
    /// An error without detail and hint.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        UpstreamError { sqlstate, message: message.into(), detail: None, hint: None }
    }

    /// The same with a detail.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Message and detail in one line.
    pub(crate) fn one_line(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {detail}", self.message),
            None => self.message.clone(),
        }
    }
}

/// Why a source stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    /// Something that may get better by itself: it is tried again.
    #[error("{message}")]
    Transient {
        /// What is wrong.
        message: String,
        /// What may be done about it.
        hint: Option<String>,
    },
    /// The contents of all tables cannot be known any more.
    #[error("{0}")]
    Definite(EvalError),
    /// Another writer was faster; the position is read again.
    #[error("another writer has committed to the source's shards")]
    Raced,
    /// Another process runs the source now.
    #[error("the source runs elsewhere under a newer epoch")]
    Fenced,
    /// The source was told to stop.
    #[error("the source was stopped")]
    Stopped,
}

impl SourceError {
    /// A transient error without a hint.
    pub(crate) fn transient(message: impl Into<String>) -> Self {
        SourceError::Transient { message: message.into(), hint: None }
    }
}

impl From<UpstreamError> for SourceError {
    fn from(e: UpstreamError) -> Self {
        SourceError::Transient { message: e.one_line(), hint: e.hint }
    }
}

impl From<PersistError> for SourceError {
    fn from(e: PersistError) -> Self {
        SourceError::transient(e.to_string())
    }
}

impl From<mysql_async::Error> for SourceError {
    fn from(e: mysql_async::Error) -> Self {
        crate::mysql::connect::classify(&e).into()
    }
}

/// The form in which an evaluation error is kept in a shard: its postcard bytes.
pub fn payload(error: &EvalError) -> ErrorPayload {
    ErrorPayload::new(postcard::to_stdvec(error).expect("errors of strings can be serialized"))
}

/// The evaluation error in a payload. Bytes that are none give an internal error that says so.
pub fn decode_payload(payload: &ErrorPayload) -> EvalError {
    postcard::from_bytes(payload.as_bytes())
        .unwrap_or_else(|_| EvalError::new("XX001", "an error in stored data could not be read"))
}
