//! The registry of functions, operators, casts and aggregates.
//!
//! Each family file under [`crate::functions`] registers its entries once, at first use. An entry says everything
//! there is to know of a function: its SQL name, parameters, result, volatility, strictness and how it is evaluated;
//! the catalog's `pg_proc` and `pg_operator` are made from the same entries.
//!
//! A [`Func`] is an entry together with the concrete types at which it is called, so that polymorphic functions know
//! their types when they run. It serialises as the entry's key, which therefore must not change between versions that
//! share a catalog or a cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use hw_repr::{Datum, RowArena, ScalarType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::aggregate::AggregateDef;
use crate::error::EvalError;
use crate::table::TableFuncDef;

/// A parameter as PostgreSQL declares it (manual 38.2.5, polymorphic types).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParamType {
    /// Exactly this type, modifiers aside.
    Type(ScalarType),
    /// Any type, independent of the others.
    Any,
    /// One type for all `AnyElement`, `AnyArray`, `AnyNonArray`, `AnyRange` parameters.
    AnyElement,
    /// An array of `AnyElement`.
    AnyArray,
    /// As `AnyElement`, but no array.
    AnyNonArray,
    /// A range over `AnyElement`.
    AnyRange,
    /// As `AnyElement`, but the arguments are brought to one common type.
    AnyCompatible,
    /// An array of `AnyCompatible`.
    AnyCompatibleArray,
    /// Any list; the element type is `ListElement`.
    AnyList,
    /// The element type of `AnyList`.
    ListElement,
    /// Any map; the value type is `MapValue`.
    AnyMap,
    /// The value type of `AnyMap`.
    MapValue,
    /// Any record.
    AnyRecord,
}

impl From<ScalarType> for ParamType {
    fn from(t: ScalarType) -> Self {
        ParamType::Type(t)
    }
}

/// How a result type follows from the arguments.
#[derive(Clone, Copy)]
pub enum ReturnType {
    /// A fixed type; a function pointer so that entries are plain data.
    Fixed(fn() -> ScalarType),
    /// Computed from the concrete argument types.
    Computed(fn(&[ScalarType]) -> ScalarType),
}

/// PostgreSQL manual 38.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatility {
    /// Depends on nothing but its arguments.
    Immutable,
    /// Depends also on the session (time zone, settings), which planning must have folded away.
    Stable,
    /// May differ from call to call.
    Volatile,
}

/// What the optimizer needs to recognise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `=`
    Eq,
    /// `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `NOT`
    Not,
    /// A cast that keeps distinct values distinct and preserves equality (such as int4 to int8).
    InjectiveCast,
    /// Any other cast.
    Cast,
    /// Makes SQL-equal values byte-equal, see [`crate::scalar::canonical_key`].
    CanonicalKey,
    /// Raises the error held in its argument.
    RaiseError,
}

/// The evaluation of a call. Strict functions are never called with NULL.
pub type EvalFn = for<'a> fn(&EvalCx<'_>, &'a RowArena, &[Datum<'a>]) -> Result<Datum<'a>, EvalError>;

/// What a function may look at besides its arguments.
#[derive(Debug, Clone, Copy)]
pub struct EvalCx<'t> {
    /// The concrete types at which it is called.
    pub types: &'t FuncTypes,
}

/// Where a cast may be applied (PostgreSQL manual 10 and CREATE CAST).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// Wherever types must be made to fit.
    Implicit,
    /// When a value is stored in a column.
    Assignment,
    /// Only where it is written.
    Explicit,
}

/// What an entry is, besides its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FuncKind {
    /// Called by name.
    Function,
    /// An operator, prefix if it has one parameter. The entry's name is its symbol.
    Operator,
    /// A cast from its first parameter to its result. With a second parameter `int4` it also applies the target's type
    /// modifier, and with a third parameter `bool` it is told whether the cast is explicit.
    Cast(CastContext),
    /// A function whose value is that of a query, with its arguments as `$1`, `$2`, …: planning puts the query in place of
    /// the call, which is never evaluated.
    Query(&'static str),
    /// Used by planning only; has no SQL name.
    Internal,
}

