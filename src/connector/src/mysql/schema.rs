//! Tables as the upstream describes them, and whether a table is still what it was.

use std::collections::BTreeMap;

use hw_plan::source::{MySqlColumn, MySqlTable};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::connect::{answer, literal};
use super::types::normalized;
use crate::error::UpstreamError;

/// Schemas that belong to the server.
const SYSTEM_SCHEMAS: &str = "('mysql', 'sys', 'information_schema', 'performance_schema')";

/// A base table as it is now.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpstreamTable {
    /// Its columns, with nothing said about how they are ingested.
    pub(crate) columns: Vec<MySqlColumn>,
    /// Its primary key and unique keys over whole NOT NULL columns, as positions in `columns`.
    pub(crate) keys: Vec<Vec<usize>>,
    /// Whether its engine gives consistent reads without locks.
    pub(crate) transactional: bool,
    /// An estimate of its rows.
    pub(crate) estimated_rows: u64,
}

/// Tables by schema and name.
pub(crate) type UpstreamTables = BTreeMap<(String, String), UpstreamTable>;

/// Which tables to describe.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// All but the server's own.
    All,
    /// All of these schemas.
    Schemas(&'a [String]),
    /// These, as (schema, table).
    Tables(&'a [(String, String)]),
}

impl Which<'_> {
    fn condition(&self) -> String {
        match self {
            Which::All => format!("t.TABLE_SCHEMA NOT IN {SYSTEM_SCHEMAS}"),
            Which::Schemas(schemas) => {
                let list: Vec<String> = schemas.iter().map(|s| literal(s)).collect();
                format!("t.TABLE_SCHEMA IN ({})", list.join(", "))
            }
            Which::Tables(tables) => {
                let list: Vec<String> =
                    tables.iter().map(|(s, t)| format!("({}, {})", literal(s), literal(t))).collect();
                format!("(t.TABLE_SCHEMA, t.TABLE_NAME) IN ({})", list.join(", "))
            }
        }
    }
}

type ColumnRow =
    (String, String, String, String, String, Option<String>, String, Option<String>, Option<u64>);
type KeyRow = (String, String, String, Option<String>, Option<u64>);

/// Describes base tables.
pub(crate) async fn read(conn: &mut Conn, which: Which<'_>) -> Result<UpstreamTables, UpstreamError> {
    if matches!(which, Which::Schemas([]) | Which::Tables([])) {
        return Ok(UpstreamTables::new());
    }
    let condition = which.condition();
    let columns: Vec<ColumnRow> = answer(conn.query(format!(
        "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.COLUMN_TYPE, c.CHARACTER_SET_NAME, \
         c.IS_NULLABLE, t.ENGINE, t.TABLE_ROWS FROM information_schema.TABLES t JOIN information_schema.COLUMNS c \
         ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME \
         WHERE t.TABLE_TYPE = 'BASE TABLE' AND {condition} ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME, c.ORDINAL_POSITION"
    )))
    .await?;
    let mut tables = UpstreamTables::new();
    for (schema, table, name, data_type, column_type, charset, nullable, engine, rows) in columns {
        let entry = tables.entry((schema, table)).or_default();
        entry.transactional = engine.is_some_and(|e| e.eq_ignore_ascii_case("InnoDB"));
        entry.estimated_rows = rows.unwrap_or(0);
        entry.columns.push(MySqlColumn {
            name,
            data_type,
            column_type,
            charset,
            nullable: nullable.eq_ignore_ascii_case("YES"),
            ingest: None,
        });
    }
    let keys: Vec<KeyRow> = answer(conn.query(format!(
        "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.INDEX_NAME, t.COLUMN_NAME, CAST(t.SUB_PART AS UNSIGNED) \
         FROM information_schema.STATISTICS t WHERE t.NON_UNIQUE = 0 AND {condition} \
         ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME, t.INDEX_NAME = 'PRIMARY' DESC, t.INDEX_NAME, t.SEQ_IN_INDEX"
    )))
    .await?;
    add_keys(&mut tables, keys);
    Ok(tables)
}

fn add_keys(tables: &mut UpstreamTables, rows: Vec<KeyRow>) {
    // Sorted by table and index, so that an index's parts follow each other.
    type Index = ((String, String), String, Option<Vec<usize>>);
    let mut indexes: Vec<Index> = Vec::new();
    for (schema, table, index, column, prefix) in rows {
        let id = (schema, table);
        let Some(entry) = tables.get(&id) else { continue };
        // Prefixes and expressions do not make whole columns unique; NULLs repeat.
        let position = column
            .filter(|_| prefix.is_none())
            .and_then(|name| entry.columns.iter().position(|c| c.name == name && !c.nullable));
        match indexes.last_mut() {
            Some((last_id, last_index, parts)) if *last_id == id && *last_index == index => {
                *parts = parts.take().zip(position).map(|(mut parts, p)| {
                    parts.push(p);
                    parts
                });
            }
            _ => indexes.push((id, index, position.map(|p| vec![p]))),
        }
    }
    for (id, _, parts) in indexes {
        if let (Some(table), Some(parts)) = (tables.get_mut(&id), parts) {
            table.keys.push(parts);
        }
    }
}

