//! The decorrelated relational language.
//!
//! A [`MirRelationExpr`] denotes a multiset of rows. Multiplicities may be negative inside a plan (`Negate`) but not
//! in the result of a query. Equality of keys is equality of packed bytes.

use std::fmt;

use hw_repr::{ColumnOrder, ColumnType, Diff, GlobalId, RelationType, Row, ScalarType};
use serde::{Deserialize, Serialize};

use crate::aggregate::AggregateExpr;
use crate::error::EvalError;
use crate::scalar::MirScalarExpr;
use crate::table::TableFunc;

/// The name of a `Let` binding, unique in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalId(pub u64);

impl fmt::Display for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "l{}", self.0)
    }
}

/// What a `Get` refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Id {
    /// A binding of this plan.
    Local(LocalId),
    /// A collection of the catalog or of the dataflow.
    Global(GlobalId),
}

/// How a join is to be executed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub enum JoinImplementation {
    /// Not decided yet.
    #[default]
    Unimplemented,
    /// Start with an input and join the others one after the other: positions of inputs with the arrangement key (over
    /// that input's own columns) that each is looked up by. The first item's key is the one it is arranged by, if any.
    Linear(Vec<(usize, Vec<MirScalarExpr>)>),
    /// For each input, the order in which changes to it look up the others (the input itself is left out).
    Delta(Vec<Vec<(usize, Vec<MirScalarExpr>)>>),
}

/// Limits on recursion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LetRecLimit {
    /// The greatest number of iterations.
    pub max_iters: u64,
    /// Whether the result at the limit is returned (otherwise reaching it is an error).
    pub return_at_limit: bool,
}

/// A relational expression.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MirRelationExpr {
    /// Rows, or an error.
    Constant {
        /// Each row with its multiplicity.
        rows: Result<Vec<(Row, Diff)>, EvalError>,
        /// Their type.
        typ: RelationType,
    },
    /// A collection by name.
    Get {
        /// Which.
        id: Id,
        /// Its type.
        typ: RelationType,
    },
    /// Binds a name in `body`.
    Let {
        /// The name.
        id: LocalId,
        /// What it stands for.
        value: Box<MirRelationExpr>,
        /// Where it may be used.
        body: Box<MirRelationExpr>,
    },
    /// Binds names that may refer to each other, all iterated together from empty until nothing changes.
    LetRec {
        /// The names.
        ids: Vec<LocalId>,
        /// What they stand for.
        values: Vec<MirRelationExpr>,
        /// The limit on iterations of each.
        limits: Vec<Option<LetRecLimit>>,
        /// Where the fixed points may be used.
        body: Box<MirRelationExpr>,
    },
    /// Picks columns.
    Project {
        /// The input.
        input: Box<MirRelationExpr>,
        /// Positions in the input; may repeat.
        outputs: Vec<usize>,
    },
    /// Appends columns; each may use the ones before it.
    Map {
        /// The input.
        input: Box<MirRelationExpr>,
        /// The appended columns.
        scalars: Vec<MirScalarExpr>,
    },
    /// Appends the columns of each row that a table function gives.
    FlatMap {
        /// The input.
        input: Box<MirRelationExpr>,
        /// The function.
        func: TableFunc,
        /// Its arguments, over the input.
        exprs: Vec<MirScalarExpr>,
    },
    /// Keeps the rows for which all predicates are true.
    Filter {
        /// The input.
        input: Box<MirRelationExpr>,
        /// The predicates.
        predicates: Vec<MirScalarExpr>,
    },
    /// All combinations of the inputs' rows (columns side by side) for which, in each equivalence class, all
    /// expressions are equal. NULL equals NULL here; SQL's equality adds `IS NOT NULL` filters.
    Join {
        /// The inputs.
        inputs: Vec<MirRelationExpr>,
        /// Classes of equal expressions over all columns.
        equivalences: Vec<Vec<MirScalarExpr>>,
        /// How to do it.
        implementation: JoinImplementation,
    },
    /// One row for each distinct key: the key, then the aggregates. With an empty key there is no row for an empty
    /// input (SQL's default row is added by lowering).
    Reduce {
        /// The input.
        input: Box<MirRelationExpr>,
        /// The key.
        group_key: Vec<MirScalarExpr>,
        /// The aggregates; none means DISTINCT.
        aggregates: Vec<AggregateExpr>,
        /// Whether the input only ever grows.
        monotonic: bool,
        /// A hint: how many rows a group may have.
        expected_group_size: Option<u64>,
    },
    /// The first rows of each group in an order; ties are broken by the row's bytes.
    TopK {
        /// The input.
        input: Box<MirRelationExpr>,
        /// Columns of the group.
        group_key: Vec<usize>,
        /// The order.
        order_key: Vec<ColumnOrder>,
        /// How many rows (an int8 expression over the group key's columns, NULL is all); `None` is all.
        limit: Option<MirScalarExpr>,
        /// How many to skip first.
        offset: usize,
        /// Whether the input only ever grows.
        monotonic: bool,
        /// A hint: how many rows a group may have.
        expected_group_size: Option<u64>,
    },
    /// Each multiplicity negated.
    Negate {
        /// The input.
        input: Box<MirRelationExpr>,
    },
    /// Only rows of positive multiplicity.
    Threshold {
        /// The input.
        input: Box<MirRelationExpr>,
    },
    /// The sum of multiplicities; inputs have the same number of columns and base types.
    Union {
        /// At least one input.
        inputs: Vec<MirRelationExpr>,
    },
    /// The input, available arranged by each of these keys.
    ArrangeBy {
        /// The input.
        input: Box<MirRelationExpr>,
        /// The keys.
        keys: Vec<Vec<MirScalarExpr>>,
    },
}

