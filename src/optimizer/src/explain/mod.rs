//! EXPLAIN: plans as text, one operator per line, inputs indented below it; or as JSON.
//!
//! | stage | function | what is shown |
//! |---|---|---|
//! | RAW | [`explain_hir`] | the query as planned, correlated |
//! | DECORRELATED, LOCALLY OPTIMIZED | [`explain_mir`] | MIR of the query alone |
//! | OPTIMIZED, PHYSICAL | [`explain_peek`], [`explain_dataflow`] | MIR with views inlined and joins decided; what runs |

mod hir;
mod known;
mod lir;
mod mir;
mod node;
mod options;
mod scalar;

use std::collections::BTreeMap;

use hw_expr::{EvalError, HirRelationExpr, MirRelationExpr, RowSetFinishing};
use hw_plan::temporal::MfpPlan;
use hw_plan::{DataflowDescription, DataflowExport, PeekTarget};
use hw_repr::{Diff, GlobalId, Row};
use serde_json::{Value, json};

use self::known::Known;
use self::node::Node;
use self::scalar::{Columns, Scalars};
use crate::context::DataflowContext;
use crate::dataflow::optimize_dataflow;
use crate::error::OptimizerError;
use crate::peek::{PeekPlan, peek_objects, plan_peek};

pub use options::{ExplainOption, ExplainOptions};

/// What people call things.
pub trait Humanizer {
    /// An object.
    fn object(&self, id: GlobalId) -> String;

    /// The columns of an object; nothing if they are not known.
    fn columns(&self, id: GlobalId) -> Vec<String>;
}

/// What is needed to show a plan.
struct Explain<'a> {
    names: &'a dyn Humanizer,
    options: &'a ExplainOptions,
    /// The object that is a query's result.
    result: Option<GlobalId>,
}

impl<'a> Explain<'a> {
    fn new(names: &'a dyn Humanizer, options: &'a ExplainOptions) -> Self {
        Explain { names, options, result: None }
    }

    fn has(&self, option: ExplainOption) -> bool {
        self.options.has(option)
    }

    fn object(&self, id: GlobalId) -> String {
        if self.result == Some(id) {
            return "Explained Query".to_owned();
        }
        self.names.object(id)
    }

    fn object_columns(&self, id: GlobalId) -> Columns {
        self.named(self.names.columns(id).into_iter().map(Some).collect())
    }

    /// The names, unless they are not wanted.
    fn named(&self, columns: Columns) -> Columns {
        match self.has(ExplainOption::HumanizedExpressions) {
            true => columns,
            false => vec![None; columns.len()],
        }
    }

    fn scalars<'c>(&self, columns: &'c [Option<String>]) -> Scalars<'c> {
        Scalars { columns, redacted: self.has(ExplainOption::Redacted) }
    }
}

/// A query as it was planned.
pub fn explain_hir(expr: &HirRelationExpr, names: &dyn Humanizer, options: &ExplainOptions) -> String {
    let node = hir::node(expr, &Explain::new(names, options));
    shown(&node, options)
}

/// A plan in MIR.
pub fn explain_mir(expr: &MirRelationExpr, names: &dyn Humanizer, options: &ExplainOptions) -> String {
    let (node, _) = mir::node(expr, &Explain::new(names, options));
    shown(&node, options)
}

fn shown(node: &Node, options: &ExplainOptions) -> String {
    if options.json { pretty(&json!({ "plan": node.json() })) } else { node.text(0) }
}

