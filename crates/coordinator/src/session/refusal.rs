//! Why a stream of an agent ends.

use std::time::Duration;

use quorate_model::RegionId;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::Peer;

const DOMAIN: &str = "quorate";

fn refuse<const N: usize>(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    about: [(&str, &str); N],
) -> Status {
    Status::with_error_details(code, message, details(reason, about))
}

fn later(code: Code, reason: &str, message: &str, wait: Duration) -> Status {
    let mut details = details(reason, []);
    details.set_retry_info(Some(wait));
    Status::with_error_details(code, message, details)
}

fn details<const N: usize>(reason: &str, about: [(&str, &str); N]) -> ErrorDetails {
    let about = about.map(|(key, value)| (key.to_owned(), value.to_owned()));
    ErrorDetails::with_error_info(reason, DOMAIN, about)
}

pub(super) fn no_certificate() -> Status {
    refuse(
        Code::Unauthenticated,
        "CERTIFICATE_REQUIRED",
        "agents connect with the certificate that they got when they joined",
        [],
    )
}

pub(super) fn not_enrolled(peer: &Peer) -> Status {
    let (agent, region) = (peer.agent.as_str(), peer.region.as_str());
    refuse(
        Code::PermissionDenied,
        "AGENT_NOT_ENROLLED",
        format!("no agent {agent} has joined in region {region}: let it join with a new token"),
        [("agent", agent), ("region", region)],
    )
}

pub(super) fn hello_required() -> Status {
    refuse(
        Code::FailedPrecondition,
        "HELLO_REQUIRED",
        "the first message of a stream must be Hello, within 10 s",
        [],
    )
}

pub(super) fn region_mismatch(peer: &Peer, claimed: &RegionId) -> Status {
    let (region, claimed) = (peer.region.as_str(), claimed.as_str());
    refuse(
        Code::PermissionDenied,
        "REGION_MISMATCH",
        format!("the agent believes to be in region {claimed}, its certificate says {region}"),
        [("region", region), ("claimed", claimed)],
    )
}

pub(super) fn invalid(message: impl std::fmt::Display) -> Status {
    refuse(Code::InvalidArgument, "FIELD_INVALID", message.to_string(), [])
}

pub(super) fn superseded() -> Status {
    refuse(
        Code::Aborted,
        "SESSION_SUPERSEDED",
        "the same agent has opened another stream; if that was not this process, two run with one \
         certificate",
        [],
    )
}

pub(super) fn idle(after: Duration) -> Status {
    refuse(
        Code::DeadlineExceeded,
        "STREAM_IDLE",
        format!("nothing was heard for {} s", after.as_secs()),
        [],
    )
}

pub(super) fn unacked() -> Status {
    refuse(
        Code::DeadlineExceeded,
        "CONFIG_UNACKED",
        "a configuration update was not answered within 30 s",
        [],
    )
}

pub(super) fn too_slow() -> Status {
    refuse(Code::ResourceExhausted, "AGENT_TOO_SLOW", "the agent does not read what it is sent", [])
}

pub(super) fn expired(peer: &Peer) -> Status {
    refuse(
        Code::Unauthenticated,
        "AGENT_CERT_EXPIRED",
        format!("the agent's certificate has expired at {}", peer.not_after),
        [("agent", peer.agent.as_str())],
    )
}

pub(super) fn draining(retry_after: Duration) -> Status {
    later(Code::Unavailable, "DRAINING", "the coordinator is stopping", retry_after)
}

pub(super) fn store_unavailable(full: bool, retry_after: Duration) -> Status {
    if full {
        later(
            Code::ResourceExhausted,
            "STORE_FULL",
            "the coordinator's store is full: nothing was kept, send it again later",
            retry_after,
        )
    } else {
        later(
            Code::Unavailable,
            "STORE_UNAVAILABLE",
            "the coordinator's store fails: nothing was kept, send it again later",
            retry_after,
        )
    }
}
