//! The socket for echoes: without privileges if the system lets us, else raw.

use std::io;
use std::net::{IpAddr, SocketAddr};

use quorate_model::Doubt;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::connect::{exhausted, is_exhausted};
use crate::phase::Stop;

/// A socket that sends to `to` and hears from it.
pub(super) fn open(to: IpAddr, whole: bool) -> Result<UdpSocket, Stop> {
    let (domain, protocol) = if to.is_ipv4() {
        (Domain::IPV4, Protocol::ICMPV4)
    } else {
        (Domain::IPV6, Protocol::ICMPV6)
    };
    // A ping socket needs no privilege, where the system has opened them for the agent's group.
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))
        .or_else(|_| Socket::new(domain, Type::RAW, Some(protocol)))
        .map_err(|error| refused(&error))?;
    if whole {
        forbid_fragments(&socket, to).map_err(|error| {
            let message = format!("this system cannot forbid fragments: {error}");
            Stop::doubt(Doubt::Internal, message)
        })?;
    }
    let ready = || {
        socket.connect(&SocketAddr::new(to, 0).into())?;
        socket.set_nonblocking(true)?;
        // Send and receive are the same for every socket of datagrams.
        UdpSocket::from_std(socket.into())
    };
    ready().map_err(|error| crate::datagram::failed(&format!("packet to {to}"), &error))
}

fn refused(error: &io::Error) -> Stop {
    if is_exhausted(error) {
        return exhausted("packet", error);
    }
    let message = format!(
        "this agent may not open a socket for ICMP ({error}): set the sysctl \
         net.ipv4.ping_group_range to a range with the agent's group, or give it CAP_NET_RAW"
    );
    Stop::doubt(Doubt::NoPrivilege, message)
}

/// Sets "do not fragment", and has the kernel refuse what does not fit.
#[cfg(target_os = "linux")]
fn forbid_fragments(socket: &Socket, to: IpAddr) -> io::Result<()> {
    use rustix::net::sockopt;
    if to.is_ipv4() {
        sockopt::set_ip_mtu_discover(socket, sockopt::Ipv4PathMtuDiscovery::DO)?;
    } else {
        sockopt::set_ipv6_mtu_discover(socket, sockopt::Ipv6PathMtuDiscovery::DO)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn forbid_fragments(_: &Socket, _: IpAddr) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