/// The optimised plan of a query, logical or physical.
///
/// # Errors
/// As [`crate::optimize_peek`].
#[allow(clippy::too_many_arguments)]
pub fn explain_peek(
    expr: MirRelationExpr,
    views: Vec<(GlobalId, MirRelationExpr)>,
    context: &dyn DataflowContext,
    finishing: &RowSetFinishing,
    transient_ids: (GlobalId, GlobalId),
    physical: bool,
    names: &dyn Humanizer,
    options: &ExplainOptions,
) -> Result<String, OptimizerError> {
    let finishing = &mut finishing.clone();
    let objects = peek_objects(expr, views, context, finishing, transient_ids)?;
    let finishing = &*finishing;
    let explain = Explain { names, options, result: Some(transient_ids.0) };
    if !physical {
        return Ok(objects_shown(&objects, Some(finishing), &explain));
    }
    let fast = !options.has(ExplainOption::NoFastPath);
    let plan = plan_peek(objects, context, transient_ids, fast)?;
    Ok(match &plan {
        PeekPlan::Constant(rows) => constant_shown(rows, finishing, &explain),
        PeekPlan::FastPath { target, literal_keys, mfp } => {
            let node = fast_path(target, literal_keys.as_deref(), mfp, &explain);
            let (finish, value) = finishing_shown(finishing, mfp.output_arity(), &explain, &[]);
            if options.json {
                return Ok(pretty(&json!({ "finishing": value, "fast_path": node.json() })));
            }
            format!("Explained Query (fast path):\n{}{}", finish, node.text(1))
        }
        PeekPlan::SlowPath { dataflow, .. } => dataflow_shown(dataflow, Some(finishing), &explain),
    })
}

/// The optimised plan of what is maintained, logical or physical.
///
/// # Errors
/// As [`crate::optimize_dataflow`].
#[allow(clippy::too_many_arguments)]
pub fn explain_dataflow(
    objects: Vec<(GlobalId, MirRelationExpr)>,
    exports: BTreeMap<GlobalId, DataflowExport>,
    context: &dyn DataflowContext,
    physical: bool,
    names: &dyn Humanizer,
    options: &ExplainOptions,
) -> Result<String, OptimizerError> {
    let plan = optimize_dataflow("explain", objects, exports, context)?;
    let explain = Explain::new(names, options);
    Ok(match physical {
        true => dataflow_shown(&plan.lir, None, &explain),
        false => objects_shown(&plan.mir, None, &explain),
    })
}

fn objects_shown(
    objects: &[(GlobalId, MirRelationExpr)],
    finishing: Option<&RowSetFinishing>,
    explain: &Explain<'_>,
) -> String {
    let nodes: Vec<(String, Node, Columns)> = objects
        .iter()
        .map(|(id, expr)| {
            let (node, columns) = mir::node(expr, explain);
            (explain.object(*id), node, columns)
        })
        .collect();
    let (mut finish, mut value) = (String::new(), Value::Null);
    if let (Some(f), Some((_, _, columns))) = (finishing, nodes.last()) {
        (finish, value) = finishing_shown(f, columns.len(), explain, columns);
    }
    if explain.options.json {
        let plans: Vec<Value> =
            nodes.iter().map(|(name, node, _)| json!({ "id": name, "plan": node.json() })).collect();
        return pretty(&json!({ "plans": plans, "finishing": value }));
    }
    let mut out = String::new();
    for (i, (name, node, _)) in nodes.iter().enumerate() {
        let last = i + 1 == nodes.len();
        out.push_str(&format!("{name}:\n{}{}", if last { finish.as_str() } else { "" }, node.text(1)));
    }
    out
}

fn constant_shown(
    rows: &Result<Vec<(Row, Diff)>, EvalError>,
    finishing: &RowSetFinishing,
    explain: &Explain<'_>,
) -> String {
    let node = match rows {
        Err(e) => Node::new("Error").head(format!("{:?}", e.to_string())).field("message", e.to_string()),
        Ok(rows) => {
            let scalars = explain.scalars(&[]);
            let values: Vec<String> = rows.iter().take(20).map(|(row, _)| scalars.key_value(row)).collect();
            let mut node = Node::new("Constant").head(format!("({} rows)", rows.len()));
            for (value, (_, diff)) in values.iter().zip(rows) {
                let times = if *diff == 1 { String::new() } else { format!(" x {diff}") };
                node = node.line(format!("- {value}{times}"));
            }
            node.field("row_count", rows.len()).field("rows", values)
        }
    };
    let arity = rows.as_ref().ok().and_then(|r| r.first()).map_or(0, |(row, _)| row.iter().count());
    let (finish, value) = finishing_shown(finishing, arity, explain, &[]);
    if explain.options.json {
        return pretty(&json!({ "finishing": value, "plan": node.json() }));
    }
    format!("Explained Query (fast path):\n{finish}{}", node.text(1))
}

