//! RocksDB: parts as blob files, shard states and the catalog's key-value store, in column families of one database.
//!
//! All writes of state go through one committer thread. It takes every request that waits, checks versions against the
//! ones it keeps in memory (RocksDB's lock file makes it the only writer), and writes them in one batch with one sync.
//! Parts are written without sync: they come before the commit that names them in the same write-ahead log, so that the
//! commit's sync covers them. Calls into RocksDB never run on the threads of the async runtime.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, IteratorMode,
    Options, ReadOptions, WriteBatch, WriteOptions,
};
use tokio::sync::{mpsc, oneshot};

use super::{Blob, CasOutcome, Consensus, Durability, ShardWrite, StorageError, StoredShard};
use crate::id::{PartId, ShardId};
use crate::kv::{KvExpected, KvOp};

const CF_BLOB: &str = "blob";
const CF_STATE: &str = "state";
const CF_CATALOG: &str = "catalog";

/// How many commits may wait; further ones wait to be accepted.
const COMMITS_WAITING_MAX: usize = 1024;
/// How many commits are written at once.
const COMMITS_IN_GROUP_MAX: usize = 256;
/// After so many bytes of deleted parts, their column family is compacted.
const DELETED_BYTES_BEFORE_COMPACTION: u64 = 512 << 20;

/// The RocksDB of an environment. Cheap to clone; closed with the last clone.
#[derive(Clone)]
pub struct RocksStore(Arc<Shared>);

struct Shared {
    db: Arc<DB>,
    requests: Option<mpsc::Sender<Request>>,
    committer: Option<JoinHandle<()>>,
    deleted_bytes: AtomicU64,
    /// Sizes of the parts that this process has written, to estimate what deletes free.
    part_bytes: Mutex<HashMap<PartId, u64>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.committer.take() {
            // It ends as soon as it has answered what was sent.
            let _panicked = thread.join();
        }
    }
}

impl std::fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RocksStore").field(&self.0.db.path()).finish()
    }
}

enum Request {
    Cas {
        writes: Vec<ShardWrite>,
        durability: Durability,
        reply: oneshot::Sender<Result<CasOutcome, StorageError>>,
    },
    Kv {
        expected: KvExpected,
        ops: Vec<KvOp>,
        reply: oneshot::Sender<Result<bool, StorageError>>,
    },
}

fn read_error(e: rocksdb::Error) -> StorageError {
    match e.kind() {
        rocksdb::ErrorKind::Corruption => StorageError::Corrupt(e.to_string()),
        _ => StorageError::Determinate(e.to_string()),
    }
}

fn write_error(e: rocksdb::Error) -> StorageError {
    StorageError::Indeterminate(e.to_string())
}

fn cf<'a>(db: &'a DB, name: &str) -> Arc<BoundColumnFamily<'a>> {
    db.cf_handle(name).expect("column families are created at open")
}

/// Runs a blocking call off the async threads.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let stopped =
        |e: tokio::task::JoinError| StorageError::Indeterminate(format!("storage call was stopped: {e}"));
    tokio::task::spawn_blocking(call).await.map_err(stopped)?
}

impl RocksStore {
    /// Opens or creates the database in `dir`, with about `memory_bytes` for memtables and cache.
    pub async fn open(dir: &Path, memory_bytes: usize) -> Result<Self, StorageError> {
        let dir = dir.to_owned();
        blocking(move || Self::open_blocking(&dir, memory_bytes)).await
    }

