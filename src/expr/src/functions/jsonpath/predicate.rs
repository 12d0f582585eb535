//! Conditions: true, false or unknown.

use std::cmp::Ordering;

use hw_repr::Datum;
use hw_repr::adt::jsonpath::{Comparison, Expr, Predicate};

use super::compiled;
use super::eval::{Evaluation, Item, Raised, Scope, Sink};
use crate::error::EvalError;

/// The value of a condition; `None` is unknown.
pub(super) type Truth = Option<bool>;

impl<'a> Evaluation<'a> {
    pub(super) fn predicate(&mut self, p: &Predicate, scope: Scope<'a>) -> Result<Truth, Raised> {
        stacker::maybe_grow(64 << 10, 1 << 20, || self.predicate_here(p, scope))
    }

    fn predicate_here(&mut self, p: &Predicate, scope: Scope<'a>) -> Result<Truth, Raised> {
        Ok(match p {
            Predicate::And(a, b) => match self.predicate(a, scope)? {
                Some(false) => Some(false),
                left => match self.predicate(b, scope)? {
                    Some(true) => left,
                    right => right,
                },
            },
            Predicate::Or(a, b) => match self.predicate(a, scope)? {
                Some(true) => Some(true),
                left => match self.predicate(b, scope)? {
                    Some(false) => left,
                    right => right,
                },
            },
            Predicate::Not(a) => self.predicate(a, scope)?.map(|t| !t),
            Predicate::IsUnknown(a) => Some(self.predicate(a, scope)?.is_none()),
            Predicate::Compare(op, a, b) => {
                let Some(left) = self.quiet(a, true, scope)? else { return Ok(None) };
                let Some(right) = self.quiet(b, true, scope)? else { return Ok(None) };
                self.pairs(&left, &right, |a, b| Ok(compare(*op, a, b)))?
            }
            Predicate::StartsWith(a, b) => {
                let Some(left) = self.quiet(a, true, scope)? else { return Ok(None) };
                let Some(right) = self.quiet(b, false, scope)? else { return Ok(None) };
                self.pairs(&left, &right, |a, b| {
                    Ok(match (a, b) {
                        (Datum::String(s), Datum::String(prefix)) => Some(s.starts_with(prefix)),
                        _ => None,
                    })
                })?
            }
            Predicate::LikeRegex(a, pattern, flags) => {
                let Some(left) = self.quiet(a, true, scope)? else { return Ok(None) };
                let regex = compiled(pattern, *flags)?;
                let once = [scope.current];
                self.pairs(&left, &once, |a, _| match a {
                    Datum::String(s) => regex.is_match(s).map(Some),
                    _ => Ok(None),
                })?
            }
            Predicate::Exists(a) => self.some(a, scope)?,
        })
    }

    /// The items of an operand; `None` when it has an error. Arrays are unwrapped in lax mode if they are to be.
    fn quiet(&mut self, e: &Expr, unwrap: bool, scope: Scope<'a>) -> Result<Option<Vec<Item<'a>>>, Raised> {
        match self.operand(e, unwrap, scope) {
            Ok(items) => Ok(Some(items)),
            Err(e) if e.hard => Err(e),
            Err(_) => Ok(None),
        }
    }

    /// Whether an operand has items. In strict mode all are looked at, as there may be an error among them.
    fn some(&mut self, e: &Expr, scope: Scope<'a>) -> Result<Truth, Raised> {
        let mut sink = if self.lax { Sink::first() } else { Sink::all() };
        match self.expr(e, scope, &mut sink) {
            Ok(()) => Ok(Some(sink.found)),
            Err(e) if e.hard => Err(e),
            Err(_) => Ok(None),
        }
    }

    /// Whether a test holds for some pair. In lax mode the first that holds decides, in strict mode any that is unknown.
    fn pairs(
        &mut self,
        left: &[Item<'a>],
        right: &[Item<'a>],
        test: impl Fn(Datum<'a>, Datum<'a>) -> Result<Truth, EvalError>,
    ) -> Result<Truth, Raised> {
        let (mut found, mut unknown) = (false, false);
        for a in left {
            for b in right {
                self.work()?;
                match test(a.datum, b.datum)? {
                    None if !self.lax => return Ok(None),
                    None => unknown = true,
                    Some(true) if self.lax => return Ok(Some(true)),
                    Some(true) => found = true,
                    Some(false) => {}
                }
            }
        }
        Ok(if found {
            Some(true)
        } else if unknown {
            None
        } else {
            Some(false)
        })
    }
}

/// Compares two items. Null is unequal to all else; other kinds, arrays and objects do not compare.
fn compare(op: Comparison, a: Datum<'_>, b: Datum<'_>) -> Truth {
    let ordering = match (a, b) {
        (Datum::JsonNull, Datum::JsonNull) => Ordering::Equal,
        (Datum::JsonNull, _) | (_, Datum::JsonNull) => return Some(op == Comparison::NotEq),
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(&b),
        (Datum::Numeric(a), Datum::Numeric(b)) => a.cmp(&b),
        (Datum::String(a), Datum::String(b)) => a.cmp(b),
        _ => return None,
    };
    Some(match op {
        Comparison::Eq => ordering.is_eq(),
        Comparison::NotEq => ordering.is_ne(),
        Comparison::Lt => ordering.is_lt(),
        Comparison::Le => ordering.is_le(),
        Comparison::Gt => ordering.is_gt(),
        Comparison::Ge => ordering.is_ge(),
    })
}
