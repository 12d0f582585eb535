//! Errors on their way through shards.
//!
//! Persist keeps errors as opaque bytes: the postcard encoding of [`EvalError`].

use hw_expr::EvalError;
use hw_persist::ErrorPayload;

/// The bytes of an error, as shards hold them.
pub fn encode_error(error: &EvalError) -> ErrorPayload {
    // An error is plain data; encoding it into memory cannot fail.
    ErrorPayload::new(postcard::to_stdvec(error).expect("errors can be encoded"))
}

/// The error of these bytes; bytes that are none become an error that says so.
pub fn decode_error(payload: &ErrorPayload) -> EvalError {
    postcard::from_bytes(payload.as_bytes())
        .unwrap_or_else(|e| EvalError::new("XX001", format!("stored error cannot be read: {e}")))
}

/// Why a compute instance cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// The worker threads could not be started.
    #[error("workers cannot be started: {0}")]
    Workers(String),
}
