//! The types of the generated queries and their values.
//!
//! Values come from small domains, so that joins and groups meet. Left out, because PostgreSQL's own answer depends on
//! its plan: equal values with different texts (intervals such as `24:00:00` beside `1 day`); numerics are the
//! exception, their scale is left out of the comparison.

use super::choices::Choices;

/// A type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ty {
    Int,
    Text,
    Big,
    Num,
    Bool,
    Date,
    Ts,
    Dbl,
    Arr,
    Json,
    Itv,
}

/// All of them, with how often a column has each.
pub(crate) const TYPES: &[(Ty, u32)] = &[
    (Ty::Int, 28),
    (Ty::Text, 18),
    (Ty::Big, 10),
    (Ty::Num, 12),
    (Ty::Bool, 8),
    (Ty::Date, 7),
    (Ty::Ts, 6),
    (Ty::Dbl, 4),
    (Ty::Arr, 4),
    (Ty::Json, 4),
    (Ty::Itv, 2),
];

impl Ty {
    /// A random type.
    pub(crate) fn random(choices: &mut Choices) -> Ty {
        let weights: Vec<u32> = TYPES.iter().map(|(_, w)| *w).collect();
        TYPES[choices.weighted(&weights)].0
    }

    /// Its name in a cast.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Ty::Int => "int",
            Ty::Text => "text",
            Ty::Big => "bigint",
            Ty::Num => "numeric",
            Ty::Bool => "boolean",
            Ty::Date => "date",
            Ty::Ts => "timestamp",
            Ty::Dbl => "double precision",
            Ty::Arr => "int[]",
            Ty::Json => "jsonb",
            Ty::Itv => "interval",
        }
    }

    /// The beginning of the names of its columns.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Ty::Int => "i",
            Ty::Text => "s",
            Ty::Big => "b",
            Ty::Num => "n",
            Ty::Bool => "z",
            Ty::Date => "d",
            Ty::Ts => "ts",
            Ty::Dbl => "f",
            Ty::Arr => "a",
            Ty::Json => "j",
            Ty::Itv => "v",
        }
    }

    /// Whether it can be subtracted and added to as numbers can.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Ty::Int | Ty::Big | Ty::Num | Ty::Dbl)
    }

    /// A value that is not NULL, as an expression of exactly this type.
    pub(crate) fn literal(self, choices: &mut Choices) -> String {
        let one = |choices: &mut Choices, of: &[&str]| (*choices.one_of(of)).to_owned();
        match self {
            Ty::Int => one(choices, &["0", "1", "2", "3", "4", "(-1)", "5", "7", "(-3)", "100"]),
            Ty::Big => {
                let n = one(choices, &["0", "1", "2", "3", "(-1)", "5", "(-4)", "5000000000"]);
                format!("{n}::bigint")
            }
            Ty::Num => one(choices, &["0.0", "1.0", "1.5", "2.00", "1.50", "(-0.25)", "10.1", "3::numeric"]),
            Ty::Dbl => {
                let n = one(choices, &["0", "1", "0.5", "(-1.25)", "2", "100.75"]);
                format!("{n}::double precision")
            }
            Ty::Text => {
                let s = one(choices, &["", "a", "b", "ab", "B", "abc", "a_c", "x%", "b b", "10"]);
                format!("'{s}'::text")
            }
            Ty::Bool => one(choices, &["false", "true"]),
            Ty::Date => {
                let days =
                    ["2024-01-01", "2024-01-02", "2024-02-29", "2023-12-31", "2024-01-15", "2025-03-01"];
                format!("date '{}'", choices.one_of(&days))
            }
            Ty::Ts => {
                let times = [
                    "2024-01-01 00:00:00",
                    "2024-01-01 10:30:00",
                    "2024-01-02 00:00:00",
                    "2024-02-29 23:59:59.5",
                    "2023-12-31 12:00:00",
                ];
                format!("timestamp '{}'", choices.one_of(&times))
            }
            Ty::Arr => {
                let arrays = ["{1}", "{1,2}", "{}", "{2,NULL}", "{3,1,2}", "{NULL}"];
                format!("'{}'::int[]", choices.one_of(&arrays))
            }
            Ty::Json => {
                let values = [
                    "1",
                    "null",
                    "true",
                    "\"a\"",
                    "[1, 2]",
                    "{\"a\": 1}",
                    "{\"a\": \"b\", \"b\": [2]}",
                    "{\"b\": null}",
                ];
                format!("'{}'::jsonb", choices.one_of(&values))
            }
            Ty::Itv => {
                let lengths = ["1 day", "02:00:00", "3 days 01:30:00", "-1 days", "00:00:00"];
                format!("interval '{}'", choices.one_of(&lengths))
            }
        }
    }

    /// NULL of this type.
    pub(crate) fn null(self) -> String {
        format!("NULL::{}", self.name())
    }
}
