//! Temporal filters: predicates over `mz_now()` become the times between which a row is in the collection.
//!
//! ```text
//! mz_now() >= e    present from e             mz_now() <  e    present until e
//! mz_now() >  e    present from e + 1         mz_now() <= e    present until e + 1
//! mz_now() =  e    present from e until e + 1
//! ```

use hw_repr::ScalarType;

use super::MapFilterProject;
use crate::func::{Func, Role};
use crate::scalar::{MirScalarExpr, UnmaterializableFunc, swapped};

/// `mz_now()` where it cannot be maintained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unsupported use of mz_now(): it may only be compared with one expression, in a WHERE or ON condition"
)]
pub struct TemporalError;

impl MapFilterProject {
    /// Splits off the predicates over `mz_now()`: what is left, and lower and upper bounds, expressions of type
    /// `mz_timestamp` over the columns before projection. A row is present at `t` only if `t >= e` for each lower and
    /// `t < e` for each upper bound; where a bound is NULL it never is.
    ///
    /// # Errors
    /// When `mz_now()` occurs elsewhere than as one side of `<`, `<=`, `=`, `>=` or `>` in a conjunction.
    pub fn extract_temporal(
        mut self,
    ) -> Result<(MapFilterProject, Vec<MirScalarExpr>, Vec<MirScalarExpr>), TemporalError> {
        if self.expressions.iter().any(MirScalarExpr::contains_temporal) {
            return Err(TemporalError);
        }
        let (mut lower, mut upper, mut kept) = (vec![], vec![], vec![]);
        for (position, predicate) in std::mem::take(&mut self.predicates) {
            if !predicate.contains_temporal() {
                kept.push((position, predicate));
                continue;
            }
            let mut conjuncts = vec![];
            flatten(predicate, &mut conjuncts);
            for c in conjuncts {
                if c.contains_temporal() {
                    bounds(c, &mut lower, &mut upper)?;
                } else {
                    kept.push((position, c));
                }
            }
        }
        self.predicates = kept;
        self.place_predicates();
        Ok((self, lower, upper))
    }
}

fn flatten(e: MirScalarExpr, out: &mut Vec<MirScalarExpr>) {
    match e {
        MirScalarExpr::And(v) => v.into_iter().for_each(|e| flatten(e, out)),
        other => out.push(other),
    }
}

fn bounds(
    predicate: MirScalarExpr,
    lower: &mut Vec<MirScalarExpr>,
    upper: &mut Vec<MirScalarExpr>,
) -> Result<(), TemporalError> {
    let MirScalarExpr::Call { func, args } = predicate else { return Err(TemporalError) };
    let now = MirScalarExpr::Unmaterializable(UnmaterializableFunc::MzNow);
    let role = func.role().ok_or(TemporalError)?;
    let (role, bound) = match <[MirScalarExpr; 2]>::try_from(args) {
        Ok([x, e]) if x == now => (role, e),
        Ok([e, x]) if x == now => (swapped(role).ok_or(TemporalError)?, e),
        _ => return Err(TemporalError),
    };
    if bound.contains_temporal() {
        return Err(TemporalError);
    }
    match role {
        Role::Ge => lower.push(bound),
        Role::Gt => lower.push(next(bound)?),
        Role::Lt => upper.push(bound),
        Role::Le => upper.push(next(bound)?),
        Role::Eq => {
            upper.push(next(bound.clone())?);
            lower.push(bound);
        }
        _ => return Err(TemporalError),
    }
    Ok(())
}

/// The time after the bound.
fn next(bound: MirScalarExpr) -> Result<MirScalarExpr, TemporalError> {
    let func = Func::by_key("hw_step_mz_timestamp(mz_timestamp)", vec![ScalarType::MzTimestamp]);
    Ok(MirScalarExpr::call(func.ok_or(TemporalError)?, vec![bound]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use hw_repr::{Datum, RowArena};

    fn predicate(symbol: &str, now_first: bool) -> MirScalarExpr {
        let func = Func::operator(symbol, vec![ScalarType::MzTimestamp, ScalarType::MzTimestamp]).unwrap();
        let now = MirScalarExpr::Unmaterializable(UnmaterializableFunc::MzNow);
        let column = MirScalarExpr::column(0);
        MirScalarExpr::call(func, if now_first { vec![now, column] } else { vec![column, now] })
    }

    fn at(bounds: &[MirScalarExpr]) -> Vec<u64> {
        let arena = RowArena::new();
        bounds
            .iter()
            .map(|b| b.eval(&[Datum::MzTimestamp(10)], &arena).unwrap().unwrap_mz_timestamp())
            .collect()
    }

    #[test]
    fn comparisons_become_bounds() {
        for (symbol, now_first, lower, upper) in [
            (">=", true, vec![10], vec![]),
            (">", true, vec![11], vec![]),
            ("<", true, vec![], vec![10]),
            ("<=", true, vec![], vec![11]),
            ("=", true, vec![10], vec![11]),
            ("<=", false, vec![10], vec![]),
            (">", false, vec![], vec![10]),
        ] {
            let mfp = MapFilterProject::new(1).filter([predicate(symbol, now_first)]);
            let (mfp, l, u) = mfp.extract_temporal().unwrap();
            assert_eq!((at(&l), at(&u)), (lower, upper), "{symbol}");
            assert!(mfp.predicates.is_empty());
        }
    }

    #[test]
    fn other_uses_are_refused() {
        let mfp = MapFilterProject::new(1).filter([predicate("<>", true)]);
        assert_eq!(mfp.extract_temporal(), Err(TemporalError));
        let either = MirScalarExpr::Or(vec![predicate("<", true), predicate(">", true)]);
        assert_eq!(MapFilterProject::new(1).filter([either]).extract_temporal(), Err(TemporalError));
    }
}
