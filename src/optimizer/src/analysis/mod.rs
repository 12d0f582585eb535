//! What can be derived of a plan: keys, signs of multiplicities, growth.

mod keys;
mod sign;

pub(crate) use keys::keys;
pub(crate) use sign::{is_non_negative, mark_monotonic};
