//! What statements check, and how fast and clearly they fail.

use std::time::{Duration, Instant};

use hw_connector::UpstreamError;
use hw_connector::mysql::{TableSelection, discover_tables, validate_connection};
use hw_plan::source::{MySqlConnection, MySqlTls, MySqlTlsMode};

use crate::support::{Server, Version, shared};

async fn quickly<T>(future: impl Future<Output = Result<T, UpstreamError>>) -> UpstreamError {
    let started = Instant::now();
    let error = future.await.err().expect("it must fail");
    assert!(started.elapsed() < Duration::from_secs(10), "{error:?} took {:?}", started.elapsed());
    error
}

fn one(schema: &str, table: &str) -> TableSelection {
    TableSelection::Tables(vec![(schema.into(), table.into())])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_cannot_be_made() {
    let server = shared(Version::V97);
    let good = server.connection();
    validate_connection(&good).await.unwrap();
    let e = quickly(validate_connection(&MySqlConnection { password: Some("wrong".into()), ..good.clone() }))
        .await;
    assert_eq!(e.sqlstate, "28000", "{e:?}");
    assert!(!format!("{e:?}").contains("wrong"), "no secret in an error");
    let e = quickly(validate_connection(&MySqlConnection { port: 1, ..good.clone() })).await;
    assert_eq!(e.sqlstate, "08001", "{e:?}");
    let e = quickly(validate_connection(&MySqlConnection {
        host: "no-such-host.invalid".into(),
        ..good.clone()
    }))
    .await;
    assert_eq!(e.sqlstate, "08001", "{e:?}");
    // Nobody answers: a listener that accepts and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let e = quickly(validate_connection(&MySqlConnection { port, ..good })).await;
    assert_eq!(e.sqlstate, "08001", "{e:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_and_privileges() {
    let server = Server::start(Version::V97);
    let connection = server.connection();
    server
        .sql(&[
            "CREATE DATABASE v",
            "CREATE TABLE v.t (id int PRIMARY KEY, e enum('a'), g geometry, u int NOT NULL, UNIQUE (u), UNIQUE (e))",
            "CREATE TABLE v.w (id int)",
            "CREATE USER reader@'%' IDENTIFIED BY 'secret1'",
            "GRANT SELECT ON v.t TO reader@'%'",
            "CREATE USER guide@'%' IDENTIFIED BY 'secret2'",
            "ALTER USER guide@'%' REQUIRE SSL",
            "GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES ON *.* TO guide@'%'",
        ])
        .await;
    let discover = |s: TableSelection| {
        let connection = connection.clone();
        async move { discover_tables(&connection, &s, &[], &[]).await }
    };
    assert_eq!(quickly(discover(one("v", "missing"))).await.sqlstate, "42P01");
    assert_eq!(quickly(discover(TableSelection::Schemas(vec!["missing".into()]))).await.sqlstate, "42P01");
    let e = quickly(discover(one("v", "t"))).await;
    assert_eq!(e.sqlstate, "0A000");
    assert_eq!(e.detail.as_deref(), Some("v.t.e (enum('a')), v.t.g (geometry)"));

    let column = |c: &str| ("v".to_owned(), "t".to_owned(), c.to_owned());
    let tables =
        discover_tables(&connection, &TableSelection::All, &[column("e")], &[column("g")]).await.unwrap();
    assert_eq!(tables.iter().map(|t| t.table.as_str()).collect::<Vec<_>>(), ["t", "w"]);
    assert_eq!(tables[0].keys, [vec![0], vec![3]]);
    assert!(tables[0].columns[2].ingest.is_none());
    let e =
        quickly(discover_tables(&connection, &one("v", "w"), &[("v".into(), "w".into(), "x".into())], &[]))
            .await;
    assert_eq!(e.sqlstate, "42703");

    // The guide's user, over TLS only.
    let guide = MySqlConnection {
        user: "guide".into(),
        password: Some("secret2".into()),
        tls: MySqlTls { mode: MySqlTlsMode::Required, ..MySqlTls::default() },
        ..connection.clone()
    };
    validate_connection(&guide).await.unwrap();
    discover_tables(&guide, &one("v", "w"), &[], &[]).await.unwrap();
    let without = MySqlConnection { tls: MySqlTls::default(), ..guide.clone() };
    assert_eq!(quickly(validate_connection(&without)).await.sqlstate, "28000");

    // Certificates: MySQL made its own authority.
    let folder_ca = server.file("ca.pem");
    let verify = |mode, ca: Option<String>| MySqlConnection {
        tls: MySqlTls { mode, ca, ..MySqlTls::default() },
        ..guide.clone()
    };
    let e = quickly(validate_connection(&verify(MySqlTlsMode::VerifyIdentity, Some(folder_ca)))).await;
    assert_eq!(e.sqlstate, "08001", "{e:?}");
    assert!(e.message.contains("TLS"), "{e:?}");
    let e = quickly(validate_connection(&verify(MySqlTlsMode::VerifyCa, None))).await;
    assert_eq!(e.sqlstate, "08001", "{e:?}");

    // Too few privileges.
    let reader =
        MySqlConnection { user: "reader".into(), password: Some("secret1".into()), ..connection.clone() };
    let e = quickly(validate_connection(&reader)).await;
    assert_eq!(e.sqlstate, "42501", "{e:?}");
    assert!(e.hint.is_some());
    let e = quickly(discover_tables(&reader, &one("v", "t"), &[], &[column("e"), column("g")])).await;
    assert_eq!(e.sqlstate, "42501", "{e:?}");
    server.sql(&["GRANT REPLICATION SLAVE ON *.* TO reader@'%'"]).await;
    validate_connection(&reader).await.unwrap();
    let e = quickly(discover_tables(&reader, &one("v", "t"), &[], &[column("e"), column("g")])).await;
    assert_eq!(e.sqlstate, "42501", "{e:?}");
    server.sql(&["GRANT LOCK TABLES ON v.* TO reader@'%'"]).await;
    discover_tables(&reader, &one("v", "t"), &[], &[column("e"), column("g")]).await.unwrap();

    // Wrong settings.
    server.sql(&["SET GLOBAL binlog_format = 'STATEMENT'"]).await;
    let e = quickly(validate_connection(&connection)).await;
    assert_eq!(e.sqlstate, "55000");
    assert_eq!(e.detail.as_deref(), Some("binlog_format is STATEMENT, must be ROW"));
    server.sql(&["SET GLOBAL binlog_format = 'ROW'", "SET GLOBAL binlog_row_image = 'MINIMAL'"]).await;
    assert_eq!(quickly(validate_connection(&connection)).await.sqlstate, "55000");
    server.sql(&["SET GLOBAL binlog_row_image = 'FULL'", "SET GLOBAL gtid_mode = 'ON_PERMISSIVE'"]).await;
    let e = quickly(validate_connection(&connection)).await;
    assert_eq!(e.detail.as_deref(), Some("gtid_mode is ON_PERMISSIVE, must be ON"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates() {
    let server = Server::start(Version::V97);
    let own_ca = server.file("ca.pem");
    let verify = |mode, ca: &str| MySqlConnection {
        tls: MySqlTls { mode, ca: Some(ca.to_owned()), ..MySqlTls::default() },
        ..server.connection()
    };
    let refused = |connection: MySqlConnection| async move {
        let e = quickly(validate_connection(&connection)).await;
        assert_eq!((e.sqlstate, e.message.contains("TLS")), ("08001", true), "{e:?}");
    };
    let (ca, other_ca) = (include_str!("tls/ca.pem"), include_str!("tls/other-ca.pem"));
    // The certificates that MySQL makes for itself name no host at all.
    validate_connection(&verify(MySqlTlsMode::VerifyCa, &own_ca)).await.unwrap();
    refused(verify(MySqlTlsMode::VerifyIdentity, &own_ca)).await;
    refused(verify(MySqlTlsMode::VerifyCa, ca)).await;
    // One that names another host.
    server
        .use_certificate(ca, include_str!("tls/elsewhere.pem"), include_str!("tls/elsewhere-key.pem"))
        .await;
    validate_connection(&verify(MySqlTlsMode::VerifyCa, ca)).await.unwrap();
    refused(verify(MySqlTlsMode::VerifyIdentity, ca)).await;
    refused(verify(MySqlTlsMode::VerifyCa, other_ca)).await;
    refused(verify(MySqlTlsMode::VerifyIdentity, other_ca)).await;
    // One that names this host.
    server.use_certificate(ca, include_str!("tls/here.pem"), include_str!("tls/here-key.pem")).await;
    for mode in [MySqlTlsMode::VerifyCa, MySqlTlsMode::VerifyIdentity] {
        validate_connection(&verify(mode, ca)).await.unwrap();
        refused(verify(mode, other_ca)).await;
    }
    let without_ca = MySqlTls { mode: MySqlTlsMode::VerifyCa, ..MySqlTls::default() };
    refused(MySqlConnection { tls: without_ca, ..server.connection() }).await;
}
