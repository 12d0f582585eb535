//! Walking and changing correlated expressions.
//!
//! `depth` counts the scopes entered since the walk began. In a scalar met at some depth, a column of a lower level is
//! bound inside what is walked; a column of `level >= depth` points out of it (for a walk that began at a scalar, level
//! `depth` is that scalar's own input).

use hw_repr::{ColumnType, Row, ScalarType};

use super::{ColumnRef, HirAggregateExpr, HirRelationExpr, HirScalarExpr, WindowExpr};
use crate::func::Volatility;
use crate::relation::{Id, LocalId};

/// Grows the stack as needed: expressions are as deep as people write them.
fn grow<R>(f: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(64 << 10, 1 << 20, f)
}

impl WindowExpr {
    fn children(&self) -> Vec<&HirScalarExpr> {
        let order = self.order_by.iter().map(|(e, _)| e);
        let first = self.args.iter().chain(self.filter.iter().map(|f| &**f));
        first.chain(&self.partition_by).chain(order).chain(&self.frame_offsets).collect()
    }

    fn children_mut(&mut self) -> Vec<&mut HirScalarExpr> {
        let order = self.order_by.iter_mut().map(|(e, _)| e);
        let first = self.args.iter_mut().chain(self.filter.iter_mut().map(|f| &mut **f));
        first.chain(&mut self.partition_by).chain(order).chain(&mut self.frame_offsets).collect()
    }
}

impl HirAggregateExpr {
    fn children(&self) -> Vec<&HirScalarExpr> {
        self.args.iter().chain(self.filter.iter().map(|f| &**f)).collect()
    }

    fn children_mut(&mut self) -> Vec<&mut HirScalarExpr> {
        self.args.iter_mut().chain(self.filter.iter_mut().map(|f| &mut **f)).collect()
    }
}

impl HirScalarExpr {
    /// The direct scalar operands; subqueries are not entered.
    pub fn children(&self) -> Vec<&HirScalarExpr> {
        match self {
            HirScalarExpr::Column(_)
            | HirScalarExpr::Parameter(..)
            | HirScalarExpr::Literal(..)
            | HirScalarExpr::Unmaterializable(_)
            | HirScalarExpr::Exists(_)
            | HirScalarExpr::Select(_) => vec![],
            HirScalarExpr::Call { args: v, .. }
            | HirScalarExpr::And(v)
            | HirScalarExpr::Or(v)
            | HirScalarExpr::Coalesce(v) => v.iter().collect(),
            HirScalarExpr::Not(e) | HirScalarExpr::IsNull(e) => vec![e],
            HirScalarExpr::If { cond, then, els } => vec![cond, then, els],
            HirScalarExpr::Windowing(w) => w.children(),
        }
    }

