//! Mathematical functions (PostgreSQL manual 9.3).

mod float;
mod integer;
mod transcendental;

pub(crate) use transcendental::sqrt_to_scale;

use crate::func::Registry;

pub(super) fn register(r: &mut Registry) {
    float::register(r);
    integer::register(r);
    transcendental::register(r);
}
