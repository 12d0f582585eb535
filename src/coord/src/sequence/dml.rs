//! INSERT, UPDATE, DELETE and COPY FROM.
//!
//! Rows that come from no relation are kept in the transaction and written when it commits. Statements that read before they write
//! hold the write lock from their read to their write, so that nothing is written in between.

use std::collections::BTreeMap;

use hw_expr::{HirRelationExpr, HirScalarExpr, MirScalarExpr, RowSetFinishing};
use hw_optimizer::PeekPlan;
use hw_repr::{Datum, Diff, GlobalId, RelationDesc, Row, RowArena};
use hw_sql::plan::{CopyFormat, QueryWhen, ReturningPlan, SelectPlan};

use super::select::OnRows;
use crate::client::{CopyIn, ExecuteResponse, RowStream};
use crate::coordinator::{Coordinator, ExecuteContext, Message};
use crate::error::AdapterError;
use crate::group_commit::OnLock;
use crate::session::{Session, TransactionOps};

/// How much a transaction may insert: all of it is in memory until the transaction commits.
pub(crate) const MAX_TRANSACTION_BYTES: usize = 1 << 30;

/// What a statement does with the rows that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Insert,
    Delete,
    /// The new values of all of the table's columns come last in the rows.
    Update,
}

/// The rows that a reading statement affects.
pub(crate) struct Affected {
    ctx: ExecuteContext,
    table: GlobalId,
    /// Whether they were read under the write lock. If not, they come from no relation, and are kept in the transaction.
    locked: bool,
    change: Change,
    returning: Option<Returning>,
    rows: Result<Vec<Row>, AdapterError>,
}

/// RETURNING, lowered.
pub(crate) struct Returning {
    exprs: Vec<MirScalarExpr>,
    desc: RelationDesc,
    /// How many columns at the end of the rows are values of its that have been computed with the rows.
    computed: usize,
}

