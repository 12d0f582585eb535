//! `bin/bench`: five measurements of a release build against real servers, each beside a yardstick.
//!
//! | measurement | what | yardstick |
//! |---|---|---|
//! | startup | time until queries are served, idle memory of server and workers | – |
//! | snapshot | rows/s from CREATE SOURCE to the first complete read | `mysql --quick` reading the same rows |
//! | drain | rows/s of a prepared binlog | `mysqlbinlog` decoding the same log |
//! | latency | commit-to-visible p50/p99 at 500 changes/s through an indexed view | – |
//! | reads | indexed point reads/s | PostgreSQL, same pgbench script, `-M prepared` |
//!
//! All on one machine that also runs MySQL: the numbers are for comparison with each other.
#![allow(clippy::unwrap_used)]

mod measure;
#[path = "../../tests/e2e/support/mod.rs"]
mod support;

use std::io::Write;

/// One line of the result.
pub(crate) struct Line {
    measurement: &'static str,
    value: f64,
    unit: &'static str,
    /// The yardstick's name and value in the same unit.
    beside: Option<(&'static str, f64)>,
}

fn main() {
    let names = ["startup", "snapshot", "drain", "latency", "reads"];
    // cargo adds --bench.
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    for name in &asked {
        assert!(names.contains(&name.as_str()), "unknown measurement {name}: {names:?}");
    }
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|a| a == name);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut lines = Vec::new();
    for name in names.into_iter().filter(|n| wanted(n)) {
        eprintln!("bench: {name}");
        lines.extend(runtime.block_on(async {
            match name {
                "startup" => measure::startup().await,
                "snapshot" => measure::snapshot().await,
                "drain" => measure::drain().await,
                "latency" => measure::latency().await,
                _ => measure::reads().await,
            }
        }));
    }
    report(&lines);
}

/// Prints the table and the JSON.
fn report(lines: &[Line]) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<32} {:>14} {:<8} beside", "measurement", "headwater", "unit").unwrap();
    for line in lines {
        let beside =
            line.beside.map(|(name, value)| format!("{name}: {}", number(value))).unwrap_or_default();
        writeln!(out, "{:<32} {:>14} {:<8} {beside}", line.measurement, number(line.value), line.unit)
            .unwrap();
    }
    let json: Vec<serde_json::Value> = lines
        .iter()
        .map(|l| {
            serde_json::json!({
                "measurement": l.measurement, "value": l.value, "unit": l.unit,
                "beside": l.beside.map(|(name, value)| serde_json::json!({ "name": name, "value": value })),
            })
        })
        .collect();
    let json = serde_json::to_string_pretty(&json).unwrap();
    writeln!(out, "\n{json}").unwrap();
    if let Ok(target) = std::env::var("CARGO_TARGET_DIR") {
        std::fs::write(std::path::Path::new(&target).join("bench.json"), json).unwrap();
    }
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
