//! Lists, maps and records: the dialect's containers beside arrays.

use hw_repr::{Datum, DatumList, RowArena, RowPacker, ScalarType};

use super::signature::{element_type, f, op};
use super::{EvalResult, fail, ok};
use crate::func::Registry;

pub(super) fn register(r: &mut Registry) {
    register_lists(r);
    register_maps(r);
    register_records(r);
}

fn list<'a>(arena: &'a RowArena, items: impl IntoIterator<Item = Datum<'a>>) -> EvalResult<'a> {
    Ok(arena.make_datum(|p| p.push_list(items)))
}

fn items(d: Datum<'_>) -> DatumList<'_> {
    if let Datum::List(l) = d { l } else { DatumList::empty() }
}

fn register_lists(r: &mut Registry) {
    r.add(
        f("hw_list(Any...) -> text notnull total internal", |_, arena, a| list(arena, a.iter().copied()))
            .returning(|t| t.first().map_or(ScalarType::String, ScalarType::without_modifiers).list_of()),
    );
    // Nested subscripts `l[i][j]` are one call.
    r.add(
        f("hw_list_get(AnyList, int8...) -> elem1 nullable total internal", |_, _, a| {
            let found = a[1..].iter().try_fold(a[0], |d, i| match d {
                Datum::List(l) => l.iter().nth(usize::try_from(i.unwrap_int64()).ok()?.checked_sub(1)?),
                _ => None,
            });
            Ok(found.unwrap_or(Datum::Null))
        })
        .returning(|t| t[1..].iter().fold(t[0].clone(), |t, _| element_type(&t))),
    );
    // Lower and upper bounds in turn, one pair for each layer; NULL where a bound is left out.
    r.add(f("hw_list_slice(AnyList, int8...) -> $1 lax_total internal", |_, arena, a| match a[0] {
        Datum::List(_) => Ok(arena.make_datum(|p| slice(a[0], &a[1..], p))),
        _ => Ok(Datum::Null),
    }));
    r.add(f("list_length(AnyList) -> int4 total", |_, _, a| ok(a[0].unwrap_list().iter().count() as i32)));
    r.add(f("list_n_layers(AnyList) -> int4 total", |cx, _, _| {
        let mut layers = 0;
        let mut typ = cx.types.args[0].clone();
        while let ScalarType::List { element, .. } = typ {
            layers += 1;
            typ = *element;
        }
        ok(layers)
    }));
    r.add(f("list_length_max(AnyList, int8) -> int4 nullable", |_, _, a| {
        fn longest(l: DatumList<'_>, depth: i64) -> Option<i32> {
            if depth <= 1 {
                return Some(l.iter().count() as i32);
            }
            l.iter().filter_map(|d| if let Datum::List(l) = d { longest(l, depth - 1) } else { None }).max()
        }
        match a[1].unwrap_int64() {
            n if n < 1 => {
                fail("22023", format!("invalid layer: {n}; must use value within [1, layers of the list]"))
            }
            n => Ok(longest(a[0].unwrap_list(), n).into()),
        }
    }));
    r.add(op("AnyList || AnyList -> $1 lax_total", |_, arena, a| match (a[0], a[1]) {
        (Datum::Null, other) | (other, Datum::Null) => Ok(other),
        (x, y) => list(arena, items(x).iter().chain(items(y).iter())),
    }));
    r.add(f("list_cat(AnyList, AnyList) -> $1 lax_total", |_, arena, a| match (a[0], a[1]) {
        (Datum::Null, other) | (other, Datum::Null) => Ok(other),
        (x, y) => list(arena, items(x).iter().chain(items(y).iter())),
    }));
    r.add(op("AnyList || ListElement -> $1 lax_total", |_, arena, a| {
        list(arena, items(a[0]).iter().chain([a[1]]))
    }));
    r.add(op("ListElement || AnyList -> $2 lax_total", |_, arena, a| {
        list(arena, [a[0]].into_iter().chain(items(a[1]).iter()))
    }));
    r.add(f("list_append(AnyList, ListElement) -> $1 lax_total", |_, arena, a| {
        list(arena, items(a[0]).iter().chain([a[1]]))
    }));
    r.add(f("list_prepend(ListElement, AnyList) -> $2 lax_total", |_, arena, a| {
        list(arena, [a[0]].into_iter().chain(items(a[1]).iter()))
    }));
    r.add(f("list_remove(AnyList, ListElement) -> $1 lax_total", |_, arena, a| match a[0] {
        Datum::List(l) => list(arena, l.iter().filter(|d| *d != a[1])),
        _ => Ok(Datum::Null),
    }));
    r.add(op("AnyList @> AnyList -> bool total", |_, _, a| ok(contains(a[0], a[1]))));
    r.add(op("AnyList <@ AnyList -> bool total", |_, _, a| ok(contains(a[1], a[0]))));
}

fn slice(d: Datum<'_>, bounds: &[Datum<'_>], p: &mut RowPacker<'_>) {
    let (Datum::List(l), [lower, upper, rest @ ..]) = (d, bounds) else {
        p.push(d);
        return;
    };
    let bound = |d: &Datum<'_>, default: i64| if let Datum::Int64(v) = d { *v } else { default };
    let (from, to) = (bound(lower, 1).max(1), bound(upper, i64::MAX));
    let count = usize::try_from(to.saturating_sub(from).saturating_add(1)).unwrap_or(0);
    let skip = usize::try_from(from - 1).unwrap_or(usize::MAX);
    p.push_list_with(|p| l.iter().skip(skip).take(count).for_each(|d| slice(d, rest, p)));
}