    fn open_blocking(dir: &Path, memory_bytes: usize) -> Result<Self, StorageError> {
        let mut db_options = Options::default();
        db_options.create_if_missing(true);
        db_options.create_missing_column_families(true);
        db_options.set_max_total_wal_size(4 * memory_bytes as u64);
        db_options.set_max_background_jobs(2);
        db_options.set_keep_log_file_num(4);
        db_options.set_max_open_files(512);
        let cache = Cache::new_lru_cache(memory_bytes / 4);
        let cf_options = |write_buffer: usize, buffers: i32| {
            let mut table = BlockBasedOptions::default();
            table.set_block_cache(&cache);
            let mut options = Options::default();
            options.set_block_based_table_factory(&table);
            options.set_write_buffer_size(write_buffer);
            options.set_max_write_buffer_number(buffers);
            options.set_compression_type(DBCompressionType::Lz4);
            options
        };
        let mut blob_options = cf_options(memory_bytes / 4, 3);
        blob_options.set_enable_blob_files(true);
        blob_options.set_min_blob_size(1024);
        blob_options.set_blob_file_size(64 << 20);
        blob_options.set_enable_blob_gc(true);
        blob_options.set_blob_gc_age_cutoff(0.5);
        blob_options.set_blob_gc_force_threshold(0.5);
        let families = [
            ColumnFamilyDescriptor::new(CF_BLOB, blob_options),
            ColumnFamilyDescriptor::new(CF_STATE, cf_options(memory_bytes / 16, 2)),
            ColumnFamilyDescriptor::new(CF_CATALOG, cf_options(memory_bytes / 16, 2)),
        ];
        let db = DB::open_cf_descriptors(&db_options, dir, families).map_err(read_error)?;
        let db = Arc::new(db);

        let mut versions = HashMap::new();
        for shard in load_states(&db, None)? {
            versions.insert(shard.shard, shard.version);
        }
        let (requests, receiver) = mpsc::channel(COMMITS_WAITING_MAX);
        let committer = Committer { db: Arc::clone(&db), versions };
        let committer = std::thread::Builder::new()
            .name("persist-commit".into())
            .spawn(move || committer.run(receiver))
            .map_err(|e| StorageError::Determinate(format!("cannot start the committer thread: {e}")))?;
        Ok(RocksStore(Arc::new(Shared {
            db,
            requests: Some(requests),
            committer: Some(committer),
            deleted_bytes: AtomicU64::new(0),
            part_bytes: Mutex::default(),
        })))
    }

    async fn send<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StorageError>>) -> Request,
    ) -> Result<T, StorageError> {
        let (reply, answer) = oneshot::channel();
        let requests = self.0.requests.as_ref().expect("requests are open until drop");
        if requests.send(request(reply)).await.is_err() {
            return Err(StorageError::Determinate("the committer has stopped".into()));
        }
        answer.await.unwrap_or_else(|_| Err(StorageError::Indeterminate("the committer has stopped".into())))
    }

    pub(crate) async fn kv_get_all(&self, prefix: Vec<u8>) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StorageError> {
        let db = Arc::clone(&self.0.db);
        blocking(move || {
            let mut out = Vec::new();
            let mode = IteratorMode::From(&prefix, rocksdb::Direction::Forward);
            for item in db.iterator_cf(&cf(&db, CF_CATALOG), mode) {
                let (key, value) = item.map_err(read_error)?;
                if !key.starts_with(&prefix) {
                    break;
                }
                out.push((key.into_vec(), value.into_vec()));
            }
            Ok(out)
        })
        .await
    }

    pub(crate) async fn kv_write(&self, expected: KvExpected, ops: Vec<KvOp>) -> Result<bool, StorageError> {
        self.send(|reply| Request::Kv { expected, ops, reply }).await
    }
}

fn part_key(shard: ShardId, part: PartId) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(shard.as_bytes());
    key[16..].copy_from_slice(part.as_bytes());
    key
}

#[async_trait]
impl Blob for RocksStore {
    async fn put(&self, shard: ShardId, part: PartId, bytes: Bytes) -> Result<(), StorageError> {
        let db = Arc::clone(&self.0.db);
        let len = bytes.len() as u64;
        blocking(move || db.put_cf(&cf(&db, CF_BLOB), part_key(shard, part), &bytes).map_err(write_error))
            .await?;
        self.0.part_bytes.lock().insert(part, len);
        Ok(())
    }

    async fn get(&self, shard: ShardId, part: PartId) -> Result<Option<Bytes>, StorageError> {
        let db = Arc::clone(&self.0.db);
        blocking(move || {
            let mut options = ReadOptions::default();
            options.fill_cache(false);
            let value = db.get_cf_opt(&cf(&db, CF_BLOB), part_key(shard, part), &options);
            Ok(value.map_err(read_error)?.map(Bytes::from))
        })
        .await
    }