impl MirRelationExpr {
    /// A constant of no rows.
    pub fn empty(typ: RelationType) -> Self {
        MirRelationExpr::Constant { rows: Ok(vec![]), typ }
    }

    /// A constant of rows that each occur once.
    pub fn constant(rows: Vec<Row>, typ: RelationType) -> Self {
        MirRelationExpr::Constant { rows: Ok(rows.into_iter().map(|r| (r, 1)).collect()), typ }
    }

    /// A reference to a collection.
    pub fn global_get(id: GlobalId, typ: RelationType) -> Self {
        MirRelationExpr::Get { id: Id::Global(id), typ }
    }

    /// A reference to a binding.
    pub fn local_get(id: LocalId, typ: RelationType) -> Self {
        MirRelationExpr::Get { id: Id::Local(id), typ }
    }

    /// Picks columns.
    pub fn project(self, outputs: Vec<usize>) -> Self {
        MirRelationExpr::Project { input: Box::new(self), outputs }
    }

    /// Appends columns.
    pub fn map(self, scalars: Vec<MirScalarExpr>) -> Self {
        if scalars.is_empty() {
            return self;
        }
        MirRelationExpr::Map { input: Box::new(self), scalars }
    }

    /// Keeps rows.
    pub fn filter(self, predicates: Vec<MirScalarExpr>) -> Self {
        if predicates.is_empty() {
            return self;
        }
        MirRelationExpr::Filter { input: Box::new(self), predicates }
    }

    /// Joins.
    pub fn join(inputs: Vec<MirRelationExpr>, equivalences: Vec<Vec<MirScalarExpr>>) -> Self {
        MirRelationExpr::Join { inputs, equivalences, implementation: JoinImplementation::Unimplemented }
    }

    /// All combinations.
    pub fn product(self, other: MirRelationExpr) -> Self {
        Self::join(vec![self, other], vec![])
    }

    /// Reduces.
    pub fn reduce(self, group_key: Vec<MirScalarExpr>, aggregates: Vec<AggregateExpr>) -> Self {
        MirRelationExpr::Reduce {
            input: Box::new(self),
            group_key,
            aggregates,
            monotonic: false,
            expected_group_size: None,
        }
    }

    /// Distinct rows (by bytes).
    pub fn distinct(self) -> Self {
        let arity = self.arity();
        self.reduce((0..arity).map(MirScalarExpr::Column).collect(), vec![])
    }

    /// Each multiplicity negated.
    pub fn negate(self) -> Self {
        MirRelationExpr::Negate { input: Box::new(self) }
    }

    /// Only positive multiplicities.
    pub fn threshold(self) -> Self {
        MirRelationExpr::Threshold { input: Box::new(self) }
    }

    /// The sum with another.
    pub fn union(self, other: MirRelationExpr) -> Self {
        MirRelationExpr::Union { inputs: vec![self, other] }
    }

