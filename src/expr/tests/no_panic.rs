//! No function, operator, cast, aggregate or table function panics, whatever values of its parameters' types it is given;
//! each keeps what its entry promises: the type of its result, NULL only where announced, errors only where announced
//! and with a SQLSTATE. Values are extremes of each type in random combinations; the seed is printed on failure and can
//! be given as `HW_SEED`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hw_expr::aggregate::AggregateKind;
use hw_expr::func::{FuncDef, FuncKind, ParamType, registry};
use hw_expr::{AggregateFunc, EvalError, Func, TableFunc};
use hw_repr::datum::ArrayDimension;
use hw_repr::types::datum_matches_scalar_type;
use hw_repr::{Datum, Row, RowArena, ScalarType, text};

/// Calls of each entry for each choice of its polymorphic types, or as many as `HW_CALLS` says.
fn calls() -> usize {
    std::env::var("HW_CALLS").ok().and_then(|s| s.parse().ok()).unwrap_or(30)
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize) % n
    }

    fn pick<'v, T>(&mut self, from: &'v [T]) -> &'v T {
        &from[self.below(from.len())]
    }
}

const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "abc",
    "Žluťoučký kůň",
    "ß",
    "🦀",
    "a🦀b",
    "%",
    "_",
    "\\",
    "a\\",
    "%\\",
    "'",
    "\"",
    "\"a\"",
    "1",
    "-1",
    "0",
    "1e400",
    "NaN",
    "12.50",
    "2147483647",
    "9223372036854775808",
    "true",
    "null",
    "[]",
    "{}",
    "{\"a\":[1,null]}",
    "{1,2}",
    "(a|b)*",
    "(",
    "[",
    "a{1,2}",
    "(.)\\1",
    "x(?=y)",
    "*",
    "g",
    "i",
    "gi",
    "q",
    "hex",
    "base64",
    "escape",
    "utf8",
    "UTF-8",
    "latin1",
    "sha256",
    "md5",
    "UTC",
    "Europe/Prague",
    "+05",
    "-99:99",
    "PST",
    "YYYY-MM-DD HH24:MI:SS.US",
    "FMDay, DDth TMMonth",
    "žYYYYž\"ů\"",
    "9,999.99",
    "FM999.9",
    "S999PR",
    "RN",
    "EEEE",
    "9.99EEEE",
    "V99",
    "99V99TH",
    "year",
    "millennium",
    "epoch",
    "julian",
    "isodow",
    "timezone",
    "microseconds",
    "2020-02-30",
    "2020-02-29 12:00:00.123456",
    "infinity",
    "-infinity",
    "now",
    "4713-01-01 BC",
    "294276-12-31",
    "1 year 2 mons -3 days 04:05:06",
    "P1Y",
    "100000000 years",
    "[1,5)",
    "empty",
    "(,)",
    "[]",
    "()",
    "[)",
    "NFC",
    "NFKD",
    "%s %I %L",
    "%1$s",
    "%-10s|",
    "%*s",
    "%9999999999s",
    "%",
    "%%",
    "%0$s",
    "a.b.\"C\"",
    "a..b",
    "\\0041",
    "\\+00D800",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "e\u{301}",
    "\u{1F1E8}\u{1F1FF}",
    "İ",
    "ŉ",
    "10 GB",
    "1 xB",
    "pg_class",
    "int4",
    "public",
    "SELECT",
    "\\x00ff",
    "00000000-0000-0000-0000-000000000000",
];