fn fast_path(
    target: &PeekTarget,
    literal_keys: Option<&[Row]>,
    mfp: &hw_expr::MapFilterProject,
    explain: &Explain<'_>,
) -> Node {
    let columns = |desc: &hw_repr::RelationDesc| {
        let names = explain.named(desc.names().iter().map(|n| Some(n.to_string())).collect());
        Known::of(desc.typ(), names)
    };
    let (node, columns) = match target {
        PeekTarget::Index { id, key, desc } => {
            let columns = columns(desc);
            let name = explain.object(*id);
            let scalars = explain.scalars(&columns.names);
            let node = Node::new("ReadIndex").head(&name).field("id", name).list("key", scalars.each(key));
            let keys =
                literal_keys.map_or(vec![], |keys| keys.iter().map(|k| scalars.key_value(k)).collect());
            (node.list("lookup", keys), columns)
        }
        PeekTarget::Shard { id, desc, .. } => {
            let name = explain.object(*id);
            (Node::new("ReadStorage").head(&name).field("id", name), columns(desc))
        }
    };
    let (lines, fields, _) = lir::mfp(&MfpPlan::untimed(mfp.clone()), &columns, explain);
    fields.into_iter().fold(node.lines(lines), |node, (name, value)| node.field(name, value))
}

fn dataflow_shown(
    d: &DataflowDescription,
    finishing: Option<&RowSetFinishing>,
    explain: &Explain<'_>,
) -> String {
    let shown = lir::dataflow(d, explain);
    let arity = d.exports.values().next().map_or(0, |e| e.desc.arity());
    let (finish, value) =
        finishing.map_or((String::new(), Value::Null), |f| finishing_shown(f, arity, explain, &[]));
    if explain.options.json {
        let list = |nodes: &[Node]| nodes.iter().map(Node::json).collect::<Vec<_>>();
        let plans: Vec<Value> =
            shown.objects.iter().map(|(name, node)| json!({ "id": name, "plan": node.json() })).collect();
        return pretty(&json!({
            "plans": plans,
            "finishing": value,
            "imports": list(&shown.imports),
            "exports": list(&shown.exports),
        }));
    }
    let mut out = String::new();
    for (i, (name, node)) in shown.objects.iter().enumerate() {
        let last = i + 1 == shown.objects.len();
        out.push_str(&format!("{name}:\n{}{}", if last { finish.as_str() } else { "" }, node.text(1)));
    }
    for node in shown.imports.iter().chain(&shown.exports) {
        out.push_str(&node.text(0));
    }
    out
}

/// What is done with the rows at the end, as a line and as JSON; nothing if nothing is.
fn finishing_shown(
    f: &RowSetFinishing,
    arity: usize,
    explain: &Explain<'_>,
    columns: &[Option<String>],
) -> (String, Value) {
    if f.is_trivial(arity) {
        return (String::new(), Value::Null);
    }
    let scalars = explain.scalars(columns);
    let order: Vec<String> = f.order_by.iter().map(|o| scalars.order(o)).collect();
    let project = scalars.columns(f.project.iter().copied());
    let node = Node::new("Finish")
        .list("order_by", order)
        .value("limit", f.limit.map(|l| l.to_string()))
        .value("offset", (f.offset > 0).then(|| f.offset.to_string()))
        .list("output", project);
    (node.text(1), node.json())
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|e| format!("{:?}", e.to_string()))
}

/// For tests: a dataflow as text.
#[cfg(test)]
pub(crate) fn dataflow_text(d: &DataflowDescription, names: &dyn Humanizer) -> String {
    let options = ExplainOptions::default();
    dataflow_shown(d, None, &Explain::new(names, &options))
}
