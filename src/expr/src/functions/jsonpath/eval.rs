//! Walking a path over a value.
//!
//! The items of a chain are produced one by one and depth first, as in PostgreSQL: each goes through all steps before
//! the next is asked for, so that of several errors the same one comes first. A chain is walked with a stack of its own
//! and not by recursion; what nests are operands, conditions and subscripts, which the parser bounds.
//!
//! In lax mode a step that needs an object or a scalar takes an array apart once, a step that needs an array takes
//! anything else as an array of one, and structural errors give no items.

use std::collections::HashMap;
use std::vec::IntoIter;

use hw_repr::adt::jsonpath::{Arithmetic, Expr, Head, Method, Path, Sign, Step};
use hw_repr::adt::{Numeric, numeric};
use hw_repr::datum::{DatumIter, DatumMap};
use hw_repr::text::scalar;
use hw_repr::{Datum, RowArena};

use super::layout;
use crate::error::EvalError;
use crate::functions::jsonb::kind;

/// How many steps and comparisons one evaluation may take.
const MAX_WORK: usize = 1 << 26;
/// How many items a path may have.
const MAX_ITEMS: usize = 1 << 22;
/// The id of an object is its offset and this times the number of the value that it is in.
const IDS_PER_BASE: i64 = 10_000_000_000;

/// A value, and the whole that it is a part of, as an index into the evaluation's bases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) datum: Datum<'a>,
    base: usize,
}

/// A value that objects are told apart in.
struct Base<'a> {
    root: Datum<'a>,
    id: i64,
    /// Made when first needed.
    offsets: Option<HashMap<usize, i64>>,
}

/// An error; one that is not hard makes a condition unknown and may be silenced.
pub(super) struct Raised {
    pub(super) error: EvalError,
    pub(super) hard: bool,
}

impl From<EvalError> for Raised {
    fn from(error: EvalError) -> Self {
        Raised { error, hard: true }
    }
}

fn soft<T>(sqlstate: &str, message: impl Into<String>) -> Result<T, Raised> {
    Err(Raised { error: EvalError::new(sqlstate, message), hard: false })
}

fn arithmetic_error(e: hw_repr::adt::AdtError) -> Raised {
    Raised { error: e.into(), hard: false }
}

/// What an expression sees of where it stands.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// `@`
    pub(super) current: Item<'a>,
    /// The length of the array whose subscript this is.
    length: usize,
    /// Whether structural errors are passed over though the path is strict: below `.**`.
    forgiving: bool,
}

/// Where items go.
pub(super) struct Sink<'a> {
    items: Vec<Item<'a>>,
    /// Whether the first item is enough, which then is not kept.
    first: bool,
    /// Whether there was an item.
    pub(super) found: bool,
}

impl<'a> Sink<'a> {
    /// Keeps all.
    pub(super) fn all() -> Self {
        Sink { items: vec![], first: false, found: false }
    }

    /// Only says whether there is one.
    pub(super) fn first() -> Self {
        Sink { first: true, ..Self::all() }
    }

