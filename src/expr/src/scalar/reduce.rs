//! Simplification of scalar expressions: constants are folded, logic is flattened, comparisons take one form.
//!
//! The result has the same value as the original wherever the original has one. Where the original fails the result
//! fails too, unless a NULL or a constant that dominates decides the value without the failing operand.

use hw_repr::{ColumnType, Datum, Row, RowArena, ScalarType};

use super::MirScalarExpr;
use crate::cast::cast_datum;
use crate::func::{CastContext, Func, FuncKind, Role, Volatility};

/// Stack to keep free, and to add, when expressions nest deeply.
const RED_ZONE_BYTES: usize = 64 * 1024;
const STACK_BYTES: usize = 1024 * 1024;

impl MirScalarExpr {
    /// Whether this is a literal, error or not.
    pub fn is_literal(&self) -> bool {
        matches!(self, MirScalarExpr::Literal(..))
    }

    /// Whether this is a literal that is no error.
    pub fn is_literal_ok(&self) -> bool {
        matches!(self, MirScalarExpr::Literal(Ok(_), _))
    }

    /// Whether this is a literal error.
    pub fn is_literal_err(&self) -> bool {
        matches!(self, MirScalarExpr::Literal(Err(_), _))
    }

    /// Whether this is the literal NULL.
    pub fn is_literal_null(&self) -> bool {
        self.as_literal().is_some_and(|d| d.is_null())
    }

    /// Whether this is the literal true.
    pub fn is_literal_true(&self) -> bool {
        self.as_literal() == Some(Datum::Bool(true))
    }

    /// Whether this is the literal false.
    pub fn is_literal_false(&self) -> bool {
        self.as_literal() == Some(Datum::Bool(false))
    }

    /// Whether evaluation may fail.
    pub fn could_error(&self) -> bool {
        let own = match self {
            MirScalarExpr::Literal(Err(_), _) => true,
            MirScalarExpr::Call { func, args } => func.def().could_error && !has_sound_pattern(func, args),
            _ => false,
        };
        own || self.children().iter().any(|c| c.could_error())
    }

    /// Simplifies, given the types of the input's columns.
    pub fn reduce(&mut self, input: &[ColumnType]) {
        stacker::maybe_grow(RED_ZONE_BYTES, STACK_BYTES, || {
            for c in self.children_mut() {
                c.reduce(input);
            }
            // A step may make another possible. Each shrinks the expression or brings it nearer to one form.
            for _ in 0..8 {
                let Some(next) = self.step(input) else { return };
                *self = next;
                if !matches!(self, MirScalarExpr::Column(_) | MirScalarExpr::Literal(..)) {
                    self.children_mut().into_iter().for_each(|c| c.reduce_shallow(input));
                }
            }
        });
    }

    /// Simplifies the top only: the operands have been simplified.
    fn reduce_shallow(&mut self, input: &[ColumnType]) {
        for _ in 0..4 {
            let Some(next) = self.step(input) else { return };
            *self = next;
        }
    }

    fn step(&self, input: &[ColumnType]) -> Option<MirScalarExpr> {
        match self {
            MirScalarExpr::Call { func, args } => reduce_call(self, func, args, input),
            MirScalarExpr::And(v) => reduce_junction(self, v, true, input),
            MirScalarExpr::Or(v) => reduce_junction(self, v, false, input),
            MirScalarExpr::Not(e) => reduce_not(e),
            MirScalarExpr::IsNull(e) => reduce_is_null(e, input),
            MirScalarExpr::Coalesce(v) => reduce_coalesce(v, input),
            MirScalarExpr::If { cond, then, els } => reduce_if(cond, then, els, input),
            _ => None,
        }
    }
}

/// Whether the call is a LIKE with a literal pattern that can be read: it fails for no text.
fn has_sound_pattern(func: &Func, args: &[MirScalarExpr]) -> bool {
    let like = matches!(func.def().name, "~~" | "!~~" | "~~*" | "!~~*");
    like && matches!(args.get(1).and_then(MirScalarExpr::as_literal),
        Some(Datum::String(pattern)) if crate::functions::is_sound_like_pattern(pattern))
}

/// Evaluates an expression without columns or context functions.
fn fold(expr: &MirScalarExpr, input: &[ColumnType]) -> MirScalarExpr {
    let arena = RowArena::new();
    let mut typ = expr.typ(input);
    let value = expr.eval(&[], &arena).map(|d| Row::pack_slice(&[d]));
    typ.nullable = value.as_ref().is_ok_and(|row| row.unpack_first().is_null());
    MirScalarExpr::Literal(value, typ)
}

