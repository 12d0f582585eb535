//! The bank test: no reader ever sees money appear or vanish.
//!
//! Eight connections run multi-row transfer transactions in MySQL. All the while the total is constant in every
//! SELECT, in an index, in a materialized view and at every timestamp of a SUBSCRIBE: the rows of one MySQL
//! transaction share one timestamp. At the end the rows equal MySQL's at the same GTID.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::support::client::Client;
use crate::support::mysql::{Mysql, Version};
use crate::support::scale::{scale, seed};
use crate::support::server::Headwater;
use crate::support::source::{assert_equal, create_source, wait_caught_up};

const ACCOUNTS: i64 = 1_000;
const BALANCE: i64 = 1_000;
const CONNECTIONS: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn bank_total_is_constant() {
    let seed = seed("bank");
    let mysql = Mysql::start(Version::V97).await;
    mysql
        .run(&[
            "CREATE DATABASE bank",
            "CREATE TABLE bank.accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)",
        ])
        .await;
    let rows = (0..ACCOUNTS).map(|id| format!("({id},{BALANCE})")).collect::<Vec<_>>().join(",");
    mysql.run(&[&format!("INSERT INTO bank.accounts VALUES {rows}")]).await;

    let server = Headwater::start().await;
    let client = server.connect().await;
    create_source(&client, &mysql, "bank").await;
    client.run("CREATE VIEW total AS SELECT sum(balance) AS total FROM accounts").await;
    client.run("CREATE INDEX total_idx ON total (total)").await;
    client.run("CREATE MATERIALIZED VIEW total_mv AS SELECT sum(balance) AS total FROM accounts").await;

    let done = Arc::new(AtomicBool::new(false));
    let transfers = Arc::new(AtomicU64::new(0));
    let mut writers = Vec::new();
    for writer in 0..CONNECTIONS {
        let (conn, done, transfers) = (mysql.connect().await, Arc::clone(&done), Arc::clone(&transfers));
        let rng = StdRng::seed_from_u64(seed.wrapping_add(writer));
        writers.push(tokio::spawn(write_transfers(conn, writer, rng, done, transfers)));
    }
    let subscriber = tokio::spawn(subscribe(server.connect().await, Arc::clone(&done)));

    let reads = read_totals(&client, scale().bank, &subscriber, &writers).await;
    done.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let timestamps = subscriber.await.unwrap();
    eprintln!(
        "bank: {} transactions, {reads} reads, {timestamps} SUBSCRIBE timestamps",
        transfers.load(Ordering::Relaxed)
    );
    assert!(reads > 0 && timestamps > 1, "the test saw nothing");

    wait_caught_up(&client, &mysql, "bank").await;
    let total = mysql.rows("SELECT sum(balance) FROM bank.accounts").await;
    assert_eq!(total, [[Some((ACCOUNTS * BALANCE).to_string())]], "the test's own transfers keep the total");
    assert_equal_accounts(&client, &mysql).await;
}

async fn assert_equal_accounts(client: &Client, mysql: &Mysql) {
    // The same text on both sides: the unqualified name is the subsource here, a view of the table there.
    mysql
        .run(&["CREATE DATABASE public", "CREATE VIEW public.accounts AS SELECT * FROM bank.accounts"])
        .await;
    assert_equal(client, mysql, "SELECT id, balance FROM public.accounts ORDER BY id").await;
}

/// Reads the total in all ways for a time; returns the number of reads. Ends early if another task has failed.
async fn read_totals(
    client: &Client,
    time: Duration,
    subscriber: &tokio::task::JoinHandle<u64>,
    writers: &[tokio::task::JoinHandle<()>],
) -> u64 {
    let expected = (ACCOUNTS * BALANCE).to_string();
    let (start, mut reads) = (Instant::now(), 0);
    while start.elapsed() < time && !subscriber.is_finished() && writers.iter().all(|w| !w.is_finished()) {
        for query in
            ["SELECT sum(balance) FROM accounts", "SELECT total FROM total", "SELECT total FROM total_mv"]
        {
            assert_eq!(client.value(query).await, expected, "{query}, after {reads} reads");
            reads += 1;
        }
    }
    reads
}

