//! `unnest` and the splitting of text into rows.

use hw_repr::{Datum, RelationDesc, Row, ScalarType};

use super::{column, rows, singles, table};
use crate::func::Registry;
use crate::functions::signature::element_type;
use crate::functions::string::regex::{matches, regex, split};

/// The key of the optimizer's own table function that gives its argument.
pub(crate) const VALUE_ONCE: &str = "hw_value_once(Any)";

fn text_column(name: &str) -> RelationDesc {
    column(name, ScalarType::String, false)
}

/// Splits at a delimiter: NULL splits into characters, the empty delimiter not at all.
pub(crate) fn split_string<'a>(s: &'a str, delimiter: Option<&str>) -> Vec<&'a str> {
    match delimiter {
        _ if s.is_empty() => vec![],
        None => s.char_indices().map(|(i, c)| &s[i..i + c.len_utf8()]).collect(),
        Some("") => vec![s],
        Some(d) => s.split(d).collect(),
    }
}

pub(super) fn register(r: &mut Registry) {
    // One row: the argument, which is computed at this very place of a plan, once for each row that comes.
    let mut value = table(VALUE_ONCE, |t| column("value", t[0].clone(), true), |_, _, a| singles([a[0]]));
    value.strict = false;
    r.add_table(value);
    r.add_table(table(
        "unnest(AnyArray)",
        |t| column("unnest", element_type(&t[0]), true),
        |_, _, a| singles(a[0].unwrap_array().elements().iter()),
    ));
    r.add_table(table(
        "unnest(AnyList)",
        |t| column("unnest", element_type(&t[0]), true),
        |_, _, a| singles(a[0].unwrap_list().iter()),
    ));
    r.add_table(table(
        "unnest(AnyMap)",
        |t| column("key", ScalarType::String, false).with_column("value", element_type(&t[0]).nullable(true)),
        |_, _, a| rows(a[0].unwrap_map().iter().map(|(k, v)| Row::pack_slice(&[Datum::String(k), v]))),
    ));
    for sig in ["regexp_split_to_table(text, text)", "regexp_split_to_table(text, text, text)"] {
        r.add_table(table(
            sig,
            |_| text_column("regexp_split_to_table"),
            |_, _, a| {
                let flags = a.get(2).map_or("", Datum::unwrap_str);
                let (re, _) = regex(a[1].unwrap_str(), flags, Some("regexp_split_to_table()"))?;
                singles(split(a[0].unwrap_str(), &re)?.into_iter().map(Datum::String))
            },
        ));
    }
    for sig in ["regexp_matches(text, text)", "regexp_matches(text, text, text)"] {
        let desc = |_: &[ScalarType]| column("regexp_matches", ScalarType::String.array_of(), false);
        r.add_table(table(sig, desc, |_, _, a| {
            let (re, global) = regex(a[1].unwrap_str(), a.get(2).map_or("", Datum::unwrap_str), None)?;
            let found = matches(a[0].unwrap_str(), &re, global)?;
            rows(found.into_iter().map(|groups| {
                let mut row = Row::default();
                row.packer().push_array(groups.iter().map(|g| g.map_or(Datum::Null, Datum::String)));
                row
            }))
        }));
    }
    for sig in ["string_to_table(text, text)", "string_to_table(text, text, text)"] {
        let mut def = table(
            sig,
            |_| column("string_to_table", ScalarType::String, true),
            |_, _, a| {
                let Datum::String(s) = a[0] else { return rows(vec![]) };
                let delimiter = if let Datum::String(d) = a[1] { Some(d) } else { None };
                let null = a.get(2).and_then(|d| if let Datum::String(s) = d { Some(*s) } else { None });
                let parts = split_string(s, delimiter).into_iter();
                singles(parts.map(move |p| if Some(p) == null { Datum::Null } else { Datum::String(p) }))
            },
        );
        def.strict = false;
        r.add_table(def);
    }
}
