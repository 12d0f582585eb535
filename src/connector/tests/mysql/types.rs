//! One value has one encoding: what the snapshot reads of a table is what the binlog gives of a copy of it.

use hw_repr::{Datum, ScalarType};

use crate::support::{Server, Source, Version, shared};

const COLUMNS: &str = "
    id int NOT NULL PRIMARY KEY,
    t1 tinyint, t2 tinyint unsigned, s1 smallint, s2 smallint unsigned, m1 mediumint, m2 mediumint unsigned,
    i1 int, i2 int unsigned, b1 bigint, b2 bigint unsigned, bo boolean,
    d1 decimal(5,2), d2 decimal(39,10), d3 decimal(65,30), d4 decimal(10,0), d5 decimal(18,9) unsigned, d6 decimal(1,1),
    f1 float, f2 double, f3 float(7,3),
    bit1 bit(1), bit2 bit(17), bit3 bit(64),
    c1 char(5) CHARACTER SET utf8mb4, c2 char(200) CHARACTER SET latin1, c3 char(10) CHARACTER SET ucs2, c4 char(0),
    c5 char(255) CHARACTER SET utf8mb4,
    v1 varchar(50) CHARACTER SET utf8mb4, v2 varchar(300) CHARACTER SET latin1, v3 varchar(10) CHARACTER SET utf16,
    v4 varchar(10) CHARACTER SET cp1251, v5 varchar(20) CHARACTER SET ascii, v6 varchar(10) CHARACTER SET utf32,
    tt tinytext, tx text CHARACTER SET latin1, mt mediumtext, lt longtext,
    bi binary(8), vb varbinary(300), tb tinyblob, bl blob, mb mediumblob, lb longblob,
    da date, dt0 datetime, dt3 datetime(3), dt6 datetime(6),
    ts0 timestamp NULL, ts2 timestamp(2) NULL, ts6 timestamp(6) NULL, ti0 time, ti1 time(1), ti6 time(6),
    js json,
    y year, e enum('a','b''c','ü') CHARACTER SET latin1, st set('x','y','z') CHARACTER SET utf8mb4,
    asdec decimal(65,30), astime time(3), asfloat float, asdate date, asdt datetime(1), asjson json,
    gv int GENERATED ALWAYS AS (i1 + 1) VIRTUAL, gs int GENERATED ALWAYS AS (i1 + 2) STORED";

const PLAIN: &str = "id, t1, t2, s1, s2, m1, m2, i1, i2, b1, b2, bo, d1, d2, d3, d4, d5, d6, f1, f2, f3, bit1, bit2, bit3, c1, c2, \
    c3, c4, c5, v1, v2, v3, v4, v5, v6, tt, tx, mt, lt, bi, vb, tb, bl, mb, lb, da, dt0, dt3, dt6, ts0, ts2, ts6, ti0, ti1, ti6, js, \
    y, e, st, asdec, astime, asfloat, asdate, asdt, asjson";