    /// The direct scalar operands, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut HirScalarExpr> {
        match self {
            HirScalarExpr::Column(_)
            | HirScalarExpr::Parameter(..)
            | HirScalarExpr::Literal(..)
            | HirScalarExpr::Unmaterializable(_)
            | HirScalarExpr::Exists(_)
            | HirScalarExpr::Select(_) => vec![],
            HirScalarExpr::Call { args: v, .. }
            | HirScalarExpr::And(v)
            | HirScalarExpr::Or(v)
            | HirScalarExpr::Coalesce(v) => v.iter_mut().collect(),
            HirScalarExpr::Not(e) | HirScalarExpr::IsNull(e) => vec![e],
            HirScalarExpr::If { cond, then, els } => vec![cond, then, els],
            HirScalarExpr::Windowing(w) => w.children_mut(),
        }
    }

    /// The subquery that this is.
    pub fn subquery(&self) -> Option<&HirRelationExpr> {
        match self {
            HirScalarExpr::Exists(r) | HirScalarExpr::Select(r) => Some(r),
            _ => None,
        }
    }

    fn subquery_mut(&mut self) -> Option<&mut HirRelationExpr> {
        match self {
            HirScalarExpr::Exists(r) | HirScalarExpr::Select(r) => Some(r),
            _ => None,
        }
    }

    /// How large the expression is: its operators, those of subqueries, and their constant rows.
    pub fn size(&self) -> usize {
        grow(|| {
            let own = 1 + self.children().iter().map(|c| c.size()).sum::<usize>();
            own + self.subquery().map_or(0, HirRelationExpr::size)
        })
    }

    /// Visits every scalar in this expression, subqueries included, outermost first.
    pub fn visit_pre(&self, depth: usize, f: &mut dyn FnMut(usize, &HirScalarExpr)) {
        grow(|| {
            f(depth, self);
            for c in self.children() {
                c.visit_pre(depth, f);
            }
            if let Some(r) = self.subquery() {
                r.visit_scalars(depth + 1, f);
            }
        });
    }

    /// Visits every scalar in this expression, subqueries included, operands first, to change them.
    pub fn visit_mut_post(&mut self, depth: usize, f: &mut dyn FnMut(usize, &mut HirScalarExpr)) {
        grow(|| {
            for c in self.children_mut() {
                c.visit_mut_post(depth, f);
            }
            if let Some(r) = self.subquery_mut() {
                r.visit_scalars_mut(depth + 1, f);
            }
            f(depth, self);
        });
    }

    /// Visits every scalar outermost first, to change them; the operands of one for which `f` gives true are left alone.
    pub fn visit_mut_pre(&mut self, depth: usize, f: &mut dyn FnMut(usize, &mut HirScalarExpr) -> bool) {
        grow(|| {
            if f(depth, self) {
                return;
            }
            for c in self.children_mut() {
                c.visit_mut_pre(depth, f);
            }
            if let Some(r) = self.subquery_mut() {
                r.visit_scalars_mut_pre(depth + 1, f);
            }
        });
    }

    /// The columns that this refers to outside itself, with levels as this expression sees them.
    pub fn visit_free(&self, f: &mut dyn FnMut(ColumnRef)) {
        self.visit_pre(0, &mut |depth, e| {
            if let HirScalarExpr::Column(c) = e
                && c.level >= depth
            {
                f(ColumnRef { level: c.level - depth, column: c.column });
            }
        });
    }

    /// Makes the expression fit `by` scopes further in: every free column points that much further out.
    pub fn shifted(mut self, by: usize) -> Self {
        self.visit_mut_post(0, &mut |depth, e| {
            if let HirScalarExpr::Column(c) = e
                && c.level >= depth
            {
                c.level += by;
            }
        });
        self
    }

    /// Replaces columns of the expression's own input.
    pub fn map_columns(&mut self, map: &dyn Fn(usize) -> usize) {
        self.visit_mut_post(0, &mut |depth, e| {
            if let HirScalarExpr::Column(c) = e
                && c.level == depth
            {
                c.column = map(c.column);
            }
        });
    }

    /// Whether a subquery occurs.
    pub fn contains_subquery(&self) -> bool {
        self.subquery().is_some() || self.children().into_iter().any(HirScalarExpr::contains_subquery)
    }

    /// Whether a volatile function is called: one whose value is another each time.
    pub fn contains_volatile(&self) -> bool {
        let mut found = false;
        self.visit_pre(0, &mut |_, e| {
            found |= matches!(e, HirScalarExpr::Call { func, .. } if func.def().volatility == Volatility::Volatile);
        });
        found
    }

    /// Whether a parameter occurs.
    pub fn contains_parameters(&self) -> bool {
        let mut found = false;
        self.visit_pre(0, &mut |_, e| found |= matches!(e, HirScalarExpr::Parameter(..)));
        found
    }

    /// Replaces parameter `$n` by the n-th of `params`.
    pub fn bind_parameters(&mut self, params: &[(Row, ScalarType)]) {
        self.visit_mut_post(0, &mut |_, e| bind(e, params));
    }
}

fn bind(e: &mut HirScalarExpr, params: &[(Row, ScalarType)]) {
    if let HirScalarExpr::Parameter(n, _) = e
        && let Some((row, typ)) = n.checked_sub(1).and_then(|i| params.get(i))
    {
        let nullable = row.unpack_first().is_null();
        *e = HirScalarExpr::Literal(row.clone(), ColumnType { scalar_type: typ.clone(), nullable });
    }
}

