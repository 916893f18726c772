//! The network of a region: a forwarding SOCKS5 proxy on real sockets that can be cut.
//!
//! Source: RFC 1928. Only CONNECT to an IP address without authentication, which is all that an
//! agent asks of its egress.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quorate_runtime::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections of one region at a time; further ones wait.
const CONNECTIONS_MAX: usize = 512;
/// Time for a target to accept.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// `VER` of the protocol. Source: RFC 1928, section 3.
const VERSION: u8 = 5;
/// `NO AUTHENTICATION REQUIRED`. Source: RFC 1928, section 3.
const NO_AUTHENTICATION: u8 = 0;
/// `NO ACCEPTABLE METHODS`. Source: RFC 1928, section 3.
const NO_METHOD: u8 = 0xff;
/// `CMD` CONNECT. Source: RFC 1928, section 4.
const CONNECT: u8 = 1;
/// `ATYP` for addresses of version 4 and 6. Source: RFC 1928, section 5.
const IPV4: u8 = 1;
/// As above.
const IPV6: u8 = 4;
/// `REP` values. Source: RFC 1928, section 6.
const SUCCEEDED: u8 = 0;
const GENERAL_FAILURE: u8 = 1;
const HOST_UNREACHABLE: u8 = 4;
const CONNECTION_REFUSED: u8 = 5;
const COMMAND_NOT_SUPPORTED: u8 = 7;
const ADDRESS_TYPE_NOT_SUPPORTED: u8 = 8;

/// What is broken in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Damage {
    /// Nothing gets through.
    cut: bool,
    /// Nothing gets through to these.
    black_holes: BTreeSet<SocketAddr>,
}

impl Damage {
    fn swallows(&self, target: SocketAddr) -> bool {
        self.cut || self.black_holes.contains(&target)
    }
}

/// The network of one region. Dropping it leaves it as it is until its tasks are stopped.
#[derive(Debug)]
pub struct RegionNetwork {
    address: SocketAddr,
    damage: watch::Sender<Damage>,
}

impl RegionNetwork {
    /// Starts a network in which all is well, on a port of loopback that is free.
    ///
    /// # Cancellation
    ///
    /// Dropping it starts nothing.
    pub async fn start(tasks: &Tasks) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (damage, seen) = watch::channel(Damage::default());
        let stop = tasks.token();
        tasks.spawn("demo-network", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = serve(listener, seen) => {}
            }
        });
        Ok(Self { address, damage })
    }

    /// Where the region's agents find their proxy.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nothing through any more: what is sent is never answered, and open connections end.
    pub fn cut(&self) {
        self.damage.send_modify(|damage| damage.cut = true);
    }

    /// Lets nothing through to one address any more.
    pub fn black_hole(&self, target: SocketAddr) {
        self.damage.send_modify(|damage| {
            damage.black_holes.insert(target);
        });
    }

    /// Repairs everything.
    pub fn restore(&self) {
        self.damage.send_replace(Damage::default());
    }
}

/// Takes connections until dropped; they end with it.
async fn serve(listener: TcpListener, damage: watch::Receiver<Damage>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        // An error of accept concerns one connection only.
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let damage = damage.clone();
        connections.spawn(async move {
            // However it ends, the client sees its connection close.
            drop(carry(client, damage).await);
            drop(slot);
        });
    }
}

/// One connection from its greeting to its end.
async fn carry(mut client: TcpStream, mut damage: watch::Receiver<Damage>) -> io::Result<()> {
    if damage.borrow_and_update().cut {
        return swallow(client, damage).await;
    }
    let Some(target) = negotiate(&mut client).await? else {
        return Ok(());
    };
    if damage.borrow_and_update().swallows(target) {
        return swallow(client, damage).await;
    }
    let opening = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(target));
    let mut server = match opening.await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => return reply(&mut client, refusal(&error)).await,
        Err(_) => return reply(&mut client, HOST_UNREACHABLE).await,
    };
    reply(&mut client, SUCCEEDED).await?;
    tokio::select! {
        done = copy_bidirectional(&mut client, &mut server) => done.map(drop),
        // A sender that is gone means that the demo is over.
        _ = damage.wait_for(|damage| damage.swallows(target)) => Ok(()),
    }
}

/// Keeps a connection open without a word, until the client gives up or the damage changes.
async fn swallow(mut client: TcpStream, mut damage: watch::Receiver<Damage>) -> io::Result<()> {
    let mut bin = [0; 1_024];
    loop {
        tokio::select! {
            read = client.read(&mut bin) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            _ = damage.changed() => return Ok(()),
        }
    }
}

/// The greeting and the request; `None` if it was refused.
async fn negotiate(client: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let [version, count] = read(client).await?;
    let mut methods = vec![0; usize::from(count)];
    client.read_exact(&mut methods).await?;
    if version != VERSION || !methods.contains(&NO_AUTHENTICATION) {
        client.write_all(&[VERSION, NO_METHOD]).await?;
        return Ok(None);
    }
    client.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
    let [_, command, _, kind] = read(client).await?;
    if command != CONNECT {
        reply(client, COMMAND_NOT_SUPPORTED).await?;
        return Ok(None);
    }
    let ip: IpAddr = match kind {
        IPV4 => Ipv4Addr::from(read::<4>(client).await?).into(),
        IPV6 => Ipv6Addr::from(read::<16>(client).await?).into(),
        _ => {
            reply(client, ADDRESS_TYPE_NOT_SUPPORTED).await?;
            return Ok(None);
        }
    };
    let port = u16::from_be_bytes(read(client).await?);
    Ok(Some((ip, port).into()))
}

async fn read<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// The reply without a bound address, which nobody here reads.
async fn reply(client: &mut TcpStream, word: u8) -> io::Result<()> {
    client.write_all(&[VERSION, word, 0, IPV4, 0, 0, 0, 0, 0, 0]).await
}

fn refusal(error: &io::Error) -> u8 {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let kind = error.kind();
    if kind == ConnectionRefused {
        CONNECTION_REFUSED
    } else if matches!(kind, HostUnreachable | NetworkUnreachable) {
        HOST_UNREACHABLE
    } else {
        GENERAL_FAILURE
    }
}

#[cfg(test)]
mod tests;
