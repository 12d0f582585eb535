//! Literal constraints: predicates that say which key values of an arrangement are wanted.
//!
//! ```text
//! key (#0)        #0 = 5                                        keys (5)
//! key (#0, #1)    #0 = 5 AND (#1 = 1 OR #1 = 2)                 keys (5, 1), (5, 2)
//! ```
//!
//! Arrangements compare bytes, so a constraint counts only where the literal's bytes are those that an equal value of the
//! key has.

use hw_expr::func::Role;
use hw_expr::scalar::is_canonical;
use hw_expr::{Func, MapFilterProject, MirScalarExpr};
use hw_repr::{Datum, Row, RowArena, ScalarType};

/// A lookup of more keys than this is a scan.
const MAX_KEYS: usize = 1024;

/// Key values, and what is left to apply to the rows found under them.
pub(crate) struct LiteralKeys {
    pub(crate) rows: Vec<Row>,
    pub(crate) rest: MapFilterProject,
}

/// The values of `key` that the predicates allow, if they fix each of its expressions.
pub(crate) fn literal_keys(mfp: &MapFilterProject, key: &[MirScalarExpr]) -> Option<LiteralKeys> {
    if key.is_empty() {
        return None;
    }
    let mut rows: Vec<Row> = vec![Row::default()];
    let mut consumed = vec![];
    for expr in key {
        let (at, values) = mfp
            .predicates
            .iter()
            .enumerate()
            .filter(|(_, (position, _))| *position <= mfp.input_arity)
            .find_map(|(at, (_, p))| Some((at, values_of(p, expr)?)))?;
        consumed.push(at);
        if rows.len() * values.len() > MAX_KEYS {
            return None;
        }
        rows = rows.iter().flat_map(|row| values.iter().map(|v| extended(row, v))).collect();
    }
    rows.sort();
    rows.dedup();
    let mut rest = mfp.clone();
    let mut at = 0;
    rest.predicates.retain(|_| {
        at += 1;
        !consumed.contains(&(at - 1))
    });
    Some(LiteralKeys { rows, rest })
}

fn extended(row: &Row, value: &Row) -> Row {
    Row::pack(row.iter().chain(value.iter()))
}

/// The values of `expr` for which the predicate is true, when it says nothing else.
fn values_of(predicate: &MirScalarExpr, expr: &MirScalarExpr) -> Option<Vec<Row>> {
    match predicate {
        MirScalarExpr::Or(parts) => {
            let mut out = vec![];
            for part in parts {
                out.extend(values_of(part, expr)?);
            }
            Some(out)
        }
        MirScalarExpr::Call { func, args } if func.role() == Some(Role::Eq) => {
            let [x, y] = args.as_slice() else { return None };
            let typ = &func.types().args;
            key_value(x, y, &typ[0], &typ[1], expr)
                .or_else(|| key_value(y, x, &typ[1], &typ[0], expr))
                .map(|v| vec![v])
        }
        _ => None,
    }
}

/// The key's value where `x = y`, if `x` is (or is what is wrapped by) the key and `y` is a literal.
fn key_value(
    x: &MirScalarExpr,
    y: &MirScalarExpr,
    x_type: &ScalarType,
    y_type: &ScalarType,
    key: &MirScalarExpr,
) -> Option<Row> {
    let value = y.as_literal().filter(|d| !d.is_null())?;
    if x == key {
        return same_bytes(x_type, y_type).then(|| Row::pack_slice(&[value]));
    }
    match key {
        MirScalarExpr::Call { func, args } if func.role() == Some(Role::CanonicalKey) && args[0] == *x => {
            canonical(func, value)
        }
        _ => None,
    }
}

fn canonical(func: &Func, value: Datum<'_>) -> Option<Row> {
    let arena = RowArena::new();
    func.eval(&arena, &[value]).ok().map(|d| Row::pack_slice(&[d]))
}

/// Whether equal values of the two types have equal bytes.
fn same_bytes(x: &ScalarType, y: &ScalarType) -> bool {
    let exact = matches!(x, ScalarType::Numeric { .. } | ScalarType::Char { .. });
    is_canonical(x) && if exact { x == y } else { x.base_eq(y) && is_canonical(y) }
}