impl HirRelationExpr {
    /// The direct inputs, each with the number of scopes entered.
    pub fn inputs(&self) -> Vec<(usize, &HirRelationExpr)> {
        match self {
            HirRelationExpr::Constant { .. }
            | HirRelationExpr::Get { .. }
            | HirRelationExpr::CallTable { .. } => vec![],
            HirRelationExpr::Let { value, body, .. } => vec![(0, value), (0, body)],
            HirRelationExpr::LetRec { bindings, body, .. } => {
                let values = bindings.iter().map(|(_, _, value, _)| (0, value));
                values.chain([(0, &**body)]).collect()
            }
            HirRelationExpr::Project { input, .. }
            | HirRelationExpr::Map { input, .. }
            | HirRelationExpr::Filter { input, .. }
            | HirRelationExpr::Reduce { input, .. }
            | HirRelationExpr::Distinct { input }
            | HirRelationExpr::TopK { input, .. }
            | HirRelationExpr::Negate { input }
            | HirRelationExpr::Threshold { input } => vec![(0, input)],
            HirRelationExpr::Join { left, right, .. } => vec![(0, left), (1, right)],
            HirRelationExpr::Union { inputs } => inputs.iter().map(|i| (0, i)).collect(),
        }
    }

    /// The direct inputs, to be changed, each with the number of scopes entered.
    pub fn inputs_mut(&mut self) -> Vec<(usize, &mut HirRelationExpr)> {
        match self {
            HirRelationExpr::Constant { .. }
            | HirRelationExpr::Get { .. }
            | HirRelationExpr::CallTable { .. } => vec![],
            HirRelationExpr::Let { value, body, .. } => vec![(0, value), (0, body)],
            HirRelationExpr::LetRec { bindings, body, .. } => {
                let values = bindings.iter_mut().map(|(_, _, value, _)| (0, value));
                values.chain([(0, &mut **body)]).collect()
            }
            HirRelationExpr::Project { input, .. }
            | HirRelationExpr::Map { input, .. }
            | HirRelationExpr::Filter { input, .. }
            | HirRelationExpr::Reduce { input, .. }
            | HirRelationExpr::Distinct { input }
            | HirRelationExpr::TopK { input, .. }
            | HirRelationExpr::Negate { input }
            | HirRelationExpr::Threshold { input } => vec![(0, input)],
            HirRelationExpr::Join { left, right, .. } => vec![(0, left), (1, right)],
            HirRelationExpr::Union { inputs } => inputs.iter_mut().map(|i| (0, i)).collect(),
        }
    }

    /// The scalars of this operator itself.
    pub fn scalars(&self) -> Vec<&HirScalarExpr> {
        match self {
            HirRelationExpr::Map { scalars: v, .. }
            | HirRelationExpr::Filter { predicates: v, .. }
            | HirRelationExpr::CallTable { exprs: v, .. } => v.iter().collect(),
            HirRelationExpr::Join { on, .. } => vec![on],
            HirRelationExpr::Reduce { aggregates, .. } => {
                aggregates.iter().flat_map(HirAggregateExpr::children).collect()
            }
            HirRelationExpr::TopK { limit, offset, .. } => limit.iter().chain(offset).map(|e| &**e).collect(),
            _ => vec![],
        }
    }

    /// The scalars of this operator itself, to be changed.
    pub fn scalars_mut(&mut self) -> Vec<&mut HirScalarExpr> {
        match self {
            HirRelationExpr::Map { scalars: v, .. }
            | HirRelationExpr::Filter { predicates: v, .. }
            | HirRelationExpr::CallTable { exprs: v, .. } => v.iter_mut().collect(),
            HirRelationExpr::Join { on, .. } => vec![on],
            HirRelationExpr::Reduce { aggregates, .. } => {
                aggregates.iter_mut().flat_map(HirAggregateExpr::children_mut).collect()
            }
            HirRelationExpr::TopK { limit, offset, .. } => {
                limit.iter_mut().chain(offset).map(|e| &mut **e).collect()
            }
            _ => vec![],
        }
    }

    /// Visits every scalar below, outermost first.
    pub fn visit_scalars(&self, depth: usize, f: &mut dyn FnMut(usize, &HirScalarExpr)) {
        grow(|| {
            for s in self.scalars() {
                s.visit_pre(depth, f);
            }
            for (more, input) in self.inputs() {
                input.visit_scalars(depth + more, f);
            }
        });
    }

