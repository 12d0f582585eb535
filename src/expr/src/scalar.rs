//! The scalar language that runs.

use hw_repr::{ColumnType, Datum, Row, RowArena, ScalarType};
use serde::{Deserialize, Serialize};

use crate::error::EvalError;
use crate::func::{Func, Role, Volatility};

mod nullability;
mod reduce;
pub use reduce::{negated, swapped};

/// A scalar expression over the columns of one row.
///
/// Evaluation does not depend on the order of operands: AND is false if any operand is false, else fails if any
/// fails, else is NULL if any is NULL; OR likewise. `If` and `Coalesce` evaluate only what they need.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MirScalarExpr {
    /// The input's column at that position.
    Column(usize),
    /// A value (a row of one datum) or an error, of that type.
    Literal(Result<Row, EvalError>, ColumnType),
    /// A function whose value planning or execution must supply.
    Unmaterializable(UnmaterializableFunc),
    /// A call.
    Call {
        /// The function, at concrete types.
        func: Func,
        /// Its arguments.
        args: Vec<MirScalarExpr>,
    },
    /// Conjunction; of nothing, true.
    And(Vec<MirScalarExpr>),
    /// Disjunction; of nothing, false.
    Or(Vec<MirScalarExpr>),
    /// Negation.
    Not(Box<MirScalarExpr>),
    /// Whether the operand is NULL.
    IsNull(Box<MirScalarExpr>),
    /// The first operand that is not NULL.
    Coalesce(Vec<MirScalarExpr>),
    /// `then` if `cond` is true, otherwise `els`.
    If {
        /// The condition.
        cond: Box<MirScalarExpr>,
        /// The value when it is true.
        then: Box<MirScalarExpr>,
        /// The value when it is false or NULL.
        els: Box<MirScalarExpr>,
    },
}

/// Functions of the statement's context. All but `MzNow` are replaced by literals before a plan is run; in maintained
/// views all but `MzNow` are refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UnmaterializableFunc {
    /// `mz_now()`: the logical time at which the result is correct.
    MzNow,
    /// `now()`, `current_timestamp`: the start of the transaction.
    Now,
    /// `current_user`
    CurrentUser,
    /// `session_user`
    SessionUser,
    /// `current_database()`
    CurrentDatabase,
    /// `current_schema()`
    CurrentSchema,
    /// `current_schemas(include_implicit)`
    CurrentSchemas {
        /// Whether implicit schemas are listed.
        include_implicit: bool,
    },
    /// `current_setting(name)`, of a name known when planned.
    CurrentSetting(String),
    /// `pg_backend_pid()`
    PgBackendPid,
    /// `mz_environment_id()`
    EnvironmentId,
    /// `mz_version()`
    MzVersion,
    /// `mz_uptime()`
    Uptime,
    /// `mz_session_id()`
    SessionId,
    /// `version()`
    Version,
    /// `pg_postmaster_start_time()`
    PostmasterStartTime,
    /// Parameter `$n` of a plan that is kept for several executions, and its type.
    Parameter(usize, ScalarType),
}

impl UnmaterializableFunc {
    /// The type of its value.
    pub fn typ(&self) -> ColumnType {
        match self {
            UnmaterializableFunc::MzNow => ScalarType::MzTimestamp.nullable(false),
            UnmaterializableFunc::Now | UnmaterializableFunc::PostmasterStartTime => {
                ScalarType::TIMESTAMPTZ.nullable(false)
            }
            UnmaterializableFunc::CurrentUser
            | UnmaterializableFunc::SessionUser
            | UnmaterializableFunc::CurrentDatabase => ScalarType::PgLegacyName.nullable(false),
            UnmaterializableFunc::CurrentSchema => ScalarType::PgLegacyName.nullable(true),
            UnmaterializableFunc::CurrentSchemas { .. } => {
                ScalarType::PgLegacyName.array_of().nullable(false)
            }
            UnmaterializableFunc::CurrentSetting(_) => ScalarType::String.nullable(true),
            UnmaterializableFunc::PgBackendPid => ScalarType::Int32.nullable(false),
            UnmaterializableFunc::EnvironmentId
            | UnmaterializableFunc::MzVersion
            | UnmaterializableFunc::Version => ScalarType::String.nullable(false),
            UnmaterializableFunc::Uptime => ScalarType::Interval.nullable(false),
            UnmaterializableFunc::SessionId => ScalarType::Uuid.nullable(false),
            UnmaterializableFunc::Parameter(_, typ) => typ.clone().nullable(true),
        }
    }
}

