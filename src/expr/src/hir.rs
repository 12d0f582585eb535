//! The typed, correlated language to which SQL is planned, before decorrelation.
//!
//! A column reference says how many scopes out it points: level 0 is the expression's own input, level 1 the input of
//! the relation around the subquery in which it stands, and so on. The right side of a lateral join sees the left
//! side at level 1 (level 0 inside it is always the innermost input).
//!
//! Scopes are entered in two places only: a subquery in a scalar (its level 1 is the scalar's input) and the right side
//! of a join, lateral or not (its level 1 is the left side's columns). Methods that walk expressions count the scopes
//! entered so far as `depth`.

mod build;
mod typ;
mod visit;

pub use typ::OuterTypes;

use hw_repr::{ColumnOrder, ColumnType, RelationType, Row, ScalarType};
use serde::{Deserialize, Serialize};

use crate::aggregate::AggregateFunc;
use crate::func::Func;
use crate::relation::{Id, LetRecLimit, LocalId};
use crate::scalar::UnmaterializableFunc;
use crate::table::TableFunc;
use crate::window::{WindowFrame, WindowFunc};

/// A reference to a column of an input, `level` scopes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnRef {
    /// How many scopes out.
    pub level: usize,
    /// The position in that scope.
    pub column: usize,
}

/// A scalar expression that may contain subqueries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HirScalarExpr {
    /// A column.
    Column(ColumnRef),
    /// Parameter `$n`, from 1, of a prepared statement; bound before lowering.
    Parameter(usize, ScalarType),
    /// A value.
    Literal(Row, ColumnType),
    /// A function of the context.
    Unmaterializable(UnmaterializableFunc),
    /// A call.
    Call {
        /// The function.
        func: Func,
        /// Its arguments.
        args: Vec<HirScalarExpr>,
    },
    /// Conjunction.
    And(Vec<HirScalarExpr>),
    /// Disjunction.
    Or(Vec<HirScalarExpr>),
    /// Negation.
    Not(Box<HirScalarExpr>),
    /// Whether the operand is NULL.
    IsNull(Box<HirScalarExpr>),
    /// The first operand that is not NULL.
    Coalesce(Vec<HirScalarExpr>),
    /// A conditional.
    If {
        /// The condition.
        cond: Box<HirScalarExpr>,
        /// The value when it is true.
        then: Box<HirScalarExpr>,
        /// The value otherwise.
        els: Box<HirScalarExpr>,
    },
    /// Whether a subquery has rows.
    Exists(Box<HirRelationExpr>),
    /// The value of a subquery of one column: NULL without rows, an error with several.
    Select(Box<HirRelationExpr>),
    /// A window function call; only in a `Map`'s scalars, at the top of an item.
    Windowing(WindowExpr),
}

/// A window function call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowExpr {
    /// The function.
    pub func: WindowFunc,
    /// Its arguments.
    pub args: Vec<HirScalarExpr>,
    /// FILTER.
    pub filter: Option<Box<HirScalarExpr>>,
    /// PARTITION BY.
    pub partition_by: Vec<HirScalarExpr>,
    /// ORDER BY: expressions, with an order whose `column` is the position here.
    pub order_by: Vec<(HirScalarExpr, ColumnOrder)>,
    /// The frame; offsets (`FrameBound::Preceding(i)`) are positions in `frame_offsets`.
    pub frame: WindowFrame,
    /// The offsets that the frame refers to.
    pub frame_offsets: Vec<HirScalarExpr>,
    /// The result's type.
    pub typ: ColumnType,
}

/// One aggregate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HirAggregateExpr {
    /// The aggregate.
    pub func: AggregateFunc,
    /// Its arguments, then those only to sort by.
    pub args: Vec<HirScalarExpr>,
    /// Its ORDER BY: positions in `args`.
    pub order_by: Vec<ColumnOrder>,
    /// DISTINCT.
    pub distinct: bool,
    /// FILTER.
    pub filter: Option<Box<HirScalarExpr>>,
}

/// The kind of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JoinKind {
    /// INNER or CROSS.
    Inner,
    /// LEFT OUTER.
    LeftOuter,
    /// RIGHT OUTER.
    RightOuter,
    /// FULL OUTER.
    FullOuter,
}

/// A relational expression that may be correlated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HirRelationExpr {
    /// Rows.
    Constant {
        /// The rows.
        rows: Vec<Row>,
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
    /// Binds a name (a CTE); the value may be correlated with what is outside.
    Let {
        /// The name as written.
        name: String,
        /// The id.
        id: LocalId,
        /// What it stands for.
        value: Box<HirRelationExpr>,
        /// Where it may be used.
        body: Box<HirRelationExpr>,
    },
    /// WITH MUTUALLY RECURSIVE.
    LetRec {
        /// Name, id, value, and type of each binding.
        bindings: Vec<(String, LocalId, HirRelationExpr, RelationType)>,
        /// The limit.
        limit: Option<LetRecLimit>,
        /// Where the fixed points may be used.
        body: Box<HirRelationExpr>,
    },
    /// Picks columns.
    Project {
        /// The input.
        input: Box<HirRelationExpr>,
        /// Positions in the input.
        outputs: Vec<usize>,
    },
    /// Appends columns; each may use the ones before it.
    Map {
        /// The input.
        input: Box<HirRelationExpr>,
        /// The appended columns.
        scalars: Vec<HirScalarExpr>,
    },
    /// The rows of a table function; its arguments see enclosing scopes at level 1 and up (a lateral join puts the
    /// input there).
    CallTable {
        /// The function.
        func: TableFunc,
        /// Its arguments.
        exprs: Vec<HirScalarExpr>,
    },
    /// Keeps rows.
    Filter {
        /// The input.
        input: Box<HirRelationExpr>,
        /// The predicates.
        predicates: Vec<HirScalarExpr>,
    },
    /// A join. `right` sees the columns of `left` at level 1 if it refers to them (LATERAL).
    Join {
        /// The left side.
        left: Box<HirRelationExpr>,
        /// The right side.
        right: Box<HirRelationExpr>,
        /// The condition, over the columns of both.
        on: Box<HirScalarExpr>,
        /// Its kind.
        kind: JoinKind,
    },
    /// One row for each group; with an empty key exactly one row.
    Reduce {
        /// The input.
        input: Box<HirRelationExpr>,
        /// Columns of the group.
        group_key: Vec<usize>,
        /// The aggregates, over the input.
        aggregates: Vec<HirAggregateExpr>,
        /// A hint.
        expected_group_size: Option<u64>,
    },
    /// Distinct rows.
    Distinct {
        /// The input.
        input: Box<HirRelationExpr>,
    },
    /// The first rows of each group.
    TopK {
        /// The input.
        input: Box<HirRelationExpr>,
        /// Columns of the group.
        group_key: Vec<usize>,
        /// The order.
        order_key: Vec<ColumnOrder>,
        /// LIMIT, an int8 expression over enclosing scopes.
        limit: Option<Box<HirScalarExpr>>,
        /// OFFSET, an int8 expression over enclosing scopes.
        offset: Option<Box<HirScalarExpr>>,
        /// A hint.
        expected_group_size: Option<u64>,
    },
    /// Each multiplicity negated.
    Negate {
        /// The input.
        input: Box<HirRelationExpr>,
    },
    /// Only rows of positive multiplicity.
    Threshold {
        /// The input.
        input: Box<HirRelationExpr>,
    },
    /// The sum of multiplicities.
    Union {
        /// At least one input.
        inputs: Vec<HirRelationExpr>,
    },
}