    async fn delete(&self, parts: Vec<(ShardId, PartId)>) -> Result<(), StorageError> {
        let db = Arc::clone(&self.0.db);
        let freed: u64 = {
            let mut sizes = self.0.part_bytes.lock();
            parts.iter().filter_map(|(_, part)| sizes.remove(part)).sum()
        };
        let deleted = self.0.deleted_bytes.fetch_add(freed, Ordering::Relaxed) + freed;
        let compact = deleted >= DELETED_BYTES_BEFORE_COMPACTION;
        if compact {
            self.0.deleted_bytes.store(0, Ordering::Relaxed);
        }
        blocking(move || {
            let mut batch = WriteBatch::default();
            for (shard, part) in parts {
                batch.delete_cf(&cf(&db, CF_BLOB), part_key(shard, part));
            }
            db.write(batch).map_err(write_error)?;
            if compact {
                db.compact_range_cf(&cf(&db, CF_BLOB), None::<&[u8]>, None::<&[u8]>);
            }
            Ok(())
        })
        .await
    }

    async fn list(&self) -> Result<Vec<(ShardId, PartId)>, StorageError> {
        let db = Arc::clone(&self.0.db);
        blocking(move || {
            let mut out = Vec::new();
            let mut iterator = db.raw_iterator_cf(&cf(&db, CF_BLOB));
            iterator.seek_to_first();
            while let Some(key) = iterator.key() {
                let key =
                    <[u8; 32]>::try_from(key).map_err(|_| StorageError::Corrupt("a part's key".into()))?;
                let (shard, part) = (key.first_chunk::<16>(), key.last_chunk::<16>());
                if let (Some(shard), Some(part)) = (shard, part) {
                    out.push((ShardId::from_bytes(*shard), PartId::from_bytes(*part)));
                }
                iterator.next();
            }
            iterator.status().map_err(read_error)?;
            Ok(out)
        })
        .await
    }
}

#[async_trait]
impl Consensus for RocksStore {
    async fn load_all(&self) -> Result<Vec<StoredShard>, StorageError> {
        let db = Arc::clone(&self.0.db);
        blocking(move || load_states(&db, None)).await
    }

    async fn load(&self, shard: ShardId) -> Result<Option<StoredShard>, StorageError> {
        let db = Arc::clone(&self.0.db);
        blocking(move || Ok(load_states(&db, Some(shard))?.pop())).await
    }

    async fn compare_and_set(
        &self,
        writes: Vec<ShardWrite>,
        durability: Durability,
    ) -> Result<CasOutcome, StorageError> {
        self.send(|reply| Request::Cas { writes, durability, reply }).await
    }
}

/// Reads the state of one shard or of all. A shard's version is at its id, its values at its id and their key.
fn load_states(db: &DB, only: Option<ShardId>) -> Result<Vec<StoredShard>, StorageError> {
    let corrupt = || StorageError::Corrupt("a shard's state".into());
    let prefix: &[u8] = only.as_ref().map_or(&[], |s| s.as_bytes());
    let mut out: Vec<StoredShard> = Vec::new();
    for item in db.iterator_cf(&cf(db, CF_STATE), IteratorMode::From(prefix, rocksdb::Direction::Forward)) {
        let (key, value) = item.map_err(read_error)?;
        if !key.starts_with(prefix) {
            break;
        }
        let (id, key) = key.split_first_chunk::<16>().ok_or_else(corrupt)?;
        let shard = ShardId::from_bytes(*id);
        if key.is_empty() {
            let version = u64::from_le_bytes(value.as_ref().try_into().map_err(|_| corrupt())?);
            out.push(StoredShard { shard, version, entries: Vec::new() });
        } else {
            let last = out.last_mut().filter(|s| s.shard == shard).ok_or_else(corrupt)?;
            last.entries.push((key.to_vec(), Bytes::from(value.into_vec())));
        }
    }
    Ok(out)
}

struct Committer {
    db: Arc<DB>,
    versions: HashMap<ShardId, u64>,
}

/// Requests that will be written together.
#[derive(Default)]
struct Group {
    batch: WriteBatch,
    sync: bool,
    /// Versions after the group; `None` where the shard is removed.
    versions: HashMap<ShardId, Option<u64>>,
    has_kv: bool,
    cas: Vec<oneshot::Sender<Result<CasOutcome, StorageError>>>,
    kv: Vec<oneshot::Sender<Result<bool, StorageError>>>,
}

