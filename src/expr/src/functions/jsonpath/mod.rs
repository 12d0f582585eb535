//! `jsonpath` queries over `jsonb` (PostgreSQL manual 9.16.2).
//!
//! A path is kept as its text; each thread keeps the paths that it has parsed. [`eval`] walks a path over a value,
//! [`predicate`] decides conditions, [`layout`] gives the numbers by which `.keyvalue()` tells objects apart.
//!
//! What is left out: `.datetime()`, which is refused when it is reached (0A000). So the `_tz` twins of the functions do
//! the same as the functions.

mod eval;
mod layout;
mod predicate;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use hw_repr::adt::jsonpath::{self, Expr, Head, Path, Predicate, RegexFlags, Step};
use hw_repr::{Datum, RelationDesc, Row, RowArena, ScalarType};

use eval::Evaluation;

use super::string::regex::{Regex, regex};
use super::table::{rows, table};
use crate::error::EvalError;
use crate::func::Registry;
use crate::functions::signature::{f, op};
use crate::functions::{EvalResult, fail, ok};

/// How many parsed paths a thread keeps.
const CACHE_ENTRIES: usize = 256;

thread_local! {
    static CACHE: RefCell<HashMap<String, Rc<Path>>> = RefCell::new(HashMap::new());
}

/// A parsed path, from the thread's cache if it was met before.
fn parsed(text: &str) -> Result<Rc<Path>, EvalError> {
    if let Some(path) = CACHE.with_borrow(|c| c.get(text).cloned()) {
        return Ok(path);
    }
    let path = Rc::new(jsonpath::parse(text)?);
    CACHE.with_borrow_mut(|c| {
        if c.len() >= CACHE_ENTRIES {
            c.clear();
        }
        c.insert(text.to_owned(), Rc::clone(&path));
    });
    Ok(path)
}

/// Checks what the parser of a path cannot: that the patterns in it are regular expressions.
///
/// # Errors
/// The error of the first that is none, or when the text is no path.
pub fn check_patterns(text: &str) -> Result<(), EvalError> {
    // Only a path with this word has patterns.
    if text.contains("like_regex") { check_expr(&parsed(text)?.expr) } else { Ok(()) }
}

fn check_expr(e: &Expr) -> Result<(), EvalError> {
    stacker::maybe_grow(32 << 10, 1 << 20, || {
        match &e.head {
            Head::Unary(_, a) => check_expr(a)?,
            Head::Binary(_, a, b) => check_expr(a).and_then(|()| check_expr(b))?,
            Head::Predicate(p) => check_predicate(p)?,
            _ => {}
        }
        e.steps.iter().try_for_each(|s| match s {
            Step::Filter(p) => check_predicate(p),
            Step::Index(subscripts) => subscripts.iter().try_for_each(|(from, to)| {
                check_expr(from)?;
                to.as_ref().map_or(Ok(()), check_expr)
            }),
            _ => Ok(()),
        })
    })
}

fn check_predicate(p: &Predicate) -> Result<(), EvalError> {
    stacker::maybe_grow(32 << 10, 1 << 20, || match p {
        Predicate::And(a, b) | Predicate::Or(a, b) => check_predicate(a).and_then(|()| check_predicate(b)),
        Predicate::Not(a) | Predicate::IsUnknown(a) => check_predicate(a),
        Predicate::Compare(_, a, b) | Predicate::StartsWith(a, b) => {
            check_expr(a).and_then(|()| check_expr(b))
        }
        Predicate::Exists(a) => check_expr(a),
        Predicate::LikeRegex(a, pattern, flags) => {
            compiled(pattern, *flags)?;
            check_expr(a)
        }
    })
}

/// XQuery's flags as PostgreSQL's regular expressions have them.
fn compiled(pattern: &str, flags: RegexFlags) -> Result<Rc<Regex>, EvalError> {
    let mut letters = String::new();
    if flags.quote {
        letters.push('q');
    } else {
        letters.push(match (flags.dot_all, flags.multi_line) {
            (false, false) => 'p',
            (false, true) => 'n',
            (true, false) => 's',
            (true, true) => 'w',
        });
    }
    if flags.ignore_case {
        letters.push('i');
    }
    Ok(regex(pattern, &letters, None)?.0)
}

/// The arguments of a call: value, path, variables, and whether errors make no noise.
struct Call<'a> {
    path: Rc<Path>,
    value: Datum<'a>,
    vars: Option<Datum<'a>>,
    silent: bool,
}

