//! Positions as rows: the progress subsource.
//!
//! Its columns, of which the first three divide all server UUIDs into ranges:
//!
//! ```text
//! source_id_lower  uuid   the first server UUID that the row is about
//! source_id_upper  uuid   the last one
//! transaction_id   uint8  for a single server the next transaction to come; 0 for a range of servers of which
//!                         nothing has been seen
//! details          jsonb  {"gtid_set": "…"}: for a single server exactly what has been ingested, with holes and tags
//! ```
//!
//! The position is the union of all `gtid_set`s. A table with a definite error has a row
//! `(NULL, NULL, NULL, {"failed": "u12", "error": "…"})`, so that a restart knows it without reading the table.
//! A source that has never committed a position has no rows; the empty position is one row for all servers.

use std::collections::BTreeMap;

use hw_repr::adt::jsonb;
use hw_repr::{Datum, GlobalId, RelationDesc, Row, ScalarType};
use serde_json::{Value, json};
use uuid::Uuid;

use super::gtid::GtidSet;

/// What the progress subsource holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// What has been ingested; `None` before the first commit.
    pub position: Option<GtidSet>,
    /// Tables with a definite error (or the source itself, when it has failed as a whole), and the error.
    pub failed: BTreeMap<GlobalId, String>,
}

/// The columns of the progress subsource.
pub fn progress_desc() -> RelationDesc {
    RelationDesc::empty()
        .with_column("source_id_lower", ScalarType::Uuid.nullable(true))
        .with_column("source_id_upper", ScalarType::Uuid.nullable(true))
        .with_column("transaction_id", ScalarType::UInt64.nullable(true))
        .with_column("details", ScalarType::Jsonb.nullable(true))
}

impl Progress {
    /// The rows.
    pub fn to_rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Some(position) = &self.position {
            let mut gap_from = Some(0u128);
            for uuid in position.servers() {
                let at = uuid.as_u128();
                if let Some(from) = gap_from.filter(|from| *from < at) {
                    rows.push(range_row(from, at - 1, 0, None));
                }
                let details = json!({ "gtid_set": position.of_server(uuid).to_string() });
                rows.push(range_row(at, at, position.next_number(uuid), Some(&details)));
                gap_from = at.checked_add(1);
            }
            if let Some(from) = gap_from {
                rows.push(range_row(from, u128::MAX, 0, None));
            }
        }
        for (id, error) in &self.failed {
            let mut row = Row::default();
            let mut packer = row.packer();
            packer.extend([Datum::Null, Datum::Null, Datum::Null]);
            // A NUL has no place in jsonb.
            push_json(
                &json!({ "failed": id.to_string(), "error": error.replace('\0', "\u{fffd}") }),
                &mut packer,
            );
            rows.push(row);
        }
        rows
    }

    /// Reads rows back. `None` when they are no progress.
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Option<Progress> {
        let mut progress = Progress::default();
        for row in rows {
            let datums = row.unpack();
            let [lower, _, _, details] = datums.as_slice() else { return None };
            let details = match details {
                Datum::Map(m) => Some(*m),
                _ => None,
            };
            let text = |key| match details.and_then(|d| d.get(key)) {
                Some(Datum::String(s)) => Some(s),
                _ => None,
            };
            match lower {
                Datum::Null => {
                    progress.failed.insert(text("failed")?.parse().ok()?, text("error")?.to_owned());
                }
                _ => {
                    let position = progress.position.get_or_insert_default();
                    if let Some(set) = text("gtid_set") {
                        position.union(&set.parse().ok()?);
                    }
                }
            }
        }
        Some(progress)
    }
}

fn range_row(lower: u128, upper: u128, next: u64, details: Option<&Value>) -> Row {
    let mut row = Row::default();
    let mut packer = row.packer();
    packer.push(Datum::Uuid(Uuid::from_u128(lower)));
    packer.push(Datum::Uuid(Uuid::from_u128(upper)));
    packer.push(Datum::UInt64(next));
    match details {
        Some(details) => push_json(details, &mut packer),
        None => packer.push(Datum::Null),
    }
    row
}

fn push_json(value: &Value, packer: &mut hw_repr::RowPacker<'_>) {
    jsonb::pack(value, packer).expect("strings without NUL can be kept");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let a = "00000000-0000-0000-0000-000000000000";
        let b = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let f = "ffffffff-ffff-ffff-ffff-ffffffffffff";
        for set in ["".into(), format!("{b}:1-5:9:x:3"), format!("{a}:1,{b}:2-3,{f}:7-8:t:1")] {
            let mut p = Progress { position: Some(set.parse().unwrap()), failed: BTreeMap::new() };
            assert_eq!(Progress::from_rows(&p.to_rows()), Some(p.clone()));
            p.failed.insert(GlobalId::User(7), "table was truncated\0".into());
            let back = Progress::from_rows(&p.to_rows()).unwrap();
            assert_eq!((back.position, back.failed.len()), (p.position, 1));
        }
        assert_eq!(Progress::from_rows(&[]), Some(Progress::default()));
        let p = Progress { position: Some(format!("{b}:1-5:9").parse().unwrap()), failed: BTreeMap::new() };
        let rows = p.to_rows();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1].unpack()[2], Datum::UInt64(10));
    }
}