impl Committer {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut group = Group::default();
            self.add(&mut group, first);
            while group.cas.len() + group.kv.len() < COMMITS_IN_GROUP_MAX {
                match requests.try_recv() {
                    Ok(request) => self.add(&mut group, request),
                    Err(_) => break,
                }
            }
            self.commit(group);
        }
    }

    fn add(&mut self, group: &mut Group, request: Request) {
        match request {
            Request::Cas { writes, durability, reply } => self.add_cas(group, writes, durability, reply),
            Request::Kv { expected, ops, reply } => {
                if !expected.is_empty() && group.has_kv {
                    // The conditions are about what the group has yet to write.
                    self.commit(std::mem::take(group));
                }
                let catalog = cf(&self.db, CF_CATALOG);
                for (key, value) in &expected {
                    match self.db.get_cf(&catalog, key) {
                        Ok(found) if found == *value => {}
                        Ok(_) => return answer(reply, Ok(false)),
                        Err(e) => return answer(reply, Err(read_error(e))),
                    }
                }
                for op in ops {
                    match op {
                        KvOp::Put { key, value } => group.batch.put_cf(&catalog, key, value),
                        KvOp::Delete { key } => group.batch.delete_cf(&catalog, key),
                    }
                }
                group.has_kv = true;
                group.sync = true;
                group.kv.push(reply);
            }
        }
    }

    fn add_cas(
        &self,
        group: &mut Group,
        writes: Vec<ShardWrite>,
        durability: Durability,
        reply: oneshot::Sender<Result<CasOutcome, StorageError>>,
    ) {
        let current = |w: &ShardWrite| match group.versions.get(&w.shard) {
            Some(version) => *version,
            None => self.versions.get(&w.shard).copied(),
        };
        if writes.iter().any(|w| current(w) != w.expected) {
            return answer(reply, Ok(CasOutcome::Conflict));
        }
        let state = cf(&self.db, CF_STATE);
        for write in writes {
            let id = write.shard.as_bytes();
            group.versions.insert(write.shard, write.next);
            let Some(version) = write.next else {
                let end = u128::from_be_bytes(*id).saturating_add(1).to_be_bytes();
                group.batch.delete_range_cf(&state, id, &end);
                continue;
            };
            group.batch.put_cf(&state, id, version.to_le_bytes());
            for (key, value) in write.entries {
                let key = [id.as_slice(), &key].concat();
                match value {
                    Some(value) => group.batch.put_cf(&state, key, value),
                    None => group.batch.delete_cf(&state, key),
                }
            }
        }
        group.sync |= durability == Durability::Synced;
        group.cas.push(reply);
    }

    fn commit(&mut self, group: Group) {
        if group.cas.is_empty() && group.kv.is_empty() {
            return;
        }
        let mut options = WriteOptions::default();
        options.set_sync(group.sync);
        let result = self.db.write_opt(group.batch, &options).map_err(write_error);
        match &result {
            Ok(()) => {
                for (shard, version) in group.versions {
                    match version {
                        Some(version) => self.versions.insert(shard, version),
                        None => self.versions.remove(&shard),
                    };
                }
            }
            Err(_) => group.versions.into_keys().for_each(|shard| self.reload_version(shard)),
        }
        group.cas.into_iter().for_each(|reply| answer(reply, result.clone().map(|()| CasOutcome::Done)));
        group.kv.into_iter().for_each(|reply| answer(reply, result.clone().map(|()| true)));
    }

    /// After a failed write: which version is there?
    fn reload_version(&mut self, shard: ShardId) {
        match self.db.get_cf(&cf(&self.db, CF_STATE), shard.as_bytes()) {
            Ok(Some(v)) if v.len() == 8 => {
                let version = u64::from_le_bytes(v.try_into().expect("8 bytes"));
                self.versions.insert(shard, version);
            }
            // Without a version every later write conflicts until the store is opened again, which is safe.
            _ => {
                self.versions.remove(&shard);
            }
        }
    }
}

/// The asker may have gone.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    let _gone = reply.send(value);
}
