//! A probe of the agent by itself: a connection over loopback, in the same runtime as all others.
//!
//! A target is far away and may be slow; the own process is not. When it takes long to answer
//! itself, or cannot open a connection at all, what other probes fail to do says nothing.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quorate_checks::is_exhausted;
use quorate_runtime::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::lag::{Lag, Watcher};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// The time after which a look is given up.
const GIVEN_UP: Duration = Duration::from_secs(5);

/// Probes the agent itself.
#[derive(Debug)]
pub(crate) struct Sentinel {
    listener: TcpListener,
    address: SocketAddr,
    clock: Clock,
    lag: Arc<Lag>,
}

impl Sentinel {
    /// A sentinel that listens on a loopback port of its own and has answered itself once.
    ///
    /// # Errors
    ///
    /// When there is no loopback to speak of: it could never tell starvation from its absence.
    pub(crate) async fn start(clock: Clock, lag: Arc<Lag>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let sentinel = Self { listener, address, clock, lag };
        tokio::time::timeout(GIVEN_UP, sentinel.exchange()).await??;
        Ok(sentinel)
    }

    /// Looks for ever.
    ///
    /// # Cancellation
    ///
    /// Dropping it ends the looking.
    pub(crate) async fn watch(&self) {
        loop {
            self.look().await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Looks once, and notes when that shows that the agent cannot keep up.
    async fn look(&self) {
        let begun = self.clock.uptime();
        self.lag.begin(Watcher::Sentinel, begun);
        let ended = tokio::time::timeout(GIVEN_UP, self.exchange()).await;
        let now = self.clock.uptime();
        self.lag.end(Watcher::Sentinel, now);
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the agent cannot connect to itself");
            if is_exhausted(&error) {
                self.lag.suffered(begun, now);
            }
        }
    }

    /// Connects, and sends a byte there and back.
    async fn exchange(&self) -> io::Result<()> {
        let mut client = TcpStream::connect(self.address).await?;
        // Ended by a reset, so that no look leaves a port in TIME_WAIT behind.
        client.set_zero_linger()?;
        let own = client.local_addr()?;
        let answer = async {
            loop {
                // Whoever else connects is none of our business.
                let (mut server, peer) = self.listener.accept().await?;
                if peer == own {
                    let byte = server.read_u8().await?;
                    return server.write_u8(byte).await;
                }
            }
        };
        let question = async {
            client.write_u8(1).await?;
            client.read_u8().await
        };
        tokio::try_join!(answer, question)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sentinel() -> (Sentinel, Clock, Arc<Lag>) {
        let (clock, lag) = (Clock::start(), Arc::<Lag>::default());
        let sentinel = Sentinel::start(clock, Arc::clone(&lag)).await.unwrap();
        (sentinel, clock, lag)
    }

    #[tokio::test]
    async fn an_agent_that_keeps_up_answers_itself() {
        let (sentinel, clock, lag) = sentinel().await;
        let stranger = TcpStream::connect(sentinel.address).await.unwrap();
        sentinel.look().await;
        drop(stranger);
        assert!(!lag.overlaps(Duration::ZERO, clock.uptime()));
    }

    #[tokio::test]
    async fn a_runtime_that_is_kept_from_working_is_late_to_answer() {
        let (sentinel, clock, lag) = sentinel().await;
        let before = clock.uptime();
        let hog = async {
            // The sentinel is on its way when something takes the thread and keeps it.
            while clock.uptime() < before + Duration::from_millis(600) {
                std::hint::spin_loop();
            }
        };
        tokio::join!(sentinel.look(), hog);
        assert!(lag.overlaps(before, clock.uptime()));
    }
}
