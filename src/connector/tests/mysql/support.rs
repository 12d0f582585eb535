//! Real servers, and sources that run against persist in memory.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use hw_connector::mysql::gtid::GtidSet;
use hw_connector::mysql::progress::Progress;
use hw_connector::mysql::{TableSelection, discover_tables};
use hw_connector::{decode_payload, progress_desc, run_source};
use hw_persist::{PersistClient, PersistConfig, PersistServer, ShardId, Update};
use hw_plan::SourceDescription;
use hw_plan::source::{
    ExportDetails, MySqlConnection, MySqlTable, MySqlTls, SourceExport, UpstreamDescription,
};
use hw_protocol::{Response, SourceStatistics, SourceStatus};
use hw_repr::{GlobalId, RelationDesc, RelationType, Row};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V57,
    V97,
}

/// A MySQL server in a temporary folder.
pub struct Server {
    version: Version,
    folder: PathBuf,
    _temporary: tempfile::TempDir,
    pub port: u16,
}

fn command(version: Version) -> Command {
    let name = if version == Version::V57 { "mysql57" } else { "mysql" };
    Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../bin").join(name))
}

impl Server {
    pub fn start(version: Version) -> Server {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("mysql");
        let mut server = Server { version, folder, _temporary: temporary, port: 0 };
        server.port = server.run(&[]);
        // The template has a root of the socket only.
        let grant = "CREATE USER root@'%'; GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION";
        assert!(
            command(version)
                .arg("client")
                .arg(&server.folder)
                .arg("-e")
                .arg(grant)
                .status()
                .unwrap()
                .success()
        );
        server
    }

    fn run(&self, more: &[String]) -> u16 {
        let mut c = command(self.version);
        c.arg("start").arg(&self.folder).arg("--owner").arg(std::process::id().to_string()).args(more);
        let out = c.output().expect("bin/mysql can be run");
        assert!(out.status.success(), "MySQL is needed: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().parse().expect("bin/mysql start prints a port")
    }

    /// `kill -9`.
    pub fn kill(&self) {
        assert!(command(self.version).arg("kill").arg(&self.folder).status().unwrap().success());
    }

    /// On the same port.
    pub fn restart(&self) {
        self.run(&["--port".into(), self.port.to_string()]);
    }

    /// A file of its data folder.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    /// Gives the server another certificate, of that authority, for new connections.
    pub async fn use_certificate(&self, ca: &str, certificate: &str, key: &str) {
        for (variable, text) in [("ssl_ca", ca), ("ssl_cert", certificate), ("ssl_key", key)] {
            let file = self.folder.join(format!("test-{variable}.pem"));
            std::fs::write(&file, text).unwrap();
            self.sql(&[&format!("SET GLOBAL {variable} = '{}'", file.display())]).await;
        }
        self.sql(&["ALTER INSTANCE RELOAD TLS"]).await;
    }

    pub fn connection(&self) -> MySqlConnection {
        MySqlConnection {
            host: "127.0.0.1".into(),
            port: self.port,
            user: "root".into(),
            password: None,
            tls: MySqlTls::default(),
        }
    }

    pub async fn connect(&self) -> Conn {
        let opts = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some("root"))
            .prefer_socket(false);
        Conn::new(opts).await.unwrap()
    }

    /// Runs statements.
    pub async fn sql(&self, statements: &[&str]) {
        let mut conn = self.connect().await;
        for s in statements {
            conn.query_drop(*s).await.unwrap_or_else(|e| panic!("{s}: {e}"));
        }
        conn.disconnect().await.unwrap();
    }

    pub async fn executed(&self) -> GtidSet {
        let mut conn = self.connect().await;
        let text: String = conn.query_first("SELECT @@GLOBAL.gtid_executed").await.unwrap().unwrap();
        conn.disconnect().await.unwrap();
        text.parse().unwrap()
    }

    pub async fn tables(&self, names: &[(&str, &str)]) -> Vec<MySqlTable> {
        self.tables_with_text(names, &[]).await
    }

    pub async fn tables_with_text(
        &self,
        names: &[(&str, &str)],
        text: &[(&str, &str, &str)],
    ) -> Vec<MySqlTable> {
        let names = names.iter().map(|(s, t)| ((*s).to_owned(), (*t).to_owned())).collect();
        let text: Vec<_> =
            text.iter().map(|(s, t, c)| ((*s).to_owned(), (*t).to_owned(), (*c).to_owned())).collect();
        discover_tables(&self.connection(), &TableSelection::Tables(names), &text, &[]).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = command(self.version).arg("kill").arg(&self.folder).status();
    }
}

/// The servers that tests share which do not harm them.
pub fn shared(version: Version) -> &'static Server {
    static SERVERS: [OnceLock<Server>; 2] = [OnceLock::new(), OnceLock::new()];
    SERVERS[usize::from(version == Version::V97)].get_or_init(|| Server::start(version))
}

/// A source, and what it has told.
pub struct Source {
    pub desc: SourceDescription,
    pub persist: PersistClient,
    pub told: Arc<Mutex<Vec<Response>>>,
    token: CancellationToken,
    handle: Option<JoinHandle<()>>,
}

pub fn table_desc(table: &MySqlTable) -> RelationDesc {
    let columns: Vec<_> = table
        .columns
        .iter()
        .filter_map(|c| c.ingest.as_ref().map(|i| (c.name.clone(), i.typ.clone())))
        .collect();
    let (names, types) = columns.into_iter().unzip();
    RelationDesc::new(RelationType::new(types), names)
}

pub async fn memory_persist() -> PersistClient {
    PersistServer::memory(PersistConfig::default()).await.unwrap().client()
}

