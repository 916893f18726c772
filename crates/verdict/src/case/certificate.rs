//! Certificates: what the regions see of them, and what people are told.

use std::cmp::Reverse;

use quorate_model::{State, Timestamp};

use super::{Case, Context};
use crate::certificate::{self, Near};
use crate::incident::{self, Filing};
use crate::vote::{Group, Sight};

impl Case {
    /// Whether an incident is open that is about more than a certificate.
    pub(super) fn is_open(&self) -> bool {
        incident::is_open(self.incident.as_deref()) && !self.memory.expiry.is_incident
    }

    /// The state that people see: a certificate near its end makes a milder one `degraded`.
    pub(super) fn shown(&self) -> State {
        let latched = self.memory.latched;
        let is_milder = matches!(latched, State::Up | State::Partial);
        if is_milder && self.memory.expiry.ends.is_some() { State::Degraded } else { latched }
    }

    /// The certificate that ends soon.
    pub(super) fn near_end(&self, ctx: &Context<'_>) -> Option<Near> {
        Near::of(&self.memory.expiry, self.check.certificate, ctx.now)
    }

    /// Looks at what the regions see.
    pub(super) fn follow_certificates(&mut self, ctx: &Context<'_>) {
        let Some(warn) = self.check.certificate.warn else {
            self.memory.expiry.clear();
            return;
        };
        let before = ctx.now + warn;
        // Most certificates are far from their end, and then this is all there is to do.
        let is_near = |group: &Group| group.votes.iter().any(|vote| vote.cert_ends < before);
        if self.memory.expiry.ends.is_none() && !self.groups.iter().any(is_near) {
            return;
        }
        let sight = Sight { now: ctx.now, cut: None };
        let ends = |group: &Group| group.soonest_end(ctx.roster, sight).map(Reverse);
        let seen = self.per_place(ctx.roster, ends);
        let seen: Vec<Timestamp> = seen.into_iter().map(|Reverse(end)| end).collect();
        self.memory.expiry.follow(&seen, before, self.groups.len(), ctx.now);
        let time = self.memory.recovery_time(ctx.policy(), ctx.now);
        let over = self.memory.expiry.over(time);
        if over.is_some_and(|over| ctx.now >= over.max(self.grace)) {
            self.memory.expiry.clear();
        }
    }

    /// What people are to be told of a certificate.
    pub(super) fn file_certificate(&mut self, ctx: &Context<'_>) -> Option<Filing> {
        let expiry = self.memory.expiry;
        if expiry.is_incident {
            return expiry.ends.is_none().then(|| incident::over(&self.memory));
        }
        let is_seen = matches!(self.memory.latched, State::Up | State::Partial | State::Degraded);
        let is_due = self.certificate_due(ctx).is_some_and(|due| ctx.now >= due);
        (is_seen && is_due).then(|| {
            self.memory.expiry.tell();
            incident::notice()
        })
    }

    /// When people can be told of the end that they have not been told of.
    fn certificate_due(&self, ctx: &Context<'_>) -> Option<Timestamp> {
        self.memory.expiry.untold()?;
        certificate::quiet_from(self.incident.as_deref(), ctx.policy().reopen_within)
    }

    /// When to look again.
    pub(super) fn certificate_wake(&self, ctx: &Context<'_>) -> Option<Timestamp> {
        let time = self.memory.recovery_time(ctx.policy(), ctx.now);
        let over = self.memory.expiry.over(time).map(|over| over.max(self.grace));
        let due = self.certificate_due(ctx);
        [over, due].into_iter().flatten().filter(|at| *at > ctx.now).min()
    }
}
