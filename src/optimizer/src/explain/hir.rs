//! HIR as a tree to be shown: the query as it was planned, correlated.
//!
//! A column of an enclosing scope is `#^0`, with one `^` for each scope out. A subquery in an expression is `subquery-n` and stands
//! below the operator that uses it.

use std::collections::BTreeMap;

use hw_expr::hir::{HirAggregateExpr, JoinKind, OuterTypes, WindowExpr};
use hw_expr::window::{FrameBound, FrameExclusion, FrameUnits};
use hw_expr::{AggregateFunc, HirRelationExpr, HirScalarExpr, Id, LocalId};
use hw_repr::ColumnType;

use super::node::Node;
use super::scalar::{Columns, aggregate_text, call, context_function, joined, order_text, window_name};
use super::{Explain, ExplainOption};

/// A plan as a tree.
pub(super) fn node(expr: &HirRelationExpr, explain: &Explain<'_>) -> Node {
    let mut writer = Writer {
        explain,
        scopes: vec![],
        types: vec![],
        own: vec![],
        bindings: BTreeMap::new(),
        subqueries: 0,
    };
    writer.relation(expr).0
}

struct Writer<'a> {
    explain: &'a Explain<'a>,
    /// The columns of the enclosing scopes, outermost first.
    scopes: Vec<Columns>,
    /// Their types, if those are shown.
    types: OuterTypes,
    /// The types of the columns of the operator whose expressions are written, likewise.
    own: Vec<ColumnType>,
    bindings: BTreeMap<LocalId, (String, Columns)>,
    subqueries: usize,
}

/// Subqueries that an operator's expressions have: name and plan.
type Subqueries = Vec<(String, Node)>;

