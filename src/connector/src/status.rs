//! Statuses: what has been told, so that only changes are.

use std::collections::{BTreeMap, BTreeSet};

use hw_base::clock::NowFn;
use hw_protocol::{Response, SourceStatus, SourceStatusUpdate};
use hw_repr::GlobalId;
use tokio::sync::mpsc;

/// What a collection's status is, and why.
type Told = (SourceStatus, Option<String>, Option<String>);

/// The statuses of a source, its progress subsource and its exports. Pure; gives the changes to be told.
#[derive(Debug)]
pub(crate) struct StatusBook {
    ids: Vec<GlobalId>,
    /// Those with a definite error: they stay failed.
    failed: BTreeSet<GlobalId>,
    told: BTreeMap<GlobalId, Told>,
}

impl StatusBook {
    pub(crate) fn new(ids: Vec<GlobalId>) -> Self {
        StatusBook { ids, failed: BTreeSet::new(), told: BTreeMap::new() }
    }

    /// A status for all that have not failed.
    pub(crate) fn all(
        &mut self,
        status: SourceStatus,
        error: Option<&str>,
        hint: Option<&str>,
    ) -> Vec<(GlobalId, Told)> {
        let told: Told = (status, error.map(str::to_owned), hint.map(str::to_owned));
        let open: Vec<GlobalId> = self.ids.iter().filter(|id| !self.failed.contains(id)).copied().collect();
        open.into_iter().filter_map(|id| self.change(id, told.clone())).collect()
    }

    /// One collection has failed for good.
    pub(crate) fn failed(&mut self, id: GlobalId, error: &str, hint: Option<&str>) -> Vec<(GlobalId, Told)> {
        self.failed.insert(id);
        let told = (SourceStatus::Failed, Some(error.to_owned()), hint.map(str::to_owned));
        self.change(id, told).into_iter().collect()
    }

    fn change(&mut self, id: GlobalId, told: Told) -> Option<(GlobalId, Told)> {
        if self.told.get(&id) == Some(&told) {
            return None;
        }
        self.told.insert(id, told.clone());
        Some((id, told))
    }
}

/// Tells statuses as they change.
#[derive(Debug)]
pub(crate) struct StatusReporter {
    book: StatusBook,
    now: NowFn,
    responses: mpsc::Sender<Response>,
}

impl StatusReporter {
    pub(crate) fn new(ids: Vec<GlobalId>, now: NowFn, responses: mpsc::Sender<Response>) -> Self {
        StatusReporter { book: StatusBook::new(ids), now, responses }
    }

    pub(crate) async fn all(&mut self, status: SourceStatus, error: Option<&str>, hint: Option<&str>) {
        let changes = self.book.all(status, error, hint);
        self.tell(changes).await;
    }

    pub(crate) async fn failed(&mut self, id: GlobalId, error: &str, hint: Option<&str>) {
        let changes = self.book.failed(id, error, hint);
        self.tell(changes).await;
    }

    async fn tell(&self, changes: Vec<(GlobalId, Told)>) {
        for (id, (status, error, hint)) in changes {
            let update = SourceStatusUpdate { id, status, error, hint, occurred_at_ms: self.now.now_ms() };
            // Nobody listens any more when the process is stopping.
            let _ = self.responses.send(Response::SourceStatus(update)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_told_and_failed_stays() {
        let (source, a, b) = (GlobalId::User(1), GlobalId::User(2), GlobalId::User(3));
        let mut book = StatusBook::new(vec![source, a, b]);
        assert_eq!(book.all(SourceStatus::Starting, None, None).len(), 3);
        assert_eq!(book.all(SourceStatus::Starting, None, None).len(), 0);
        assert_eq!(book.all(SourceStatus::Running, None, None).len(), 3);
        assert_eq!(book.failed(a, "truncated", None).len(), 1);
        assert_eq!(book.failed(a, "truncated", None).len(), 0);
        assert_eq!(book.all(SourceStatus::Stalled, Some("gone"), None).len(), 2);
        assert_eq!(book.all(SourceStatus::Stalled, Some("still gone"), None).len(), 2);
        let back: Vec<_> =
            book.all(SourceStatus::Running, None, None).into_iter().map(|(id, _)| id).collect();
        assert_eq!(back, [source, b]);
    }
}
