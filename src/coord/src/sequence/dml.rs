//! INSERT, UPDATE, DELETE and COPY FROM.
//!
//! Rows that are known when planned are kept in the transaction and written when it commits. Statements that read before they write
//! hold the write lock from their read to their write, so that nothing is written in between.

use std::collections::BTreeMap;

use hw_expr::{HirRelationExpr, HirScalarExpr, MirScalarExpr, RowSetFinishing};
use hw_optimizer::PeekPlan;
use hw_repr::{Datum, Diff, GlobalId, RelationDesc, Row, RowArena};
use hw_sql::plan::{CopyFormat, QueryWhen, ReturningPlan, SelectPlan};

use crate::client::{CopyIn, ExecuteResponse, RowStream};
use crate::coordinator::{Coordinator, ExecuteContext, Message};
use crate::error::AdapterError;
use crate::session::{Session, TransactionOps};

/// What a statement does with the rows that it has read.
pub(crate) enum Change {
    Insert,
    Delete,
    /// New values of all columns, over the rows read.
    Update(Vec<MirScalarExpr>),
}

/// The rows that a reading statement affects, read under the write lock.
pub(crate) struct Affected {
    ctx: ExecuteContext,
    table: GlobalId,
    change: Change,
    returning: Option<Returning>,
    rows: Result<Vec<Row>, AdapterError>,
}

/// RETURNING, lowered.
pub(crate) struct Returning {
    exprs: Vec<MirScalarExpr>,
    desc: RelationDesc,
}

impl Coordinator {
    fn table_desc(&self, table: GlobalId) -> Result<(String, RelationDesc), AdapterError> {
        let state = self.catalog.state();
        let item = hw_sql::Catalog::item(&*state, table);
        let item = item.ok_or_else(|| AdapterError::new("42P01", "the table has been dropped"))?;
        let desc = item.desc().ok_or_else(|| AdapterError::internal("table without columns"))?;
        Ok((item.name.item.clone(), desc.clone()))
    }

    fn lower_returning(
        &self,
        session: &Session,
        plan: Option<ReturningPlan>,
    ) -> Result<Option<Returning>, AdapterError> {
        let Some(plan) = plan else { return Ok(None) };
        let exprs = self.lower_scalars(session, plan.exprs)?;
        Ok(Some(Returning { exprs, desc: plan.desc }))
    }

    fn lower_scalars(
        &self,
        session: &Session,
        exprs: Vec<HirScalarExpr>,
    ) -> Result<Vec<MirScalarExpr>, AdapterError> {
        let lower = |e| {
            let mut scalar = hw_sql::lowering::lower_scalar(e)?;
            self.replace_in_scalar(session, &mut scalar);
            Ok(scalar)
        };
        exprs.into_iter().map(lower).collect()
    }

    pub(crate) fn sequence_insert(
        &mut self,
        mut ctx: ExecuteContext,
        table: GlobalId,
        source: HirRelationExpr,
        returning: Option<ReturningPlan>,
        params: Row,
    ) {
        let planned = self.plan_affected(&mut ctx.session, table, source, &params);
        let (select, returning) =
            match planned.and_then(|s| Ok((s, self.lower_returning(&ctx.session, returning)?))) {
                Ok(planned) => planned,
                Err(e) => return ctx.retire(Err(e)),
            };
        match select {
            SourceRows::Known(rows) => {
                let result = self.buffer_insert(&mut ctx.session, table, rows, returning.as_ref());
                ctx.retire(result);
            }
            SourceRows::Read(select) => self.read_then_write(ctx, table, *select, Change::Insert, returning),
        }
    }

    pub(crate) fn sequence_mutate(
        &mut self,
        ctx: ExecuteContext,
        table: GlobalId,
        selection: HirRelationExpr,
        assignments: Option<Vec<HirScalarExpr>>,
        returning: Option<ReturningPlan>,
        params: Row,
    ) {
        let plan = || -> Result<_, AdapterError> {
            let selection = crate::hir::bind(selection, &params)?;
            let change = match assignments {
                None => Change::Delete,
                Some(exprs) => {
                    let bound = exprs.into_iter().map(|e| crate::hir::bind_scalar(e, &params));
                    let bound: Result<Vec<_>, _> = bound.collect();
                    Change::Update(self.lower_scalars(&ctx.session, bound?)?)
                }
            };
            Ok((select_of(selection)?, change, self.lower_returning(&ctx.session, returning)?))
        };
        match plan() {
            Ok((select, change, returning)) => self.read_then_write(ctx, table, select, change, returning),
            Err(e) => ctx.retire(Err(e)),
        }
    }