    /// Visits every scalar below, operands first, to change them.
    pub fn visit_scalars_mut(&mut self, depth: usize, f: &mut dyn FnMut(usize, &mut HirScalarExpr)) {
        grow(|| {
            for s in self.scalars_mut() {
                s.visit_mut_post(depth, f);
            }
            for (more, input) in self.inputs_mut() {
                input.visit_scalars_mut(depth + more, f);
            }
        });
    }

    /// Visits every scalar below, outermost first, to change them, as [`HirScalarExpr::visit_mut_pre`] does.
    pub fn visit_scalars_mut_pre(
        &mut self,
        depth: usize,
        f: &mut dyn FnMut(usize, &mut HirScalarExpr) -> bool,
    ) {
        grow(|| {
            for s in self.scalars_mut() {
                s.visit_mut_pre(depth, f);
            }
            for (more, input) in self.inputs_mut() {
                input.visit_scalars_mut_pre(depth + more, f);
            }
        });
    }

    /// How large the relation is: its operators, those of its scalars, and its constant rows.
    pub fn size(&self) -> usize {
        grow(|| {
            let rows = match self {
                HirRelationExpr::Constant { rows, .. } => rows.len(),
                _ => 0,
            };
            let scalars = self.scalars().iter().map(|e| e.size()).sum::<usize>();
            1 + rows + scalars + self.inputs().iter().map(|(_, i)| i.size()).sum::<usize>()
        })
    }

    /// Visits this relation and all below it, those in subqueries included.
    pub fn visit_relations(&self, f: &mut dyn FnMut(&HirRelationExpr)) {
        grow(|| {
            f(self);
            for s in self.scalars() {
                visit_subqueries(s, f);
            }
            for (_, input) in self.inputs() {
                input.visit_relations(f);
            }
        });
    }

    /// The columns of enclosing scopes that this refers to; level 1 is the innermost of them.
    pub fn visit_free(&self, f: &mut dyn FnMut(ColumnRef)) {
        self.visit_scalars(0, &mut |depth, e| {
            if let HirScalarExpr::Column(c) = e
                && c.level > depth
            {
                f(ColumnRef { level: c.level - depth, column: c.column });
            }
        });
    }

    /// Makes the relation fit `by` scopes further in: every free column points that much further out.
    pub fn shifted(mut self, by: usize) -> Self {
        self.visit_scalars_mut(0, &mut |depth, e| {
            if let HirScalarExpr::Column(c) = e
                && c.level > depth
            {
                c.level += by;
            }
        });
        self
    }

    /// Replaces parameter `$n` by the n-th of `params`.
    pub fn bind_parameters(&mut self, params: &[(Row, ScalarType)]) {
        self.visit_scalars_mut(0, &mut |_, e| bind(e, params));
    }

    /// Whether a parameter occurs.
    pub fn contains_parameters(&self) -> bool {
        let mut found = false;
        self.visit_scalars(0, &mut |_, e| found |= matches!(e, HirScalarExpr::Parameter(..)));
        found
    }

    /// The bindings that this refers to, those bound inside included.
    pub fn local_gets(&self) -> std::collections::BTreeSet<LocalId> {
        let mut out = std::collections::BTreeSet::new();
        self.visit_relations(&mut |r| {
            if let HirRelationExpr::Get { id: Id::Local(id), .. } = r {
                out.insert(*id);
            }
        });
        out
    }

    /// The collections that are read.
    pub fn global_gets(&self) -> std::collections::BTreeSet<hw_repr::GlobalId> {
        let mut out = std::collections::BTreeSet::new();
        self.visit_relations(&mut |r| {
            if let HirRelationExpr::Get { id: Id::Global(id), .. } = r {
                out.insert(*id);
            }
        });
        out
    }
}

fn visit_subqueries(s: &HirScalarExpr, f: &mut dyn FnMut(&HirRelationExpr)) {
    grow(|| {
        if let Some(r) = s.subquery() {
            r.visit_relations(f);
        }
        for c in s.children() {
            visit_subqueries(c, f);
        }
    });
}
