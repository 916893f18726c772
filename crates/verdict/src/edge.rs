//! Edges: which part of a delivery network the failing regions have met.
//!
//! **What it decides.** All failing regions have met one edge, and no region that succeeds has met
//! it: then that edge is broken, not the path and not the target. An edge is known by the name that
//! it gives in its answer, or else by its address.
//!
//! **Why so.** A delivery network answers each region from somewhere else. One of its places can
//! break, or carry an old certificate, while the others are well.
//!
//! **One region.** Its edge is often nobody else's, so an edge that it names itself, in an answer
//! that is wrong, is believed; an address that does not answer is not told from the path there.
//!
//! **What it ignores.** Succeeding regions whose edge is not known, as long as the edge of one is;
//! and addresses of another family, which are no other edge.

use std::net::IpAddr;

use crate::cause::Witness;

/// Where one region has met the target.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Edge<'a> {
    /// What the edge calls itself; known only from an answer.
    pub(crate) name: Option<&'a str>,
    pub(crate) address: Option<IpAddr>,
}

/// The edge at which all of `failing` land and none of `fine`, in words.
pub(crate) fn of(failing: &[Witness<'_>], fine: &[Witness<'_>]) -> Option<String> {
    if let Some(name) = only_in(failing, fine, |edge| edge.name, |_, _| true) {
        return Some(format!("only at edge {}", name.escape_debug()));
    }
    let is_family = |one: &IpAddr, other: &IpAddr| one.is_ipv4() == other.is_ipv4();
    let address = only_in(failing, fine, |edge| edge.address, is_family);
    address.filter(|_| failing.len() > 1).map(|address| format!("only at address {address}"))
}

/// What all of `failing` have and none of `fine`, of which at least one has something comparable.
fn only_in<'a, T: PartialEq>(
    failing: &[Witness<'a>],
    fine: &[Witness<'a>],
    of: impl Fn(&Edge<'a>) -> Option<T>,
    is_comparable: impl Fn(&T, &T) -> bool,
) -> Option<T> {
    let shared = of(&failing.first()?.edge)?;
    let has = |witness: &Witness<'a>| of(&witness.edge).as_ref() == Some(&shared);
    let is_known = |witness: &Witness<'a>| {
        of(&witness.edge).is_some_and(|other| is_comparable(&shared, &other))
    };
    let is_only = failing.iter().all(has) && !fine.iter().any(has) && fine.iter().any(is_known);
    is_only.then_some(shared)
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
    fn an_edge_is_broken_when_all_that_fail_have_met_it_and_nobody_else() {
        let (gru, fra) = (met(Some("gru"), "192.0.2.1"), met(Some("fra"), "192.0.2.1"));
        let unnamed = met(None, "192.0.2.1");
        let only = Some("only at edge gru".to_owned());
        assert_eq!(of(&[gru], &[fra]), only);
        assert_eq!(of(&[gru, gru], &[fra, unnamed]), only);
        assert_eq!(of(&[gru, gru], &[fra, gru]), None, "it works from elsewhere");
        assert_eq!(of(&[gru, unnamed], &[fra]), None, "one has not met it, as far as is known");
        assert_eq!(of(&[gru, gru], &[unnamed]), None, "where the others land is not known");
        assert_eq!(of(&[gru, gru], &[]), None, "nobody succeeds");
    }

    #[test]
    fn an_address_is_an_edge_for_two_regions_and_within_its_family() {
        let (one, two) = (met(None, "192.0.2.1"), met(None, "192.0.2.2"));
        let six = met(None, "2001:db8::1");
        assert_eq!(of(&[one, one], &[two]), Some("only at address 192.0.2.1".to_owned()));
        assert_eq!(of(&[one], &[two]), None, "that may be the path");
        assert_eq!(of(&[one, one], &[six]), None, "that may be the family");
        assert_eq!(of(&[one, two], &[six]), None);
    }
}
