//! A receiver of webhooks on loopback.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// One message as it arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) id: String,
    pub(crate) body: Value,
}

impl Arrival {
    pub(crate) fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default()
    }
}

/// Listens until the task that called it ends.
pub(crate) async fn listen(
    tasks: &quorate_runtime::Tasks,
) -> (SocketAddr, mpsc::Receiver<Arrival>) {
    let (sender, arrivals) = mpsc::channel(1_000);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/{name}", post(take)).with_state(sender);
    let stop = tasks.token();
    tasks.spawn("receiver", async move {
        let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        serving.await.unwrap();
    });
    (address, arrivals)
}

async fn take(State(sender): State<mpsc::Sender<Arrival>>, headers: HeaderMap, body: String) {
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let body = serde_json::from_str(&body).unwrap();
    sender.send(Arrival { id, body }).await.unwrap();
}
