//! A TCP proxy in the test's own process, to cut and to freeze connections.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Bytes flow; the number changes with every cut.
    Open(u64),
    /// New connections are refused; open ones were cut.
    Refuse,
    /// Connections stay open, no byte flows.
    Freeze,
}

/// A proxy from a loopback port to another.
pub(crate) struct Proxy {
    /// The port to connect to.
    pub(crate) port: u16,
    mode: Arc<watch::Sender<Mode>>,
    accept: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port and connects through to `target`.
    pub(crate) async fn start(target: u16) -> Proxy {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let mode = Arc::new(watch::Sender::new(Mode::Open(0)));
        let modes = Arc::clone(&mode);
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *modes.borrow() != Mode::Refuse {
                    tokio::spawn(carry(client, target, modes.subscribe()));
                }
            }
        });
        Proxy { port, mode, accept }
    }

    /// Cuts every open connection; new ones work.
    pub(crate) fn cut(&self) {
        self.mode.send_modify(|mode| {
            *mode = match *mode {
                Mode::Open(n) => Mode::Open(n + 1),
                Mode::Refuse | Mode::Freeze => Mode::Open(0),
            }
        });
    }

    /// Cuts every open connection and refuses new ones until [`Proxy::open`].
    pub(crate) fn refuse(&self) {
        self.mode.send_replace(Mode::Refuse);
    }

    /// Stops the flow of bytes without closing anything until [`Proxy::open`].
    pub(crate) fn freeze(&self) {
        self.mode.send_replace(Mode::Freeze);
    }

    /// Lets connections through again; frozen ones are cut.
    pub(crate) fn open(&self) {
        self.mode.send_replace(Mode::Open(rand::random()));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
        self.mode.send_replace(Mode::Refuse);
    }
}

/// Carries one connection until either side closes it or the mode changes.
async fn carry(mut client: TcpStream, target: u16, mut modes: watch::Receiver<Mode>) {
    let born = *modes.borrow_and_update();
    if born != Mode::Freeze {
        let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
            _ = modes.wait_for(|mode| *mode != born) => {}
        }
        if *modes.borrow() != Mode::Freeze {
            return;
        }
        // Both ends stay open and silent.
        drop(modes.wait_for(|mode| *mode != Mode::Freeze).await);
        drop(server);
        return;
    }
    drop(modes.wait_for(|mode| *mode != Mode::Freeze).await);
}
