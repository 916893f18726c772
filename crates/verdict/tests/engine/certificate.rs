//! The certificate ends soon.

use std::time::Duration;

use quorate_model::{AlertKind, CertificatePolicy, Check, Outcome, State};
use quorate_verdict::explain;

use crate::stage::{Certificate, REFUSED, STATUS, Stage, What, fault, secs, sees, shop};

const FIVE: [&str; 5] = ["a1", "b1", "c1", "d1", "e1"];
const NOTICE: AlertKind = AlertKind::Notice;
const PAGE: AlertKind = AlertKind::Page;
const RESOLVED: AlertKind = AlertKind::Resolved;

fn days(count: u64) -> Duration {
    secs(count * 86_400)
}

fn from(at: u64, who: &'static str, ends_in: Duration) -> Certificate {
    Certificate { from: secs(at), who, ends_in }
}

/// A target whose certificate has sixty days left, until the others are seen.
fn stage(certificates: &[Certificate], faults: Vec<crate::stage::Fault>) -> Stage {
    let mut stage = Stage::with(shop(), &FIVE, faults);
    stage.certificates = vec![from(0, "all", days(60))];
    stage.certificates.extend_from_slice(certificates);
    stage
}

#[test]
fn it_is_told_once_and_its_renewal_too() {
    let mut stage = stage(&[from(120, "all", days(6)), from(900, "all", days(90))], vec![]);
    stage.run(secs(119));
    assert_eq!(stage.says(), "up 0/5 none");
    stage.run(secs(800));
    assert_eq!(stage.says(), "degraded 5/5 target.tls");
    assert_eq!(stage.said(), [NOTICE]);
    let verdict = stage.engine.look(&stage.check, stage.now).expect("a verdict");
    let summary =
        "certificate ends in 5 days, at 2023-11-20T22:13:20.000Z, seen from a, b, c, d, e";
    assert_eq!(verdict.summary, summary);
    let words = explain::ballot_in_words(&stage.check, &verdict).join("\n");
    assert!(words.contains("so this is a notice and no page"), "{words}");
    stage.run(secs(900 + 60 + 40));
    assert_eq!(stage.said(), [NOTICE, RESOLVED]);
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.incidents().len(), 1);
}

#[test]
fn it_becomes_near_as_time_goes_by() {
    let mut stage = stage(&[from(0, "all", days(21) + secs(600))], vec![]);
    stage.run(secs(600));
    assert_eq!(stage.says(), "up 0/5 none");
    stage.run(secs(600 + 76));
    assert_eq!(stage.says(), "degraded 5/5 target.tls");
}

#[test]
fn one_region_alone_says_nothing() {
    let mut stage = stage(&[from(120, "c", days(6)), from(120, "d", days(5))], vec![]);
    stage.run(secs(900));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.said(), []);
}

#[test]
fn two_regions_are_enough_and_the_last_one_must_have_seen_the_new_one() {
    let renewed = [from(600, "c", days(90)), from(1_200, "d", days(90))];
    let mut stage = stage(&[&[from(120, "c d", days(6))], &renewed[..]].concat(), vec![]);
    stage.run(secs(500));
    assert_eq!(stage.says(), "degraded 2/5 target.tls");
    stage.run(secs(1_200));
    assert_eq!(stage.says(), "degraded 1/5 target.tls", "d still has the old one");
    assert_eq!(stage.said(), [NOTICE]);
    stage.run(secs(1_400));
    assert_eq!(stage.said(), [NOTICE, RESOLVED]);
}

#[test]
fn servers_that_disagree_for_hours_are_told_of_rarely() {
    // Every minute the load balancer sends half of the regions elsewhere.
    let turns = (0..600).flat_map(|n| {
        let (old, new) = if n % 2 == 0 { ("a b c", "d e") } else { ("d e", "a b c") };
        [from(120 + n * 60, old, days(6)), from(120 + n * 60, new, days(90))]
    });
    let mut stage = stage(&turns.collect::<Vec<_>>(), vec![]);
    stage.run(secs(36_000));
    assert_eq!(stage.said(), [NOTICE]);
}

