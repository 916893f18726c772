//! Outages through the player of scenarios: heartbeats, self-tests, spools and streams included.

use std::time::Duration;

use quorate_model::AlertKind;

use super::outage::Delays;
use crate::random::Draw;
use crate::trace::Said;

/// When a target breaks at the earliest, and within how much more.
const ONSET: (Duration, Duration) = (Duration::from_secs(70), Duration::from_secs(60));

/// Plays one scenario for each of `count` seeds from `first` on: the target breaks for everybody at
/// a random phase, at once or into silence.
pub fn detect_in_scenarios(is_error: bool, first: u64, count: u64) -> Result<Delays, String> {
    let mut delays = Delays::default();
    let kind = if is_error { "refuse" } else { "black_hole" };
    for seed in first..first + count {
        let onset = Draw::of(seed).word("onset").between(ONSET.0, ONSET.0 + ONSET.1);
        let text = format!(
            "name: outage\nabout: The target breaks for everybody.\nrun: 3m\n\
             checks: {{ shop: {{ target: shop }} }}\nbackground: {{ checks: 0, networks: 1 }}\n\
             faults: [{{ at: {}ms, kind: {kind}, target: shop }}]\nexpect: []\n",
            onset.as_millis()
        );
        let onset = Duration::from_millis(u64::try_from(onset.as_millis()).unwrap_or(0));
        let scenario = crate::parse("outage.yaml", &text).map_err(|problems| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        })?;
        let played = crate::play(&scenario, seed)?;
        let page = played
            .entries
            .iter()
            .find(|entry| matches!(entry.said, Said::Alert { kind: AlertKind::Page, .. }));
        let is_message = |said: &Said| {
            matches!(said, Said::Alert { kind: AlertKind::Page | AlertKind::Notice, .. })
        };
        delays.messages += played.entries.iter().filter(|entry| is_message(&entry.said)).count();
        delays.pages += usize::from(page.is_some());
        match page {
            Some(page) if page.at >= onset => delays.told.push(page.at.saturating_sub(onset)),
            Some(_) => delays.false_pages += 1,
            None => delays.missed += 1,
        }
    }
    delays.told.sort_unstable();
    Ok(delays)
}
