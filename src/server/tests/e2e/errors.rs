//! What goes wrong when a source is set up: each a clear error within ten seconds, and no object left behind.

use std::time::{Duration, Instant};

use crate::support::client::{Client, TextRow};
use crate::support::mysql::{Mysql, PASSWORD, Version};
use crate::support::processes::free_port;
use crate::support::server::Headwater;

const LIMIT: Duration = Duration::from_secs(10);

/// Requires a failure within the limit whose message has one of the words, and that nothing was created.
async fn assert_fails(client: &Client, sql: &str, words: &[&str]) {
    let before = objects(client).await;
    let start = Instant::now();
    let answer = tokio::time::timeout(LIMIT, client.try_run(sql)).await;
    let answer = answer.unwrap_or_else(|_| panic!("{sql}\nno answer within {LIMIT:?}"));
    let message = format!("{:#}", answer.expect_err(sql));
    eprintln!("errors: {:?}: {sql}: {message}", start.elapsed());
    let lower = message.to_lowercase();
    assert!(words.iter().any(|w| lower.contains(&w.to_lowercase())), "{sql}\nunclear error: {message}");
    assert!(!message.contains(PASSWORD), "the error shows the password: {message}");
    assert_eq!(objects(client).await, before, "{sql}\nleft something behind");
}

async fn objects(client: &Client) -> Vec<TextRow> {
    client.rows("SELECT id, name, type FROM mz_objects WHERE id LIKE 'u%' ORDER BY id").await
}

/// A connection that is not validated when it is made.
async fn connection(client: &Client, name: &str, host: &str, port: u16, user: &str, secret: &str) {
    client
        .run(&format!(
            "CREATE CONNECTION {name} TO MYSQL (HOST '{host}', PORT {port}, USER '{user}', PASSWORD SECRET {secret}, \
             SSL MODE REQUIRED) WITH (VALIDATE = false)"
        ))
        .await;
}

