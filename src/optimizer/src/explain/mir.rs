//! MIR as text.

use hw_expr::{Id, JoinImplementation, MirRelationExpr, MirScalarExpr};
use hw_repr::ColumnOrder;

use super::scalar::{aggregate, list, text as scalar};
use super::{ExplainOptions, Names};

/// The plan, one node per line.
pub(crate) fn text(expr: &MirRelationExpr, names: Names<'_>, options: &ExplainOptions) -> String {
    let mut out = String::new();
    write(expr, 0, names, options, &mut out);
    out
}

pub(crate) fn order_text(o: &ColumnOrder) -> String {
    let direction = if o.desc { " desc" } else { " asc" };
    let nulls = if o.nulls_last { " nulls_last" } else { " nulls_first" };
    format!("#{}{direction}{nulls}", o.column)
}

fn write(e: &MirRelationExpr, depth: usize, names: Names<'_>, options: &ExplainOptions, out: &mut String) {
    stacker::maybe_grow(64 << 10, 1 << 20, || {
        let pad = "  ".repeat(depth);
        if let MirRelationExpr::Let { id, value, body } = e {
            out.push_str(&format!("{pad}With {id} =\n"));
            write(value, depth + 1, names, options, out);
            out.push_str(&format!("{pad}Return\n"));
            return write(body, depth + 1, names, options, out);
        }
        if let MirRelationExpr::LetRec { ids, values, limits, body } = e {
            out.push_str(&format!("{pad}With Mutually Recursive\n"));
            for ((id, value), limit) in ids.iter().zip(values).zip(limits) {
                let limit = limit.map_or(String::new(), |l| format!(" [recursion_limit={}]", l.max_iters));
                out.push_str(&format!("{pad}  {id}{limit} =\n"));
                write(value, depth + 2, names, options, out);
            }
            out.push_str(&format!("{pad}Return\n"));
            return write(body, depth + 1, names, options, out);
        }
        out.push_str(&format!("{pad}{}{}\n", node(e, names), attributes(e, options)));
        if let MirRelationExpr::Constant { rows: Ok(rows), .. } = e {
            for (row, diff) in rows.iter().take(20) {
                let times = if *diff == 1 { String::new() } else { format!(" x {diff}") };
                let types = e.column_types();
                let values: Vec<String> = row
                    .iter()
                    .zip(&types)
                    .map(|(d, t)| scalar(&MirScalarExpr::literal(d, t.scalar_type.clone())))
                    .collect();
                out.push_str(&format!("{pad}  - ({}){times}\n", values.join(", ")));
            }
            if rows.len() > 20 {
                out.push_str(&format!("{pad}  - … {} more\n", rows.len() - 20));
            }
        }
        for child in e.children() {
            write(child, depth + 1, names, options, out);
        }
    });
}

fn columns(v: impl IntoIterator<Item = usize>) -> String {
    v.into_iter().map(|c| format!("#{c}")).collect::<Vec<_>>().join(", ")
}

