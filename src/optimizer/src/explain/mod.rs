//! EXPLAIN: plans as text, one node per line, inputs indented below it; or as JSON.

mod lir;
#[cfg(test)]
pub(crate) use lir::dataflow_text;
mod mir;
mod scalar;

use std::collections::BTreeSet;

use hw_expr::{MirRelationExpr, RowSetFinishing};
use hw_plan::PeekTarget;
use hw_repr::GlobalId;

use crate::context::DataflowContext;
use crate::error::OptimizerError;
use crate::peek::{PeekPlan, peek_objects, plan_peek};

/// How a plan is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExplainOptions {
    /// As JSON rather than text.
    pub json: bool,
    /// What is shown besides: `arity`, `types`, `keys`.
    pub with: BTreeSet<String>,
}

/// Names of objects.
pub(crate) type Names<'a> = &'a dyn Fn(GlobalId) -> String;

/// A plan in MIR.
pub fn explain_mir(expr: &MirRelationExpr, names: Names<'_>, options: &ExplainOptions) -> String {
    if options.json {
        return json(expr);
    }
    mir::text(expr, names, options)
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
    finishing: &mut RowSetFinishing,
    transient_ids: (GlobalId, GlobalId),
    physical: bool,
    names: Names<'_>,
    options: &ExplainOptions,
) -> Result<String, OptimizerError> {
    let objects = peek_objects(expr, views, context, transient_ids)?;
    let result = transient_ids.0;
    let names = &|id: GlobalId| if id == result { "result".to_owned() } else { names(id) };
    if !physical {
        if options.json {
            return Ok(json(&objects));
        }
        let arity = objects.last().map_or(0, |(_, e)| e.arity());
        let mut out = finishing_text(finishing, arity);
        for (id, expr) in &objects {
            if objects.len() > 1 || !out.is_empty() {
                out.push_str(&format!("{}:\n", names(*id)));
            }
            let text = mir::text(expr, names, options);
            out.push_str(&indented(&text, objects.len() > 1 || !out.is_empty()));
        }
        return Ok(out);
    }
    let plan = plan_peek(objects, context, transient_ids)?;
    Ok(physical_text(&plan, finishing, names, options))
}

fn physical_text(
    plan: &PeekPlan,
    finishing: &RowSetFinishing,
    names: Names<'_>,
    options: &ExplainOptions,
) -> String {
    match plan {
        PeekPlan::Constant(rows) => {
            if options.json {
                return json(rows);
            }
            match rows {
                Ok(rows) => format!("Constant ({} rows)\n", rows.len()),
                Err(e) => format!("Error {e}\n"),
            }
        }
        PeekPlan::FastPath { target, literal_keys, mfp } => {
            if options.json {
                return json(&(target, literal_keys, mfp));
            }
            let mut out = finishing_text(finishing, mfp.output_arity());
            out.push_str("Fast path\n");
            lir::mfp_lines(&hw_plan::temporal::MfpPlan::untimed(mfp.clone()), 1, &mut out);
            match target {
                PeekTarget::Index { id, key, .. } => {
                    let key: Vec<_> = key.iter().map(scalar::text).collect();
                    out.push_str(&format!("  ReadIndex {} key=[{}]", names(*id), key.join(", ")));
                }
                PeekTarget::Shard { id, .. } => out.push_str(&format!("  ReadStorage {}", names(*id))),
            }
            if let Some(keys) = literal_keys {
                let keys: Vec<_> = keys.iter().map(|k| format!("{:?}", k.unpack())).collect();
                out.push_str(&format!(" lookup={}", keys.join(", ")));
            }
            out.push('\n');
            out
        }
        PeekPlan::SlowPath { dataflow, .. } => {
            if options.json {
                return json(&**dataflow);
            }
            let mut out = finishing_text(
                finishing,
                dataflow.exports.values().map(|e| e.desc.arity()).next().unwrap_or(0),
            );
            out.push_str(&lir::dataflow_text(dataflow, names));
            out
        }
    }
}

fn finishing_text(f: &RowSetFinishing, arity: usize) -> String {
    if f.is_trivial(arity) {
        return String::new();
    }
    let order: Vec<String> = f.order_by.iter().map(mir::order_text).collect();
    let limit = f.limit.map_or(String::new(), |l| format!(" limit={l}"));
    let offset = if f.offset > 0 { format!(" offset={}", f.offset) } else { String::new() };
    let project: Vec<String> = f.project.iter().map(|c| format!("#{c}")).collect();
    format!("Finish order_by=[{}]{limit}{offset} output=[{}]\n", order.join(", "), project.join(", "))
}

fn indented(text: &str, indent: bool) -> String {
    if !indent {
        return text.to_owned();
    }
    text.lines().map(|l| format!("  {l}\n")).collect()
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .and_then(|v| serde_json::to_string_pretty(&v))
        .unwrap_or_else(|e| format!("\"{e}\""))
}
