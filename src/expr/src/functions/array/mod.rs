//! Arrays (PostgreSQL manual 8.15, 9.19) and the tests of one value against many (9.24).

mod build;
mod quantified;
mod read;
mod subscript;

use hw_repr::datum::ArrayDimension;
use hw_repr::{ArrayRef, Datum, RowArena};

use crate::func::Registry;

pub(super) fn register(r: &mut Registry) {
    build::register(r);
    quantified::register(r);
    read::register(r);
    subscript::register(r);
}

/// The elements, collected.
fn elements<'a>(a: ArrayRef<'a>) -> Vec<Datum<'a>> {
    a.elements().iter().collect()
}

/// An array of those dimensions, empty when one of them is.
fn make<'a>(arena: &'a RowArena, dims: &[ArrayDimension], elements: &[Datum<'_>]) -> Datum<'a> {
    let dims = if elements.is_empty() { &[] } else { dims };
    arena.make_datum(|p| p.push_array_with(dims, |p| p.extend(elements.iter())))
}

/// An array of one dimension.
fn make_plain<'a>(arena: &'a RowArena, elements: &[Datum<'_>]) -> Datum<'a> {
    arena.make_datum(|p| p.push_array(elements.iter()))
}