impl<'a> Call<'a> {
    fn of(a: &[Datum<'a>]) -> Result<Self, EvalError> {
        let vars = a.get(2).copied();
        if vars.is_some_and(|v| !matches!(v, Datum::Map(_))) {
            return Err(EvalError::new("22023", "\"vars\" argument is not an object").with_detail(
                "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.",
            ));
        }
        let silent = a.get(3).is_some_and(Datum::unwrap_bool);
        // The numbers of `.keyvalue()` depend on whether there is an object of variables: without one it is empty.
        let vars = vars.or(Some(Datum::Map(hw_repr::DatumMap::empty())));
        Ok(Call { path: parsed(a[1].unwrap_str())?, value: a[0], vars, silent })
    }

    fn evaluation(&self, arena: &'a RowArena) -> Evaluation<'a> {
        Evaluation::new(self.path.lax, self.value, self.vars, arena)
    }

    /// The items, or those before an error that makes no noise.
    fn items(&self, arena: &'a RowArena) -> Result<Vec<Datum<'a>>, EvalError> {
        let (items, error) = self.evaluation(arena).items(&self.path);
        match error {
            Some(e) if e.hard || !self.silent => Err(e.error),
            _ => Ok(items),
        }
    }

    fn exists(&self, arena: &'a RowArena) -> EvalResult<'a> {
        match self.evaluation(arena).exists(&self.path) {
            Ok(found) => ok(found),
            Err(e) if e.hard || !self.silent => Err(e.error),
            Err(_) => Ok(Datum::Null),
        }
    }

    fn matches(&self, arena: &'a RowArena) -> EvalResult<'a> {
        match self.items(arena)?[..] {
            [Datum::Bool(b)] => ok(b),
            [Datum::JsonNull] => Ok(Datum::Null),
            _ if self.silent => Ok(Datum::Null),
            _ => fail("22038", "single boolean result is expected"),
        }
    }
}

/// The operators and the functions behind them: errors make no noise.
fn of_operator<'a>(a: &[Datum<'a>]) -> Result<Call<'a>, EvalError> {
    Ok(Call { path: parsed(a[1].unwrap_str())?, value: a[0], vars: None, silent: true })
}

/// Registers a function at its two, three and four parameters, and its `_tz` twin.
macro_rules! with_optional {
    ($add:expr, $make:ident: $($name:literal, $ret:literal, $($eval:expr),+;)+) => {
        $(
            $add($make(concat!($name, "(jsonb, jsonpath)", $ret), $($eval),+));
            $add($make(concat!($name, "(jsonb, jsonpath, jsonb)", $ret), $($eval),+));
            $add($make(concat!($name, "(jsonb, jsonpath, jsonb, bool)", $ret), $($eval),+));
            $add($make(concat!($name, "_tz(jsonb, jsonpath)", $ret), $($eval),+));
            $add($make(concat!($name, "_tz(jsonb, jsonpath, jsonb)", $ret), $($eval),+));
            $add($make(concat!($name, "_tz(jsonb, jsonpath, jsonb, bool)", $ret), $($eval),+));
        )+
    };
}

fn value_column(name: &str) -> RelationDesc {
    RelationDesc::empty().with_column(name, ScalarType::Jsonb.nullable(false))
}

pub(super) fn register(r: &mut Registry) {
    with_optional! { |def| r.add(def), f:
        "jsonb_path_exists", " -> bool nullable", |_, arena, a| Call::of(a)?.exists(arena);
        "jsonb_path_match", " -> bool nullable", |_, arena, a| Call::of(a)?.matches(arena);
        "jsonb_path_query_array", " -> jsonb", |_, arena, a| {
            let items = Call::of(a)?.items(arena)?;
            Ok(arena.make_datum(|p| p.push_json_array(items)))
        };
        "jsonb_path_query_first", " -> jsonb nullable", |_, arena, a| {
            Ok(Call::of(a)?.items(arena)?.first().copied().unwrap_or(Datum::Null))
        };
    }
    with_optional! { |def| r.add_table(def), table:
        "jsonb_path_query", "", |_| value_column("jsonb_path_query"), |_, arena, a| {
            rows(Call::of(a)?.items(arena)?.into_iter().map(|d| Row::pack_slice(&[d])))
        };
    }
    r.add(op("jsonb @? jsonpath -> bool nullable", |_, arena, a| of_operator(a)?.exists(arena)));
    r.add(f("jsonb_path_exists_opr(jsonb, jsonpath) -> bool nullable", |_, arena, a| {
        of_operator(a)?.exists(arena)
    }));
    r.add(op("jsonb @@ jsonpath -> bool nullable", |_, arena, a| of_operator(a)?.matches(arena)));
    r.add(f("jsonb_path_match_opr(jsonb, jsonpath) -> bool nullable", |_, arena, a| {
        of_operator(a)?.matches(arena)
    }));
}
