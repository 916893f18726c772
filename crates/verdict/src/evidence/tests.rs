use super::*;
use proptest::prelude::*;

const P: u32 = 5_000;

fn demand(configured: usize, quorum: usize, interval: u64) -> Demand {
    Demand {
        configured,
        quorum,
        needed: quorum,
        interval: Duration::from_secs(interval),
        budget_milli: BUDGET_MILLI,
    }
}

fn failure(provider: Option<&str>, is_retried: bool, lasted: u64) -> Failure<'_> {
    Failure {
        provider,
        alone_ppm: P,
        again_ppm: AGAIN_PPM,
        is_retried,
        lasted: Duration::from_secs(lasted),
    }
}

/// So many regions fail; the first `retried` of them twice, the first two are kin if asked.
fn proof(failing: usize, retried: usize, are_kin: bool, lasted: u64) -> Proof {
    let failures: Vec<Failure<'_>> = (0..failing)
        .map(|place| failure((are_kin && place < 2).then_some("aws"), place < retried, lasted))
        .collect();
    Proof::of(&failures, &demand(5, 3.min(failing), 60))
}

#[test]
fn what_is_needed_comes_from_the_budget() {
    let year = demand(5, 3, 60);
    for (failing, need) in [(5, 17_085), (4, 18_694), (3, 19_388), (2, 19_388)] {
        assert_eq!(year.need(failing), need, "need({failing})");
    }
    let reduced = Demand { needed: 2, ..year };
    assert_eq!(reduced.need(2), 17_085, "all that are left: nothing is chosen");
    let generous = Demand { budget_milli: 10_000, ..year };
    assert_eq!(generous.need(5), 14_782);
    assert_eq!(Demand { budget_milli: u32::MAX, ..year }.need(5), 1_812);
    assert!(demand(5, 3, 10).need(5) > year.need(5), "more probes, more chances to err");
}

#[test]
fn the_worked_table() {
    for (failing, retried, are_kin, evidence, suffices) in [
        (5, 1, false, 28_039, true),
        (5, 1, true, 24_350, true),
        (4, 1, false, 22_751, true),
        (4, 1, true, 19_062, true),
        (3, 1, false, 17_463, false),
        (3, 3, false, 20_661, true),
        (3, 1, true, 13_774, false),
        (3, 3, true, 16_972, false),
        (2, 1, false, 12_175, false),
        (2, 2, false, 13_774, false),
        (1, 1, false, 6_887, false),
    ] {
        let proof = proof(failing, retried, are_kin, 0);
        assert_eq!(proof.evidence, evidence, "{failing} {retried} {are_kin}");
        assert_eq!(proof.suffices(), suffices, "{failing} {retried} {are_kin}");
    }
}

#[test]
fn what_lasts_is_believed_in_the_end() {
    let at = |failing, are_kin, lasted| proof(failing, failing, are_kin, lasted);
    assert!(!at(3, true, 72).suffices() && at(3, true, 73).suffices());
    assert!(!at(2, false, 252).suffices() && at(2, false, 253).suffices());
    assert_eq!(at(1, false, 100_000).evidence, 10_887, "one region is never enough");
    let capped = at(1, false, 360);
    assert!(!capped.suffices() && !capped.can_grow());
    assert_eq!(at(3, true, 0).complete_in.map(|wait| wait.as_secs()), Some(72));
}

#[test]
fn the_proof_may_be_that_of_a_part() {
    // Twenty regions of one provider, three may decide: a fourth kin adds less than the subsets do.
    let kin = |count: usize| -> Vec<Failure<'static>> {
        (0..count).map(|_| failure(Some("aws"), true, 360)).collect()
    };
    let demand = demand(40, 3, 60);
    let proofs: Vec<Proof> = (1..8).map(|count| Proof::of(&kin(count), &demand)).collect();
    for pair in proofs.windows(2) {
        let surplus = |proof: &Proof| proof.evidence - proof.need;
        assert!(surplus(&pair[1]) >= surplus(&pair[0]), "{pair:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// `ln` is right to one thousandth: `ln(a*b) = ln a + ln b`, and it never falls.
    #[test]
    fn logarithms_add_up(a in 1_u64..=u64::from(u32::MAX), b in 1_u64..=u64::from(u32::MAX)) {
        let sum = ln_ratio(a, 1) + ln_ratio(b, 1);
        prop_assert!((ln_ratio(a * b, 1) - sum).abs() <= 1);
        prop_assert!(ln_ratio(a + 1, 1) >= ln_ratio(a, 1));
        prop_assert_eq!(ln_ratio(a, b), -ln_ratio(b, a));
    }

    /// One more failure never weakens a proof, whoever it comes from.
    #[test]
    fn one_more_failure_never_weakens_a_proof(
        failing in prop::collection::vec((0_usize..4, 1_000_u32..200_000, any::<bool>(), 0_u64..400), 2..9),
        configured in 9_usize..40,
    ) {
        let names = [None, Some("aws"), Some("gcp"), Some("ovh")];
        let failures: Vec<Failure<'_>> = failing
            .iter()
            .map(|(provider, ppm, is_retried, lasted)| Failure {
                alone_ppm: *ppm,
                ..failure(names[*provider], *is_retried, *lasted)
            })
            .collect();
        let demand = demand(configured, 2, 60);
        let fewer = Proof::of(&failures[1..], &demand);
        let more = Proof::of(&failures, &demand);
        prop_assert!(!fewer.suffices() || more.suffices());
        prop_assert!(more.evidence - more.need >= fewer.evidence - fewer.need);
    }
}
