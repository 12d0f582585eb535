//! LIR: relational plans in which every choice is made.
//!
//! A node's result is a bundle: the collection itself and/or arrangements of it. Nodes that need an arrangement find it in
//! their input's bundle: the plan has put an [`Lir::ArrangeBy`] below them where none was there already. Every collection
//! is a pair of rows and errors; the renderer carries errors along without being told.

use hw_expr::relation::LetRecLimit;
use hw_expr::{AggregateExpr, EvalError, Id, LocalId, MirScalarExpr, TableFunc};
use hw_repr::{ColumnOrder, ColumnType, Diff, Row};
use serde::{Deserialize, Serialize};

use crate::temporal::MfpPlan;

/// An arrangement key: expressions over the collection's columns.
pub type Key = Vec<MirScalarExpr>;

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lir {
    /// Rows that are there from the dataflow's beginning, or an error.
    Constant {
        /// Each with its multiplicity.
        rows: Result<Vec<(Row, Diff)>, EvalError>,
    },
    /// A binding or an import.
    Get {
        /// Which.
        id: Id,
        /// How it is read.
        access: GetAccess,
    },
    /// Binds a name: the whole bundle is shared.
    Let {
        /// The name.
        id: LocalId,
        /// What it stands for.
        value: Box<Lir>,
        /// Where it is used.
        body: Box<Lir>,
    },
    /// Binds names that refer to each other, iterated to a fixed point. Each value's collection is what recurs.
    LetRec {
        /// The names.
        ids: Vec<LocalId>,
        /// What they stand for.
        values: Vec<Lir>,
        /// The limit of each.
        limits: Vec<Option<LetRecLimit>>,
        /// Where the fixed points are used.
        body: Box<Lir>,
    },
    /// Map, filter and project; gives a collection.
    Mfp {
        /// The input.
        input: Box<Lir>,
        /// The arrangement of the input to read, with the key's literal value if only that key is wanted; `None` reads the
        /// collection.
        input_key: Option<(Key, Option<Row>)>,
        /// How many columns the input has.
        input_arity: usize,
        /// What is applied.
        mfp: MfpPlan,
    },
    /// A table function, then map-filter-project over input columns and function columns; gives a collection.
    FlatMap {
        /// The input, read as a collection.
        input: Box<Lir>,
        /// The function.
        func: TableFunc,
        /// Its arguments, over the input.
        exprs: Vec<MirScalarExpr>,
        /// What is applied to the input's columns followed by the function's.
        mfp: MfpPlan,
    },
    /// A join; gives a collection.
    Join {
        /// The inputs, each with the arrangements that the plan names.
        inputs: Vec<Lir>,
        /// How many columns each input has.
        input_arities: Vec<usize>,
        /// How.
        plan: JoinPlan,
    },
    /// A reduction; gives an arrangement by the group key (columns 0..key.len()), whose value row holds the aggregates.
    Reduce {
        /// The input, read as a collection.
        input: Box<Lir>,
        /// How many columns the input has.
        input_arity: usize,
        /// The group key, over the input.
        key: Vec<MirScalarExpr>,
        /// How.
        plan: ReducePlan,
        /// How many rows a group may have, if known.
        expected_group_size: Option<u64>,
    },
    /// The first rows of each group; gives a collection.
    TopK {
        /// The input, read as a collection.
        input: Box<Lir>,
        /// How.
        plan: TopKPlan,
    },
    /// Each multiplicity negated; gives a collection.
    Negate {
        /// The input.
        input: Box<Lir>,
    },
    /// Only rows of positive multiplicity; gives a collection.
    Threshold {
        /// The input.
        input: Box<Lir>,
        /// How many columns there are.
        arity: usize,
    },
    /// The sum; gives a collection.
    Union {
        /// The inputs.
        inputs: Vec<Lir>,
        /// Whether to consolidate the result, because inputs are known to cancel.
        consolidate: bool,
    },
    /// Adds arrangements to the input's bundle.
    ArrangeBy {
        /// The input.
        input: Box<Lir>,
        /// How many columns the input has.
        arity: usize,
        /// The keys to arrange by, without those that are there.
        keys: Vec<Key>,
        /// The arrangement to read the input from, if it has no collection.
        input_key: Option<Key>,
    },
}

