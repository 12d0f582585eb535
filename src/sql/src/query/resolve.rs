//! Choosing functions and operators (PostgreSQL manual 10.2 and 10.3).
//!
//! The candidates are the entries of a name. One whose parameters are exactly the arguments' types wins; otherwise those
//! that the arguments reach by implicit casts are narrowed: most exact matches, then most exact or preferred types, then
//! what the unknown-typed arguments' category may be.

use hw_expr::cast::{can_cast, common_type, is_preferred};
use hw_expr::func::{CastContext, ParamType};
use hw_repr::ScalarType;

use super::coerce::{Planned, Typed};
use super::context::Ecx;
use super::types::category;
use crate::error::PlanError;

/// A candidate's parameters.
pub(super) struct Signature<'a> {
    pub(super) params: &'a [ParamType],
    pub(super) variadic: Option<&'a ParamType>,
}

/// Why no candidate was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoMatch {
    /// There is none.
    None,
    /// There are several.
    Ambiguous,
}

impl Signature<'_> {
    fn param(&self, i: usize) -> Option<&ParamType> {
        self.params.get(i).or(self.variadic)
    }

    fn accepts_count(&self, n: usize) -> bool {
        match self.variadic {
            None => n == self.params.len(),
            Some(_) => n > self.params.len() || (n == self.params.len() && !self.params.is_empty()),
        }
    }

    /// The types that the arguments are brought to, if the call is possible.
    pub(super) fn bind(&self, args: &[Option<ScalarType>]) -> Option<Vec<ScalarType>> {
        if !self.accepts_count(args.len()) {
            return None;
        }
        let params: Vec<&ParamType> = (0..args.len()).map(|i| self.param(i)).collect::<Option<_>>()?;
        let element = bind_element(&params, args)?;
        let compatible = bind_compatible(&params, args)?;
        let (list, map) = (bind_container(&params, args, true)?, bind_container(&params, args, false)?);
        let bound = params.iter().zip(args).map(|(p, a)| {
            let wanted = match p {
                ParamType::Type(t) => t.clone(),
                ParamType::Any => a.clone().unwrap_or(ScalarType::String),
                ParamType::AnyElement | ParamType::AnyNonArray => element.clone()?,
                ParamType::AnyArray => match (a, &element) {
                    (Some(t), _) => t.clone(),
                    (None, Some(e)) => e.clone().array_of(),
                    (None, None) => return None,
                },
                ParamType::AnyRange => match a {
                    Some(t) => t.clone(),
                    None => ScalarType::Range(Box::new(element.clone()?)),
                },
                ParamType::AnyCompatible => compatible.clone().unwrap_or(ScalarType::String),
                ParamType::AnyCompatibleArray => match compatible.clone() {
                    Some(t @ ScalarType::Array(_)) => t,
                    t => t.unwrap_or(ScalarType::String).array_of(),
                },
                ParamType::AnyList => match a {
                    Some(t) => t.clone(),
                    None => list.clone()?.list_of(),
                },
                ParamType::AnyMap => match a {
                    Some(t) => t.clone(),
                    None => ScalarType::Map { value: Box::new(map.clone()?), custom_id: None },
                },
                ParamType::ListElement => list.clone()?,
                ParamType::MapValue => map.clone()?,
                ParamType::AnyRecord => a.clone().filter(|t| matches!(t, ScalarType::Record { .. }))?,
            };
            match a {
                Some(t) if t.base_eq(&wanted) => Some(t.clone()),
                Some(t) if !can_cast(t, &wanted, CastContext::Implicit) => None,
                _ => Some(wanted),
            }
        });
        bound.collect()
    }

    /// Brings arguments to the types that they are bound to.
    pub(super) fn fit(
        &self,
        ecx: &Ecx<'_>,
        args: Vec<Planned>,
        bound: &[ScalarType],
    ) -> Result<Vec<Typed>, PlanError> {
        let fit = |(i, (a, t)): (usize, (Planned, &ScalarType))| match self.param(i) {
            Some(ParamType::Any) if a.typ().is_none() => a.left_open(ecx),
            _ => a.cast(ecx, t, CastContext::Implicit),
        };
        args.into_iter().zip(bound).enumerate().map(fit).collect()
    }

    fn exact_at(&self, i: usize, arg: &ScalarType) -> bool {
        matches!(self.param(i), Some(ParamType::Type(t)) if t.base_eq(arg))
    }

    fn preferred_at(&self, i: usize, arg: &ScalarType) -> bool {
        matches!(self.param(i), Some(ParamType::Type(t)) if is_preferred(t) && category(t) == category(arg))
    }
}

