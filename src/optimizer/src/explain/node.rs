//! A plan as a tree that is shown: as text, one operator a line with its inputs indented below it, or as JSON.
//!
//! ```text
//! Filter (#0{a} = 5) // { arity: 2 }        {"operator": "Filter", "predicates": ["(#0{a} = 5)"], "arity": 2,
//!   Get t                                    "inputs": [{"operator": "Get", "id": "t"}]}
//! ```

use serde_json::{Map, Value, json};

/// An operator.
pub(super) struct Node {
    /// Its name.
    operator: &'static str,
    /// What follows its name in text.
    head: String,
    /// The same, part by part.
    fields: Vec<(&'static str, Value)>,
    /// Further lines below it in text.
    lines: Vec<String>,
    /// What was asked for besides.
    attributes: Vec<(&'static str, Value)>,
    /// Plans that the operator's expressions refer to by name.
    named: Vec<(String, Node)>,
    children: Children,
}

enum Children {
    Inputs(Vec<Node>),
    /// Bindings by name, and the plan in which they are used.
    Bindings {
        recursive: bool,
        bound: Vec<(String, Node)>,
        body: Box<Node>,
    },
}

impl Node {
    /// An operator without anything.
    pub(super) fn new(operator: &'static str) -> Node {
        Node {
            operator,
            head: String::new(),
            fields: vec![],
            lines: vec![],
            attributes: vec![],
            named: vec![],
            children: Children::Inputs(vec![]),
        }
    }

    /// Bindings around a plan.
    pub(super) fn bindings(recursive: bool, bound: Vec<(String, Node)>, body: Node) -> Node {
        let children = Children::Bindings { recursive, bound, body: Box::new(body) };
        Node { children, ..Node::new("With") }
    }

    /// Text after the name.
    pub(super) fn head(mut self, text: impl AsRef<str>) -> Node {
        if !text.as_ref().is_empty() {
            self.head.push(' ');
            self.head.push_str(text.as_ref());
        }
        self
    }

    /// A part, for JSON.
    pub(super) fn field(mut self, name: &'static str, value: impl Into<Value>) -> Node {
        self.fields.push((name, value.into()));
        self
    }

    /// A part that is shown as `name=[…]`, unless it is empty.
    pub(super) fn list(self, name: &'static str, items: Vec<String>) -> Node {
        if items.is_empty() {
            return self;
        }
        let text = format!("{name}=[{}]", items.join(", "));
        self.head(text).field(name, items)
    }

    /// A part that is shown as `name=value`, if it is there.
    pub(super) fn value(self, name: &'static str, value: Option<String>) -> Node {
        match value {
            None => self,
            Some(value) => self.head(format!("{name}={value}")).field(name, value),
        }
    }

    /// A part that is shown as its name, if it is so.
    pub(super) fn flag(self, name: &'static str, on: bool) -> Node {
        if on { self.head(name).field(name, true) } else { self }
    }

    /// A line below the operator.
    pub(super) fn line(mut self, text: impl Into<String>) -> Node {
        self.lines.push(text.into());
        self
    }

    /// Lines below the operator.
    pub(super) fn lines(mut self, lines: impl IntoIterator<Item = String>) -> Node {
        self.lines.extend(lines);
        self
    }

    /// Something that was asked for besides.
    pub(super) fn attribute(&mut self, name: &'static str, value: Value) {
        self.attributes.push((name, value));
    }

    /// Plans that the operator's expressions refer to by name.
    pub(super) fn named_plans(mut self, plans: Vec<(String, Node)>) -> Node {
        self.named.extend(plans);
        self
    }

    /// An input.
    pub(super) fn input(mut self, node: Node) -> Node {
        if let Children::Inputs(inputs) = &mut self.children {
            inputs.push(node);
        }
        self
    }

    /// Inputs.
    pub(super) fn inputs(self, nodes: impl IntoIterator<Item = Node>) -> Node {
        nodes.into_iter().fold(self, Node::input)
    }

    /// How many operators there are.
    pub(super) fn size(&self) -> usize {
        stacker::maybe_grow(64 << 10, 1 << 20, || match &self.children {
            Children::Inputs(inputs) => 1 + inputs.iter().map(Node::size).sum::<usize>(),
            Children::Bindings { bound, body, .. } => {
                body.size() + bound.iter().map(|(_, n)| n.size()).sum::<usize>()
            }
        })
    }

    /// As text, indented that deep.
    pub(super) fn text(&self, depth: usize) -> String {
        let mut out = String::new();
        self.write(depth, &mut out);
        out
    }

    fn write(&self, depth: usize, out: &mut String) {
        stacker::maybe_grow(64 << 10, 1 << 20, || self.write_here(depth, out));
    }

    fn write_here(&self, depth: usize, out: &mut String) {
        let pad = "  ".repeat(depth);
        match &self.children {
            Children::Bindings { recursive, bound, body } => {
                let inner = depth + usize::from(*recursive);
                if *recursive {
                    out.push_str(&format!("{pad}With Mutually Recursive\n"));
                }
                for (name, value) in bound {
                    match recursive {
                        true => out.push_str(&format!("{pad}  {name} =\n")),
                        false => out.push_str(&format!("{pad}With {name} =\n")),
                    }
                    value.write(inner + 1, out);
                }
                out.push_str(&format!("{pad}Return\n"));
                body.write(depth + 1, out);
            }
            Children::Inputs(inputs) => {
                out.push_str(&format!("{pad}{}{}{}\n", self.operator, self.head, self.attributes_text()));
                for line in &self.lines {
                    out.push_str(&format!("{pad}  {line}\n"));
                }
                for (name, plan) in &self.named {
                    out.push_str(&format!("{pad}  {name} =\n"));
                    plan.write(depth + 2, out);
                }
                for input in inputs {
                    input.write(depth + 1, out);
                }
            }
        }
    }

    fn attributes_text(&self) -> String {
        if self.attributes.is_empty() {
            return String::new();
        }
        let shown = |v: &Value| match v {
            Value::Array(items) => {
                let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                format!("\"({})\"", items.join(", "))
            }
            other => other.to_string(),
        };
        let parts: Vec<String> =
            self.attributes.iter().map(|(name, v)| format!("{name}: {}", shown(v))).collect();
        format!(" // {{ {} }}", parts.join(", "))
    }

    /// As JSON.
    pub(super) fn json(&self) -> Value {
        stacker::maybe_grow(64 << 10, 1 << 20, || match &self.children {
            Children::Bindings { recursive, bound, body } => {
                let bound: Vec<Value> =
                    bound.iter().map(|(name, node)| json!({ "name": name, "plan": node.json() })).collect();
                json!({ "operator": "With", "recursive": recursive, "bindings": bound, "body": body.json() })
            }
            Children::Inputs(inputs) => {
                let mut out = Map::new();
                out.insert("operator".into(), self.operator.into());
                for (name, value) in self.fields.iter().chain(&self.attributes) {
                    out.insert((*name).into(), value.clone());
                }
                if !self.named.is_empty() {
                    let named: Map<String, Value> =
                        self.named.iter().map(|(name, plan)| (name.clone(), plan.json())).collect();
                    out.insert("subqueries".into(), Value::Object(named));
                }
                if !inputs.is_empty() {
                    out.insert("inputs".into(), inputs.iter().map(Node::json).collect());
                }
                Value::Object(out)
            }
        })
    }
}
