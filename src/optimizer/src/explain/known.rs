//! What is known of the columns of a physical plan's result: names, types and keys, as far as the plan says.

use hw_expr::{MirScalarExpr, TableFunc};
use hw_plan::temporal::MfpPlan;
use hw_repr::{ColumnType, RelationType, ScalarType};

use super::scalar::Columns;

/// The columns of a result.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) names: Columns,
    pub(super) types: Vec<Option<ColumnType>>,
    pub(super) keys: Vec<Vec<usize>>,
}

impl Known {
    /// A collection of the catalog.
    pub(super) fn of(typ: &RelationType, names: Columns) -> Known {
        let types = typ.column_types.iter().cloned().map(Some).collect();
        Known { names, types, keys: typ.keys.clone() }.sized(typ.arity())
    }

    /// Columns of which nothing is known.
    pub(super) fn unknown(arity: usize) -> Known {
        Known::default().sized(arity)
    }

    /// The same with that many columns.
    pub(super) fn sized(mut self, arity: usize) -> Known {
        self.names.resize(arity, None);
        self.types.resize(arity, None);
        self.keys.retain(|k| k.iter().all(|c| *c < arity));
        self
    }

    /// The same without keys.
    pub(super) fn without_keys(self) -> Known {
        Known { keys: vec![], ..self }
    }

    /// Side by side.
    pub(super) fn followed_by(mut self, other: &Known) -> Known {
        self.names.extend(other.names.iter().cloned());
        self.types.extend(other.types.iter().cloned());
        self.without_keys()
    }

    /// With the columns of a table function behind them.
    pub(super) fn with_function(self, func: &TableFunc, names: Columns) -> Known {
        let desc = func.desc();
        self.followed_by(&Known::of(desc.typ(), names))
    }

    /// The type of an expression, if those of its columns are known.
    pub(super) fn typ(&self, e: &MirScalarExpr) -> Option<ColumnType> {
        let known = |c: &usize| self.types.get(*c).is_some_and(Option::is_some);
        if !e.support().iter().all(known) {
            return None;
        }
        let any = || ScalarType::String.nullable(true);
        let types: Vec<ColumnType> = self.types.iter().map(|t| t.clone().unwrap_or_else(any)).collect();
        Some(e.typ(&types))
    }

    /// What a map-filter-project gives of it; `names` are those of its columns before it projects.
    pub(super) fn applied(&self, plan: &MfpPlan, names: &[Option<String>]) -> Known {
        let m = &plan.mfp;
        let mut all = self.clone().sized(m.input_arity);
        for e in &m.expressions {
            let typ = all.typ(e);
            all.types.push(typ);
        }
        for c in m.predicates.iter().flat_map(|(_, p)| p.columns_not_null_where_true()) {
            if let Some(Some(typ)) = all.types.get_mut(c) {
                typ.nullable = false;
            }
        }
        let place = |c: &usize| m.projection.iter().position(|p| p == c);
        Known {
            names: m.projection.iter().map(|c| names.get(*c).cloned().flatten()).collect(),
            types: m.projection.iter().map(|c| all.types.get(*c).cloned().flatten()).collect(),
            keys: all.keys.iter().filter_map(|k| k.iter().map(place).collect()).collect(),
        }
    }
}
