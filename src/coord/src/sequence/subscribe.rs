//! SUBSCRIBE: a dataflow whose changes stream to the client.

use std::collections::{BTreeMap, BTreeSet};

use hw_controller::SubscribeStream;
use hw_expr::MirRelationExpr;
use hw_plan::{DataflowExport, ExportKind};
use hw_protocol::command::SubscribeBatch;
use hw_repr::{ColumnOrder, Datum, Diff, GlobalId, Row, Timestamp, compare_rows_by};
use hw_sql::plan::{CopyFormat, QueryWhen, SubscribeFrom, SubscribeOutput, SubscribePlan};
use tokio::sync::mpsc;

use crate::cancel::StatementCancel;
use crate::client::{ExecuteResponse, RowStream};
use crate::coordinator::{Coordinator, ExecuteContext, Message};
use crate::error::AdapterError;
use crate::sequence::materializable::check_not_volatile;
use crate::timestamp::{Isolation, When, select};

impl Coordinator {
    pub(crate) fn sequence_subscribe(
        &mut self,
        ctx: ExecuteContext,
        plan: SubscribePlan,
        copy: Option<CopyFormat>,
    ) {
        match self.start_subscribe(&ctx, &plan) {
            Err(e) => ctx.retire(Err(e)),
            Ok(rows) => {
                let desc = plan.desc;
                ctx.retire(Ok(match copy {
                    Some(format) => ExecuteResponse::CopyOut { desc, rows, format, live: true },
                    None => ExecuteResponse::Rows {
                        desc,
                        rows,
                        tag: "SUBSCRIBE".into(),
                        bare_tag: false,
                        live: true,
                    },
                }));
            }
        }
    }

    fn start_subscribe(
        &mut self,
        ctx: &ExecuteContext,
        plan: &SubscribePlan,
    ) -> Result<RowStream, AdapterError> {
        let session = &ctx.session;
        let id = self.transient_id();
        let inner = self.transient_id();
        let (mir, on_id) = match &plan.from {
            SubscribeFrom::Id(on) => (MirRelationExpr::global_get(*on, plan.from_desc.typ().clone()), inner),
            SubscribeFrom::Query(expr) => (hw_sql::lowering::lower(expr.clone())?, inner),
        };
        let mut mir = mir;
        self.replace_context_functions(session, &mut mir);
        let cluster = self.read_cluster(session, &mir)?;
        let mut objects = self.expand_for(session, &mir, cluster)?.views;
        objects.push((on_id, mir));
        check_not_volatile(&mut objects)?;
        let up_to = plan.up_to.as_ref().map(|e| self.eval_timestamp(session, e)).transpose()?;
        let kind = ExportKind::Subscribe { with_snapshot: plan.with_snapshot, up_to, order_by: vec![] };
        let export = DataflowExport { on_id, desc: plan.from_desc.clone(), kind };
        let mut dataflow = self.build("subscribe", objects, BTreeMap::from([(id, export)]), cluster)?;
        let inputs: BTreeSet<GlobalId> = dataflow.import_ids().collect();
        let when = match &plan.when {
            QueryWhen::Immediately => When::Immediately,
            QueryWhen::AtTimestamp(e) => When::At(self.eval_timestamp(session, e)?),
            QueryWhen::AtLeastTimestamp(e) => When::AtLeast(self.eval_timestamp(session, e)?),
        };
        dataflow.as_of = select(when, Isolation::StrictSerializable, self.read_inputs(&inputs))?;
        if let Some(up_to) = up_to {
            if up_to <= dataflow.as_of {
                return Err(AdapterError::new(
                    "22023",
                    format!(
                        "subscribe lower bound (`AS OF`) must be less than its upper bound (`UP TO`): {} >= {up_to}",
                        dataflow.as_of
                    ),
                ));
            }
            dataflow.until = Some(up_to);
        }
        self.advance_tables(dataflow.as_of);
        let as_of = dataflow.as_of;
        let stream = self.controller.create_subscribe(cluster, id, dataflow);
        let format = Formatter { plan: plan.clone(), as_of, announced: false };
        Ok(stream_rows(id, stream, format, self.messages.clone(), session.cancel.clone()))
    }
}

/// Ends the subscribe when the stream is dropped.
struct DropGuard {
    id: GlobalId,
    messages: mpsc::UnboundedSender<Message>,
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        let _gone = self.messages.send(Message::DropSubscribe(self.id));
    }
}

