//! LIR as text.

use hw_expr::{Id, MirScalarExpr};
use hw_plan::lir::{GetAccess, JoinPath, JoinPlan, ReducePlan};
use hw_plan::temporal::MfpPlan;
use hw_plan::{DataflowDescription, Lir};

use super::Names;
use super::mir::order_text;
use super::scalar::{aggregate, list, text as scalar};

/// A dataflow: its objects, then its imports.
pub(crate) fn dataflow_text(d: &DataflowDescription, names: Names<'_>) -> String {
    let mut out = String::new();
    for (id, plan) in &d.objects {
        out.push_str(&format!("{}:\n", names(*id)));
        write(plan, 1, names, &mut out);
    }
    for (id, import) in &d.source_imports {
        out.push_str(&format!("Source {}\n", names(*id)));
        mfp_lines(&import.mfp, 1, &mut out);
    }
    for (id, import) in &d.index_imports {
        out.push_str(&format!(
            "Index {} on {} key=[{}]\n",
            names(*id),
            names(import.on_id),
            list(&import.key)
        ));
    }
    out
}

/// A map-filter-project, one line for each part.
pub(crate) fn mfp_lines(mfp: &MfpPlan, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    let m = &mfp.mfp;
    if m.projection.len() != m.input_arity + m.expressions.len()
        || m.projection.iter().enumerate().any(|(i, p)| i != *p)
    {
        let columns: Vec<String> = m.projection.iter().map(|c| format!("#{c}")).collect();
        out.push_str(&format!("{pad}project=({})\n", columns.join(", ")));
    }
    if !m.predicates.is_empty() {
        let predicates: Vec<String> = m.predicates.iter().map(|(_, p)| scalar(p)).collect();
        out.push_str(&format!("{pad}filter=({})\n", predicates.join(" AND ")));
    }
    if !m.expressions.is_empty() {
        out.push_str(&format!("{pad}map=({})\n", list(&m.expressions)));
    }
    if !mfp.lower_bounds.is_empty() {
        out.push_str(&format!("{pad}present_from=({})\n", list(&mfp.lower_bounds)));
    }
    if !mfp.upper_bounds.is_empty() {
        out.push_str(&format!("{pad}present_until=({})\n", list(&mfp.upper_bounds)));
    }
}

fn write(e: &Lir, depth: usize, names: Names<'_>, out: &mut String) {
    stacker::maybe_grow(64 << 10, 1 << 20, || write_node(e, depth, names, out));
}

