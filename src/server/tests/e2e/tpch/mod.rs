//! TPC-H: all 22 queries give PostgreSQL's answers, as SELECT and as materialized views, before and after the refresh
//! streams RF1 (new orders) and RF2 (old orders are deleted).
//!
//! The full run has scale 0.05 and prints what planning, answering, loading and the views took, and the peak memory of
//! each process; it requires that each query is planned in less than 100 ms if the program is a release build.

mod data;
mod engine;
mod queries;

use std::time::{Duration, Instant};

use data::Data;
use queries::Query;

use crate::support::client::{Client, TextRow};
use crate::support::postgres::Postgres;
use crate::support::processes;
use crate::support::scale::scale;
use crate::support::server::Headwater;

/// What planning one query may take.
const PLANNING_LIMIT: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn tpch_answers() {
    let sizes = scale();
    let data = Data::new(sizes.tpch);
    let queries = queries::all(sizes.tpch);
    let postgres = Postgres::start();
    let mut theirs = Client::connect_with(&postgres.config("postgres")).await.unwrap();
    let their_load = engine::load(&mut theirs, &data).await;
    theirs.run("ANALYZE").await;

    let server = Headwater::start().await;
    let mut ours = server.connect().await;
    let our_load = engine::load(&mut ours, &data).await;
    let start = Instant::now();
    engine::wait_for_indexes(&ours).await;
    eprintln!("tpch: scale {}, COPY in {our_load:.1?}, PostgreSQL {their_load:.1?}", sizes.tpch);
    eprintln!("tpch: all indexes answer {:.1?} after their creation", start.elapsed());

    let planning = planning(&ours, &queries).await;
    let mut check = Check { ours: &ours, theirs: &theirs, queries: &queries, failures: Vec::new() };
    let times = check.selects("at first").await;
    print_times(&queries, &planning, &times);

    let start = Instant::now();
    for query in &queries {
        ours.run(&format!("CREATE MATERIALIZED VIEW {} AS {}", query.view(), query.sql)).await;
    }
    let created = start.elapsed();
    let read = check.views("at first").await;
    eprintln!("tpch: 22 materialized views created in {created:.1?}, all read {read:.1?} later");

    let refreshes: [(&str, AsyncRefresh); 2] = [
        ("after RF1", |client, data| Box::pin(engine::insert_orders(client, data))),
        ("after RF2", |client, data| Box::pin(engine::delete_orders(client, data))),
    ];
    for (when, refresh) in refreshes {
        refresh(&theirs, &data).await;
        let start = Instant::now();
        refresh(&ours, &data).await;
        let written = start.elapsed();
        let read = check.views(when).await;
        let stream = when.trim_start_matches("after ");
        eprintln!("tpch: {stream} written in {written:.1?}, all views read {read:.1?} later");
        check.selects(when).await;
    }
    report_memory(&server);
    let failures = check.failures;
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures.join("\n"));
    if sizes.soak && release(&server) {
        let slow: Vec<usize> =
            (0..queries.len()).filter(|i| planning[*i] >= PLANNING_LIMIT).map(|i| i + 1).collect();
        assert!(slow.is_empty(), "planned in {PLANNING_LIMIT:?} or more: queries {slow:?}");
    }
}

type AsyncRefresh =
    for<'a> fn(&'a Client, &'a Data) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The two engines, and where their answers differ.
struct Check<'a> {
    ours: &'a Client,
    theirs: &'a Client,
    queries: &'a [Query],
    failures: Vec<String>,
}

impl Check<'_> {
    /// Each query as a SELECT, in the query's order; gives the times here and in PostgreSQL.
    async fn selects(&mut self, when: &str) -> Vec<(Duration, Duration)> {
        let mut times = Vec::new();
        for query in self.queries {
            let start = Instant::now();
            let ours = self.ours.try_rows(&query.sql).await;
            let our_time = start.elapsed();
            let start = Instant::now();
            let theirs = self.theirs.rows(&query.sql).await;
            times.push((our_time, start.elapsed()));
            self.compare(&format!("query {} {when}", query.number), ours, &theirs, queries::same);
        }
        times
    }

    /// Each query as its materialized view, in any order; gives how long it took to read them all.
    async fn views(&mut self, when: &str) -> Duration {
        let start = Instant::now();
        let mut answers = Vec::new();
        for query in self.queries {
            answers.push(self.ours.try_rows(&format!("SELECT * FROM {}", query.view())).await);
        }
        let took = start.elapsed();
        for (query, ours) in self.queries.iter().zip(answers) {
            let theirs = self.theirs.rows(&query.sql).await;
            let what = format!("materialized view {} {when}", query.view());
            self.compare(&what, ours, &theirs, queries::same_unordered);
        }
        took
    }

    fn compare(
        &mut self,
        what: &str,
        ours: anyhow::Result<Vec<TextRow>>,
        theirs: &[TextRow],
        same: fn(&[TextRow], &[TextRow]) -> bool,
    ) {
        let failure = match ours {
            Ok(ours) if same(&ours, theirs) => return,
            Ok(ours) => queries::difference(&ours, theirs),
            Err(e) => format!("  {e:#}\n"),
        };
        eprintln!("tpch: {what} differs\n{failure}");
        self.failures.push(format!("{what}:\n{failure}"));
    }
}

/// How long the server plans each query: the best round trip of three.
async fn planning(client: &Client, queries: &[Query]) -> Vec<Duration> {
    let mut times = Vec::new();
    for query in queries {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            client.rows(&format!("EXPLAIN PHYSICAL PLAN FOR {}", query.sql)).await;
            best = best.min(start.elapsed());
        }
        times.push(best);
    }
    times
}

fn print_times(queries: &[Query], planning: &[Duration], times: &[(Duration, Duration)]) {
    eprintln!("tpch: query  planned  answered  PostgreSQL");
    for ((query, planned), (ours, theirs)) in queries.iter().zip(planning).zip(times) {
        let millis = |d: &Duration| d.as_secs_f64() * 1e3;
        eprintln!(
            "tpch: {:>5} {:>5.1} ms {:>6.0} ms {:>8.0} ms",
            query.number,
            millis(planned),
            millis(ours),
            millis(theirs)
        );
    }
}

/// The most memory that each process has held.
fn report_memory(server: &Headwater) {
    for pid in server.pids() {
        let arguments = processes::arguments(pid);
        let what = arguments.get(1).cloned().unwrap_or_default();
        eprintln!("tpch: peak memory of {what} {pid}: {} MB", processes::peak_bytes(pid) / 1_000_000);
    }
}

/// Whether the program under test is a release build, by the folder that it was built in.
fn release(server: &Headwater) -> bool {
    server
        .pids()
        .iter()
        .any(|pid| processes::arguments(*pid).first().is_some_and(|p| p.contains("/release/")))
}
