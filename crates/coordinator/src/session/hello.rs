//! The first message.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_model::{BootId, CheckId, KindName, Prefix, RegionId, Revision};
use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::connect_request::Message as Up;
use tonic::{Status, Streaming};

use super::refusal;
use crate::Peer;
use crate::bus::{Connected, SessionId};

/// The most check kinds that an agent may name.
const KINDS_MAX: usize = 64;

/// The longest version that is kept, in characters.
const VERSION_MAX: usize = 64;

/// What an agent says of itself, checked.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) boot: BootId,
    pub(super) version: String,
    pub(super) kinds: BTreeSet<KindName>,
    pub(super) revisions: BTreeMap<CheckId, Revision>,
    pub(super) spooled: u64,
}

impl Hello {
    /// What the engine's task hears of it. Who the agent is and where it votes is its certificate's
    /// word; from where it comes is the connection's.
    pub(super) fn introduce(&self, peer: &Peer, session: SessionId) -> Connected {
        Connected {
            agent: peer.agent.clone(),
            region: peer.region.clone(),
            prefix: Prefix::public(peer.address.ip()),
            session,
            boot: self.boot,
            version: self.version.clone(),
            kinds: self.kinds.clone(),
            spooled: self.spooled,
        }
    }
}

/// Waits for the first message, which must be Hello.
pub(super) async fn first(
    inbound: &mut Streaming<wire::ConnectRequest>,
    limit: Duration,
) -> Result<wire::Hello, Status> {
    let message = tokio::time::timeout(limit, inbound.message())
        .await
        .map_err(|_| refusal::hello_required())??;
    match message.and_then(|request| request.message) {
        Some(Up::Hello(hello)) => Ok(hello),
        _ => Err(refusal::hello_required()),
    }
}

/// Checks what an agent says of itself. Names that cannot be are passed over.
pub(super) fn check(hello: wire::Hello, peer: &Peer) -> Result<Hello, Status> {
    let boot: [u8; 16] = hello
        .boot_id
        .as_slice()
        .try_into()
        .map_err(|_| refusal::invalid("field boot_id must have 16 bytes"))?;
    if !hello.region.is_empty() {
        let claimed: RegionId = hello.region.parse().map_err(refusal::invalid)?;
        if claimed != peer.region {
            return Err(refusal::region_mismatch(peer, &claimed));
        }
    }
    if hello.kinds.len() > KINDS_MAX {
        return Err(refusal::invalid("field kinds has more than 64 entries"));
    }
    let revisions = hello.known_revisions.into_iter();
    Ok(Hello {
        boot: BootId(u128::from_be_bytes(boot)),
        version: hello.version.chars().take(VERSION_MAX).collect(),
        kinds: hello.kinds.iter().filter_map(|kind| kind.parse().ok()).collect(),
        revisions: revisions
            .filter_map(|(check, revision)| Some((check.parse().ok()?, Revision(revision))))
            .collect(),
        spooled: u64::try_from(hello.spooled_result_count).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use quorate_model::Timestamp;

    use super::*;

    #[test]
    fn an_agent_is_introduced_as_its_certificate_and_its_connection_show_it() {
        let peer = |address: &str| Peer {
            agent: "fra-1".parse().unwrap(),
            region: "fra".parse().unwrap(),
            not_after: Timestamp::EPOCH,
            address: address.parse().unwrap(),
        };
        let hello = wire::Hello { boot_id: vec![7; 16], ..wire::Hello::default() };
        let hello = check(hello, &peer("127.0.0.1:1")).unwrap();
        let prefix = |address: &str| {
            let connected = hello.introduce(&peer(address), SessionId(1));
            assert_eq!((connected.agent.as_str(), connected.region.as_str()), ("fra-1", "fra"));
            connected.prefix.map(|prefix| prefix.to_string())
        };
        assert_eq!(prefix("198.51.100.7:4711").as_deref(), Some("198.51.100.0/24"));
        assert_eq!(prefix("[::ffff:198.51.100.7]:4711").as_deref(), Some("198.51.100.0/24"));
        assert_eq!(prefix("10.0.0.7:4711"), None);
    }
}
