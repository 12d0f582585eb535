//! Casts between containers, element by element, and the few that change the kind of container.

use hw_repr::{Datum, RowArena, RowPacker, ScalarType};

use crate::cast::cast_datum;
use crate::error::EvalError;
use crate::func::{CastContext, Registry, Role};
use crate::functions::signature::{cast, element_type, f};

pub(super) fn register(r: &mut Registry) {
    r.add(
        f("hw_cast_container(Any, bool) -> $1 internal", |cx, arena, a| {
            convert(a[0], &cx.types.args[0], &cx.types.ret, a[1].unwrap_bool(), arena)
        })
        .role(Role::Cast),
    );
    r.add(cast("int2vector -> int2[] implicit injective total", |_, _, a| Ok(a[0])));
}

/// Whether containers of these types convert element by element, given that their elements do.
pub(crate) fn elements_convert(from: &ScalarType, to: &ScalarType) -> Option<Vec<(ScalarType, ScalarType)>> {
    match (from, to) {
        (ScalarType::Array(_), ScalarType::Array(_))
        | (ScalarType::List { .. }, ScalarType::List { .. })
        | (ScalarType::Map { .. }, ScalarType::Map { .. })
        | (ScalarType::Array(_), ScalarType::List { .. })
        | (ScalarType::List { .. }, ScalarType::Array(_)) => {
            Some(vec![(element_type(from), element_type(to))])
        }
        (ScalarType::Record { fields: x, .. }, ScalarType::Record { fields: y, .. })
            if x.len() == y.len() =>
        {
            Some(
                x.iter()
                    .zip(y)
                    .map(|((_, a), (_, b))| (a.scalar_type.clone(), b.scalar_type.clone()))
                    .collect(),
            )
        }
        _ => None,
    }
}

fn convert<'a>(
    d: Datum<'a>,
    from: &ScalarType,
    to: &ScalarType,
    explicit: bool,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let context = if explicit { CastContext::Explicit } else { CastContext::Assignment };
    let one = |d: Datum<'a>, from: &ScalarType, to: &ScalarType, p: &mut RowPacker<'_>| {
        cast_datum(d, from, to, context, arena).map(|d| p.push(d))
    };
    arena.try_make_datum(|p| match (d, from, to) {
        (Datum::List(l), ScalarType::Record { fields: x, .. }, ScalarType::Record { fields: y, .. }) => p
            .push_list_with(|p| {
                l.iter()
                    .zip(x.iter().zip(y))
                    .try_for_each(|(d, ((_, a), (_, b)))| one(d, &a.scalar_type, &b.scalar_type, p))
            }),
        (Datum::List(l), _, ScalarType::Array(_)) => {
            let (x, y) = (element_type(from), element_type(to));
            let elements: Result<Vec<_>, _> =
                l.iter().map(|d| cast_datum(d, &x, &y, context, arena)).collect();
            p.push_array(elements?);
            Ok(())
        }
        (Datum::List(l), ..) => {
            let (x, y) = (element_type(from), element_type(to));
            p.push_list_with(|p| l.iter().try_for_each(|d| one(d, &x, &y, p)))
        }
        (Datum::Map(m), ..) => {
            let (x, y) = (element_type(from), element_type(to));
            p.push_map_with(|p| {
                m.iter().try_for_each(|(k, v)| {
                    p.push(Datum::String(k));
                    one(v, &x, &y, p)
                })
            })
        }
        (Datum::Array(array), _, ScalarType::List { .. }) => {
            let (x, y) = (element_type(from), element_type(to));
            p.push_list_with(|p| array.elements().iter().try_for_each(|d| one(d, &x, &y, p)))
        }
        (Datum::Array(array), ..) => {
            let (x, y) = (element_type(from), element_type(to));
            let dims: Vec<_> = array.dims().collect();
            p.push_array_with(&dims, |p| array.elements().iter().try_for_each(|d| one(d, &x, &y, p)))
        }
        (other, ..) => {
            p.push(other);
            Ok(())
        }
    })
}
