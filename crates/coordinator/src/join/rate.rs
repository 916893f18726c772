//! How often each address may try.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Addresses remembered. When there are more, those that could make all attempts again are
/// forgotten; if none can, the newcomer waits.
const ADDRESSES_MAX: usize = 4_096;

/// A bucket of attempts for each address.
#[derive(Debug)]
pub(super) struct Rate {
    burst: u32,
    every: Duration,
    /// When the bucket of each address will be full again, on the clock that is handed in.
    full_at: Mutex<BTreeMap<IpAddr, Duration>>,
}

impl Rate {
    /// `burst` attempts at once, one more after each `every`.
    pub(super) fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every, full_at: Mutex::default() }
    }

    /// Counts an attempt at `now`, or says how long to wait.
    pub(super) fn attempt(&self, address: IpAddr, now: Duration) -> Result<(), Duration> {
        let address = prefix(address);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= ADDRESSES_MAX && !full_at.contains_key(&address) {
            full_at.retain(|_, full| *full > now);
            if full_at.len() >= ADDRESSES_MAX {
                return Err(self.every);
            }
        }
        let full = full_at.get(&address).copied().unwrap_or(now).max(now) + self.every;
        let most = self.every * self.burst;
        let wait = full.saturating_sub(now + most);
        if !wait.is_zero() {
            return Err(wait);
        }
        full_at.insert(address, full);
        Ok(())
    }
}

/// One network that a single customer usually has: the address, or a /64 of IPv6.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let bits = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(bits.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_a_burst_through_and_then_one_at_a_time() {
        let rate = Rate::new(3, Duration::from_secs(1));
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let at = Duration::from_secs(100);
        for _ in 0..3 {
            assert_eq!(rate.attempt(address, at), Ok(()));
        }
        assert_eq!(rate.attempt(address, at), Err(Duration::from_secs(1)));
        assert_eq!(rate.attempt("192.0.2.2".parse().unwrap(), at), Ok(()));
        let later = at + Duration::from_secs(1);
        assert_eq!(rate.attempt(address, later), Ok(()));
        assert!(rate.attempt(address, later).is_err());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let rate = Rate::new(1, Duration::from_secs(1));
        let at = Duration::from_secs(1);
        assert_eq!(rate.attempt("2001:db8::1".parse().unwrap(), at), Ok(()));
        assert!(rate.attempt("2001:db8::2".parse().unwrap(), at).is_err());
        assert_eq!(rate.attempt("2001:db8:0:1::1".parse().unwrap(), at), Ok(()));
    }

    #[test]
    fn remembers_a_bounded_number_of_addresses() {
        let rate = Rate::new(1, Duration::from_secs(1));
        let at = Duration::from_secs(1);
        for number in 0..u32::try_from(ADDRESSES_MAX).unwrap() {
            let address = IpAddr::V4(number.into());
            assert_eq!(rate.attempt(address, at), Ok(()));
        }
        let newcomer: IpAddr = "198.51.100.1".parse().unwrap();
        assert!(rate.attempt(newcomer, at).is_err());
        assert_eq!(rate.attempt(newcomer, at + Duration::from_secs(2)), Ok(()));
    }
}
