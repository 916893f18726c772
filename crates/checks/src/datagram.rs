//! Datagrams: they go to one address, and never through a proxy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use quorate_model::{Phase, Reason};
use tokio::net::UdpSocket;

use crate::ProbeContext;
use crate::connect::kept_back;
use crate::context::Egress;
use crate::phase::Stop;

/// Refuses to go out directly where the agent goes out through a proxy. Neither kind of proxy carries
/// datagrams here, and going round it would break the rule that it stands for.
pub(crate) fn direct(context: &ProbeContext, what: &str) -> Result<(), Stop> {
    match context.environment.egress {
        Egress::Direct => Ok(()),
        Egress::Socks5(_) | Egress::HttpConnect(_) => {
            let rule = format!("this agent goes out through a proxy, which carries no {what}");
            Err(Stop::denied(&rule))
        }
    }
}

/// A UDP socket that sends to `target` and hears only from it.
pub(crate) async fn socket(target: SocketAddr) -> Result<UdpSocket, Stop> {
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let open = async {
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
        socket.connect(target).await?;
        Ok(socket)
    };
    open.await.map_err(|error| failed(&format!("datagram to {target}"), &error))
}

/// A datagram that could not be sent, or that was answered by an error (ICMP) on the way.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds of errors grow; what is unknown is told in its own words"
)]
pub(crate) fn failed(what: &str, error: &io::Error) -> Stop {
    if let Some(own) = kept_back(what, error) {
        return own;
    }
    let (reason, words) = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            (Reason::Refused, "refused: nothing listens there (ICMP port unreachable)".to_owned())
        }
        io::ErrorKind::HostUnreachable => (Reason::Unreachable, "failed: no route".to_owned()),
        io::ErrorKind::NetworkUnreachable => {
            (Reason::Unreachable, "failed: network unreachable".to_owned())
        }
        _ => (Reason::Unreachable, format!("failed: {error}")),
    };
    Stop::fail(Phase::Ttfb, reason, format!("{what} {words}"))
}