fn reduce_call(
    whole: &MirScalarExpr,
    func: &Func,
    args: &[MirScalarExpr],
    input: &[ColumnType],
) -> Option<MirScalarExpr> {
    let def = func.def();
    let ret = || func.types().ret.clone();
    if let Some(MirScalarExpr::Literal(Err(e), _)) = args.iter().find(|a| a.is_literal_err()) {
        return Some(MirScalarExpr::Literal(Err(e.clone()), ret().nullable(false)));
    }
    if def.strict && args.iter().any(MirScalarExpr::is_literal_null) {
        return Some(MirScalarExpr::null(ret()));
    }
    if def.volatility != Volatility::Volatile && args.iter().all(MirScalarExpr::is_literal_ok) {
        return Some(fold(whole, input));
    }
    let role = func.role()?;
    match (role, args) {
        (Role::CanonicalKey, [inner]) if inner.role() == Some(Role::CanonicalKey) => Some(inner.clone()),
        (Role::Eq | Role::NotEq | Role::Lt | Role::Le | Role::Gt | Role::Ge, [x, y]) => {
            reduce_comparison(func, role, x, y, input)
        }
        _ => None,
    }
}

/// The symbol of a comparison.
fn symbol(role: Role) -> Option<&'static str> {
    Some(match role {
        Role::Eq => "=",
        Role::NotEq => "<>",
        Role::Lt => "<",
        Role::Le => "<=",
        Role::Gt => ">",
        Role::Ge => ">=",
        _ => return None,
    })
}

/// The comparison that holds with its operands exchanged.
pub fn swapped(role: Role) -> Option<Role> {
    Some(match role {
        Role::Eq | Role::NotEq => role,
        Role::Lt => Role::Gt,
        Role::Le => Role::Ge,
        Role::Gt => Role::Lt,
        Role::Ge => Role::Le,
        _ => return None,
    })
}

/// The comparison that holds exactly when this one does not.
pub fn negated(role: Role) -> Option<Role> {
    Some(match role {
        Role::Eq => Role::NotEq,
        Role::NotEq => Role::Eq,
        Role::Lt => Role::Ge,
        Role::Le => Role::Gt,
        Role::Gt => Role::Le,
        Role::Ge => Role::Lt,
        _ => return None,
    })
}

fn comparison(
    role: Role,
    args: Vec<ScalarType>,
    x: MirScalarExpr,
    y: MirScalarExpr,
) -> Option<MirScalarExpr> {
    let func = Func::operator(symbol(role)?, args)?;
    Some(MirScalarExpr::call(func, vec![x, y]))
}

fn reduce_comparison(
    func: &Func,
    role: Role,
    x: &MirScalarExpr,
    y: &MirScalarExpr,
    input: &[ColumnType],
) -> Option<MirScalarExpr> {
    if x == y && !x.could_error() && !x.typ(input).nullable && !x.contains_volatile() {
        let holds = matches!(role, Role::Eq | Role::Le | Role::Ge);
        return Some(if holds { MirScalarExpr::literal_true() } else { MirScalarExpr::literal_false() });
    }
    let types = &func.types().args;
    if x.is_literal() && !y.is_literal() {
        return comparison(swapped(role)?, vec![types[1].clone(), types[0].clone()], y.clone(), x.clone());
    }
    if let Some(simpler) = date_and_timestamp(role, x, y) {
        return Some(simpler);
    }
    if !matches!(role, Role::Eq | Role::NotEq) {
        return None;
    }
    // The same injective cast on both sides.
    if let (MirScalarExpr::Call { func: f, args: a }, MirScalarExpr::Call { func: g, args: b }) = (x, y)
        && f == g
        && a.len() == 1
        && f.role() == Some(Role::InjectiveCast)
        && !f.def().could_error
    {
        let typ = f.types().args[0].clone();
        return comparison(role, vec![typ.clone(), typ], a[0].clone(), b[0].clone());
    }
    unwrap_injective(role, x, y)
}

