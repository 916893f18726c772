//! The script: what is broken when, and what must come of it.

use std::time::Duration;

use quorate_model::Timestamp;
use quorate_proto::v1;

use crate::board::Board;
use crate::event::What;

/// The check that the script breaks.
pub(crate) const VICTIM: &str = "shop";
/// The region that the script cuts off.
pub(crate) const ISLAND: &str = "syd";
/// The region whose path to the victim the script breaks.
pub(crate) const PATH: &str = "gru";

/// What is done at the beginning of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    Nothing,
    /// [`ISLAND`] is cut off.
    Cut,
    /// The path from [`PATH`] to [`VICTIM`] is broken.
    Path,
    /// [`VICTIM`] stops answering.
    Outage,
    /// All is repaired.
    Repair,
}

/// Something that must come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// Every check is up, judged by all regions.
    AllUp,
    /// [`VICTIM`] is judged so at least once.
    Judged(v1::State),
    /// No check is judged `down`.
    NothingDown,
    /// The operators hear that [`ISLAND`] is cut off.
    Isolated,
    /// The operators hear that it is back.
    Back,
}

/// How many messages about [`VICTIM`] must arrive: exactly so many, and none about anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Pages.
    pub pages: u32,
    /// Notices.
    pub notices: u32,
    /// Ends of incidents.
    pub resolved: u32,
}

/// A part of a step: one fault and what must come of it.
#[derive(Debug)]
pub(crate) struct Scene {
    /// The step that begins with it: number, title, and what will be done.
    pub opens: Option<(u32, &'static str, &'static str)>,
    /// What is done.
    pub fault: Fault,
    /// What must come to be.
    pub wants: &'static [Want],
    /// What must arrive.
    pub messages: Tally,
    /// How long it goes on at least, so that what must not happen has the time to.
    pub quiet: Duration,
    /// How long it may take.
    pub deadline: Duration,
}

/// How many steps there are.
pub(crate) const STEPS: u32 = 5;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const NONE: Tally = Tally { pages: 0, notices: 0, resolved: 0 };

/// The whole script.
pub(crate) const SCENES: &[Scene] = &[
    Scene {
        opens: Some((1, "All is well", "Five regions probe three checks. All must be up.")),
        fault: Fault::Nothing,
        wants: &[Want::AllUp],
        messages: NONE,
        quiet: secs(7),
        deadline: secs(40),
    },
    Scene {
        opens: Some((
            2,
            "A region loses its network",
            "The network of syd is cut: all its probes fail. Nobody must be paged; the operators must hear that it is syd.",
        )),
        fault: Fault::Cut,
        wants: &[Want::Isolated, Want::NothingDown],
        messages: NONE,
        quiet: secs(15),
        deadline: secs(40),
    },
    Scene {
        opens: None,
        fault: Fault::Repair,
        wants: &[Want::Back, Want::AllUp],
        messages: NONE,
        quiet: secs(0),
        deadline: secs(30),
    },
    Scene {
        opens: Some((
            3,
            "One path is broken",
            "Packets from gru to shop vanish, everything else works. shop must be judged partial: one notice, no page.",
        )),
        fault: Fault::Path,
        wants: &[Want::Judged(v1::State::Partial), Want::NothingDown],
        messages: Tally { notices: 1, ..NONE },
        quiet: secs(15),
        deadline: secs(45),
    },
    Scene {
        opens: None,
        fault: Fault::Repair,
        wants: &[Want::AllUp],
        messages: Tally { resolved: 1, ..NONE },
        quiet: secs(0),
        deadline: secs(35),
    },
    Scene {
        opens: Some((
            4,
            "The target is down",
            "shop accepts connections and never answers. One page must arrive, and only one.",
        )),
        fault: Fault::Outage,
        wants: &[Want::Judged(v1::State::Down)],
        messages: Tally { pages: 1, ..NONE },
        quiet: secs(14),
        deadline: secs(40),
    },
    Scene {
        opens: Some((5, "The target is repaired", "The end of the incident must arrive, once.")),
        fault: Fault::Repair,
        wants: &[Want::AllUp],
        messages: Tally { resolved: 1, ..NONE },
        quiet: secs(6),
        deadline: secs(40),
    },
];

/// How far a scene is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It goes on.
    Going,
    /// Every promise was kept.
    Kept,
    /// A promise was broken, or its time is up.
    Broken,
}

/// Judges a scene from what happens in it.
#[derive(Debug)]
pub(crate) struct Judge {
    scene: &'static Scene,
    started: Timestamp,
    arrived: Tally,
    judged: Vec<v1::State>,
    isolated: bool,
    back: bool,
    /// What happened that must not.
    fouls: Vec<(Foul, String)>,
}

/// A promise that can be broken before the time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Foul {
    Pages,
    Notices,
    Resolved,
    Down,
}

/// A promise and whether it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Promise {
    /// What was promised.
    pub name: String,
    /// What happened instead; `None` if it was kept.
    pub broken: Option<String>,
}