fn node(e: &MirRelationExpr, names: Names<'_>) -> String {
    match e {
        MirRelationExpr::Constant { rows: Ok(rows), .. } if rows.is_empty() => "Constant <empty>".to_owned(),
        MirRelationExpr::Constant { rows: Ok(_), .. } => "Constant".to_owned(),
        MirRelationExpr::Constant { rows: Err(e), .. } => format!("Error {:?}", e.to_string()),
        MirRelationExpr::Get { id: Id::Local(id), .. } => format!("Get {id}"),
        MirRelationExpr::Get { id: Id::Global(id), .. } => format!("Get {}", names(*id)),
        MirRelationExpr::Let { .. } | MirRelationExpr::LetRec { .. } => String::new(),
        MirRelationExpr::Project { outputs, .. } => format!("Project ({})", columns(outputs.iter().copied())),
        MirRelationExpr::Map { scalars, .. } => format!("Map ({})", list(scalars)),
        MirRelationExpr::FlatMap { func, exprs, .. } => {
            format!("FlatMap {}({})", func.def().name, list(exprs))
        }
        MirRelationExpr::Filter { predicates, .. } => {
            format!("Filter {}", predicates.iter().map(scalar).collect::<Vec<_>>().join(" AND "))
        }
        MirRelationExpr::Join { equivalences, implementation, .. } => {
            let classes: Vec<String> =
                equivalences.iter().map(|c| c.iter().map(scalar).collect::<Vec<_>>().join(" = ")).collect();
            let on =
                if classes.is_empty() { String::new() } else { format!(" on=({})", classes.join(" AND ")) };
            let (name, how) = match implementation {
                JoinImplementation::Unimplemented if classes.is_empty() => ("CrossJoin", String::new()),
                JoinImplementation::Unimplemented => ("Join", String::new()),
                JoinImplementation::Linear(order) => ("Join", format!(" type=linear [{}]", path(order))),
                JoinImplementation::Delta(orders) => {
                    let paths: Vec<String> =
                        orders.iter().enumerate().map(|(i, o)| format!("%{i}: {}", path(o))).collect();
                    ("Join", format!(" type=delta [{}]", paths.join("; ")))
                }
            };
            format!("{name}{on}{how}")
        }
        MirRelationExpr::Reduce { group_key, aggregates, monotonic, expected_group_size, .. } => {
            let monotonic = if *monotonic { " monotonic" } else { "" };
            if aggregates.is_empty() {
                return format!("Distinct project=[{}]{monotonic}", list(group_key));
            }
            let aggregates: Vec<String> = aggregates.iter().map(aggregate).collect();
            let size = expected_group_size.map_or(String::new(), |s| format!(" exp_group_size={s}"));
            let key =
                if group_key.is_empty() { String::new() } else { format!(" group_by=[{}]", list(group_key)) };
            format!("Reduce{key} aggregates=[{}]{monotonic}{size}", aggregates.join(", "))
        }
        MirRelationExpr::TopK {
            group_key, order_key, limit, offset, monotonic, expected_group_size, ..
        } => {
            let mut out = "TopK".to_owned();
            if !group_key.is_empty() {
                out.push_str(&format!(" group_by=[{}]", columns(group_key.iter().copied())));
            }
            if !order_key.is_empty() {
                out.push_str(&format!(
                    " order_by=[{}]",
                    order_key.iter().map(order_text).collect::<Vec<_>>().join(", ")
                ));
            }
            if let Some(limit) = limit {
                out.push_str(&format!(" limit={}", scalar(limit)));
            }
            if *offset > 0 {
                out.push_str(&format!(" offset={offset}"));
            }
            if *monotonic {
                out.push_str(" monotonic");
            }
            if let Some(size) = expected_group_size {
                out.push_str(&format!(" exp_group_size={size}"));
            }
            out
        }
        MirRelationExpr::Negate { .. } => "Negate".to_owned(),
        MirRelationExpr::Threshold { .. } => "Threshold".to_owned(),
        MirRelationExpr::Union { .. } => "Union".to_owned(),
        MirRelationExpr::ArrangeBy { keys, .. } => {
            format!(
                "ArrangeBy keys=[{}]",
                keys.iter().map(|k| format!("[{}]", list(k))).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

fn path(order: &[(usize, Vec<MirScalarExpr>)]) -> String {
    order.iter().map(|(i, k)| format!("%{i}[{}]", list(k))).collect::<Vec<_>>().join(" » ")
}

fn attributes(e: &MirRelationExpr, options: &ExplainOptions) -> String {
    let mut parts = vec![];
    if options.with.contains("arity") {
        parts.push(format!("arity: {}", e.arity()));
    }
    if options.with.contains("types") {
        let types: Vec<String> = e
            .column_types()
            .iter()
            .map(|t| format!("{}{}", t.scalar_type, if t.nullable { "?" } else { "" }))
            .collect();
        parts.push(format!("types: \"({})\"", types.join(", ")));
    }
    if options.with.contains("keys") {
        let keys: Vec<String> =
            crate::analysis::keys(e).into_iter().map(|k| format!("[{}]", columns(k))).collect();
        parts.push(format!("keys: \"({})\"", keys.join(", ")));
    }
    if parts.is_empty() { String::new() } else { format!(" // {{ {} }}", parts.join(", ")) }
}
