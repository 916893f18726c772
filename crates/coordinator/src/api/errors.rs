//! Errors as clients see them: a code, a sentence, and exactly one `ErrorInfo`.

use std::fmt::Display;
use std::time::Duration;

use quorate_model::Timestamp;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every error of ours.
pub(crate) const DOMAIN: &str = "quorate";
/// The longest text of a client's that an error repeats, in bytes.
const SHOWN_MAX: usize = 200;

/// A status with an `ErrorInfo`. What varies in the message stands in `metadata` too.
pub(crate) fn status<const N: usize>(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    metadata: [(&str, &str); N],
) -> Status {
    let details = info(reason, metadata);
    Status::with_error_details(code, message, details)
}

fn info<const N: usize>(reason: &str, metadata: [(&str, &str); N]) -> ErrorDetails {
    let metadata = metadata.map(|(key, value)| (key.to_owned(), shown(value)));
    ErrorDetails::with_error_info(reason, DOMAIN, metadata)
}

fn shown(text: &str) -> String {
    text[..text.floor_char_boundary(SHOWN_MAX)].to_owned()
}

/// A field of the request has a bad value; `problem` says what to write instead.
pub(crate) fn field_invalid(field: &str, problem: impl Display) -> Status {
    bad_field("FIELD_INVALID", field, problem)
}

/// A page token does not fit.
pub(super) fn page_token(reason: &str, problem: &str) -> Status {
    bad_field(reason, "page_token", problem)
}

fn bad_field(reason: &str, field: &str, problem: impl Display) -> Status {
    let problem = problem.to_string();
    let mut details = info(reason, [("field", field)]);
    details.add_bad_request_violation(field, problem.clone());
    let message = format!("{field}: {problem}");
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// A name that is not of the form of its kind.
pub(super) fn name_invalid(field: &str, kind: &Kind, name: &str) -> Status {
    let (collection, noun) = (kind.collection, kind.noun);
    let problem = format!("{:?} is not the name of {noun}: use {collection}/NAME", shown(name));
    field_invalid(field, problem)
}

/// A kind of resource.
#[derive(Debug)]
pub(super) struct Kind {
    collection: &'static str,
    noun: &'static str,
    type_name: &'static str,
    not_found: &'static str,
}

pub(super) const CHECK: Kind = Kind {
    collection: "checks",
    noun: "a check",
    type_name: "quorate.v1.Check",
    not_found: "CHECK_NOT_FOUND",
};
pub(super) const AGENT: Kind = Kind {
    collection: "agents",
    noun: "an agent",
    type_name: "quorate.v1.Agent",
    not_found: "AGENT_NOT_FOUND",
};
pub(super) const REGION: Kind = Kind {
    collection: "regions",
    noun: "a region",
    type_name: "quorate.v1.Region",
    not_found: "REGION_NOT_FOUND",
};
pub(super) const INCIDENT: Kind = Kind {
    collection: "incidents",
    noun: "an incident",
    type_name: "quorate.v1.Incident",
    not_found: "INCIDENT_NOT_FOUND",
};

/// There is no such resource.
pub(super) fn not_found(kind: &Kind, name: &str) -> Status {
    let message = format!("there is no {}", shown(name));
    let mut details = info(kind.not_found, [("name", name)]);
    details.set_resource_info(kind.type_name, shown(name), "", message.as_str());
    Status::with_error_details(Code::NotFound, message, details)
}

/// A check had no verdict at a time.
pub(super) fn verdict_not_found(check: &str, at: Timestamp) -> Status {
    let at = at.to_string();
    let message = format!("{} had no verdict at {at}", shown(check));
    let mut details = info("VERDICT_NOT_FOUND", [("check", check), ("time", &at)]);
    details.set_resource_info("quorate.v1.PastVerdict", shown(check), "", message.as_str());
    Status::with_error_details(Code::NotFound, message, details)
}

/// No results of a time are stored.
pub(super) fn results_forgotten(check: &str, at: Timestamp) -> Status {
    let at = at.to_string();
    let message = format!(
        "no results of {} are stored of {at}: raw results are kept for as long as \
         `server.retention` says",
        shown(check)
    );
    let mut details = info("RESULTS_FORGOTTEN", [("check", check), ("time", &at)]);
    details.add_precondition_failure_violation("RESULTS", shown(check), message.as_str());
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// An agent cannot be invited into a region that is not configured.
pub(super) fn region_missing(name: &str) -> Status {
    let message = format!(
        "{} is not configured: add it under `regions:` and reload, then make the token",
        shown(name)
    );
    let mut details = info(REGION.not_found, [("region", name)]);
    details.add_precondition_failure_violation("REGION", shown(name), message.as_str());
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// Nobody said what agents dial, so a join bundle would lead nowhere.
pub(super) fn advertise_missing(key: &str) -> Status {
    let message = format!(
        "nothing says what agents dial: set `{key}` to the host:port of this machine and reload, then \
         make the token"
    );
    let mut details = info("ADVERTISE_MISSING", [("key", key)]);
    details.add_precondition_failure_violation("CONFIGURATION", key, message.as_str());
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// The name of an agent is taken.
pub(super) fn agent_exists(name: &str) -> Status {
    let message = format!("{} has joined already: choose another name", shown(name));
    let mut details = info("AGENT_EXISTS", [("agent", name)]);
    details.set_resource_info(AGENT.type_name, shown(name), "", message.as_str());
    Status::with_error_details(Code::AlreadyExists, message, details)
}

/// A reader of a stream is too slow.
pub(super) fn watch_lagged(missed: u64) -> Status {
    status(
        Code::ResourceExhausted,
        "WATCH_LAGGED",
        format!("{missed} changes came faster than they were read: watch again"),
        [("missed", &missed.to_string())],
    )
}

/// There are too many watchers.
pub(super) fn too_many_watchers(most: usize) -> Status {
    let mut details = info("WATCHERS_LIMIT", [("limit", &most.to_string())]);
    details.add_quota_failure_violation("watchers", format!("at most {most} at a time"));
    details.set_retry_info(Some(Duration::from_secs(10)));
    let message = format!("there are {most} watchers already: come back later");
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The coordinator is stopping.
pub(super) fn draining() -> Status {
    let mut details = info("DRAINING", []);
    details.set_retry_info(Some(Duration::from_secs(5)));
    let message = "the coordinator is stopping: come back later";
    Status::with_error_details(Code::Unavailable, message, details)
}

/// The store did not answer. The log has the reason; clients need not know paths.
pub(crate) fn store_failed(error: &quorate_store::StoreError) -> Status {
    let error: &(dyn std::error::Error + 'static) = error;
    tracing::error!(error, "the store did not answer the API");
    let mut details = info("STORE_FAILED", []);
    details.set_retry_info(Some(Duration::from_secs(5)));
    let message = "the coordinator's store does not answer: see its log";
    Status::with_error_details(Code::Unavailable, message, details)
}

/// There is no valid token.
pub(super) fn token_invalid() -> Status {
    let message = "a valid token is needed: send `authorization: Bearer TOKEN`";
    status(Code::Unauthenticated, "TOKEN_INVALID", message, [])
}

/// The token's role is too low.
pub(super) fn role_required(required: &str, method: &str) -> Status {
    status(
        Code::PermissionDenied,
        "ROLE_REQUIRED",
        format!("{method} needs the role {required}"),
        [("required", required), ("method", method)],
    )
}