fn stream_rows(
    id: GlobalId,
    stream: SubscribeStream,
    format: Formatter,
    messages: mpsc::UnboundedSender<Message>,
    cancel: StatementCancel,
) -> RowStream {
    let guard = DropGuard { id, messages };
    let state = Some((stream, format, guard));
    RowStream::new(futures::stream::unfold(state, move |state| {
        let cancel = cancel.clone();
        async move {
            let (mut stream, mut format, guard) = state?;
            loop {
                let batch = tokio::select! {
                    batch = stream.recv() => batch,
                    () = cancel.cancelled() => return Some((Err(cancel.error()), None)),
                };
                let Some(batch) = batch else {
                    let e = AdapterError::new(
                        "55000",
                        "subscribe has been terminated because underlying object was dropped",
                    );
                    return Some((Err(e), None));
                };
                let ended = batch.upper.is_none();
                match format.rows(batch) {
                    Err(e) => return Some((Err(e), None)),
                    Ok(rows) if ended => return Some((Ok(rows), None)),
                    Ok(rows) if rows.is_empty() => {}
                    Ok(rows) => return Some((Ok(rows), Some((stream, format, guard)))),
                }
            }
        }
    }))
}

/// Writes batches in the form that was asked for.
struct Formatter {
    plan: SubscribePlan,
    as_of: Timestamp,
    announced: bool,
}

type Change = (Timestamp, Row, Diff);

impl Formatter {
    fn rows(&mut self, batch: SubscribeBatch) -> Result<Vec<Row>, AdapterError> {
        let updates = batch.updates?;
        let mut out = Vec::new();
        if self.plan.progress && !self.announced {
            self.announced = true;
            out.push(self.progress_row(self.as_of));
        }
        match self.plan.output.clone() {
            SubscribeOutput::Diffs => out.extend(updates.iter().map(|u| self.diff_row(u))),
            SubscribeOutput::WithinTimestampOrderBy(order) => out.extend(self.ordered(&updates, &order)),
            SubscribeOutput::EnvelopeUpsert { key } => self.envelopes(&updates, &key, false, &mut out),
            SubscribeOutput::EnvelopeDebezium { key } => self.envelopes(&updates, &key, true, &mut out),
        }
        if self.plan.progress
            && let Some(upper) = batch.upper
        {
            out.push(self.progress_row(upper));
        }
        Ok(out)
    }

    fn timestamp_datum(t: Timestamp) -> Datum<'static> {
        Datum::Numeric(hw_repr::adt::numeric::from_u64(t))
    }

    fn head(&self, packer: &mut hw_repr::RowPacker<'_>, t: Timestamp, progressed: bool) {
        packer.push(Self::timestamp_datum(t));
        if self.plan.progress {
            packer.push(Datum::Bool(progressed));
        }
    }

    fn progress_row(&self, t: Timestamp) -> Row {
        let mut row = Row::default();
        let mut packer = row.packer();
        self.head(&mut packer, t, true);
        let nulls = self.plan.desc.arity() - 2;
        packer.extend(std::iter::repeat_n(Datum::Null, nulls));
        row
    }

    fn diff_row(&self, (t, data, diff): &Change) -> Row {
        let mut row = Row::default();
        let mut packer = row.packer();
        self.head(&mut packer, *t, false);
        packer.push(Datum::Int64(*diff));
        packer.extend_packed(data.data());
        row
    }

    fn ordered(&self, updates: &[Change], order: &[ColumnOrder]) -> Vec<Row> {
        let mut rows: Vec<Row> = updates.iter().map(|u| self.diff_row(u)).collect();
        // The time comes first in every row, so that this keeps times in order.
        rows.sort_by(|a, b| {
            let (da, db) = (a.unpack(), b.unpack());
            da[0].cmp(&db[0]).then_with(|| compare_rows_by(order, &da, &db, || da.cmp(&db)))
        });
        rows
    }

    /// One row for each key that changed at each time.
    fn envelopes(&self, updates: &[Change], key: &[usize], debezium: bool, out: &mut Vec<Row>) {
        let mut groups: BTreeMap<(Timestamp, Row), (Vec<&Row>, Vec<&Row>, bool)> = BTreeMap::new();
        for (t, row, diff) in updates {
            let datums = row.unpack();
            let key_row = Row::pack(key.iter().map(|k| datums[*k]));
            let group = groups.entry((*t, key_row)).or_default();
            match *diff {
                1 => group.1.push(row),
                -1 => group.0.push(row),
                _ => group.2 = true,
            }
        }
        let values: Vec<usize> = (0..self.plan.from_desc.arity()).filter(|c| !key.contains(c)).collect();
        for ((t, key_row), (before, after, many)) in groups {
            let mut row = Row::default();
            let mut packer = row.packer();
            self.head(&mut packer, t, false);
            let violation = many || before.len() > 1 || after.len() > 1;
            let state = match (violation, before.first(), after.first()) {
                (true, _, _) => "key_violation",
                (_, None, _) if debezium => "insert",
                (_, Some(_), Some(_)) | (_, None, _) => "upsert",
                (_, Some(_), None) => "delete",
            };
            packer.push(Datum::String(state));
            packer.extend_packed(key_row.data());
            let mut push = |row: Option<&&Row>| match row.filter(|_| !violation) {
                Some(row) => {
                    let datums = row.unpack();
                    packer.extend(values.iter().map(|c| datums[*c]));
                }
                None => packer.extend(values.iter().map(|_| Datum::Null)),
            };
            if debezium {
                push(before.first());
            }
            push(after.first());
            out.push(row);
        }
    }
}
