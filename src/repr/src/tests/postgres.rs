//! What PostgreSQL 15 answered to the texts in `postgres.tsv`: `regenerate.sh` writes it from `postgres.in`.
//!
//! Each line is a type, an input, and the output or `!`, SQLSTATE, a space and the message. `\N` stands for nothing.

use crate::text::{self, DecodeContext};
use crate::{RowArena, ScalarType};

#[test]
fn input_and_output_are_postgresqls() {
    let mut differences = Vec::new();
    let mut count = 0;
    for line in include_str!("postgres.tsv").lines() {
        let mut columns = line.split('\t').map(unescape);
        let (typ, input, expected) =
            (columns.next().unwrap(), columns.next().unwrap(), columns.next().unwrap());
        let scalar = ScalarType::from_name(&typ).unwrap_or_else(|| panic!("a type is named {typ}"));
        let arena = RowArena::new();
        let found = match text::decode_with(&input, &scalar, &DecodeContext::default(), &arena) {
            Ok(d) => text::to_string(d, &scalar),
            Err(e) => format!("!{} {e}", e.sqlstate()),
        };
        count += 1;
        if found != expected {
            differences.push(format!("{typ} {input:?}\n   PostgreSQL {expected:?}\n   Headwater  {found:?}"));
        }
    }
    assert!(count > 300, "the table holds {count} examples");
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n"));
}

/// Undoes the escapes of COPY's text format.
fn unescape(s: &str) -> String {
    let mut out = String::new();
    let mut chars = s.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('b') => out.push('\u{8}'),
                Some('f') => out.push('\u{c}'),
                Some('v') => out.push('\u{b}'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}