fn texts_of(typ: &ScalarType) -> Vec<&'static str> {
    match typ {
        ScalarType::Bool => vec!["t", "f"],
        ScalarType::Int16 => vec!["0", "1", "-1", "2", "7", "32767", "-32768"],
        ScalarType::Int32 => {
            vec!["0", "1", "-1", "2", "3", "10", "31", "64", "255", "1000", "2147483647", "-2147483648"]
        }
        ScalarType::Int64 => {
            vec![
                "0",
                "1",
                "-1",
                "2",
                "33",
                "63",
                "1000",
                "9223372036854775807",
                "-9223372036854775808",
                "4294967296",
            ]
        }
        ScalarType::UInt16 => vec!["0", "1", "65535"],
        ScalarType::UInt32 => vec!["0", "1", "4294967295", "2147483648"],
        ScalarType::UInt64 | ScalarType::MzTimestamp => {
            vec!["0", "1", "18446744073709551615", "9223372036854775808"]
        }
        oid if oid.is_oid_like() => {
            vec!["0", "1", "23", "25", "1007", "4294967295"]
        }
        ScalarType::Float32 => {
            vec!["0", "1", "-1", "0.5", "NaN", "inf", "-inf", "3.4e38", "-3.4e38", "1e-45", "2147483648"]
        }
        ScalarType::Float64 => vec![
            "0", "1", "-1", "0.5", "0.1", "30", "90", "NaN", "inf", "-inf", "1.7e308", "-1.7e308", "5e-324",
            "1e18", "9.3e18", "1e300", "-0.25",
        ],
        ScalarType::Numeric { .. } => vec![
            "0",
            "1",
            "-1",
            "0.5",
            "1.50",
            "-2.25",
            "NaN",
            "Infinity",
            "-Infinity",
            "1e38",
            "999999999999999999999999999999999999999",
            "-999999999999999999999999999999999999999",
            "0.000000000000000000000000000000000000001",
            "123456789012345678901.234567890123456789",
            "33",
            "100",
            "9223372036854775808",
        ],
        ScalarType::Bytes => vec!["", "\\x00", "\\xff00ff", "\\xc3", "\\xc5be", "abc"],
        ScalarType::Date => vec![
            "2020-02-29",
            "0001-01-01",
            "4714-11-24 BC",
            "5874897-12-31",
            "infinity",
            "-infinity",
            "1970-01-01",
        ],
        ScalarType::Time => vec!["00:00", "24:00", "12:34:56.789012", "23:59:59.999999"],
        ScalarType::Timestamp { .. } | ScalarType::TimestampTz { .. } => vec![
            "2020-02-29 12:34:56.789012",
            "0001-01-01",
            "4714-11-24 00:00:00 BC",
            "294276-12-31 23:59:59.999999",
            "infinity",
            "-infinity",
            "1970-01-01",
            "2021-03-28 02:30:00",
        ],
        ScalarType::Interval => vec![
            "0",
            "1 day",
            "-1 day",
            "1 month",
            "1 year 2 mons -3 days 04:05:06.789",
            "178000000 years",
            "-178000000 years",
            "2147483647 days",
            "-2147483648 days",
            "1 microsecond",
            "2562047788:00:54.775807",
            "-2562047788:00:54.775807",
        ],
        ScalarType::Uuid => {
            vec!["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
        }
        ScalarType::Jsonb => vec![
            "null",
            "true",
            "1",
            "-1.50",
            "\"\"",
            "\"ž\"",
            "[]",
            "[1, \"a\", null, [2]]",
            "{}",
            "{\"a\": 1, \"b\": {\"c\": [null]}}",
            "[[1,2],[3,4]]",
            "99999999999999999999",
            "\"12\"",
            "{\"b\": []}",
            "[{\"a\": 1}, {\"a\": null, \"b\": \"x\"}]",
        ],
        ScalarType::Jsonpath => vec![
            "$",
            "strict $.a[*].b",
            "$.**{1 to last} ? (@ > 1 || @ like_regex \"a\" flag \"i\")",
            "strict $[last - 1 to last, 0].keyvalue().keyvalue()",
            "-$[*].double() / 0",
            "($.a + $x % 3).type()",
            "exists($ ? (@ starts with $x)) && !($ == null)",
            "$.*.size().abs().floor().ceiling()",
            "$.datetime()",
        ],
        ScalarType::PgLegacyChar => vec!["", "a", "Z"],
        ScalarType::MzAclItem => vec!["u1=r/s1", "=UC/u1"],
        ScalarType::Int2Vector => vec!["", "1 2 3"],
        ScalarType::String
        | ScalarType::VarChar { .. }
        | ScalarType::Char { .. }
        | ScalarType::PgLegacyName => TEXTS.to_vec(),
        _ => vec![],
    }
}