    /// The direct inputs.
    pub fn children(&self) -> Vec<&MirRelationExpr> {
        match self {
            MirRelationExpr::Constant { .. } | MirRelationExpr::Get { .. } => vec![],
            MirRelationExpr::Let { value, body, .. } => vec![value, body],
            MirRelationExpr::LetRec { values, body, .. } => values.iter().chain([&**body]).collect(),
            MirRelationExpr::Project { input, .. }
            | MirRelationExpr::Map { input, .. }
            | MirRelationExpr::FlatMap { input, .. }
            | MirRelationExpr::Filter { input, .. }
            | MirRelationExpr::Reduce { input, .. }
            | MirRelationExpr::TopK { input, .. }
            | MirRelationExpr::Negate { input }
            | MirRelationExpr::Threshold { input }
            | MirRelationExpr::ArrangeBy { input, .. } => vec![input],
            MirRelationExpr::Join { inputs, .. } | MirRelationExpr::Union { inputs } => {
                inputs.iter().collect()
            }
        }
    }

    /// The direct inputs, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut MirRelationExpr> {
        match self {
            MirRelationExpr::Constant { .. } | MirRelationExpr::Get { .. } => vec![],
            MirRelationExpr::Let { value, body, .. } => vec![value, body],
            MirRelationExpr::LetRec { values, body, .. } => values.iter_mut().chain([&mut **body]).collect(),
            MirRelationExpr::Project { input, .. }
            | MirRelationExpr::Map { input, .. }
            | MirRelationExpr::FlatMap { input, .. }
            | MirRelationExpr::Filter { input, .. }
            | MirRelationExpr::Reduce { input, .. }
            | MirRelationExpr::TopK { input, .. }
            | MirRelationExpr::Negate { input }
            | MirRelationExpr::Threshold { input }
            | MirRelationExpr::ArrangeBy { input, .. } => vec![input],
            MirRelationExpr::Join { inputs, .. } | MirRelationExpr::Union { inputs } => {
                inputs.iter_mut().collect()
            }
        }
    }

    /// Visits this expression and all below it, inputs first. Grows the stack as needed.
    pub fn visit_post<'a>(&'a self, f: &mut dyn FnMut(&'a MirRelationExpr)) {
        stacker::maybe_grow(64 << 10, 1 << 20, || {
            for c in self.children() {
                c.visit_post(f);
            }
            f(self);
        });
    }

    /// Visits this expression and all below it, inputs first, to change them. Grows the stack as needed.
    pub fn visit_mut_post(&mut self, f: &mut dyn FnMut(&mut MirRelationExpr)) {
        stacker::maybe_grow(64 << 10, 1 << 20, || {
            for c in self.children_mut() {
                c.visit_mut_post(f);
            }
            f(self);
        });
    }

    /// The scalar expressions of this node itself.
    pub fn scalars_mut(&mut self) -> Vec<&mut MirScalarExpr> {
        match self {
            MirRelationExpr::Map { scalars, .. } => scalars.iter_mut().collect(),
            MirRelationExpr::FlatMap { exprs, .. } => exprs.iter_mut().collect(),
            MirRelationExpr::Filter { predicates, .. } => predicates.iter_mut().collect(),
            MirRelationExpr::Join { equivalences, .. } => equivalences.iter_mut().flatten().collect(),
            MirRelationExpr::Reduce { group_key, aggregates, .. } => group_key
                .iter_mut()
                .chain(aggregates.iter_mut().flat_map(|a| a.args.iter_mut().chain(a.filter.iter_mut())))
                .collect(),
            MirRelationExpr::TopK { limit, .. } => limit.iter_mut().collect(),
            MirRelationExpr::ArrangeBy { keys, .. } => keys.iter_mut().flatten().collect(),
            _ => vec![],
        }
    }

    /// The global collections that are read.
    pub fn global_gets(&self) -> std::collections::BTreeSet<GlobalId> {
        let mut out = std::collections::BTreeSet::new();
        self.visit_post(&mut |e| {
            if let MirRelationExpr::Get { id: Id::Global(id), .. } = e {
                out.insert(*id);
            }
        });
        out
    }

    /// How many columns there are. Linear in the depth of the plan.
    pub fn arity(&self) -> usize {
        match self {
            MirRelationExpr::Constant { typ, .. } | MirRelationExpr::Get { typ, .. } => typ.arity(),
            MirRelationExpr::Let { body, .. } | MirRelationExpr::LetRec { body, .. } => body.arity(),
            MirRelationExpr::Project { outputs, .. } => outputs.len(),
            MirRelationExpr::Map { input, scalars } => input.arity() + scalars.len(),
            MirRelationExpr::FlatMap { input, func, .. } => input.arity() + func.desc().arity(),
            MirRelationExpr::Filter { input, .. }
            | MirRelationExpr::TopK { input, .. }
            | MirRelationExpr::Negate { input }
            | MirRelationExpr::Threshold { input }
            | MirRelationExpr::ArrangeBy { input, .. } => input.arity(),
            MirRelationExpr::Join { inputs, .. } => inputs.iter().map(MirRelationExpr::arity).sum(),
            MirRelationExpr::Reduce { group_key, aggregates, .. } => group_key.len() + aggregates.len(),
            MirRelationExpr::Union { inputs } => inputs[0].arity(),
        }
    }

    /// The column types (with what is known of NULLs); keys are derived by the optimizer's analyses.
    pub fn column_types(&self) -> Vec<ColumnType> {
        stacker::maybe_grow(64 << 10, 1 << 20, || self.column_types_here())
    }

    fn column_types_here(&self) -> Vec<ColumnType> {
        match self {
            MirRelationExpr::Constant { typ, .. } | MirRelationExpr::Get { typ, .. } => {
                typ.column_types.clone()
            }
            MirRelationExpr::Let { body, .. } | MirRelationExpr::LetRec { body, .. } => body.column_types(),
            MirRelationExpr::Project { input, outputs } => {
                let types = input.column_types();
                outputs.iter().map(|o| types[*o].clone()).collect()
            }
            MirRelationExpr::Map { input, scalars } => {
                let mut types = input.column_types();
                for s in scalars {
                    types.push(s.typ(&types));
                }
                types
            }
            MirRelationExpr::FlatMap { input, func, .. } => {
                let mut types = input.column_types();
                types.extend(func.desc().typ().column_types.iter().cloned());
                types
            }
            MirRelationExpr::Filter { input, predicates } => {
                let mut types = input.column_types();
                for c in predicates.iter().flat_map(MirScalarExpr::columns_not_null_where_true) {
                    types[c].nullable = false;
                }
                types
            }
            MirRelationExpr::TopK { input, .. }
            | MirRelationExpr::Negate { input }
            | MirRelationExpr::Threshold { input }
            | MirRelationExpr::ArrangeBy { input, .. } => input.column_types(),
            MirRelationExpr::Join { inputs, equivalences, .. } => {
                let mut types: Vec<ColumnType> = inputs.iter().flat_map(|i| i.column_types()).collect();
                // What equals something that is not NULL is not NULL.
                for class in equivalences
                    .iter()
                    .filter(|c| c.iter().any(|e| !e.typ(&types).nullable))
                    .collect::<Vec<_>>()
                {
                    for e in class {
                        if let MirScalarExpr::Column(c) = e {
                            types[*c].nullable = false;
                        }
                    }
                }
                types
            }
            MirRelationExpr::Reduce { input, group_key, aggregates, .. } => {
                let types = input.column_types();
                let keys = group_key.iter().map(|k| k.typ(&types));
                keys.chain(aggregates.iter().map(AggregateExpr::typ)).collect()
            }
            MirRelationExpr::Union { inputs } => {
                let mut types = inputs[0].column_types();
                for input in &inputs[1..] {
                    for (t, other) in types.iter_mut().zip(input.column_types()) {
                        t.nullable |= other.nullable;
                        if t.scalar_type != other.scalar_type {
                            t.scalar_type = common_type(&t.scalar_type, &other.scalar_type);
                        }
                    }
                }
                types
            }
        }
    }
}

/// The type of a union's column over two types of one base: their modifiers differ, so it has none.
fn common_type(a: &ScalarType, _b: &ScalarType) -> ScalarType {
    a.without_modifiers()
}

/// What is done to a query's rows after they are gathered: order, then skip and limit, then pick columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowSetFinishing {
    /// The order, over the gathered columns.
    pub order_by: Vec<ColumnOrder>,
    /// How many rows are returned at most.
    pub limit: Option<u64>,
    /// How many rows are skipped first.
    pub offset: u64,
    /// Which columns are returned.
    pub project: Vec<usize>,
}

impl RowSetFinishing {
    /// Returns all rows in no particular order.
    pub fn trivial(arity: usize) -> Self {
        RowSetFinishing { order_by: vec![], limit: None, offset: 0, project: (0..arity).collect() }
    }

    /// Whether rows may be returned as they come.
    pub fn is_trivial(&self, arity: usize) -> bool {
        self.order_by.is_empty()
            && self.limit.is_none()
            && self.offset == 0
            && self.project.iter().copied().eq(0..arity)
    }
}
