//! Edges: which part of a delivery network the failing regions have met.
//!
//! **What it decides.** Where one edge fails and the others are well: then that edge is broken, not
//! the path and not the target. An edge is known by the name that it gives in its answer, or else by
//! its address.
//!
//! **Why so.** A delivery network answers each region from somewhere else. One of its places can
//! break, or carry an old certificate, while the others are well.
//!
//! **Enough.** One region may lie, or be served once more from a cache, so one is an exception:
//! besides the failures at the edge at most one region may fail elsewhere, and at most one may
//! succeed there; each must be outnumbered by those failures. At least two must be known to succeed
//! elsewhere: where every answer bears one name, a single other name proves nothing.
//!
//! So, of three regions or more that fail at an edge while three succeed elsewhere, no single one
//! takes the cause away; of two, only one that lands there itself does, for one against one tells
//! nothing. No single region makes an edge of a target that is down. What one can do is to join a
//! failure that may be a path, under the name of its edge: the path is not listed then, but the
//! symptom is, as what else would fit.
//!
//! **One region.** Its edge is often nobody else's, so an edge that it names itself, in an answer
//! that is wrong, is believed; an address that does not answer is not told from the path there. If
//! another region is served by that edge, it is the path.
//!
//! **What it ignores.** Succeeding regions whose edge is not known; and addresses of another family,
//! which are no other edge.
//!
//! **Example.** d and e are told 503 by `gru`, a and b succeed at `iad` and `dub`, and c says that it
//! succeeds at `gru`: the edge `gru`.

use std::net::IpAddr;

use crate::cause::Witness;

/// Where one region has met the target.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Edge<'a> {
    /// What the edge calls itself; known only from an answer.
    pub(crate) name: Option<&'a str>,
    pub(crate) address: Option<IpAddr>,
}

/// So many regions may be an exception: one that lies, or is served from a cache.
const EXCEPTIONS: usize = 1;

/// The edge that fails while the others are well, in words.
pub(crate) fn of(failing: &[Witness<'_>], fine: &[Witness<'_>]) -> Option<String> {
    if let Some((name, place)) = broken(failing, fine, |edge| edge.name, |_, _| true) {
        return Some(format!("{place} at edge {}", name.escape_debug()));
    }
    let is_family = |one: &IpAddr, other: &IpAddr| one.is_ipv4() == other.is_ipv4();
    let address = broken(failing, fine, |edge| edge.address, is_family);
    let address = address.filter(|_| failing.len() > 1);
    address.map(|(address, place)| format!("{place} at address {address}"))
}

/// What most of `failing` have and the others have not, and whether it is only they.
fn broken<'a, T: PartialEq>(
    failing: &[Witness<'a>],
    fine: &[Witness<'a>],
    of: impl Fn(&Edge<'a>) -> Option<T>,
    is_comparable: impl Fn(&T, &T) -> bool,
) -> Option<(T, &'static str)> {
    let met = |witnesses: &[Witness<'a>], which: &T| {
        witnesses.iter().filter(|witness| of(&witness.edge).as_ref() == Some(which)).count()
    };
    let candidates = failing.iter().filter_map(|witness| of(&witness.edge));
    let (shared, fail) = candidates
        .map(|edge| (met(failing, &edge), edge))
        .find(|(count, _)| count * 2 > failing.len())
        .map(|(count, edge)| (edge, count))?;
    let (fail_elsewhere, served) = (failing.len() - fail, met(fine, &shared));
    let known = fine.iter().filter_map(|witness| of(&witness.edge));
    let elsewhere = known.filter(|other| *other != shared && is_comparable(&shared, other)).count();
    let is_broken = fail_elsewhere <= EXCEPTIONS
        && served <= EXCEPTIONS
        && served < fail
        && elsewhere > EXCEPTIONS;
    let place = if fail_elsewhere + served == 0 { "only" } else { "mostly" };
    is_broken.then_some((shared, place))
}

#[cfg(test)]
mod tests {
    use quorate_model::Outcome;

    use super::*;

    fn met(name: Option<&'static str>, address: &str) -> Witness<'static> {
        let edge = Edge { name, address: address.parse().ok() };
        Witness { region: None, outcome: Outcome::Ok, status: None, lookup: None, edge }
    }

    #[test]
    fn an_edge_is_broken_when_those_that_fail_have_met_it_and_others_another() {
        let (gru, fra) = (met(Some("gru"), "192.0.2.1"), met(Some("fra"), "192.0.2.1"));
        let (iad, unnamed) = (met(Some("iad"), "192.0.2.1"), met(None, "192.0.2.1"));
        let only = Some("only at edge gru".to_owned());
        assert_eq!(of(&[gru], &[fra, iad]), only);
        assert_eq!(of(&[gru], &[fra, fra, unnamed]), only);
        assert_eq!(of(&[gru, gru], &[fra, fra, unnamed]), only);
        assert_eq!(of(&[gru], &[fra, iad, gru]), None, "it works from elsewhere");
        assert_eq!(of(&[gru, gru], &[fra, iad, gru, gru]), None, "it works from elsewhere");
        assert_eq!(of(&[gru, fra], &[iad, iad]), None, "no more there than elsewhere");
        assert_eq!(
            of(&[gru, unnamed], &[fra, fra]),
            None,
            "one has not met it, as far as is known"
        );
        assert_eq!(of(&[gru, gru], &[unnamed]), None, "where the others land is not known");
        assert_eq!(of(&[gru, gru], &[]), None, "nobody succeeds");
    }

    #[test]
    fn one_region_neither_clears_an_edge_nor_makes_one_of_a_target() {
        let (gru, fra) = (met(Some("gru"), "192.0.2.1"), met(Some("fra"), "192.0.2.1"));
        let mostly = Some("mostly at edge gru".to_owned());
        assert_eq!(of(&[gru, gru], &[fra, fra, gru]), mostly, "served there, it says");
        assert_eq!(of(&[gru, gru, fra], &[fra, fra]), mostly, "it fails elsewhere, it says");
        assert_eq!(of(&[gru, gru, met(None, "")], &[fra, fra]), mostly);
        assert_eq!(of(&[gru, gru, fra, fra], &[fra, fra]), None, "two fail elsewhere");
        assert_eq!(of(&[gru, gru, gru, gru], &[fra]), None, "all answers bear that name");
    }

    #[test]
    fn an_address_is_an_edge_for_two_regions_and_within_its_family() {
        let (one, two) = (met(None, "192.0.2.1"), met(None, "192.0.2.2"));
        let six = met(None, "2001:db8::1");
        assert_eq!(of(&[one, one], &[two, two]), Some("only at address 192.0.2.1".to_owned()));
        assert_eq!(of(&[one], &[two, two]), None, "that may be the path");
        assert_eq!(of(&[one, one], &[six, six]), None, "that may be the family");
        assert_eq!(of(&[one, two], &[six, six]), None);
    }
}