    /// The rows of an INSERT's source, if they are known, or the query that gives them.
    fn plan_affected(
        &mut self,
        session: &mut Session,
        table: GlobalId,
        source: HirRelationExpr,
        params: &Row,
    ) -> Result<SourceRows, AdapterError> {
        let source = crate::hir::bind(source, params)?;
        let select = select_of(source)?;
        let mut mir = hw_sql::lowering::lower(select.expr.clone())?;
        if !mir.global_gets().is_empty() {
            return Ok(SourceRows::Read(Box::new(select)));
        }
        self.replace_context_functions(session, &mut mir);
        let (_, desc) = self.table_desc(table)?;
        let mut finishing = RowSetFinishing::trivial(desc.arity());
        let cluster = hw_catalog::builtin::MZ_CATALOG_SERVER_CLUSTER_ID;
        let plan = self.plan_peek(session, cluster, mir, &mut finishing, true)?;
        match plan {
            PeekPlan::Constant(rows) => {
                let rows = rows?.into_iter().map(|(row, diff)| (row, diff.max(0) as u64)).collect();
                Ok(SourceRows::Known(super::select::finish(rows, &finishing)))
            }
            _ => Ok(SourceRows::Read(Box::new(select))),
        }
    }

    fn buffer_insert(
        &mut self,
        session: &mut Session,
        table: GlobalId,
        rows: Vec<Row>,
        returning: Option<&Returning>,
    ) -> Result<ExecuteResponse, AdapterError> {
        let (name, desc) = self.table_desc(table)?;
        for row in &rows {
            check_not_null(&name, &desc, row)?;
        }
        let response = response("INSERT 0", &rows, returning)?;
        let now = self.oracle.now_ms();
        let transaction = session.transaction_mut(now);
        if !matches!(transaction.ops, TransactionOps::Writes(_)) {
            transaction.ops = TransactionOps::Writes(BTreeMap::new());
        }
        if let TransactionOps::Writes(writes) = &mut transaction.ops {
            writes.entry(table).or_default().extend(rows.into_iter().map(|r| (r, 1)));
        }
        Ok(response)
    }

    pub(crate) fn sequence_copy_from(
        &mut self,
        ctx: ExecuteContext,
        table: GlobalId,
        columns: Vec<usize>,
        format: CopyFormat,
    ) {
        let result = self.table_desc(table).map(|(_, desc)| {
            let desc = columns.iter().fold(RelationDesc::empty(), |d, c| {
                d.with_column(desc.names()[*c].clone(), desc.typ().column_types[*c].clone())
            });
            ExecuteResponse::CopyIn { desc, format, copy: CopyIn { table, columns, rows: vec![], bytes: 0 } }
        });
        ctx.retire(result);
    }

    pub(crate) fn copy_done(&mut self, mut ctx: ExecuteContext, copy: CopyIn) {
        let table = copy.table;
        let result = self.copied_rows(&ctx.session, copy).and_then(|rows| {
            let count = rows.len();
            self.buffer_insert(&mut ctx.session, table, rows, None)?;
            Ok(ExecuteResponse::Done(format!("COPY {count}")))
        });
        ctx.retire(result);
    }

    /// Puts defaults where the copy gives no column.
    fn copied_rows(&self, session: &Session, copy: CopyIn) -> Result<Vec<Row>, AdapterError> {
        let state = self.catalog.state();
        let item = hw_sql::Catalog::item(&*state, copy.table);
        let item = item.ok_or_else(|| AdapterError::new("42P01", "the table has been dropped"))?;
        let hw_sql::ItemDefinition::Table(table) = &item.definition else {
            return Err(AdapterError::new("42809", format!("\"{}\" is not a table", item.name.item)));
        };
        if copy.columns.iter().copied().eq(0..table.desc.arity()) {
            return Ok(copy.rows);
        }
        let defaults = self.lower_scalars(session, table.defaults.clone())?;
        let arena = RowArena::new();
        let mut out = Vec::with_capacity(copy.rows.len());
        for row in &copy.rows {
            let given = row.unpack();
            let mut values = Vec::with_capacity(defaults.len());
            for (c, default) in defaults.iter().enumerate() {
                values.push(match copy.columns.iter().position(|x| *x == c) {
                    Some(i) => given[i],
                    None => default.eval(&[], &arena)?,
                });
            }
            out.push(Row::pack_slice(&values));
        }
        Ok(out)
    }

