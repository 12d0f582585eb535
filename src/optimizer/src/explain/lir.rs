//! LIR as a tree to be shown, with the names of columns as far as they are known.

use std::collections::BTreeMap;

use hw_expr::{AggregateFunc, Id, MirScalarExpr};
use hw_plan::lir::{GetAccess, JoinPath, JoinPlan, Key, ReducePlan};
use hw_plan::temporal::MfpPlan;
use hw_plan::{DataflowDescription, ExportKind, Lir};
use hw_repr::{ColumnType, GlobalId, Row};
use serde_json::{Value, json};

use super::known::Known;
use super::node::Node;
use super::scalar::{Columns, Scalars};
use super::{Explain, ExplainOption};

/// A dataflow that is shown: what it builds, what it reads, and as what it leaves.
pub(super) struct Dataflow {
    pub(super) objects: Vec<(String, Node)>,
    pub(super) imports: Vec<Node>,
    pub(super) exports: Vec<Node>,
}

/// A dataflow as trees.
pub(super) fn dataflow(d: &DataflowDescription, explain: &Explain<'_>) -> Dataflow {
    let mut writer = Writer { explain, names: BTreeMap::new() };
    let mut imports = vec![];
    for (id, import) in &d.source_imports {
        let name = explain.object(*id);
        let columns = Known::of(import.desc.typ(), explain.object_columns(*id));
        let (lines, fields, columns) = mfp(&import.mfp, &columns, explain);
        let mut node = Node::new("Source").head(&name).field("id", name).flag("monotonic", import.monotonic);
        for (name, value) in fields {
            node = node.field(name, value);
        }
        imports.push(node.lines(lines));
        writer.names.insert(Id::Global(*id), columns);
    }
    for (id, import) in &d.index_imports {
        let columns = Known::of(&import.typ, explain.object_columns(import.on_id));
        let key = explain.scalars(&columns.names).each(&import.key);
        let (name, on) = (explain.object(*id), explain.object(import.on_id));
        let node = Node::new("UsedIndex").head(format!("{name} on {on}")).field("id", name).field("on", on);
        imports.push(node.list("key", key).flag("monotonic", import.monotonic));
        writer.names.insert(Id::Global(import.on_id), columns);
    }
    let mut objects = vec![];
    for (id, plan) in &d.objects {
        let (node, columns) = writer.write(plan);
        objects.push((explain.object(*id), node));
        writer.names.insert(Id::Global(*id), columns);
    }
    let exports = d.exports.iter().filter(|(id, _)| !matches!(id, GlobalId::Transient(_)));
    let exports = exports.map(|(id, export)| {
        let columns: Columns = export.desc.names().iter().map(|n| Some(n.to_string())).collect();
        let columns = explain.named(columns);
        let name = explain.object(*id);
        match &export.kind {
            ExportKind::Index { key } => {
                let on = explain.object(export.on_id);
                let node = Node::new("Index").head(format!("{name} on {on}")).field("id", name);
                node.field("on", on).list("key", explain.scalars(&columns).each(key))
            }
            ExportKind::MaterializedView { .. } => {
                Node::new("MaterializedView").head(&name).field("id", name)
            }
            ExportKind::Subscribe { .. } => Node::new("Subscribe").head(&name).field("id", name),
        }
    });
    Dataflow { objects, imports, exports: exports.collect() }
}

/// A map-filter-project: lines of text, the same as JSON, and what it gives.
pub(super) fn mfp(
    plan: &MfpPlan,
    input: &Known,
    explain: &Explain<'_>,
) -> (Vec<String>, Vec<(&'static str, Value)>, Known) {
    let m = &plan.mfp;
    let (map, columns) = explain.scalars(&input.names).mapped(&m.expressions, m.input_arity);
    let scalars = explain.scalars(&columns);
    let (mut lines, mut fields) = (vec![], vec![]);
    let all = m.projection.iter().copied().eq(0..m.input_arity + m.expressions.len());
    let mut part = |name: &'static str, items: Vec<String>, by: &str| {
        if !items.is_empty() || name == "project" {
            lines.push(format!("{name}=({})", items.join(by)));
            fields.push((name, Value::from(items)));
        }
    };
    if !all {
        part("project", scalars.columns(m.projection.iter().copied()), ", ");
    }
    part("filter", m.predicates.iter().map(|(_, p)| scalars.text(p)).collect(), " AND ");
    part("map", map, ", ");
    part("present_from", scalars.each(&plan.lower_bounds), ", ");
    part("present_until", scalars.each(&plan.upper_bounds), ", ");
    (lines, fields, input.applied(plan, &columns))
}

struct Writer<'a> {
    explain: &'a Explain<'a>,
    names: BTreeMap<Id, Known>,
}