/// A date compared with a literal timestamp (`d < date '1994-01-01' + interval '1 year'`) becomes a comparison of dates, which
/// fails for no date.
fn date_and_timestamp(role: Role, x: &MirScalarExpr, y: &MirScalarExpr) -> Option<MirScalarExpr> {
    let MirScalarExpr::Call { func, args } = x else { return None };
    let ([inner], Some(Datum::Timestamp(time))) = (args.as_slice(), y.as_literal()) else { return None };
    let from_date = func.types().args.first() == Some(&ScalarType::Date);
    if !from_date || !matches!(func.def().kind, FuncKind::Cast(_)) {
        return None;
    }
    let day = time.date();
    let midnight = day.to_timestamp().is_ok_and(|start| start == time);
    let role = match (role, midnight) {
        (role, true) => role,
        (Role::Lt, false) => Role::Le,
        (Role::Ge, false) => Role::Gt,
        (Role::Le | Role::Gt, false) => role,
        (Role::Eq | Role::NotEq, false) => {
            let answer = match role {
                Role::Eq => MirScalarExpr::literal_false(),
                _ => MirScalarExpr::literal_true(),
            };
            return Some(inner.clone().is_null().if_then_else(MirScalarExpr::null(ScalarType::Bool), answer));
        }
        _ => return None,
    };
    let literal = MirScalarExpr::literal(Datum::Date(day), ScalarType::Date);
    comparison(role, vec![ScalarType::Date, ScalarType::Date], inner.clone(), literal)
}

/// `cast(x) = literal` becomes `x = literal` of the type of `x`, when the literal has a value there.
fn unwrap_injective(role: Role, x: &MirScalarExpr, y: &MirScalarExpr) -> Option<MirScalarExpr> {
    let MirScalarExpr::Call { func, args } = x else { return None };
    let ([inner], literal) = (args.as_slice(), y.as_literal()?) else { return None };
    let simple = func.role() == Some(Role::InjectiveCast) && matches!(func.def().kind, FuncKind::Cast(_));
    if !simple || func.def().could_error {
        return None;
    }
    let (from, to) = (func.types().args[0].without_modifiers(), &func.types().ret);
    let arena = RowArena::new();
    let narrow = cast_datum(literal, to, &from, CastContext::Explicit, &arena).ok()?;
    let back = cast_datum(narrow, &from, to, CastContext::Explicit, &arena).ok()?;
    if back != literal || narrow.is_null() {
        return None;
    }
    let literal = MirScalarExpr::literal(narrow, from.clone());
    comparison(role, vec![func.types().args[0].clone(), from], inner.clone(), literal)
}

/// AND (`and`) or OR: flat, each operand once, without operands that do not matter.
fn reduce_junction(
    whole: &MirScalarExpr,
    operands: &[MirScalarExpr],
    and: bool,
    input: &[ColumnType],
) -> Option<MirScalarExpr> {
    let dominant = Datum::Bool(!and);
    let mut out: Vec<MirScalarExpr> = vec![];
    for e in operands {
        match (e, and) {
            (MirScalarExpr::And(v), true) | (MirScalarExpr::Or(v), false) => out.extend(v.iter().cloned()),
            _ if e.as_literal() == Some(dominant) => return Some(e.clone()),
            _ if e.as_literal() == Some(Datum::Bool(and)) => {}
            _ => out.push(e.clone()),
        }
    }
    out.sort();
    out.dedup();
    let contradiction = out.iter().any(|e| {
        let negation = e.clone().not();
        let negation = reduce_not(e).unwrap_or(negation);
        // They are sorted.
        out.binary_search(&negation).is_ok()
            && !e.could_error()
            && !e.typ(input).nullable
            && !e.contains_volatile()
    });
    if contradiction {
        return Some(if and { MirScalarExpr::literal_false() } else { MirScalarExpr::literal_true() });
    }
    match out.len() {
        0 => return Some(if and { MirScalarExpr::literal_true() } else { MirScalarExpr::literal_false() }),
        1 => return out.pop(),
        _ => {}
    }
    if let Some(factored) = factor(&out, and) {
        return Some(factored);
    }
    let next = if and { MirScalarExpr::And(out) } else { MirScalarExpr::Or(out) };
    (next != *whole).then_some(next)
}

