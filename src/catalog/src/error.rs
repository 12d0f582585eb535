//! Errors of the catalog.

use hw_persist::PersistError;

/// Why a catalog cannot be opened or a transaction is refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A statement's own fault: SQLSTATE, message, detail, hint.
    #[error("{message}")]
    User {
        /// Five characters, PostgreSQL manual appendix A.
        sqlstate: &'static str,
        /// The primary message.
        message: String,
        /// More about this case.
        detail: Option<String>,
        /// What to do.
        hint: Option<String>,
    },
    /// Another server has opened the catalog since.
    #[error("another server has taken over this environment")]
    Fenced,
    /// The store failed.
    #[error("catalog storage: {0}")]
    Storage(#[from] PersistError),
    /// What is stored cannot be read.
    #[error("catalog is corrupt at key {key}: {reason}")]
    Corrupt {
        /// Where.
        key: String,
        /// How.
        reason: String,
    },
    /// The catalog was written by a newer version.
    #[error("catalog has format version {found}, this server reads up to {known}")]
    FromTheFuture {
        /// The version found.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// The secret key cannot be used.
    #[error("secret key: {0}")]
    SecretKey(String),
}

impl CatalogError {
    pub(crate) fn user(sqlstate: &'static str, message: impl Into<String>) -> Self {
        CatalogError::User { sqlstate, message: message.into(), detail: None, hint: None }
    }

    /// The SQLSTATE.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            CatalogError::User { sqlstate, .. } => sqlstate,
            CatalogError::Fenced => "57P01",
            CatalogError::Storage(_) => "58030",
            CatalogError::Corrupt { .. } | CatalogError::FromTheFuture { .. } => "XX001",
            CatalogError::SecretKey(_) => "F0000",
        }
    }

    /// More about this case.
    pub fn detail(&self) -> Option<String> {
        match self {
            CatalogError::User { detail, .. } => detail.clone(),
            _ => None,
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            CatalogError::User { hint, .. } => hint.clone(),
            CatalogError::SecretKey(_) => {
                Some("Restore the key file of the data directory, or set HEADWATER_SECRET_KEY.".into())
            }
            _ => None,
        }
    }
}
