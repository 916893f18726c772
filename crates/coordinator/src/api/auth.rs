//! Who may do what.
//!
//! Everything is denied unless it has a row in the table, and a test holds the table against the
//! descriptors, so that a new method cannot be forgotten.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use quorate_runtime::Clock;
use quorate_store::Role;
use tonic::{Code, Status};

use super::{ApiParts, errors};
use crate::{Access, StoreHandle};

/// What a method asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// A token; nothing on a loopback listener.
    TokenUnlessLoopback,
    /// A token of this role or a higher one.
    Role(Role),
    /// It is not served here.
    Elsewhere,
}

/// Every method and every HTTP path.
#[rustfmt::skip]
pub(super) const METHODS: &[(&str, Needs)] = &[
    ("/healthz", Needs::Nothing),
    ("/readyz", Needs::Nothing),
    ("/grpc.health.v1.Health/Check", Needs::Nothing),
    ("/grpc.health.v1.Health/Watch", Needs::Nothing),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Needs::TokenUnlessLoopback),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Needs::TokenUnlessLoopback),
    ("/quorate.v1.CheckService/ListChecks", Needs::Role(Role::Viewer)),
    ("/quorate.v1.CheckService/GetCheck", Needs::Role(Role::Viewer)),
    ("/quorate.v1.CheckService/WatchChecks", Needs::Role(Role::Viewer)),
    ("/quorate.v1.IncidentService/ListIncidents", Needs::Role(Role::Viewer)),
    ("/quorate.v1.IncidentService/GetIncident", Needs::Role(Role::Viewer)),
    ("/quorate.v1.HistoryService/ListVerdicts", Needs::Role(Role::Viewer)),
    ("/quorate.v1.HistoryService/GetVerdict", Needs::Role(Role::Viewer)),
    ("/quorate.v1.HistoryService/ListResults", Needs::Role(Role::Operator)),
    ("/quorate.v1.HistoryService/RevoteCheck", Needs::Role(Role::Operator)),
    ("/quorate.v1.FleetService/ListAgents", Needs::Role(Role::Viewer)),
    ("/quorate.v1.FleetService/GetAgent", Needs::Role(Role::Viewer)),
    ("/quorate.v1.FleetService/ListRegions", Needs::Role(Role::Viewer)),
    ("/quorate.v1.FleetService/GetRegion", Needs::Role(Role::Viewer)),
    ("/quorate.v1.FleetService/CreateJoinToken", Needs::Role(Role::Admin)),
    ("/quorate.agent.v1.AgentService/Connect", Needs::Elsewhere),
    ("/quorate.agent.v1.JoinService/Join", Needs::Elsewhere),
];

/// What every API token begins with, for secret scanners.
pub(crate) const TOKEN_PREFIX: &str = "qat_";
/// The length of an API token: the prefix and 32 bytes in base64url.
const TOKEN_BYTES: usize = TOKEN_PREFIX.len() + 43;
/// How long a token that was found is not looked up again.
const KNOWN_FOR: Duration = Duration::from_secs(30);
/// Tokens remembered; when there are more, all are forgotten.
const KNOWN_MAX: usize = 1_024;
/// Time from a request to the beginning of its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A new token for the API.
pub(crate) fn new_token() -> String {
    crate::token::new(TOKEN_PREFIX)
}

/// The role of each token found lately, by hash, and until when it counts.
type Known = BTreeMap<[u8; 32], (Role, Duration)>;

/// Lets requests through, or not.
#[derive(Clone)]
pub(super) struct Guard {
    access: Access,
    store: StoreHandle,
    clock: Clock,
    loopback: bool,
    known: Arc<Mutex<Known>>,
}

impl Guard {
    /// `loopback` says whether the listener can be reached from this machine only.
    pub(super) fn new(parts: &ApiParts, clock: Clock, loopback: bool) -> Self {
        if parts.access == Access::LoopbackOpen && !loopback {
            tracing::error!("the API is open to loopback only, and this listener is not on it");
        }
        Self {
            access: parts.access,
            store: parts.store.clone(),
            clock,
            loopback,
            known: Arc::default(),
        }
    }

    /// Puts itself in front of every route.
    pub(super) fn protect(self, router: axum::Router) -> axum::Router {
        router.layer(from_fn_with_state(self, pass))
    }

    /// Whether a request may go on.
    async fn check(&self, path: &str, headers: &HeaderMap) -> Result<(), Status> {
        let needs = METHODS.iter().find(|(method, _)| *method == path).map(|(_, needs)| *needs);
        let open = self.access == Access::LoopbackOpen && self.loopback;
        let required = match needs {
            Some(Needs::Nothing) => return Ok(()),
            Some(Needs::TokenUnlessLoopback) if self.loopback => return Ok(()),
            Some(Needs::TokenUnlessLoopback) => Role::Viewer,
            Some(Needs::Role(role)) => role,
            None | Some(Needs::Elsewhere) => {
                if !open {
                    self.role(headers).await?;
                }
                return Err(unknown(path));
            }
        };
        if open {
            return Ok(());
        }
        if self.role(headers).await? >= required {
            Ok(())
        } else {
            Err(errors::role_required(word(required), path))
        }
    }

    /// The role of the token that a request bears.
    async fn role(&self, headers: &HeaderMap) -> Result<Role, Status> {
        let token = bearer(headers).ok_or_else(errors::token_invalid)?;
        let hash = crate::token::hash(token);
        let now = self.clock.uptime();
        if let Some((role, until)) = self.known().get(&hash)
            && *until > now
        {
            return Ok(*role);
        }
        let found = self.store.read(move |store| store.api_token(&hash)).await;
        let found = found.map_err(|error| errors::store_failed(&error))?;
        let role = found.ok_or_else(errors::token_invalid)?.role;
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(hash, (role, now + KNOWN_FOR));
        Ok(role)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token of a request, if it has the form of one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let well_formed = scheme.eq_ignore_ascii_case("bearer")
        && token.len() == TOKEN_BYTES
        && token.starts_with(TOKEN_PREFIX);
    well_formed.then_some(token)
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

fn unknown(path: &str) -> Status {
    errors::status(
        Code::Unimplemented,
        "METHOD_UNKNOWN",
        "this listener does not serve this method",
        [("method", path)],
    )
}

async fn pass(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let checked = guard.check(request.uri().path(), request.headers()).await;
    let grpc = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let refused = match checked {
        Ok(()) => match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
            Ok(response) => return response,
            Err(_) => late(),
        },
        Err(status) => status,
    };
    if grpc { refused.into_http() } else { super::health::plain(&refused) }
}

fn late() -> Status {
    let message = "the coordinator took too long to answer";
    errors::status(Code::DeadlineExceeded, "ANSWER_TIMEOUT", message, [])
}