impl Writer<'_> {
    fn relation(&mut self, e: &HirRelationExpr) -> (Node, Columns) {
        stacker::maybe_grow(256 << 10, 4 << 20, || match e {
            HirRelationExpr::Let { name, id, value, body } => {
                let (value, columns) = self.relation(value);
                self.bindings.insert(*id, (name.clone(), columns));
                let (body, columns) = self.relation(body);
                (Node::bindings(false, vec![(name.clone(), value)], body), columns)
            }
            HirRelationExpr::LetRec { bindings, limit, body } => {
                for (name, id, _, typ) in bindings {
                    self.bindings.insert(*id, (name.clone(), vec![None; typ.arity()]));
                }
                let limit = limit.map_or(String::new(), |l| {
                    let how = if l.return_at_limit { " return_at_limit" } else { "" };
                    format!(" [recursion_limit={}{how}]", l.max_iters)
                });
                let bound = bindings
                    .iter()
                    .map(|(name, _, value, _)| (format!("{name}{limit}"), self.relation(value).0))
                    .collect();
                let (body, columns) = self.relation(body);
                (Node::bindings(true, bound, body), columns)
            }
            _ => self.operator(e),
        })
    }

    fn operator(&mut self, e: &HirRelationExpr) -> (Node, Columns) {
        if let HirRelationExpr::Join { left, right, on, kind } = e {
            return self.join(e, left, right, on, *kind);
        }
        let (inputs, columns): (Vec<Node>, Vec<Columns>) =
            e.inputs().into_iter().map(|(_, input)| self.relation(input)).unzip();
        let mut subqueries = vec![];
        self.own = match (e, e.inputs().first()) {
            (HirRelationExpr::Map { .. }, _) => self.types_of(e),
            (_, Some((_, input))) => self.types_of(input),
            _ => vec![],
        };
        let input: &[Option<String>] = columns.first().map_or(&[], Vec::as_slice);
        let (mut node, columns) = self.head(e, input, &mut subqueries);
        self.attributes(&mut node, e, &columns);
        let node = node.inputs(inputs);
        (under(node, subqueries), columns)
    }

    fn join(
        &mut self,
        whole: &HirRelationExpr,
        left: &HirRelationExpr,
        right: &HirRelationExpr,
        on: &HirScalarExpr,
        kind: JoinKind,
    ) -> (Node, Columns) {
        let types = self.types_of(left);
        let (left, mut columns) = self.relation(left);
        self.scopes.push(columns.clone());
        self.types.push(types);
        let (right, more) = self.relation(right);
        self.scopes.pop();
        self.types.pop();
        columns.extend(more);
        let mut subqueries = vec![];
        self.own = self.types_of(whole);
        let name = match kind {
            JoinKind::Inner if on.as_literal() == Some(hw_repr::Datum::Bool(true)) => "CrossJoin",
            JoinKind::Inner => "InnerJoin",
            JoinKind::LeftOuter => "LeftOuterJoin",
            JoinKind::RightOuter => "RightOuterJoin",
            JoinKind::FullOuter => "FullOuterJoin",
        };
        let mut node = Node::new(name);
        if name != "CrossJoin" {
            let on = self.scalar(on, &columns, &mut subqueries);
            node = node.head(&on).field("on", on);
        }
        self.attributes(&mut node, whole, &columns);
        (under(node.input(left).input(right), subqueries), columns)
    }

    fn head(
        &mut self,
        e: &HirRelationExpr,
        input: &[Option<String>],
        sub: &mut Subqueries,
    ) -> (Node, Columns) {
        let same = || input.to_vec();
        let scalars = self.explain.scalars(input);
        match e {
            HirRelationExpr::Constant { rows, typ } => {
                let empty = rows.is_empty();
                let row = |row: &hw_repr::Row| {
                    let values: Vec<String> = row
                        .iter()
                        .zip(&typ.column_types)
                        .map(|(d, t)| scalars.literal(d, &t.scalar_type))
                        .collect();
                    format!("({})", values.join(", "))
                };
                let rows: Vec<String> = rows.iter().map(row).collect();
                let lines: Vec<String> = rows.iter().map(|r| format!("- {r}")).collect();
                let node = Node::new("Constant").head(if empty { "<empty>" } else { "" });
                (node.lines(lines).field("rows", rows), vec![None; typ.arity()])
            }
            HirRelationExpr::Get { id, typ } => {
                let (name, mut columns) = match id {
                    Id::Local(id) => {
                        self.bindings.get(id).cloned().unwrap_or_else(|| (id.to_string(), vec![]))
                    }
                    Id::Global(id) => (self.explain.object(*id), self.explain.object_columns(*id)),
                };
                columns.resize(typ.arity(), None);
                (Node::new("Get").head(&name).field("id", name), columns)
            }
            HirRelationExpr::Project { outputs, .. } => {
                let list = scalars.columns(outputs.iter().copied());
                let columns = outputs.iter().map(|c| input.get(*c).cloned().flatten()).collect();
                (Node::new("Project").head(format!("({})", list.join(", "))).field("outputs", list), columns)
            }
            HirRelationExpr::Map { scalars: exprs, .. } => {
                let mut columns = same();
                let mut list = vec![];
                for e in exprs {
                    list.push(self.scalar(e, &columns, sub));
                    columns.push(match e {
                        HirScalarExpr::Column(c) if c.level == 0 => columns.get(c.column).cloned().flatten(),
                        _ => None,
                    });
                }
                (Node::new("Map").head(format!("({})", list.join(", "))).field("scalars", list), columns)
            }
            HirRelationExpr::CallTable { func, exprs } => {
                let args: Vec<String> = exprs.iter().map(|e| self.scalar(e, &[], sub)).collect();
                let name = func.def().name;
                let columns = func.desc().names().iter().map(|n| Some(n.to_string())).collect();
                let node = Node::new("CallTable").head(format!("{name}({})", args.join(", ")));
                (node.field("function", name).field("arguments", args), self.explain.named(columns))
            }
            HirRelationExpr::Filter { predicates, .. } => {
                let list: Vec<String> = predicates.iter().map(|p| self.scalar(p, input, sub)).collect();
                (Node::new("Filter").head(list.join(" AND ")).field("predicates", list), same())
            }
            HirRelationExpr::Reduce { group_key, aggregates, expected_group_size, .. } => {
                let key = scalars.columns(group_key.iter().copied());
                let list: Vec<String> = aggregates.iter().map(|a| self.aggregate(a, input, sub)).collect();
                let columns = group_key
                    .iter()
                    .map(|c| input.get(*c).cloned().flatten())
                    .chain(aggregates.iter().map(|a| match &a.func {
                        AggregateFunc::Def(def, _) => Some(def.name.to_owned()),
                        AggregateFunc::Window(_) => None,
                    }))
                    .collect();
                let node = Node::new("Reduce").list("group_by", key).list("aggregates", list);
                let size = expected_group_size.map(|s| s.to_string());
                (node.value("exp_group_size", size), self.explain.named(columns))
            }
            HirRelationExpr::TopK { group_key, order_key, limit, offset, expected_group_size, .. } => {
                let mut text =
                    |e: &Option<Box<HirScalarExpr>>| e.as_ref().map(|e| self.scalar(e, input, sub));
                let (limit, offset) = (text(limit), text(offset));
                let node = Node::new("TopK")
                    .list("group_by", scalars.columns(group_key.iter().copied()))
                    .list("order_by", order_key.iter().map(|o| scalars.order(o)).collect())
                    .value("limit", limit)
                    .value("offset", offset)
                    .value("exp_group_size", expected_group_size.map(|s| s.to_string()));
                (node, same())
            }
            HirRelationExpr::Distinct { .. } => (Node::new("Distinct"), same()),
            HirRelationExpr::Negate { .. } => (Node::new("Negate"), same()),
            HirRelationExpr::Threshold { .. } => (Node::new("Threshold"), same()),
            HirRelationExpr::Union { .. } => (Node::new("Union"), same()),
            HirRelationExpr::Let { .. } | HirRelationExpr::LetRec { .. } | HirRelationExpr::Join { .. } => {
                (Node::new("With"), vec![])
            }
        }
    }

    /// The types of a relation's columns, if they are shown.
    fn types_of(&mut self, e: &HirRelationExpr) -> Vec<ColumnType> {
        if self.explain.has(ExplainOption::Types) { e.column_types(&mut self.types) } else { vec![] }
    }

    fn attributes(&mut self, node: &mut Node, e: &HirRelationExpr, columns: &[Option<String>]) {
        if self.explain.has(ExplainOption::Arity) {
            node.attribute("arity", columns.len().into());
        }
        if self.explain.has(ExplainOption::Types) {
            let shown = |t: &ColumnType| format!("{}{}", t.scalar_type, if t.nullable { "?" } else { "" });
            node.attribute("types", self.types_of(e).iter().map(shown).collect::<Vec<_>>().into());
        }
        if self.explain.has(ExplainOption::Keys) {
            let scalars = self.explain.scalars(columns);
            let keys = keys(e).into_iter().map(|k| format!("[{}]", scalars.columns(k).join(", ")));
            node.attribute("keys", keys.collect::<Vec<_>>().into());
        }
        if self.explain.has(ExplainOption::ColumnNames) {
            let names = columns.iter().enumerate().map(|(i, n)| n.clone().unwrap_or_else(|| format!("#{i}")));
            node.attribute("column_names", names.collect::<Vec<_>>().into());
        }
    }

    fn column(&self, level: usize, c: usize, own: &[Option<String>]) -> String {
        let columns = match level {
            0 => Some(own),
            level => self.scopes.len().checked_sub(level).map(|i| self.scopes[i].as_slice()),
        };
        let name = columns.and_then(|columns| columns.get(c)?.as_ref());
        let name = name.map_or(String::new(), |n| format!("{{{n}}}"));
        format!("#{}{c}{name}", "^".repeat(level))
    }

    fn subquery(&mut self, r: &HirRelationExpr, own: &[Option<String>], sub: &mut Subqueries) -> String {
        self.subqueries += 1;
        let name = format!("subquery-{}", self.subqueries);
        self.scopes.push(own.to_vec());
        self.types.push(self.own.clone());
        let saved = std::mem::take(&mut self.own);
        let (node, _) = self.relation(r);
        self.own = saved;
        self.scopes.pop();
        self.types.pop();
        sub.push((name.clone(), node));
        name
    }

    fn each(&mut self, v: &[HirScalarExpr], own: &[Option<String>], sub: &mut Subqueries) -> Vec<String> {
        v.iter().map(|e| self.scalar(e, own, sub)).collect()
    }

    fn scalar(&mut self, e: &HirScalarExpr, own: &[Option<String>], sub: &mut Subqueries) -> String {
        stacker::maybe_grow(128 << 10, 2 << 20, || match e {
            HirScalarExpr::Column(c) => self.column(c.level, c.column, own),
            HirScalarExpr::Parameter(n, _) => format!("${n}"),
            HirScalarExpr::Literal(row, typ) => {
                self.explain.scalars(own).literal(row.unpack_first(), &typ.scalar_type)
            }
            HirScalarExpr::Unmaterializable(f) => context_function(f),
            HirScalarExpr::Call { func, args } => call(func, &self.each(args, own, sub)),
            HirScalarExpr::And(v) => joined(self.each(v, own, sub), " AND ", "true"),
            HirScalarExpr::Or(v) => joined(self.each(v, own, sub), " OR ", "false"),
            HirScalarExpr::Not(e) => match &**e {
                HirScalarExpr::IsNull(e) => format!("({}) IS NOT NULL", self.scalar(e, own, sub)),
                other => format!("NOT({})", self.scalar(other, own, sub)),
            },
            HirScalarExpr::IsNull(e) => format!("({}) IS NULL", self.scalar(e, own, sub)),
            HirScalarExpr::Coalesce(v) => format!("coalesce({})", self.each(v, own, sub).join(", ")),
            HirScalarExpr::If { cond, then, els } => format!(
                "case when {} then {} else {} end",
                self.scalar(cond, own, sub),
                self.scalar(then, own, sub),
                self.scalar(els, own, sub)
            ),
            HirScalarExpr::Exists(r) => format!("exists({})", self.subquery(r, own, sub)),
            HirScalarExpr::Select(r) => format!("select({})", self.subquery(r, own, sub)),
            HirScalarExpr::Windowing(w) => self.window(w, own, sub),
        })
    }

    fn aggregate(&mut self, a: &HirAggregateExpr, own: &[Option<String>], sub: &mut Subqueries) -> String {
        let args = self.each(&a.args, own, sub);
        let order = a.order_by.iter().map(|o| order_text(o, args.get(o.column).map_or("", String::as_str)));
        let order = order.collect();
        let (name, shown) = match &a.func {
            AggregateFunc::Def(def, _) => (def.name, args.len().min(def.params.len())),
            AggregateFunc::Window(_) => ("window", args.len()),
        };
        let filter = a.filter.as_ref().map(|f| self.scalar(f, own, sub));
        aggregate_text(name, a.distinct, args[..shown].join(", "), order, filter)
    }

    fn window(&mut self, w: &WindowExpr, own: &[Option<String>], sub: &mut Subqueries) -> String {
        let args = self.each(&w.args, own, sub).join(", ");
        let filter = w.filter.as_ref().map(|f| self.scalar(f, own, sub));
        let filter = filter.map_or(String::new(), |f| format!(" filter (where {f})"));
        let mut over = vec![];
        let partition = self.each(&w.partition_by, own, sub);
        if !partition.is_empty() {
            over.push(format!("partition by [{}]", partition.join(", ")));
        }
        let order: Vec<String> =
            w.order_by.iter().map(|(e, o)| order_text(o, &self.scalar(e, own, sub))).collect();
        if !order.is_empty() {
            over.push(format!("order by [{}]", order.join(", ")));
        }
        if w.frame != Default::default() {
            let offsets = self.each(&w.frame_offsets, own, sub);
            over.push(frame(w, &offsets));
        }
        format!("{}({args}){filter} over ({})", window_name(&w.func), over.join(" "))
    }
}

