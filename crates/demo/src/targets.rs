//! Targets of the demo's own: small HTTP servers that can be broken, and anchors.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use quorate_runtime::Tasks;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Connections of one target at a time; the oldest is not waited for beyond it.
const CONNECTIONS_MAX: usize = 512;

/// How a target behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Answers 200 and that all is well.
    Fine,
    /// Answers 503.
    Unavailable,
    /// Accepts connections and never answers.
    BlackHole,
}

/// An HTTP server that can be broken and repaired.
#[derive(Debug)]
pub struct Target {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Target {
    /// Starts a target that is fine, on a port of loopback that is free.
    ///
    /// # Cancellation
    ///
    /// Dropping it starts nothing.
    pub async fn start(tasks: &Tasks) -> io::Result<Self> {
        let (mode, seen) = watch::channel(Mode::Fine);
        let address = listen(tasks, "demo-target", move |stream| {
            let seen = seen.clone();
            async move { answer(stream, seen).await }
        })
        .await?;
        Ok(Self { address, mode })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves otherwise from now on.
    pub fn become_mode(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

/// Starts what a self-test contacts: accepts connections, and no more. Returns where.
///
/// # Cancellation
///
/// Dropping it starts nothing.
pub async fn start_anchor(tasks: &Tasks) -> io::Result<SocketAddr> {
    listen(tasks, "demo-anchor", |stream| async move { drop(stream) }).await
}

/// Takes connections on a free port until the tasks stop, and handles each.
async fn listen<F, H>(tasks: &Tasks, name: &'static str, handle: H) -> io::Result<SocketAddr>
where
    F: Future<Output = ()> + Send + 'static,
    H: Fn(TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let stop = tasks.token();
    tasks.spawn(name, async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(handle(stream));
                    }
                }
            }
        }
    });
    Ok(address)
}

/// Serves one connection; it ends when the mode changes, as those of a real server do.
async fn answer(stream: TcpStream, mut mode: watch::Receiver<Mode>) {
    let now = *mode.borrow_and_update();
    if now == Mode::BlackHole {
        // Ends when the target is repaired, or with the demo.
        drop(mode.changed().await);
        return;
    }
    let serve =
        service_fn(move |_: Request<Incoming>| async move { Ok::<_, Infallible>(response(now)) });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve);
    tokio::select! {
        done = connection => drop(done),
        _ = mode.changed() => {}
    }
}

fn response(mode: Mode) -> Response<Full<Bytes>> {
    let json = HeaderValue::from_static("application/json");
    let (status, body) = match mode {
        Mode::Fine | Mode::BlackHole => (StatusCode::OK, r#"{"status":"ok"}"#),
        Mode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"overloaded"}"#),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn ask(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        stream
    }

    async fn status(address: SocketAddr) -> String {
        let mut text = String::new();
        ask(address).await.read_to_string(&mut text).await.unwrap();
        text.lines().next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_target_behaves_as_told() {
        let tasks = Tasks::new();
        let target = Target::start(&tasks).await.unwrap();
        assert_eq!(status(target.address()).await, "HTTP/1.1 200 OK");
        target.become_mode(Mode::Unavailable);
        assert_eq!(status(target.address()).await, "HTTP/1.1 503 Service Unavailable");
        target.become_mode(Mode::BlackHole);
        let mut waiting = ask(target.address()).await;
        let mut bytes = [0; 8];
        let answer = waiting.read(&mut bytes);
        assert!(tokio::time::timeout(Duration::from_millis(200), answer).await.is_err());
        target.become_mode(Mode::Fine);
        assert_eq!(status(target.address()).await, "HTTP/1.1 200 OK");
    }
}
