//! Objects as protobuf values in the key-value store.

use std::collections::BTreeMap;

use hw_persist::{KvOp, KvStore};
use prost::Message;

use crate::error::CatalogError;
use crate::proto::{Counters, Meta};

/// The format that this server writes.
pub const FORMAT_VERSION: u32 = 1;

const META: &[u8] = b"meta";
const COUNTERS: &[u8] = b"counters";

/// The kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Database,
    Schema,
    Role,
    Cluster,
    Replica,
    Item,
    Comment,
    Parameter,
    Secret,
    Builtin,
    Dropped,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Kind::Database => "database/",
            Kind::Schema => "schema/",
            Kind::Role => "role/",
            Kind::Cluster => "cluster/",
            Kind::Replica => "replica/",
            Kind::Item => "item/",
            Kind::Comment => "comment/",
            Kind::Parameter => "parameter/",
            Kind::Secret => "secret/",
            Kind::Builtin => "builtin/",
            Kind::Dropped => "dropped/",
        }
    }

    fn key(self, id: &str) -> Vec<u8> {
        format!("{}{id}", self.prefix()).into_bytes()
    }
}

/// Changes that are written together.
#[derive(Debug, Default)]
pub(crate) struct Changes(Vec<KvOp>);

impl Changes {
    pub(crate) fn put(&mut self, kind: Kind, id: impl ToString, value: &impl Message) {
        self.0.push(KvOp::Put { key: kind.key(&id.to_string()), value: value.encode_to_vec() });
    }

    pub(crate) fn delete(&mut self, kind: Kind, id: impl ToString) {
        self.0.push(KvOp::Delete { key: kind.key(&id.to_string()) });
    }

    pub(crate) fn counters(&mut self, counters: &Counters) {
        self.0.push(KvOp::Put { key: COUNTERS.to_vec(), value: counters.encode_to_vec() });
    }
}

/// The store, fenced by an epoch.
#[derive(Debug)]
pub(crate) struct DurableCatalog {
    kv: KvStore,
    meta: Meta,
}

impl DurableCatalog {
    /// Opens the store under a new epoch: whoever had it open before can write no more. Says whether it is new.
    pub(crate) async fn open(kv: KvStore) -> Result<(DurableCatalog, bool), CatalogError> {
        let found = kv.get_all(META).await?.into_iter().find(|(k, _)| k == META).map(|(_, v)| v);
        let mut meta = match &found {
            None => Meta { format_version: FORMAT_VERSION, epoch: 0 },
            Some(bytes) => decode::<Meta>("meta", bytes)?,
        };
        if meta.format_version > FORMAT_VERSION {
            return Err(CatalogError::FromTheFuture { found: meta.format_version, known: FORMAT_VERSION });
        }
        meta.epoch += 1;
        let put = KvOp::Put { key: META.to_vec(), value: meta.encode_to_vec() };
        let is_new = found.is_none();
        if !kv.compare_and_write(vec![(META.to_vec(), found)], vec![put]).await? {
            return Err(CatalogError::Fenced);
        }
        Ok((DurableCatalog { kv, meta }, is_new))
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.meta.epoch
    }

    /// All values of a kind by id.
    pub(crate) async fn all<M: Message + Default>(
        &self,
        kind: Kind,
    ) -> Result<BTreeMap<String, M>, CatalogError> {
        let prefix = kind.prefix();
        let mut out = BTreeMap::new();
        for (key, value) in self.kv.get_all(prefix.as_bytes()).await? {
            let key = String::from_utf8_lossy(&key).into_owned();
            let message = decode(&key, &value)?;
            out.insert(key[prefix.len()..].to_owned(), message);
        }
        Ok(out)
    }

    pub(crate) async fn counters(&self) -> Result<Option<Counters>, CatalogError> {
        let found = self.kv.get_all(COUNTERS).await?;
        let found = found.into_iter().find(|(k, _)| k == COUNTERS);
        found.map(|(_, v)| decode("counters", &v)).transpose()
    }

    /// Writes all changes or none.
    ///
    /// # Errors
    /// `Fenced` when another server has opened the catalog since.
    pub(crate) async fn write(&self, changes: Changes) -> Result<(), CatalogError> {
        let expected = vec![(META.to_vec(), Some(self.meta.encode_to_vec()))];
        match self.kv.compare_and_write(expected, changes.0).await? {
            true => Ok(()),
            false => Err(CatalogError::Fenced),
        }
    }
}

fn decode<M: Message + Default>(key: &str, bytes: &[u8]) -> Result<M, CatalogError> {
    M::decode(bytes).map_err(|e| CatalogError::Corrupt { key: key.to_owned(), reason: e.to_string() })
}