/// `rows between 1 preceding and current row exclude ties`
fn frame(w: &WindowExpr, offsets: &[String]) -> String {
    let units = match w.frame.units {
        FrameUnits::Rows => "rows",
        FrameUnits::Range => "range",
        FrameUnits::Groups => "groups",
    };
    let bound = |b: &FrameBound| match b {
        FrameBound::UnboundedPreceding => "unbounded preceding".to_owned(),
        FrameBound::Preceding(i) => format!("{} preceding", offsets.get(*i).map_or("", String::as_str)),
        FrameBound::CurrentRow => "current row".to_owned(),
        FrameBound::Following(i) => format!("{} following", offsets.get(*i).map_or("", String::as_str)),
        FrameBound::UnboundedFollowing => "unbounded following".to_owned(),
    };
    let exclusion = match w.frame.exclusion {
        FrameExclusion::NoOthers => "",
        FrameExclusion::CurrentRow => " exclude current row",
        FrameExclusion::Group => " exclude group",
        FrameExclusion::Ties => " exclude ties",
    };
    format!("{units} between {} and {}{exclusion}", bound(&w.frame.start), bound(&w.frame.end))
}

/// The keys that the form of a relation shows: sets of columns whose values occur once.
fn keys(e: &HirRelationExpr) -> Vec<Vec<usize>> {
    stacker::maybe_grow(64 << 10, 1 << 20, || match e {
        HirRelationExpr::Get { typ, .. } => typ.keys.clone(),
        HirRelationExpr::Constant { rows, .. } if rows.len() <= 1 => vec![vec![]],
        HirRelationExpr::Let { body, .. } => keys(body),
        HirRelationExpr::Map { input, .. }
        | HirRelationExpr::Filter { input, .. }
        | HirRelationExpr::TopK { input, .. }
        | HirRelationExpr::Threshold { input } => keys(input),
        HirRelationExpr::Project { input, outputs } => {
            let place = |c: &usize| outputs.iter().position(|o| o == c);
            keys(input).iter().filter_map(|k| k.iter().map(place).collect()).collect()
        }
        HirRelationExpr::Reduce { group_key, .. } => vec![(0..group_key.len()).collect()],
        HirRelationExpr::Distinct { input } => vec![(0..input.arity()).collect()],
        _ => vec![],
    })
}

/// Subqueries stand below the operator that uses them, before its inputs.
fn under(node: Node, subqueries: Subqueries) -> Node {
    if subqueries.is_empty() { node } else { node.named_plans(subqueries) }
}
