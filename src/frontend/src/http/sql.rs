//! `POST /api/sql`: statements in a session of their own, results as JSON.
//!
//! The body is `{"query": "…"}`, any number of statements without parameters, or
//! `{"queries": [{"query": "…", "params": ["1", null]}]}`, each one statement. The answer is `{"results": […]}`, one
//! for each statement up to the first that fails: `{"ok": tag, "tag", "desc", "rows", "notices"}` or
//! `{"error": {"message", "code", "detail", "hint", "position"}, "notices"}`. Values are strings in PostgreSQL's text
//! format, but for booleans, small numbers and NULL. Results that do not end, and COPY, are refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hw_coord::session::{Portal, PreparedStatement};
use hw_coord::{AdapterError, ExecuteResponse, Notice, RowStream, SessionClient, StartupRequest};
use hw_repr::text::{DecodeContext, EncodeContext};
use hw_repr::{Datum, RelationDesc, Row, ScalarType};
use hw_sql::parser::ParsedStatement;
use serde::Deserialize;
use serde_json::{Value, json};

use super::HttpConfig;
use crate::context::{decode_context, encode_context};
use crate::pgwire::decode_text_params;

/// The greatest size of a result, in bytes of rows.
const MAX_RESULT_BYTES: usize = 64 << 20;

/// A request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SqlRequest {
    query: Option<String>,
    queries: Option<Vec<Query>>,
    user: Option<String>,
    database: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    query: String,
    #[serde(default)]
    params: Vec<Value>,
}

pub(super) async fn execute(State(config): State<HttpConfig>, Json(request): Json<SqlRequest>) -> Response {
    let client = config.client.borrow().clone();
    let Some(client) = client else {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response();
    };
    let startup = StartupRequest {
        user: request.user.unwrap_or_else(|| "materialize".to_owned()),
        database: request.database,
        ..StartupRequest::default()
    };
    let queries = match (request.query, request.queries) {
        (Some(query), None) => Queries::Simple(query),
        (None, Some(queries)) => Queries::Extended(queries),
        _ => {
            return (StatusCode::BAD_REQUEST, "either \"query\" or \"queries\" must be given\n")
                .into_response();
        }
    };
    let client = match client.startup(startup).await {
        Ok(client) => client,
        Err(e) => return Json(json!({ "results": [failed(&e, &[])] })).into_response(),
    };
    let mut batch = Batch { client, results: Vec::new(), lost: false };
    let finished = tokio::select! {
        () = batch.run(queries) => true,
        () = config.shutdown.cancelled() => false,
    };
    if !finished {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n").into_response();
    }
    Json(json!({ "results": batch.results })).into_response()
}

enum Queries {
    Simple(String),
    Extended(Vec<Query>),
}

/// Statements of one request, which are one implicit transaction.
struct Batch {
    client: SessionClient,
    results: Vec<Value>,
    /// Whether the session is gone.
    lost: bool,
}

/// What a statement gave.
enum Outcome {
    Done(String),
    Rows { tag: String, desc: Value, rows: Vec<Value> },
}

impl Batch {
    async fn run(&mut self, queries: Queries) {
        let result = match queries {
            Queries::Simple(sql) => self.simple(&sql).await,
            Queries::Extended(queries) => self.extended(queries).await,
        };
        let result = match result {
            Ok(()) => self.client.end_implicit().await,
            Err(e) => {
                if !e.fatal {
                    self.client.fail_transaction();
                    // What it did is rolled back; the error is the statement's.
                    let _rolled_back = self.client.end_implicit().await;
                }
                Err(e)
            }
        };
        if let Err(e) = result {
            self.lost = e.fatal;
            let notices = self.notices();
            self.results.push(failed(&e, &notices));
        }
    }

    async fn simple(&mut self, sql: &str) -> Result<(), AdapterError> {
        for statement in self.client.parse(sql)? {
            self.statement(Some(statement), &[]).await?;
        }
        Ok(())
    }

    async fn extended(&mut self, queries: Vec<Query>) -> Result<(), AdapterError> {
        for query in queries {
            let mut statements = self.client.parse(&query.query)?;
            let statement = statements.pop();
            if !statements.is_empty() {
                let message = "each query must contain exactly one statement";
                return Err(AdapterError::new("42601", message));
            }
            self.statement(statement, &query.params).await?;
        }
        Ok(())
    }

