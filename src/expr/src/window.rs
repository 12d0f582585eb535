//! Window functions: all functions over one PARTITION BY and ORDER BY are one basic aggregate per partition.

use hw_repr::{ColumnOrder, ColumnType, ScalarType};
use serde::{Deserialize, Serialize};

use crate::aggregate::AggregateFunc;

mod eval;
mod frame;

/// The window functions of one partitioning and order. As an aggregate, its arguments are the input row's columns, all
/// of them, followed by the columns that the functions and the order need.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowSpec {
    /// How many of the leading arguments are the input row, which the result carries along.
    pub carried: Vec<ColumnType>,
    /// The window's ORDER BY, as positions in the arguments.
    pub order_by: Vec<ColumnOrder>,
    /// The functions.
    pub functions: Vec<WindowCall>,
}

impl WindowSpec {
    /// A list of records: the carried columns, then one column for each function.
    pub fn output_type(&self) -> ScalarType {
        let carried = self.carried.iter().cloned().enumerate().map(|(i, t)| (format!("f{}", i + 1), t));
        let mut fields: Vec<_> = carried.collect();
        for call in &self.functions {
            fields.push((format!("f{}", fields.len() + 1), call.typ.clone()));
        }
        ScalarType::Record { fields, custom_id: None }.list_of()
    }
}

/// One window function call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowCall {
    /// The function.
    pub func: WindowFunc,
    /// Its arguments, as positions in the aggregate's arguments.
    pub args: Vec<usize>,
    /// FILTER, as a position of a boolean argument (aggregates only).
    pub filter: Option<usize>,
    /// Its frame.
    pub frame: WindowFrame,
    /// The result's type.
    pub typ: ColumnType,
}

/// A function over a window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WindowFunc {
    /// `row_number()`
    RowNumber,
    /// `rank()`
    Rank,
    /// `dense_rank()`
    DenseRank,
    /// `percent_rank()`
    PercentRank,
    /// `cume_dist()`
    CumeDist,
    /// `ntile(n)`
    Ntile,
    /// `lag(value, offset, default)`
    Lag,
    /// `lead(value, offset, default)`
    Lead,
    /// `first_value(value)`
    FirstValue,
    /// `last_value(value)`
    LastValue,
    /// `nth_value(value, n)`
    NthValue,
    /// An aggregate over the frame.
    Aggregate(AggregateFunc),
}

/// ROWS, RANGE or GROUPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FrameUnits {
    /// Counts rows.
    Rows,
    /// Compares values.
    Range,
    /// Counts peer groups.
    Groups,
}

/// One end of a frame.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FrameBound {
    /// UNBOUNDED PRECEDING
    UnboundedPreceding,
    /// n PRECEDING, the offset as a position of an argument that is constant over the partition
    Preceding(usize),
    /// CURRENT ROW
    CurrentRow,
    /// n FOLLOWING
    Following(usize),
    /// UNBOUNDED FOLLOWING
    UnboundedFollowing,
}

/// EXCLUDE
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FrameExclusion {
    /// EXCLUDE NO OTHERS
    NoOthers,
    /// EXCLUDE CURRENT ROW
    CurrentRow,
    /// EXCLUDE GROUP
    Group,
    /// EXCLUDE TIES
    Ties,
}

/// A window frame (PostgreSQL manual 4.2.8).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowFrame {
    /// What offsets count.
    pub units: FrameUnits,
    /// Where it starts.
    pub start: FrameBound,
    /// Where it ends.
    pub end: FrameBound,
    /// What is left out.
    pub exclusion: FrameExclusion,
}

impl Default for WindowFrame {
    fn default() -> Self {
        WindowFrame {
            units: FrameUnits::Range,
            start: FrameBound::UnboundedPreceding,
            end: FrameBound::CurrentRow,
            exclusion: FrameExclusion::NoOthers,
        }
    }
}
