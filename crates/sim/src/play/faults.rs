//! Faults that happen to processes and to the configuration; the others are looked up when somebody
//! meets them.

use std::time::Duration;

use quorate_model::{AgentId, Prefix, RegionId};

use super::member::Member;
use super::selftest::Stage;
use super::{Job, Player};
use crate::configure;
use crate::scenario::{Fault, Place, What};
use crate::trace::Said;

impl Player {
    /// An agent appears in a network, one of its own unless named, and dials.
    pub(super) fn enrol(&mut self, id: AgentId, region: RegionId, network: Option<&str>) {
        let agent = self.members.len();
        let prefix = network.and_then(|network| self.prefix_of(network));
        self.members.push(Member::new(id, (region, prefix), self.draw, self.now));
        self.boot(agent);
    }

    /// The public prefix of a network: of those for benchmarks. Source: RFC 2544, appendix C.2.2.
    fn prefix_of(&mut self, network: &str) -> Option<Prefix> {
        let known = self.networks.iter().position(|known| known == network);
        let number = known.unwrap_or_else(|| {
            self.networks.push(network.to_owned());
            self.networks.len() - 1
        });
        let [.., high, low] = number.to_be_bytes();
        Prefix::public([198, 18 + (high & 1), low, 1].into())
    }

    fn boot(&mut self, agent: usize) {
        let member = &mut self.members[agent];
        member.is_up = true;
        member.booted = self.now;
        let boot = member.boot;
        let checks: Vec<_> = member.config.keys().cloned().collect();
        for check in checks {
            // The slots that were kept lie in the past: their phases count.
            member.schedule.postpone(&check, self.now);
        }
        let luck = self.draw.word("boot").word(member.id.as_str());
        let wait = luck.between(Duration::from_millis(10), Duration::from_millis(500));
        self.dial_in(agent, wait);
        self.later(wait, Job::Test { agent, boot, stage: Stage::Begin, number: 0 });
        self.arm(agent);
    }

    pub(super) fn fault(&mut self, index: usize, begins: bool) {
        let Some(fault) = self.world.fault(index).cloned() else {
            return;
        };
        let said = Said::Fault { what: words(&fault), begins };
        self.trace.say(self.now, said);
        match &fault.what {
            What::Crash => {
                for agent in self.who(&fault) {
                    if begins {
                        self.crash(agent);
                    } else if !self.members[agent].is_up {
                        self.boot(agent);
                    }
                }
            }
            What::Overload if begins => {
                for agent in self.who(&fault) {
                    let boot = self.members[agent].boot;
                    self.later(Duration::ZERO, Job::Lag { agent, boot });
                }
            }
            What::Coordinator if begins => self.stop_coordinator(),
            What::Coordinator => {
                let fleet = std::sync::Arc::clone(&self.coordinator.fleet);
                self.start_coordinator(fleet);
            }
            What::Join { region, labels, agents } if begins => {
                let place = self
                    .regions
                    .entry(region.clone())
                    .or_insert_with(|| Place { labels: labels.clone(), agents: Vec::new() });
                place.agents.extend(agents.iter().cloned());
                self.reconfigure();
                for (agent, network) in agents {
                    self.enrol(agent.clone(), region.clone(), network.as_deref());
                }
            }
            What::Reconfigure { members, set, .. } if begins => {
                for id in members {
                    if let Some((settings, _)) = self.checks.get_mut(id) {
                        configure::overlay(settings, set);
                    }
                }
                self.reconfigure();
            }
            What::Maintenance { members } if begins => {
                let until = fault.until.map(|until| self.zero + until);
                self.windows.push(configure::window(members, self.now, until));
                self.reconfigure();
            }
            What::Target { .. }
            | What::Isolate { .. }
            | What::Drop { .. }
            | What::Egress { .. }
            | What::CutLink
            | What::Overload
            | What::Clock { .. }
            | What::Anchors { .. }
            | What::Duplicate { .. }
            | What::Delay { .. }
            | What::Join { .. }
            | What::Maintenance { .. }
            | What::Reconfigure { .. } => {}
        }
    }

    fn who(&self, fault: &Fault) -> Vec<usize> {
        let suffers =
            |member: &Member| fault.who.includes(member.region.as_str(), member.id.as_str());
        let members = self.members.iter().enumerate();
        members.filter(|(_, member)| suffers(member)).map(|(agent, _)| agent).collect()
    }

    /// The process is gone, and its side of the stream with it.
    fn crash(&mut self, agent: usize) {
        if self.members[agent].is_up {
            self.members[agent].die();
            self.parted(agent);
        }
    }

    /// Puts the present regions and checks into force.
    fn reconfigure(&mut self) {
        // The rules have seen every change before the start.
        if let Ok(fleet) = configure::fleet(&self.regions, &self.checks, &self.windows) {
            self.reload(fleet);
        }
    }
}

/// The fault as a scenario would have it.
fn words(fault: &Fault) -> String {
    let text = format!("{:?}", fault.what);
    let who: Vec<&str> =
        fault.who.regions.iter().chain(&fault.who.agents).map(String::as_str).collect();
    if who.is_empty() { text } else { format!("{text} for {}", who.join(", ")) }
}
