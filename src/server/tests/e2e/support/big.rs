//! The big table `d.big`: filling it outside the binlog, changing it in the binlog, watching memory meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;

use super::mysql::Mysql;
use super::processes;
use super::server::Headwater;

/// `d.big` with rows of about 200 bytes; not in the binlog.
pub(crate) async fn fill(mysql: &Mysql, rows: u64) {
    let mut conn = mysql.connect().await;
    let mut statements = vec![
        "SET sql_log_bin = 0".to_owned(),
        "CREATE DATABASE d".to_owned(),
        "USE d".to_owned(),
        "CREATE TABLE d.big (id BIGINT PRIMARY KEY, n BIGINT NOT NULL, tag VARCHAR(20), body VARCHAR(200))"
            .to_owned(),
        "INSERT INTO d.big VALUES (0, 0, 'tag-0', REPEAT('0', 160))".to_owned(),
    ];
    let mut have = 1;
    while have < rows {
        let add = have.min(rows - have).min(200_000);
        statements.push(format!(
            "INSERT INTO d.big SELECT id + {have}, 0, CONCAT('tag-', id + {have}), \
             RPAD(SHA2(id + {have}, 256), 160, SHA2(id, 256)) FROM d.big WHERE id < {add}"
        ));
        have += add;
    }
    for statement in statements {
        conn.query_drop(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
}

/// That many row changes in transactions of a thousand: updates, and deletes with inserts.
pub(crate) async fn change(mysql: &Mysql, changes: u64) {
    let mut conn = mysql.connect().await;
    let rows: u64 = mysql.rows("SELECT count(*) FROM d.big").await[0][0].as_ref().unwrap().parse().unwrap();
    let (mut done, mut at) = (0, 0);
    while done < changes {
        let from = at % rows;
        let to = (from + 1_000).min(rows).min(from + changes - done);
        conn.query_drop(format!(
            "UPDATE d.big SET n = n + 1, tag = CONCAT('new-', id) WHERE id >= {from} AND id < {to}"
        ))
        .await
        .unwrap();
        done += to - from;
        at += to - from;
    }
}

/// The most memory that a server and its workers held together, sampled.
pub(crate) struct PeakMemory {
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl PeakMemory {
    /// Begins to watch the server's processes, also those that start later.
    pub(crate) fn watch(server: &Headwater) -> PeakMemory {
        let (peak, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (to, stopped, pids) = (Arc::clone(&peak), Arc::clone(&stop), server.pids_by_mark());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                to.fetch_max(pids().into_iter().map(processes::resident_bytes).sum(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        PeakMemory { peak, stop, thread }
    }

    /// Ends the watch and gives the peak in bytes.
    pub(crate) fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.peak.load(Ordering::Relaxed)
    }
}
