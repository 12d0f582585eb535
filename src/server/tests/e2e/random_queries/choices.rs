//! The choices behind a generated query, as a tape that can be replayed and made smaller.
//!
//! The generator asks for every choice here. Fresh choices come from a seeded generator of random numbers and are
//! written on the tape; a replay reads them from the tape and answers 0, the simplest choice, past its end. So any
//! tape denotes a well-typed query, and a smaller tape a simpler one: [`smaller`] proposes tapes in which a part of the
//! query is left out or simplified (the method of Hypothesis: MacIver and Donaldson, "Test-Case Reduction via Test-Case
//! Generation", ECOOP 2020).

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Past this many choices every choice is the simplest one, which ends any query soon.
const MAX_CHOICES: usize = 3000;

/// A source of choices that remembers them.
#[derive(Debug)]
pub(crate) struct Choices {
    tape: Vec<u32>,
    at: usize,
    rng: Option<StdRng>,
    /// Parts of the tape that belong together: the choices of one expression, one clause, one query.
    spans: Vec<(usize, usize)>,
    open: Vec<usize>,
}

impl Choices {
    /// Fresh choices.
    pub(crate) fn random(seed: u64) -> Choices {
        let rng = Some(StdRng::seed_from_u64(seed));
        Choices { tape: vec![], at: 0, rng, spans: vec![], open: vec![] }
    }

    /// The choices of a tape.
    pub(crate) fn replay(tape: &[u32]) -> Choices {
        Choices { tape: tape.to_vec(), at: 0, rng: None, spans: vec![], open: vec![] }
    }

    fn draw(&mut self, fresh: impl FnOnce(&mut StdRng) -> usize) -> usize {
        let value = match &mut self.rng {
            Some(_) if self.at >= MAX_CHOICES => 0,
            Some(rng) => fresh(rng),
            None => self.tape.get(self.at).map_or(0, |v| *v as usize),
        };
        if self.rng.is_some() {
            self.tape.push(u32::try_from(value).expect("choices are small"));
        }
        self.at += 1;
        value
    }

    /// A number below `n`; 0 is the simplest.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.draw(|rng| rng.random_range(0..n)).min(n - 1)
    }

    /// Yes with this probability; no is the simpler.
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.draw(|rng| usize::from(rng.random_range(0..100) < percent)) != 0
    }

    /// A place in the list, as often as its weight says; the first is the simplest.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        let chosen = self.draw(|rng| {
            let mut left = rng.random_range(0..weights.iter().sum());
            weights
                .iter()
                .position(|w| {
                    left < *w || {
                        left -= w;
                        false
                    }
                })
                .unwrap_or(0)
        });
        // A place of weight 0 may not be chosen by a replay either.
        if weights.get(chosen).is_some_and(|w| *w > 0) {
            chosen
        } else {
            weights.iter().position(|w| *w > 0).unwrap_or(0)
        }
    }

    /// One of these; the first is the simplest.
    pub(crate) fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Begins a part that can be left out or simplified as a whole.
    pub(crate) fn open(&mut self) {
        self.open.push(self.at);
    }

    /// Ends the part that was begun last.
    pub(crate) fn close(&mut self) {
        if let Some(start) = self.open.pop()
            && self.at > start
        {
            self.spans.push((start, self.at));
        }
    }

    /// The tape as far as it was used, and its parts, those that hold others after those.
    pub(crate) fn end(mut self) -> (Vec<u32>, Vec<(usize, usize)>) {
        self.tape.resize(self.at, 0);
        (self.tape, self.spans)
    }
}

/// Tapes that are simpler than this one, the greatest leaps first.
pub(crate) fn smaller(tape: &[u32], spans: &[(usize, usize)]) -> Vec<Vec<u32>> {
    let mut spans = spans.to_vec();
    spans.sort_by_key(|(start, end)| (std::cmp::Reverse(end - start), *start));
    spans.dedup();
    let mut out = Vec::new();
    for (start, end) in &spans {
        // Without the part: what follows is then read by the choices that come after.
        out.push([&tape[..*start], &tape[*end..]].concat());
        // The part's simplest form.
        out.push([&tape[..*start], &[0], &tape[*end..]].concat());
        // A part within it in its place.
        for (inner_start, inner_end) in &spans {
            if start < inner_start && inner_end <= end && inner_end - inner_start < end - start {
                out.push([&tape[..*start], &tape[*inner_start..*inner_end], &tape[*end..]].concat());
            }
        }
    }
    for at in (0..tape.len()).filter(|at| tape[*at] != 0) {
        for value in [0, tape[at] / 2, tape[at] - 1] {
            let mut changed = tape.to_vec();
            changed[at] = value;
            out.push(changed);
        }
    }
    out.retain(|t| t.len() < tape.len() || (t.len() == tape.len() && t.as_slice() < tape));
    out
}
