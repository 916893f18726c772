//! Every problem at once, each at its place.

use std::collections::BTreeMap;

use proptest::prelude::*;
use quorate_yaml::{Document, decode};
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Garden {
    name: String,
    #[serde(default)]
    open: Option<bool>,
    #[serde(default)]
    beds: BTreeMap<String, Bed>,
    #[serde(default)]
    seen: Vec<u8>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bed {
    plant: Plant,
    #[serde(default)]
    rows: u32,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Plant {
    Rose,
    Bean { poles: u32 },
}

fn check(text: &str, expected: &[&str]) {
    let read = Document::parse("g.yaml", text).and_then(|document| document.read::<Garden>());
    let found: Vec<String> = match read {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(found, expected, "{text}");
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_text() {
    check(
        "nme: x\n\
         name: [1]\n\
         open: yes\n\
         beds:\n  a: {plant: ros, rows: -1}\n  b: {plant: rose, row: 2}\n  c: {rows: 2}\n\
         seen: [1, x, 300, 4]\n",
        &[
            "g.yaml:1:1: unknown key `nme` (did you mean `name`?)",
            "g.yaml:2:1: expected a string, found a list",
            "g.yaml:3:7: expected a boolean, found the text \"yes\" (write `true` or `false`)",
            "g.yaml:5:14: unknown value `ros` (did you mean `rose`?)",
            "g.yaml:5:25: expected a whole number that is not negative, found the number -1",
            "g.yaml:6:20: unknown key `row` (did you mean `rows`?)",
            "g.yaml:7:3: key `plant` is missing",
            "g.yaml:8:11: expected a whole number that is not negative, found the text \"x\"",
            "g.yaml:8:14: expected a whole number that is not negative, found the number 300",
        ],
    );
}

#[test]
fn what_is_lacking_only_because_a_part_was_bad_is_not_said_again() {
    check(
        "name: n\nbeds: {a: {plant: {bean: {poles: many}}}}\n",
        &["g.yaml:2:34: expected a whole number that is not negative, found the text \"many\""],
    );
}

#[test]
fn text_that_is_not_yaml_is_refused_at_its_place() {
    let bomb = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        let items = vec![format!("*a{}", n - 1); 10].join(", ");
        text + &format!("a{n}: &a{n} [{items}]\n")
    });
    let deep_block = (0..1_000).fold(String::new(), |text, n| text + &" ".repeat(n) + "a:\n");
    for (text, place, words) in [
        ("", "1:1", "the file is empty"),
        ("# nothing\n", "1:1", "the file is empty"),
        ("hello\n", "1:1", "expected a map"),
        ("name: n\nname: m\n", "2:1", "`name` is given twice (first on line 1)"),
        ("name:\n\tx: 1\n", "2:2", "a tab cannot indent (use spaces)"),
        ("name: a\0b\n", "1:8", "unexpected character"),
        ("name: n\n---\nname: m\n", "3:1", "second document"),
        ("name: *nope\n", "1:7", "unknown"),
        ("name: \"n\n", "1:7", "unclosed quote"),
        ("name: &a [*a]\n", "1:11", "ecursive"),
        ("? {a: 1}\n: 2\n", "1:3", "expected string"),
        (&"[".repeat(10_000), "1:25", "more than 24 levels"),
        (&"- ".repeat(10_000), "1:49", "more than 24 levels"),
        (&deep_block, "25:25", "more than 24 levels"),
        (&bomb, "", "too large once its aliases are expanded"),
    ] {
        let problems = Document::parse("g.yaml", text)
            .and_then(|document| document.read::<Garden>())
            .expect_err("it is bad");
        let found = problems.first().map(ToString::to_string).unwrap_or_default();
        assert_eq!(problems.len(), 1, "{found}");
        assert!(found.starts_with(&format!("g.yaml:{place}")) && found.contains(words), "{found}");
    }
}

#[test]
fn both_repetitions_of_two_keys_are_found() {
    check(
        "name: a\nseen: []\nname: b\nseen: [1]\n",
        &[
            "g.yaml:3:1: key `name` is given twice (first on line 1)",
            "g.yaml:4:1: key `seen` is given twice (first on line 2)",
        ],
    );
}

#[test]
fn bytes_that_are_not_utf8_are_located() {
    let problems = decode("g.yaml", b"name: n\nx: \xc3\xa4\xff\n").expect_err("it is bad");
    assert_eq!(
        problems[0].to_string(),
        "g.yaml:2:5: the text is not valid UTF-8 (save the file with the encoding UTF-8)"
    );
    assert_eq!(decode("g.yaml", "ä".as_bytes()), Ok("ä"));
}

#[test]
fn a_byte_order_mark_and_crlf_do_not_matter() {
    let text = "\u{feff}name: n\r\nopen: true\r\nbeds:\r\n  a: {plant: rose}\r\n";
    check(text, &[]);
    check(
        "\u{feff}name: n\r\nopen: 1\r\n",
        &["g.yaml:2:7: expected a boolean, found the number 1"],
    );
}

#[test]
fn merges_and_anchors_work_and_point_at_both_ends() {
    check(
        "x-bed: &bed {plant: rose, rows: 2}\nname: n\nbeds: {a: {<<: *bed, rows: 3}, b: *bed}\n",
        &[],
    );
    check(
        "x-bed: &bed {plant: rose, rws: 2}\nname: n\nbeds: {a: *bed}\n",
        &["g.yaml:1:27: unknown key `rws` (did you mean `rows`?)"],
    );
    check(
        "x-bed: &bed {plant: rose, rows: many}\nname: n\nbeds: {a: *bed}\n",
        &["g.yaml:1:33: expected a whole number that is not negative, found the text \"many\" \
             (used through the alias on line 3)"],
    );
}

#[test]
fn words_for_booleans_and_numbers_with_decorations_stay_text() {
    let document = Document::parse("t", "a: [yes, no, on, 010, 1_000, 0x1F, true, ~, 5]\n")
        .expect("it is YAML");
    let read: BTreeMap<String, Vec<Option<String>>> = {
        let reading = document.read_part(&[], &[]);
        assert_eq!(reading.problems.len(), 1, "only `true` is no text: {reading:?}");
        reading.value.expect("the rest fits")
    };
    let text: Vec<&str> = read["a"].iter().map(|s| s.as_deref().unwrap_or("~")).collect();
    assert_eq!(text, ["yes", "no", "on", "010", "1_000", "31", "~", "5"]);
}

#[test]
fn a_path_is_located_or_its_nearest_ancestor() {
    let document = Document::parse("t", "a:\n  b: [1, {c: x}]\n").expect("it is YAML");
    for (path, place) in [
        (&["a", "b", "1", "c"][..], "2:14"),
        (&["a", "b", "0"], "2:7"),
        (&["a", "b"], "2:3"),
        (&["a", "z", "y"], "1:1"),
        (&["z"], "1:1"),
    ] {
        let found = document.problem(path, "m").to_string();
        assert_eq!(found, format!("t:{place}: m"), "{path:?}");
    }
    let found = document.key_problem(&["a", "b", "1", "c"], "m").to_string();
    assert_eq!(found, "t:2:11: m");
    assert_eq!(document.keys(&["a", "b", "1"]), ["c"]);
    assert!(document.contains(&["a", "b"]) && !document.contains(&["b"]));
}

#[test]
fn five_thousand_checks_that_merge_one_anchor_load() {
    let text = (0..5_000).fold(
        "x-base: &base {interval: 60s, timeout: 10s, labels: {team: web, tier: one}}\nchecks:\n"
            .to_owned(),
        |text, n| text + &format!("  c{n}:\n    <<: *base\n    url: https://{n}.example.com/\n"),
    );
    let document = Document::parse("t", &text).expect("it is not too large");
    assert_eq!(document.keys(&["checks"]).len(), 5_000);
    assert_eq!(document.keys(&["checks", "c4999"]).len(), 4);
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _parsed = Document::parse("t", &text).and_then(|document| document.read::<Garden>());
    }

    #[test]
    fn yaml_like_text_never_panics(text in "([ \\-:{}\\[\\],&*!|>'\"#\n\ta-c0-9~<]|<<: |a: |- ){0,60}") {
        let parsed = Document::parse("t", &text).and_then(|document| document.read::<Garden>());
        for problem in parsed.err().unwrap_or_default() {
            prop_assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
        }
    }
}
