//! How many strangers each address has at the door.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts strangers for each address. Holds only addresses that have one, so the listener's bound
/// on connections bounds it too.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    most: usize,
    present: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

impl Gate {
    pub(super) fn new(most: usize) -> Self {
        Self { most, present: Arc::default() }
    }

    /// Lets one more in from `address`, unless there are too many. It is gone when the guard is.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Stranger> {
        let address = address.to_canonical();
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let count = present.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Stranger { address, gate: self.clone() })
    }
}

/// One stranger at the door.
#[derive(Debug)]
pub(super) struct Stranger {
    address: IpAddr,
    gate: Gate,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let present = &self.gate.present;
        let mut present = present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = present.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                present.remove(&self.address);
            }
        }
    }
}
