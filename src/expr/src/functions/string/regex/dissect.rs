//! What the groups of a match hold, by PostgreSQL's rules (manual 9.7.3.5): where a match begins and ends is known; it
//! is taken apart from left to right, and each part takes as much as it can (or as little, where its first quantifier
//! with a preference is a non-greedy one) as long as the rest can still be matched.
//!
//! ```text
//! (a|ab)(c|bcd)(d*)  over  abcd        (ab)(c)(d): the first part takes ab, as the others match the rest cd
//! ```
//!
//! The expression is a tree whose inner nodes are those that hold groups. Each piece has an automaton that tells all ends
//! of its matches. Steps are limited; where the limit is reached the caller has another answer.

use std::cell::{OnceCell, RefCell};
use std::collections::HashSet;

use regex_automata::hybrid::dfa::{Cache, DFA, OverlappingState};
use regex_automata::nfa::thompson;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, HirKind, Repetition};

use super::engine::Groups;

/// Pieces that an expression may have.
const MAX_PIECES: usize = 256;
/// Places that are looked at before taking a match apart is given up.
const MAX_STEPS: usize = 100_000;
/// Bytes that the states of one automaton may take; beyond that they are made anew.
const CACHE_BYTES: usize = 1 << 18;
/// Bytes that an automaton's program may take.
const MAX_SIZE: usize = 1 << 20;

/// An expression that is taken apart.
pub(super) struct Dissector {
    pieces: Vec<Piece>,
    root: usize,
}

struct Piece {
    hir: Hir,
    kind: Kind,
    /// Whether it takes as little as possible.
    shortest: bool,
    machine: OnceCell<Option<(DFA, RefCell<Cache>)>>,
}

enum Kind {
    /// It holds no groups.
    Leaf,
    Group(usize, usize),
    Sequence(usize, usize),
    Alternatives(Vec<usize>),
    /// From none up to so many times.
    Repeated(usize, Option<u32>),
}

/// What is known of an expression besides its piece.
#[derive(Clone, Copy, Default)]
struct Traits {
    /// Whether it takes as much as possible, if it has a preference.
    greedy: Option<bool>,
    /// Whether parts of it have different preferences.
    mixed: bool,
    groups: bool,
}

impl Traits {
    /// Whether the parts have to be looked at one by one.
    fn is_inner(self) -> bool {
        self.groups || self.mixed
    }

    /// Of one after the other: the first preference counts.
    fn then(self, next: Traits) -> Traits {
        let differ = matches!((self.greedy, next.greedy), (Some(x), Some(y)) if x != y);
        Traits {
            greedy: self.greedy.or(next.greedy),
            mixed: self.mixed || next.mixed || differ,
            groups: self.groups || next.groups,
        }
    }
}

impl Dissector {
    /// Prepares an expression; `None` when it has too many pieces.
    pub(super) fn new(hir: &Hir) -> Option<Dissector> {
        let mut out = Dissector { pieces: vec![], root: 0 };
        (out.root, _) = out.piece(hir)?;
        Some(out)
    }

    fn add(&mut self, hir: Hir, kind: Kind, greedy: Option<bool>) -> Option<usize> {
        let shortest = greedy == Some(false);
        self.pieces.push(Piece { hir, kind, shortest, machine: OnceCell::new() });
        (self.pieces.len() <= MAX_PIECES).then(|| self.pieces.len() - 1)
    }

    fn piece(&mut self, hir: &Hir) -> Option<(usize, Traits)> {
        let (kind, traits) = match hir.kind() {
            HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {
                (Kind::Leaf, Traits::default())
            }
            HirKind::Capture(group) => {
                let (inner, traits) = self.piece(&group.sub)?;
                (Kind::Group(group.index as usize, inner), Traits { groups: true, ..traits })
            }
            HirKind::Alternation(branches) => {
                let mut traits = Traits { greedy: Some(true), ..Traits::default() };
                let mut pieces = vec![];
                for branch in branches {
                    let (piece, of) = self.piece(branch)?;
                    pieces.push(piece);
                    traits = traits.then(of);
                }
                (if traits.groups { Kind::Alternatives(pieces) } else { Kind::Leaf }, traits)
            }
            HirKind::Repetition(repetition) => return self.repetition(hir, repetition),
            HirKind::Concat(parts) => return self.sequence(parts),
        };
        Some((self.add(hir.clone(), kind, traits.greedy)?, traits))
    }

