//! The origin: what stands behind a delivery network or a gateway, as a check of its own sees it.
//!
//! **What it decides.** Whether the origin of a check works, whether it fails, or that nothing can
//! be said. A check names the check that probes its origin past the network in front of it; that
//! one has votes, episodes and a verdict of its own. When the front is down and the origin works,
//! the network in front is responsible (`cdn`); when the origin fails too, the origin is
//! (`origin`). When the origin is down and the front still answers, users are served from a cache:
//! the front is `degraded` until the origin is back.
//!
//! **Why so.** From outside nothing tells a broken network from a broken origin. Only a probe that
//! takes another way does.
//!
//! **Only what was seen since.** A success of the origin from before the front failed says nothing
//! about now. Only probes count that started since a second region failed, and since the suspicion
//! that led to it: one region that lies about when its probe started moves neither. In the same
//! way the front is served from a cache only when its successes started after the origin broke; a
//! region that is in trouble then counts as well, for a worse answer is no reason for a milder verdict.
//! The first round of a suspicion of the front asks about the origin too, so that by the time the
//! front is down there is something to know.
//!
//! **What it costs.** Those rounds are paid by the fronts, all from one purse of the origin, as large
//! as that of its own rounds. However many fronts are suspected, and by a region that suspects them
//! all the time, the origin is asked at most twice as often as for itself, and an outage of its own
//! is found as soon as without them.
//!
//! **Enough.** A quorum of the origin's regions must agree, and more than half of those that are
//! live, so that no single region turns the cause. Without that many (a check that is new, not
//! probed, refused, or seen by too few regions) nothing is concluded.
//!
//! **No news.** What keeps the origin's own messages back keeps back what fronts would say of it. While
//! it is muted (maintenance, silence), and as long as its outage may still be over in time to be
//! ignored (`ignore_shorter_than`), a front that only lacks its origin is `degraded` for all to see,
//! but no incident is opened and nobody is told. What still lasts when that ends is told then. What
//! the front's own votes show is told as ever, and an incident that is open already stays so until
//! all is well.
//!
//! **What it ignores.** Why the origin fails, and how slow it is.
//!
//! **Example.** The edge of a network answers nothing from 120 s on. The first late probe started
//! at 121 s; all regions are asked about both at 123 s. At 133 s the front is down in five regions,
//! while the origin has answered five probes that started at 123 s: `cdn`.

use quorate_model::{CheckId, OriginFinding, OriginHold, Timestamp};

use crate::alarms::CheckIx;
use crate::count::Count;
use crate::episode::Purse;

/// What is known of an origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) finding: Option<OriginFinding>,
    /// Regions that found it well by what they probed since then.
    pub(crate) working: usize,
    /// Regions that found it broken.
    pub(crate) failing: usize,
    /// Regions that probe it.
    pub(crate) configured: usize,
    /// Since when it works or fails, as far as is known.
    pub(crate) since: Option<Timestamp>,
    /// When it broke, while its verdict is `down`.
    pub(crate) broke: Option<Timestamp>,
    /// Its last success before that.
    pub(crate) worked: Option<Timestamp>,
    /// Why that is no news yet, if it is none.
    pub(crate) hold: Option<OriginHold>,
}

/// How many regions must agree: the quorum in force, and more than half of those that are live.
pub(crate) fn enough(count: &Count) -> Option<usize> {
    count.needed.map(|needed| needed.max(count.tally.live / 2 + 1))
}

/// What stands in for an origin that is down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cache {
    /// Whether users are served although it is down.
    pub(crate) is_serving: bool,
    /// Why nobody is told of that yet, if nothing else is wrong.
    pub(crate) hold: Option<OriginHold>,
}

/// What a verdict is told of the origin behind its check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behind<'a> {
    /// The check that probes it.
    pub(crate) check: &'a CheckId,
    pub(crate) known: &'a Known,
    pub(crate) cache: Cache,
}

/// How a check hangs together with others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Links {
    /// The check that probes its origin.
    pub(crate) origin: Option<(CheckIx, CheckId)>,
    /// The checks of which it probes the origin.
    pub(crate) fronts: Vec<CheckIx>,
    /// What was known of the origin when the check was judged last.
    pub(crate) known: Known,
    /// Whether the origin is to be asked about too.
    pub(crate) asks: bool,
    /// What rounds for the fronts are paid from, all together.
    pub(crate) purse: Purse,
    /// When a front that waits for a round is served.
    pub(crate) wanted: Option<Timestamp>,
}

impl Links {
    /// Whether a front waits that may be served.
    pub(crate) fn is_wanted(&self, now: Timestamp) -> bool {
        self.wanted.is_some_and(|at| at <= now)
    }
    /// What a verdict is told of the origin; `None` without one.
    pub(crate) fn behind(&self, cache: Cache) -> Option<Behind<'_>> {
        let (_, check) = self.origin.as_ref()?;
        Some(Behind { check, known: &self.known, cache })
    }
}