/// How a `Get` reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GetAccess {
    /// The whole bundle as it is.
    PassThrough,
    /// The collection, with map-filter-project applied; gives a collection.
    Collection(MfpPlan),
    /// An arrangement, with map-filter-project applied to the collection's columns; with a literal row only that key's rows.
    /// Gives a collection.
    Arrangement(Key, Option<Row>, MfpPlan),
}

/// How to join.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JoinPlan {
    /// Changes stream through one sequence of lookups; intermediate results are arranged at each stage.
    Linear(JoinPath),
    /// Paths from the changes of different inputs through lookups into the others' arrangements; nothing else is kept. A path
    /// sees the sources of earlier paths with their updates at the same time, those of later paths without. So when all inputs
    /// appear at once, the last path does the work.
    ///
    /// Inputs without a path of their own are seen with updates at the same time by all: enough when nothing changes after the
    /// first time, and then one path will do.
    Delta(Vec<JoinPath>),
}

/// A sequence of lookups.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JoinPath {
    /// The input whose changes start the path.
    pub source: usize,
    /// The arrangement of `source` to read from; `None` reads its collection.
    pub source_key: Option<Key>,
    /// Applied to the source's columns first.
    pub initial: MfpPlan,
    /// The lookups.
    pub stages: Vec<JoinStage>,
}

/// One lookup.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JoinStage {
    /// The input that is looked up.
    pub input: usize,
    /// The key, over the columns of the stream so far.
    pub stream_key: Key,
    /// How many columns the stream has so far.
    pub stream_arity: usize,
    /// The arrangement of the input that is used.
    pub lookup_key: Key,
    /// Applied to the stream's columns followed by the input's columns; its output is the new stream.
    pub mfp: MfpPlan,
}

/// How to reduce.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReducePlan {
    /// No aggregates.
    Distinct,
    /// Sums, kept in the difference.
    Accumulable(AccumulablePlan),
    /// Min and max.
    Hierarchical(HierarchicalPlan),
    /// Aggregates recomputed from all of a group's rows.
    Basic(BasicPlan),
    /// Several of these, each computed alone and put together.
    Collation {
        /// The accumulable part.
        accumulable: Option<AccumulablePlan>,
        /// The hierarchical part.
        hierarchical: Option<HierarchicalPlan>,
        /// The basic part.
        basic: Option<BasicPlan>,
        /// How many aggregates there are in all.
        arity: usize,
    },
}

/// Accumulable aggregates, each with its position among all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccumulablePlan {
    /// Those without DISTINCT.
    pub simple: Vec<(usize, AggregateExpr)>,
    /// Those with DISTINCT: (key, argument) pairs are made distinct first.
    pub distinct: Vec<(usize, AggregateExpr)>,
}

/// Min and max, each with its position among all, and whether it is max.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HierarchicalPlan {
    /// The aggregates.
    pub aggregates: Vec<(usize, AggregateExpr, Extremum)>,
    /// Whether the input only grows, so that only the extremum is kept.
    pub monotonic: bool,
    /// Otherwise the fan-ins of the levels: values are hashed into ever fewer buckets, from first to last, so that a change
    /// costs a logarithm of the group's size. Powers of two, decreasing.
    pub buckets: Vec<u64>,
}

/// Which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Extremum {
    /// The least.
    Min,
    /// The greatest.
    Max,
}

/// Basic aggregates, each with its position among all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BasicPlan {
    /// The aggregates.
    pub aggregates: Vec<(usize, AggregateExpr)>,
}

/// How to find the first rows of each group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopKPlan {
    /// Columns of the group.
    pub group_key: Vec<usize>,
    /// The order, ties broken by the row's bytes.
    pub order_key: Vec<ColumnOrder>,
    /// How many, an int8 expression over the input's columns that is constant in a group; `None` or NULL is all.
    pub limit: Option<MirScalarExpr>,
    /// How many are skipped first.
    pub offset: usize,
    /// The input's columns.
    pub column_types: Vec<ColumnType>,
    /// Whether the input only grows.
    pub monotonic: bool,
    /// As in [`HierarchicalPlan::buckets`].
    pub buckets: Vec<u64>,
}
