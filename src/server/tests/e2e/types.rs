//! Every integer, decimal, float, string, binary, date and time type of the guide: the values of a snapshot and
//! the values of the binlog arrive as PostgreSQL would write them.

use crate::support::mysql::{Mysql, Version};
use crate::support::server::Headwater;
use crate::support::source::{create_source, wait_caught_up};

/// Column type in MySQL, a value as MySQL takes it, the value's text in Headwater.
const CASES: &[(&str, &str, &str)] = &[
    ("TINYINT", "-128", "-128"),
    ("TINYINT UNSIGNED", "255", "255"),
    ("SMALLINT", "-32768", "-32768"),
    ("SMALLINT UNSIGNED", "65535", "65535"),
    ("MEDIUMINT", "-8388608", "-8388608"),
    ("MEDIUMINT UNSIGNED", "16777215", "16777215"),
    ("INT", "-2147483648", "-2147483648"),
    ("INT UNSIGNED", "4294967295", "4294967295"),
    ("BIGINT", "-9223372036854775808", "-9223372036854775808"),
    ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"),
    ("BIGINT UNSIGNED", "7", "7"),
    ("BOOLEAN", "TRUE", "1"),
    ("DECIMAL(10,2)", "-12345678.90", "-12345678.90"),
    ("DECIMAL(38,10)", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"),
    ("NUMERIC(5,0)", "42", "42"),
    ("FLOAT", "1.5", "1.5"),
    ("DOUBLE", "-1.0e-300", "-1e-300"),
    ("REAL", "0.1", "0.1"),
    ("CHAR(2)", "'ab'", "ab"),
    ("VARCHAR(100)", "'naïve ☃ 😀'", "naïve ☃ 😀"),
    ("VARCHAR(100) CHARACTER SET latin1", "'Ünïcode'", "Ünïcode"),
    ("VARCHAR(10)", "''", ""),
    ("TINYTEXT", "'tiny'", "tiny"),
    ("TEXT", "'a\\tb\\nc'", "a\tb\nc"),
    ("MEDIUMTEXT", "'medium'", "medium"),
    ("LONGTEXT", "'long'", "long"),
    ("BINARY(4)", "x'00ff0000'", "\\x00ff0000"),
    ("VARBINARY(10)", "x'00ff00'", "\\x00ff00"),
    ("TINYBLOB", "x'01'", "\\x01"),
    ("BLOB", "x'02'", "\\x02"),
    ("MEDIUMBLOB", "x'03'", "\\x03"),
    ("LONGBLOB", "x'04'", "\\x04"),
    ("DATE", "'2026-02-28'", "2026-02-28"),
    ("DATE", "'1000-01-01'", "1000-01-01"),
    ("DATETIME", "'2026-02-28 23:59:59'", "2026-02-28 23:59:59"),
    ("DATETIME(6)", "'1999-12-31 23:59:59.999999'", "1999-12-31 23:59:59.999999"),
    ("TIMESTAMP NULL", "'2001-02-03 04:05:06'", "2001-02-03 04:05:06"),
    ("TIMESTAMP(3) NULL", "'2001-02-03 04:05:06.789'", "2001-02-03 04:05:06.789"),
    ("TIME", "'23:59:59'", "23:59:59"),
    ("TIME(6)", "'00:00:00.000001'", "00:00:00.000001"),
];

#[tokio::test(flavor = "multi_thread")]
async fn types_on_mysql_97() {
    values_arrive(Version::V97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn types_on_mysql_57() {
    values_arrive(Version::V57).await;
}

async fn values_arrive(version: Version) {
    let mysql =
        Mysql::start_with(version, &["--default-time-zone=+00:00", "--character-set-server=utf8mb4"]).await;
    let columns: Vec<String> = CASES.iter().enumerate().map(|(i, (ty, _, _))| format!("c{i} {ty}")).collect();
    let values: Vec<&str> = CASES.iter().map(|(_, value, _)| *value).collect();
    let nulls = vec!["NULL"; CASES.len()].join(", ");
    let (columns, values) = (columns.join(", "), values.join(", "));
    mysql
        .run(&[
            "CREATE DATABASE d",
            &format!("CREATE TABLE d.t (id INT PRIMARY KEY, {columns})"),
            &format!("INSERT INTO d.t VALUES (1, {values}), (2, {nulls})"),
        ])
        .await;
    let server = Headwater::start().await;
    let client = server.connect().await;
    create_source(&client, &mysql, "types").await;
    mysql
        .run(&[
            &format!("INSERT INTO d.t VALUES (3, {values}), (4, {nulls})"),
            "UPDATE d.t SET id = 5 WHERE id = 3",
            "DELETE FROM d.t WHERE id = 4",
            &format!("INSERT INTO d.t VALUES (6, {nulls})"),
        ])
        .await;
    wait_caught_up(&client, &mysql, "types").await;

    let rows = client.rows("SELECT * FROM t ORDER BY id").await;
    let ids: Vec<_> = rows.iter().map(|r| r[0].clone().unwrap()).collect();
    assert_eq!(ids, ["1", "2", "5", "6"]);
    let mut wrong = Vec::new();
    for (i, (ty, value, expected)) in CASES.iter().enumerate() {
        for (row, origin) in [(0, "snapshot"), (2, "binlog")] {
            let found = rows[row][i + 1].as_deref();
            if found != Some(*expected) {
                wrong.push(format!("{ty} {value} from the {origin}: {found:?} instead of {expected:?}"));
            }
        }
        assert_eq!((&rows[1][i + 1], &rows[3][i + 1]), (&None, &None), "NULL as {ty}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
