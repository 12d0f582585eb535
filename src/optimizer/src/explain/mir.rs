//! MIR as a tree to be shown, with the names of columns as far as they are known.

use std::collections::{BTreeMap, BTreeSet};

use hw_expr::{
    AggregateExpr, AggregateFunc, Id, JoinImplementation, LocalId, MirRelationExpr, MirScalarExpr,
};
use hw_repr::{ColumnType, Diff, Row};
use serde_json::Value;

use super::node::Node;
use super::scalar::{Columns, Scalars};
use super::{Explain, ExplainOption};
use crate::analysis;

/// Constants are shown with no more rows than this.
const MAX_ROWS: usize = 20;

/// What is known of the bindings around a plan.
#[derive(Clone, Default)]
struct Bindings {
    columns: BTreeMap<LocalId, Columns>,
    non_negative: BTreeSet<LocalId>,
    classes: BTreeMap<LocalId, analysis::equivalences::Classes>,
}

/// A plan as a tree, and its columns' names.
pub(super) fn node(expr: &MirRelationExpr, explain: &Explain<'_>) -> (Node, Columns) {
    let shown = write(expr, explain, &mut Bindings::default());
    (shown.node, shown.columns)
}

struct Shown {
    node: Node,
    columns: Columns,
    classes: analysis::equivalences::Classes,
}

fn write(e: &MirRelationExpr, explain: &Explain<'_>, bindings: &mut Bindings) -> Shown {
    stacker::maybe_grow(128 << 10, 2 << 20, || match e {
        MirRelationExpr::Let { id, value, body } => {
            let value_shown = write(value, explain, bindings);
            bindings.columns.insert(*id, value_shown.columns);
            bindings.classes.insert(*id, value_shown.classes);
            if analysis::is_non_negative(value, &bindings.non_negative) {
                bindings.non_negative.insert(*id);
            }
            let body = write(body, explain, bindings);
            let node = Node::bindings(false, vec![(id.to_string(), value_shown.node)], body.node);
            Shown { node, ..body }
        }
        MirRelationExpr::LetRec { ids, values, limits, body } => {
            let mut bound = vec![];
            for (id, value) in ids.iter().zip(values) {
                bindings.columns.insert(*id, vec![None; value.arity()]);
            }
            for ((id, value), limit) in ids.iter().zip(values).zip(limits) {
                let limit = limit.map_or(String::new(), |l| {
                    let how = if l.return_at_limit { " return_at_limit" } else { "" };
                    format!(" [recursion_limit={}{how}]", l.max_iters)
                });
                bound.push((format!("{id}{limit}"), write(value, explain, bindings).node));
            }
            let body = write(body, explain, bindings);
            Shown { node: Node::bindings(true, bound, body.node), ..body }
        }
        _ => operator(e, explain, bindings),
    })
}

fn operator(e: &MirRelationExpr, explain: &Explain<'_>, bindings: &mut Bindings) -> Shown {
    let mut inputs: Vec<Shown> = e.children().into_iter().map(|c| write(c, explain, bindings)).collect();
    let classes = match explain.has(ExplainOption::Equivalences) {
        true => {
            let known = inputs.iter_mut().map(|s| std::mem::take(&mut s.classes)).collect();
            analysis::equivalences::derive(e, known, &bindings.classes)
        }
        false => vec![],
    };
    let below: Vec<Columns> = inputs.iter_mut().map(|s| std::mem::take(&mut s.columns)).collect();
    let (node, columns) = head(e, explain, bindings, &below);
    let mut node = node.inputs(inputs.into_iter().map(|s| s.node));
    attributes(&mut node, e, explain, bindings, &columns, &classes);
    Shown { node, columns, classes }
}