fn rows() -> Vec<String> {
    let json = r#"JSON_OBJECT('i', -1, 'u', 18446744073709551615, 'd', 1.50, 'f', 1e20, 'f2', 0.1e0, 'neg', -2.5e-7, 's', 'ü😀"\\', 'n', NULL,
        't', true, 'a', JSON_ARRAY(1, 'x', JSON_ARRAY(), JSON_OBJECT()), 'long key', REPEAT('x', 300),
        'date', CAST('2020-02-29' AS DATE), 'time', CAST('-12:34:56.789' AS TIME(3)),
        'dt', CAST('2020-02-29 01:02:03.5' AS DATETIME(1)), 'dec', CAST(12345678901234567890.12 AS DECIMAL(30,2)),
        'big', JSON_ARRAY(40000, -40000, 70000, 5000000000, -5000000000))"#;
    vec![
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL"
            .into(),
        "-128, 255, -32768, 65535, -8388608, 16777215, -2147483647, 4294967295, -9223372036854775808, 18446744073709551615, true,
         -999.99, 12345678901234567890123456789.0123456789, 12345678.9, -9999999999, 123456789.987654321, -0.9,
         1.1, 1.7976931348623157e308, 1234.567, b'1', b'10101010101010101', ~0,
         'ü😀', 'grün €', 'Aé', '', REPEAT('ü', 255), 'text 😀', REPEAT('é', 300), 'aé', 'Привет', 'ascii', 'x',
         'tiny', 'latin é', REPEAT('m', 70000), 'long', X'0102000000000000', X'00FF00', 'tb', REPEAT(X'00', 300), 'mb', 'lb',
         '9999-12-31', '9999-12-31 23:59:59', '2020-02-29 01:02:03.004', '1000-01-01 00:00:00.000001',
         '2038-01-19 03:14:07', '1970-01-01 00:00:01.01', '2020-02-29 23:59:59.999999', '23:59:59', '00:00:00.1', '12:34:56.654321',
         '{\"a\": [1, 2.0, {\"b\": null}], \"é\": \"\\\\u00e9\"}', 2155, 'b''c', 'x,z', 12345678901234567890123456789012345.5,
         '-838:59:59.000', 0.1, '2020-02-29', '2020-02-29 01:02:03.4', '[1.0, 1.50]'"
            .into(),
        format!(
            "127, 0, 32767, 0, 8388607, 0, 2147483645, 0, 9223372036854775807, 0, false, 0.01, -0.0000000001, -1.5, 0, 0.000000001, 0.1,
         -3.4028e38, -2.2250738585072014e-308, -0.001, b'0', 1, 0, 'a ', 'b', '', '', ' x', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '',
         '1000-01-01', '2020-02-29 00:00:00', '2020-01-01', '2020-01-01', '2000-01-01', '2020-06-30 12:00:00', '2020-01-01', '00:00:00',
         '23:59:59.9', '00:00:00.000001', {json}, 1901, 'ü', '', -0.000000000000000000000000000001, '-00:00:00.001', -1e10, '1000-01-01',
         '2020-01-01', '\"x\"'"
        ),
    ]
}

async fn all_types(server: &Server, schema: &str) -> Source {
    server
        .sql(&[
            &format!("CREATE DATABASE {schema}"),
            &format!("CREATE TABLE {schema}.snap ({COLUMNS}) DEFAULT CHARACTER SET utf8mb4"),
            &format!("CREATE TABLE {schema}.live LIKE {schema}.snap"),
        ])
        .await;
    let mut statements =
        vec!["SET sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00', NAMES utf8mb4".to_owned()];
    for (i, row) in rows().iter().enumerate() {
        statements.push(format!("INSERT INTO {schema}.snap ({PLAIN}) VALUES ({i}, {row})"));
    }
    statements.push("SET sql_mode = ''".into());
    // Zero dates, an invalid enum value, year 0, trailing zeros, values from JSON operations.
    statements.push(format!(
        "INSERT INTO {schema}.snap (id, da, dt0, dt3, ts0, ts2, y, e, bi, asdate, asdt, js) VALUES (100, '0000-00-00', \
         '0000-00-00 00:00:00', 0, 0, 0, 0, 'nope', X'00', 0, 0, JSON_MERGE_PRESERVE('[1, 2]', '{{\"k\": 1.0}}'))"
    ));
    statements.push(format!("INSERT INTO {schema}.snap (id, js) VALUES (101, CAST(X'0001ff' AS JSON)), (102, 'true'), (103, '-1.25e3')"));
    statements.push(format!("INSERT INTO {schema}.snap (id, js) SELECT 104, JSON_ARRAY(REPEAT('y', 70000), 1, 70000, JSON_OBJECT('q', 1.5))"));
    statements.push(format!("INSERT INTO {schema}.snap (id, js) SELECT 105, JSON_ARRAY(CAST(REPEAT('z', 200) AS BINARY(200)), b'101')"));
    // Values that cannot be held, one a row.
    statements
        .push(format!("INSERT INTO {schema}.snap (id, ti0) VALUES (201, '-00:00:01'), (202, '838:59:59')"));
    statements.push(format!(
        "INSERT INTO {schema}.snap (id, d3) VALUES (203, 12345678901234567890123456789012345.123456789)"
    ));
    statements.push(format!("INSERT INTO {schema}.snap (id, da) VALUES (204, '2020-00-10')"));
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    server.sql(&statements).await;

    let text: Vec<(&str, &str, &str)> = ["snap", "live"]
        .into_iter()
        .flat_map(|t| {
            ["y", "e", "st", "asdec", "astime", "asfloat", "asdate", "asdt", "asjson"].map(|c| (schema, t, c))
        })
        .collect();
    let tables = server.tables_with_text(&[(schema, "snap"), (schema, "live")], &text).await;
    let mut source = Source::new(server, tables).await;
    source.start();
    source.catch_up(server).await;
    let copy = format!("INSERT INTO {schema}.live ({PLAIN}) SELECT {PLAIN} FROM {schema}.snap");
    server.sql(&["SET sql_mode = '', time_zone = '+05:00'", &copy]).await;
    source.catch_up(server).await;
    source
}

