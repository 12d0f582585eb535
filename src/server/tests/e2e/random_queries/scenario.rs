//! A scenario: tables, queries over them, and rounds of changes; and running it on all engines.

use std::time::Duration;

use super::choices::Choices;
use super::compare::{Outcome, Verdict, compare};
use super::generator::{Generator, Query};
use super::tables::{Table, random_change, random_tables};
use crate::support::client::Client;

/// The setting with which Headwater runs a SELECT without the optimizer's transforms.
const WITHOUT_TRANSFORMS: &str = "SET client_min_messages = notice";

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) tables: Vec<Table>,
    pub(crate) queries: Vec<Generated>,
    /// Rounds of INSERT, UPDATE and DELETE.
    pub(crate) rounds: Vec<Vec<String>>,
}

/// A query with the choices behind it.
#[derive(Clone, Debug)]
pub(crate) struct Generated {
    pub(crate) query: Query,
    pub(crate) tape: Vec<u32>,
    pub(crate) spans: Vec<(usize, usize)>,
}

/// A way in which Headwater answers a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Select,
    WithoutTransforms,
    MaterializedView,
    IndexedView,
    /// The changes themselves.
    Change,
}

/// An answer that differs from PostgreSQL's.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// The number of the query.
    pub(crate) query: usize,
    pub(crate) way: Way,
    /// How many rounds of changes came before.
    pub(crate) round: usize,
    pub(crate) postgres: Outcome,
    pub(crate) headwater: Outcome,
}

/// What a run found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) differences: Vec<Difference>,
    /// Queries whose answers were compared.
    pub(crate) compared: usize,
    /// Queries that PostgreSQL refused: the generator's fault.
    pub(crate) refused: Vec<String>,
    /// Answers left out because an engine took too long.
    pub(crate) slow: usize,
    /// Answers where PostgreSQL failed to evaluate something that Headwater did not need.
    pub(crate) lenient: usize,
}

/// Connections to the engines.
pub(crate) struct Engines {
    pub(crate) headwater: Client,
    /// Headwater, with the transforms off.
    pub(crate) plain: Client,
    pub(crate) postgres: Client,
}

impl Generated {
    pub(crate) fn new(mut choices: Choices, tables: &[Table]) -> Generated {
        let query = Generator::new(&mut choices, tables).top();
        let (tape, spans) = choices.end();
        Generated { query, tape, spans }
    }
}

impl Scenario {
    /// The scenario of a seed.
    pub(crate) fn random(seed: u64, queries: usize, rounds: usize) -> Scenario {
        let mut choices = Choices::random(seed);
        let tables = random_tables(&mut choices);
        let rounds = (0..rounds)
            .map(|_| (0..1 + choices.below(4)).map(|_| random_change(&mut choices, &tables)).collect())
            .collect();
        let queries = (1..=queries as u64)
            .map(|n| Generated::new(Choices::random(seed.wrapping_mul(1_000_003).wrapping_add(n)), &tables))
            .collect();
        Scenario { tables, queries, rounds }
    }

    /// The same with one query only.
    pub(crate) fn with_query(&self, query: Generated) -> Scenario {
        Scenario { queries: vec![query], ..self.clone() }
    }
}

impl Engines {
    /// Prepares fresh connections.
    pub(crate) async fn prepare(&mut self, limit: Duration) {
        let limit = format!("SET statement_timeout = '{}ms'", limit.as_millis());
        for client in [&self.headwater, &self.plain, &self.postgres] {
            client.run(&limit).await;
        }
        self.plain.run(WITHOUT_TRANSFORMS).await;
        // Its compilation takes longer than these queries.
        self.postgres.run("SET jit = off").await;
    }

    /// Makes an empty schema of this name the current one.
    pub(crate) async fn schema(&mut self, name: &str) {
        for client in [&self.postgres, &self.headwater] {
            client.run(&format!("CREATE SCHEMA {name}")).await;
        }
        for client in [&self.postgres, &self.headwater, &self.plain] {
            client.run(&format!("SET search_path = {name}")).await;
        }
    }

    /// Drops a schema with all that is in it.
    pub(crate) async fn drop_schema(&mut self, name: &str) {
        for client in [&self.postgres, &self.headwater] {
            client.run(&format!("DROP SCHEMA {name} CASCADE")).await;
        }
    }

    /// Makes the tables.
    pub(crate) async fn tables(&mut self, tables: &[Table]) {
        for sql in tables.iter().flat_map(Table::create) {
            self.postgres.run(&sql).await;
            self.headwater.run(&sql).await;
        }
    }

    /// Asks both engines.
    pub(crate) async fn ask(&mut self, sql: &str, way: Way) -> (Outcome, Outcome) {
        let other = if way == Way::WithoutTransforms { &mut self.plain } else { &mut self.headwater };
        tokio::join!(Outcome::of(&mut self.postgres, sql), Outcome::of(other, sql))
    }
}

