//! Settings of sessions (SET, SHOW) and of the system (ALTER SYSTEM SET).
//!
//! Each setting is one row of a table here: name, default, description, how values are checked, whether clients are told of
//! changes (ParameterStatus). Where a session's value comes from is in `session`.

mod session;

pub use session::SessionVars;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::error::AdapterError;

/// How a value is checked and brought to its usual form.
#[derive(Debug, Clone, Copy)]
pub enum VarKind {
    /// Any text.
    Text,
    /// on/off
    Bool,
    /// An integer between these.
    Int(i64, i64),
    /// A duration: a number of milliseconds, or with a unit (us, ms, s, min, h, d).
    Duration,
    /// A number of bytes, or with a unit (B, kB, MB, GB, TB).
    Bytes,
    /// One of these.
    Enum(&'static [&'static str]),
    /// A list of identifiers.
    IdentList,
    /// A time zone name or offset.
    TimeZone,
    /// Cannot be set.
    ReadOnly,
    /// A style that is fixed: only this value is accepted.
    Only(&'static str),
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct VarDef {
    /// The name as shown.
    pub name: &'static str,
    /// The default.
    pub default: &'static str,
    /// What it means.
    pub description: &'static str,
    /// How values are checked.
    pub kind: VarKind,
    /// Whether clients are told of its value.
    pub report: bool,
    /// Whether only the system has it (ALTER SYSTEM SET by `mz_system`).
    pub system_only: bool,
}

const fn var(name: &'static str, default: &'static str, kind: VarKind, description: &'static str) -> VarDef {
    VarDef { name, default, description, kind, report: false, system_only: false }
}

const fn reported(mut def: VarDef) -> VarDef {
    def.report = true;
    def
}

const fn system(mut def: VarDef) -> VarDef {
    def.system_only = true;
    def
}

/// All settings, sorted by lower-case name.
pub const VARS: &[VarDef] = &[
    reported(var("application_name", "", VarKind::Text, "The client's name")),
    system(var(
        "allowed_cluster_replica_sizes",
        "",
        VarKind::IdentList,
        "Sizes that may be used; empty is all",
    )),
    var(
        "auto_route_catalog_queries",
        "on",
        VarKind::Bool,
        "Whether queries of system relations run on mz_catalog_server",
    ),
    reported(var(
        "client_encoding",
        "UTF8",
        VarKind::Enum(&["UTF8", "UTF-8", "SQL_ASCII"]),
        "The client's encoding",
    )),
    var(
        "client_min_messages",
        "notice",
        VarKind::Enum(&[
            "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error",
        ]),
        "The least severity of notices that are sent",
    ),
    var("cluster", "quickstart", VarKind::Text, "The current cluster"),
    var("cluster_replica", "", VarKind::Only(""), "The replica that reads go to; empty is any"),
    var("database", "materialize", VarKind::Text, "The current database"),
    reported(var("DateStyle", "ISO, MDY", VarKind::Only("ISO, MDY"), "How dates are written")),
    var(
        "default_transaction_isolation",
        "strict serializable",
        VarKind::Enum(ISOLATION),
        "The isolation of new transactions",
    ),
    reported(var(
        "default_transaction_read_only",
        "off",
        VarKind::Bool,
        "Whether new transactions only read",
    )),
    var(
        "emit_timestamp_notice",
        "off",
        VarKind::Bool,
        "Whether a notice tells the time at which a query read",
    ),
    var(
        "enable_optimizer_transforms",
        "on",
        VarKind::Bool,
        "Whether queries are optimized before they run; what is maintained always is",
    ),
    var(
        "extra_float_digits",
        "1",
        VarKind::Int(1, 3),
        "Digits of floating-point output: always as many as tell a value from all others",
    ),
    var(
        "idle_in_transaction_session_timeout",
        "120000",
        VarKind::Duration,
        "How long a transaction may be idle; 0 is for ever",
    ),
    reported(var("in_hot_standby", "off", VarKind::ReadOnly, "Whether the server is a standby")),
    reported(var("integer_datetimes", "on", VarKind::ReadOnly, "Whether times are integers")),
    reported(var("IntervalStyle", "postgres", VarKind::Only("postgres"), "How intervals are written")),
    reported(var("is_superuser", "off", VarKind::ReadOnly, "Whether the user is a superuser")),
    system(var(
        "max_clusters",
        "25",
        VarKind::Int(0, 100_000),
        "The greatest number of clusters that users may make",
    )),
    system(var("max_connections", "1000", VarKind::Int(1, 100_000), "The greatest number of connections")),
    system(var(
        "max_materialized_views",
        "500",
        VarKind::Int(0, 1_000_000),
        "The greatest number of materialized views",
    )),
    var(
        "max_query_result_size",
        "1073741824",
        VarKind::Bytes,
        "The greatest size of a query's result for this session",
    ),
    system(var("max_result_size", "1073741824", VarKind::Bytes, "The greatest size of a query's result")),
    system(var("max_secrets", "100", VarKind::Int(0, 1_000_000), "The greatest number of secrets")),
    system(var(
        "max_sources",
        "25000",
        VarKind::Int(0, 1_000_000),
        "The greatest number of sources and their tables",
    )),
    system(var("max_tables", "25000", VarKind::Int(0, 1_000_000), "The greatest number of tables")),
    reported(var(
        "mz_version",
        concat!("v", env!("CARGO_PKG_VERSION"), " (headwater)"),
        VarKind::ReadOnly,
        "The version of the server",
    )),
    var("password_encryption", "scram-sha-256", VarKind::Only("scram-sha-256"), "How passwords are kept"),
    var("real_time_recency", "off", VarKind::Only("off"), "Whether reads wait for what is upstream now"),
    var("search_path", "public", VarKind::IdentList, "Where names without a schema are looked up"),
    reported(var("server_encoding", "UTF8", VarKind::ReadOnly, "The server's encoding")),
    reported(var("server_version", "15.0", VarKind::ReadOnly, "The version of PostgreSQL that is spoken")),
    var("server_version_num", "150000", VarKind::ReadOnly, "The same as a number"),
    reported(var("session_authorization", "", VarKind::ReadOnly, "The user of the session")),
    system(var(
        "source_tick_floor",
        "10",
        VarKind::Duration,
        "How long a source gathers changes before it commits them",
    )),
    system(var("source_tick_idle", "250", VarKind::Duration, "How often a source without changes advances")),
    // Without being told of it psql takes a backslash in a string for an escape.
    reported(var(
        "standard_conforming_strings",
        "on",
        VarKind::Only("on"),
        "Whether backslashes in strings are plain",
    )),
    var("statement_timeout", "0", VarKind::Duration, "How long a statement may take; 0 is for ever"),
    reported(var("TimeZone", "UTC", VarKind::TimeZone, "The session's time zone")),
    var(
        "transaction_isolation",
        "strict serializable",
        VarKind::Enum(ISOLATION),
        "The isolation of the current transaction",
    ),
    var("transaction_read_only", "off", VarKind::Bool, "Whether the current transaction only reads"),
    var("welcome_message", "off", VarKind::Bool, "Whether a notice greets new sessions"),
];

const ISOLATION: &[&str] =
    &["strict serializable", "serializable", "repeatable read", "read committed", "read uncommitted"];

/// The setting of that name, any case.
pub fn lookup(name: &str) -> Option<&'static VarDef> {
    lookup_key(name).map(|(_, def)| def)
}