/// Whether rows of the table as it is now can still be ingested as when it was added (guide, "Schema changes"): columns that are not
/// ingested may come and go, a nullable column may become NOT NULL.
pub(crate) fn check_compatible(then: &MySqlTable, now: &UpstreamTable) -> Result<(), String> {
    for column in then.columns.iter().filter(|c| c.ingest.is_some()) {
        let Some(current) = now.columns.iter().find(|c| c.name == column.name) else {
            return Err(format!("column {:?} was dropped or renamed", column.name));
        };
        let was = normalized(&column.data_type, &column.column_type);
        let is = normalized(&current.data_type, &current.column_type);
        if was != is {
            return Err(format!("the type of column {:?} was changed from {was} to {is}", column.name));
        }
        if charset_name(&column.charset) != charset_name(&current.charset) {
            return Err(format!("the character set of column {:?} was changed", column.name));
        }
        let not_null = column.ingest.as_ref().is_some_and(|i| !i.typ.nullable);
        if not_null && current.nullable {
            return Err(format!("column {:?} was NOT NULL and may be NULL now", column.name));
        }
    }
    for key in &then.keys {
        let names = |columns: &[MySqlColumn], key: &[usize]| {
            let mut names: Vec<String> =
                key.iter().filter_map(|i| columns.get(*i)).map(|c| c.name.clone()).collect();
            names.sort();
            names
        };
        let was = names(&then.columns, key);
        let implied = |k: &Vec<usize>| names(&now.columns, k).iter().all(|n| was.contains(n));
        if !now.keys.iter().any(implied) {
            return Err(format!("the key ({}) was dropped", was.join(", ")));
        }
    }
    Ok(())
}

/// MySQL 8 says `utf8mb3` where 5.7 says `utf8`.
fn charset_name(name: &Option<String>) -> Option<&str> {
    match name.as_deref() {
        Some("utf8") => Some("utf8mb3"),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::ingest_type;
    use super::*;
    use hw_plan::source::MySqlIngest;

    fn column(name: &str, data_type: &str, column_type: &str, nullable: bool) -> MySqlColumn {
        let ingest = ingest_type(data_type, column_type, nullable, false).ok();
        MySqlColumn {
            name: name.into(),
            data_type: data_type.into(),
            column_type: column_type.into(),
            charset: None,
            nullable,
            ingest: ingest.map(|typ| MySqlIngest { typ, as_text: false }),
        }
    }

    fn table(columns: Vec<MySqlColumn>, keys: Vec<Vec<usize>>) -> MySqlTable {
        MySqlTable { schema: "s".into(), table: "t".into(), columns, keys, initial_gtid_set: String::new() }
    }

    #[test]
    fn compatibility() {
        let then = table(
            vec![column("id", "int", "int(11)", false), column("a", "varchar", "varchar(5)", true)],
            vec![vec![0]],
        );
        let now = |columns: Vec<MySqlColumn>, keys: Vec<Vec<usize>>| UpstreamTable {
            columns,
            keys,
            ..Default::default()
        };
        let id = || column("id", "int", "int", false);
        let a = || column("a", "varchar", "varchar(5)", true);
        let ok = |n: UpstreamTable| check_compatible(&then, &n);
        assert_eq!(ok(now(vec![id(), a()], vec![vec![0]])), Ok(()));
        assert_eq!(ok(now(vec![column("x", "int", "int", true), a(), id()], vec![vec![2]])), Ok(()));
        assert_eq!(ok(now(vec![id(), column("a", "varchar", "varchar(5)", false)], vec![vec![0]])), Ok(()));
        assert!(ok(now(vec![id()], vec![vec![0]])).is_err());
        assert!(ok(now(vec![id(), column("a", "varchar", "varchar(6)", true)], vec![vec![0]])).is_err());
        assert!(ok(now(vec![column("id", "int", "int", true), a()], vec![vec![0]])).is_err());
        assert!(ok(now(vec![id(), a()], vec![])).is_err());
        assert!(ok(now(vec![column("id", "bigint", "bigint", false), a()], vec![vec![0]])).is_err());
    }
}
