//! Table functions: zero or more rows for each call.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hw_repr::{Datum, Diff, RelationDesc, Row, RowArena, ScalarType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::EvalError;
use crate::func::{FuncTypes, ParamType, registry};

/// The rows of one call, produced as they are asked for.
pub type TableRows<'a> = Box<dyn Iterator<Item = Result<(Row, Diff), EvalError>> + 'a>;

/// The evaluation of a table function.
pub type TableFn = for<'a> fn(&'a FuncTypes, &'a RowArena, &[Datum<'a>]) -> Result<TableRows<'a>, EvalError>;

/// A table function in the registry.
pub struct TableFuncDef {
    /// The SQL name.
    pub name: &'static str,
    /// The stable unique key.
    pub key: String,
    /// The parameters.
    pub params: Vec<ParamType>,
    /// Further parameters of this type may follow.
    pub variadic: Option<ParamType>,
    /// The result's columns for the concrete argument types.
    pub desc: fn(&[ScalarType]) -> RelationDesc,
    /// Whether a NULL argument gives no rows without a call.
    pub strict: bool,
    /// The evaluation.
    pub eval: TableFn,
}

impl fmt::Debug for TableFuncDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

/// A table function at concrete types.
#[derive(Clone)]
pub struct TableFunc {
    def: &'static TableFuncDef,
    types: Arc<FuncTypes>,
    /// Whether a last column `ordinality` (int8, from 1) is added.
    with_ordinality: bool,
}

impl TableFunc {
    /// An entry called with these argument types.
    pub fn new(def: &'static TableFuncDef, args: Vec<ScalarType>) -> TableFunc {
        // The result type of a table function is its relation; the scalar slot is unused.
        TableFunc { def, types: Arc::new(FuncTypes { args, ret: ScalarType::Bool }), with_ordinality: false }
    }

    /// The entry of that key, called with these types.
    pub fn by_key(key: &str, args: Vec<ScalarType>) -> Option<TableFunc> {
        registry().table_by_key.get(key).map(|def| TableFunc::new(def, args))
    }

    /// Gives one row with its argument, of type `typ`. Unlike an expression of a map, which transforms may move, double or
    /// leave out, the argument is computed where the call stands, once for each row.
    pub fn value_once(typ: ScalarType) -> TableFunc {
        let def = registry().table_by_key.get(crate::functions::table::VALUE_ONCE);
        TableFunc::new(def.expect("it is registered"), vec![typ])
    }

    /// The same with a last column `ordinality`.
    pub fn with_ordinality(mut self) -> TableFunc {
        self.with_ordinality = true;
        self
    }

    /// The registry entry.
    pub fn def(&self) -> &'static TableFuncDef {
        self.def
    }

    /// The result's columns.
    pub fn desc(&self) -> RelationDesc {
        let desc = (self.def.desc)(&self.types.args);
        if !self.with_ordinality {
            return desc;
        }
        desc.with_column("ordinality", ScalarType::Int64.nullable(false))
    }

    /// Calls the function.
    pub fn eval<'a>(&'a self, arena: &'a RowArena, args: &[Datum<'a>]) -> Result<TableRows<'a>, EvalError> {
        if self.def.strict && args.iter().any(Datum::is_null) {
            return Ok(Box::new(std::iter::empty()));
        }
        let rows = (self.def.eval)(&self.types, arena, args)?;
        if !self.with_ordinality {
            return Ok(rows);
        }
        let mut ordinal = 0i64;
        Ok(Box::new(rows.map(move |r| {
            r.map(|(mut row, diff)| {
                ordinal += 1;
                row.appender().push(Datum::Int64(ordinal));
                (row, diff)
            })
        })))
    }
}

impl fmt::Debug for TableFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.def.key)
    }
}

impl PartialEq for TableFunc {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == std::cmp::Ordering::Equal
    }
}

impl Eq for TableFunc {}

impl PartialOrd for TableFunc {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TableFunc {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.def.key, &self.types, self.with_ordinality).cmp(&(
            &other.def.key,
            &other.types,
            other.with_ordinality,
        ))
    }
}

impl Hash for TableFunc {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.def.key, &self.types, self.with_ordinality).hash(state);
    }
}

impl Serialize for TableFunc {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        (&self.def.key, &self.types.args, self.with_ordinality).serialize(s)
    }
}

impl<'de> Deserialize<'de> for TableFunc {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<TableFunc, D::Error> {
        let (key, args, with_ordinality) = <(String, Vec<ScalarType>, bool)>::deserialize(d)?;
        let func = TableFunc::by_key(&key, args);
        let func = func.ok_or_else(|| serde::de::Error::custom(format!("unknown table function {key}")))?;
        Ok(TableFunc { with_ordinality, ..func })
    }
}
