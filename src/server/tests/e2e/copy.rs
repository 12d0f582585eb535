//! COPY in all formats, both ways: what Headwater writes PostgreSQL reads, and writes again byte for byte.

use std::pin::pin;

use bytes::Bytes;
use futures::{SinkExt, TryStreamExt};

use crate::support::client::Client;
use crate::support::postgres::Postgres;
use crate::support::server::Headwater;

const COLUMNS: &str = "k int, b text, c numeric(10,3), d timestamptz, e bytea, f float8, g int[], h jsonb, i uuid, \
                       j bool, l interval, m date, n bigint, o smallint, p varchar(5), q time, r real, s timestamp";

const ROWS: &str = r#"
    (1, 'one', 1.5, '2024-01-02 03:04:05.678+00', '\x00ff', 1.25, ARRAY[1, 2, NULL], '{"a": [1, null]}',
     'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true, '1 mon 2 days 03:04:05', '2024-02-29', 9223372036854775807, -5,
     'abc', '12:34:56.789', 'NaN', '1999-12-31 23:59:59.999999'),
    (2, NULL, NULL, NULL, NULL, '-Infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, E'tab\t"q", \\N and\nnewline\\', -12345.678, '0001-01-01 00:00:00+00', '', '1e300', '{}', '"x"', NULL, false,
     '-1 year', '1900-01-01', 0, 0, '', '00:00', 0.1, '2000-01-01 00:00:00'),
    (4, '', 0, '9999-12-31 00:00:00+00', '\x5c', 0, '{{1,2},{3,4}}', 'null', NULL, NULL, '00:00:00', '2000-01-01', -1, 1,
     'x', '23:59:59.999999', '-0.0', NULL)"#;

async fn copy_out(client: &mut Client, sql: &str) -> Vec<u8> {
    let stream = client.driver().copy_out(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let parts: Vec<Bytes> = stream.try_collect().await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    parts.concat()
}

async fn copy_in(client: &mut Client, sql: &str, data: &[u8]) -> u64 {
    let mut sink = pin!(client.driver().copy_in::<_, Bytes>(sql).await.unwrap());
    // In pieces that end anywhere.
    for piece in data.chunks(7) {
        sink.send(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    sink.finish().await.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn formats_are_postgresqls() {
    let (server, postgres) = (Headwater::start().await, Postgres::start());
    let mut ours = server.connect().await;
    let mut theirs = Client::connect_with(&postgres.config("postgres")).await.unwrap();
    for client in [&ours, &theirs] {
        client.run(&format!("CREATE TABLE t ({COLUMNS}); CREATE TABLE back ({COLUMNS})")).await;
    }
    ours.run(&format!("INSERT INTO t VALUES {ROWS}")).await;
    for format in [
        "FORMAT binary",
        "FORMAT text",
        "FORMAT csv, HEADER",
        "FORMAT text, HEADER",
        "FORMAT csv, HEADER, NULL 'nil', ENCODING 'utf-8'",
        "FORMAT csv, DELIMITER ';', NULL '-', QUOTE ''''",
    ] {
        let out = format!("COPY (SELECT * FROM t ORDER BY k) TO STDOUT ({format})");
        let written = copy_out(&mut ours, &out).await;
        theirs.run("TRUNCATE t").await;
        assert_eq!(
            copy_in(&mut theirs, &format!("COPY t FROM STDIN ({format})"), &written).await,
            4,
            "{format}"
        );
        assert_eq!(copy_out(&mut theirs, &out).await, written, "{format}");
        // And back.
        assert_eq!(
            copy_in(&mut ours, &format!("COPY back FROM STDIN ({format})"), &written).await,
            4,
            "{format}"
        );
        assert_eq!(
            ours.value("SELECT count(*) FROM (SELECT * FROM back EXCEPT ALL SELECT * FROM t) AS x").await,
            "0"
        );
        ours.run("DELETE FROM back").await;
    }
    // A copy that fails, or whose transaction is rolled back, leaves nothing.
    let sink = pin!(ours.driver().copy_in::<_, Bytes>("COPY back (k) FROM STDIN").await.unwrap());
    let mut sink = sink;
    sink.send(Bytes::from_static(b"1\nx\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap_err().code().unwrap().code(), "22P02");
    ours.run("BEGIN").await;
    copy_in(&mut ours, "COPY back (k, b) FROM STDIN", b"1\tx\n2\t\\N\n").await;
    ours.run("ROLLBACK").await;
    assert_eq!(ours.value("SELECT count(*) FROM back").await, "0");
}