    async fn statement(
        &mut self,
        statement: Option<ParsedStatement>,
        params: &[Value],
    ) -> Result<(), AdapterError> {
        let prepared = self.client.describe(statement, vec![]).await?;
        let params = bind(params, &prepared, &decode_context(self.client.session()))?;
        let response = self.client.execute(Portal { prepared: Arc::new(prepared), params }).await?;
        let outcome = match response {
            ExecuteResponse::Empty => Outcome::Done(String::new()),
            ExecuteResponse::Done(tag) => Outcome::Done(tag),
            ExecuteResponse::Rows { live: true, .. } => {
                return Err(AdapterError::new(
                    "0A000",
                    "results that do not end are not supported over HTTP",
                ));
            }
            ExecuteResponse::Rows { desc, rows, tag, bare_tag, live: false } => {
                let rows = self.collect(&desc, rows).await?;
                let tag = if bare_tag { tag } else { format!("{tag} {}", rows.len()) };
                Outcome::Rows { tag, desc: describe(&desc), rows }
            }
            ExecuteResponse::CopyOut { .. } | ExecuteResponse::CopyIn { .. } => {
                return Err(AdapterError::new("0A000", "COPY is not supported over HTTP"));
            }
        };
        let notices: Vec<Value> = self.notices().iter().map(notice).collect();
        self.results.push(match outcome {
            Outcome::Done(tag) => json!({ "ok": tag, "tag": tag, "notices": notices }),
            Outcome::Rows { tag, desc, rows } => {
                json!({ "ok": tag, "tag": tag, "desc": desc, "rows": rows, "notices": notices })
            }
        });
        Ok(())
    }

    async fn collect(
        &mut self,
        desc: &RelationDesc,
        mut rows: RowStream,
    ) -> Result<Vec<Value>, AdapterError> {
        let cx = encode_context(self.client.session());
        let types: Vec<&ScalarType> = desc.iter().map(|(_, t)| &t.scalar_type).collect();
        let mut out = Vec::new();
        let mut bytes = 0;
        while let Some(batch) = rows.next().await {
            for row in batch? {
                bytes += row.byte_len();
                if bytes > MAX_RESULT_BYTES {
                    let message = format!("result exceeds the limit of {MAX_RESULT_BYTES} bytes over HTTP");
                    return Err(AdapterError::new("54000", message));
                }
                out.push(row.iter().zip(&types).map(|(d, t)| value(d, t, &cx)).collect());
            }
        }
        Ok(out)
    }

    fn notices(&mut self) -> Vec<Notice> {
        if self.lost { Vec::new() } else { self.client.take_notices() }
    }
}

fn bind(params: &[Value], prepared: &PreparedStatement, cx: &DecodeContext) -> Result<Row, AdapterError> {
    let texts: Vec<Option<String>> = params
        .iter()
        .map(|p| match p {
            Value::Null => None,
            Value::String(s) => Some(s.clone()),
            other => Some(other.to_string()),
        })
        .collect();
    decode_text_params(&texts, &prepared.params, cx)
}

fn describe(desc: &RelationDesc) -> Value {
    let columns: Vec<Value> = desc
        .iter()
        .map(|(name, t)| {
            let t = &t.scalar_type;
            json!({ "name": name, "type_oid": t.oid(), "type_len": t.typlen(), "type_mod": t.typmod() })
        })
        .collect();
    json!({ "columns": columns })
}

/// Numbers that every reader of JSON keeps exactly are numbers.
fn value(datum: Datum<'_>, typ: &ScalarType, cx: &EncodeContext) -> Value {
    match datum {
        Datum::Null => Value::Null,
        Datum::Bool(b) => Value::Bool(b),
        Datum::Int16(v) => json!(v),
        Datum::Int32(v) => json!(v),
        Datum::UInt16(v) => json!(v),
        other => {
            let mut text = String::new();
            hw_repr::text::encode_with(other, typ, cx, &mut text);
            Value::String(text)
        }
    }
}

fn notice(n: &Notice) -> Value {
    json!({
        "severity": n.severity, "code": n.sqlstate, "message": n.message, "detail": n.detail, "hint": n.hint,
    })
}

fn failed(e: &AdapterError, notices: &[Notice]) -> Value {
    let notices: Vec<Value> = notices.iter().map(notice).collect();
    json!({
        "error": {
            "message": e.message, "code": e.sqlstate, "detail": e.detail, "hint": e.hint, "position": e.position,
        },
        "notices": notices,
    })
}