/// Runs a scenario in a schema of its own.
pub(crate) async fn run(engines: &mut Engines, scenario: &Scenario, schema: &str) -> Report {
    engines.schema(schema).await;
    engines.tables(&scenario.tables).await;
    let mut report = Report::default();
    let mut live: Vec<usize> = Vec::new();
    for (at, generated) in scenario.queries.iter().enumerate() {
        if compare_select(engines, scenario, at, 0, &mut report).await {
            report.compared += 1;
            if create_views(engines, at, &generated.query, &mut report).await {
                live.push(at);
            }
        }
    }
    compare_views(engines, scenario, &live, 0, &mut report).await;
    for (round, changes) in scenario.rounds.iter().enumerate() {
        for change in changes {
            let (postgres, headwater) = engines.ask(change, Way::Change).await;
            if postgres.state() != headwater.state() {
                let round = round + 1;
                report.differences.push(Difference {
                    query: 0,
                    way: Way::Change,
                    round,
                    postgres,
                    headwater,
                });
            }
        }
        for at in &live {
            compare_select(engines, scenario, *at, round + 1, &mut report).await;
        }
        compare_views(engines, scenario, &live, round + 1, &mut report).await;
    }
    engines.drop_schema(schema).await;
    report
}

/// Compares one-off SELECTs; gives whether PostgreSQL has an answer to compare views with.
async fn compare_select(
    engines: &mut Engines,
    scenario: &Scenario,
    at: usize,
    round: usize,
    report: &mut Report,
) -> bool {
    let query = &scenario.queries[at].query;
    let (postgres, headwater) = engines.ask(&query.sql, Way::Select).await;
    if postgres.is_timeout() {
        report.slow += 1;
        return false;
    }
    if postgres.is_refusal() {
        report.refused.push(format!("{postgres}{}", query.sql));
        return false;
    }
    judge(
        report,
        query,
        Difference { query: at, way: Way::Select, round, postgres: postgres.clone(), headwater },
    );
    if round == 0 {
        let headwater = Outcome::of(&mut engines.plain, &query.sql).await;
        judge(
            report,
            query,
            Difference { query: at, way: Way::WithoutTransforms, round, postgres, headwater },
        );
    }
    true
}

/// Notes a difference if it is one.
fn judge(report: &mut Report, query: &Query, difference: Difference) {
    if difference.headwater.is_timeout() {
        report.slow += 1;
        return;
    }
    let ordered = matches!(difference.way, Way::Select | Way::WithoutTransforms);
    match compare(query, &difference.postgres, &difference.headwater, ordered) {
        Verdict::Same => {}
        Verdict::Lenient => report.lenient += 1,
        Verdict::Different => report.differences.push(difference),
    }
}

/// The maintained forms of a query: a materialized view, a view with an index, or both in one.
fn views(at: usize) -> &'static [Way] {
    match at % 3 {
        0 => &[Way::MaterializedView],
        1 => &[Way::IndexedView],
        _ => &[Way::MaterializedView, Way::IndexedView],
    }
}

fn view_name(way: Way, at: usize) -> String {
    match way {
        Way::MaterializedView => format!("m{at}"),
        _ => format!("v{at}"),
    }
}

async fn create_views(engines: &mut Engines, at: usize, query: &Query, report: &mut Report) -> bool {
    for way in views(at) {
        let name = view_name(*way, at);
        let statements = match way {
            Way::MaterializedView => vec![format!("CREATE MATERIALIZED VIEW {name} AS {}", query.sql)],
            _ => vec![
                format!("CREATE VIEW {name} AS {}", query.sql),
                format!("CREATE DEFAULT INDEX ON {name}"),
            ],
        };
        for sql in statements {
            let headwater = Outcome::of(&mut engines.headwater, &sql).await;
            if headwater.state().is_some() {
                let postgres = Outcome::Rows(vec![]);
                report.differences.push(Difference { query: at, way: *way, round: 0, postgres, headwater });
                return false;
            }
        }
    }
    true
}

/// Compares what is maintained with PostgreSQL's answer to the query.
async fn compare_views(
    engines: &mut Engines,
    scenario: &Scenario,
    live: &[usize],
    round: usize,
    report: &mut Report,
) {
    for at in live {
        let query = &scenario.queries[*at].query;
        let postgres = Outcome::of(&mut engines.postgres, &query.sql).await;
        if postgres.is_timeout() {
            report.slow += 1;
            continue;
        }
        for way in views(*at) {
            let sql = format!("SELECT * FROM {}", view_name(*way, *at));
            let headwater = Outcome::of(&mut engines.headwater, &sql).await;
            let postgres = postgres.clone();
            judge(report, query, Difference { query: *at, way: *way, round, postgres, headwater });
        }
    }
}
