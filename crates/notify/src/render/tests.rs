use super::*;
use crate::sample::{about, alert, group, notice, single};
use quorate_model::{BlockReason, NoticeKind, Timestamp};

#[test]
fn subjects_say_what_happened_where_and_why() {
    let operator = |resolved| subject(&notice(resolved));
    for (shown, expected) in [
        (subject(&about(AlertKind::Page)), "[DOWN] shop (3/5 regions): connect timeout"),
        (subject(&about(AlertKind::Resolved)), "[RESOLVED] shop: over after 12m16s"),
        (subject(&about(AlertKind::Digest)), "[DIGEST] shop (3/5 regions): connect timeout"),
        (operator(false), "[OPERATOR] agent lost: region fra, agent fra-1"),
        (operator(true), "[OPERATOR RESOLVED] agent lost: region fra, agent fra-1"),
    ] {
        assert_eq!(shown, expected);
    }
}

#[test]
fn many_checks_are_one_subject_and_all_in_the_text() {
    let content = group(AlertKind::Page, 5);
    assert_eq!(subject(&content), "[DOWN] 5 checks: shop-1, shop-2, shop-3 and 2 more");
    let shown = text(&content);
    for number in 1..=5 {
        let line = format!("[DOWN] shop-{number} (3/5 regions): connect timeout\n");
        assert!(shown.contains(&line), "{shown}");
    }
    assert_eq!(subject(&group(AlertKind::Resolved, 2)), "[RESOLVED] 2 checks: shop-1, shop-2");
}

#[test]
fn the_symptom_is_that_of_most_counted_failures() {
    let mut page = alert(AlertKind::Page);
    let entries = &mut page.incident.verdict.ballot.entries;
    entries[0].outcome = Some(Outcome::Fail { phase: Phase::Assert, reason: Reason::Status });
    assert_eq!(symptom(entries).as_deref(), Some("connect timeout"));
    entries[1].counted = Counted::Island;
    entries[2].outcome = Some(Outcome::Blocked { reason: BlockReason::RateLimit });
    entries[4].outcome = Some(Outcome::Blocked { reason: BlockReason::RateLimit });
    assert_eq!(symptom(entries).as_deref(), Some("blocked by rate limit"));
    for entry in entries {
        entry.outcome = None;
    }
    let shown = subject(&single(page));
    assert_eq!(
        shown,
        "[DOWN] shop (3/5 regions): 3 of 5 regions get no answer to their connection attempts"
    );
}

#[test]
fn a_certificate_is_told_by_its_date_although_a_region_fails() {
    let mut notice = alert(AlertKind::Notice);
    let verdict = &mut notice.incident.verdict;
    (verdict.state, verdict.cause) = (State::Degraded, Cause::TargetTls);
    "certificate ends in 6 days".clone_into(&mut verdict.summary);
    let shown = subject(&single(notice));
    assert_eq!(shown, "[DEGRADED] shop (3/5 regions): certificate ends in 6 days");
}

#[test]
fn what_comes_late_says_what_withheld_it() {
    let mut page = alert(AlertKind::Page);
    page.incident.withheld_by = ["maintenance/move".to_owned()].into();
    let shown = text(&single(page));
    assert!(shown.contains("Withheld by   maintenance/move\n"), "{shown}");
}

#[test]
fn nothing_from_a_target_reaches_a_terminal_unescaped() {
    let shown = escape("a\u{1b}[2J\r\n\u{202e}b\u{9b}\u{200b}\u{7f}c \u{fc}", 100);
    assert_eq!(shown, "a\\u{1b}[2J\\r\\n\\u{202e}b\\u{9b}\\u{200b}\\u{7f}c \u{fc}");
    assert_eq!(escape("abcdef", 3), "abc\u{2026}");
    assert_eq!(escape("abc", 3), "abc");
}

#[test]
fn firing_text() {
    insta::assert_snapshot!(text(&about(AlertKind::Page)));
}

#[test]
fn resolved_text() {
    insta::assert_snapshot!(text(&about(AlertKind::Resolved)));
}

#[test]
fn operator_text() {
    insta::assert_snapshot!(text(&notice(false)));
}

#[test]
fn a_notice_about_nobody_in_particular_is_only_its_kind() {
    let bare = OperatorNotice {
        kind: NoticeKind::StoreFailing,
        at: Timestamp::EPOCH,
        resolved: false,
        region: None,
        agent: None,
        check: None,
        message: "the disk is full".into(),
    };
    assert_eq!(subject(&Content::Single(Delivery::Operator(bare))), "[OPERATOR] store failing");
}
