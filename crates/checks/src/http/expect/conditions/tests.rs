use quorate_model::OptionProblem;

use super::*;

fn read(conditions: &[&str]) -> (Expect, Vec<String>) {
    let mut problems: Vec<OptionProblem> = Vec::new();
    let mut expect = Expect::default();
    let conditions: Vec<String> = conditions.iter().map(|text| (*text).to_owned()).collect();
    add(&conditions, &mut expect, &mut Findings::new(&mut problems));
    (expect, problems.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn statuses(conditions: &[&str]) -> String {
    let (expect, problems) = read(conditions);
    assert!(problems.is_empty(), "{problems:?}");
    expect.status.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[test]
fn statuses_are_those_that_fit_all() {
    assert_eq!(statuses(&["[STATUS] == 200"]), "200");
    assert_eq!(statuses(&["[STATUS] == any(200, 301)"]), "200,301");
    assert_eq!(statuses(&["[STATUS] >= 200", "[STATUS] < 300"]), "2xx");
    assert_eq!(statuses(&["[STATUS] <= 203", "[STATUS] != 201", "[STATUS] > 199"]), "200,202-203");
}

#[test]
fn times_addresses_and_certificates() {
    let (expect, problems) = read(&[
        "[CONNECTED] == true",
        "[RESPONSE_TIME] < 500",
        "[RESPONSE_TIME] <= 300ms",
        "[CERTIFICATE_EXPIRATION] > 48h",
        "[IP] == any(127.0.0.1, 10.0.0.0/8)",
    ]);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(expect.latency, Some(Duration::from_millis(300)));
    assert_eq!(expect.around.cert_expires_in, Some(Duration::from_secs(48 * 3600)));
    assert_eq!(expect.around.address.len(), 2);
}

#[track_caller]
fn of_body(conditions: &[&str], body: &str) -> Result<(), String> {
    let (expect, problems) = read(conditions);
    assert!(problems.is_empty(), "{problems:?}");
    expect.body(body.as_bytes(), true).map_err(|stop| stop.message)
}

#[test]
fn bodies() {
    let body = r#"{"status":"ok","user":{"my-name":"Jo Doe","ids":[1,2,3]},"n":"7","gone":null}"#;
    for condition in [
        "[BODY].status == ok",
        "[BODY].status != bad",
        "[BODY].status == any(up, ok)",
        "[BODY].user.my-name == pat(Jo*)",
        "[BODY].user.ids[1] == 2",
        "[BODY].n == 7",
        "[BODY].n >= 7.0",
        "len([BODY].user.ids) == 3",
        "len([BODY].status) < 3",
        "has([BODY].user.my-name) == true",
        "has([BODY].none) == false",
        "[BODY] == pat(*\"ok\"*)",
        "[BODY] != pat(*panic*)",
    ] {
        assert_eq!(of_body(&[condition], body), Ok(()), "{condition}");
    }
    for (condition, problem) in [
        ("[BODY].status == up", "is \"ok\", expected \"up\""),
        ("[BODY].none == 1", "is missing"),
        ("[BODY].user.ids[9] == 1", "is missing"),
        ("[BODY].user == ok", "expected \"ok\""),
        ("[BODY].gone == 1", "is null"),
        ("[BODY].n > 7", "expected more than 7"),
        ("[BODY].status > 7", "expected more than 7"),
        ("len([BODY].user.ids) > 3", "expected a length of more than 3"),
        ("len([BODY].gone) > 3", "is null"),
        ("has([BODY].status) == false", "is there"),
        ("[BODY] == ok", "does not match"),
        ("[BODY] != pat(*Doe*)", "matches"),
    ] {
        let message = of_body(&[condition], body).unwrap_err();
        assert!(message.contains(problem), "{condition}: {message} lacks {problem}");
    }
}

#[test]
fn what_is_no_condition_is_told() {
    for (condition, problem) in [
        ("[STATUS]", "compares nothing"),
        ("[STATUS] = 200", "compares nothing"),
        ("STATUS == 200", "does not begin with a placeholder"),
        ("[STATE] == 200", "did you mean [STATUS]?"),
        ("[REPONSE_TIME] < 5", "did you mean [RESPONSE_TIME]?"),
        ("[WHATEVER_ELSE] < 5", "known are [STATUS], [RESPONSE_TIME]"),
        ("[DNS_RCODE] == NOERROR", "a check of the kind dns tells it"),
        ("[STATUS] == ok", "not a status"),
        ("[STATUS] < any(1, 2)", "either equal or not"),
        ("[STATUS].x == 200", "only of [BODY]"),
        ("len([STATUS]) == 3", "only of [BODY]"),
        ("[RESPONSE_TIME] > 5", "an upper bound only"),
        ("[RESPONSE_TIME] < soon", "not a duration"),
        ("[IP] == here", "not a network"),
        ("[CONNECTED] == false", "not known for [CONNECTED]"),
        ("[CERTIFICATE_EXPIRATION] < 5h", "not known for [CERTIFICATE_EXPIRATION]"),
        ("[BODY] < 5", "either equal or not"),
        ("[BODY].x[ == 5", "is not a path"),
        ("len([BODY].x) == many", "compare with a number"),
        ("has([BODY].x) == maybe", "either true or false"),
    ] {
        let (_, problems) = read(&[condition]);
        assert_eq!(problems.len(), 1, "{condition}: {problems:?}");
        assert!(problems[0].contains(problem), "{condition}: {problems:?} lacks {problem}");
    }
    let (_, problems) = read(&["[STATUS] == 200", "[STATUS] == 201"]);
    assert!(problems[0].contains("no status fits"), "{problems:?}");
}
