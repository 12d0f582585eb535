//! Compiled expressions.
//!
//! Most run on the `regex` crate, in linear time. Where it matters, the end of the match that PostgreSQL prefers is found
//! with an automaton that sees all ends. Back references and look-around need backtracking, whose steps are limited.

use std::cell::RefCell;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::dissect::Dissector;
use super::translate::{Options, Translated, translate};
use crate::error::EvalError;

/// Steps of backtracking after which a match is given up.
const MAX_BACKTRACKING: usize = 1_000_000;
/// Bytes that a compiled expression may take.
const MAX_SIZE: usize = 1 << 22;

/// The byte ranges of a match and of its groups.
pub(crate) type Groups = Vec<Option<(usize, usize)>>;

/// A compiled expression.
pub(crate) struct Regex {
    engine: Engine,
    groups: usize,
}

enum Engine {
    Plain { regex: regex::Regex, ends: Option<Box<Ends>> },
    Backtracking(Box<fancy_regex::Regex>),
}

/// Finds the longest (or shortest) match from a place.
struct Ends {
    dfa: DFA,
    cache: RefCell<Cache>,
    shortest: bool,
    /// What takes a match apart into groups, if there are any and it is not too large.
    dissector: Option<Dissector>,
}

fn too_complex() -> EvalError {
    EvalError::new("2201B", "regular expression failed: regular expression is too complex")
}

impl Regex {
    /// Compiles PostgreSQL's syntax.
    pub(super) fn new(pattern: &str, o: Options) -> Result<Regex, EvalError> {
        let t = if o.literal {
            Translated { text: regex::escape(pattern), ..Translated::default() }
        } else {
            translate(pattern, o)?
        };
        let engine = if t.fancy { backtracking(&t, o)? } else { plain(&t, o)? };
        let groups = match &engine {
            Engine::Plain { regex, .. } => regex.captures_len(),
            Engine::Backtracking(regex) => regex.captures_len(),
        };
        Ok(Regex { engine, groups })
    }

    /// Whether there is a match anywhere.
    ///
    /// # Errors
    /// When it takes too many steps.
    pub(crate) fn is_match(&self, s: &str) -> Result<bool, EvalError> {
        match &self.engine {
            Engine::Plain { regex, .. } => Ok(regex.is_match(s)),
            Engine::Backtracking(regex) => regex.is_match(s).map_err(|_| too_complex()),
        }
    }

    /// The first match that starts at a byte position or later.
    ///
    /// # Errors
    /// When it takes too many steps.
    pub(crate) fn find_at(&self, s: &str, at: usize) -> Result<Option<(usize, usize)>, EvalError> {
        match &self.engine {
            Engine::Plain { regex, ends: None } => Ok(regex.find_at(s, at).map(|m| (m.start(), m.end()))),
            Engine::Plain { regex, ends: Some(ends) } => {
                let Some(m) = regex.find_at(s, at) else { return Ok(None) };
                Ok(Some((m.start(), ends.of(s, m.start()).unwrap_or(m.end()))))
            }
            Engine::Backtracking(regex) => {
                let found = regex.find_from_pos(s, at).map_err(|_| too_complex())?;
                Ok(found.map(|m| (m.start(), m.end())))
            }
        }
    }

    /// As [`Regex::find_at`], with the groups.
    ///
    /// # Errors
    /// When it takes too many steps.
    pub(crate) fn captures_at(&self, s: &str, at: usize) -> Result<Option<Groups>, EvalError> {
        match &self.engine {
            Engine::Plain { regex, ends } => {
                let Some(c) = regex.captures_at(s, at) else { return Ok(None) };
                let first = groups_of(&c);
                let (Some(ends), Some(Some((start, end)))) = (ends, first.first()) else {
                    return Ok(Some(first));
                };
                let (start, end) = (*start, ends.of(s, *start).unwrap_or(*end));
                Ok(Some(ends.groups(s, (start, end), first)))
            }
            Engine::Backtracking(regex) => {
                let found = regex.captures_from_pos(s, at).map_err(|_| too_complex())?;
                let range = |m: fancy_regex::Match<'_>| (m.start(), m.end());
                Ok(found.map(|c| (0..self.groups).map(|g| c.get(g).map(range)).collect()))
            }
        }
    }