fn element_of(typ: &ScalarType) -> Option<ScalarType> {
    match typ {
        ScalarType::Array(t) | ScalarType::Range(t) => Some((**t).clone()),
        ScalarType::Int2Vector => Some(ScalarType::Int16),
        _ => None,
    }
}

/// The type of `AnyElement`: `Some(None)` if nothing says.
fn bind_element(params: &[&ParamType], args: &[Option<ScalarType>]) -> Option<Option<ScalarType>> {
    let mut element: Option<ScalarType> = None;
    let mut used = false;
    for (p, a) in params.iter().zip(args) {
        let found = match (p, a) {
            (ParamType::AnyElement, Some(t)) => t.clone(),
            (ParamType::AnyNonArray, Some(t)) if !matches!(t, ScalarType::Array(_)) => t.clone(),
            (ParamType::AnyArray, Some(t @ (ScalarType::Array(_) | ScalarType::Int2Vector))) => {
                element_of(t)?
            }
            (ParamType::AnyRange, Some(t @ ScalarType::Range(_))) => element_of(t)?,
            (
                ParamType::AnyElement | ParamType::AnyNonArray | ParamType::AnyArray | ParamType::AnyRange,
                None,
            ) => {
                used = true;
                continue;
            }
            (ParamType::AnyNonArray | ParamType::AnyArray | ParamType::AnyRange, Some(_)) => return None,
            _ => continue,
        };
        match &element {
            Some(e) if !e.base_eq(&found) => return None,
            _ => element = Some(found),
        }
    }
    if used && element.is_none() {
        // All unknown: scalars become text, arrays and ranges cannot be told.
        return params.iter().any(|p| matches!(p, ParamType::AnyElement)).then_some(Some(ScalarType::String));
    }
    Some(element)
}

fn bind_compatible(params: &[&ParamType], args: &[Option<ScalarType>]) -> Option<Option<ScalarType>> {
    let mut types = vec![];
    for (p, a) in params.iter().zip(args) {
        match (p, a) {
            (ParamType::AnyCompatible, Some(t)) => types.push(t.clone()),
            (ParamType::AnyCompatibleArray, Some(t)) => types.push(element_of(t)?),
            _ => {}
        }
    }
    if types.is_empty() {
        return Some(None);
    }
    // PostgreSQL compares real with other numbers as double precision.
    let numbers = types.iter().all(|t| category(t) == 'N');
    if numbers && types.contains(&ScalarType::Float32) && types.iter().any(|t| *t != ScalarType::Float32) {
        return Some(Some(ScalarType::Float64));
    }
    common_type(&types).map(Some)
}

fn bind_container(
    params: &[&ParamType],
    args: &[Option<ScalarType>],
    list: bool,
) -> Option<Option<ScalarType>> {
    let mut found = None;
    let mut wanted = false;
    for (p, a) in params.iter().zip(args) {
        match (p, a, list) {
            (ParamType::AnyList, Some(ScalarType::List { element, .. }), true) => {
                found.get_or_insert((**element).clone());
            }
            (ParamType::AnyMap, Some(ScalarType::Map { value, .. }), false) => {
                found.get_or_insert((**value).clone());
            }
            (ParamType::AnyList, Some(_), true) | (ParamType::AnyMap, Some(_), false) => return None,
            (ParamType::AnyList, None, true) | (ParamType::AnyMap, None, false) => wanted = true,
            _ => {}
        }
    }
    if wanted && found.is_none() { None } else { Some(found) }
}