    fn push(&mut self, item: Item<'a>) -> Result<(), Raised> {
        self.found = true;
        if !self.first {
            self.items.push(item);
            if self.items.len() > MAX_ITEMS {
                return Err(EvalError::new("54000", "jsonpath has too many items").into());
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.first && self.found
    }
}

/// Values below an item.
enum Children<'a> {
    Elements(DatumIter<'a>),
    Values(Box<dyn Iterator<Item = Datum<'a>> + 'a>),
}

impl<'a> Children<'a> {
    fn of(d: Datum<'a>) -> Option<Self> {
        match d {
            Datum::JsonArray(l) => Some(Children::Elements(l.iter())),
            Datum::Map(m) => Some(Children::values(m)),
            _ => None,
        }
    }

    fn values(m: DatumMap<'a>) -> Self {
        Children::Values(Box::new(m.iter().map(|(_, v)| v)))
    }

    fn next(&mut self) -> Option<Datum<'a>> {
        match self {
            Children::Elements(i) => i.next(),
            Children::Values(i) => i.next(),
        }
    }
}

/// Items that come when they are asked for.
enum Source<'a, 'p> {
    One(Option<Item<'a>>),
    Children(Children<'a>, usize),
    /// Operands of a sign; those that are no numbers are errors, or passed over where only existence matters.
    Signed(IntoIter<Item<'a>>, Sign, bool),
    Subscripts(Subscripts<'a, 'p>),
    Descend(Descend<'a>),
    KeyValue(Box<dyn Iterator<Item = (&'a str, Datum<'a>)> + 'a>, i64),
}

struct Subscripts<'a, 'p> {
    rest: std::slice::Iter<'p, (Expr, Option<Expr>)>,
    item: Item<'a>,
    length: usize,
    /// What is left of the subscript before.
    range: Option<std::iter::Take<std::iter::Skip<DatumIter<'a>>>>,
    scope: Scope<'a>,
}

struct Descend<'a> {
    /// The item itself, if it is asked for.
    root: Option<Item<'a>>,
    /// One iterator for each level below it.
    stack: Vec<Children<'a>>,
    base: usize,
    first: u32,
    last: u32,
}

impl<'a> Descend<'a> {
    fn next(&mut self) -> Option<Item<'a>> {
        if let Some(root) = self.root.take() {
            return Some(root);
        }
        loop {
            let Some(datum) = self.stack.last_mut()?.next() else {
                self.stack.pop();
                continue;
            };
            let level = u32::try_from(self.stack.len()).unwrap_or(u32::MAX);
            let below = Children::of(datum);
            let only_leaves = self.first == u32::MAX && self.last == u32::MAX;
            let wanted = level >= self.first || only_leaves && below.is_none();
            if level < self.last {
                self.stack.extend(below);
            }
            if wanted {
                return Some(Item { datum, base: self.base });
            }
        }
    }
}

/// Items and the step that they are to go through next.
struct Frame<'a, 'p> {
    source: Source<'a, 'p>,
    at: usize,
    /// Whether the step may take arrays apart: not if they come out of one.
    unwrap: bool,
    forgiving: bool,
}

/// One evaluation of a path.
pub(super) struct Evaluation<'a> {
    pub(super) lax: bool,
    vars: Option<Datum<'a>>,
    arena: &'a RowArena,
    /// First the value itself, then the variables.
    bases: Vec<Base<'a>>,
    next_id: i64,
    work: usize,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(lax: bool, value: Datum<'a>, vars: Option<Datum<'a>>, arena: &'a RowArena) -> Self {
        let base = |root, id| Base { root, id, offsets: None };
        let bases = vec![base(value, 0), base(vars.unwrap_or(Datum::JsonNull), 1)];
        Evaluation { lax, vars, arena, bases, next_id: if vars.is_some() { 2 } else { 1 }, work: 0 }
    }

    fn top(&self) -> Scope<'a> {
        Scope { current: self.root(), length: 0, forgiving: false }
    }

    fn root(&self) -> Item<'a> {
        Item { datum: self.bases[0].root, base: 0 }
    }

    /// The items of the path, and the error that ended them.
    pub(super) fn items(mut self, path: &Path) -> (Vec<Datum<'a>>, Option<Raised>) {
        let mut sink = Sink::all();
        let scope = self.top();
        let error = self.expr(&path.expr, scope, &mut sink).err();
        (sink.items.into_iter().map(|i| i.datum).collect(), error)
    }

    /// Whether the path has items. In strict mode all are looked at, as there may be an error among them.
    pub(super) fn exists(mut self, path: &Path) -> Result<bool, Raised> {
        let mut sink = if self.lax { Sink::first() } else { Sink::all() };
        let scope = self.top();
        self.expr(&path.expr, scope, &mut sink)?;
        Ok(sink.found)
    }

    /// Counts a step.
    pub(super) fn work(&mut self) -> Result<(), Raised> {
        self.work += 1;
        if self.work > MAX_WORK {
            return Err(EvalError::new("54000", "jsonpath takes too many steps").into());
        }
        Ok(())
    }

    /// The items of an operand, arrays among them taken apart in lax mode if they are to be.
    pub(super) fn operand(
        &mut self,
        e: &Expr,
        unwrap: bool,
        scope: Scope<'a>,
    ) -> Result<Vec<Item<'a>>, Raised> {
        let mut sink = Sink::all();
        self.expr(e, scope, &mut sink)?;
        if !unwrap || !self.lax || !sink.items.iter().any(|i| matches!(i.datum, Datum::JsonArray(_))) {
            return Ok(sink.items);
        }
        let mut flat = Sink::all();
        for item in sink.items {
            match item.datum {
                Datum::JsonArray(l) => l.iter().try_for_each(|datum| flat.push(Item { datum, ..item }))?,
                _ => flat.push(item)?,
            }
        }
        Ok(flat.items)
    }