/// The setting of that name, any case, with its lower-case name.
fn lookup_key(name: &str) -> Option<(&'static str, &'static VarDef)> {
    static BY_KEY: LazyLock<HashMap<&'static str, &'static VarDef>> = LazyLock::new(|| {
        // As many as there are settings, once in the process's life.
        let key = |v: &VarDef| &*Box::leak(v.name.to_ascii_lowercase().into_boxed_str());
        let mut all: HashMap<&'static str, &'static VarDef> = VARS.iter().map(|v| (key(v), v)).collect();
        for (other, of) in
            [("time zone", "timezone"), ("names", "client_encoding"), ("schema", "search_path")]
        {
            all.insert(other, all[of]);
        }
        all
    });
    let mut found = BY_KEY.get_key_value(name);
    if found.is_none() {
        found = BY_KEY.get_key_value(name.to_ascii_lowercase().as_str());
    }
    let (key, def) = found.map(|(key, def)| (*key, *def))?;
    match key.eq_ignore_ascii_case(def.name) {
        true => Some((key, def)),
        false => lookup_key(def.name),
    }
}

/// The error for a name that is no setting (42704).
pub fn unknown(name: &str) -> AdapterError {
    AdapterError::new("42704", format!("unrecognized configuration parameter \"{name}\""))
}