async fn server_with_secrets() -> (Headwater, Client) {
    let server = Headwater::start().await;
    let client = server.connect().await;
    client.run(&format!("CREATE SECRET good AS '{PASSWORD}'")).await;
    client.run("CREATE SECRET bad AS 'wr0ng'").await;
    (server, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_connections() {
    let mysql = Mysql::start(Version::V97).await;
    let (_server, client) = server_with_secrets().await;
    let create = |host: &str, port: u16, secret: &str, more: &str| {
        format!(
            "CREATE CONNECTION c TO MYSQL (HOST '{host}', PORT {port}, USER 'materialize', PASSWORD SECRET {secret}, \
             SSL MODE REQUIRED{more})"
        )
    };
    assert_fails(&client, &create("127.0.0.1", mysql.port, "bad", ""), &["access denied"]).await;
    assert_fails(
        &client,
        &create("no-such-host.invalid", 3306, "good", ""),
        &["resolve", "lookup", "name or service"],
    )
    .await;
    assert_fails(&client, &create("127.0.0.1", free_port(), "good", ""), &["refused"]).await;
    assert_fails(&client, &create("127.0.0.1", mysql.port, "nosuch", ""), &["unknown", "does not exist"])
        .await;
    // The server's certificate is self-signed.
    let verify = create("127.0.0.1", mysql.port, "good", "").replace("REQUIRED", "VERIFY_IDENTITY");
    assert_fails(&client, &verify, &["certificate"]).await;
    // The user REQUIREs SSL.
    let plain = create("127.0.0.1", mysql.port, "good", "").replace("REQUIRED", "DISABLED");
    assert_fails(&client, &plain, &["access denied", "secure"]).await;

    connection(&client, "wrong_password", "127.0.0.1", mysql.port, "materialize", "bad").await;
    assert_fails(&client, "VALIDATE CONNECTION wrong_password", &["access denied"]).await;
    assert_fails(
        &client,
        "CREATE SOURCE s FROM MYSQL CONNECTION wrong_password FOR ALL TABLES",
        &["access denied"],
    )
    .await;
    assert_fails(&client, "CREATE SOURCE s FROM MYSQL CONNECTION nosuch FOR ALL TABLES", &["nosuch"]).await;
    connection(&client, "right", "127.0.0.1", mysql.port, "materialize", "good").await;
    client.run("VALIDATE CONNECTION right").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_settings() {
    for (version, flag, words) in [
        (Version::V97, "--gtid-mode=OFF --enforce-gtid-consistency=OFF", "gtid_mode"),
        (Version::V57, "--gtid-mode=OFF --enforce-gtid-consistency=OFF", "gtid_mode"),
        (Version::V97, "--binlog-format=STATEMENT", "binlog_format"),
        (Version::V97, "--binlog-row-image=MINIMAL", "binlog_row_image"),
        (Version::V57, "--binlog-format=STATEMENT", "binlog_format"),
    ] {
        let flags: Vec<&str> = flag.split(' ').collect();
        let mysql = Mysql::start_with(version, &flags).await;
        mysql.run(&["CREATE DATABASE d", "CREATE TABLE d.t (a INT PRIMARY KEY)"]).await;
        let (_server, client) = server_with_secrets().await;
        connection(&client, "c", "127.0.0.1", mysql.port, "materialize", "good").await;
        assert_fails(&client, "CREATE SOURCE s FROM MYSQL CONNECTION c FOR ALL TABLES", &[words]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_tables_and_names() {
    let mysql = Mysql::start(Version::V97).await;
    mysql
        .run(&[
            "CREATE DATABASE d",
            "CREATE DATABASE e",
            "CREATE TABLE d.t (a INT PRIMARY KEY)",
            "CREATE TABLE e.t (a INT PRIMARY KEY)",
            "CREATE TABLE d.taken (a INT PRIMARY KEY)",
            "CREATE TABLE d.`select` (`from` INT PRIMARY KEY, `order` INT)",
            "INSERT INTO d.`select` VALUES (1, 2)",
            "CREATE USER 'poor'@'%' IDENTIFIED BY 'corr3ct-horse'",
            "GRANT SELECT ON d.t TO 'poor'@'%'",
            "CREATE USER 'blind'@'%' IDENTIFIED BY 'corr3ct-horse'",
            "GRANT RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'blind'@'%'",
        ])
        .await;
    let (_server, client) = server_with_secrets().await;
    connection(&client, "c", "127.0.0.1", mysql.port, "materialize", "good").await;
    connection(&client, "poor", "127.0.0.1", mysql.port, "poor", "good").await;
    connection(&client, "blind", "127.0.0.1", mysql.port, "blind", "good").await;
    client.run("CREATE TABLE taken (a int)").await;

    let source = |tables: &str| format!("CREATE SOURCE s FROM MYSQL CONNECTION c {tables}");
    assert_fails(&client, &source("FOR TABLES (d.nosuch)"), &["nosuch"]).await;
    assert_fails(&client, &source("FOR TABLES (nosuch.t)"), &["nosuch"]).await;
    assert_fails(&client, &source("FOR SCHEMAS (nosuch)"), &["nosuch"]).await;
    // Two tables would have one name; one table would have a name that is taken.
    assert_fails(&client, &source("FOR ALL TABLES"), &["t"]).await;
    assert_fails(&client, &source("FOR TABLES (d.t, e.t)"), &["t"]).await;
    assert_fails(&client, &source("FOR TABLES (d.taken)"), &["already exists"]).await;
    assert_fails(&client, &source("FOR TABLES (d.t AS taken)"), &["already exists"]).await;
    assert_fails(
        &client,
        "CREATE SOURCE s FROM MYSQL CONNECTION poor FOR TABLES (d.t)",
        &["privilege", "access denied", "replication"],
    )
    .await;
    assert_fails(
        &client,
        "CREATE SOURCE s FROM MYSQL CONNECTION blind FOR TABLES (d.t)",
        &["privilege", "denied", "select", "not found", "does not exist"],
    )
    .await;
    assert_fails(&client, "CREATE SOURCE select FROM MYSQL CONNECTION c FOR TABLES (d.t)", &["select"]).await;

    // Reserved words are names like others once they are quoted.
    client
        .run("CREATE SOURCE \"order\" FROM MYSQL CONNECTION c FOR TABLES (d.\"select\", e.t AS \"group\")")
        .await;
    crate::support::source::wait_running(&client, "order").await;
    assert_eq!(
        client.rows("SELECT \"from\", \"order\" FROM \"select\"").await,
        [[Some("1".into()), Some("2".into())]]
    );
    client.run("DROP SOURCE \"order\" CASCADE").await;
    assert_eq!(client.rows("SELECT name FROM mz_sources WHERE id LIKE 'u%'").await, Vec::<TextRow>::new());
}