/// The operator itself, and the names of its columns.
fn head(
    e: &MirRelationExpr,
    explain: &Explain<'_>,
    bindings: &Bindings,
    below: &[Columns],
) -> (Node, Columns) {
    let input: &[Option<String>] = below.first().map_or(&[], Vec::as_slice);
    let scalars = explain.scalars(input);
    match e {
        MirRelationExpr::Constant { rows, typ } => {
            (constant(rows, &typ.column_types, scalars), vec![None; typ.arity()])
        }
        MirRelationExpr::Get { id, typ } => {
            let (name, columns) = match id {
                Id::Local(id) => (id.to_string(), bindings.columns.get(id).cloned()),
                Id::Global(id) => (explain.object(*id), Some(explain.object_columns(*id))),
            };
            let mut columns = columns.unwrap_or_default();
            columns.resize(typ.arity(), None);
            (Node::new("Get").head(&name).field("id", name), columns)
        }
        MirRelationExpr::Project { outputs, .. } => {
            let list = scalars.columns(outputs.iter().copied());
            let columns = outputs.iter().map(|c| input.get(*c).cloned().flatten()).collect();
            (Node::new("Project").head(format!("({})", list.join(", "))).field("outputs", list), columns)
        }
        MirRelationExpr::Map { input: plan, scalars: exprs } => {
            let (list, columns) = scalars.mapped(exprs, plan.arity());
            (Node::new("Map").head(format!("({})", list.join(", "))).field("scalars", list), columns)
        }
        MirRelationExpr::FlatMap { func, exprs, .. } => {
            let args = scalars.each(exprs);
            let call = format!("{}({})", func.def().name, args.join(", "));
            let mut columns = input.to_vec();
            columns.extend(func.desc().names().iter().map(|n| Some(n.to_string())));
            let node = Node::new("FlatMap").head(call).field("function", func.def().name);
            (node.field("arguments", args), explain.named(columns))
        }
        MirRelationExpr::Filter { predicates, .. } => {
            let list = scalars.each(predicates);
            (Node::new("Filter").head(list.join(" AND ")).field("predicates", list), input.to_vec())
        }
        MirRelationExpr::Join { equivalences, implementation, .. } => {
            let columns = below.concat();
            (join(equivalences, implementation, below, explain.scalars(&columns), explain), columns)
        }
        MirRelationExpr::Reduce { group_key, aggregates, monotonic, expected_group_size, .. } => {
            let columns = reduced(group_key, aggregates, input, explain);
            let key = scalars.each(group_key);
            let size = expected_group_size.map(|s| s.to_string());
            if aggregates.is_empty() {
                let text = format!("project=[{}]", key.join(", "));
                let node = Node::new("Distinct").head(text).field("project", key);
                return (node.flag("monotonic", *monotonic).value("exp_group_size", size), columns);
            }
            let list: Vec<String> = aggregates.iter().map(|a| scalars.aggregate(a)).collect();
            let node = Node::new("Reduce").list("group_by", key).list("aggregates", list);
            (node.flag("monotonic", *monotonic).value("exp_group_size", size), columns)
        }
        MirRelationExpr::TopK {
            group_key, order_key, limit, offset, monotonic, expected_group_size, ..
        } => {
            let node = Node::new("TopK")
                .list("group_by", scalars.columns(group_key.iter().copied()))
                .list("order_by", order_key.iter().map(|o| scalars.order(o)).collect())
                .value("limit", limit.as_ref().map(|l| scalars.text(l)))
                .value("offset", (*offset > 0).then(|| offset.to_string()))
                .flag("monotonic", *monotonic)
                .value("exp_group_size", expected_group_size.map(|s| s.to_string()));
            (node, input.to_vec())
        }
        MirRelationExpr::Negate { .. } => (Node::new("Negate"), input.to_vec()),
        MirRelationExpr::Threshold { .. } => (Node::new("Threshold"), input.to_vec()),
        MirRelationExpr::Union { .. } => {
            // A name that all inputs agree on, NULLs aside: the first input's.
            (Node::new("Union"), input.to_vec())
        }
        MirRelationExpr::ArrangeBy { keys, .. } => {
            let keys = keys.iter().map(|k| format!("[{}]", scalars.list(k))).collect();
            (Node::new("ArrangeBy").list("keys", keys), input.to_vec())
        }
        MirRelationExpr::Let { .. } | MirRelationExpr::LetRec { .. } => (Node::new("With"), vec![]),
    }
}

/// Rows, or an error.
fn constant(
    rows: &Result<Vec<(Row, Diff)>, hw_expr::EvalError>,
    types: &[ColumnType],
    scalars: Scalars<'_>,
) -> Node {
    let rows = match rows {
        Err(e) => {
            return Node::new("Error").head(format!("{:?}", e.to_string())).field("message", e.to_string());
        }
        Ok(rows) => rows,
    };
    if rows.is_empty() {
        return Node::new("Constant").head("<empty>").field("rows", Value::Array(vec![]));
    }
    let shown = |row: &Row| -> Vec<String> {
        row.iter().zip(types).map(|(d, t)| scalars.literal(d, &t.scalar_type)).collect()
    };
    let mut node = Node::new("Constant");
    let mut json = vec![];
    for (row, diff) in rows.iter().take(MAX_ROWS) {
        let times = if *diff == 1 { String::new() } else { format!(" x {diff}") };
        let values = shown(row);
        node = node.line(format!("- ({}){times}", values.join(", ")));
        json.push(serde_json::json!({ "values": values, "count": diff }));
    }
    if rows.len() > MAX_ROWS {
        node = node.line(format!("- … {} more", rows.len() - MAX_ROWS)).field("row_count", rows.len());
    }
    node.field("rows", json)
}