    fn repetition(&mut self, hir: &Hir, r: &Repetition) -> Option<(usize, Traits)> {
        let (inner, of) = self.piece(&r.sub)?;
        let own = if r.max == Some(r.min) { None } else { Some(r.greedy) };
        let traits = Traits { greedy: own, ..Traits::default() }.then(of);
        if !of.groups {
            return Some((self.add(hir.clone(), Kind::Leaf, traits.greedy)?, traits));
        }
        if r.min == 0 {
            return Some((self.add(hir.clone(), Kind::Repeated(inner, r.max), traits.greedy)?, traits));
        }
        // Groups hold what the last turn matched, which is all that has to be known of the turns.
        let (min, max) = (r.min - 1, r.max.map(|max| max - 1));
        let before = Hir::repetition(Repetition { min, max, ..r.clone() });
        let before = self.add(before, Kind::Leaf, traits.greedy)?;
        Some((self.add(hir.clone(), Kind::Sequence(before, inner), traits.greedy)?, traits))
    }

    /// Parts without groups and of one preference are taken together until one comes that is not so.
    fn sequence(&mut self, parts: &[Hir]) -> Option<(usize, Traits)> {
        let mut taken = Traits::default();
        let mut count = 0;
        let mut inner = None;
        for part in parts {
            let (piece, of) = self.piece(part)?;
            if taken.then(of).is_inner() {
                inner = Some((piece, of));
                break;
            }
            taken = taken.then(of);
            count += 1;
        }
        let together = |parts: &[Hir]| Hir::concat(parts.to_vec());
        let Some((mut piece, mut traits)) = inner else {
            return Some((self.add(together(parts), Kind::Leaf, taken.greedy)?, taken));
        };
        if count + 1 < parts.len() {
            let (rest, of) = self.sequence(&parts[count + 1..])?;
            traits = traits.then(of);
            piece = self.add(together(&parts[count..]), Kind::Sequence(piece, rest), traits.greedy)?;
        }
        if count > 0 {
            let before = self.add(together(&parts[..count]), Kind::Leaf, taken.greedy)?;
            traits = taken.then(traits);
            piece = self.add(together(parts), Kind::Sequence(before, piece), traits.greedy)?;
        }
        Some((piece, traits))
    }

    /// Fills in the groups of the match of `s` from `start` to `end`; false when that took too many steps.
    pub(super) fn groups(&self, s: &str, (start, end): (usize, usize), groups: &mut Groups) -> bool {
        let mut walk = Walk { of: self, s, steps: MAX_STEPS };
        groups.iter_mut().skip(1).for_each(|g| *g = None);
        walk.dissect(self.root, start, end, groups).is_some()
    }
}

impl Piece {
    fn machine(&self) -> Option<&(DFA, RefCell<Cache>)> {
        let made = self.machine.get_or_init(|| {
            let program = thompson::Compiler::new()
                .configure(thompson::Config::new().nfa_size_limit(Some(MAX_SIZE)))
                .build_from_hir(&self.hir)
                .ok()?;
            let config = DFA::config()
                .match_kind(MatchKind::All)
                .unicode_word_boundary(true)
                .cache_capacity(CACHE_BYTES)
                .skip_cache_capacity_check(true);
            let dfa = DFA::builder().configure(config).build_from_nfa(program).ok()?;
            let cache = RefCell::new(dfa.create_cache());
            Some((dfa, cache))
        });
        made.as_ref()
    }
}

