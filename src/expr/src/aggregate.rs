//! Aggregates.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hw_repr::{ColumnOrder, ColumnType, Datum, RowArena, ScalarType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::EvalError;
use crate::func::{FuncTypes, ParamType, ReturnType, registry};
use crate::scalar::MirScalarExpr;
use crate::window::WindowSpec;

mod running;
pub(crate) use running::Running;

/// How an aggregate is maintained, which decides its plan.
#[derive(Clone, Copy)]
pub enum AggregateKind {
    /// Kept as sums in the difference: constant time per change.
    Accumulable(Accumulation),
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// Computed from all of a group's values, sorted as the aggregate's ORDER BY says (ties by row order). Each item
    /// is the argument list of one input row; rows with multiplicity are repeated. NULL arguments are included.
    Basic(BasicFn),
}

/// What is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Accumulation {
    /// The number of rows whose argument is not NULL; with no argument, of rows.
    Count,
    /// The sum of int2 or int4 (or uint2, uint4) values, as int8 (uint8).
    SumSmallInt,
    /// The sum of int8 (uint8) values, as numeric.
    SumBigInt,
    /// The sum of numeric values, exact.
    SumNumeric,
    /// The sum of real values, as real; exact under retraction.
    SumFloat32,
    /// The sum of double precision values; exact under retraction.
    SumFloat64,
    /// Whether any value is true.
    Any,
    /// Whether all values are true.
    All,
}

/// The evaluation of a basic aggregate over a group's sorted argument lists.
pub type BasicFn = for<'a> fn(&FuncTypes, &'a RowArena, &[Vec<Datum<'a>>]) -> Result<Datum<'a>, EvalError>;

/// An aggregate in the registry. Aggregates that are expressions over others (avg, stddev, variance, …) are expanded by
/// planning and are listed with `expansion`.
pub struct AggregateDef {
    /// The SQL name.
    pub name: &'static str,
    /// The stable unique key.
    pub key: String,
    /// The parameters.
    pub params: Vec<ParamType>,
    /// The result type.
    pub ret: ReturnType,
    /// How it is maintained; `None` for one that planning expands by name (avg, stddev, …).
    pub kind: Option<AggregateKind>,
    /// Whether the value over no rows is NULL (count's is 0).
    pub null_on_empty: bool,
    /// Of an ordered-set aggregate, called `f(direct, …) WITHIN GROUP (ORDER BY sorted, …)`, the number of direct
    /// parameters. They come first in `params`, the sorted ones after them. A call passes all of them as arguments in
    /// that order, with `order_by` on the positions of the sorted ones as WITHIN GROUP says. `None` for any other.
    pub direct: Option<usize>,
}

impl fmt::Debug for AggregateDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

/// An aggregate at concrete types.
#[derive(Clone)]
pub enum AggregateFunc {
    /// An entry of the registry.
    Def(&'static AggregateDef, Arc<FuncTypes>),
    /// All window functions of one partitioning: the result is a list with one record for each input row: the row's
    /// own columns (as a record), then one value for each function.
    Window(Arc<WindowSpec>),
}

impl AggregateFunc {
    /// An entry called with these argument types.
    pub fn new(def: &'static AggregateDef, args: Vec<ScalarType>) -> AggregateFunc {
        let ret = match def.ret {
            ReturnType::Fixed(f) => f(),
            ReturnType::Computed(f) => f(&args),
        };
        AggregateFunc::Def(def, Arc::new(FuncTypes { args, ret }))
    }

    /// The entry of that key, called with these types.
    pub fn by_key(key: &str, args: Vec<ScalarType>) -> Option<AggregateFunc> {
        registry().aggregate_by_key.get(key).map(|def| AggregateFunc::new(def, args))
    }

    /// The result's type. Over no rows it is what `null_on_empty` says; a reduction with a group key has no empty groups.
    pub fn output_type(&self) -> ColumnType {
        match self {
            AggregateFunc::Def(def, types) => types.ret.clone().nullable(def.null_on_empty),
            AggregateFunc::Window(spec) => spec.output_type().nullable(false),
        }
    }
}

impl AggregateFunc {
    /// Computes the aggregate over all argument lists of a group, sorted as its ORDER BY says. Arguments after those
    /// that the function declares are ignored. DISTINCT and FILTER are the caller's.
    ///
    /// # Errors
    /// When the aggregate has no value.
    ///
    /// # Panics
    /// For an aggregate that planning should have expanded.
    pub fn eval<'a>(&'a self, arena: &'a RowArena, rows: &[Vec<Datum<'a>>]) -> Result<Datum<'a>, EvalError> {
        let (def, types) = match self {
            AggregateFunc::Def(def, types) => (def, types),
            AggregateFunc::Window(spec) => return spec.eval(arena, rows),
        };
        match def.kind {
            Some(AggregateKind::Basic(eval)) => eval(types, arena, rows),
            Some(kind) => {
                let mut running = Running::new(kind, &types.ret);
                rows.iter().try_for_each(|r| running.push(r.first().copied()))?;
                let value = running.value()?;
                Ok(arena.make_datum(|p| p.push(value)))
            }
            None => panic!("planning expanded {self:?}"),
        }
    }

    /// A state that takes one value after the other, for aggregates that need not see all at once.
    pub(crate) fn running(&self) -> Option<Running<'_>> {
        match self {
            AggregateFunc::Def(def, types) => match def.kind {
                None | Some(AggregateKind::Basic(_)) => None,
                Some(kind) => Some(Running::new(kind, &types.ret)),
            },
            AggregateFunc::Window(_) => None,
        }
    }
}

