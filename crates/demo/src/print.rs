//! Where the demo's events are shown.

use std::io::{self, Write};

use quorate_model::Timestamp;
use quorate_proto::v1;

use crate::board::{Board, bare, state_word};
use crate::event::{Event, What};

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// On a terminal: lines above a table that is redrawn in place.
    Live,
    /// One line for each event, a few more for a page.
    Lines,
    /// One JSON object a line.
    Jsonl,
}

/// Hides the cursor, and cuts lines that are too long instead of wrapping them.
const BEGIN: &str = "\u{1b}[?25l\u{1b}[?7l";
/// Undoes [`BEGIN`].
const RESTORE: &str = "\u{1b}[?7h\u{1b}[?25h";

/// Shows events in one of the formats. Dropping it restores the terminal.
pub(crate) struct Printer<'a> {
    out: &'a mut (dyn Write + Send),
    format: Format,
    colour: bool,
    start: Timestamp,
    regions: Vec<String>,
    /// Lines of the table on the screen.
    drawn: usize,
    hidden: bool,
}

impl std::fmt::Debug for Printer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer").field("format", &self.format).finish_non_exhaustive()
    }
}

impl<'a> Printer<'a> {
    /// Shows nothing yet. Times are shown since `start`.
    pub(crate) fn new(
        out: &'a mut (dyn Write + Send),
        format: Format,
        colour: bool,
        start: Timestamp,
        regions: &[&str],
    ) -> Self {
        let regions = regions.iter().map(|region| (*region).to_owned()).collect();
        Self { out, format, colour, start, regions, drawn: 0, hidden: false }
    }

    /// Shows an event.
    pub(crate) fn show(&mut self, event: &Event, board: &Board) -> io::Result<()> {
        let mut text = String::new();
        match self.format {
            Format::Jsonl => {
                text = serde_json::to_string(event).map_err(io::Error::other)?;
                text.push('\n');
            }
            Format::Lines => self.lines(event, &mut text),
            Format::Live => {
                self.wipe(&mut text);
                self.lines(event, &mut text);
                self.table(board, event.time, &mut text);
            }
        }
        self.write(&text)
    }

    /// Draws the table anew; does nothing in the other formats.
    pub(crate) fn refresh(&mut self, board: &Board, now: Timestamp) -> io::Result<()> {
        if self.format != Format::Live {
            return Ok(());
        }
        let mut text = String::new();
        self.wipe(&mut text);
        self.table(board, now, &mut text);
        self.write(&text)
    }

    /// Leaves the terminal as it was.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.hidden {
            self.hidden = false;
            self.write(RESTORE)?;
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        // One write for the whole picture: a terminal shows it without flicker.
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    fn lines(&self, event: &Event, text: &mut String) {
        for line in event.lines(self.start) {
            let code = match &event.what {
                What::Page(_) | What::Promise { kept: false, .. } => 31,
                What::Notice(_) | What::Operator(_) => 33,
                What::Resolved(_) | What::Promise { .. } => 32,
                What::Step { .. } => 1,
                What::Ready { .. } | What::Verdict(_) | What::End { .. } => 0,
            };
            text.push_str(&self.paint(code, &line));
            text.push('\n');
        }
    }

    fn paint(&self, code: u8, text: &str) -> String {
        if self.colour && code != 0 {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Goes back to where the table began.
    fn wipe(&mut self, text: &mut String) {
        if !self.hidden {
            self.hidden = true;
            text.push_str(BEGIN);
        }
        if self.drawn > 0 {
            *text += format!("\u{1b}[{}A\r\u{1b}[J", self.drawn).as_str();
            self.drawn = 0;
        }
    }

    fn table(&mut self, board: &Board, now: Timestamp, text: &mut String) {
        let mut lines = vec![String::new()];
        let mut header = format!("{:<14}{:<14}", "CHECK", "STATE");
        for region in &self.regions {
            header += format!("{region:^5}").as_str();
        }
        lines.push(format!("{header}  {:.0} s", (now - self.start).as_secs_f64()));
        for (name, check) in board.checks() {
            lines.push(self.row(name, check));
        }
        self.drawn = lines.len();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
    }

    fn row(&self, name: &str, check: &v1::Check) -> String {
        let verdict = check.verdict.clone().unwrap_or_default();
        let code = match verdict.state() {
            v1::State::Up => 32,
            v1::State::Partial | v1::State::Degraded => 33,
            v1::State::Down => 31,
            v1::State::Unknown | v1::State::Unspecified => 2,
        };
        let state = self.paint(code, &format!("{:<14}", state_word(verdict.state())));
        let mut row = format!("{name:<14}{state}");
        let ballot = verdict.ballot.unwrap_or_default();
        for region in &self.regions {
            let vote = ballot.votes.iter().find(|vote| bare(&vote.region) == region);
            let (mark, code) = vote.map_or(("·", 2), mark);
            row.push_str(&self.paint(code, &format!("{mark:^5}")));
        }
        if !check.open_incident.is_empty() {
            row += format!("  incident: {}", verdict.cause).as_str();
        }
        row
    }
}

/// A vote as one character and its colour.
fn mark(vote: &v1::Vote) -> (&'static str, u8) {
    let (mark, code) = match vote.outcome.as_str() {
        "ok" => ("✓", 32),
        "slow" => ("~", 33),
        "blocked" => ("!", 33),
        "fail" => ("✗", 31),
        "inconclusive" => ("?", 33),
        _ => ("·", 2),
    };
    // A vote that does not count is shown, but pale.
    if vote.counted == "yes" { (mark, code) } else { (mark, 2) }
}

impl Drop for Printer<'_> {
    fn drop(&mut self) {
        // A terminal that has gone away needs no restoring.
        drop(self.finish());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::tests::check;

    const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn board() -> Board {
        let mut board = Board::default();
        let mut shop = check("shop", v1::State::Partial, 1, 2);
        if let Some(verdict) = &mut shop.verdict {
            let vote = |region: &str, outcome: &str| v1::Vote {
                region: format!("regions/{region}"),
                outcome: outcome.to_owned(),
                counted: "yes".to_owned(),
                ..Default::default()
            };
            let votes = vec![vote("fra", "ok"), vote("gru", "fail")];
            verdict.ballot = Some(v1::Ballot { votes, ..Default::default() });
        }
        board.update(shop);
        board
    }

    fn event() -> Event {
        let what = What::Promise { name: "nobody is paged".to_owned(), kept: true, detail: None };
        Event { time: START, what }
    }

    #[test]
    fn the_table_is_redrawn_in_place_and_the_terminal_restored() {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, Format::Live, false, START, &["fra", "gru"]);
        printer.refresh(&board(), START).unwrap();
        printer.show(&event(), &board()).unwrap();
        drop(printer);
        let text = String::from_utf8(out).unwrap();
        let table = "\nCHECK         STATE          fra  gru   0 s\nshop          partial         ✓    ✗  \n";
        let line = "   0.0 s  kept      nobody is paged\n";
        assert_eq!(text, format!("{BEGIN}{table}\u{1b}[3A\r\u{1b}[J{line}{table}{RESTORE}"));
    }

    #[test]
    fn programs_get_one_object_a_line_and_no_table() {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, Format::Jsonl, true, START, &[]);
        printer.refresh(&board(), START).unwrap();
        printer.show(&event(), &board()).unwrap();
        drop(printer);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["event"], "promise");
    }
}