impl Judge {
    /// Begins to judge a scene.
    pub(crate) const fn new(scene: &'static Scene, started: Timestamp) -> Self {
        Self {
            scene,
            started,
            arrived: NONE,
            judged: Vec::new(),
            isolated: false,
            back: false,
            fouls: Vec::new(),
        }
    }

    /// Takes in what happened.
    pub(crate) fn hear(&mut self, what: &What) {
        let (foul, seen, allowed, message) = match what {
            What::Page(message) => {
                self.arrived.pages += 1;
                (Foul::Pages, self.arrived.pages, self.scene.messages.pages, message)
            }
            What::Notice(message) => {
                self.arrived.notices += 1;
                (Foul::Notices, self.arrived.notices, self.scene.messages.notices, message)
            }
            What::Resolved(message) => {
                self.arrived.resolved += 1;
                (Foul::Resolved, self.arrived.resolved, self.scene.messages.resolved, message)
            }
            What::Verdict(change) => {
                self.hear_verdict(&change.check, change.state);
                return;
            }
            What::Operator(notice) => {
                if notice.kind == "region_isolated" && notice.region.as_deref() == Some(ISLAND) {
                    (self.isolated, self.back) = (!notice.resolved, notice.resolved);
                }
                return;
            }
            What::Ready { .. } | What::Step { .. } | What::Promise { .. } | What::End { .. } => {
                return;
            }
        };
        if seen > allowed || message.check != VICTIM {
            self.fouls.push((foul, format!("one came for {}", message.check)));
        }
    }

    fn hear_verdict(&mut self, check: &str, state: &str) {
        if check == VICTIM {
            self.judged.extend(match state {
                "partial" => Some(v1::State::Partial),
                "down" => Some(v1::State::Down),
                _ => None,
            });
        }
        if state == "down" && self.scene.wants.contains(&Want::NothingDown) {
            self.fouls.push((Foul::Down, format!("{check} was judged down")));
        }
    }

    /// When [`Judge::progress`] is to be asked again if nothing else happens.
    pub(crate) fn next_look(&self, now: Timestamp) -> Timestamp {
        let quiet = self.started + self.scene.quiet;
        if now < quiet { quiet } else { self.started + self.scene.deadline }
    }

    /// How far the scene is.
    pub(crate) fn progress(&self, now: Timestamp, board: &Board) -> Progress {
        let elapsed = now - self.started;
        if !self.fouls.is_empty() || elapsed >= self.scene.deadline {
            let kept = self.promises(board).iter().all(|promise| promise.broken.is_none());
            return if kept { Progress::Kept } else { Progress::Broken };
        }
        let missing = self.promises(board).iter().any(|promise| promise.broken.is_some());
        if missing || elapsed < self.scene.quiet { Progress::Going } else { Progress::Kept }
    }

    /// Every promise of the scene as it stands.
    pub(crate) fn promises(&self, board: &Board) -> Vec<Promise> {
        let mut promises: Vec<Promise> =
            self.scene.wants.iter().map(|want| self.want(*want, board)).collect();
        let expected = self.scene.messages;
        let messages = [
            (Foul::Pages, "page", expected.pages, self.arrived.pages),
            (Foul::Notices, "notice", expected.notices, self.arrived.notices),
            (Foul::Resolved, "end of an incident", expected.resolved, self.arrived.resolved),
        ];
        for (foul, word, expected, arrived) in messages {
            let name = match (word, expected) {
                ("page", 0) => "nobody is paged".to_owned(),
                // What nobody expects need not be promised in so many words, unless it comes.
                (_, 0) if arrived == 0 => continue,
                (_, 0) => format!("no {word} arrives"),
                (_, _) => format!("exactly one {word} arrives for {VICTIM}"),
            };
            let broken =
                self.foul(foul).or_else(|| (arrived < expected).then(|| "none arrived".to_owned()));
            promises.push(Promise { name, broken });
        }
        promises
    }

    fn foul(&self, foul: Foul) -> Option<String> {
        self.fouls.iter().find(|(kind, _)| *kind == foul).map(|(_, text)| text.clone())
    }

    fn want(&self, want: Want, board: &Board) -> Promise {
        let unless = |kept: bool, instead: &str| (!kept).then(|| instead.to_owned());
        let (name, broken) = match want {
            Want::AllUp => (
                "every check is up, judged by all regions".to_owned(),
                unless(board.all_well(), &board.troubles()),
            ),
            Want::Judged(state) => (
                format!("{VICTIM} is judged {}", crate::board::state_word(state)),
                unless(self.judged.contains(&state), "it was not"),
            ),
            Want::NothingDown => ("no check is judged down".to_owned(), self.foul(Foul::Down)),
            Want::Isolated => (
                format!("the operators hear that {ISLAND} is cut off"),
                unless(self.isolated, "no such notice arrived"),
            ),
            Want::Back => (
                format!("the operators hear that {ISLAND} is back"),
                unless(self.back, "no such notice arrived"),
            ),
        };
        Promise { name, broken }
    }
}

#[cfg(test)]
mod tests;
