//! Which address a target has: those of one network share a prefix, and each edge of a delivery
//! network has its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::scenario::{Family, Target};

/// The addresses of all targets.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// By target, and by edge if it has any: number of the network, and of the host within it.
    places: BTreeMap<(String, Option<String>), (u32, u8)>,
    networks: u32,
}

impl Addresses {
    pub(crate) fn of(targets: &BTreeMap<String, Target>) -> Self {
        let mut networks: BTreeMap<&str, (u32, u8)> = BTreeMap::new();
        let mut places = BTreeMap::new();
        for (name, target) in targets {
            let next = u32::try_from(networks.len()).unwrap_or(0);
            let place = networks.entry(&target.network).or_insert((next, 0));
            let edges: BTreeSet<&String> = target.edges.values().collect();
            let edges = edges.into_iter().cloned().map(Some);
            for edge in std::iter::once(None).chain(edges) {
                place.1 = place.1.wrapping_add(1);
                places.insert((name.clone(), edge), *place);
            }
        }
        let networks = u32::try_from(networks.len()).unwrap_or(0);
        Self { places, networks }
    }

    /// The addresses of a target, or of one of its edges, in the order of its families.
    pub(crate) fn get(&self, target: &str, edge: Option<&str>, families: &[Family]) -> Vec<IpAddr> {
        let key = (target.to_owned(), edge.map(str::to_owned));
        let place = self.places.get(&key).copied().unwrap_or((self.networks, 0));
        families.iter().map(|family| address(place, *family)).collect()
    }

    /// An address that is no target's.
    pub(crate) fn elsewhere(&self) -> IpAddr {
        address((self.networks + 1, 1), Family::V4)
    }
}

/// One /24 (or /48) for each network.
fn address((network, host): (u32, u8), family: Family) -> IpAddr {
    let [_, high, middle, low] = network.to_be_bytes();
    match family {
        Family::V4 => Ipv4Addr::new(20 + high, middle, low, host).into(),
        Family::V6 => {
            let network = u16::from_be_bytes([middle, low]);
            Ipv6Addr::new(0x2001, 0xdb8, network, 0, 0, 0, u16::from(high), host.into()).into()
        }
    }
}
