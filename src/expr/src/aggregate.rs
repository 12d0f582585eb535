//! Aggregates.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hw_repr::adt::numeric;
use hw_repr::{ColumnOrder, ColumnType, Datum, RowArena, ScalarType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::EvalError;
use crate::func::{FuncTypes, ParamType, ReturnType, registry};
use crate::scalar::MirScalarExpr;
use crate::window::WindowSpec;

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
        let values = || rows.iter().map(|r| r[0]).filter(|d| !d.is_null());
        match def.kind {
            Some(AggregateKind::Basic(eval)) => eval(types, arena, rows),
            Some(AggregateKind::Min) => Ok(values().min().unwrap_or(Datum::Null)),
            Some(AggregateKind::Max) => Ok(values().max().unwrap_or(Datum::Null)),
            Some(AggregateKind::Accumulable(Accumulation::Count)) => Ok(Datum::Int64(
                rows.iter().filter(|r| r.first().is_none_or(|d| !d.is_null())).count() as i64,
            )),
            Some(AggregateKind::Accumulable(accumulation)) => accumulate(accumulation, &types.ret, values()),
            None => panic!("planning expanded {self:?}"),
        }
    }
}

/// Sums values that are not NULL.
fn accumulate<'a>(
    accumulation: Accumulation,
    ret: &ScalarType,
    values: impl Iterator<Item = Datum<'a>>,
) -> Result<Datum<'a>, EvalError> {
    let mut values = values.peekable();
    if values.peek().is_none() {
        return Ok(Datum::Null);
    }
    let int = |d: Datum<'a>| match d {
        Datum::Int16(v) => i128::from(v),
        Datum::Int32(v) => i128::from(v),
        Datum::Int64(v) => i128::from(v),
        Datum::UInt16(v) => i128::from(v),
        Datum::UInt32(v) => i128::from(v),
        other => i128::from(other.unwrap_uint64()),
    };
    let out_of_range = |name: &str| EvalError::OutOfRange(name.into());
    Ok(match accumulation {
        Accumulation::Count => Datum::Int64(values.count() as i64),
        Accumulation::SumSmallInt => {
            let sum: i128 = values.map(int).sum();
            match ret {
                ScalarType::UInt64 => Datum::UInt64(u64::try_from(sum).map_err(|_| out_of_range("uint8"))?),
                _ => Datum::Int64(i64::try_from(sum).map_err(|_| out_of_range("bigint"))?),
            }
        }
        Accumulation::SumBigInt => Datum::Numeric(numeric::from_i128(values.map(int).sum())?),
        Accumulation::SumNumeric => {
            let mut sum = numeric::zero();
            for d in values {
                sum = numeric::add(&sum, &d.unwrap_numeric())?;
            }
            Datum::Numeric(sum)
        }
        Accumulation::SumFloat32 => {
            Datum::Float32((values.map(|d| f64::from(d.unwrap_float32().0)).sum::<f64>() as f32).into())
        }
        Accumulation::SumFloat64 => Datum::Float64(values.map(|d| d.unwrap_float64().0).sum::<f64>().into()),
        Accumulation::Any => Datum::Bool(values.any(|d| d.unwrap_bool())),
        Accumulation::All => Datum::Bool(values.all(|d| d.unwrap_bool())),
    })
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