fn row(f: impl FnOnce(&mut hw_repr::RowPacker<'_>)) -> Row {
    let mut row = Row::default();
    f(&mut row.packer());
    row
}

/// A value of a type.
fn value(typ: &ScalarType, random: &mut Random) -> Row {
    match typ {
        ScalarType::Array(element) => {
            let dims: &[(i32, u32)] = *random.pick(&[
                &[][..],
                &[(1, 1)],
                &[(1, 3)],
                &[(-5, 2)],
                &[(1, 2), (1, 2)],
                &[(i32::MAX - 1, 1)],
            ]);
            let count = if dims.is_empty() { 0 } else { dims.iter().map(|d| d.1 as usize).product() };
            let elements: Vec<Row> = (0..count).map(|_| maybe(element, random)).collect();
            let dims: Vec<_> =
                dims.iter().map(|d| ArrayDimension { lower_bound: d.0, length: d.1 }).collect();
            row(|p| p.push_array_with(&dims, |p| p.extend(elements.iter().map(Row::unpack_first))))
        }
        ScalarType::List { element, .. } => {
            let elements: Vec<Row> = (0..random.below(4)).map(|_| maybe(element, random)).collect();
            row(|p| p.push_list(elements.iter().map(Row::unpack_first)))
        }
        ScalarType::Map { value: v, .. } => {
            let entries: BTreeMap<&str, Row> = (0..random.below(3))
                .map(|_| (*random.pick(TEXTS), Row::default()))
                .map(|(k, _)| (k, Row::default()))
                .collect();
            let entries: Vec<(&str, Row)> = entries.into_keys().map(|k| (k, maybe(v, random))).collect();
            row(|p| {
                p.push_map_with(|p| {
                    for (k, v) in &entries {
                        p.push(Datum::String(k));
                        p.push(v.unpack_first());
                    }
                });
            })
        }
        ScalarType::Record { fields, .. } => {
            let values: Vec<Row> = fields.iter().map(|(_, t)| maybe(&t.scalar_type, random)).collect();
            row(|p| p.push_list(values.iter().map(Row::unpack_first)))
        }
        ScalarType::Range(element) => loop {
            let bounds = [maybe(element, random), maybe(element, random)];
            let bound =
                |i: usize, inc| Some(bounds[i].unpack_first()).filter(|d| !d.is_null()).map(|d| (d, inc));
            let (a, b) = (random.below(2) == 0, random.below(2) == 0);
            let mut row = Row::default();
            if text::range::pack(bound(0, a), bound(1, b), &mut row.packer()).is_ok() {
                return row;
            }
        },
        _ => {
            let arena = RowArena::new();
            let s = *random.pick(&texts_of(typ));
            let d = text::decode(s, typ, &arena).unwrap_or_else(|e| panic!("{s} is a {typ:?}: {e}"));
            Row::pack_slice(&[d])
        }
    }
}

fn maybe(typ: &ScalarType, random: &mut Random) -> Row {
    if random.below(8) == 0 { Row::pack_slice(&[Datum::Null]) } else { value(typ, random) }
}

/// The types of a call, for one choice of the polymorphic types.
fn types_of(
    params: &[ParamType],
    variadic: Option<&ParamType>,
    extra: usize,
    element: &ScalarType,
    random: &mut Random,
) -> Vec<ScalarType> {
    let mut all: Vec<&ParamType> = params.iter().collect();
    all.extend(variadic.iter().flat_map(|v| std::iter::repeat_n(*v, extra)));
    all.iter()
        .map(|p| match p {
            ParamType::Type(t) => t.clone(),
            ParamType::Any => random.pick(&elements(false)).clone(),
            ParamType::AnyElement
            | ParamType::AnyNonArray
            | ParamType::AnyCompatible
            | ParamType::ListElement
            | ParamType::MapValue => element.clone(),
            ParamType::AnyArray | ParamType::AnyCompatibleArray => element.clone().array_of(),
            ParamType::AnyRange => ScalarType::Range(Box::new(element.clone())),
            ParamType::AnyList => element.clone().list_of(),
            ParamType::AnyMap => ScalarType::Map { value: Box::new(element.clone()), custom_id: None },
            ParamType::AnyRecord => ScalarType::Record {
                fields: vec![
                    ("a".into(), ScalarType::Int32.nullable(true)),
                    ("b".into(), ScalarType::String.nullable(true)),
                ],
                custom_id: None,
            },
        })
        .collect()
}

fn elements(ranges: bool) -> Vec<ScalarType> {
    let mut out = vec![ScalarType::Int32, ScalarType::NUMERIC, ScalarType::Date, ScalarType::TIMESTAMPTZ];
    if !ranges {
        out.extend([
            ScalarType::String,
            ScalarType::Float64,
            ScalarType::Bool,
            ScalarType::Interval,
            ScalarType::Jsonb,
            ScalarType::Bytes,
            ScalarType::UInt64,
            ScalarType::Char { length: None },
        ]);
    }
    out
}

fn choices(params: &[ParamType]) -> Vec<ScalarType> {
    if params.contains(&ParamType::AnyRange) {
        elements(true)
    } else if params.iter().all(|p| matches!(p, ParamType::Type(_))) {
        vec![ScalarType::Int32]
    } else {
        elements(false)
    }
}

fn seed() -> u64 {
    std::env::var("HW_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_129)
}

/// What is wrong with the outcome of a call.
fn fault(
    result: &Result<Datum<'_>, EvalError>,
    ret: &ScalarType,
    could_be_null: bool,
    could_error: bool,
) -> Option<String> {
    match result {
        Err(e) if !could_error => Some(format!("fails though it is total: {e}")),
        Err(e) if e.sqlstate().len() != 5 || e.sqlstate() == "XX000" => {
            Some(format!("SQLSTATE {}: {e}", e.sqlstate()))
        }
        Err(_) => None,
        Ok(Datum::Null) if could_be_null => None,
        Ok(Datum::Null) => Some("gives NULL though it promises not to".into()),
        Ok(d) if !datum_matches_scalar_type(*d, ret) => Some(format!("gives {d:?}, no {ret:?}")),
        Ok(_) => None,
    }
}

fn check_scalar(def: &'static FuncDef, random: &mut Random, faults: &mut Vec<String>) {
    for element in choices(&def.params) {
        for _ in 0..calls() {
            let extra = random.below(4);
            if def.params.is_empty() && def.variadic.is_some() && extra == 0 {
                continue;
            }
            let types = types_of(&def.params, def.variadic.as_ref(), extra, &element, random);
            let values: Vec<Row> = types.iter().map(|t| maybe(t, random)).collect();
            let args: Vec<Datum<'_>> = values.iter().map(Row::unpack_first).collect();
            let func = Func::new(def, types);
            let null_given = args.iter().any(Datum::is_null);
            let arena = RowArena::new();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let result = func.eval(&arena, &args);
                fault(
                    &result,
                    &func.types().ret,
                    def.introduces_null || (def.strict && null_given),
                    def.could_error,
                )
            }));
            let found = outcome.unwrap_or_else(|_| Some("panics".into()));
            if let Some(f) = found {
                faults.push(format!("{}{args:?} {f}", def.key));
                break;
            }
        }
    }
}

