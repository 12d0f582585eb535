//! Reconciliation: which dataflows survive a new connection.
//!
//! A dataflow goes on if the new connection asks for the same: the same description but for `as_of`, and its exports can still
//! be read at the new `as_of`. Subscribes never do, since what was sent of them went to the old connection; nor does a
//! dataflow that reads an index of one that does not go on. The decision depends on commands alone, so that all
//! workers decide alike.

use std::collections::BTreeSet;

use hw_plan::{DataflowDescription, ExportKind};
use hw_repr::{GlobalId, Timestamp};

/// A dataflow that runs.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    pub(crate) description: &'a DataflowDescription,
    /// The earliest time at which all exports can be read.
    pub(crate) since: Timestamp,
    /// Whether none of its exports has been dropped.
    pub(crate) whole: bool,
}

/// For each wanted dataflow, in order: the position of the running one that goes on in its stead.
pub(crate) fn reconcile(running: &[Running<'_>], wanted: &[&DataflowDescription]) -> Vec<Option<usize>> {
    let mut kept_exports: BTreeSet<GlobalId> = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let mut out = Vec::with_capacity(wanted.len());
    for want in wanted {
        let inputs_go_on = want.index_imports.keys().all(|id| kept_exports.contains(id));
        let position = running.iter().enumerate().position(|(i, run)| {
            inputs_go_on
                && !taken.contains(&i)
                && run.whole
                && run.since <= want.as_of
                && same(run.description, want)
        });
        if let Some(i) = position {
            taken.insert(i);
            kept_exports.extend(want.export_ids());
        }
        out.push(position);
    }
    out
}

fn same(a: &DataflowDescription, b: &DataflowDescription) -> bool {
    let subscribes = a.exports.values().any(|e| matches!(e.kind, ExportKind::Subscribe { .. }));
    !subscribes
        && a.source_imports == b.source_imports
        && a.index_imports == b.index_imports
        && a.objects == b.objects
        && a.exports == b.exports
        && a.until == b.until
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hw_plan::{DataflowExport, IndexImport};
    use hw_repr::{RelationDesc, RelationType};

    use super::*;

    fn index(id: u64, import: Option<u64>, as_of: Timestamp) -> DataflowDescription {
        let mut d = DataflowDescription::new(format!("d{id}"));
        let export = DataflowExport {
            on_id: GlobalId::User(100 + id),
            desc: RelationDesc::empty(),
            kind: ExportKind::Index { key: vec![] },
        };
        d.exports = BTreeMap::from([(GlobalId::User(id), export)]);
        d.index_imports.extend(import.map(|i| {
            let import = IndexImport {
                on_id: GlobalId::User(100 + i),
                key: vec![],
                typ: RelationType::default(),
                monotonic: false,
            };
            (GlobalId::User(i), import)
        }));
        d.as_of = as_of;
        d
    }

    #[test]
    fn what_is_the_same_goes_on_unless_its_input_does_not() {
        let (a, b, c) = (index(1, None, 5), index(2, Some(1), 5), index(3, None, 5));
        let run = |d, since| Running { description: d, since, whole: true };
        let running = [run(&a, 8), run(&b, 5), run(&c, 5)];
        let (wa, wb, wc) = (index(1, None, 8), index(2, Some(1), 8), index(3, None, 8));
        assert_eq!(reconcile(&running, &[&wa, &wb, &wc]), vec![Some(0), Some(1), Some(2)]);
        let wa = index(1, None, 7);
        assert_eq!(reconcile(&running, &[&wa, &wb, &wc]), vec![None, None, Some(2)]);
    }
}