/// `(a AND b) OR (a AND c)` becomes `a AND (b OR c)`, and likewise with AND and OR exchanged.
fn factor(operands: &[MirScalarExpr], and: bool) -> Option<MirScalarExpr> {
    let parts = |e: &MirScalarExpr| match (e, and) {
        (MirScalarExpr::And(v), false) | (MirScalarExpr::Or(v), true) => v.clone(),
        (other, _) => vec![other.clone()],
    };
    let all: Vec<Vec<MirScalarExpr>> = operands.iter().map(parts).collect();
    let common: Vec<MirScalarExpr> =
        all[0].iter().filter(|e| all[1..].iter().all(|v| v.contains(e))).cloned().collect();
    if common.is_empty() {
        return None;
    }
    let inner = |v: Vec<MirScalarExpr>| if and { MirScalarExpr::Or(v) } else { MirScalarExpr::And(v) };
    let outer = |v: Vec<MirScalarExpr>| if and { MirScalarExpr::And(v) } else { MirScalarExpr::Or(v) };
    let rest = all.into_iter().map(|v| {
        let mut left: Vec<_> = v.into_iter().filter(|e| !common.contains(e)).collect();
        if left.len() == 1 { left.remove(0) } else { inner(left) }
    });
    let mut out = common.clone();
    out.push(outer(rest.collect()));
    Some(inner(out))
}

fn reduce_not(e: &MirScalarExpr) -> Option<MirScalarExpr> {
    match e {
        MirScalarExpr::Literal(Ok(row), typ) => Some(match row.unpack_first() {
            Datum::Bool(b) => MirScalarExpr::literal(Datum::Bool(!b), ScalarType::Bool),
            other => MirScalarExpr::literal(other, typ.scalar_type.clone()),
        }),
        MirScalarExpr::Literal(Err(_), _) => Some(e.clone()),
        MirScalarExpr::Not(inner) => Some((**inner).clone()),
        MirScalarExpr::And(v) => Some(MirScalarExpr::Or(v.iter().cloned().map(MirScalarExpr::not).collect())),
        MirScalarExpr::Or(v) => Some(MirScalarExpr::And(v.iter().cloned().map(MirScalarExpr::not).collect())),
        MirScalarExpr::Call { func, args } => {
            let [x, y] = args.as_slice() else { return None };
            comparison(negated(func.role()?)?, func.types().args.clone(), x.clone(), y.clone())
        }
        _ => None,
    }
}

fn reduce_is_null(e: &MirScalarExpr, input: &[ColumnType]) -> Option<MirScalarExpr> {
    if e.is_literal_err() {
        return Some(e.clone());
    }
    if let Some(d) = e.as_literal() {
        return Some(MirScalarExpr::literal(Datum::Bool(d.is_null()), ScalarType::Bool));
    }
    if !e.typ(input).nullable && !e.could_error() {
        return Some(MirScalarExpr::literal_false());
    }
    match e {
        MirScalarExpr::Not(inner) => Some((**inner).clone().is_null()),
        MirScalarExpr::Call { func, args } => {
            let def = func.def();
            let transparent = def.strict && !def.introduces_null && !def.could_error && !args.is_empty();
            transparent.then(|| match args.as_slice() {
                [one] => one.clone().is_null(),
                many => MirScalarExpr::Or(many.iter().cloned().map(MirScalarExpr::is_null).collect()),
            })
        }
        _ => None,
    }
}

fn reduce_coalesce(operands: &[MirScalarExpr], input: &[ColumnType]) -> Option<MirScalarExpr> {
    let mut out: Vec<MirScalarExpr> = vec![];
    for e in operands {
        match e {
            MirScalarExpr::Coalesce(v) => out.extend(v.iter().cloned()),
            _ if e.is_literal_null() || out.contains(e) => {}
            _ => out.push(e.clone()),
        }
        let last = out.last();
        if last.is_some_and(|e| e.is_literal() || !e.typ(input).nullable) {
            break;
        }
    }
    match out.len() {
        0 => operands.first().cloned(),
        1 => out.pop(),
        _ if out.as_slice() == operands => None,
        _ => Some(MirScalarExpr::Coalesce(out)),
    }
}

