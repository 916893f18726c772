//! What the receiver's messages say.

use serde_json::Value;

use crate::event::{Message, Operator, Vote, What};
use crate::receiver::Arrival;

/// Reads a message; `None` if it is of a type that the demo does not know.
pub(crate) fn read(arrival: &Arrival, after_ms: Option<u64>) -> Option<What> {
    let data = &arrival.data;
    match arrival.kind.as_str() {
        "incident.opened" if data["kind"] == "page" => Some(What::Page(message(data, after_ms))),
        "incident.opened" => Some(What::Notice(message(data, after_ms))),
        "incident.resolved" => Some(What::Resolved(message(data, after_ms))),
        "operator.notice" | "operator.resolved" => Some(What::Operator(Operator {
            kind: word(&data["kind"]),
            resolved: arrival.kind == "operator.resolved",
            region: data["region"].as_str().map(str::to_owned),
            agent: data["agent"].as_str().map(str::to_owned),
            message: word(&data["message"]),
            after_ms,
        })),
        _ => None,
    }
}

fn message(data: &Value, after_ms: Option<u64>) -> Message {
    let votes = data["regions"].as_array().map(Vec::as_slice).unwrap_or_default();
    Message {
        check: word(&data["check"]),
        incident: word(&data["incident"]),
        cause: word(&data["cause"]),
        summary: word(&data["summary"]),
        after_ms,
        votes: votes.iter().map(vote).collect(),
    }
}

fn vote(vote: &Value) -> Vote {
    let parts = [&vote["outcome"], &vote["phase"], &vote["reason"]].map(word);
    let outcome = match parts.each_ref().map(String::as_str) {
        ["", ..] => "none".to_owned(),
        [word, "", ""] => word.to_owned(),
        [word, "", reason] => format!("{word} ({reason})"),
        [word, phase, reason] => format!("{word} ({phase}: {reason})"),
    };
    Vote { region: word(&vote["region"]), outcome, counted: word(&vote["counted"]) }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use quorate_model::Timestamp;
    use serde_json::json;

    use super::*;

    fn arrival(kind: &str, data: Value) -> Arrival {
        Arrival { at: Timestamp::EPOCH, id: "1".to_owned(), kind: kind.to_owned(), data }
    }

    #[test]
    fn a_page_names_its_votes() {
        let data = json!({
            "kind": "page", "check": "shop", "incident": "i", "cause": "target.timeout",
            "summary": "no answer",
            "regions": [
                {"region": "fra", "outcome": "fail", "phase": "ttfb", "reason": "timeout", "counted": "yes"},
                {"region": "syd", "outcome": null, "phase": null, "reason": null, "counted": "never_voted"},
            ],
        });
        let Some(What::Page(page)) = read(&arrival("incident.opened", data), Some(7)) else {
            panic!("it is a page");
        };
        assert_eq!((page.check.as_str(), page.after_ms), ("shop", Some(7)));
        let votes: Vec<_> = page.votes.iter().map(|it| it.outcome.as_str()).collect();
        assert_eq!(votes, ["fail (ttfb: timeout)", "none"]);
    }

    #[test]
    fn notices_and_operators_are_told_apart() {
        let notice = arrival("incident.opened", json!({ "kind": "notice", "check": "shop" }));
        assert!(matches!(read(&notice, None), Some(What::Notice(_))));
        let back =
            arrival("operator.resolved", json!({ "kind": "region_isolated", "region": "syd" }));
        let Some(What::Operator(operator)) = read(&back, None) else { panic!("for operators") };
        assert_eq!((operator.resolved, operator.region.as_deref()), (true, Some("syd")));
        assert_eq!(read(&arrival("test.ping", Value::Null), None), None);
    }
}