impl fmt::Debug for AggregateFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AggregateFunc::Def(def, _) => f.write_str(&def.key),
            AggregateFunc::Window(w) => write!(f, "window({w:?})"),
        }
    }
}

impl AggregateFunc {
    fn identity(&self) -> (Option<(&str, &FuncTypes)>, Option<&WindowSpec>) {
        match self {
            AggregateFunc::Def(def, types) => (Some((def.key.as_str(), types)), None),
            AggregateFunc::Window(w) => (None, Some(w)),
        }
    }
}

impl PartialEq for AggregateFunc {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for AggregateFunc {}

impl PartialOrd for AggregateFunc {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AggregateFunc {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Hash for AggregateFunc {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

#[derive(Serialize, Deserialize)]
enum AggregateFuncRepr {
    Def(String, FuncTypes),
    Window(WindowSpec),
}

impl Serialize for AggregateFunc {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            AggregateFunc::Def(def, types) => {
                AggregateFuncRepr::Def(def.key.clone(), (**types).clone()).serialize(s)
            }
            AggregateFunc::Window(w) => AggregateFuncRepr::Window((**w).clone()).serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for AggregateFunc {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<AggregateFunc, D::Error> {
        match AggregateFuncRepr::deserialize(d)? {
            AggregateFuncRepr::Window(w) => Ok(AggregateFunc::Window(Arc::new(w))),
            AggregateFuncRepr::Def(key, types) => {
                let def = registry().aggregate_by_key.get(key.as_str()).copied();
                let def = def.ok_or_else(|| serde::de::Error::custom(format!("unknown aggregate {key}")))?;
                Ok(AggregateFunc::Def(def, Arc::new(types)))
            }
        }
    }
}

/// One aggregate of a reduction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AggregateExpr {
    /// The aggregate.
    pub func: AggregateFunc,
    /// Its arguments, over the reduction's input.
    pub args: Vec<MirScalarExpr>,
    /// Its ORDER BY: positions in `args` (arguments after those that the function declares are there only to sort by).
    pub order_by: Vec<ColumnOrder>,
    /// Whether equal argument lists count once.
    pub distinct: bool,
    /// Its FILTER: rows for which this is not true are left out.
    pub filter: Option<MirScalarExpr>,
}

impl AggregateExpr {
    /// The result's type, over a group that has rows (unless all are filtered out).
    pub fn typ(&self) -> ColumnType {
        self.func.output_type()
    }
}