fn reduce_if(
    cond: &MirScalarExpr,
    then: &MirScalarExpr,
    els: &MirScalarExpr,
    input: &[ColumnType],
) -> Option<MirScalarExpr> {
    if let MirScalarExpr::Literal(Err(e), _) = cond {
        return Some(MirScalarExpr::Literal(Err(e.clone()), then.typ(input)));
    }
    if let Some(d) = cond.as_literal() {
        return Some(if d == Datum::Bool(true) { then.clone() } else { els.clone() });
    }
    if then == els && !cond.could_error() {
        return Some(then.clone());
    }
    if let MirScalarExpr::Not(inner) = cond
        && !inner.typ(input).nullable
    {
        let (then, els) = (Box::new(els.clone()), Box::new(then.clone()));
        return Some(MirScalarExpr::If { cond: inner.clone(), then, els });
    }
    let certain = !cond.typ(input).nullable;
    match (then.as_literal(), els.as_literal()) {
        (Some(Datum::Bool(true)), Some(Datum::Bool(false))) if certain => Some(cond.clone()),
        (Some(Datum::Bool(false)), Some(Datum::Bool(true))) if certain => Some(cond.clone().not()),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn int(i: i64) -> MirScalarExpr {
        MirScalarExpr::literal(Datum::Int64(i), ScalarType::Int64)
    }

    fn op(symbol: &str, x: MirScalarExpr, y: MirScalarExpr) -> MirScalarExpr {
        let func = Func::operator(symbol, vec![ScalarType::Int64, ScalarType::Int64]).unwrap();
        MirScalarExpr::call(func, vec![x, y])
    }

    fn reduced(mut e: MirScalarExpr) -> MirScalarExpr {
        let input = vec![
            ScalarType::Int64.nullable(false),
            ScalarType::Int64.nullable(true),
            ScalarType::Int32.nullable(true),
        ];
        e.reduce(&input);
        e
    }

    #[test]
    fn constants_fold_to_values_and_errors() {
        assert_eq!(reduced(op("+", int(1), op("*", int(2), int(3)))), int(7));
        let failed = reduced(op("/", int(1), int(0)));
        assert!(matches!(failed, MirScalarExpr::Literal(Err(crate::EvalError::DivisionByZero), _)));
        assert!(
            reduced(op("+", MirScalarExpr::column(0), MirScalarExpr::null(ScalarType::Int64)))
                .is_literal_null()
        );
    }

    #[test]
    fn logic_is_flat_and_without_doubles() {
        let (x, y) = (op("=", MirScalarExpr::column(0), int(1)), op("<", MirScalarExpr::column(1), int(2)));
        let nested = MirScalarExpr::And(vec![
            x.clone(),
            MirScalarExpr::And(vec![y.clone(), x.clone()]),
            MirScalarExpr::literal_true(),
        ]);
        let mut expected = vec![x.clone(), y.clone()];
        expected.sort();
        assert_eq!(reduced(nested), MirScalarExpr::And(expected));
        assert_eq!(
            reduced(MirScalarExpr::Or(vec![x.clone(), x.clone().not()])),
            MirScalarExpr::literal_true()
        );
        assert_eq!(reduced(y.clone().not()), op(">=", MirScalarExpr::column(1), int(2)));
        assert_eq!(reduced(y.clone().not().not()), y);
    }

    #[test]
    fn common_factors_move_out_of_disjunctions() {
        let c = |i| op("=", MirScalarExpr::column(0), int(i));
        let e = MirScalarExpr::Or(vec![
            MirScalarExpr::And(vec![c(1), c(2)]),
            MirScalarExpr::And(vec![c(1), c(3)]),
        ]);
        let MirScalarExpr::And(parts) = reduced(e) else { panic!("a conjunction") };
        assert!(parts.contains(&c(1)) && parts.len() == 2);
    }

    #[test]
    fn comparisons_take_one_form() {
        assert_eq!(
            reduced(op("<", int(5), MirScalarExpr::column(1))),
            op(">", MirScalarExpr::column(1), int(5))
        );
        assert_eq!(
            reduced(op("=", MirScalarExpr::column(0), MirScalarExpr::column(0))),
            MirScalarExpr::literal_true()
        );
        let widen = Func::by_key("cast(int4)->int8", vec![ScalarType::Int32]).unwrap();
        let cast = MirScalarExpr::call(widen, vec![MirScalarExpr::column(2)]);
        let MirScalarExpr::Call { args, .. } = reduced(op("=", cast, int(7))) else { panic!("a call") };
        assert_eq!(args[0], MirScalarExpr::column(2));
        assert_eq!(args[1].as_literal(), Some(Datum::Int32(7)));
    }

    #[test]
    fn is_null_of_what_is_never_null_is_false() {
        assert_eq!(reduced(MirScalarExpr::column(0).is_null()), MirScalarExpr::literal_false());
        let e = op("=", MirScalarExpr::column(1), int(1)).is_null();
        assert_eq!(reduced(e), MirScalarExpr::column(1).is_null());
    }
}
