//! From the text to a [`Scenario`], or everything that is wrong with it.

mod checks;
mod expect;
mod fault;
mod fleet;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_yaml::{Document, Problem, did_you_mean, shown};

use crate::raw::RawScenario;
use crate::scenario::{Background, CheckText, Fault, Scenario, Target};

/// The healthy checks beside those of the file, unless it says otherwise.
const BACKGROUND: Background = Background { checks: 200, networks: 60 };
/// The most checks of all kinds in one scenario.
const CHECKS_MAX: usize = 100_000;
/// The longest virtual time.
const RUN_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Reads a scenario; `file` is its name in problems.
///
/// On failure there is at least one problem, sorted by place.
pub fn parse(file: &str, text: &str) -> Result<Scenario, Vec<Problem>> {
    let document = Document::parse(file, text)?;
    if document.is_empty() {
        return Err(vec![document.problem(&[], "the file is empty")]);
    }
    let reading = document.read_part::<RawScenario>(&[], &[]);
    let mut reader = Reader { document: &document, problems: reading.problems };
    let scenario = reader.scenario(reading.value.unwrap_or_default());
    let mut problems = reader.problems;
    Problem::sort(&mut problems);
    if problems.is_empty() { Ok(scenario) } else { Err(problems) }
}

/// The document and the problems found so far.
pub(crate) struct Reader<'d> {
    pub(crate) document: &'d Document,
    pub(crate) problems: Vec<Problem>,
}

/// What names may refer to.
pub(crate) struct Known<'a> {
    /// Regions and agents, those that join later too.
    pub(crate) region_names: BTreeSet<String>,
    pub(crate) agent_names: BTreeSet<String>,
    pub(crate) targets: &'a BTreeMap<String, Target>,
    pub(crate) checks: &'a BTreeMap<String, CheckText>,
    pub(crate) background: Background,
    pub(crate) run: Duration,
}

impl Reader<'_> {
    pub(crate) fn error(&mut self, path: &[&str], message: impl Into<String>) {
        self.problems.push(self.document.problem(path, message));
    }

    pub(crate) fn error_with(
        &mut self,
        path: &[&str],
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let mut problem = self.document.problem(path, message);
        problem.hint = hint;
        self.problems.push(problem);
    }

    /// Notes that `word` is not one of the words that may stand at `path`.
    pub(crate) fn strange<'a>(
        &mut self,
        path: &[&str],
        what: &str,
        word: &str,
        known: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
    ) {
        let hint = did_you_mean(word, known);
        self.error_with(path, format!("there is no {what} `{}`", shown(word)), hint);
    }

    fn scenario(&mut self, raw: RawScenario) -> Scenario {
        let name = raw.name.unwrap_or_default();
        if name.parse::<quorate_model::CheckId>().is_err() && self.is_sound("name") {
            let help = quorate_model::ID_HELP;
            self.error(&["name"], format!("a scenario needs a name: {help}"));
        }
        let run = raw.run.map(|span| span.0).unwrap_or_default();
        if (run.is_zero() || run > RUN_MAX) && self.is_sound("run") {
            self.error(&["run"], "`run` says how long the scenario lasts: up to 366d, such as 15m");
        }
        let regions = self.fleet(raw.fleet.as_ref());
        let mut targets = self.targets(raw.targets.unwrap_or_default(), &regions);
        let checks = self.checks(raw.checks.unwrap_or_default(), &mut targets);
        let background = self.background(raw.background);
        let total: usize = checks.values().map(|check| check.count.unwrap_or(1)).sum();
        if total.saturating_add(background.checks) > CHECKS_MAX {
            self.error(&["checks"], format!("a scenario has at most {CHECKS_MAX} checks"));
        }
        let mut known = Known {
            region_names: regions.keys().map(ToString::to_string).collect(),
            agent_names: regions
                .values()
                .flat_map(|place| &place.agents)
                .map(|(id, _)| id.to_string())
                .collect(),
            targets: &targets,
            checks: &checks,
            background,
            run,
        };
        let faults: Vec<Fault> = self.faults(&raw.faults.unwrap_or_default(), &mut known);
        let expect = self.expectations(raw.expect.unwrap_or_default(), &known);
        let scenario = Scenario {
            name,
            about: raw.about.unwrap_or_default(),
            oracle: raw.oracle,
            run,
            regions,
            targets,
            checks,
            background,
            faults,
            expect,
        };
        self.settings(&scenario);
        scenario
    }

    /// Whether nothing has been said about this key of the top yet.
    fn is_sound(&self, key: &str) -> bool {
        let place = self.document.problem(&[key], "");
        let here = |problem: &Problem| (problem.line, problem.column) == (place.line, place.column);
        !self.document.contains(&[key]) || !self.problems.iter().any(here)
    }

    fn background(&mut self, raw: Option<crate::raw::RawBackground>) -> Background {
        let raw = raw.unwrap_or_default();
        let background = Background {
            checks: raw.checks.unwrap_or(BACKGROUND.checks),
            networks: raw.networks.unwrap_or(BACKGROUND.networks),
        };
        if background.networks == 0 && background.checks > 0 {
            self.error(&["background", "networks"], "background checks need a network");
        }
        if background.networks > 50_000 {
            self.error(&["background", "networks"], "there are at most 50000 networks");
        }
        background
    }
}

#[cfg(test)]
mod tests;