impl Source {
    pub async fn new(server: &Server, tables: Vec<MySqlTable>) -> Source {
        let mut source = Source {
            desc: SourceDescription {
                id: GlobalId::User(1),
                name: "s".into(),
                upstream: UpstreamDescription::MySql(server.connection()),
                progress_id: GlobalId::User(2),
                progress_shard: Uuid::new_v4(),
                exports: Vec::new(),
                epoch: 1,
                tick_floor_ms: 10,
                tick_idle_ms: 50,
            },
            persist: memory_persist().await,
            told: Arc::default(),
            token: CancellationToken::new(),
            handle: None,
        };
        source.add(tables);
        source
    }

    /// More exports, for the next start.
    pub fn add(&mut self, tables: Vec<MySqlTable>) {
        for table in tables {
            let id = GlobalId::User(10 + self.desc.exports.len() as u64);
            let desc = table_desc(&table);
            let details = ExportDetails::MySql(table);
            self.desc.exports.push(SourceExport { id, shard: Uuid::new_v4(), desc, details });
        }
    }

    pub fn start(&mut self) {
        let (sender, mut receiver) = mpsc::channel(16);
        self.token = CancellationToken::new();
        self.handle = Some(run_source(self.desc.clone(), self.persist.clone(), sender, self.token.clone()));
        let told = Arc::clone(&self.told);
        tokio::spawn(async move {
            while let Some(r) = receiver.recv().await {
                told.lock().unwrap().push(r);
            }
        });
    }

    /// Tells it to stop and waits until it has.
    pub async fn stop(&mut self) {
        self.token.cancel();
        if let Some(handle) = self.handle.take() {
            handle.await.unwrap();
        }
    }

    /// Ends it at once, as a crash would.
    pub async fn crash(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.abort();
            let _ = handle.await;
        }
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) {
        let handle = self.handle.take().unwrap();
        tokio::time::timeout(Duration::from_secs(20), handle).await.expect("the source ends").unwrap();
    }

    pub fn status(&self, id: GlobalId) -> Option<(SourceStatus, Option<String>)> {
        let told = self.told.lock().unwrap();
        told.iter().rev().find_map(|r| match r {
            Response::SourceStatus(s) if s.id == id => Some((s.status, s.error.clone())),
            _ => None,
        })
    }

    pub fn statistics(&self, id: GlobalId) -> Option<SourceStatistics> {
        let told = self.told.lock().unwrap();
        told.iter().rev().find_map(|r| match r {
            Response::SourceStatistics(s) if s.id == Some(id) => Some(s.clone()),
            _ => None,
        })
    }

    pub async fn wait_status(&self, id: GlobalId, status: SourceStatus) {
        until(&format!("{id} {status:?}"), async || self.status(id).is_some_and(|s| s.0 == status)).await;
    }

    pub fn export(&self, index: usize) -> GlobalId {
        self.desc.exports[index].id
    }

    async fn updates(&self, shard: Uuid) -> Vec<Update> {
        let shard = ShardId::from_bytes(*shard.as_bytes());
        let state = self.persist.state(shard).await.unwrap();
        let Some(state) = state.filter(|s| s.upper > s.since) else { return Vec::new() };
        self.persist.snapshot(shard, state.upper - 1).await.unwrap().collect().await.unwrap()
    }

    pub async fn progress(&self) -> Progress {
        let rows: Vec<Row> =
            self.updates(self.desc.progress_shard).await.into_iter().map(|u| u.0.unwrap()).collect();
        assert!(progress_desc().arity() == 4);
        Progress::from_rows(&rows).unwrap()
    }

    /// An export's rows, sorted, each as often as it is there, and its errors' texts.
    pub async fn contents(&self, index: usize) -> (Vec<Row>, Vec<String>) {
        let (mut rows, mut errors) = (Vec::new(), Vec::new());
        for (entry, _, diff) in self.updates(self.desc.exports[index].shard).await {
            assert!(diff > 0, "{entry:?} occurs {diff} times");
            match entry {
                Ok(row) => rows.extend(std::iter::repeat_n(row, diff as usize)),
                Err(e) => errors.extend(std::iter::repeat_n(decode_payload(&e).to_string(), diff as usize)),
            }
        }
        rows.sort();
        (rows, errors)
    }

    pub async fn rows(&self, index: usize) -> Vec<Row> {
        let (rows, errors) = self.contents(index).await;
        assert_eq!(errors, Vec::<String>::new());
        rows
    }

    /// All updates of an export.
    pub async fn history(&self, index: usize) -> Vec<Update> {
        let shard = ShardId::from_bytes(*self.desc.exports[index].shard.as_bytes());
        let upper = self.persist.state(shard).await.unwrap().unwrap().upper;
        let mut listen = self.persist.listen(shard, 0).await.unwrap();
        let mut all = Vec::new();
        loop {
            match listen.next().await.unwrap() {
                hw_persist::ListenEvent::Updates(u) => all.extend(u),
                hw_persist::ListenEvent::Progress(p) if p >= upper => return all,
                hw_persist::ListenEvent::Progress(_) => {}
            }
        }
    }

    /// Waits until it has ingested all that the server has executed.
    pub async fn catch_up(&self, server: &Server) {
        let executed = server.executed().await;
        self.reach(&executed).await;
    }

    pub async fn reach(&self, set: &GtidSet) {
        until(&format!("position {set}"), async || {
            self.progress().await.position.is_some_and(|p| p.contains_all(set))
        })
        .await;
    }
}

/// Waits for a condition, up to a minute.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
