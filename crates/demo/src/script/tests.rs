use super::*;
use crate::board::tests::check;
use crate::event::{Message, Operator, VerdictChange};

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn scene(fault: Fault) -> &'static Scene {
    SCENES.iter().find(|scene| scene.fault == fault).unwrap()
}

fn well() -> Board {
    let mut board = Board::default();
    board.update(check("shop", v1::State::Up, 0, 5));
    board
}

fn message(check: &str) -> Message {
    Message {
        check: check.to_owned(),
        incident: "1".to_owned(),
        cause: "path".to_owned(),
        summary: String::new(),
        after_ms: None,
        votes: Vec::new(),
    }
}

fn verdict(check: &str, state: &'static str) -> What {
    What::Verdict(VerdictChange {
        check: check.to_owned(),
        state,
        flags: Vec::new(),
        cause: String::new(),
        failing: 1,
        live: 5,
        summary: String::new(),
    })
}

fn isolated(region: &str, resolved: bool) -> What {
    What::Operator(Operator {
        kind: "region_isolated".to_owned(),
        resolved,
        region: Some(region.to_owned()),
        agent: None,
        message: String::new(),
        after_ms: None,
    })
}

fn broken(judge: &Judge, board: &Board) -> Vec<String> {
    let promises = judge.promises(board).into_iter();
    promises.filter(|promise| promise.broken.is_some()).map(|promise| promise.name).collect()
}

#[test]
fn a_quiet_scene_lasts_its_whole_time() {
    let mut judge = Judge::new(scene(Fault::Cut), START);
    judge.hear(&isolated(ISLAND, false));
    let quiet = START + scene(Fault::Cut).quiet;
    let before = quiet.before(secs(1));
    assert_eq!(judge.progress(before, &well()), Progress::Going);
    assert_eq!(judge.next_look(before), quiet);
    assert_eq!(judge.progress(quiet, &well()), Progress::Kept);
}

#[test]
fn a_page_during_a_cut_breaks_the_promise_at_once() {
    let mut judge = Judge::new(scene(Fault::Cut), START);
    judge.hear(&isolated(ISLAND, false));
    judge.hear(&What::Page(message("shop")));
    assert_eq!(judge.progress(START + secs(1), &well()), Progress::Broken);
    assert_eq!(broken(&judge, &well()), ["nobody is paged"]);
}

#[test]
fn a_notice_about_another_region_does_not_count() {
    let mut judge = Judge::new(scene(Fault::Cut), START);
    judge.hear(&isolated("fra", false));
    assert_eq!(judge.progress(START + secs(39), &well()), Progress::Going);
    assert_eq!(judge.progress(START + secs(40), &well()), Progress::Broken);
    assert_eq!(broken(&judge, &well()), ["the operators hear that syd is cut off"]);
}

#[test]
fn an_outage_needs_its_verdict_and_exactly_one_page() {
    let mut judge = Judge::new(scene(Fault::Outage), START);
    judge.hear(&verdict("shop", "down"));
    assert_eq!(judge.progress(START + secs(14), &well()), Progress::Going);
    judge.hear(&What::Page(message("shop")));
    assert_eq!(judge.progress(START + secs(14), &well()), Progress::Kept);
    judge.hear(&What::Page(message("shop")));
    assert_eq!(judge.progress(START + secs(14), &well()), Progress::Broken);
    let mut other = Judge::new(scene(Fault::Outage), START);
    other.hear(&What::Page(message("mail")));
    assert_eq!(other.progress(START + secs(1), &well()), Progress::Broken);
}

#[test]
fn a_broken_path_must_not_be_judged_down() {
    let mut judge = Judge::new(scene(Fault::Path), START);
    judge.hear(&verdict("shop", "partial"));
    judge.hear(&What::Notice(message("shop")));
    judge.hear(&verdict("api", "down"));
    assert_eq!(judge.progress(START + secs(15), &well()), Progress::Broken);
    assert_eq!(broken(&judge, &well()), ["no check is judged down"]);
}

#[test]
fn a_repair_is_done_when_all_is_well_again() {
    let mut judge = Judge::new(&SCENES[2], START);
    judge.hear(&isolated(ISLAND, true));
    let mut board = well();
    board.update(check("mail", v1::State::Up, 0, 4));
    assert_eq!(judge.progress(START + secs(1), &board), Progress::Going);
    board.update(check("mail", v1::State::Up, 0, 5));
    assert_eq!(judge.progress(START + secs(1), &board), Progress::Kept);
}

#[test]
fn the_script_ends_repaired_and_has_its_steps_in_order() {
    let opened: Vec<u32> = SCENES.iter().filter_map(|scene| scene.opens).map(|it| it.0).collect();
    assert_eq!(opened, (1..=STEPS).collect::<Vec<_>>());
    assert_eq!(SCENES.last().unwrap().fault, Fault::Repair);
    for scene in SCENES {
        assert!(scene.quiet < scene.deadline);
    }
}