    /// Evaluates an expression.
    pub(super) fn expr(&mut self, e: &Expr, scope: Scope<'a>, sink: &mut Sink<'a>) -> Result<(), Raised> {
        stacker::maybe_grow(64 << 10, 1 << 20, || {
            let source = self.head(e, scope, sink)?;
            self.chain(&e.steps, source, scope, sink)
        })
    }

    fn head<'p>(&mut self, e: &'p Expr, scope: Scope<'a>, sink: &Sink<'a>) -> Result<Source<'a, 'p>, Raised> {
        let plain = |datum| Source::One(Some(Item { datum, base: scope.current.base }));
        Ok(match &e.head {
            Head::Root => Source::One(Some(self.root())),
            Head::Current => Source::One(Some(scope.current)),
            Head::Last => plain(Datum::Numeric(numeric::from_i64(scope.length as i64 - 1))),
            Head::Null => plain(Datum::JsonNull),
            Head::Bool(b) => plain(Datum::Bool(*b)),
            Head::Number(n) => plain(Datum::Numeric(*n)),
            Head::String(s) => plain(Datum::String(self.arena.push_string(s.as_str()))),
            Head::Variable(name) => Source::One(Some(self.variable(name)?)),
            Head::Unary(sign, a) => {
                let items = self.operand(a, true, scope)?;
                Source::Signed(items.into_iter(), *sign, sink.first && e.steps.is_empty())
            }
            Head::Binary(op, a, b) => {
                let left = self.operand(a, true, scope)?;
                let right = self.operand(b, true, scope)?;
                let (left, right) = (number(&left, "left", *op)?, number(&right, "right", *op)?);
                plain(Datum::Numeric(apply(*op, &left, &right)?))
            }
            Head::Predicate(p) => plain(self.predicate(p, scope)?.map_or(Datum::JsonNull, Datum::Bool)),
        })
    }

    fn variable(&self, name: &str) -> Result<Item<'a>, Raised> {
        let found = match self.vars {
            Some(Datum::Map(vars)) => vars.get(name),
            // Where there are none, as for operators, all are null (PostgreSQL 15).
            _ => Some(Datum::JsonNull),
        };
        match found {
            Some(datum) => Ok(Item { datum, base: 1 }),
            None => {
                Err(EvalError::new("42704", format!("could not find jsonpath variable \"{name}\"")).into())
            }
        }
    }

    /// Takes items through the steps.
    fn chain<'p>(
        &mut self,
        steps: &'p [Step],
        source: Source<'a, 'p>,
        scope: Scope<'a>,
        sink: &mut Sink<'a>,
    ) -> Result<(), Raised> {
        let mut frames = vec![Frame { source, at: 0, unwrap: true, forgiving: scope.forgiving }];
        while let Some(frame) = frames.last_mut() {
            let (at, unwrap, forgiving) = (frame.at, frame.unwrap, frame.forgiving);
            let Some(item) = self.next(&mut frame.source)? else {
                frames.pop();
                continue;
            };
            let Some(step) = steps.get(at) else {
                sink.push(item)?;
                if sink.is_done() {
                    return Ok(());
                }
                continue;
            };
            self.work()?;
            let scope = Scope { forgiving, ..scope };
            let apart = unwrap && self.lax && takes_apart(step);
            frames.extend(match item.datum {
                Datum::JsonArray(l) if apart => {
                    let source = Source::Children(Children::Elements(l.iter()), item.base);
                    Some(Frame { source, at, unwrap: false, forgiving })
                }
                _ => self.step(step, item, scope)?.map(|source| {
                    let forgiving = forgiving || matches!(step, Step::Descend(..));
                    Frame { source, at: at + 1, unwrap: true, forgiving }
                }),
            });
        }
        Ok(())
    }

    fn next(&mut self, source: &mut Source<'a, '_>) -> Result<Option<Item<'a>>, Raised> {
        Ok(match source {
            Source::One(item) => item.take(),
            Source::Children(children, base) => children.next().map(|datum| Item { datum, base: *base }),
            Source::Signed(items, sign, skip) => loop {
                let Some(item) = items.next() else { return Ok(None) };
                match item.datum {
                    Datum::Numeric(n) => {
                        let n = if *sign == Sign::Minus { numeric::neg(&n) } else { n };
                        return Ok(Some(Item { datum: Datum::Numeric(n), ..item }));
                    }
                    _ if *skip => {}
                    _ => {
                        let symbol = sign.symbol();
                        let text =
                            format!("operand of unary jsonpath operator {symbol} is not a numeric value");
                        return soft("2203B", text);
                    }
                }
            },
            Source::Subscripts(s) => loop {
                if let Some(datum) = s.range.as_mut().and_then(Iterator::next) {
                    return Ok(Some(Item { datum, ..s.item }));
                }
                let Some((from, to)) = s.rest.next() else { return Ok(None) };
                let from = self.subscript(from, s.scope)?;
                let to = match to {
                    Some(to) => self.subscript(to, s.scope)?,
                    None => from,
                };
                let length = s.length as i64;
                if !self.lax && !s.scope.forgiving && (from < 0 || from > to || to >= length) {
                    return soft("22033", "jsonpath array subscript is out of bounds");
                }
                let (from, to) = (from.max(0), to.min(length - 1));
                match s.item.datum {
                    Datum::JsonArray(l) => {
                        let count = usize::try_from(to - from + 1).unwrap_or(0);
                        s.range = Some(l.iter().skip(from as usize).take(count));
                    }
                    _ if from <= to => return Ok(Some(s.item)),
                    _ => {}
                }
            },
            Source::Descend(d) => d.next(),
            Source::KeyValue(entries, id) => {
                let Some((key, value)) = entries.next() else { return Ok(None) };
                let datum = self.arena.make_datum(|p| {
                    p.push_map_with(|p| {
                        p.push(Datum::String("id"));
                        p.push(Datum::Numeric(numeric::from_i64(*id)));
                        p.push(Datum::String("key"));
                        p.push(Datum::String(key));
                        p.push(Datum::String("value"));
                        p.push(value);
                    });
                });
                self.bases.push(Base { root: datum, id: self.next_id, offsets: None });
                self.next_id += 1;
                Some(Item { datum, base: self.bases.len() - 1 })
            }
        })
    }

    /// The whole number that a subscript is.
    fn subscript(&mut self, e: &Expr, scope: Scope<'a>) -> Result<i64, Raised> {
        let mut sink = Sink::all();
        self.expr(e, scope, &mut sink)?;
        match sink.items[..] {
            [Item { datum: Datum::Numeric(n), .. }] => match numeric::to_i32(&numeric::trunc(&n, 0)) {
                Ok(i) => Ok(i.into()),
                Err(_) => soft("22033", "jsonpath array subscript is out of integer range"),
            },
            _ => soft("22033", "jsonpath array subscript is not a single numeric value"),
        }
    }

    /// The items that a step makes of one; `None` for none.
    fn step<'p>(
        &mut self,
        step: &'p Step,
        item: Item<'a>,
        scope: Scope<'a>,
    ) -> Result<Option<Source<'a, 'p>>, Raised> {
        let one = |datum| Some(Source::One(Some(Item { datum, ..item })));
        let forgiven = self.lax || scope.forgiving;
        Ok(match (step, item.datum) {
            (Step::Key(key), Datum::Map(m)) => match m.get(key) {
                Some(v) => one(v),
                None if forgiven => None,
                None => return soft("2203A", format!("JSON object does not contain key \"{key}\"")),
            },
            (Step::AnyKey, Datum::Map(m)) => Some(Source::Children(Children::values(m), item.base)),
            (Step::AnyElement, Datum::JsonArray(l)) => {
                Some(Source::Children(Children::Elements(l.iter()), item.base))
            }
            (Step::AnyElement, d) if self.lax => one(d),
            (Step::Index(subscripts), d) if self.lax || matches!(d, Datum::JsonArray(_)) => {
                let length = if let Datum::JsonArray(l) = d { l.iter().count() } else { 1 };
                let scope = Scope { length, ..scope };
                let rest = subscripts.iter();
                Some(Source::Subscripts(Subscripts { rest, item, length, range: None, scope }))
            }
            (Step::Descend(first, last), d) => {
                let stack = if *last == 0 { vec![] } else { Children::of(d).into_iter().collect() };
                let root = (*first == 0).then_some(item);
                let (first, last, base) = (*first, *last, item.base);
                Some(Source::Descend(Descend { root, stack, base, first, last }))
            }
            (Step::Filter(p), d) => match self.predicate(p, Scope { current: item, ..scope })? {
                Some(true) => one(d),
                _ => None,
            },
            (Step::Method(Method::KeyValue), Datum::Map(m)) => {
                Some(Source::KeyValue(Box::new(m.iter()), self.id(item)))
            }
            (Step::Method(Method::Size), d) => match d {
                Datum::JsonArray(l) => one(Datum::Numeric(numeric::from_i64(l.iter().count() as i64))),
                _ if self.lax => one(Datum::Numeric(numeric::from_i64(1))),
                _ if forgiven => None,
                _ => return soft("22039", "jsonpath item method .size() can only be applied to an array"),
            },
            (Step::Method(method), d) => one(scalar_method(*method, d)?),
            (Step::Datetime(_), _) => {
                return Err(
                    EvalError::new("0A000", "the jsonpath item method .datetime() is not supported").into()
                );
            }
            _ if forgiven => None,
            (step, _) => return structural(step),
        })
    }

    /// The number by which `.keyvalue()` tells an object from all others.
    fn id(&mut self, item: Item<'a>) -> i64 {
        let base = &mut self.bases[item.base];
        let offsets = base.offsets.get_or_insert_with(|| layout::offsets(base.root));
        let offset = layout::address(item.datum).and_then(|a| offsets.get(&a).copied());
        base.id * IDS_PER_BASE + offset.unwrap_or(0)
    }
}

