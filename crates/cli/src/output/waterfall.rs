//! One probe drawn as a waterfall: where its time went.

use std::time::Duration;

use quorate_model::{HttpHop, Observation, Outcome, PhaseTiming};

use super::time::measured;
use super::{Colour, escaped, paint};

/// Characters of the longest bar.
const BAR_CHARS: usize = 40;

/// The probe in words and bars, each line ended.
pub(crate) fn draw(target: &str, observation: &Observation, colour: bool) -> String {
    let mut lines = vec![escaped(target)];
    let evidence = &observation.evidence;
    if !evidence.resolved.is_empty() {
        let addresses: Vec<String> = evidence.resolved.iter().map(ToString::to_string).collect();
        lines.push(format!("resolved to {}", addresses.join(", ")));
    }
    let mut start = Duration::ZERO;
    if evidence.hops.len() > 1 {
        // Hops are drawn one after the other on the time line of the whole probe.
        for hop in &evidence.hops {
            lines.push(String::new());
            lines.push(hop_line(hop));
            bars(&mut lines, &hop.phases, &mut start, observation.total);
        }
    } else {
        lines.extend(evidence.hops.iter().map(hop_line));
        lines.push(String::new());
        bars(&mut lines, &observation.phases, &mut start, observation.total);
    }
    lines.push(format!("  {:<9} {:>8}", "total", measured(observation.total)));
    lines.push(String::new());
    facts(&mut lines, observation);
    lines.push(verdict_line(observation, colour));
    lines.iter().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

fn hop_line(hop: &HttpHop) -> String {
    let mut line = format!("{} {} -> {}", escaped(&hop.method), escaped(&hop.url), hop.status);
    if let Some(address) = hop.address {
        line += format!(" from {address}").as_str();
    }
    if let Some(location) = &hop.location {
        line += format!(", to {}", escaped(location)).as_str();
    }
    line
}

fn bars(lines: &mut Vec<String>, phases: &[PhaseTiming], start: &mut Duration, total: Duration) {
    for timing in phases {
        let (from, to) = (column(*start, total), column(*start + timing.elapsed, total));
        let bar = format!("{}{}", " ".repeat(from), "█".repeat((to - from).max(1)));
        lines.push(format!("  {:<9} {:>8}  {bar}", timing.phase, measured(timing.elapsed)));
        *start += timing.elapsed;
    }
}

fn column(at: Duration, total: Duration) -> usize {
    let total = total.as_micros().max(1);
    let column = at.as_micros().min(total) * BAR_CHARS as u128 / total;
    usize::try_from(column).unwrap_or(BAR_CHARS)
}

fn facts(lines: &mut Vec<String>, observation: &Observation) {
    let evidence = &observation.evidence;
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("{name:<12}{value}"));
        }
    };
    fact("address", evidence.address.map(|address| address.to_string()));
    fact("resolver", evidence.resolver.map(|used| used.to_string()));
    let other = evidence.other_family;
    fact("also", other.map(|other| format!("{} at {}", other.outcome, other.address)));
    fact("protocol", evidence.protocol.as_deref().map(escaped));
    fact("status", evidence.status.map(|status| status.to_string()));
    fact("body", evidence.body_bytes.map(|bytes| format!("{bytes} bytes")));
    fact("certificate", evidence.cert_not_after.map(|at| format!("valid until {at}")));
    fact("edge", evidence.pop_hint.as_deref().map(escaped));
    fact("retry after", evidence.retry_after.map(measured));
}

fn verdict_line(observation: &Observation, colour: bool) -> String {
    let outcome = observation.outcome;
    let shade = match outcome {
        Outcome::Ok => Colour::Green,
        Outcome::Slow | Outcome::Blocked { .. } | Outcome::Inconclusive { .. } => Colour::Yellow,
        Outcome::Fail { .. } => Colour::Red,
    };
    let word = paint(colour, shade, &outcome.to_string());
    match observation.evidence.message.as_str() {
        "" => word,
        message => format!("{word}: {}", escaped(message)),
    }
}

#[cfg(test)]
mod tests;
