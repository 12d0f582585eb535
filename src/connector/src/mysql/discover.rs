//! Finding the tables that a statement selects.

use std::collections::BTreeSet;

use hw_plan::source::{MySqlColumn, MySqlConnection, MySqlIngest, MySqlTable};
use hw_sql::upstream::{TableSelection, UpstreamColumn};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::charset::Charset;
use super::connect::{answer, connect, gtid_variable};
use super::decode::snapshot::quote;
use super::schema::{self, UpstreamTable, Which};
use super::types::{UnsupportedType, ingest_type};
use super::validate::{check_locking, check_replication, check_settings, within_limit};
use crate::error::UpstreamError;

/// The selected tables as they are now, within ten seconds. Checks settings and privileges, and that all columns can be
/// ingested. Columns are named as (schema, table, column).
pub async fn discover_tables(
    connection: &MySqlConnection,
    selection: &TableSelection,
    text_columns: &[UpstreamColumn],
    exclude_columns: &[UpstreamColumn],
) -> Result<Vec<MySqlTable>, UpstreamError> {
    within_limit(async {
        let mut conn = connect(connection).await?;
        check_settings(&mut conn).await?;
        let tables = describe(&mut conn, selection).await?;
        let initial_gtid_set = gtid_variable(&mut conn, "gtid_executed").await?.to_string();
        let mut found = Vec::with_capacity(tables.len());
        let mut problems = Vec::new();
        for ((schema, table), described) in tables {
            let ways = Ways { schema: &schema, table: &table, text_columns, exclude_columns };
            let (columns, unsupported) = ways.plan(described.columns);
            problems.extend(unsupported);
            let ingested = |key: &Vec<usize>| key.iter().all(|i| columns[*i].ingest.is_some());
            let keys = described.keys.into_iter().filter(ingested).collect();
            found.push(MySqlTable {
                schema,
                table,
                columns,
                keys,
                initial_gtid_set: initial_gtid_set.clone(),
            });
        }
        check_named_columns(&found, text_columns, "TEXT COLUMNS")?;
        check_named_columns(&found, exclude_columns, "EXCLUDE COLUMNS")?;
        if !problems.is_empty() {
            return Err(unsupported_columns(problems));
        }
        check_privileges(&mut conn, &found).await?;
        check_replication(conn).await?;
        Ok(found)
    })
    .await
}

async fn describe(
    conn: &mut Conn,
    selection: &TableSelection,
) -> Result<Vec<((String, String), UpstreamTable)>, UpstreamError> {
    let folded: Option<u8> = answer(conn.query_first("SELECT @@GLOBAL.lower_case_table_names")).await?;
    let same = |a: &str, b: &str| if folded == Some(0) { a == b } else { a.eq_ignore_ascii_case(b) };
    let missing = |what: String| {
        UpstreamError::new("42P01", what)
            .with_hint("Check the spelling, and that the MySQL user has the SELECT privilege on it.")
    };
    let all = match selection {
        TableSelection::All => schema::read(conn, Which::All).await?,
        TableSelection::Schemas(schemas) => schema::read(conn, Which::Schemas(schemas)).await?,
        TableSelection::Tables(tables) => schema::read(conn, Which::Tables(tables)).await?,
    };
    let all: Vec<_> = all.into_iter().collect();
    match selection {
        TableSelection::All if all.is_empty() => {
            Err(missing("the MySQL server has no tables to ingest".into()))
        }
        TableSelection::All => Ok(all),
        TableSelection::Schemas(schemas) => {
            for schema in schemas {
                if !all.iter().any(|((s, _), _)| same(s, schema)) {
                    return Err(missing(format!("MySQL schema {schema:?} does not exist or has no tables")));
                }
            }
            Ok(all.into_iter().filter(|((s, _), _)| schemas.iter().any(|w| same(s, w))).collect())
        }
        TableSelection::Tables(tables) => {
            // In the order asked for, each once for each time.
            let mut found = Vec::with_capacity(tables.len());
            for (schema, table) in tables {
                let at = all.iter().find(|((s, t), _)| same(s, schema) && same(t, table));
                found.push(
                    at.cloned()
                        .ok_or_else(|| missing(format!("MySQL table {schema}.{table} does not exist")))?,
                );
            }
            Ok(found)
        }
    }
}

