//! Loading and changing one engine, Headwater or PostgreSQL, over the same protocol.

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::SinkExt;

use super::data::{Data, Lines};
use super::queries;
use crate::support::client::Client;

/// Bytes of COPY that are sent at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Orders that one transaction of a refresh stream inserts or deletes.
const ORDERS_PER_TRANSACTION: usize = 10;

/// Creates the tables, fills them and indexes them; gives the time that the rows took.
pub(super) async fn load(client: &mut Client, data: &Data) -> Duration {
    client.run(&queries::script("schema")).await;
    let start = Instant::now();
    for (table, lines) in data.tables() {
        copy(client, table, lines).await;
    }
    let took = start.elapsed();
    client.run(&queries::script("indexes")).await;
    took
}

/// Looks a key up in each index, which waits until it is complete.
pub(super) async fn wait_for_indexes(client: &Client) {
    for line in queries::script("indexes").lines().filter(|l| l.starts_with("CREATE INDEX")) {
        let (table, columns) = line.rsplit_once(" ON ").and_then(|(_, on)| on.split_once(' ')).unwrap();
        let columns = columns.trim_matches(['(', ')', ';']).split(", ");
        let keys: Vec<String> = columns.map(|column| format!("{column} = 1")).collect();
        client.rows(&format!("SELECT * FROM {table} WHERE {}", keys.join(" AND "))).await;
    }
}

/// Streams rows into a table.
async fn copy(client: &mut Client, table: &str, lines: Lines<'_>) {
    let statement = format!("COPY {table} FROM STDIN WITH (DELIMITER '|')");
    let sink = client.driver().copy_in::<_, Bytes>(&statement).await;
    let mut sink = pin!(sink.unwrap_or_else(|e| panic!("{statement}: {e}")));
    let (mut chunk, mut rows) = (String::new(), 0);
    for line in lines {
        chunk.push_str(&line);
        rows += 1;
        if chunk.len() > CHUNK_BYTES {
            sink.send(std::mem::take(&mut chunk).into()).await.unwrap();
        }
    }
    sink.send(chunk.into()).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), rows, "rows of {table}");
}

/// RF1: inserts the new orders, each transaction whole orders.
pub(super) async fn insert_orders(client: &Client, data: &Data) {
    for orders in data.new_orders().chunks(ORDERS_PER_TRANSACTION) {
        client.run("BEGIN").await;
        for new in orders {
            client.run(&format!("INSERT INTO orders VALUES ({})", new.order)).await;
            let items: Vec<String> = new.items.iter().map(|i| format!("({i})")).collect();
            client.run(&format!("INSERT INTO lineitem VALUES {}", items.join(", "))).await;
        }
        client.run("COMMIT").await;
    }
}

/// RF2: deletes as many of the loaded orders. Headwater has no DELETE within a transaction block.
pub(super) async fn delete_orders(client: &Client, data: &Data) {
    for keys in data.old_orders().chunks(ORDERS_PER_TRANSACTION) {
        let keys = keys.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        client.run(&format!("DELETE FROM lineitem WHERE l_orderkey IN ({keys})")).await;
        client.run(&format!("DELETE FROM orders WHERE o_orderkey IN ({keys})")).await;
    }
}