#[test]
fn scalar_functions_keep_their_promises() {
    let mut random = Random(seed());
    let mut faults = vec![];
    let r = registry();
    let all = r.functions.values().chain(r.operators.values()).flatten().chain(&r.casts);
    for def in all.filter(|d| !matches!(d.kind, FuncKind::Internal | FuncKind::Query(_))) {
        check_scalar(def, &mut random, &mut faults);
    }
    assert!(faults.is_empty(), "seed {}: {} faults:\n{}", seed(), faults.len(), faults.join("\n"));
}

#[test]
fn text_and_casts_of_every_type_keep_their_promises() {
    use hw_expr::cast::cast_datum;
    use hw_expr::func::CastContext;
    let mut random = Random(seed());
    let mut faults = vec![];
    let types: Vec<ScalarType> = ScalarType::builtins().collect();
    for from in &types {
        for to in &types {
            for _ in 0..12 {
                let value = value(from, &mut random);
                let arena = RowArena::new();
                let d = value.unpack_first();
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    let result = cast_datum(d, from, to, CastContext::Explicit, &arena);
                    fault(&result, to, true, true)
                }));
                if let Some(f) = outcome.unwrap_or_else(|_| Some("panics".into())) {
                    faults.push(format!("{from:?} to {to:?}: {d:?} {f}"));
                    break;
                }
            }
        }
        for s in TEXTS {
            let arena = RowArena::new();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                text::decode(s, from, &arena).map(|d| text::to_string(d, from))
            }));
            if outcome.is_err() {
                faults.push(format!("{s:?} as {from:?} panics"));
            }
        }
    }
    assert!(faults.is_empty(), "seed {}: {} faults:\n{}", seed(), faults.len(), faults.join("\n"));
}

