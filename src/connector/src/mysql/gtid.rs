//! Sets of global transaction identifiers (MySQL manual, 19.1.3.1).
//!
//! A GTID is a server's UUID, an optional tag, and a number from 1. A set is kept as sorted, disjoint, non-adjacent
//! intervals for each UUID and tag, so that equal sets are equal values. Its text is the manual's:
//! `uuid:1-5:8:tag:1-3,uuid:7`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use mysql_async::{GnoInterval, Sid};
use uuid::Uuid;

/// One transaction's identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtid {
    /// The server that executed it first.
    pub uuid: Uuid,
    /// Its tag; empty when it has none.
    pub tag: String,
    /// Its number, at least 1.
    pub number: u64,
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag.as_str() {
            "" => write!(f, "{}:{}", self.uuid, self.number),
            tag => write!(f, "{}:{tag}:{}", self.uuid, self.number),
        }
    }
}

/// Sorted, disjoint, non-adjacent intervals `[start, end)`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        // The common case: the next transaction.
        if let Some(last) = self.0.last_mut()
            && last.1 == start
        {
            last.1 = end;
            return;
        }
        let from = self.0.partition_point(|i| i.1 < start);
        let to = self.0.partition_point(|i| i.0 <= end);
        let merged = self.0[from..to].iter().fold((start, end), |m, i| (m.0.min(i.0), m.1.max(i.1)));
        self.0.splice(from..to, [merged]);
    }

    fn contains(&self, n: u64) -> bool {
        let at = self.0.partition_point(|i| i.1 <= n);
        self.0.get(at).is_some_and(|i| i.0 <= n)
    }

    fn contains_all(&self, other: &Intervals) -> bool {
        other.0.iter().all(|o| {
            let at = self.0.partition_point(|i| i.1 <= o.0);
            self.0.get(at).is_some_and(|i| i.0 <= o.0 && o.1 <= i.1)
        })
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|i| i.1 - i.0).sum()
    }
}

/// A set of GTIDs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GtidSet {
    // No empty maps, no empty intervals.
    servers: BTreeMap<Uuid, BTreeMap<String, Intervals>>,
}

/// A text that is no GTID set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid GTID set {0:?}")]
pub struct ParseGtidSetError(String);

impl GtidSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Adds a transaction.
    pub fn insert(&mut self, gtid: &Gtid) {
        let Some(end) = gtid.number.checked_add(1) else { return };
        let tags = self.servers.entry(gtid.uuid).or_default();
        // No allocation of the tag when it is known.
        match tags.get_mut(&gtid.tag) {
            Some(intervals) => intervals.insert(gtid.number, end),
            None => tags.entry(gtid.tag.clone()).or_default().insert(gtid.number, end),
        }
    }

    fn insert_interval(&mut self, uuid: Uuid, tag: &str, start: u64, end: u64) {
        self.servers.entry(uuid).or_default().entry(tag.to_owned()).or_default().insert(start, end);
    }

    /// Whether it has this transaction.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        self.servers.get(&gtid.uuid).and_then(|t| t.get(&gtid.tag)).is_some_and(|i| i.contains(gtid.number))
    }

    /// Whether it has all transactions of `other`.
    pub fn contains_all(&self, other: &GtidSet) -> bool {
        other.servers.iter().all(|(uuid, tags)| {
            self.servers.get(uuid).is_some_and(|own| {
                tags.iter().all(|(tag, intervals)| own.get(tag).is_some_and(|i| i.contains_all(intervals)))
            })
        })
    }

    /// Adds all transactions of `other`.
    pub fn union(&mut self, other: &GtidSet) {
        for (uuid, tags) in &other.servers {
            for (tag, intervals) in tags {
                for (start, end) in &intervals.0 {
                    self.insert_interval(*uuid, tag, *start, *end);
                }
            }
        }
    }

    /// How many transactions there are.
    pub fn count(&self) -> u64 {
        self.servers.values().flat_map(BTreeMap::values).map(Intervals::count).sum()
    }

    /// The part of one server.
    pub fn of_server(&self, uuid: &Uuid) -> GtidSet {
        GtidSet {
            servers: self.servers.get_key_value(uuid).map(|(u, t)| (*u, t.clone())).into_iter().collect(),
        }
    }

    /// The servers in the order of their UUIDs.
    pub fn servers(&self) -> impl Iterator<Item = &Uuid> {
        self.servers.keys()
    }

    /// One more than the greatest number that a server has, over its tags; 1 when it has none.
    pub fn next_number(&self, uuid: &Uuid) -> u64 {
        let tags = self.servers.get(uuid).into_iter().flat_map(BTreeMap::values);
        tags.filter_map(|i| i.0.last()).map(|i| i.1).max().unwrap_or(1)
    }

    /// The set as `COM_BINLOG_DUMP_GTID` takes it.
    pub fn to_sids(&self) -> Vec<Sid<'static>> {
        let mut sids = Vec::new();
        for (uuid, tags) in &self.servers {
            for (tag, intervals) in tags {
                let intervals =
                    intervals.0.iter().map(|(start, end)| GnoInterval::new(*start, *end)).collect();
                let sid = Sid::new(*uuid.as_bytes()).with_intervals(intervals);
                match tag.as_str() {
                    "" => sids.push(sid),
                    _ => sids.extend(tag.clone().try_into().ok().map(|tag| sid.with_tag(tag))),
                }
            }
        }
        sids
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (uuid, tags)) in self.servers.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{uuid}")?;
            for (tag, intervals) in tags {
                if !tag.is_empty() {
                    write!(f, ":{tag}")?;
                }
                for (start, end) in &intervals.0 {
                    match end - start {
                        1 => write!(f, ":{start}")?,
                        _ => write!(f, ":{start}-{}", end - 1)?,
                    }
                }
            }
        }
        Ok(())
    }
}

