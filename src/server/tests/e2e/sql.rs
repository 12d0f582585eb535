//! Runs `sql-tests/**/*.slt`: each file on Headwater in a database of its own, and those under
//! `sql-tests/pg_compat/` on PostgreSQL too, unchanged. `HW_SLT=text` runs only paths that contain the text.
//! The dialect of the files is described in `sql-tests/README.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::support::checkout;
use crate::support::client::Client;
use crate::support::postgres::Postgres;
use crate::support::server::Headwater;

#[tokio::test(flavor = "multi_thread")]
async fn sql_tests_on_headwater() {
    let server = Headwater::start().await;
    let main = server.connect().await;
    let mut failures = Vec::new();
    let files = slt_files(&checkout().join("sql-tests"));
    for (number, file) in files.iter().enumerate() {
        let database = format!("slt_{number}");
        main.run(&format!("CREATE DATABASE {database}")).await;
        let config = format!("host=127.0.0.1 port={} user=materialize dbname={database}", server.sql_port);
        failures.extend(run_file(file, &config, "headwater").await);
        drop(main.try_run(&format!("DROP DATABASE {database} CASCADE")).await);
    }
    report("headwater", files.len(), failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_tests_on_postgres() {
    let postgres = Postgres::start();
    let main = Client::connect_with(&postgres.config("postgres")).await.unwrap();
    let mut failures = Vec::new();
    let files = slt_files(&checkout().join("sql-tests/pg_compat"));
    for (number, file) in files.iter().enumerate() {
        let database = format!("slt_{number}");
        main.run(&format!("CREATE DATABASE {database}")).await;
        failures.extend(run_file(file, &postgres.config(&database), "postgres").await);
    }
    report("postgres", files.len(), failures);
}

fn report(engine: &str, files: usize, failures: Vec<String>) {
    eprintln!("sql: {files} files on {engine}, {} failed", failures.len());
    assert!(
        failures.is_empty(),
        "{} of {files} files failed on {engine}\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

/// The files below a folder in the order of their paths.
fn slt_files(folder: &Path) -> Vec<PathBuf> {
    let only = std::env::var("HW_SLT").unwrap_or_default();
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "slt") && path.to_string_lossy().contains(&only) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Runs one file; gives what failed.
async fn run_file(file: &Path, config: &str, engine: &'static str) -> Option<String> {
    let script = fs::read_to_string(file).expect("just listed");
    if !script.starts_with("# ") {
        return Some(format!("{}: the first line must say what the file proves", file.display()));
    }
    let config = Arc::new(config.to_owned());
    let mut runner = Runner::new(move || {
        let config = Arc::clone(&config);
        async move { Session::connect(&config, engine).await }
    });
    runner.add_label(engine);
    let result = runner.run_script_with_name_async(&script, file.to_string_lossy().as_ref()).await;
    runner.shutdown_async().await;
    result.err().map(|e| e.to_string())
}

/// An engine that failed a statement, with PostgreSQL's message.
#[derive(Debug)]
struct SqlError {
    state: Option<String>,
    message: String,
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SqlError {}

impl From<tokio_postgres::Error> for SqlError {
    fn from(error: tokio_postgres::Error) -> SqlError {
        match error.as_db_error() {
            Some(e) => SqlError { state: Some(e.code().code().to_owned()), message: e.message().to_owned() },
            None => SqlError { state: None, message: format!("{:#}", anyhow::Error::from(error)) },
        }
    }
}

/// One connection of the runner.
struct Session {
    client: tokio_postgres::Client,
    engine: &'static str,
}

impl Session {
    async fn connect(config: &str, engine: &'static str) -> Result<Session, SqlError> {
        let connected = tokio_postgres::connect(config, NoTls).await.context("connecting");
        let (client, connection) =
            connected.map_err(|e| SqlError { state: None, message: format!("{e:#}") })?;
        tokio::spawn(connection);
        Ok(Session { client, engine })
    }
}

#[async_trait]
impl AsyncDB for Session {
    type Error = SqlError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, SqlError> {
        let (mut rows, mut count, mut columns) = (Vec::new(), 0, None);
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(described) => columns = Some(described.len()),
                SimpleQueryMessage::Row(row) => {
                    rows.push((0..row.len()).map(|i| shown(row.get(i))).collect())
                }
                SimpleQueryMessage::CommandComplete(n) => count = n,
                _ => {}
            }
        }
        Ok(match columns {
            Some(columns) => DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows },
            None => DBOutput::StatementComplete(count),
        })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        self.engine
    }

    async fn sleep(duration: std::time::Duration) {
        tokio::time::sleep(duration).await;
    }

    fn error_sql_state(error: &SqlError) -> Option<String> {
        error.state.clone()
    }
}

/// A value as the files show it.
fn shown(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.replace('\n', "\\n"),
    }
}
