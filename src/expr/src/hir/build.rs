//! Building correlated expressions.

use hw_repr::{Datum, RelationType, Row, ScalarType};

use super::{ColumnRef, HirAggregateExpr, HirRelationExpr, HirScalarExpr, JoinKind};
use crate::func::Func;

impl HirScalarExpr {
    /// A column of the input.
    pub fn column(column: usize) -> Self {
        HirScalarExpr::Column(ColumnRef { level: 0, column })
    }

    /// A value.
    pub fn literal(datum: Datum<'_>, typ: ScalarType) -> Self {
        let nullable = datum.is_null();
        HirScalarExpr::Literal(Row::pack_slice(&[datum]), typ.nullable(nullable))
    }

    /// NULL of a type.
    pub fn null(typ: ScalarType) -> Self {
        Self::literal(Datum::Null, typ)
    }

    /// The literal true.
    pub fn literal_true() -> Self {
        Self::literal(Datum::Bool(true), ScalarType::Bool)
    }

    /// The literal false.
    pub fn literal_false() -> Self {
        Self::literal(Datum::Bool(false), ScalarType::Bool)
    }

    /// A call.
    pub fn call(func: Func, args: Vec<HirScalarExpr>) -> Self {
        HirScalarExpr::Call { func, args }
    }

    /// Negation.
    #[allow(clippy::should_implement_trait)]
    pub fn not(self) -> Self {
        HirScalarExpr::Not(Box::new(self))
    }

    /// Whether this is NULL.
    pub fn is_null(self) -> Self {
        HirScalarExpr::IsNull(Box::new(self))
    }

    /// A conditional.
    pub fn if_then_else(self, then: Self, els: Self) -> Self {
        HirScalarExpr::If { cond: Box::new(self), then: Box::new(then), els: Box::new(els) }
    }

    /// The literal's value.
    pub fn as_literal(&self) -> Option<Datum<'_>> {
        match self {
            HirScalarExpr::Literal(row, _) => Some(row.unpack_first()),
            _ => None,
        }
    }
}

impl HirRelationExpr {
    /// One row of no columns.
    pub fn unit() -> Self {
        HirRelationExpr::Constant { rows: vec![Row::default()], typ: RelationType::new(vec![]) }
    }

    /// Whether this is one row of no columns.
    pub fn is_unit(&self) -> bool {
        matches!(self, HirRelationExpr::Constant { rows, typ } if rows.len() == 1 && typ.arity() == 0)
    }

    /// Picks columns.
    pub fn project(self, outputs: Vec<usize>) -> Self {
        HirRelationExpr::Project { input: Box::new(self), outputs }
    }

    /// Appends columns.
    pub fn map(self, scalars: Vec<HirScalarExpr>) -> Self {
        if scalars.is_empty() {
            return self;
        }
        HirRelationExpr::Map { input: Box::new(self), scalars }
    }

    /// Keeps rows.
    pub fn filter(self, predicates: Vec<HirScalarExpr>) -> Self {
        if predicates.is_empty() {
            return self;
        }
        HirRelationExpr::Filter { input: Box::new(self), predicates }
    }

    /// A join; `right` stands one scope further in.
    pub fn join(self, right: HirRelationExpr, on: HirScalarExpr, kind: JoinKind) -> Self {
        HirRelationExpr::Join { left: Box::new(self), right: Box::new(right), on: Box::new(on), kind }
    }

    /// Groups.
    pub fn reduce(self, group_key: Vec<usize>, aggregates: Vec<HirAggregateExpr>) -> Self {
        HirRelationExpr::Reduce { input: Box::new(self), group_key, aggregates, expected_group_size: None }
    }

    /// Distinct rows.
    pub fn distinct(self) -> Self {
        HirRelationExpr::Distinct { input: Box::new(self) }
    }

    /// Each multiplicity negated.
    pub fn negate(self) -> Self {
        HirRelationExpr::Negate { input: Box::new(self) }
    }

    /// Only positive multiplicities.
    pub fn threshold(self) -> Self {
        HirRelationExpr::Threshold { input: Box::new(self) }
    }

    /// The sum with another.
    pub fn union(self, other: HirRelationExpr) -> Self {
        HirRelationExpr::Union { inputs: vec![self, other] }
    }
}
