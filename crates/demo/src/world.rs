//! What the demo's agents find outside: targets and anchors, and the networks that lead there.

use std::io;
use std::net::SocketAddr;

use quorate_checks::{Egress, Policy};
use quorate_runtime::Tasks;

use crate::configuration::REGIONS;
use crate::network::RegionNetwork;
use crate::script::{Fault, ISLAND, PATH};
use crate::targets::{Mode, Target, start_anchor};

/// How many anchors there are.
const ANCHORS: usize = 5;

/// Targets, anchors and a network for each region.
#[derive(Debug)]
pub(crate) struct World {
    shop: Target,
    api: Target,
    mail: Target,
    networks: Vec<(&'static str, RegionNetwork)>,
    /// Where the anchors are.
    pub anchors: Vec<SocketAddr>,
}

impl World {
    /// Starts it, in good order.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves servers behind that end with `tasks`.
    pub(crate) async fn start(tasks: &Tasks) -> io::Result<Self> {
        let mut networks = Vec::new();
        for (region, ..) in REGIONS {
            networks.push((region, RegionNetwork::start(tasks).await?));
        }
        let mut anchors = Vec::new();
        for _ in 0..ANCHORS {
            anchors.push(start_anchor(tasks).await?);
        }
        Ok(Self {
            shop: Target::start(tasks).await?,
            api: Target::start(tasks).await?,
            mail: Target::start(tasks).await?,
            networks,
            anchors,
        })
    }

    /// Where the targets are: shop, api, mail.
    pub(crate) fn targets(&self) -> [SocketAddr; 3] {
        [self.shop.address(), self.api.address(), self.mail.address()]
    }

    /// The way out of each region, and what its agent may contact: this machine alone.
    pub(crate) fn ways(&self) -> Result<Vec<(Egress, Policy)>, String> {
        self.networks
            .iter()
            .map(|(_, network)| {
                let policy = Policy::allowing(["127.0.0.0/8".parse()?]);
                Ok((Egress::Socks5(network.address()), policy))
            })
            .collect()
    }

    /// Breaks or repairs something.
    pub(crate) fn apply(&self, fault: Fault) {
        let of = |name: &'static str| {
            let networks = self.networks.iter();
            networks.filter(move |(region, _)| *region == name).map(|(_, network)| network)
        };
        match fault {
            Fault::Nothing => {}
            Fault::Cut => of(ISLAND).for_each(RegionNetwork::cut),
            Fault::Path => of(PATH).for_each(|network| network.black_hole(self.shop.address())),
            Fault::Outage => self.shop.become_mode(Mode::BlackHole),
            Fault::Repair => {
                self.networks.iter().for_each(|(_, network)| network.restore());
                self.shop.become_mode(Mode::Fine);
            }
        }
    }
}