/// One match being taken apart.
struct Walk<'w> {
    of: &'w Dissector,
    s: &'w str,
    steps: usize,
}

impl<'w> Walk<'w> {
    fn step(&mut self) -> Option<()> {
        self.steps = self.steps.checked_sub(1)?;
        Some(())
    }

    fn input(&self, start: usize, end: usize) -> Input<'w> {
        Input::new(self.s).range(start..end).anchored(Anchored::Yes)
    }

    /// Whether a piece matches all of that range; `None` when it cannot be told.
    fn matches(&mut self, piece: usize, start: usize, end: usize) -> Option<bool> {
        self.step()?;
        let (dfa, cache) = self.of.pieces[piece].machine()?;
        let found = dfa.try_search_fwd(&mut cache.borrow_mut(), &self.input(start, end)).ok()?;
        Some(found.is_some_and(|m| m.offset() == end))
    }

    /// Where matches of a piece may end, in the order in which they are tried.
    fn ends(&mut self, piece: usize, start: usize, end: usize) -> Option<Vec<usize>> {
        let piece = &self.of.pieces[piece];
        let (dfa, cache) = piece.machine()?;
        let (input, mut state, mut out) = (self.input(start, end), OverlappingState::start(), vec![]);
        loop {
            self.step()?;
            dfa.try_search_overlapping_fwd(&mut cache.borrow_mut(), &input, &mut state).ok()?;
            let Some(found) = state.get_match() else { break };
            if self.s.is_char_boundary(found.offset()) {
                out.push(found.offset());
            }
        }
        if !piece.shortest {
            out.reverse();
        }
        Some(out)
    }

    fn dissect(&mut self, piece: usize, start: usize, end: usize, groups: &mut Groups) -> Option<()> {
        let of = self.of;
        match &of.pieces[piece].kind {
            Kind::Leaf => Some(()),
            Kind::Group(index, inner) => {
                *groups.get_mut(*index)? = Some((start, end));
                self.dissect(*inner, start, end, groups)
            }
            Kind::Alternatives(branches) => {
                for branch in branches {
                    if self.matches(*branch, start, end)? {
                        return self.dissect(*branch, start, end, groups);
                    }
                }
                None
            }
            Kind::Sequence(left, right) => {
                for middle in self.ends(*left, start, end)? {
                    if self.matches(*right, middle, end)? {
                        self.dissect(*left, start, middle, groups)?;
                        return self.dissect(*right, middle, end, groups);
                    }
                }
                None
            }
            Kind::Repeated(inner, _) if start == end => {
                // One turn that matches nothing is preferred to none.
                if self.matches(*inner, start, end)? {
                    self.dissect(*inner, start, end, groups)
                } else {
                    Some(())
                }
            }
            Kind::Repeated(inner, max) => {
                let max = max.map_or(usize::MAX, |max| max as usize);
                let last = self.last_turn(*inner, (start, end), max, &mut HashSet::new())??;
                self.dissect(*inner, last, end, groups)
            }
        }
    }

    /// Where the last of at most `left` turns begins, the turns making up the range; the inner `None` when they cannot.
    fn last_turn(
        &mut self,
        inner: usize,
        (start, end): (usize, usize),
        left: usize,
        dead: &mut HashSet<(usize, usize)>,
    ) -> Option<Option<usize>> {
        if left == 0 || dead.contains(&(start, left)) {
            return Some(None);
        }
        for at in self.ends(inner, start, end)? {
            if at == end {
                return Some(Some(start));
            }
            // A turn that matches nothing brings no nearer.
            if at > start {
                let next = left.saturating_sub(usize::from(left != usize::MAX));
                let found =
                    stacker::maybe_grow(32 << 10, 1 << 20, || self.last_turn(inner, (at, end), next, dead));
                if let Some(last) = found? {
                    return Some(Some(last));
                }
            }
        }
        dead.insert((start, left));
        Some(None)
    }
}