fn join(
    classes: &[Vec<MirScalarExpr>],
    implementation: &JoinImplementation,
    below: &[Columns],
    scalars: Scalars<'_>,
    explain: &Explain<'_>,
) -> Node {
    let list: Vec<Vec<String>> = classes.iter().map(|c| scalars.each(c)).collect();
    let unordered = *implementation == JoinImplementation::Unimplemented;
    let node = Node::new(if unordered && list.is_empty() { "CrossJoin" } else { "Join" });
    let on: Vec<String> = list.iter().map(|c| c.join(" = ")).collect();
    let node = if on.is_empty() { node } else { node.head(format!("on=({})", on.join(" AND "))) };
    let node = node.field("equivalences", list.into_iter().map(Value::from).collect::<Vec<_>>());
    let path = |order: &[(usize, Vec<MirScalarExpr>)]| {
        let step = |(i, key): &(usize, Vec<MirScalarExpr>)| {
            format!("%{i}[{}]", scalars.over(below.get(*i).map_or(&[], Vec::as_slice)).list(key))
        };
        order.iter().map(step).collect::<Vec<_>>().join(" » ")
    };
    let (kind, paths): (&str, Vec<String>) = match implementation {
        JoinImplementation::Unimplemented => return node,
        JoinImplementation::Linear(order) => ("linear", vec![path(order)]),
        JoinImplementation::Delta(orders) => {
            ("delta", orders.iter().enumerate().map(|(i, o)| format!("%{i}: {}", path(o))).collect())
        }
    };
    let node = node.head(format!("type={kind}")).field("type", kind).field("implementation", paths.clone());
    match explain.has(ExplainOption::JoinImplementations) {
        true => node.line("implementation").lines(paths.into_iter().map(|p| format!("  {p}"))),
        false => node,
    }
}

/// The names of a reduction's columns: of keys that are columns, and of aggregates after what they are of.
fn reduced(
    key: &[MirScalarExpr],
    aggregates: &[AggregateExpr],
    input: &[Option<String>],
    explain: &Explain<'_>,
) -> Columns {
    let named = |e: &MirScalarExpr| match e {
        MirScalarExpr::Column(c) => input.get(*c).cloned().flatten(),
        _ => None,
    };
    let aggregate = |a: &AggregateExpr| match &a.func {
        AggregateFunc::Def(def, _) => Some(match a.args.first().and_then(named) {
            Some(of) => format!("{}_{of}", def.name),
            None => def.name.to_owned(),
        }),
        AggregateFunc::Window(_) => None,
    };
    let columns = key.iter().map(named).chain(aggregates.iter().map(aggregate)).collect();
    explain.named(columns)
}

fn attributes(
    node: &mut Node,
    e: &MirRelationExpr,
    explain: &Explain<'_>,
    bindings: &Bindings,
    columns: &[Option<String>],
    classes: &analysis::equivalences::Classes,
) {
    let scalars = explain.scalars(columns);
    if explain.has(ExplainOption::SubtreeSize) {
        node.attribute("subtree_size", node.size().into());
    }
    if explain.has(ExplainOption::NonNegative) {
        node.attribute("non_negative", analysis::is_non_negative(e, &bindings.non_negative).into());
    }
    if explain.has(ExplainOption::Arity) {
        node.attribute("arity", e.arity().into());
    }
    if explain.has(ExplainOption::Types) {
        let shown = |t: &ColumnType| format!("{}{}", t.scalar_type, if t.nullable { "?" } else { "" });
        node.attribute("types", e.column_types().iter().map(shown).collect::<Vec<_>>().into());
    }
    if explain.has(ExplainOption::Keys) {
        let keys = analysis::keys(e).into_iter().map(|k| format!("[{}]", scalars.columns(k).join(", ")));
        node.attribute("keys", keys.collect::<Vec<_>>().into());
    }
    if explain.has(ExplainOption::ColumnNames) {
        let names = columns.iter().enumerate().map(|(i, n)| n.clone().unwrap_or_else(|| format!("#{i}")));
        node.attribute("column_names", names.collect::<Vec<_>>().into());
    }
    if explain.has(ExplainOption::Equivalences) {
        let shown = classes.iter().map(|c| scalars.each(c).join(" = "));
        node.attribute("equivalences", shown.collect::<Vec<_>>().into());
    }
}
