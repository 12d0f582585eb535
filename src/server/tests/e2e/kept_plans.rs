//! Prepared queries whose plans are kept: whatever the parameters, and whatever is created, dropped, written or set between
//! executions, the answers are PostgreSQL's.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_postgres::Statement;
use tokio_postgres::types::{ToSql, Type};

use crate::support::client::Client;
use crate::support::postgres::Postgres;
use crate::support::scale::seed;
use crate::support::server::Headwater;

const ROUNDS: u32 = 300;

const SCHEMA: &str = "
    CREATE TABLE r (a int, t text, n numeric, b boolean);
    CREATE VIEW v AS SELECT a, upper(t) AS u FROM r WHERE b;
    INSERT INTO r SELECT g % 20, 'x' || g % 30, g % 9 * 0.5, g % 3 = 0 FROM generate_series(1, 200) AS g;
    INSERT INTO r VALUES (NULL, NULL, NULL, NULL), (3, NULL, 1.50, NULL)";

/// Queries of texts. Their parameters are integers, truth values and texts.
const QUERIES: &[&str] = &[
    "SELECT a::text, t, n::text FROM r WHERE a = $1 ORDER BY 1, 2, 3",
    "SELECT t FROM r WHERE t = $1 ORDER BY 1",
    "SELECT a::text, t FROM r WHERE n = $1::int * 0.50 ORDER BY 1, 2",
    "SELECT a::text FROM r WHERE a = $1 AND t = $2 ORDER BY 1",
    "SELECT a::text, $2::text FROM r WHERE a IN ($1, $3) ORDER BY 1",
    "SELECT a::text FROM r WHERE a > $1 AND a <= $2 ORDER BY a DESC LIMIT 3",
    "SELECT (a + $1)::text, t FROM r WHERE $2::text IS NULL OR t LIKE $2 ORDER BY 1, 2",
    "SELECT t FROM r WHERE a = 12 / $1 ORDER BY 1",
    "SELECT a::text FROM r WHERE a = $1::bigint ORDER BY 1",
    "SELECT a::text FROM r WHERE a % 7 = $1 AND current_setting('application_name') LIKE '%5' ORDER BY 1",
    "SELECT count(*)::text, max(t) FROM r WHERE a = $1",
    "SELECT a::text, u FROM v WHERE a = $1 ORDER BY 1, 2",
    "SELECT a::text FROM r WHERE b = $1 ORDER BY 1",
    "SELECT CASE WHEN $1 > 10 THEN t ELSE a::text END FROM r WHERE a = $1 ORDER BY 1",
];

/// What happens between executions, `#` standing for a number.
const CHANGES: &[&str] = &[
    "CREATE INDEX i# ON r (a)",
    "CREATE INDEX i# ON r (t)",
    "CREATE INDEX i# ON r (n)",
    "CREATE INDEX i# ON r (a, t)",
    "DROP INDEX IF EXISTS i#",
    "DROP INDEX IF EXISTS i#",
    "INSERT INTO r VALUES (# % 20, 'x#', # % 3 + 0.50, # % 2 = 0)",
    "UPDATE r SET n = n + 1.0 WHERE a = # % 20",
    "DELETE FROM r WHERE a = # % 20 AND b",
    "SET application_name = 'test#'",
];

/// The rows, or the SQLSTATE.
async fn execute(client: &mut Client, statement: &Statement, numbers: &[Option<i32>]) -> String {
    let wide: Vec<Option<i64>> = numbers.iter().map(|n| n.map(i64::from)).collect();
    let truth: Vec<Option<bool>> = numbers.iter().map(|n| n.map(|n| n % 2 == 0)).collect();
    let texts: Vec<Option<String>> = numbers.iter().map(|n| n.map(|n| format!("x{n}"))).collect();
    let parameter = |(i, typ): (usize, &Type)| -> &(dyn ToSql + Sync) {
        match *typ {
            Type::INT4 => &numbers[i],
            Type::INT8 => &wide[i],
            Type::BOOL => &truth[i],
            _ => &texts[i],
        }
    };
    let parameters: Vec<_> = statement.params().iter().enumerate().map(parameter).collect();
    match client.driver().query(statement, &parameters).await {
        Ok(rows) => {
            let cells = |row: &tokio_postgres::Row| {
                (0..row.len()).map(|i| row.get::<_, Option<String>>(i)).collect::<Vec<_>>()
            };
            rows.iter().map(|row| format!("{:?}", cells(row))).collect::<Vec<_>>().join("\n")
        }
        Err(e) => e.code().map_or_else(|| e.to_string(), |c| c.code().to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_plans_answer_as_postgresql_does() {
    let mut random = StdRng::seed_from_u64(seed("kept_plans"));
    let (server, postgres) = (Headwater::start().await, Postgres::start());
    let mut ours = server.connect().await;
    let mut theirs = Client::connect_with(&postgres.config("postgres")).await.unwrap();
    let mut statements = vec![];
    for client in [&mut ours, &mut theirs] {
        client.run(SCHEMA).await;
        let mut prepared = vec![];
        for sql in QUERIES {
            prepared.push(client.driver().prepare(sql).await.unwrap());
        }
        statements.push(prepared);
    }
    for round in 0..ROUNDS {
        if random.random_bool(0.2) {
            let number = if random.random_bool(0.5) { round } else { random.random_range(0..=round) };
            let change = CHANGES[random.random_range(0..CHANGES.len())].replace('#', &number.to_string());
            // An index of that name may be there: then it is there in both.
            let results = [ours.try_run(&change).await.is_ok(), theirs.try_run(&change).await.is_ok()];
            assert_eq!(results[0], results[1], "{change}");
        }
        let which = random.random_range(0..QUERIES.len());
        let number = |random: &mut StdRng| random.random_bool(0.9).then(|| random.random_range(0..25));
        let numbers = [number(&mut random), number(&mut random), number(&mut random)];
        let found = execute(&mut ours, &statements[0][which], &numbers).await;
        let wanted = execute(&mut theirs, &statements[1][which], &numbers).await;
        assert_eq!(found, wanted, "round {round}: {} with {numbers:?}", QUERIES[which]);
    }
}
