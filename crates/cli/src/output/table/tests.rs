use insta::assert_snapshot;

use super::super::sample;
use super::*;

fn look() -> Look {
    Look { now: Timestamp::from_micros(sample::NOW * 1_000_000), headers: true, colour: false }
}

#[test]
fn checks() {
    assert_snapshot!(look().checks(&sample::checks()));
}

#[test]
fn one_check() {
    let check = sample::checks().pop().unwrap();
    let text = look().check(&check);
    assert!(!text.contains('\u{1b}'), "nothing from a target acts on the terminal");
    assert_snapshot!(text);
}

#[test]
fn agents() {
    assert_snapshot!(look().agents(&sample::agents()));
}

#[test]
fn regions() {
    assert_snapshot!(look().regions(&sample::regions()));
}

#[test]
fn incidents() {
    assert_snapshot!(look().incidents(&sample::incidents()));
}

#[test]
fn verdicts() {
    assert_snapshot!(look().verdicts(&sample::past_verdicts()));
}

#[test]
fn without_headers_there_are_only_data() {
    let plain = Look { headers: false, ..look() };
    assert_eq!(plain.regions(&sample::regions()).lines().count(), 1);
    assert_eq!(plain.regions(&[]), "");
}

#[test]
fn colours_do_not_move_columns() {
    let coloured = Look { colour: true, ..look() }.checks(&sample::checks());
    assert!(coloured.contains("\u{1b}[31m"));
    let mut plain = coloured.clone();
    for code in ["\u{1b}[31m", "\u{1b}[2m", "\u{1b}[0m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, look().checks(&sample::checks()));
}

#[test]
fn a_change_is_one_line() {
    let check = sample::checks().pop().unwrap();
    let at = Timestamp::from_micros(sample::NOW * 1_000_000);
    assert_snapshot!(change(&check, at, false));
}