impl Writer<'_> {
    fn write(&mut self, e: &Lir) -> (Node, Known) {
        stacker::maybe_grow(128 << 10, 2 << 20, || self.write_here(e))
    }

    fn with_mfp(&self, node: Node, plan: &MfpPlan, input: &Known) -> (Node, Known) {
        let (lines, fields, columns) = mfp(plan, input, self.explain);
        let node = fields.into_iter().fold(node.lines(lines), |node, (name, value)| node.field(name, value));
        (node, columns)
    }

    fn write_here(&mut self, e: &Lir) -> (Node, Known) {
        let explain = self.explain;
        let (mut node, columns) = match e {
            Lir::Constant { rows: Ok(rows) } => {
                let arity = rows.first().map_or(0, |(row, _)| row.iter().count());
                let text = format!("({} rows)", rows.len());
                (Node::new("Constant").head(text).field("row_count", rows.len()), Known::unknown(arity))
            }
            Lir::Constant { rows: Err(e) } => {
                let node = Node::new("Error").head(format!("{:?}", e.to_string()));
                (node.field("message", e.to_string()), Known::default())
            }
            Lir::Get { id, access } => self.get(*id, access),
            Lir::Let { id, value, body } => {
                let (value, columns) = self.write(value);
                self.names.insert(Id::Local(*id), columns);
                let (body, columns) = self.write(body);
                return (Node::bindings(false, vec![(id.to_string(), value)], body), columns);
            }
            Lir::LetRec { ids, values, body, .. } => {
                let bound =
                    ids.iter().zip(values).map(|(id, value)| (id.to_string(), self.write(value).0)).collect();
                let (body, columns) = self.write(body);
                return (Node::bindings(true, bound, body), columns);
            }
            Lir::Mfp { input, input_key, input_arity, mfp } => {
                let (input, columns) = self.write(input);
                let columns = columns.sized(*input_arity);
                let scalars = explain.scalars(&columns.names);
                let mut node = Node::new("Mfp");
                if let Some((key, literal)) = input_key {
                    node = node
                        .list("input_key", scalars.each(key))
                        .value("lookup", looked_up(literal, scalars));
                }
                let (node, out) = self.with_mfp(node, mfp, &columns);
                (node.input(input), out)
            }
            Lir::FlatMap { input, func, exprs, mfp } => {
                let (input, columns) = self.write(input);
                let width = mfp.mfp.input_arity.saturating_sub(func.desc().arity());
                let columns = columns.sized(width);
                let args = explain.scalars(&columns.names).each(exprs);
                let node = Node::new("FlatMap").head(format!("{}({})", func.def().name, args.join(", ")));
                let node = node.field("function", func.def().name).field("arguments", args);
                let names = func.desc().names().iter().map(|n| Some(n.to_string())).collect();
                let columns = columns.with_function(func, explain.named(names));
                let (node, out) = self.with_mfp(node, mfp, &columns);
                (node.input(input), out)
            }
            Lir::Join { inputs, input_arities, plan } => {
                let (nodes, columns): (Vec<Node>, Vec<Known>) = inputs.iter().map(|i| self.write(i)).unzip();
                let columns: Vec<Known> =
                    columns.into_iter().zip(input_arities).map(|(c, a)| c.sized(*a)).collect();
                let (node, out) = self.join(plan, &columns);
                (node.inputs(nodes), out)
            }
            Lir::Reduce { input, input_arity, key, plan, .. } => {
                let (input, columns) = self.write(input);
                let columns = columns.sized(*input_arity);
                let (node, out) = self.reduce(key, plan, &columns);
                (node.input(input), out)
            }
            Lir::TopK { input, plan } => {
                let (input, columns) = self.write(input);
                let columns = columns.sized(plan.column_types.len());
                let scalars = explain.scalars(&columns.names);
                let levels = (!plan.buckets.is_empty()).then(|| plan.buckets.len().to_string());
                let node = Node::new("TopK")
                    .list("group_by", scalars.columns(plan.group_key.iter().copied()))
                    .list("order_by", plan.order_key.iter().map(|o| scalars.order(o)).collect())
                    .value("limit", plan.limit.as_ref().map(|l| scalars.text(l)))
                    .value("offset", (plan.offset > 0).then(|| plan.offset.to_string()))
                    .flag("monotonic", plan.monotonic)
                    .value("levels", levels);
                (node.input(input), columns)
            }
            Lir::Negate { input } => {
                let (input, columns) = self.write(input);
                (Node::new("Negate").input(input), columns.without_keys())
            }
            Lir::Threshold { input, .. } => {
                let (input, columns) = self.write(input);
                (Node::new("Threshold").input(input), columns)
            }
            Lir::Union { inputs, consolidate } => {
                let (nodes, columns): (Vec<Node>, Vec<Known>) = inputs.iter().map(|i| self.write(i)).unzip();
                let node = Node::new("Union").flag("consolidate", *consolidate).inputs(nodes);
                (node, union(columns))
            }
            Lir::ArrangeBy { input, arity, keys, input_key } => {
                let (input, columns) = self.write(input);
                let columns = columns.sized(*arity);
                let scalars = explain.scalars(&columns.names);
                let keys = keys.iter().map(|k| format!("[{}]", scalars.list(k))).collect();
                let mut node = Node::new("ArrangeBy").list("keys", keys);
                if let Some(key) = input_key {
                    node = node.list("input_key", scalars.each(key));
                }
                (node.input(input), columns)
            }
        };
        attributes(&mut node, &columns, explain);
        (node, columns)
    }

    fn get(&mut self, id: Id, access: &GetAccess) -> (Node, Known) {
        let name = match id {
            Id::Local(id) => id.to_string(),
            Id::Global(id) => self.explain.object(id),
        };
        let columns = self.names.get(&id).cloned().unwrap_or_default();
        let node = |operator| Node::new(operator).head(&name).field("id", name.clone());
        match access {
            GetAccess::PassThrough => (node("Get::PassThrough"), columns),
            GetAccess::Collection(mfp) => {
                let columns = columns.sized(mfp.mfp.input_arity);
                self.with_mfp(node("Get::Collection"), mfp, &columns)
            }
            GetAccess::Arrangement(key, literal, mfp) => {
                let columns = columns.sized(mfp.mfp.input_arity);
                let scalars = self.explain.scalars(&columns.names);
                let node = node("Get::Arrangement").list("key", scalars.each(key));
                let node = node.value("lookup", looked_up(literal, scalars));
                self.with_mfp(node, mfp, &columns)
            }
        }
    }

    fn join(&self, plan: &JoinPlan, inputs: &[Known]) -> (Node, Known) {
        let (operator, paths) = match plan {
            JoinPlan::Linear(path) => ("Join::Linear", std::slice::from_ref(path)),
            JoinPlan::Delta(paths) => ("Join::Delta", paths.as_slice()),
        };
        let mut node = Node::new(operator);
        let (mut json, mut out) = (vec![], Known::default());
        for path in paths {
            let (lines, value, columns) = self.path(path, inputs);
            node = node.lines(lines);
            json.push(value);
            out = columns;
        }
        (node.field("paths", json), out)
    }

    fn path(&self, path: &JoinPath, inputs: &[Known]) -> (Vec<String>, Value, Known) {
        let explain = self.explain;
        let none = Known::default();
        let of = |i: usize| inputs.get(i).unwrap_or(&none);
        let source = of(path.source);
        let key = path.source_key.as_ref().map(|k| explain.scalars(&source.names).list(k));
        let mut lines =
            vec![format!("from %{}{}", path.source, key.map_or(String::new(), |k| format!(" key=[{k}]")))];
        let (initial, _, mut stream) = mfp(&path.initial, source, explain);
        if !path.initial.is_identity() {
            lines.extend(initial.iter().map(|l| format!("  {l}")));
        }
        let mut stages = vec![];
        for stage in &path.stages {
            let stream_key = explain.scalars(&stream.names).list(&stage.stream_key);
            let lookup_key = explain.scalars(&of(stage.input).names).list(&stage.lookup_key);
            lines.push(format!("  lookup %{} [{lookup_key}] by [{stream_key}]", stage.input));
            let columns = stream.sized(stage.stream_arity).followed_by(of(stage.input));
            let (more, fields, next) = mfp(&stage.mfp, &columns, explain);
            lines.extend(more.iter().map(|l| format!("    {l}")));
            let mut value =
                json!({ "input": stage.input, "lookup_key": lookup_key, "stream_key": stream_key });
            for (name, field) in fields {
                value[name] = field;
            }
            stages.push(value);
            stream = next;
        }
        let value = json!({ "source": path.source, "initial": initial, "stages": stages });
        (lines, value, stream)
    }

    fn reduce(&self, key: &Key, plan: &ReducePlan, input: &Known) -> (Node, Known) {
        let scalars = self.explain.scalars(&input.names);
        let mut names: Columns = key
            .iter()
            .map(|k| match k {
                MirScalarExpr::Column(c) => input.names.get(*c).cloned().flatten(),
                _ => None,
            })
            .collect();
        let mut aggregates: BTreeMap<usize, (Option<String>, ColumnType)> = BTreeMap::new();
        let operator = match plan {
            ReducePlan::Distinct => "Reduce::Distinct",
            ReducePlan::Accumulable(_) => "Reduce::Accumulable",
            ReducePlan::Hierarchical(_) => "Reduce::Hierarchical",
            ReducePlan::Basic(_) => "Reduce::Basic",
            ReducePlan::Collation { .. } => "Reduce::Collation",
        };
        let node = Node::new(operator).list("key", scalars.each(key));
        let node = parts(node, plan, scalars, &mut aggregates);
        let mut types: Vec<Option<ColumnType>> = key.iter().map(|k| input.typ(k)).collect();
        for (name, typ) in aggregates.into_values() {
            names.push(name);
            types.push(Some(typ));
        }
        let keys = vec![(0..key.len()).collect()];
        (node, Known { names: self.explain.named(names), types, keys })
    }
}

