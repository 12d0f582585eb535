//! The fault test: after any sequence of crashes and cut connections the rows are MySQL's, without an operator.
//!
//! Rounds. Each creates a source over tables that are large enough for faults to meet the snapshot, goes on with
//! faults while a writer changes the tables, then stops the writer, waits until the source is at MySQL's GTID and
//! compares every row. Statuses are watched: while MySQL is away for long, no source may go on saying `running`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::mysql::{Mysql, Version};
use crate::support::processes;
use crate::support::proxy::Proxy;
use crate::support::scale::{scale, seed};
use crate::support::server::Headwater;
use crate::support::source::{assert_equal, create_connection, status, wait_caught_up, wait_running};

/// Rows of each of the two tables at the start.
const ROWS: u64 = 20_000;
/// Faults in one round, i.e. for one source from its creation on.
const FAULTS_PER_ROUND: usize = 4;
/// How long MySQL may be away before a source must have noticed.
const NOTICE_LIMIT: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug)]
enum Fault {
    KillWorker,
    KillServer,
    KillMysql,
    /// MySQL stays away until the source says that it is stalled.
    MysqlAway,
    CutConnection,
}

const FAULTS: [Fault; 5] =
    [Fault::KillWorker, Fault::KillServer, Fault::KillMysql, Fault::MysqlAway, Fault::CutConnection];

struct Stage {
    mysql: Mysql,
    proxy: Proxy,
    server: Headwater,
    rng: StdRng,
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_lose_and_double_nothing() {
    let seed = seed("faults");
    let mysql = Mysql::start(Version::V97).await;
    fill(&mysql).await;
    let proxy = Proxy::start(mysql.port).await;
    let server = Headwater::start().await;
    create_connection(&server.connect().await, proxy.port).await;
    let mut stage = Stage { mysql, proxy, server, rng: StdRng::seed_from_u64(seed) };

    let total = scale().faults;
    let mut injected = 0;
    for round in 0..total.div_ceil(FAULTS_PER_ROUND) {
        let source = format!("source_{round}");
        let done = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(write_changes(
            stage.mysql.socket(),
            seed.wrapping_add(round as u64),
            Arc::clone(&done),
        ));
        create_source(&stage.server, &source).await;
        for _ in 0..FAULTS_PER_ROUND.min(total - injected) {
            let pause = Duration::from_millis(stage.rng.random_range(0..1_500));
            tokio::time::sleep(pause).await;
            let fault = *FAULTS.choose(&mut stage.rng).unwrap();
            eprintln!("faults: {source}: {fault:?} after {pause:?}");
            inject(&mut stage, fault, &source).await;
            injected += 1;
        }
        done.store(true, Ordering::Relaxed);
        writer.await.unwrap();
        let client = stage.server.connect().await;
        wait_running(&client, &source).await;
        wait_caught_up(&client, &stage.mysql, &source).await;
        for table in ["a", "b"] {
            assert_equal(
                &client,
                &stage.mysql,
                &format!("SELECT id, n, body FROM public.{table} ORDER BY id"),
            )
            .await;
        }
        stage.server.assert_alive().unwrap();
        client.run(&format!("DROP SOURCE {source} CASCADE")).await;
    }
    eprintln!("faults: {injected} injected");
}

/// Two tables in a MySQL schema `public`, so that one text names them on both sides.
async fn fill(mysql: &Mysql) {
    mysql.run(&["CREATE DATABASE public"]).await;
    for table in ["a", "b"] {
        let create =
            format!("CREATE TABLE public.{table} (id BIGINT PRIMARY KEY, n BIGINT, body VARCHAR(200))");
        mysql.run(&[&create]).await;
        for chunk in 0..ROWS / 2_000 {
            let ids = chunk * 2_000..(chunk + 1) * 2_000;
            let rows =
                ids.map(|id| format!("({id},0,REPEAT('x',{}))", id % 200)).collect::<Vec<_>>().join(",");
            mysql.run(&[&format!("INSERT INTO public.{table} VALUES {rows}")]).await;
        }
    }
}

/// Creates the source; tolerates that the connection's last fault is still felt.
async fn create_source(server: &Headwater, name: &str) {
    let client = server.connect().await;
    let create = format!(
        "CREATE SOURCE {name} FROM MYSQL CONNECTION mysql_connection EXPOSE PROGRESS AS {name}_progress FOR ALL TABLES"
    );
    eventually(name, Duration::from_secs(60), async || client.try_run(&create).await).await;
}

async fn inject(stage: &mut Stage, fault: Fault, source: &str) {
    match fault {
        Fault::KillWorker => {
            let workers = stage.server.workers();
            if let Some(pid) = workers.choose(&mut stage.rng) {
                processes::signal(*pid, "KILL");
            }
        }
        Fault::KillServer => stage.server.kill_and_restart().await,
        Fault::KillMysql => {
            stage.mysql.kill();
            stage.mysql.resume();
        }
        Fault::MysqlAway => {
            stage.mysql.kill();
            let client = stage.server.connect().await;
            eventually("an honest status while MySQL is away", NOTICE_LIMIT, async || {
                let status = status(&client, source).await?;
                ensure!(status != "running", "still {status}");
                Ok(())
            })
            .await;
            assert_stays_away(&client, source).await;
            stage.mysql.resume();
        }
        Fault::CutConnection => stage.proxy.cut(),
    }
}

/// Once noticed, the source must not say `running` again while nothing can arrive.
async fn assert_stays_away(client: &Client, source: &str) {
    for _ in 0..20 {
        let status = status(client, source).await.unwrap();
        assert_ne!(status, "running", "{source} says running while MySQL is away");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Small transactions over both tables, over MySQL's crashes. Whether a commit in flight at a crash took place is
/// MySQL's to say: the comparison reads it there.
async fn write_changes(socket: String, seed: u64, done: Arc<AtomicBool>) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut conn: Option<Conn> = None;
    while !done.load(Ordering::Relaxed) {
        let open = match conn.as_mut() {
            Some(open) => open,
            None => match Conn::new(OptsBuilder::default().socket(Some(&socket)).user(Some("root"))).await {
                Ok(new) => conn.insert(new),
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        if change(open, &mut rng).await.is_err() {
            conn = None;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..5))).await;
    }
}

async fn change(conn: &mut Conn, rng: &mut StdRng) -> Result<(), mysql_async::Error> {
    conn.query_drop("START TRANSACTION").await?;
    for _ in 0..rng.random_range(1..6) {
        let table = ["a", "b"].choose(rng).unwrap();
        let id = rng.random_range(0..ROWS * 2);
        let length = rng.random_range(0..200);
        let statement = match rng.random_range(0..4) {
            0 => format!("REPLACE INTO public.{table} VALUES ({id}, 1, REPEAT('r', {length}))"),
            1 => format!("DELETE FROM public.{table} WHERE id = {id}"),
            2 => format!("UPDATE public.{table} SET n = n + 1, body = REPEAT('u', {length}) WHERE id = {id}"),
            _ => format!("UPDATE public.{table} SET n = n + 1 WHERE id BETWEEN {id} AND {id} + 20"),
        };
        conn.query_drop(statement).await?;
    }
    conn.query_drop(if rng.random_ratio(1, 10) { "ROLLBACK" } else { "COMMIT" }).await
}