/// Chooses among candidates; gives the position of the chosen one and the types that the arguments are brought to.
pub(super) fn choose(
    candidates: &[Signature<'_>],
    args: &[Option<ScalarType>],
    operator: bool,
) -> Result<(usize, Vec<ScalarType>), NoMatch> {
    let assumed = assume_same(args, operator);
    let mut possible: Vec<(usize, Vec<ScalarType>)> =
        candidates.iter().enumerate().filter_map(|(i, c)| c.bind(args).map(|b| (i, b))).collect();
    let exact = |args: &[Option<ScalarType>], i: usize| {
        args.iter().enumerate().all(|(k, a)| a.as_ref().is_some_and(|a| candidates[i].exact_at(k, a)))
    };
    if let Some(p) = possible.iter().find(|(i, _)| exact(args, *i) || exact(&assumed, *i)) {
        return Ok(p.clone());
    }
    match possible.len() {
        0 => return Err(NoMatch::None),
        1 => return possible.pop().ok_or(NoMatch::None),
        _ => {}
    }
    keep_best(&mut possible, |i| count(args, |k, a| candidates[i].exact_at(k, a)));
    if possible.len() > 1 {
        keep_best(&mut possible, |i| {
            count(args, |k, a| candidates[i].exact_at(k, a) || candidates[i].preferred_at(k, a))
        });
    }
    if possible.len() > 1 && args.iter().any(Option::is_none) {
        narrow_unknown(&mut possible, candidates, args);
    }
    if possible.len() > 1
        && let Some(all) = single_known(args)
    {
        let args: Vec<_> = args.iter().map(|_| Some(all.clone())).collect();
        let fit: Vec<_> =
            possible.iter().filter(|(i, _)| candidates[*i].bind(&args).is_some()).cloned().collect();
        if fit.len() == 1 {
            possible = fit;
        }
    }
    // Entries that are not polymorphic go before those that are.
    if possible.len() > 1 {
        let plain = |i: usize| candidates[i].params.iter().all(|p| matches!(p, ParamType::Type(_)));
        let concrete: Vec<_> = possible.iter().filter(|(i, _)| plain(*i)).cloned().collect();
        if concrete.len() == 1 {
            possible = concrete;
        }
    }
    match possible.len() {
        1 => possible.pop().ok_or(NoMatch::None),
        _ => Err(NoMatch::Ambiguous),
    }
}

/// An operator's one unknown operand is first taken to be of the other's type.
fn assume_same(args: &[Option<ScalarType>], operator: bool) -> Vec<Option<ScalarType>> {
    match args {
        [Some(t), None] | [None, Some(t)] if operator => vec![Some(t.clone()), Some(t.clone())],
        _ => args.to_vec(),
    }
}

fn count(args: &[Option<ScalarType>], test: impl Fn(usize, &ScalarType) -> bool) -> usize {
    args.iter().enumerate().filter(|(k, a)| a.as_ref().is_some_and(|a| test(*k, a))).count()
}

fn keep_best(possible: &mut Vec<(usize, Vec<ScalarType>)>, score: impl Fn(usize) -> usize) {
    let best = possible.iter().map(|(i, _)| score(*i)).max().unwrap_or(0);
    possible.retain(|(i, _)| score(*i) == best);
}

/// Narrows by what the unknown arguments may be: strings if any candidate takes one there, else the one category that all
/// take; then the preferred type of the category, if any candidate takes that.
fn narrow_unknown(
    possible: &mut Vec<(usize, Vec<ScalarType>)>,
    candidates: &[Signature<'_>],
    args: &[Option<ScalarType>],
) {
    let mut kept = possible.clone();
    for k in (0..args.len()).filter(|k| args[*k].is_none()) {
        let types: Vec<(usize, Option<&ScalarType>)> = kept
            .iter()
            .map(|(i, _)| match candidates[*i].param(k) {
                Some(ParamType::Type(t)) => (*i, Some(t)),
                _ => (*i, None),
            })
            .collect();
        let categories: Vec<char> = types.iter().filter_map(|(_, t)| t.map(category)).collect();
        let wanted = if categories.contains(&'S') {
            'S'
        } else {
            match categories.first() {
                Some(c) if categories.iter().all(|x| x == c) && categories.len() == types.len() => *c,
                _ => return,
            }
        };
        let preferred =
            types.iter().any(|(_, t)| t.is_some_and(|t| category(t) == wanted && is_preferred(t)));
        let fits = |t: Option<&ScalarType>| {
            t.is_some_and(|t| category(t) == wanted && (!preferred || is_preferred(t)))
        };
        let good: Vec<usize> = types.iter().filter(|(_, t)| fits(*t)).map(|(i, _)| *i).collect();
        kept.retain(|(i, _)| good.contains(i));
    }
    if !kept.is_empty() {
        *possible = kept;
    }
}

/// The one type of all known arguments, when some are unknown.
fn single_known(args: &[Option<ScalarType>]) -> Option<ScalarType> {
    let mut known = args.iter().flatten();
    let first = known.next()?;
    (args.iter().any(Option::is_none) && known.all(|t| t.base_eq(first))).then(|| first.clone())
}
