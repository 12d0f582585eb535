//! A proxy between a PostgreSQL client and a server that reads along: the queries of the simple protocol, how long each took, and
//! the SQLSTATE with which it ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// The SQLSTATE of queries that succeeded.
pub(crate) const SUCCESS: &str = "00000";

/// What has been seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How many queries ended with each SQLSTATE.
    pub(crate) states: BTreeMap<String, u64>,
    /// One message of each SQLSTATE, with its query.
    pub(crate) examples: BTreeMap<String, (String, String)>,
    /// Queries that ended with an internal error (XX…): message and query.
    pub(crate) internal: Vec<(String, String)>,
    /// Queries whose connection ended before their answer.
    pub(crate) lost: Vec<String>,
    /// The slowest query and its time.
    pub(crate) slowest: (Duration, String),
}

/// A query that is being answered.
struct Running {
    query: String,
    began: Instant,
    error: Option<(String, String)>,
}

/// What a client's query is sent as, if not as it is.
pub(crate) type Rewrite = fn(&str) -> Option<String>;

/// A proxy for one server.
pub(crate) struct Sniffer {
    /// Where clients connect.
    pub(crate) port: u16,
    /// What has been seen.
    pub(crate) seen: Arc<Mutex<Seen>>,
}

impl Sniffer {
    /// Listens on a free loopback port for connections to the server's.
    pub(crate) async fn start(server: u16, rewrite: Rewrite) -> Sniffer {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
        let port = listener.local_addr().expect("it is bound").port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection(client, server, rewrite, Arc::clone(&shared)));
            }
        });
        Sniffer { port, seen }
    }
}

async fn connection(client: TcpStream, server: u16, rewrite: Rewrite, seen: Arc<Mutex<Seen>>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    drop(client.set_nodelay(true));
    drop(server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let running: Arc<Mutex<Option<Running>>> = Arc::default();
    let queries = forward_queries(from_client, to_server, rewrite, Arc::clone(&running));
    let answers = forward_answers(from_server, to_client, Arc::clone(&running), Arc::clone(&seen));
    // Either end's close closes the other.
    tokio::select! {
        _ = queries => {}
        _ = answers => {}
    }
    if let Some(running) = running.lock().expect("no panic").take() {
        seen.lock().expect("no panic").lost.push(running.query);
    }
}

/// One message: its type (none in the first), its body.
async fn message(from: &mut OwnedReadHalf, typed: bool) -> std::io::Result<(Option<u8>, Vec<u8>)> {
    let kind = if typed { Some(from.read_u8().await?) } else { None };
    let length = usize::try_from(from.read_u32().await?).unwrap_or(0);
    let mut body = vec![0; length.saturating_sub(4)];
    from.read_exact(&mut body).await?;
    Ok((kind, body))
}

async fn send(to: &mut OwnedWriteHalf, kind: Option<u8>, body: &[u8]) -> std::io::Result<()> {
    let mut bytes: Vec<u8> = kind.into_iter().collect();
    bytes.extend(u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(body);
    to.write_all(&bytes).await
}

async fn forward_queries(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    rewrite: Rewrite,
    running: Arc<Mutex<Option<Running>>>,
) -> std::io::Result<()> {
    let mut typed = false;
    loop {
        let (kind, mut body) = message(&mut from, typed).await?;
        typed = true;
        if kind == Some(b'Q') {
            let query = String::from_utf8_lossy(body.split_last().map_or(&[], |(_, text)| text)).into_owned();
            if let Some(instead) = rewrite(&query) {
                body = instead.into_bytes();
                body.push(0);
            }
            let new = Running { query, began: Instant::now(), error: None };
            *running.lock().expect("no panic") = Some(new);
        }
        send(&mut to, kind, &body).await?;
    }
}

async fn forward_answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    running: Arc<Mutex<Option<Running>>>,
    seen: Arc<Mutex<Seen>>,
) -> std::io::Result<()> {
    loop {
        let (kind, body) = message(&mut from, true).await?;
        match kind {
            Some(b'E') => {
                if let Some(running) = running.lock().expect("no panic").as_mut() {
                    running.error = Some((field(&body, b'C'), field(&body, b'M')));
                }
            }
            Some(b'Z') => {
                if let Some(done) = running.lock().expect("no panic").take() {
                    seen.lock().expect("no panic").record(done);
                }
            }
            _ => {}
        }
        send(&mut to, kind, &body).await?;
    }
}

/// A field of an error message.
fn field(body: &[u8], code: u8) -> String {
    let found = body.split(|b| *b == 0).find(|f| f.first() == Some(&code));
    found.map_or_else(String::new, |f| String::from_utf8_lossy(&f[1..]).into_owned())
}

impl Seen {
    fn record(&mut self, done: Running) {
        let took = done.began.elapsed();
        if took > self.slowest.0 {
            self.slowest = (took, done.query.clone());
        }
        // What frames a query says nothing about it.
        if matches!(done.query.trim_end_matches(';').to_lowercase().as_str(), "begin" | "rollback" | "commit")
        {
            return;
        }
        let (state, message) = done.error.unwrap_or_else(|| (SUCCESS.to_owned(), String::new()));
        if state.starts_with("XX") {
            self.internal.push((message.clone(), done.query.clone()));
        }
        *self.states.entry(state.clone()).or_default() += 1;
        self.examples.entry(state).or_insert((message, done.query));
    }

    /// The share of queries that succeeded.
    pub(crate) fn success(&self) -> f64 {
        let all: u64 = self.states.values().sum();
        self.states.get(SUCCESS).copied().unwrap_or(0) as f64 / all.max(1) as f64
    }
}
