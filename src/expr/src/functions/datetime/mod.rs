//! Dates and times (PostgreSQL manual 9.8, 9.9).

mod arithmetic;
mod field;
mod format;
mod make;
mod parse;
mod template;

pub(crate) use template::ordinal_suffix;

use crate::func::Registry;

pub(super) fn register(r: &mut Registry) {
    arithmetic::register(r);
    field::register(r);
    make::register(r);
    format::register(r);
    parse::register(r);
}
