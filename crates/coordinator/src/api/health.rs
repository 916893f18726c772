//! Whether the coordinator lives and is ready, over gRPC and over plain HTTP; and reflection.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::StoreHandle;

/// What can be asked for: the whole, each service, and the two words that supervisors use.
const NAMES: [&str; 6] = [
    "",
    "quorate.v1.CheckService",
    "quorate.v1.FleetService",
    "quorate.v1.HistoryService",
    "quorate.v1.IncidentService",
    "readiness",
];
const LIVENESS: &str = "liveness";
/// What reflection lists beside our services.
const LISTED: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];
/// Time for the store to show that it answers.
const STORE_WITHIN: Duration = Duration::from_secs(1);

/// The state of health.
#[derive(Clone)]
pub(super) struct Health {
    reporter: HealthReporter,
    store: StoreHandle,
    draining: CancellationToken,
}

impl Health {
    /// Serving, from the start.
    pub(super) async fn new(store: &StoreHandle, draining: &CancellationToken) -> Self {
        let health = Self {
            reporter: HealthReporter::new(),
            store: store.clone(),
            draining: draining.clone(),
        };
        health.set(ServingStatus::Serving).await;
        let reporter = &health.reporter;
        reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
        health
    }

    async fn set(&self, status: ServingStatus) {
        for name in NAMES {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Adds health and reflection.
    pub(super) fn add_to(&self, routes: Routes) -> Routes {
        let service = HealthService::from_health_reporter(self.reporter.clone());
        let routes = routes.add_service(HealthServer::new(service));
        let builder = || {
            let ours = NAMES.iter().filter(|name| name.contains('.'));
            ours.chain(LISTED.iter()).fold(
                tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(quorate_proto::DESCRIPTORS)
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET),
                |builder, name| builder.with_service_name(*name),
            )
        };
        match (builder().build_v1(), builder().build_v1alpha()) {
            (Ok(v1), Ok(v1alpha)) => routes.add_service(v1).add_service(v1alpha),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "reflection is not available");
                routes
            }
        }
    }

    /// Adds `/healthz` and `/readyz`.
    pub(super) fn http_paths(&self, router: axum::Router) -> axum::Router {
        let health = self.clone();
        router.route("/healthz", get(async || json(StatusCode::OK, "ok"))).route(
            "/readyz",
            get(move || {
                let health = health.clone();
                async move { health.ready().await }
            }),
        )
    }

    async fn ready(&self) -> Response {
        if self.draining.is_cancelled() {
            return json(StatusCode::SERVICE_UNAVAILABLE, "draining");
        }
        let answer = self.store.read(|store| store.next_due());
        match tokio::time::timeout(STORE_WITHIN, answer).await {
            Ok(Ok(_)) => json(StatusCode::OK, "ok"),
            Ok(Err(_)) => json(StatusCode::SERVICE_UNAVAILABLE, "store failing"),
            Err(_) => json(StatusCode::SERVICE_UNAVAILABLE, "store slow"),
        }
    }

    /// Says that nothing is served any more once the coordinator begins to stop.
    pub(super) async fn follow(self, stop: CancellationToken) {
        tokio::select! {
            () = self.draining.cancelled() => {}
            () = stop.cancelled() => {}
        }
        self.set(ServingStatus::NotServing).await;
    }
}

fn json(code: StatusCode, status: &str) -> Response {
    let text = serde_json::json!({ "status": status }).to_string();
    answer(code, text)
}

fn answer(code: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    let value = hyper::header::HeaderValue::from_static;
    headers.insert(CONTENT_TYPE, value("application/json"));
    headers.insert(CACHE_CONTROL, value("no-store"));
    response
}

/// A refusal for those who do not speak gRPC.
#[expect(clippy::wildcard_enum_match_arm, reason = "the guard refuses with these codes only")]
pub(super) fn plain(status: &Status) -> Response {
    let code = match status.code() {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unimplemented => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let text = serde_json::json!({ "error": status.message() }).to_string();
    answer(code, text)
}