/// One entry of the registry.
pub struct FuncDef {
    /// The SQL name, or the operator's symbol.
    pub name: &'static str,
    /// The stable unique key: name and parameter types.
    pub key: String,
    /// The parameters.
    pub params: Vec<ParamType>,
    /// Further parameters of this type may follow, as many as are given.
    pub variadic: Option<ParamType>,
    /// The result type.
    pub ret: ReturnType,
    /// Function, operator, cast or internal.
    pub kind: FuncKind,
    /// When the result may be kept.
    pub volatility: Volatility,
    /// Whether a NULL argument makes the result NULL without a call.
    pub strict: bool,
    /// Whether the result may be NULL though no argument is.
    pub introduces_null: bool,
    /// Whether a call may fail.
    pub could_error: bool,
    /// What the optimizer recognises.
    pub role: Option<Role>,
    /// The evaluation.
    pub eval: EvalFn,
}

impl fmt::Debug for FuncDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

/// The concrete types of one call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FuncTypes {
    /// The arguments' types.
    pub args: Vec<ScalarType>,
    /// The result's type.
    pub ret: ScalarType,
}

/// An entry of the registry at concrete types.
#[derive(Clone)]
pub struct Func {
    def: &'static FuncDef,
    types: Arc<FuncTypes>,
}

impl Func {
    /// An entry called with these argument types.
    pub fn new(def: &'static FuncDef, args: Vec<ScalarType>) -> Func {
        let ret = match def.ret {
            ReturnType::Fixed(f) => f(),
            ReturnType::Computed(f) => f(&args),
        };
        Func { def, types: Arc::new(FuncTypes { args, ret }) }
    }

    /// The same call with another result type of the same base (a cast that sets a type modifier).
    pub fn with_ret(self, ret: ScalarType) -> Func {
        Func { def: self.def, types: Arc::new(FuncTypes { args: self.types.args.clone(), ret }) }
    }

    /// The entry of that key, called with these types.
    pub fn by_key(key: &str, args: Vec<ScalarType>) -> Option<Func> {
        registry().by_key.get(key).map(|def| Func::new(def, args))
    }

    /// The comparison, arithmetic or other operator of that symbol with exactly these operand types (for comparisons:
    /// two of one type); no implicit casts are sought.
    pub fn operator(symbol: &str, args: Vec<ScalarType>) -> Option<Func> {
        let entries = registry().operators.get(symbol)?;
        let def = entries.iter().find(|d| {
            d.params.len() == args.len()
                && d.params.iter().zip(&args).all(|(p, t)| match p {
                    ParamType::Type(p) => p.base_eq(t),
                    ParamType::AnyCompatible | ParamType::AnyElement | ParamType::Any => true,
                    _ => false,
                })
        })?;
        Some(Func::new(def, args))
    }

    /// For a call that depends on the session's time zone: the call that takes the zone's name (`TimeZone`'s display
    /// form) as one more argument, of type text. Planning uses it when the session's zone is not UTC.
    pub fn zoned(&self) -> Option<Func> {
        if !self.types.args.iter().chain([&self.types.ret]).any(holds_timestamptz) {
            return None;
        }
        let def = registry().by_key.get(format!("zoned:{}", self.def.key).as_str()).copied()?;
        let mut args = self.types.args.clone();
        args.push(ScalarType::String);
        Some(Func { def, types: Arc::new(FuncTypes { args, ret: self.types.ret.clone() }) })
    }

    /// The registry entry.
    pub fn def(&self) -> &'static FuncDef {
        self.def
    }

    /// The concrete types.
    pub fn types(&self) -> &FuncTypes {
        &self.types
    }

    /// What the optimizer recognises.
    pub fn role(&self) -> Option<Role> {
        self.def.role
    }

    /// Calls the function.
    pub fn eval<'a>(&self, arena: &'a RowArena, args: &[Datum<'a>]) -> Result<Datum<'a>, EvalError> {
        if self.def.strict && args.iter().any(Datum::is_null) {
            return Ok(Datum::Null);
        }
        (self.def.eval)(&EvalCx { types: &self.types }, arena, args)
    }
}