async fn snapshot_and_binlog_agree(version: Version) {
    let server = shared(version);
    let schema = "types";
    let mut source = all_types(server, schema).await;
    let desc = source.desc.exports[0].desc.clone();
    let ((snap, snap_errors), (live, live_errors)) = (source.contents(0).await, source.contents(1).await);
    assert_eq!(snap.len(), live.len(), "{version:?} {snap_errors:?} {live_errors:?}");
    for (a, b) in snap.iter().zip(&live) {
        for ((name, (x, y)), (_, typ)) in desc.names().iter().zip(a.iter().zip(b.iter())).zip(desc.iter()) {
            assert_eq!(x, y, "{version:?} column {name} of row {:?}, {typ:?}", a.unpack_first());
        }
        assert_eq!(a.data(), b.data());
    }
    let strip = |mut errors: Vec<String>| {
        errors.iter_mut().for_each(|e| *e = e.replace(".live", ".snap"));
        errors.sort();
        errors
    };
    assert_eq!(strip(snap_errors.clone()), strip(live_errors));
    assert_eq!(snap_errors.len(), 4, "{snap_errors:?}");
    assert_eq!(snap.len(), 9);

    // Every datum is of its column's type, and has the value that it should.
    let find = |id: i32| snap.iter().find(|r| r.unpack_first() == Datum::Int32(id)).unwrap().unpack();
    let at = |name: &str| desc.position(name).unwrap();
    let row = find(1);
    assert_eq!(row[at("b2")], Datum::UInt64(u64::MAX));
    assert_eq!(row[at("t1")], Datum::Int16(-128));
    let numeric = |s: &str| Datum::Numeric(hw_repr::adt::numeric::parse(s).unwrap());
    assert_eq!(row[at("d2")], numeric("12345678901234567890123456789.0123456789"));
    assert_eq!(row[at("d3")], numeric("12345678.9"));
    assert_eq!(row[at("bit2")], Datum::UInt64(0b1_0101_0101_0101_0101));
    assert_eq!(row[at("c1")], Datum::String("ü😀   "));
    assert_eq!(row[at("v4")], Datum::String("Привет"));
    assert_eq!(row[at("bi")], Datum::Bytes(&[1, 2, 0, 0, 0, 0, 0, 0]));
    assert_eq!(row[at("y")], Datum::String("2155"));
    assert_eq!(row[at("e")], Datum::String("b'c"));
    assert_eq!(row[at("st")], Datum::String("x,z"));
    assert_eq!(row[at("astime")], Datum::String("-838:59:59.000"));
    assert_eq!(
        row[at("asdec")],
        Datum::String("12345678901234567890123456789012345.500000000000000000000000000000")
    );
    assert_eq!(row[at("asdt")], Datum::String("2020-02-29 01:02:03.4"));
    assert_eq!(row[at("gv")], Datum::Int32(-2147483646));
    let zero = find(100);
    assert_eq!((zero[at("da")], zero[at("dt0")], zero[at("ts0")]), (Datum::Null, Datum::Null, Datum::Null));
    assert_eq!(
        (zero[at("asdate")], zero[at("y")], zero[at("e")]),
        (Datum::String("0000-00-00"), Datum::String("0000"), Datum::String(""))
    );
    let typ = |name: &str| desc.typ().column_types[at(name)].scalar_type.clone();
    assert_eq!(typ("ts2"), ScalarType::Timestamp { precision: Some(2) });

    // Deletion takes back exactly what was inserted.
    server
        .sql(&[
            &format!("UPDATE {schema}.live SET i1 = 5, js = JSON_ARRAY(1), v1 = 'changed' WHERE id < 200"),
            &format!("DELETE FROM {schema}.live"),
        ])
        .await;
    source.catch_up(server).await;
    assert_eq!(source.contents(1).await, (vec![], vec![]));
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_and_binlog_agree_on_all_types_9_7() {
    snapshot_and_binlog_agree(Version::V97).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_and_binlog_agree_on_all_types_5_7() {
    snapshot_and_binlog_agree(Version::V57).await;
}