/// Has those values of RETURNING that need a query computed with the rows that are affected, as the columns that come last.
/// `shown` gives for a column of the rows that RETURNING sees its place in the rows that are read.
fn compute_returning(
    rows: HirRelationExpr,
    arity: usize,
    returning: Option<&mut ReturningPlan>,
    shown: &dyn Fn(usize) -> usize,
) -> (HirRelationExpr, usize) {
    let mut computed = vec![];
    for e in returning.into_iter().flat_map(|r| &mut r.exprs).filter(|e| e.contains_subquery()) {
        let column = HirScalarExpr::column(arity + computed.len());
        let mut value = std::mem::replace(e, column);
        value.map_columns(shown);
        computed.push(value);
    }
    let count = computed.len();
    (if count == 0 { rows } else { rows.map(computed) }, count)
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
        computed: usize,
        params: &Row,
    ) -> Result<Option<Returning>, AdapterError> {
        let Some(plan) = plan else { return Ok(None) };
        let bound = plan.exprs.into_iter().map(|e| crate::hir::bind_scalar(e, params));
        let exprs = self.lower_scalars(session, bound.collect::<Result<_, _>>()?)?;
        Ok(Some(Returning { exprs, desc: plan.desc, computed }))
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
        mut returning: Option<ReturningPlan>,
        params: Row,
    ) {
        let arity = source.arity();
        let (source, computed) = compute_returning(source, arity, returning.as_mut(), &|c| c);
        let planned = self.plan_affected(&mut ctx.session, source, &params);
        let lowered =
            planned.and_then(|s| Ok((s, self.lower_returning(&ctx.session, returning, computed, &params)?)));
        let (select, returning) = match lowered {
            Ok(planned) => planned,
            Err(e) => return ctx.retire(Err(e)),
        };
        match select {
            SourceRows::Known(rows) => {
                let result = self.buffer_insert(&mut ctx.session, table, rows, returning.as_ref());
                ctx.retire(result);
            }
            SourceRows::Computed(select) => {
                self.read_affected(ctx, table, *select, Change::Insert, returning, false);
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
        mut returning: Option<ReturningPlan>,
        params: Row,
    ) {
        let plan = || -> Result<_, AdapterError> {
            let arity = selection.arity();
            let (change, values) = match assignments {
                None => (Change::Delete, vec![]),
                Some(values) => (Change::Update, values),
            };
            // RETURNING sees the new values in place of the old ones.
            let own = values.len();
            let shown = |c: usize| if c < own { arity + c } else { c };
            let rows = selection.map(values);
            let (rows, computed) = compute_returning(rows, arity, returning.as_mut(), &shown);
            let rows = crate::hir::bind(rows, &params)?;
            let returning = self.lower_returning(&ctx.session, returning, computed, &params)?;
            Ok((select_of(rows)?, change, returning))
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
        let mut finishing = RowSetFinishing::trivial(select.desc.arity());
        let cluster = hw_catalog::builtin::MZ_CATALOG_SERVER_CLUSTER_ID;
        let plan = self.plan_peek(session, cluster, mir, &mut finishing, true)?;
        match plan {
            PeekPlan::Constant(rows) => {
                let rows = rows?.into_iter().map(|(row, diff)| (row, diff.max(0) as u64)).collect();
                let max_bytes = self.max_result_bytes(session);
                Ok(SourceRows::Known(super::select::finish(rows, &finishing, max_bytes)?))
            }
            _ => Ok(SourceRows::Computed(Box::new(select))),
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
        let rows: Vec<Row> = match returning {
            Some(r) if r.computed > 0 => rows.iter().map(|r| first_columns(r, desc.arity())).collect(),
            _ => rows,
        };
        transaction.written_bytes += rows.iter().map(Row::byte_len).sum::<usize>();
        if transaction.written_bytes > MAX_TRANSACTION_BYTES {
            return Err(AdapterError::new("53400", "transaction inserts too much")
                .with_hint("Insert in several transactions."));
        }
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
        let cancel = ctx.session.cancel.clone();
        let on_lock: OnLock = Box::new(move |coord, locked| match locked {
            Ok(()) => coord.read_affected(ctx, table, select, change, returning, true),
            Err(e) => ctx.retire(Err(e)),
        });
        self.lock_writes(cancel, on_lock);
    }

    fn read_affected(
        &mut self,
        mut ctx: ExecuteContext,
        table: GlobalId,
        select: SelectPlan,
        change: Change,
        returning: Option<Returning>,
        locked: bool,
    ) {
        let read = match self.plan_read(&mut ctx.session, select, &Row::default()) {
            Ok(read) => read,
            Err(e) => {
                ctx.retire(Err(e));
                if locked {
                    self.unlock_writes();
                }
                return;
            }
        };
        let messages = self.messages.clone();
        let on_rows: OnRows = Box::new(move |ctx, rows| {
            let affected = Affected { ctx, table, locked, change, returning, rows };
            let _gone = messages.send(Message::Affected(Box::new(affected)));
        });
        self.read(ctx, read, on_rows);
    }

    /// Writes what the rows that were read lead to, and gives the lock back.
    pub(crate) fn affected(&mut self, affected: Affected) {
        let Affected { mut ctx, table, locked, change, returning, rows } = affected;
        if !locked {
            let kept =
                rows.and_then(|rows| self.buffer_insert(&mut ctx.session, table, rows, returning.as_ref()));
            return ctx.retire(kept);
        }
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
    /// A query of no relation.
    Computed(Box<SelectPlan>),
    /// A query of relations.
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
    let own = |row: &Row| first_columns(row, arity);
    let computed = returning.map_or(0, |r| r.computed);
    let removed: Vec<Row> = match change {
        Change::Insert => vec![],
        Change::Delete | Change::Update => rows.iter().map(own).collect(),
    };
    // What RETURNING sees.
    let (tag, shown) = match change {
        Change::Insert => ("INSERT 0", rows),
        Change::Delete => ("DELETE", rows),
        Change::Update => ("UPDATE", rows.iter().map(|row| updated(row, arity, computed)).collect()),
    };
    let added: Vec<Row> = match change {
        Change::Delete => vec![],
        Change::Insert | Change::Update => shown.iter().map(own).collect(),
    };
    for row in &added {
        check_not_null(name, desc, row)?;
    }
    let response = response(tag, &shown, returning)?;
    let updates = removed.into_iter().map(|r| (r, -1)).chain(added.into_iter().map(|r| (r, 1)));
    Ok((updates.collect(), response))
}

fn first_columns(row: &Row, arity: usize) -> Row {
    Row::pack(row.iter().take(arity))
}

/// A row with the new values, which come last but for what RETURNING has computed, in place of the old ones, which come first.
fn updated(row: &Row, arity: usize, computed: usize) -> Row {
    let datums = row.unpack();
    let end = datums.len() - computed;
    let new = end - arity;
    Row::pack(datums[new..end].iter().chain(&datums[arity..new]).chain(&datums[end..]).copied())
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
