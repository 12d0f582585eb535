//! kill -9 in the middle of appends: what was acknowledged is there, and no commit is torn.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::PersistServer;

const DIR: &str = "HEADWATER_PERSIST_CRASH_DIR";
const NAME: &str = "tests::crash::a_killed_process_loses_nothing_acknowledged";
const SHARDS: [ShardId; 2] = [ShardId::from_bytes([1; 16]), ShardId::from_bytes([2; 16])];

/// Appends one tick after the other to two shards and says so, until it is killed.
async fn write_for_ever(dir: &Path) {
    let server = PersistServer::open(dir, small(), &Default::default()).await.unwrap();
    let client = server.client();
    for shard in SHARDS {
        client.ensure_shard(shard, &RelationDesc::empty(), 0).await.unwrap();
    }
    let mut t = client.state(SHARDS[0]).await.unwrap().unwrap().upper;
    loop {
        let mut appends = Vec::new();
        for shard in SHARDS {
            let mut builder = client.batch_builder(shard);
            // Every fifth commit names staged parts.
            for n in 0..if t % 5 == 0 { 200 } else { 1 } {
                builder.add(row(t as i64 * 1000 + n), t, 1).await.unwrap();
            }
            appends.push(Append::new(builder.finish(t, t + 1).await.unwrap()));
        }
        assert_eq!(client.append(appends).await, Ok(AppendOutcome::Committed));
        client.allow_compaction(SHARDS.map(|s| (s, t.saturating_sub(3))).to_vec()).await.unwrap();
        writeln!(std::io::stdout(), "\nacknowledged {t}").unwrap();
        t += 1;
    }
}

fn start_child(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([NAME, "--exact", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_acknowledged() {
    if let Some(dir) = std::env::var_os(DIR) {
        return write_for_ever(Path::new(&dir)).await;
    }
    let seed: u64 = rand::rng().random();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..8 {
        let mut child = start_child(dir.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("acknowledged ").map(|t| t.parse::<Timestamp>().unwrap()));
        let count = rng.random_range(1..60);
        let mut last = acknowledged.by_ref().take(count).last().unwrap();
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..5000))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        last = acknowledged.last().unwrap_or(last);

        let server = PersistServer::open(dir.path(), small(), &Default::default()).await.unwrap();
        let client = server.client();
        let mut uppers = Vec::new();
        for shard in SHARDS {
            let upper = client.state(shard).await.unwrap().unwrap().upper;
            assert!(upper > last, "{upper} is not past the acknowledged {last}");
            let expected = (0..upper)
                .flat_map(|t| (0..if t % 5 == 0 { 200 } else { 1 }).map(move |n| (t as i64 * 1000 + n, 1)));
            assert_eq!(contents(&client, shard, upper - 1).await.unwrap(), rows(expected, upper - 1));
            uppers.push(upper);
        }
        assert_eq!(uppers[0], uppers[1], "a commit was torn");
        drop((server, client));
        super::until("the database to be closed", async || {
            crate::storage::rocks::RocksStore::open(dir.path(), 16 << 20).await.is_ok()
        })
        .await;
    }
}