/// The parts of a reduction; notes the names of its aggregates.
fn parts(
    node: Node,
    plan: &ReducePlan,
    scalars: Scalars<'_>,
    names: &mut BTreeMap<usize, (Option<String>, ColumnType)>,
) -> Node {
    let mut shown = |list: &[(usize, hw_expr::AggregateExpr)]| -> Vec<String> {
        for (at, a) in list {
            let name = match &a.func {
                AggregateFunc::Def(def, _) => Some(def.name.to_owned()),
                AggregateFunc::Window(_) => None,
            };
            names.insert(*at, (name, a.typ()));
        }
        list.iter().map(|(_, a)| scalars.aggregate(a)).collect()
    };
    match plan {
        ReducePlan::Distinct => node,
        ReducePlan::Accumulable(p) => {
            let (simple, distinct) = (shown(&p.simple), shown(&p.distinct));
            node.list("simple", simple).list("distinct", distinct)
        }
        ReducePlan::Hierarchical(p) => {
            let plain: Vec<_> = p.aggregates.iter().map(|(at, a, _)| (*at, a.clone())).collect();
            let levels = (!p.buckets.is_empty()).then(|| p.buckets.len().to_string());
            node.list("extrema", shown(&plain)).flag("monotonic", p.monotonic).value("levels", levels)
        }
        ReducePlan::Basic(p) => node.list("basic", shown(&p.aggregates)),
        ReducePlan::Collation { accumulable, hierarchical, basic, .. } => {
            let plans = [
                accumulable.clone().map(ReducePlan::Accumulable),
                hierarchical.clone().map(ReducePlan::Hierarchical),
                basic.clone().map(ReducePlan::Basic),
            ];
            plans.iter().flatten().fold(node, |node, plan| parts(node, plan, scalars, names))
        }
    }
}