fn contains(x: Datum<'_>, y: Datum<'_>) -> bool {
    items(y).iter().all(|d| !d.is_null() && items(x).iter().any(|e| e == d))
}

fn register_maps(r: &mut Registry) {
    // Keys and values in turn; of equal keys the last wins.
    r.add(
        f("hw_map(Any...) -> text notnull internal", |_, arena, a| {
            let mut entries = std::collections::BTreeMap::new();
            for pair in a.chunks_exact(2) {
                match pair[0] {
                    Datum::String(k) => entries.insert(k, pair[1]),
                    _ => return fail("22004", "map key cannot be null"),
                };
            }
            Ok(arena.make_datum(|p| {
                p.push_map_with(|p| entries.iter().for_each(|(k, v)| p.extend([Datum::String(k), *v])));
            }))
        })
        .returning(|t| ScalarType::Map {
            value: Box::new(t.get(1).map_or(ScalarType::String, ScalarType::without_modifiers)),
            custom_id: None,
        }),
    );
    r.add(op("AnyMap -> text -> elem1 nullable total", |_, _, a| {
        Ok(a[0].unwrap_map().get(a[1].unwrap_str()).unwrap_or(Datum::Null))
    }));
    r.add(op("AnyMap ? text -> bool total", |_, _, a| {
        ok(a[0].unwrap_map().get(a[1].unwrap_str()).is_some())
    }));
    r.add(op("AnyMap ?| text[] -> bool total", |_, _, a| {
        let m = a[0].unwrap_map();
        ok(a[1]
            .unwrap_array()
            .elements()
            .iter()
            .any(|k| if let Datum::String(k) = k { m.get(k).is_some() } else { false }))
    }));
    r.add(op("AnyMap ?& text[] -> bool total", |_, _, a| {
        let m = a[0].unwrap_map();
        ok(a[1]
            .unwrap_array()
            .elements()
            .iter()
            .all(|k| if let Datum::String(k) = k { m.get(k).is_some() } else { true }))
    }));
    r.add(op("AnyMap @> AnyMap -> bool total", |_, _, a| ok(map_contains(a[0], a[1]))));
    r.add(op("AnyMap <@ AnyMap -> bool total", |_, _, a| ok(map_contains(a[1], a[0]))));
    r.add(f("map_length(AnyMap) -> int4 total", |_, _, a| ok(a[0].unwrap_map().iter().count() as i32)));
    r.add(
        f("map_build(AnyList) -> text", |_, arena, a| {
            let mut entries = std::collections::BTreeMap::new();
            for d in a[0].unwrap_list().iter() {
                let Datum::List(pair) = d else { continue };
                let mut pair = pair.iter();
                if let (Some(Datum::String(k)), Some(v)) = (pair.next(), pair.next()) {
                    entries.insert(k, v);
                }
            }
            Ok(arena.make_datum(|p| {
                p.push_map_with(|p| entries.iter().for_each(|(k, v)| p.extend([Datum::String(k), *v])));
            }))
        })
        .returning(|t| {
            let value = match element_type(&t[0]) {
                ScalarType::Record { fields, .. } => fields.get(1).map(|(_, t)| t.scalar_type.clone()),
                _ => None,
            };
            ScalarType::Map { value: Box::new(value.unwrap_or(ScalarType::String)), custom_id: None }
        }),
    );
}

fn map_contains(x: Datum<'_>, y: Datum<'_>) -> bool {
    let x = x.unwrap_map();
    y.unwrap_map().iter().all(|(k, v)| x.get(k) == Some(v))
}

fn register_records(r: &mut Registry) {
    r.add(
        f("hw_record(Any...) -> text notnull total internal", |_, arena, a| list(arena, a.iter().copied()))
            .returning(|t| {
                let fields =
                    t.iter().enumerate().map(|(i, t)| (format!("f{}", i + 1), t.clone().nullable(true)));
                ScalarType::Record { fields: fields.collect(), custom_id: None }
            }),
    );
    // The field's position, from 0, is a literal; the caller sets the result type.
    r.add(f("hw_record_get(AnyRecord, int4) -> text nullable total internal", |_, _, a| {
        let at = usize::try_from(a[1].unwrap_int32()).unwrap_or(usize::MAX);
        Ok(a[0].unwrap_list().iter().nth(at).unwrap_or(Datum::Null))
    }));
}