impl VarDef {
    /// Checks a value and brings it to its usual form.
    ///
    /// # Errors
    /// 22023 for a value that it cannot have, 55P02 if it cannot be set.
    pub fn normalize(&self, values: &[String]) -> Result<String, AdapterError> {
        let one = values.join(", ");
        let invalid = || {
            AdapterError::new("22023", format!("invalid value for parameter \"{}\": \"{one}\"", self.name))
        };
        match self.kind {
            VarKind::Text => Ok(one),
            VarKind::IdentList => {
                let quoted = values.iter().map(|v| hw_sql::names::quote_ident(v));
                Ok(quoted.collect::<Vec<_>>().join(", "))
            }
            VarKind::ReadOnly => {
                Err(AdapterError::new("55P02", format!("parameter \"{}\" cannot be changed", self.name)))
            }
            VarKind::Only(v) if fold(v) == fold(&one) || (self.name == "DateStyle" && is_iso(&one)) => {
                Ok(v.to_owned())
            }
            VarKind::Only(v) => Err(invalid().with_hint(format!("Only \"{v}\" is available."))),
            VarKind::Bool => {
                parse_bool(&one).map(|b| if b { "on" } else { "off" }.to_owned()).ok_or_else(|| {
                    AdapterError::new(
                        "22023",
                        format!("parameter \"{}\" requires a Boolean value", self.name),
                    )
                })
            }
            VarKind::Int(least, greatest) => {
                let n: i64 = one.trim().parse().map_err(|_| invalid())?;
                if (least..=greatest).contains(&n) {
                    return Ok(n.to_string());
                }
                Err(AdapterError::new(
                    "22023",
                    format!(
                        "{n} is outside the valid range for parameter \"{}\" ({least} .. {greatest})",
                        self.name
                    ),
                ))
            }
            VarKind::Duration => parse_duration_ms(&one).map(|ms| ms.to_string()).ok_or_else(|| {
                invalid().with_hint(
                    "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
                )
            }),
            VarKind::Bytes => parse_bytes(&one).map(|b| b.to_string()).ok_or_else(|| {
                invalid().with_hint(
                    "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".",
                )
            }),
            VarKind::Enum(allowed) => {
                let found = allowed.iter().find(|a| fold(a) == fold(&one));
                found
                    .map(|a| if *a == "UTF-8" { "UTF8".to_owned() } else { (*a).to_owned() })
                    .ok_or_else(|| invalid().with_hint(format!("Available values: {}.", allowed.join(", "))))
            }
            VarKind::TimeZone => hw_repr::adt::timezone::TimeZone::parse_setting(&one)
                .map(|_| one.clone())
                .map_err(|_| invalid()),
        }
    }
}

impl VarDef {
    /// Checks a value as it is given where settings are one text: start-up options, ALTER SYSTEM.
    ///
    /// # Errors
    /// As [`VarDef::normalize`].
    pub fn normalize_text(&self, text: &str) -> Result<String, AdapterError> {
        if !matches!(self.kind, VarKind::IdentList) {
            return self.normalize(&[text.to_owned()]);
        }
        let names = parse_ident_list(text).ok_or_else(|| {
            AdapterError::new("22023", format!("invalid value for parameter \"{}\": \"{text}\"", self.name))
        })?;
        self.normalize(&names)
    }
}

/// The items of a comma-separated list of identifiers: those without quotes are folded to lower case. `None` if it is none.
pub fn parse_ident_list(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list.trim();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, after) = parse_list_item(rest)?;
        names.push(name);
        let after = after.trim_start();
        if after.is_empty() {
            return Some(names);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

fn parse_list_item(text: &str) -> Option<(String, &str)> {
    let Some(mut quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let name = text[..end].trim();
        return (!name.is_empty() && !name.contains('"')).then(|| (name.to_lowercase(), &text[end..]));
    };
    let mut name = String::new();
    loop {
        let end = quoted.find('"')?;
        name.push_str(&quoted[..end]);
        quoted = &quoted[end + 1..];
        match quoted.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                quoted = more;
            }
            None => return Some((name, quoted)),
        }
    }
}

fn fold(s: &str) -> String {
    s.to_ascii_lowercase().replace('-', " ")
}

fn is_iso(s: &str) -> bool {
    s.split(',').all(|p| matches!(p.trim().to_ascii_lowercase().as_str(), "iso" | "mdy"))
}

fn parse_bool(s: &str) -> Option<bool> {
    match s.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "t" | "yes" | "y" | "1" => Some(true),
        "off" | "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn split_unit(s: &str) -> Option<(f64, &str)> {
    let s = s.trim();
    let at = s.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(s.len());
    let n: f64 = s[..at].trim().parse().ok()?;
    (n.is_finite() && n >= 0.0).then(|| (n, s[at..].trim()))
}

/// Milliseconds of a duration as settings have it.
pub fn parse_duration_ms(s: &str) -> Option<u64> {
    let (n, unit) = split_unit(s)?;
    let ms = match unit {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    Some((n * ms).round() as u64)
}

/// Bytes of a size as settings have it.
pub fn parse_bytes(s: &str) -> Option<u64> {
    let (n, unit) = split_unit(s)?;
    let scale: u64 = match unit {
        "" | "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    Some((n * scale as f64) as u64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_identifiers() {
        let list = |text: &str| parse_ident_list(text);
        let owned = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert_eq!(list(""), owned(&[]));
        assert_eq!(list("a, B ,\"C d\",\"e\"\"f\""), owned(&["a", "b", "C d", "e\"f"]));
        assert_eq!(list("\"$user\", public"), owned(&["$user", "public"]));
        for bad in [",", "a,", "a,,b", "\"a", "\"a\"b"] {
            assert_eq!(list(bad), None, "{bad}");
        }
        let path = lookup("search_path").unwrap();
        let names = ["a".to_owned(), "B,c".to_owned(), String::new()];
        let shown = path.normalize(&names).unwrap();
        assert_eq!(shown, "a, \"B,c\", \"\"");
        assert_eq!(list(&shown).unwrap(), names);
        assert_eq!(path.normalize_text("x,y").unwrap(), "x, y");
    }
}
