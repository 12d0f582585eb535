//! Statements on `sqlparser`, and our own.

/// What of a statement's text `sqlparser`'s grammar cannot express, found in its tokens and kept by position.
#[derive(Debug, Clone, Default)]
pub struct Extensions {}