#[test]
fn aggregates_keep_their_promises() {
    let mut random = Random(seed());
    let mut faults = vec![];
    for def in registry().aggregates.values().flatten().filter(|d| d.kind.is_some()) {
        for element in choices(&def.params) {
            for _ in 0..calls() {
                let types = types_of(&def.params, None, 0, &element, &mut random);
                let direct: Vec<Row> = types.iter().map(|t| maybe(t, &mut random)).collect();
                let rows: Vec<Vec<Row>> = (0..random.below(5))
                    .map(|_| {
                        let fresh = |(i, t): (usize, &ScalarType)| match def.direct {
                            Some(n) if i < n => direct[i].clone(),
                            _ => maybe(t, &mut random),
                        };
                        types.iter().enumerate().map(fresh).collect()
                    })
                    .collect();
                let mut args: Vec<Vec<Datum<'_>>> =
                    rows.iter().map(|r| r.iter().map(Row::unpack_first).collect()).collect();
                args.sort();
                let func = AggregateFunc::new(def, types);
                let arena = RowArena::new();
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    let result = func.eval(&arena, &args);
                    let basic = matches!(def.kind, Some(AggregateKind::Basic(_)));
                    fault(
                        &result,
                        &func.output_type().scalar_type,
                        def.null_on_empty || basic && args.is_empty(),
                        true,
                    )
                }));
                if let Some(f) = outcome.unwrap_or_else(|_| Some("panics".into())) {
                    faults.push(format!("{}{args:?} {f}", def.key));
                    break;
                }
            }
        }
    }
    assert!(faults.is_empty(), "seed {}: {} faults:\n{}", seed(), faults.len(), faults.join("\n"));
}

#[test]
fn table_functions_keep_their_promises() {
    let mut random = Random(seed());
    let mut faults = vec![];
    for def in registry().tables.values().flatten() {
        for element in choices(&def.params) {
            for _ in 0..calls() {
                let types =
                    types_of(&def.params, def.variadic.as_ref(), random.below(3), &element, &mut random);
                let values: Vec<Row> = types.iter().map(|t| maybe(t, &mut random)).collect();
                let args: Vec<Datum<'_>> = values.iter().map(Row::unpack_first).collect();
                let func = TableFunc::new(def, types);
                let desc = func.desc();
                let arena = RowArena::new();
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    let error = |e: EvalError| fault(&Err(e), &ScalarType::Bool, true, true);
                    let rows = match func.eval(&arena, &args) {
                        Ok(rows) => rows,
                        Err(e) => return error(e),
                    };
                    for r in rows.take(1000) {
                        let row = match r {
                            Ok((row, _)) => row,
                            Err(e) => return error(e),
                        };
                        let datums = row.unpack();
                        if datums.len() != desc.arity() {
                            return Some(format!("gives {} columns, not {}", datums.len(), desc.arity()));
                        }
                        for (d, t) in datums.iter().zip(&desc.typ().column_types) {
                            let found = fault(&Ok(*d), &t.scalar_type, t.nullable, false);
                            if found.is_some() {
                                return found;
                            }
                        }
                    }
                    None
                }));
                if let Some(f) = outcome.unwrap_or_else(|_| Some("panics".into())) {
                    faults.push(format!("{}{args:?} {f}", def.key));
                    break;
                }
            }
        }
    }
    assert!(faults.is_empty(), "seed {}: {} faults:\n{}", seed(), faults.len(), faults.join("\n"));
}