    /// The matches one after the other as PostgreSQL finds them: after an empty one the search goes on a character
    /// further.
    ///
    /// # Errors
    /// When it takes too many steps.
    pub(crate) fn for_each(
        &self,
        s: &str,
        from: usize,
        mut f: impl FnMut(Groups) -> bool,
    ) -> Result<(), EvalError> {
        let mut at = from;
        while at <= s.len() {
            let found = if self.groups == 1 {
                self.find_at(s, at)?.map(|m| vec![Some(m)])
            } else {
                self.captures_at(s, at)?
            };
            let Some(groups) = found else { break };
            let (start, end) = groups.first().copied().flatten().unwrap_or((at, at));
            if !f(groups) {
                break;
            }
            let step = s[end..].chars().next().map_or(1, char::len_utf8);
            at = if start == end { end + step } else { end };
        }
        Ok(())
    }
}

impl Ends {
    /// Where the preferred match from that place ends; `None` where the automaton cannot tell.
    fn of(&self, s: &str, start: usize) -> Option<usize> {
        let input = Input::new(s).range(start..).anchored(Anchored::Yes).earliest(self.shortest);
        let found = self.dfa.try_search_fwd(&mut self.cache.borrow_mut(), &input);
        found.ok().flatten().map(|m| m.offset()).filter(|end| s.is_char_boundary(*end))
    }

    /// The groups of the match of that range, or else those of the engine's choice.
    fn groups(&self, s: &str, range: (usize, usize), mut first: Groups) -> Groups {
        let mut groups = first.clone();
        if self.dissector.as_ref().is_some_and(|d| d.groups(s, range, &mut groups)) {
            first = groups;
        }
        first[0] = Some(range);
        first
    }
}

fn groups_of(c: &regex::Captures<'_>) -> Groups {
    c.iter().map(|g| g.map(|m| (m.start(), m.end()))).collect()
}

fn plain(t: &Translated, o: Options) -> Result<Engine, EvalError> {
    let regex = regex::RegexBuilder::new(&t.text)
        .case_insensitive(o.ignore_case)
        .dot_matches_new_line(!o.dot_stops)
        .size_limit(MAX_SIZE)
        .build()
        .map_err(|e| match e {
            regex::Error::CompiledTooBig(_) => refused("regular expression is too complex"),
            _ => refused("invalid escape \\ sequence"),
        })?;
    if !t.ambiguous {
        return Ok(Engine::Plain { regex, ends: None });
    }
    let syntax = syntax::Config::new().case_insensitive(o.ignore_case).dot_matches_new_line(!o.dot_stops);
    let Ok(hir) = syntax::parse_with(&t.text, &syntax) else {
        return Ok(Engine::Plain { regex, ends: None });
    };
    let program = thompson::Compiler::new()
        .configure(thompson::Config::new().nfa_size_limit(Some(MAX_SIZE)))
        .build_from_hir(&hir);
    let config =
        DFA::config().match_kind(MatchKind::All).unicode_word_boundary(true).skip_cache_capacity_check(true);
    let dfa = program.ok().and_then(|p| DFA::builder().configure(config).build_from_nfa(p).ok());
    // Where there is no automaton, as it would be too large, the first choice has to do.
    let ends = dfa.map(|dfa| {
        let cache = RefCell::new(dfa.create_cache());
        let dissector = if regex.captures_len() > 1 { Dissector::new(&hir) } else { None };
        Box::new(Ends { dfa, cache, shortest: t.shortest, dissector })
    });
    Ok(Engine::Plain { regex, ends })
}

fn backtracking(t: &Translated, o: Options) -> Result<Engine, EvalError> {
    let regex = fancy_regex::RegexBuilder::new(&t.text)
        .case_insensitive(o.ignore_case)
        .dot_matches_new_line(!o.dot_stops)
        .leftmost_longest(t.ambiguous && !t.shortest)
        .backtrack_limit(MAX_BACKTRACKING)
        .delegate_size_limit(MAX_SIZE)
        .build();
    match regex {
        Ok(regex) => Ok(Engine::Backtracking(Box::new(regex))),
        Err(_) => Err(refused("regular expression is too complex")),
    }
}

fn refused(reason: &str) -> EvalError {
    EvalError::new("2201B", format!("invalid regular expression: {reason}"))
}
