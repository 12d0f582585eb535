//! Makes a scenario that shows a difference smaller while it still shows one of the same kind.

use std::time::{Duration, Instant};

use super::choices::{Choices, smaller};
use super::compare::{Outcome, Verdict, compare};
use super::scenario::{Difference, Engines, Generated, Scenario, Way, run};

/// How long one difference may be worked on.
const LIMIT: Duration = Duration::from_secs(60);

/// What makes two differences of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    way: Way,
    postgres: Option<String>,
    headwater: Option<String>,
}

impl Kind {
    fn of(difference: &Difference) -> Kind {
        let state = |o: &Outcome| o.state().map(str::to_owned);
        let Difference { way, postgres, headwater, .. } = difference;
        Kind { way: *way, postgres: state(postgres), headwater: state(headwater) }
    }
}

/// Shrinks one difference of a scenario; gives the small scenario and its difference.
pub(crate) async fn shrink(
    engines: &mut Engines,
    scenario: &Scenario,
    difference: &Difference,
    schema: &str,
) -> (Scenario, Difference) {
    let mut shrinker = Shrinker {
        engines,
        kind: Kind::of(difference),
        schema: schema.to_owned(),
        runs: 0,
        until: Instant::now() + LIMIT,
        best: (scenario.with_query(scenario.queries[difference.query].clone()), difference.clone()),
    };
    if difference.way != Way::Change {
        shrinker.query().await;
    }
    shrinker.rounds().await;
    shrinker.rows().await;
    shrinker.best
}

struct Shrinker<'a> {
    engines: &'a mut Engines,
    kind: Kind,
    schema: String,
    runs: usize,
    until: Instant,
    best: (Scenario, Difference),
}

impl Shrinker<'_> {
    fn schema(&mut self) -> String {
        self.runs += 1;
        format!("{}_{}", self.schema, self.runs)
    }

    fn is_over(&self) -> bool {
        Instant::now() > self.until
    }

    /// Takes the scenario if it shows a difference of the kind.
    async fn take(&mut self, scenario: Scenario) -> bool {
        let schema = self.schema();
        let report = run(self.engines, &scenario, &schema).await;
        let found = report.differences.into_iter().find(|d| Kind::of(d) == self.kind);
        found.map(|difference| self.best = (scenario, difference)).is_some()
    }

    /// Simplifies the query.
    async fn query(&mut self) {
        let first = self.best.1.round == 0 && matches!(self.kind.way, Way::Select | Way::WithoutTransforms);
        let schema = self.schema();
        if first {
            // One schema serves all candidates.
            self.engines.schema(&schema).await;
            let tables = self.best.0.tables.clone();
            self.engines.tables(&tables).await;
        }
        'smaller: while !self.is_over() {
            let Generated { tape, spans, .. } = &self.best.0.queries[0];
            let length = self.best.0.queries[0].query.sql.len();
            for tape in smaller(tape, spans) {
                if self.is_over() {
                    break 'smaller;
                }
                let candidate = Generated::new(Choices::replay(&tape), &self.best.0.tables);
                if candidate.query.sql == self.best.0.queries[0].query.sql
                    || candidate.query.sql.len() > length + 20
                {
                    continue;
                }
                let taken = match first {
                    true => self.take_select(candidate).await,
                    false => {
                        let scenario = self.best.0.with_query(candidate);
                        self.take(scenario).await
                    }
                };
                if taken {
                    continue 'smaller;
                }
            }
            break;
        }
        if first {
            self.engines.drop_schema(&schema).await;
        }
    }

    /// Takes the query if it shows the difference as a SELECT over the tables that are there.
    async fn take_select(&mut self, candidate: Generated) -> bool {
        let (postgres, headwater) = self.engines.ask(&candidate.query.sql, self.kind.way).await;
        if compare(&candidate.query, &postgres, &headwater, true) != Verdict::Different {
            return false;
        }
        let difference = Difference { query: 0, way: self.kind.way, round: 0, postgres, headwater };
        if Kind::of(&difference) != self.kind {
            return false;
        }
        self.best = (self.best.0.with_query(candidate), difference);
        true
    }

    /// Leaves out changes.
    async fn rounds(&mut self) {
        let mut without = self.best.0.clone();
        without.rounds.truncate(self.best.1.round);
        if without.rounds.len() < self.best.0.rounds.len() {
            self.take(without).await;
        }
        let mut at = 0;
        while at < self.best.0.rounds.iter().map(Vec::len).sum() && !self.is_over() {
            let mut without = self.best.0.clone();
            let mut left = at;
            for round in &mut without.rounds {
                if left < round.len() {
                    round.remove(left);
                    break;
                }
                left -= round.len();
            }
            if !self.take(without).await {
                at += 1;
            }
        }
    }

    /// Leaves out rows, and tables that the query does not name.
    async fn rows(&mut self) {
        for table in 0..self.best.0.tables.len() {
            let mut step = self.best.0.tables[table].rows.len();
            while step > 0 && !self.is_over() {
                let mut from = 0;
                while from < self.best.0.tables[table].rows.len() && !self.is_over() {
                    let mut without = self.best.0.clone();
                    let rows = &mut without.tables[table].rows;
                    rows.drain(from..(from + step).min(rows.len()));
                    if !self.take(without).await {
                        from += step;
                    }
                }
                step /= 2;
            }
        }
        let mut without = self.best.0.clone();
        let named = |name: &str, text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|w| w == name);
        without.tables.retain(|t| {
            named(&t.name, &without.queries[0].query.sql)
                || without.rounds.iter().flatten().any(|change| named(&t.name, change))
        });
        without.tables.iter_mut().for_each(|t| t.indexes.clear());
        if !self.take(without).await {
            self.best
                .0
                .tables
                .retain(|t| !t.rows.is_empty() || named(&t.name, &self.best.0.queries[0].query.sql));
        }
    }
}

/// The scenario as a script, with both answers.
pub(crate) fn script(scenario: &Scenario, difference: &Difference) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    scenario.tables.iter().flat_map(|t| t.create()).for_each(|sql| line(&format!("{sql};")));
    if let Some(generated) = scenario.queries.first() {
        line(&format!("{};", generated.query.sql));
    }
    scenario.rounds.iter().flatten().for_each(|sql| line(&format!("{sql};")));
    line(&format!("-- {:?} after {} rounds", difference.way, difference.round));
    line(&format!("PostgreSQL:\n{}Headwater:\n{}", difference.postgres, difference.headwater));
    out
}
