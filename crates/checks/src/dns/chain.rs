//! From the name asked for to the records that answer, along CNAME records.

use quorate_model::{Phase, Reason};

use super::wire::{Answer, Question, Record};
use crate::phase::Stop;

/// The longest chain that is followed.
const LINKS_MAX: usize = 8;
/// The type CNAME.
const CNAME: u16 = 5;
/// The question for any type.
const ANY: u16 = 255;

/// The way that an answer leads.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    /// Each name that a CNAME record led to, in order.
    links: Vec<&'a str>,
    records: Vec<&'a Record>,
}

impl<'a> Chain<'a> {
    /// Follows the answer to `question`.
    pub(super) fn follow(question: &Question, answer: &'a Answer) -> Result<Self, Stop> {
        let records = &answer.answers.records;
        let of = |name: &str, kind: u16| -> Vec<&'a Record> {
            let fits = |record: &&Record| {
                record.owner.eq_ignore_ascii_case(name) && (record.kind == kind || kind == ANY)
            };
            records.iter().filter(fits).collect()
        };
        let mut links: Vec<&str> = Vec::new();
        if question.kind == CNAME || question.kind == ANY {
            let found = of(question.name.as_str(), question.kind);
            let target =
                |record: &&'a Record| (record.kind == CNAME).then_some(record.data.text.as_str());
            links.extend(found.iter().find_map(target));
            return Ok(Self { links, records: found });
        }
        loop {
            let name = links.last().copied().unwrap_or(question.name.as_str());
            let Some(next) = of(name, CNAME).first().copied() else {
                let records = of(name, question.kind);
                return Ok(Self { links, records });
            };
            let target = next.data.text.as_str();
            let is_circle = question.name.is(target)
                || links.iter().any(|link| link.eq_ignore_ascii_case(target));
            if is_circle {
                return Err(Self::endless(question, "goes in a circle"));
            }
            if links.len() == LINKS_MAX {
                return Err(Self::endless(question, "has more than 8 links"));
            }
            links.push(target);
        }
    }

    fn endless(question: &Question, what: &str) -> Stop {
        let name = question.name.as_str();
        let message = format!("the chain of CNAME records of {name} {what}");
        Stop::fail(Phase::Assert, Reason::Answer, message)
    }

    /// The records of the type asked for at the end of the chain.
    pub(super) fn records(&self) -> &[&'a Record] {
        &self.records
    }

    /// The names that CNAME records led to.
    pub(super) fn links(&self) -> &[&'a str] {
        &self.links
    }
}