#[test]
fn a_slow_target_has_the_worse_cause_and_a_notice_of_its_own() {
    let slow = fault(600, 1_500, "all", What::Sees(Outcome::Slow, secs(1)));
    let mut stage = stage(&[from(120, "all", days(6))], vec![slow]);
    stage.run(secs(1_400));
    assert_eq!(stage.says(), "degraded 5/5 target.slow");
    let summary = &stage.verdict().summary;
    assert!(summary.contains("; certificate ends in 5 days"), "{summary}");
    assert_eq!(stage.said(), [NOTICE, NOTICE]);
    stage.run(secs(7_200));
    assert_eq!(stage.says(), "degraded 5/5 target.tls");
    assert_eq!(stage.said(), [NOTICE, NOTICE, RESOLVED], "the date has been told");
    assert_eq!(stage.incidents().len(), 1);
}

#[test]
fn an_outage_pages_and_ends_although_the_certificate_does_not() {
    let faults = vec![sees(600, 900, "all", STATUS), sees(9_000, 9_300, "all", STATUS)];
    let renewed = from(20_000, "all", days(90));
    let mut stage = stage(&[from(120, "all", days(6)), renewed], faults);
    stage.run(secs(800));
    assert_eq!(stage.says(), "down 5/5 target.http");
    let (_, page) = stage.transitions().last().expect("a page");
    let incident = page.incident.as_ref().expect("an incident");
    assert!(incident.first_failure <= incident.opened, "{incident:?}");
    assert!(incident.opened.since(incident.first_failure) < secs(13), "{incident:?}");
    stage.run(secs(8_000));
    assert_eq!(stage.says(), "degraded 5/5 target.tls");
    assert_eq!(stage.said(), [NOTICE, PAGE, RESOLVED]);
    stage.run(secs(10_000));
    assert_eq!(stage.said(), [NOTICE, PAGE, RESOLVED, PAGE, RESOLVED], "and so does the next");
    stage.run(secs(20_200));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.said().len(), 5, "that the date has passed by is no news");
}

#[test]
fn a_broken_path_beside_it_is_told_too() {
    let mut stage = stage(&[from(120, "all", days(6))], vec![sees(600, 1_500, "c", REFUSED)]);
    stage.run(secs(1_000));
    assert_eq!(stage.said(), [NOTICE, NOTICE]);
    stage.run(secs(2_000));
    assert_eq!(stage.said(), [NOTICE, NOTICE, RESOLVED]);
    assert_eq!(stage.says(), "degraded 5/5 target.tls");
}

#[test]
fn after_an_outage_it_waits_until_people_have_time() {
    let mut stage = stage(&[from(400, "all", days(6))], vec![sees(120, 500, "all", STATUS)]);
    stage.run(secs(1_700));
    assert_eq!(stage.said(), [PAGE, RESOLVED]);
    assert_eq!(stage.says(), "degraded 5/5 target.tls");
    stage.run(secs(600 + 1_800));
    assert_eq!(stage.said(), [PAGE, RESOLVED, NOTICE]);
    assert_eq!(stage.incidents().len(), 2);
}

#[test]
fn a_restart_forgets_neither_what_was_told_nor_who_is_waiting() {
    let mut stage = stage(&[from(120, "all", days(6)), from(900, "all", days(90))], vec![]);
    stage.run(secs(400));
    stage.restart();
    stage.run(secs(890));
    assert_eq!(stage.says(), "degraded 5/5 target.tls");
    assert_eq!(stage.said(), [NOTICE]);
    stage.restart();
    stage.run(secs(1_100));
    assert_eq!(stage.said(), [NOTICE, RESOLVED]);
    assert_eq!(stage.verdict().state, State::Up);
}

#[test]
fn who_does_not_want_to_know_hears_nothing() {
    let check = Check { certificate: CertificatePolicy { warn: None }, ..shop() };
    let mut stage = Stage::with(check, &FIVE, vec![]);
    stage.certificates = vec![from(0, "all", days(1))];
    stage.run(secs(900));
    assert_eq!(stage.says(), "up 0/5 none");
    assert_eq!(stage.said(), []);
}

#[test]
fn switching_it_off_ends_it() {
    let mut stage = stage(&[from(0, "all", days(6))], vec![]);
    stage.run(secs(400));
    assert_eq!(stage.said(), [NOTICE]);
    let check = Check { certificate: CertificatePolicy { warn: None }, ..shop() };
    stage.fleet = std::sync::Arc::new(crate::stage::fleet_of(check));
    stage.apply(quorate_verdict::Event::Configured(stage.fleet.clone()));
    assert_eq!(stage.said(), [NOTICE, RESOLVED]);
    assert_eq!(stage.says(), "up 0/5 none");
}