/// How the columns of one table are to be ingested.
struct Ways<'a> {
    schema: &'a str,
    table: &'a str,
    text_columns: &'a [UpstreamColumn],
    exclude_columns: &'a [UpstreamColumn],
}

/// A column that cannot be ingested: where it is, and why.
type Problem = (String, UnsupportedType);

impl Ways<'_> {
    fn named(&self, list: &[UpstreamColumn], column: &str) -> bool {
        list.iter().any(|(s, t, c)| s == self.schema && t == self.table && c.eq_ignore_ascii_case(column))
    }

    fn plan(&self, mut columns: Vec<MySqlColumn>) -> (Vec<MySqlColumn>, Vec<Problem>) {
        let mut problems = Vec::new();
        for column in &mut columns {
            if self.named(self.exclude_columns, &column.name) {
                continue;
            }
            let as_text = self.named(self.text_columns, &column.name);
            let typ = ingest_type(&column.data_type, &column.column_type, column.nullable, as_text);
            let readable = column.charset.as_deref().is_none_or(|c| Charset::by_name(c).is_some());
            let place = || format!("{}.{}.{}", self.schema, self.table, column.name);
            match typ {
                Ok(_) if !readable => {
                    let charset = column.charset.clone().unwrap_or_default();
                    let column_type = format!("{} CHARACTER SET {charset}", column.column_type);
                    problems.push((place(), UnsupportedType { column_type, possible_as_text: false }));
                }
                Ok(typ) => column.ingest = Some(MySqlIngest { typ, as_text }),
                Err(e) => problems.push((place(), e)),
            }
        }
        (columns, problems)
    }
}

fn unsupported_columns(problems: Vec<Problem>) -> UpstreamError {
    let list: Vec<String> =
        problems.iter().map(|(place, e)| format!("{place} ({})", e.column_type)).collect();
    let hint = if problems.iter().all(|(_, e)| e.possible_as_text) {
        "Use TEXT COLUMNS to ingest them as text, or EXCLUDE COLUMNS to leave them out."
    } else {
        "Use EXCLUDE COLUMNS to leave them out, or for enum, set and year TEXT COLUMNS to ingest them as text."
    };
    UpstreamError::new("0A000", "upstream tables have columns of unsupported types")
        .with_detail(list.join(", "))
        .with_hint(hint)
}

fn check_named_columns(
    tables: &[MySqlTable],
    named: &[UpstreamColumn],
    option: &str,
) -> Result<(), UpstreamError> {
    for (schema, table, column) in named {
        let has = |t: &&MySqlTable| &t.schema == schema && &t.table == table;
        let found =
            tables.iter().filter(has).any(|t| t.columns.iter().any(|c| c.name.eq_ignore_ascii_case(column)));
        if !found {
            return Err(UpstreamError::new(
                "42703",
                format!("{option} names a column that is not ingested: {schema}.{table}.{column}"),
            ));
        }
    }
    Ok(())
}

async fn check_privileges(conn: &mut Conn, tables: &[MySqlTable]) -> Result<(), UpstreamError> {
    let distinct: BTreeSet<_> = tables.iter().map(|t| (&t.schema, &t.table)).collect();
    for (schema, table) in &distinct {
        let name = format!("{}.{}", quote(schema), quote(table));
        answer(conn.query_drop(format!("SELECT * FROM {name} LIMIT 0"))).await.map_err(|e| {
            let detail = e.message.clone();
            UpstreamError { message: format!("the MySQL user may not read {schema}.{table}"), ..e }
                .with_detail(detail)
        })?;
    }
    if let Some((schema, table)) = distinct.first() {
        check_locking(conn, &format!("{}.{}", quote(schema), quote(table))).await?;
    }
    Ok(())
}
