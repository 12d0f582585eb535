//! SET, SHOW, PREPARE, EXECUTE, DISCARD.

use std::sync::Arc;

use hw_expr::HirScalarExpr;
use hw_repr::{Datum, RelationDesc, Row, RowArena, ScalarType};
use hw_sql::plan::{DiscardWhat, Plan};

use super::transaction::{check_mode_change, warn_outside_block};
use crate::client::{ExecuteResponse, RowStream};
use crate::coordinator::{Coordinator, ExecuteContext};
use crate::error::AdapterError;
use crate::session::{Portal, Session};
use crate::vars;

/// Rows that are there already.
pub(crate) fn constant_rows(desc: RelationDesc, rows: Vec<Row>, tag: &str) -> ExecuteResponse {
    ExecuteResponse::Rows {
        desc,
        rows: RowStream::ready(rows),
        tag: tag.to_owned(),
        bare_tag: true,
        live: false,
    }
}

pub(super) fn done(tag: &str) -> Result<ExecuteResponse, AdapterError> {
    Ok(ExecuteResponse::Done(tag.to_owned()))
}

impl Coordinator {
    pub(crate) fn sequence_setting(
        &mut self,
        session: &mut Session,
        plan: Plan,
    ) -> Result<ExecuteResponse, AdapterError> {
        match plan {
            Plan::SetVariable { name, values, local } => {
                if local {
                    warn_outside_block(session, "SET LOCAL");
                }
                self.check_setting(session, &name, values.as_deref())?;
                session.vars.set(&name, values.as_deref(), local)?;
                done("SET")
            }
            Plan::ResetVariable(name) => {
                session.vars.set(&name, None, false)?;
                done("RESET")
            }
            Plan::SetTransaction { mode, session: for_session } => {
                self.sequence_set_transaction(session, mode, for_session)
            }
            Plan::ResetAll => {
                session.vars.reset_all();
                done("RESET")
            }
            Plan::ShowVariable(name) => {
                let def = vars::lookup(&name).ok_or_else(|| vars::unknown(&name))?;
                let state = self.catalog.state();
                let system =
                    def.system_only.then(|| hw_sql::Catalog::system_parameter(&*state, def.name)).flatten();
                let value = system.or_else(|| session.vars.get(&name).map(str::to_owned)).unwrap_or_default();
                let desc = RelationDesc::empty()
                    .with_column(def.name.to_lowercase(), ScalarType::String.nullable(false));
                Ok(constant_rows(desc, vec![Row::pack_slice(&[Datum::String(&value)])], "SHOW"))
            }
            Plan::ShowAll => {
                let text = || ScalarType::String.nullable(false);
                let desc = RelationDesc::empty()
                    .with_column("name", text())
                    .with_column("setting", text())
                    .with_column("description", text());
                let row = |(n, v, d): (&str, String, &str)| {
                    Row::pack_slice(&[Datum::String(n), Datum::String(&v), Datum::String(d)])
                };
                Ok(constant_rows(desc, session.vars.all().into_iter().map(row).collect(), "SHOW"))
            }
            Plan::Prepare { name, sql, types } => {
                if session.prepared.contains_key(&name) {
                    return Err(AdapterError::new(
                        "42P05",
                        format!("prepared statement \"{name}\" already exists"),
                    ));
                }
                let statement = hw_sql::parser::parse(&sql)?.into_iter().next();
                let prepared = self.prepare(session, statement, types)?;
                session.prepared.insert(name, Arc::new(prepared));
                done("PREPARE")
            }
            Plan::Deallocate(None) => {
                session.prepared.clear();
                done("DEALLOCATE ALL")
            }
            Plan::Deallocate(Some(name)) => match session.prepared.remove(&name) {
                Some(_) => done("DEALLOCATE"),
                None => {
                    Err(AdapterError::new("26000", format!("prepared statement \"{name}\" does not exist")))
                }
            },
            Plan::Close(None) => {
                session.cursors.clear();
                done("CLOSE CURSOR ALL")
            }
            Plan::Close(Some(name)) => match session.cursors.remove(&name) {
                Some(_) => done("CLOSE CURSOR"),
                None => Err(super::cursor::unknown_cursor(&name)),
            },
            other => Err(AdapterError::internal(format!("not a setting: {other:?}"))),
        }
    }

    /// DISCARD
    pub(crate) async fn sequence_discard(&mut self, mut ctx: ExecuteContext, what: DiscardWhat) {
        let result = match what {
            DiscardWhat::Temp => return self.sequence_ddl(ctx, Plan::Discard(what)).await,
            // Statements are planned anew whenever they are executed: no plan is kept.
            DiscardWhat::Plans => done("DISCARD PLANS"),
            // There are no sequences.
            DiscardWhat::Sequences => done("DISCARD SEQUENCES"),
            DiscardWhat::All => self.stage_temporary_drop(&mut ctx.session).and_then(|()| {
                ctx.session.vars.reset_all();
                ctx.session.prepared.clear();
                ctx.session.cursors.clear();
                done("DISCARD ALL")
            }),
        };
        ctx.retire(result);
    }

    /// Settings that depend on other things than their values: what the transaction has done, which clusters there are.
    fn check_setting(
        &self,
        session: &Session,
        name: &str,
        values: Option<&[String]>,
    ) -> Result<(), AdapterError> {
        if let ("transaction_isolation" | "transaction_read_only", Some(def), Some(values)) =
            (name, vars::lookup(name), values)
        {
            check_mode_change(session, name, &def.normalize(values)?)?;
        }
        let state = self.session_state(session);
        match (name, values) {
            ("cluster", Some([cluster])) if hw_sql::Catalog::cluster_by_name(&*state, cluster).is_none() => {
                Err(AdapterError::new("42704", format!("unknown cluster '{cluster}'")))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn sequence_execute(
        &mut self,
        ctx: ExecuteContext,
        name: String,
        params: Vec<HirScalarExpr>,
    ) {
        let portal = || -> Result<Portal, AdapterError> {
            let prepared = Arc::clone(ctx.session.prepared(&name)?);
            let arena = RowArena::new();
            let mut values = Row::default();
            let mut packer = values.packer();
            for param in params {
                let mut scalar = hw_sql::lowering::lower_scalar(param)?;
                self.replace_in_scalar(&ctx.session, &mut scalar);
                packer.push(scalar.eval(&[], &arena)?);
            }
            Ok(Portal { prepared, params: values })
        };
        match portal() {
            Ok(portal) => self.execute(ctx, portal).await,
            Err(e) => ctx.retire(Err(e)),
        }
    }
}