/// Whether a step takes arrays apart in lax mode.
fn takes_apart(step: &Step) -> bool {
    match step {
        Step::Key(_) | Step::AnyKey | Step::Filter(_) | Step::Datetime(_) => true,
        Step::Method(m) => !matches!(m, Method::Type | Method::Size),
        Step::AnyElement | Step::Index(_) | Step::Descend(..) => false,
    }
}

/// The error that an item is not what a step needs.
fn structural<T>(step: &Step) -> Result<T, Raised> {
    match step {
        Step::Key(_) => soft("2203A", "jsonpath member accessor can only be applied to an object"),
        Step::AnyKey => soft("2203C", "jsonpath wildcard member accessor can only be applied to an object"),
        Step::AnyElement => soft("22039", "jsonpath wildcard array accessor can only be applied to an array"),
        _ => soft("22039", "jsonpath array accessor can only be applied to an array"),
    }
}

/// The only item of an operand, which must be a number.
fn number(items: &[Item<'_>], side: &str, op: Arithmetic) -> Result<Numeric, Raised> {
    match items {
        [Item { datum: Datum::Numeric(n), .. }] => Ok(*n),
        _ => {
            let symbol = op.symbol();
            soft(
                "22038",
                format!("{side} operand of jsonpath operator {symbol} is not a single numeric value"),
            )
        }
    }
}

fn apply(op: Arithmetic, a: &Numeric, b: &Numeric) -> Result<Numeric, Raised> {
    match op {
        Arithmetic::Add => numeric::add(a, b),
        Arithmetic::Sub => numeric::sub(a, b),
        Arithmetic::Mul => numeric::mul(a, b),
        Arithmetic::Div => numeric::div(a, b),
        Arithmetic::Mod => numeric::rem(a, b),
    }
    .map_err(arithmetic_error)
}

/// A method that makes one item of one.
fn scalar_method(method: Method, d: Datum<'_>) -> Result<Datum<'_>, Raised> {
    let name = method.name();
    let refused = |sqlstate: &str, what: &str| {
        soft(sqlstate, format!("jsonpath item method .{name}() can only be applied to {what}"))
    };
    let rounded = |n: Result<Numeric, _>| n.map(Datum::Numeric).map_err(arithmetic_error);
    match (method, d) {
        (Method::Type, d) => Ok(Datum::String(kind(d))),
        (Method::Double, n @ Datum::Numeric(_)) => Ok(n),
        (Method::Double, Datum::String(s)) => match scalar::float64(s) {
            Ok(v) if v.is_finite() => rounded(numeric::from_f64(v)),
            _ => {
                let text = "string argument of jsonpath item method .double() is not a valid representation of a double precision number";
                soft("22036", text)
            }
        },
        (Method::Double, _) => refused("22036", "a string or numeric value"),
        (Method::Abs, Datum::Numeric(n)) => Ok(Datum::Numeric(numeric::abs(&n))),
        (Method::Floor, Datum::Numeric(n)) => rounded(numeric::floor(&n)),
        (Method::Ceiling, Datum::Numeric(n)) => rounded(numeric::ceil(&n)),
        (Method::KeyValue, _) => refused("2203C", "an object"),
        (Method::Abs | Method::Floor | Method::Ceiling | Method::Size, _) => {
            refused("22036", "a numeric value")
        }
    }
}