    /// Takes the write lock, reads, and goes on with [`Coordinator::affected`].
    fn read_then_write(
        &mut self,
        ctx: ExecuteContext,
        table: GlobalId,
        select: SelectPlan,
        change: Change,
        returning: Option<Returning>,
    ) {
        self.lock_writes(Box::new(move |coord: &mut Coordinator| {
            let mut ctx = ctx;
            let read = match coord.plan_read(&mut ctx.session, select, &Row::default()) {
                Ok(read) => read,
                Err(e) => {
                    ctx.retire(Err(e));
                    return coord.unlock_writes();
                }
            };
            let messages = coord.messages.clone();
            coord.read(
                ctx,
                read,
                Box::new(move |ctx, rows| {
                    let affected = Affected { ctx, table, change, returning, rows };
                    let _gone = messages.send(Message::Affected(Box::new(affected)));
                }),
            );
        }));
    }

    /// Writes what the rows that were read lead to, and gives the lock back.
    pub(crate) fn affected(&mut self, affected: Affected) {
        let Affected { ctx, table, change, returning, rows } = affected;
        let changes = rows.and_then(|rows| {
            let (name, desc) = self.table_desc(table)?;
            changes_of(&name, &desc, change, rows, returning.as_ref())
        });
        match changes {
            Err(e) => {
                ctx.retire(Err(e));
                self.unlock_writes();
            }
            Ok((updates, response)) if updates.is_empty() => {
                ctx.retire(Ok(response));
                self.unlock_writes();
            }
            Ok((updates, response)) => self.write_locked(
                BTreeMap::from([(table, updates)]),
                Box::new(move |coord, result| {
                    ctx.retire(result.map(|_| response));
                    coord.unlock_writes();
                }),
            ),
        }
    }
}

enum SourceRows {
    Known(Vec<Row>),
    Read(Box<SelectPlan>),
}

fn select_of(expr: HirRelationExpr) -> Result<SelectPlan, AdapterError> {
    let desc = crate::hir::anonymous_desc(&expr);
    let finishing = RowSetFinishing::trivial(desc.arity());
    Ok(SelectPlan { expr, desc, finishing, when: QueryWhen::Immediately })
}

fn check_not_null(table: &str, desc: &RelationDesc, row: &Row) -> Result<(), AdapterError> {
    for ((name, typ), datum) in desc.iter().zip(row.iter()) {
        if !typ.nullable && datum.is_null() {
            let mut text = Vec::new();
            for ((_, typ), d) in desc.iter().zip(row.iter()) {
                let mut s = String::new();
                match d {
                    Datum::Null => s.push_str("null"),
                    d => hw_repr::text::encode(d, &typ.scalar_type, &mut s),
                }
                text.push(s);
            }
            return Err(AdapterError::new(
                "23502",
                format!(
                    "null value in column \"{name}\" of relation \"{table}\" violates not-null constraint"
                ),
            )
            .with_detail(format!("Failing row contains ({}).", text.join(", "))));
        }
    }
    Ok(())
}

type Updates = Vec<(Row, Diff)>;

fn changes_of(
    name: &str,
    desc: &RelationDesc,
    change: Change,
    rows: Vec<Row>,
    returning: Option<&Returning>,
) -> Result<(Updates, ExecuteResponse), AdapterError> {
    let arity = desc.arity();
    let first_columns = |row: &Row| Row::pack(row.iter().take(arity));
    let (tag, removed, added): (&str, Vec<Row>, Vec<Row>) = match change {
        Change::Insert => ("INSERT 0", vec![], rows),
        Change::Delete => ("DELETE", rows.iter().map(first_columns).collect(), vec![]),
        Change::Update(assignments) => {
            let arena = RowArena::new();
            let mut added = Vec::with_capacity(rows.len());
            for row in &rows {
                let datums = row.unpack();
                let values: Result<Vec<_>, _> = assignments.iter().map(|e| e.eval(&datums, &arena)).collect();
                added.push(Row::pack_slice(&values?));
            }
            ("UPDATE", rows.iter().map(first_columns).collect(), added)
        }
    };
    for row in &added {
        check_not_null(name, desc, row)?;
    }
    let shown = if tag == "DELETE" { &removed } else { &added };
    let response = response(tag, shown, returning)?;
    let updates = removed.into_iter().map(|r| (r, -1)).chain(added.into_iter().map(|r| (r, 1)));
    Ok((updates.collect(), response))
}

fn response(tag: &str, rows: &[Row], returning: Option<&Returning>) -> Result<ExecuteResponse, AdapterError> {
    let Some(returning) = returning else {
        return Ok(ExecuteResponse::Done(format!("{tag} {}", rows.len())));
    };
    let arena = RowArena::new();
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let datums = row.unpack();
        let values: Result<Vec<_>, _> = returning.exprs.iter().map(|e| e.eval(&datums, &arena)).collect();
        out.push(Row::pack_slice(&values?));
    }
    let desc = returning.desc.clone();
    Ok(ExecuteResponse::Rows {
        desc,
        rows: RowStream::ready(out),
        tag: tag.to_owned(),
        bare_tag: false,
        live: false,
    })
}
