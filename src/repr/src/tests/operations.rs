//! What PostgreSQL 15 answered to arithmetic on numerics, intervals and timestamps: `operations.txt`. A line is
//! the kind, the arguments, and the results in the order of the functions below; `!` is not asked.

use crate::adt::numeric::{self as num, Numeric};
use crate::adt::{AdtError, CivilTimestamp, DateTimeField, Interval, fields};
use crate::text;
use crate::{Datum, RowArena, ScalarType};

fn number(s: &str) -> Numeric {
    num::parse(s).unwrap()
}

fn interval(s: &str) -> Interval {
    text::decode(s, &ScalarType::Interval, &RowArena::new()).unwrap().unwrap_interval()
}

fn timestamp(s: &str) -> CivilTimestamp {
    text::decode(s, &ScalarType::TIMESTAMP, &RowArena::new()).unwrap().unwrap_timestamp()
}

fn show<T, E: std::fmt::Display>(v: Result<T, E>, text: impl Fn(T) -> String) -> String {
    v.map_or_else(|e| format!("!{e}"), text)
}

fn show_number(v: Result<Numeric, AdtError>) -> String {
    show(v, |n| num::to_string(&n))
}

fn show_interval(v: Result<Interval, AdtError>) -> String {
    show(v, |i| text::to_string(Datum::Interval(i), &ScalarType::Interval))
}

fn show_timestamp(v: Result<CivilTimestamp, AdtError>) -> String {
    show(v, |t| text::to_string(Datum::Timestamp(t), &ScalarType::TIMESTAMP))
}

fn answers(kind: &str, args: &[&str]) -> Vec<String> {
    match kind {
        "div" => {
            let (a, b) = (number(args[0]), number(args[1]));
            let results = [
                num::div(&a, &b),
                num::rem(&a, &b),
                num::mul(&a, &b),
                num::add(&a, &b),
                num::sub(&a, &b),
                num::div_trunc(&a, &b),
            ];
            results.map(show_number).to_vec()
        }
        "round" => {
            let (a, places) = (number(args[0]), args[1].parse().unwrap());
            let results = [
                num::round(&a, places),
                Ok(num::trunc(&a, places)),
                num::floor(&a),
                num::ceil(&a),
                Ok(num::trim_scale(&a)),
            ];
            results.map(show_number).to_vec()
        }
        "f8" => vec![show_number(num::from_f64(args[0].parse().unwrap()))],
        "ival" => {
            let (i, f) = (interval(args[0]), args[1].parse().unwrap());
            let results = [
                i.checked_mul(f),
                i.checked_div(f),
                i.justify_hours(),
                i.justify_days(),
                i.justify_interval(),
            ];
            results.map(show_interval).to_vec()
        }
        "age" => {
            let (a, b) = (timestamp(args[0]), timestamp(args[1]));
            [a.age(b), a.checked_sub(b)].map(show_interval).to_vec()
        }
        "add" => {
            let (t, i) = (timestamp(args[0]), interval(args[1]));
            [t.add_interval(&i), t.sub_interval(&i)].map(show_timestamp).to_vec()
        }
        "fld" => {
            let (f, t) = (DateTimeField::parse(args[0]).unwrap(), timestamp(args[1]));
            let field = fields::extract_timestamp(f, t);
            let field = show(field, |n| n.map_or("NULL".into(), |n| num::to_string(&n)));
            vec![field, show_timestamp(fields::trunc_timestamp(f, t))]
        }
        "ifld" => {
            let (f, i) = (DateTimeField::parse(args[0]).unwrap(), interval(args[1]));
            vec![show_number(fields::extract_interval(f, &i)), show_interval(fields::trunc_interval(f, &i))]
        }
        other => panic!("no operations of kind {other}"),
    }
}

#[test]
fn arithmetic_is_postgresqls() {
    let mut differences = Vec::new();
    let mut count = 0;
    for line in include_str!("operations.txt").lines() {
        let columns: Vec<&str> = line.split('|').collect();
        let args = if columns[0] == "f8" { 1 } else { 2 };
        for (found, expected) in answers(columns[0], &columns[1..=args]).iter().zip(&columns[1 + args..]) {
            count += 1;
            if *expected != "!" && found != expected {
                differences.push(format!("{line}\n   PostgreSQL {expected}\n   Headwater  {found}"));
            }
        }
    }
    assert!(count > 400, "the table holds {count} results");
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n"));
}
