//! What is not in the registry: functions that planning knows by name, window functions, and the functions by which types
//! are read.

use hw_repr::ScalarType;

use super::Proc;
use crate::func::Volatility;
use crate::functions::signature::type_fn;

/// Functions of the statement's context, with their parameters and result.
const CONTEXT: &[(&str, &[&str], &str)] = &[
    ("current_database", &[], "name"),
    ("current_schema", &[], "name"),
    ("current_schemas", &["bool"], "name[]"),
    ("current_setting", &["text"], "text"),
    ("current_setting", &["text", "bool"], "text"),
    ("current_user", &[], "name"),
    ("mz_environment_id", &[], "text"),
    ("mz_now", &[], "mz_timestamp"),
    ("mz_session_id", &[], "uuid"),
    ("mz_uptime", &[], "interval"),
    ("mz_version", &[], "text"),
    ("now", &[], "timestamptz"),
    ("pg_backend_pid", &[], "int4"),
    ("pg_postmaster_start_time", &[], "timestamptz"),
    ("session_user", &[], "name"),
    ("statement_timestamp", &[], "timestamptz"),
    ("transaction_timestamp", &[], "timestamptz"),
    ("version", &[], "text"),
];

const ELEMENT: u32 = 2283;

/// Window functions: parameters and result.
const WINDOW: &[(&str, &[u32], u32)] = &[
    ("row_number", &[], 20),
    ("rank", &[], 20),
    ("dense_rank", &[], 20),
    ("percent_rank", &[], 701),
    ("cume_dist", &[], 701),
    ("ntile", &[23], 23),
    ("lag", &[ELEMENT], ELEMENT),
    ("lag", &[ELEMENT, 23], ELEMENT),
    ("lag", &[ELEMENT, 23, ELEMENT], ELEMENT),
    ("lead", &[ELEMENT], ELEMENT),
    ("lead", &[ELEMENT, 23], ELEMENT),
    ("lead", &[ELEMENT, 23, ELEMENT], ELEMENT),
    ("first_value", &[ELEMENT], ELEMENT),
    ("last_value", &[ELEMENT], ELEMENT),
    ("nth_value", &[ELEMENT, 23], ELEMENT),
];

fn plain(name: &str, kind: char, args: Vec<u32>, ret: u32, volatility: Volatility) -> Proc {
    Proc {
        oid: 0,
        name: name.to_owned(),
        kind,
        args,
        variadic: 0,
        ret,
        set: false,
        columns: vec![],
        strict: true,
        volatility,
        query: None,
    }
}

/// The functions of this file.
pub(super) fn all() -> impl Iterator<Item = Proc> {
    let context = CONTEXT.iter().map(|(name, args, ret)| {
        let args = args.iter().map(|a| type_fn(a)().oid()).collect();
        plain(name, 'f', args, type_fn(ret)().oid(), Volatility::Stable)
    });
    let window =
        WINDOW.iter().map(|(name, args, ret)| plain(name, 'w', args.to_vec(), *ret, Volatility::Immutable));
    context.chain(window).chain(input_functions())
}

const CSTRING: u32 = 2275;
const INTERNAL: u32 = 2281;

/// The receive functions of types and the input functions of containers, by which clients tell types apart in `pg_type`; SQL
/// cannot call them.
fn input_functions() -> impl Iterator<Item = Proc> {
    let own = ScalarType::builtins().filter(|t| !matches!(t, ScalarType::Range(_)));
    let own = own.map(|t| (t.pg_name().to_owned(), t.oid()));
    const CONTAINERS: [(&str, u32); 3] = [("array", 2277), ("record", 2249), ("range", 3831)];
    let containers = CONTAINERS.map(|(n, oid)| (n.to_owned(), oid));
    let function =
        |name: &str, form, args, oid| plain(&io_name(name, form), 'f', args, oid, Volatility::Immutable);
    let receive = own.chain(containers).map(move |(name, oid)| function(&name, "recv", vec![INTERNAL], oid));
    receive.chain(CONTAINERS.iter().map(move |(name, oid)| function(name, "in", vec![CSTRING, 26, 23], *oid)))
}

/// The name of a type's input (`in`) or receive function (`recv`).
pub(crate) fn io_name(typ: &str, form: &str) -> String {
    let separate = matches!(
        typ,
        "array"
            | "record"
            | "range"
            | "date"
            | "time"
            | "timestamp"
            | "timestamptz"
            | "interval"
            | "numeric"
            | "uuid"
            | "jsonb"
            | "jsonpath"
            | "mz_timestamp"
            | "mz_aclitem"
    );
    if separate { format!("{typ}_{form}") } else { format!("{typ}{form}") }
}