impl MirScalarExpr {
    /// A column.
    pub fn column(i: usize) -> Self {
        MirScalarExpr::Column(i)
    }

    /// A literal that is not an error.
    pub fn literal(datum: Datum<'_>, typ: ScalarType) -> Self {
        let nullable = datum.is_null();
        MirScalarExpr::Literal(Ok(Row::pack_slice(&[datum])), typ.nullable(nullable))
    }

    /// The literal NULL of a type.
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
    pub fn call(func: Func, args: Vec<MirScalarExpr>) -> Self {
        MirScalarExpr::Call { func, args }
    }

    /// Negation.
    #[allow(clippy::should_implement_trait)]
    pub fn not(self) -> Self {
        MirScalarExpr::Not(Box::new(self))
    }

    /// Whether this is NULL.
    pub fn is_null(self) -> Self {
        MirScalarExpr::IsNull(Box::new(self))
    }

    /// A conditional.
    pub fn if_then_else(self, then: Self, els: Self) -> Self {
        MirScalarExpr::If { cond: Box::new(self), then: Box::new(then), els: Box::new(els) }
    }

    /// The literal's datum, `None` for anything else and for errors.
    pub fn as_literal(&self) -> Option<Datum<'_>> {
        match self {
            MirScalarExpr::Literal(Ok(row), _) => Some(row.unpack_first()),
            _ => None,
        }
    }

    /// The type of the value, over input columns of these types.
    pub fn typ(&self, input: &[ColumnType]) -> ColumnType {
        match self {
            MirScalarExpr::Column(i) => input[*i].clone(),
            MirScalarExpr::Literal(_, typ) => typ.clone(),
            _ => stacker::maybe_grow(64 << 10, 1 << 20, || self.typ_of_operator(input)),
        }
    }

    fn typ_of_operator(&self, input: &[ColumnType]) -> ColumnType {
        match self {
            MirScalarExpr::Column(_) | MirScalarExpr::Literal(..) => self.typ(input),
            MirScalarExpr::Unmaterializable(f) => f.typ(),
            MirScalarExpr::Call { func, args } => {
                let def = func.def();
                let nullable =
                    def.introduces_null || (def.strict && args.iter().any(|a| a.typ(input).nullable));
                func.types().ret.clone().nullable(nullable)
            }
            MirScalarExpr::And(v) | MirScalarExpr::Or(v) => {
                ScalarType::Bool.nullable(v.iter().any(|e| e.typ(input).nullable))
            }
            MirScalarExpr::Not(e) => ScalarType::Bool.nullable(e.typ(input).nullable),
            MirScalarExpr::IsNull(_) => ScalarType::Bool.nullable(false),
            MirScalarExpr::Coalesce(v) => {
                let types: Vec<_> = v.iter().map(|e| e.typ(input)).collect();
                types[0].scalar_type.clone().nullable(types.iter().all(|t| t.nullable))
            }
            MirScalarExpr::If { then, els, .. } => {
                let (t, e) = (then.typ(input), els.typ(input));
                t.scalar_type.nullable(t.nullable || e.nullable)
            }
        }
    }

    /// The direct operands.
    pub fn children(&self) -> Vec<&MirScalarExpr> {
        match self {
            MirScalarExpr::Column(_) | MirScalarExpr::Literal(..) | MirScalarExpr::Unmaterializable(_) => {
                vec![]
            }
            MirScalarExpr::Call { args: v, .. }
            | MirScalarExpr::And(v)
            | MirScalarExpr::Or(v)
            | MirScalarExpr::Coalesce(v) => v.iter().collect(),
            MirScalarExpr::Not(e) | MirScalarExpr::IsNull(e) => vec![e],
            MirScalarExpr::If { cond, then, els } => vec![cond, then, els],
        }
    }

    /// The direct operands, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut MirScalarExpr> {
        match self {
            MirScalarExpr::Column(_) | MirScalarExpr::Literal(..) | MirScalarExpr::Unmaterializable(_) => {
                vec![]
            }
            MirScalarExpr::Call { args: v, .. }
            | MirScalarExpr::And(v)
            | MirScalarExpr::Or(v)
            | MirScalarExpr::Coalesce(v) => v.iter_mut().collect(),
            MirScalarExpr::Not(e) | MirScalarExpr::IsNull(e) => vec![e],
            MirScalarExpr::If { cond, then, els } => vec![cond, then, els],
        }
    }

    /// Visits this expression and all below it, operands first. Grows the stack as needed.
    pub fn visit_post(&self, f: &mut impl FnMut(&MirScalarExpr)) {
        stacker::maybe_grow(32 << 10, 1 << 20, || {
            for c in self.children() {
                c.visit_post(f);
            }
            f(self);
        });
    }

    /// Visits this expression and all below it, operands first, to change them. Grows the stack as needed.
    pub fn visit_mut_post(&mut self, f: &mut impl FnMut(&mut MirScalarExpr)) {
        stacker::maybe_grow(32 << 10, 1 << 20, || {
            for c in self.children_mut() {
                c.visit_mut_post(f);
            }
            f(self);
        });
    }

    /// Visits this expression, then what is below it where `f` says so, to change them. Grows the stack as needed.
    pub fn visit_mut_pre(&mut self, f: &mut impl FnMut(&mut MirScalarExpr) -> bool) {
        stacker::maybe_grow(32 << 10, 1 << 20, || {
            if f(self) {
                for c in self.children_mut() {
                    c.visit_mut_pre(f);
                }
            }
        });
    }

    /// The columns that occur.
    pub fn support(&self) -> std::collections::BTreeSet<usize> {
        let mut out = std::collections::BTreeSet::new();
        self.visit_post(&mut |e| {
            if let MirScalarExpr::Column(c) = e {
                out.insert(*c);
            }
        });
        out
    }

    /// Replaces each column `c` by column `map(c)`.
    pub fn permute_map(&mut self, map: impl Fn(usize) -> usize) {
        self.visit_mut_post(&mut |e| {
            if let MirScalarExpr::Column(c) = e {
                *c = map(*c);
            }
        });
    }

    /// Whether `mz_now()` or another context function occurs.
    pub fn contains_unmaterializable(&self) -> bool {
        let mut found = false;
        self.visit_post(&mut |e| found |= matches!(e, MirScalarExpr::Unmaterializable(_)));
        found
    }

    /// Whether a volatile function is called: one whose value is another each time.
    pub fn contains_volatile(&self) -> bool {
        let mut found = false;
        self.visit_post(&mut |e| {
            found |= matches!(e, MirScalarExpr::Call { func, .. } if func.def().volatility == Volatility::Volatile);
        });
        found
    }

    /// Whether `mz_now()` occurs.
    pub fn contains_temporal(&self) -> bool {
        let mut found = false;
        self.visit_post(&mut |e| {
            found |= matches!(e, MirScalarExpr::Unmaterializable(UnmaterializableFunc::MzNow));
        });
        found
    }

    /// The role of the called function, if this is a call.
    pub fn role(&self) -> Option<Role> {
        match self {
            MirScalarExpr::Call { func, .. } => func.role(),
            _ => None,
        }
    }

    /// Evaluates over a row.
    ///
    /// # Panics
    /// When a column is beyond `datums`, or a context function has not been replaced.
    pub fn eval<'a>(&'a self, datums: &[Datum<'a>], arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
        match self {
            MirScalarExpr::Column(i) => Ok(datums[*i]),
            MirScalarExpr::Literal(Ok(row), _) => Ok(row.unpack_first()),
            MirScalarExpr::Literal(Err(e), _) => Err(e.clone()),
            // Expressions are as deep as people write them, and workers' stacks are small.
            _ => stacker::maybe_grow(64 << 10, 1 << 20, || self.eval_operands(datums, arena)),
        }
    }

    fn eval_operands<'a>(
        &'a self,
        datums: &[Datum<'a>],
        arena: &'a RowArena,
    ) -> Result<Datum<'a>, EvalError> {
        match self {
            MirScalarExpr::Column(_) | MirScalarExpr::Literal(..) => self.eval(datums, arena),
            MirScalarExpr::Unmaterializable(f) => {
                panic!("context function {f:?} was replaced before evaluation")
            }
            MirScalarExpr::Call { func, args } => {
                let mut values = smallvec::SmallVec::<[Datum<'a>; 4]>::new();
                for a in args {
                    values.push(a.eval(datums, arena)?);
                }
                func.eval(arena, &values)
            }
            MirScalarExpr::And(v) => eval_junction(v, false, datums, arena),
            MirScalarExpr::Or(v) => eval_junction(v, true, datums, arena),
            MirScalarExpr::Not(e) => Ok(match e.eval(datums, arena)? {
                Datum::Bool(b) => Datum::Bool(!b),
                other => other,
            }),
            MirScalarExpr::IsNull(e) => Ok(Datum::Bool(e.eval(datums, arena)?.is_null())),
            MirScalarExpr::Coalesce(v) => {
                for e in v {
                    let d = e.eval(datums, arena)?;
                    if !d.is_null() {
                        return Ok(d);
                    }
                }
                Ok(Datum::Null)
            }
            MirScalarExpr::If { cond, then, els } => match cond.eval(datums, arena)? {
                Datum::Bool(true) => then.eval(datums, arena),
                _ => els.eval(datums, arena),
            },
        }
    }
}

