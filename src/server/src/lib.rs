//! The headwater executable: composition root and end-to-end tests.
