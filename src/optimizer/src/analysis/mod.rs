//! What can be derived of a plan: keys, equal columns, signs of multiplicities, growth.

pub(crate) mod equivalences;
mod keys;
mod sign;

pub(crate) use keys::keys;
pub(crate) use sign::{is_non_negative, mark_monotonic};
