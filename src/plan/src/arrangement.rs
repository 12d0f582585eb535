//! The layout of arrangements.
//!
//! An arrangement of a collection by a key holds, for each row, a key row (the key expressions' values) and a value row
//! (the columns that are not in the key as plain columns, in order). The layout is a function of the key and the
//! collection's arity alone, so that whoever builds an arrangement and whoever reads it agree without being told.

use hw_expr::MirScalarExpr;

/// Where each column of a collection is found in an arrangement of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrangementLayout {
    /// The columns kept in the value row, in order.
    pub value_columns: Vec<usize>,
    /// For each column of the collection its position in the key row followed by the value row.
    pub positions: Vec<usize>,
}

impl ArrangementLayout {
    /// The layout of a collection of `arity` columns arranged by `key`.
    pub fn new(key: &[MirScalarExpr], arity: usize) -> ArrangementLayout {
        let mut positions = vec![usize::MAX; arity];
        for (i, expr) in key.iter().enumerate() {
            if let MirScalarExpr::Column(c) = expr
                && positions[*c] == usize::MAX
            {
                positions[*c] = i;
            }
        }
        let mut value_columns = Vec::new();
        for (c, position) in positions.iter_mut().enumerate() {
            if *position == usize::MAX {
                *position = key.len() + value_columns.len();
                value_columns.push(c);
            }
        }
        ArrangementLayout { value_columns, positions }
    }
}
