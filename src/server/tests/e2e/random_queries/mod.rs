//! Random queries over random tables: Headwater's answers against PostgreSQL's, and against its own.
//!
//! Each scenario has a few tables with NULLs and duplicates, a score of queries and rounds of random changes. Every query
//! is answered by PostgreSQL, and by Headwater as a SELECT, as a SELECT without the optimizer's transforms, and from a
//! materialized view, an indexed view or both; after each round of changes all but the second again. All must agree:
//! rows as multisets, or as lists where the query orders them.
//!
//! What semantics leave open is either not generated (see [`generator`]) or not compared:
//!
//! * a numeric's zeros at the end (`docs/pg-differences.md`: DISTINCT and GROUP BY);
//! * which of several evaluation errors is reported, and whether an expression that PostgreSQL evaluates and that fails
//!   is evaluated at all (PostgreSQL's manual, 4.2.14: the order of evaluation is not defined). The converse, an error
//!   where PostgreSQL has rows, is a difference;
//! * queries that exceed the time limit on either side; they are counted and must be few.
//!
//! A difference is made smaller and printed as a script. `HW_SEED` is the seed of the first scenario; each further one
//! has the next seed, so a scenario alone is repeated with its seed and `HW_QUERIES=20`.

mod aggregate;
mod choices;
pub(crate) mod compare;
mod from;
pub(crate) mod generator;
mod predicate;
mod query;
mod scalar;
pub(crate) mod scenario;
mod shrink;
mod subquery;
mod tables;
mod types;
mod window;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::postgres::Postgres;
use crate::support::scale::{scale, seed};
use crate::support::server::Headwater;
use scenario::{Engines, Report, Scenario};

/// Queries of one scenario.
const QUERIES: usize = 20;
/// Rounds of changes of one scenario.
const ROUNDS: usize = 2;
/// How long a statement may take.
const STATEMENT_LIMIT: Duration = Duration::from_secs(30);
/// Scenarios that run at the same time.
const PARALLEL: usize = 2;
/// After this many differences the run ends.
const MAX_DIFFERENCES: usize = 20;

/// What all runners share.
struct Run {
    first: u64,
    scenarios: u64,
    next: AtomicU64,
    deadline: Instant,
    total: Mutex<Total>,
}

/// What was found so far.
#[derive(Default)]
pub(crate) struct Total {
    pub(crate) compared: usize,
    /// Queries that PostgreSQL refuses, with its reason.
    pub(crate) refused: Vec<String>,
    pub(crate) slow: usize,
    pub(crate) lenient: usize,
    pub(crate) found: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn random_queries_agree() {
    let mut server = Headwater::start().await;
    let postgres = Postgres::start();
    let total = run_all(&server, &postgres).await;
    server.assert_alive().expect("the server runs on");
    let log = server.log();
    let panics: Vec<&str> = log.lines().filter(|l| l.contains("panicked at")).collect();
    eprintln!(
        "random_queries: {} queries compared, {} refused by PostgreSQL, {} answers too slow, {} failed in PostgreSQL only",
        total.compared,
        total.refused.len(),
        total.slow,
        total.lenient
    );
    assert!(total.found.is_empty(), "{} differences\n\n{}", total.found.len(), total.found.join("\n\n"));
    assert!(panics.is_empty(), "panics: {panics:#?}");
    let refused = total.refused.len();
    assert!(
        refused * 50 < total.compared,
        "PostgreSQL refuses {refused} queries\n{}",
        total.refused.join("\n")
    );
    assert!(total.slow * 50 < total.compared, "{} answers took longer than {STATEMENT_LIMIT:?}", total.slow);
}

pub(crate) async fn run_all(server: &Headwater, postgres: &Postgres) -> Total {
    let scale = scale();
    let queries = std::env::var("HW_QUERIES").ok().and_then(|v| v.parse().ok());
    let queries: usize = queries.unwrap_or(scale.random_queries);
    let run = Arc::new(Run {
        // Small enough that the seeds of scenarios and queries stay apart.
        first: seed("random_queries") % 1_000_000_000,
        scenarios: queries.div_ceil(QUERIES) as u64,
        next: AtomicU64::new(0),
        deadline: Instant::now() + scale.random_limit,
        total: Mutex::default(),
    });
    let mut runners = Vec::new();
    for _ in 0..PARALLEL {
        let connect = async || Engines {
            headwater: server.connect().await,
            plain: server.connect().await,
            postgres: Client::connect_with(&postgres.config("postgres")).await.expect("a connection"),
        };
        let mut engines = connect().await;
        engines.prepare(STATEMENT_LIMIT).await;
        runners.push(tokio::spawn(runner(Arc::clone(&run), engines)));
    }
    for runner in runners {
        runner.await.expect("a runner does not fail");
    }
    std::mem::take(&mut *run.total.lock().expect("no runner failed"))
}

/// Runs scenarios until all are done, enough differences are found or the time is over.
async fn runner(run: Arc<Run>, mut engines: Engines) {
    loop {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        let enough = run.total.lock().expect("no runner failed").found.len() >= MAX_DIFFERENCES;
        if number >= run.scenarios || enough || Instant::now() > run.deadline {
            return;
        }
        let seed = run.first + number;
        let scenario = Scenario::random(seed, QUERIES, ROUNDS);
        let report = scenario::run(&mut engines, &scenario, &format!("random_{seed}")).await;
        let found = explain(&mut engines, seed, &scenario, &report).await;
        let mut total = run.total.lock().expect("no runner failed");
        total.compared += report.compared;
        total.refused.extend(report.refused);
        total.slow += report.slow;
        total.lenient += report.lenient;
        total.found.extend(found);
        if (number + 1).is_multiple_of(25) {
            eprintln!("random_queries: {} queries, {} differences", total.compared, total.found.len());
        }
    }
}

/// The differences of a scenario, made smaller; of several of one query the first.
async fn explain(engines: &mut Engines, seed: u64, scenario: &Scenario, report: &Report) -> Vec<String> {
    let mut done = Vec::new();
    let mut found = Vec::new();
    for difference in &report.differences {
        if done.contains(&difference.query) {
            continue;
        }
        done.push(difference.query);
        let schema = format!("shrink_{seed}_{}", difference.query);
        let (small, difference) = shrink::shrink(engines, scenario, difference, &schema).await;
        let text = format!("-- HW_SEED={seed}\n{}", shrink::script(&small, &difference));
        eprintln!("random_queries: a difference\n{text}");
        found.push(text);
    }
    found
}