fn looked_up(literal: &Option<Row>, scalars: Scalars<'_>) -> Option<String> {
    literal.as_ref().map(|row| scalars.key_value(row))
}

/// What a union's inputs have in common; names are those of the first.
fn union(inputs: Vec<Known>) -> Known {
    let both = |a: Known, b: Known| {
        let common = |(a, b): (Option<ColumnType>, Option<ColumnType>)| {
            let (a, b) = (a?, b?);
            let typ = if a.scalar_type == b.scalar_type {
                a.scalar_type
            } else {
                a.scalar_type.without_modifiers()
            };
            Some(typ.nullable(a.nullable || b.nullable))
        };
        Known { names: a.names, types: a.types.into_iter().zip(b.types).map(common).collect(), keys: vec![] }
    };
    inputs.into_iter().reduce(both).unwrap_or_default()
}

fn attributes(node: &mut Node, known: &Known, explain: &Explain<'_>) {
    if explain.has(ExplainOption::SubtreeSize) {
        node.attribute("subtree_size", node.size().into());
    }
    if explain.has(ExplainOption::Arity) {
        node.attribute("arity", known.names.len().into());
    }
    if explain.has(ExplainOption::Types) {
        let shown = known.types.iter().map(|t| match t {
            Some(t) => format!("{}{}", t.scalar_type, if t.nullable { "?" } else { "" }),
            None => "unknown".to_owned(),
        });
        node.attribute("types", shown.collect::<Vec<_>>().into());
    }
    if explain.has(ExplainOption::Keys) {
        let scalars = explain.scalars(&known.names);
        let keys = known.keys.iter().map(|k| format!("[{}]", scalars.columns(k.iter().copied()).join(", ")));
        node.attribute("keys", keys.collect::<Vec<_>>().into());
    }
    if explain.has(ExplainOption::ColumnNames) {
        let names = known.names.iter().enumerate().map(|(i, n)| n.clone().unwrap_or_else(|| format!("#{i}")));
        node.attribute("column_names", names.collect::<Vec<_>>().into());
    }
}