/// Transfers between two to five accounts, now and then closing an account into a new one.
async fn write_transfers(
    mut conn: Conn,
    writer: u64,
    mut rng: StdRng,
    done: Arc<AtomicBool>,
    transfers: Arc<AtomicU64>,
) {
    let mut next_id = ACCOUNTS + i64::try_from(writer).unwrap();
    while !done.load(Ordering::Relaxed) {
        match transfer(&mut conn, &mut rng, &mut next_id).await {
            Ok(()) => drop(transfers.fetch_add(1, Ordering::Relaxed)),
            // Deadlocks and lock timeouts are part of the game; the transaction is rolled back.
            Err(mysql_async::Error::Server(e)) if e.code == 1213 || e.code == 1205 => {
                conn.query_drop("ROLLBACK").await.unwrap();
            }
            Err(e) => panic!("transfer: {e}"),
        }
    }
}

async fn transfer(conn: &mut Conn, rng: &mut StdRng, next_id: &mut i64) -> Result<(), mysql_async::Error> {
    conn.query_drop("START TRANSACTION").await?;
    let low: i64 = rng.random_range(0..ACCOUNTS);
    let found: Vec<(i64, i64)> = conn
        .query(format!(
            "SELECT id, balance FROM bank.accounts WHERE id >= {low} ORDER BY id LIMIT 5 FOR UPDATE"
        ))
        .await?;
    let chosen: Vec<(i64, i64)> =
        found.choose_multiple(rng, rng.clone().random_range(2..=5)).copied().collect();
    let Some(((payer, _), others)) = chosen.split_first() else { return conn.query_drop("ROLLBACK").await };
    for (payee, balance) in others {
        let amount: i64 = rng.random_range(-100..=100);
        conn.query_drop(format!(
            "UPDATE bank.accounts SET balance = balance - ({amount}) WHERE id = {payer}"
        ))
        .await?;
        if rng.random_ratio(1, 10) {
            conn.query_drop(format!("DELETE FROM bank.accounts WHERE id = {payee}")).await?;
            conn.query_drop(format!("INSERT INTO bank.accounts VALUES ({next_id}, {balance} + ({amount}))"))
                .await?;
            *next_id += i64::try_from(CONNECTIONS).unwrap();
        } else {
            conn.query_drop(format!(
                "UPDATE bank.accounts SET balance = balance + ({amount}) WHERE id = {payee}"
            ))
            .await?;
        }
    }
    conn.query_drop(if rng.random_ratio(1, 20) { "ROLLBACK" } else { "COMMIT" }).await
}

/// Follows the accounts through COPY (SUBSCRIBE …) and checks the total at every timestamp; returns their number.
async fn subscribe(mut client: Client, done: Arc<AtomicBool>) -> u64 {
    let copy = "COPY (SUBSCRIBE (SELECT id, balance FROM accounts)) TO STDOUT";
    let mut stream = pin!(client.driver().copy_out(copy).await.expect("SUBSCRIBE starts"));
    let (mut total, mut counts, mut time, mut times) = (0_i64, BTreeMap::<i64, i64>::new(), None, 0);
    let mut pending = Vec::new();
    loop {
        let chunk = match tokio::time::timeout(Duration::from_millis(500), stream.next()).await {
            Ok(Some(chunk)) => chunk.expect("SUBSCRIBE goes on"),
            Ok(None) => panic!("SUBSCRIBE ended by itself"),
            Err(_) if done.load(Ordering::Relaxed) => break,
            Err(_) => continue,
        };
        pending.extend_from_slice(&chunk);
        while let Some(end) = pending.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let line = String::from_utf8(line).unwrap();
            let fields: Vec<i64> = line.trim_end().split('\t').map(|f| f.parse().unwrap()).collect();
            let [at, diff, id, balance] = fields[..] else { panic!("four columns, not {line}") };
            if time.is_some_and(|t| t != at) {
                assert!(time < Some(at), "timestamps go forward: {at} after {time:?}");
                assert_eq!(total, ACCOUNTS * BALANCE, "the total at {time:?}");
                counts.retain(|_, n| *n != 0);
                assert!(counts.values().all(|n| *n == 1), "an account twice or negative at {time:?}");
                times += 1;
            }
            time = Some(at);
            total += diff * balance;
            *counts.entry(id).or_default() += diff;
        }
    }
    times
}