impl FromStr for GtidSet {
    type Err = ParseGtidSetError;

    fn from_str(s: &str) -> Result<Self, ParseGtidSetError> {
        let mut set = GtidSet::new();
        for part in s.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            parse_server(part, &mut set).ok_or_else(|| ParseGtidSetError(part.to_owned()))?;
        }
        Ok(set)
    }
}

fn parse_server(part: &str, set: &mut GtidSet) -> Option<()> {
    let mut pieces = part.split(':').map(str::trim);
    let uuid = Uuid::parse_str(pieces.next()?).ok()?;
    let mut tag = String::new();
    for piece in pieces {
        if piece.starts_with(|c: char| c.is_ascii_digit()) {
            let (start, end) = piece.split_once('-').unwrap_or((piece, piece));
            let (start, end): (u64, u64) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
            if start == 0 || end < start {
                return None;
            }
            set.insert_interval(uuid, &tag, start, end.checked_add(1)?);
        } else {
            let mut chars = piece.chars();
            let first_ok = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
            if !first_ok || piece.len() > 32 || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return None;
            }
            tag = piece.to_ascii_lowercase();
        }
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const A: &str = "00000000-0000-0000-0000-00000000000a";
    const B: &str = "00000000-0000-0000-0000-00000000000b";

    fn set(s: &str) -> GtidSet {
        s.parse().unwrap()
    }

    #[test]
    fn text_round_trips_and_is_canonical() {
        let cases = [
            (String::new(), String::new()),
            (format!("{A}:1-5"), format!("{A}:1-5")),
            (format!("{A}:3:1-2:5"), format!("{A}:1-3:5")),
            (format!("{A}:1-5:3-9,\n{B}:7"), format!("{A}:1-9,{B}:7")),
            (format!("{A}:1-5:Tag:1-3:8"), format!("{A}:1-5:tag:1-3:8")),
            (format!("{A}:tag:1:2,{A}:4"), format!("{A}:4:tag:1-2")),
        ];
        for (text, canonical) in cases {
            assert_eq!(set(&text).to_string(), canonical);
            assert_eq!(set(&canonical), set(&text));
        }
        for bad in
            ["x", "x:1", &format!("{A}:0"), &format!("{A}:5-3"), &format!("{A}:1-"), &format!("{A}:-:1")]
        {
            assert!(bad.parse::<GtidSet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn arithmetic() {
        let mut s = set(&format!("{A}:1-3:7"));
        let gtid = |n| Gtid { uuid: A.parse().unwrap(), tag: String::new(), number: n };
        assert!(
            s.contains(&gtid(3)) && !s.contains(&gtid(4)) && s.contains(&gtid(7)) && !s.contains(&gtid(8))
        );
        assert_eq!(
            (s.count(), s.next_number(&A.parse().unwrap()), s.next_number(&B.parse().unwrap())),
            (4, 8, 1)
        );
        s.insert(&gtid(5));
        assert_eq!(s.to_string(), format!("{A}:1-3:5:7"));
        s.insert(&gtid(6));
        s.insert(&gtid(4));
        assert_eq!(s.to_string(), format!("{A}:1-7"));
        assert!(s.contains_all(&set(&format!("{A}:2-4:6"))));
        assert!(!s.contains_all(&set(&format!("{A}:2-8"))));
        assert!(!s.contains_all(&set(&format!("{B}:1"))));
        assert!(!s.contains_all(&set(&format!("{A}:t:1"))));
        s.union(&set(&format!("{A}:t:1,{B}:2-3")));
        assert_eq!(s.to_string(), format!("{A}:1-7:t:1,{B}:2-3"));
        assert_eq!(s.of_server(&B.parse().unwrap()).to_string(), format!("{B}:2-3"));
    }

    #[test]
    fn random_inserts_agree_with_a_model() {
        use rand::{Rng, SeedableRng};
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let (mut s, mut model) = (Intervals::default(), std::collections::BTreeSet::new());
        for _ in 0..2000 {
            let start = rng.random_range(1..400u64);
            let end = start + rng.random_range(0..4);
            s.insert(start, end);
            model.extend(start..end);
            assert_eq!(s.count(), model.len() as u64);
            assert!(s.0.windows(2).all(|w| w[0].1 < w[1].0));
        }
        assert!((0..410).all(|n| s.contains(n) == model.contains(&n)));
    }
}