fn write_node(e: &Lir, depth: usize, names: Names<'_>, out: &mut String) {
    let pad = "  ".repeat(depth);
    match e {
        Lir::Constant { rows: Ok(rows) } => out.push_str(&format!("{pad}Constant ({} rows)\n", rows.len())),
        Lir::Constant { rows: Err(e) } => out.push_str(&format!("{pad}Error {:?}\n", e.to_string())),
        Lir::Get { id, access } => {
            let name = match id {
                Id::Local(id) => id.to_string(),
                Id::Global(id) => names(*id),
            };
            match access {
                GetAccess::PassThrough => out.push_str(&format!("{pad}Get::PassThrough {name}\n")),
                GetAccess::Collection(mfp) => {
                    out.push_str(&format!("{pad}Get::Collection {name}\n"));
                    mfp_lines(mfp, depth + 1, out);
                }
                GetAccess::Arrangement(key, literal, mfp) => {
                    let literal =
                        literal.as_ref().map_or(String::new(), |l| format!(" lookup={:?}", l.unpack()));
                    out.push_str(&format!("{pad}Get::Arrangement {name} key=[{}]{literal}\n", list(key)));
                    mfp_lines(mfp, depth + 1, out);
                }
            }
        }
        Lir::Let { id, value, body } => {
            out.push_str(&format!("{pad}With {id} =\n"));
            write(value, depth + 1, names, out);
            out.push_str(&format!("{pad}Return\n"));
            write(body, depth + 1, names, out);
        }
        Lir::LetRec { ids, values, body, .. } => {
            out.push_str(&format!("{pad}With Mutually Recursive\n"));
            for (id, value) in ids.iter().zip(values) {
                out.push_str(&format!("{pad}  {id} =\n"));
                write(value, depth + 2, names, out);
            }
            out.push_str(&format!("{pad}Return\n"));
            write(body, depth + 1, names, out);
        }
        Lir::Mfp { input, input_key, mfp, .. } => {
            let key = input_key.as_ref().map_or(String::new(), |(k, l)| {
                let literal = l.as_ref().map_or(String::new(), |l| format!(" lookup={:?}", l.unpack()));
                format!(" input_key=[{}]{literal}", list(k))
            });
            out.push_str(&format!("{pad}Mfp{key}\n"));
            mfp_lines(mfp, depth + 1, out);
            write(input, depth + 1, names, out);
        }
        Lir::FlatMap { input, func, exprs, mfp } => {
            out.push_str(&format!("{pad}FlatMap {}({})\n", func.def().name, list(exprs)));
            mfp_lines(mfp, depth + 1, out);
            write(input, depth + 1, names, out);
        }
        Lir::Join { inputs, plan, .. } => {
            match plan {
                JoinPlan::Linear(path) => {
                    out.push_str(&format!("{pad}Join::Linear\n"));
                    path_lines(path, depth + 1, out);
                }
                JoinPlan::Delta(paths) => {
                    out.push_str(&format!("{pad}Join::Delta\n"));
                    for path in paths {
                        path_lines(path, depth + 1, out);
                    }
                }
            }
            for input in inputs {
                write(input, depth + 1, names, out);
            }
        }
        Lir::Reduce { input, key, plan, .. } => {
            out.push_str(&format!("{pad}Reduce::{} key=[{}]\n", reduce_text(plan), list(key)));
            write(input, depth + 1, names, out);
        }
        Lir::TopK { input, plan } => {
            let group: Vec<String> = plan.group_key.iter().map(|c| format!("#{c}")).collect();
            let order: Vec<String> = plan.order_key.iter().map(order_text).collect();
            let limit = plan.limit.as_ref().map_or(String::new(), |l| format!(" limit={}", scalar(l)));
            let offset = if plan.offset > 0 { format!(" offset={}", plan.offset) } else { String::new() };
            let monotonic = if plan.monotonic { " monotonic" } else { "" };
            out.push_str(&format!(
                "{pad}TopK group_by=[{}] order_by=[{}]{limit}{offset}{monotonic}\n",
                group.join(", "),
                order.join(", ")
            ));
            write(input, depth + 1, names, out);
        }
        Lir::Negate { input } => {
            out.push_str(&format!("{pad}Negate\n"));
            write(input, depth + 1, names, out);
        }
        Lir::Threshold { input, .. } => {
            out.push_str(&format!("{pad}Threshold\n"));
            write(input, depth + 1, names, out);
        }
        Lir::Union { inputs, consolidate } => {
            let how = if *consolidate { " consolidate" } else { "" };
            out.push_str(&format!("{pad}Union{how}\n"));
            for input in inputs {
                write(input, depth + 1, names, out);
            }
        }
        Lir::ArrangeBy { input, keys, .. } => {
            let keys: Vec<String> = keys.iter().map(|k| format!("[{}]", list(k))).collect();
            out.push_str(&format!("{pad}ArrangeBy keys=[{}]\n", keys.join(", ")));
            write(input, depth + 1, names, out);
        }
    }
}

fn path_lines(path: &JoinPath, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    let key = path
        .source_key
        .as_ref()
        .map_or(String::new(), |k: &Vec<MirScalarExpr>| format!(" key=[{}]", list(k)));
    out.push_str(&format!("{pad}from %{}{key}\n", path.source));
    if !path.initial.is_identity() {
        mfp_lines(&path.initial, depth + 1, out);
    }
    for stage in &path.stages {
        out.push_str(&format!(
            "{pad}  lookup %{} [{}] by [{}]\n",
            stage.input,
            list(&stage.lookup_key),
            list(&stage.stream_key)
        ));
        mfp_lines(&stage.mfp, depth + 2, out);
    }
}

fn reduce_text(plan: &ReducePlan) -> String {
    let all = |v: Vec<String>| v.join(", ");
    match plan {
        ReducePlan::Distinct => "Distinct".to_owned(),
        ReducePlan::Accumulable(p) => {
            format!(
                "Accumulable [{}]",
                all(p.simple.iter().chain(&p.distinct).map(|(_, a)| aggregate(a)).collect())
            )
        }
        ReducePlan::Hierarchical(p) => {
            let how =
                if p.monotonic { " monotonic".to_owned() } else { format!(" levels={}", p.buckets.len()) };
            format!(
                "Hierarchical{how} [{}]",
                all(p.aggregates.iter().map(|(_, a, _)| aggregate(a)).collect())
            )
        }
        ReducePlan::Basic(p) => {
            format!("Basic [{}]", all(p.aggregates.iter().map(|(_, a)| aggregate(a)).collect()))
        }
        ReducePlan::Collation { accumulable, hierarchical, basic, .. } => {
            let parts: Vec<String> = [
                accumulable.clone().map(|p| reduce_text(&ReducePlan::Accumulable(p))),
                hierarchical.clone().map(|p| reduce_text(&ReducePlan::Hierarchical(p))),
                basic.clone().map(|p| reduce_text(&ReducePlan::Basic(p))),
            ]
            .into_iter()
            .flatten()
            .collect();
            format!("Collation {{ {} }}", parts.join(", "))
        }
    }
}
