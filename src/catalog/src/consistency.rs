//! What keeps transactions apart that overlap: the ids that their steps take, and the check that what a transaction leaves refers to
//! nothing that is not there.

use std::sync::Arc;

use hw_repr::{ClusterId, DatabaseId, SchemaId};
use hw_sql::catalog::ItemInfo;

use crate::error::CatalogError;
use crate::transaction::Transaction;

/// The numbers that a transaction's steps take for ids and oids. Steps that are carried out again, on what the catalog has become
/// meanwhile, take the same ones: later steps refer to objects by them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    taken: Vec<u64>,
    next: usize,
}

impl Numbers {
    /// The numbers of steps that have been carried out before.
    pub(crate) fn again(taken: Vec<u64>) -> Self {
        Numbers { taken, next: 0 }
    }

    /// All that have been taken.
    pub(crate) fn taken(self) -> Vec<u64> {
        self.taken
    }

    pub(crate) fn take(&mut self, counter: &mut u64) -> u64 {
        if self.next == self.taken.len() {
            *counter += 1;
            self.taken.push(*counter);
        }
        let number = self.taken[self.next];
        self.next += 1;
        number
    }
}

/// What went, as it was.
pub(crate) enum Dropped {
    Item(Arc<ItemInfo>),
    Database(DatabaseId, String),
    Schema(SchemaId, String),
    Cluster(ClusterId, String),
}

fn still_needed(what: &str, name: &str, by: String) -> CatalogError {
    CatalogError::User {
        sqlstate: "2BP01",
        message: format!("cannot drop {what} \"{name}\" because other objects depend on it"),
        detail: Some(by),
        hint: Some("Use DROP ... CASCADE to drop the dependent objects too.".into()),
    }
}

impl Transaction {
    /// Checks that nothing refers to what is not there. Statements see to that when they are planned, but other sessions may have made
    /// or dropped objects since.
    pub(crate) fn check(&self) -> Result<(), CatalogError> {
        let items = &self.state.items;
        for item in self.created.iter().filter_map(|id| items.get(id)) {
            let cluster = item.definition.cluster();
            if item.uses.iter().any(|u| !items.contains_key(u))
                || cluster.is_some_and(|c| !self.state.clusters.contains_key(&c))
            {
                return Err(CatalogError::User {
                    sqlstate: "40001",
                    message: "could not serialize access due to concurrent changes of the catalog".into(),
                    detail: Some(format!("Something that {} refers to has been dropped.", item.name)),
                    hint: Some("Run the transaction again.".into()),
                });
            }
        }
        self.dropped.iter().try_for_each(|d| self.check_dropped(d))
    }

    fn check_dropped(&self, dropped: &Dropped) -> Result<(), CatalogError> {
        let items = &self.state.items;
        let describe = |item: &ItemInfo| format!("{} {}", item.kind(), item.name);
        match dropped {
            Dropped::Item(item) if items.contains_key(&item.id) => Ok(()),
            Dropped::Item(item) => match item.used_by.iter().find_map(|u| items.get(u)) {
                Some(user) => {
                    let detail = format!("{} depends on {}", describe(user), describe(item));
                    Err(still_needed(&item.kind().to_string(), &item.name.item, detail))
                }
                None => Ok(()),
            },
            Dropped::Database(id, name) => {
                match self.state.schemas.values().find(|s| s.database == Some(*id)) {
                    Some(s) => Err(still_needed("database", name, format!("schema {} is in it", s.name))),
                    None => Ok(()),
                }
            }
            Dropped::Schema(id, name) => match items.values().find(|i| i.schema_id == *id) {
                Some(item) => Err(still_needed("schema", name, format!("{} is in it", describe(item)))),
                None => Ok(()),
            },
            Dropped::Cluster(id, name) => {
                match items.values().find(|i| i.definition.cluster() == Some(*id)) {
                    Some(item) => {
                        Err(still_needed("cluster", name, format!("{} runs on it", describe(item))))
                    }
                    None => Ok(()),
                }
            }
        }
    }
}
