//! Facts that only some kinds of checks see.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a DNS server answered. Made by the kind `dns`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsFacts {
    /// The response code by its name, such as `NOERROR` or `NXDOMAIN`.
    pub rcode: String,
    /// Flags that were set, in lower case: `aa`, `tc`, `ra`, `ad`.
    pub flags: Vec<String>,
    /// Records of the section answer as text, `owner TYPE content`, at most 16 of at most 256 bytes.
    pub answers: Vec<String>,
    /// How many records the section answer has.
    pub answer_count: u16,
    /// How many records the section authority has.
    pub authority_count: u16,
    /// How many records the section additional has, without the pseudo record OPT.
    pub additional_count: u16,
    /// The serial of the SOA record in the answer.
    pub serial: Option<u32>,
}

/// What came back of the packets sent. Made by the kind `icmp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingFacts {
    /// Packets sent.
    pub sent: u32,
    /// Packets answered.
    pub received: u32,
    /// The shortest, the mean and the longest round trip; `None` if nothing came back.
    pub round_trips: Option<RoundTrips>,
}

/// Round trips of several packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrips {
    /// The shortest.
    pub shortest: Duration,
    /// The mean.
    pub mean: Duration,
    /// The longest.
    pub longest: Duration,
}

/// How an RPC ended. Made by the kind `grpc`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GrpcFacts {
    /// The status code, from 0 (OK) to 16. Source: gRPC, "Status codes and their use in gRPC".
    pub status: u8,
    /// The serving status by its name, such as `SERVING`; empty if the RPC failed.
    pub serving: String,
}
