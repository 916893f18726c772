use super::*;

fn problems(text: &str) -> Vec<String> {
    let problems = parse("f.yaml", text).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

const GOOD: &str = "\
name: good
about: All is well.
run: 10m
checks:
  shop: { target: shop, interval: 60s, timeout: 10s, false_alerts: 1 per year, partial: { after: 5m } }
  many: { target: shop, count: 3, quorum: 2 of 5 }
targets:
  shop: { network: AS64500, families: [v4, v6], edges: { a: iad }, kind: http, companion: origin }
  origin: { network: AS64501 }
background: { checks: 2, networks: 1 }
faults:
  - { at: 2m, for: 1.5m, kind: black_hole, target: shop, regions: [a], agents: [b1] }
  - { at: 3m, kind: join, region: f, agents: 2, labels: { provider: gcp } }
  - { at: 4m, kind: crash, agents: [f1] }
  - { at: 4m, kind: reconfigure, check: shop, set: { timeout: 5s } }
expect:
  - no_alert: {}
  - no_alert:
  - alert: { check: [shop, many], kind: [page, notice], from: 2m, to: 2m24.4s, count: [0, 1] }
  - alert: { check: any, count: 0 }
  - verdict: { check: many-3, at: 4m, is: [up, partial], scope: 0/5, cause: none, flags: [] }
  - operator: { kind: region_isolated, region: c, agent: f2, from: 2m }
";

#[test]
fn the_whole_format_is_read() {
    assert_eq!(problems(GOOD), [""; 0]);
    let scenario = parse("f.yaml", GOOD).expect("a good file");
    assert_eq!(scenario.checks["many"].members("many"), ["many-1", "many-2", "many-3"]);
    assert_eq!(scenario.faults[0].until, Some(Duration::from_secs(210)));
    assert_eq!(scenario.expect.len(), 6);
    assert_eq!(scenario.checks["shop"].origin.as_deref(), Some("shop-origin"));
    let companion = &scenario.checks["shop-origin"];
    assert_eq!(companion.target, "origin");
    assert_eq!(companion.settings["timeout"], "10s");
    assert!(!companion.settings.contains_key("partial"));
}

#[test]
fn the_check_of_a_companion_has_a_name_that_is_free() {
    let told = problems(&GOOD.replace("  many:", "  shop-origin:"));
    assert!(told[0].starts_with("f.yaml:6:3: this is the name of"), "{told:#?}");
    let long = "s".repeat(60);
    let told =
        problems(&GOOD.replace("  shop: { target: shop,", &format!("  {long}: {{ target: shop,")));
    assert!(told.iter().any(|problem| problem.starts_with("f.yaml:5:3: ")), "{told:#?}");
}

#[test]
fn every_problem_is_told_at_its_place() {
    let bad = GOOD
        .replace("run: 10m", "run: soon")
        .replace("region: c", "region: q")
        .replace("quorum: 2 of 5", "quorum: 9")
        .replace("kind: black_hole", "kind: blackhole")
        .replace("agents: [f1] }", "agents: [f9], code: 3 }");
    let told = problems(&bad);
    let starts = |start: &str| told.iter().any(|problem| problem.starts_with(start));
    assert!(starts("f.yaml:3:6: "), "{told:#?}");
    assert!(starts("f.yaml:12:32: there is no kind of fault `blackhole`"), "{told:#?}");
    assert!(told.iter().any(|problem| problem.contains("did you mean `black_hole`?")));
    assert!(starts("f.yaml:14:37: there is no agent `f9`"), "{told:#?}");
    assert!(told.iter().any(|problem| problem.contains("`crash` takes no `code`")), "{told:#?}");
    assert!(told.iter().any(|problem| problem.contains("there is no region `q`")), "{told:#?}");
}

#[test]
fn checks_obey_the_rules_of_the_configuration() {
    let told = problems(&GOOD.replace("quorum: 2 of 5", "quorum: 9"));
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].starts_with("f.yaml:6:43: "), "{told:#?}");
    let told = problems(&GOOD.replace("1 per year", "often"));
    assert!(told[0].starts_with("f.yaml:5:68: "), "{told:#?}");
    let told = problems(&GOOD.replace("timeout: 5s } }", "timeout: 5h } }"));
    assert!(told[0].starts_with("f.yaml:15:"), "{told:#?}");
    let told = problems(&GOOD.replace("count: 3,", "cuont: 3,"));
    assert!(told[0].contains("cuont"), "{told:#?}");
}

#[test]
fn an_empty_file_is_no_scenario() {
    assert_eq!(problems(""), ["f.yaml:1:1: the file is empty"]);
    assert!(problems("name: x\n").len() >= 2);
}