fn holds_timestamptz(typ: &ScalarType) -> bool {
    match typ {
        ScalarType::TimestampTz { .. } => true,
        ScalarType::Record { fields, .. } => fields.iter().any(|(_, t)| holds_timestamptz(&t.scalar_type)),
        ScalarType::Array(t) | ScalarType::Range(t) => holds_timestamptz(t),
        ScalarType::List { element, .. } => holds_timestamptz(element),
        ScalarType::Map { value, .. } => holds_timestamptz(value),
        _ => false,
    }
}

impl fmt::Debug for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.def.key)
    }
}

impl PartialEq for Func {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.def, other.def) && self.types == other.types
    }
}

impl Eq for Func {}

impl PartialOrd for Func {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Func {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.def.key, &self.types).cmp(&(&other.def.key, &other.types))
    }
}

impl Hash for Func {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.def.key.hash(state);
        self.types.hash(state);
    }
}

impl Serialize for Func {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        (&self.def.key, &*self.types).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Func {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Func, D::Error> {
        let (key, types) = <(String, FuncTypes)>::deserialize(d)?;
        let def = registry().by_key.get(key.as_str()).copied();
        let def = def.ok_or_else(|| serde::de::Error::custom(format!("unknown function {key}")))?;
        Ok(Func { def, types: Arc::new(types) })
    }
}

/// All entries, by name and by key.
#[derive(Default)]
pub struct Registry {
    /// Functions called by name.
    pub functions: BTreeMap<&'static str, Vec<&'static FuncDef>>,
    /// Operators by symbol, prefix and infix together.
    pub operators: BTreeMap<&'static str, Vec<&'static FuncDef>>,
    /// Casts, in no particular order.
    pub casts: Vec<&'static FuncDef>,
    /// Aggregates by name.
    pub aggregates: BTreeMap<&'static str, Vec<&'static AggregateDef>>,
    /// Table functions by name.
    pub tables: BTreeMap<&'static str, Vec<&'static TableFuncDef>>,
    pub(crate) cast_by_types: BTreeMap<(ScalarType, ScalarType), &'static FuncDef>,
    pub(crate) by_key: BTreeMap<&'static str, &'static FuncDef>,
    pub(crate) aggregate_by_key: BTreeMap<&'static str, &'static AggregateDef>,
    pub(crate) table_by_key: BTreeMap<&'static str, &'static TableFuncDef>,
}

impl Registry {
    /// Adds a function, operator, cast or internal entry. Entries live as long as the process.
    ///
    /// # Panics
    /// When the key is taken: two entries with the same name and parameters.
    pub fn add(&mut self, def: FuncDef) {
        let def: &'static FuncDef = Box::leak(Box::new(def));
        assert!(self.by_key.insert(&def.key, def).is_none(), "duplicate function {}", def.key);
        match def.kind {
            FuncKind::Function | FuncKind::Query(_) => self.functions.entry(def.name).or_default().push(def),
            FuncKind::Operator => self.operators.entry(def.name).or_default().push(def),
            FuncKind::Cast(_) => self.add_cast(def),
            FuncKind::Internal => {}
        }
    }

    fn add_cast(&mut self, def: &'static FuncDef) {
        self.casts.push(def);
        if let ([ParamType::Type(from)], ReturnType::Fixed(to)) = (def.params.as_slice(), def.ret) {
            self.cast_by_types.insert((from.clone(), to()), def);
        }
    }

    /// Adds an aggregate.
    ///
    /// # Panics
    /// When the key is taken.
    pub fn add_aggregate(&mut self, def: AggregateDef) {
        let def: &'static AggregateDef = Box::leak(Box::new(def));
        assert!(self.aggregate_by_key.insert(&def.key, def).is_none(), "duplicate aggregate {}", def.key);
        self.aggregates.entry(def.name).or_default().push(def);
    }

    /// Adds a table function.
    ///
    /// # Panics
    /// When the key is taken.
    pub fn add_table(&mut self, def: TableFuncDef) {
        let def: &'static TableFuncDef = Box::leak(Box::new(def));
        assert!(self.table_by_key.insert(&def.key, def).is_none(), "duplicate table function {}", def.key);
        self.tables.entry(def.name).or_default().push(def);
    }
}

/// The registry of this process.
pub fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(crate::functions::build);
    &REGISTRY
}