/// AND (`dominant` false) and OR (`dominant` true).
fn eval_junction<'a>(
    operands: &'a [MirScalarExpr],
    dominant: bool,
    datums: &[Datum<'a>],
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let mut null = false;
    let mut error: Option<EvalError> = None;
    for e in operands {
        match e.eval(datums, arena) {
            Ok(Datum::Bool(b)) if b == dominant => return Ok(Datum::Bool(dominant)),
            Ok(Datum::Null) => null = true,
            Ok(_) => {}
            // The least error, so that the result does not depend on the order of operands.
            Err(e) => error = Some(error.map_or(e.clone(), |old| old.min(e))),
        }
    }
    match error {
        Some(e) => Err(e),
        None if null => Ok(Datum::Null),
        None => Ok(Datum::Bool(!dominant)),
    }
}

/// Whether SQL-equal values of the type always have equal bytes in a row.
pub fn is_canonical(typ: &ScalarType) -> bool {
    match typ {
        ScalarType::Numeric { typmod } => typmod.is_some(),
        ScalarType::Interval | ScalarType::Jsonb => false,
        ScalarType::Char { length } => length.is_some(),
        ScalarType::Array(t) | ScalarType::Range(t) => is_canonical(t),
        ScalarType::List { element, .. } => is_canonical(element),
        ScalarType::Map { value, .. } => is_canonical(value),
        ScalarType::Record { fields, .. } => fields.iter().all(|(_, t)| is_canonical(&t.scalar_type)),
        _ => true,
    }
}

/// An expression whose bytes are equal exactly when SQL calls the values of `expr` equal: `expr` itself for most
/// types. Two numerics with typmods of different scale must both be wrapped when compared with each other; pass
/// `force` for that.
pub fn canonical_key(expr: MirScalarExpr, typ: &ScalarType, force: bool) -> MirScalarExpr {
    if is_canonical(typ) && !force {
        return expr;
    }
    match Func::by_key(CANONICAL_KEY, vec![typ.clone()]) {
        Some(func) => expr_call_once(func, expr),
        None => expr,
    }
}

/// The key of the function behind [`canonical_key`].
pub const CANONICAL_KEY: &str = "hw_canonical_key(Any)";

fn expr_call_once(func: Func, expr: MirScalarExpr) -> MirScalarExpr {
    if expr.role() == Some(Role::CanonicalKey) {
        return expr;
    }
    MirScalarExpr::call(func, vec![expr])
}
