//! Servers on 127.0.0.1:0 that end with the test.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// With a name that certificates can be for.
    pub(crate) fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }
}

/// Serves each connection with `handle`.
pub(crate) async fn serve<F, R>(handle: F) -> Server
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket");
            connections.spawn(handle(stream));
        }
    });
    Server { address, _tasks: tasks }
}

type Reply = Response<Full<Bytes>>;

/// A whole answer.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(Bytes::from(body.to_owned()))).expect("a response")
}

async fn speak_http<S>(stream: S, answer: Arc<dyn Fn(Parts, Bytes) -> Reply + Send + Sync>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = Arc::clone(&answer);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>(answer(parts, body))
        }
    });
    // A client that hangs up is no concern of the server's.
    drop(
        auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

/// Serves HTTP/1.1 and HTTP/2 with prior knowledge.
pub(crate) async fn http(answer: impl Fn(Parts, Bytes) -> Reply + Send + Sync + 'static) -> Server {
    let answer: Arc<dyn Fn(Parts, Bytes) -> Reply + Send + Sync> = Arc::new(answer);
    serve(move |stream| speak_http(stream, Arc::clone(&answer))).await
}

/// Serves HTTP over TLS.
pub(crate) async fn https(
    config: ServerConfig,
    answer: impl Fn(Parts, Bytes) -> Reply + Send + Sync + 'static,
) -> Server {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let answer: Arc<dyn Fn(Parts, Bytes) -> Reply + Send + Sync> = Arc::new(answer);
    serve(move |stream| {
        let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                speak_http(stream, answer).await;
            }
        }
    })
    .await
}

/// Reads the head of a request and returns it as text.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Answers each request with these bytes and closes.
pub(crate) async fn raw(answer: impl Into<Vec<u8>>) -> Server {
    let answer: Arc<Vec<u8>> = Arc::new(answer.into());
    serve(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            read_head(&mut stream).await;
            drop(stream.write_all(&answer).await);
            drop(stream.shutdown().await);
        }
    })
    .await
}

/// Waits without end, keeping the connection open.
pub(crate) async fn hold(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}
