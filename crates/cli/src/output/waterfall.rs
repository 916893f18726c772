//! One probe drawn as a waterfall: where its time went.

use std::time::Duration;

use quorate_model::{HttpHop, Observation, Outcome, PhaseTiming, RoundTrips, TlsFacts};

use super::time::measured;
use super::{Colour, escaped, paint};

/// Characters of the longest bar.
const BAR_CHARS: usize = 40;
/// How many names of a certificate are shown.
const NAMES_SHOWN: usize = 5;

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
    let wire = evidence.wire_bytes.map_or_else(String::new, |wire| format!(", {wire} compressed"));
    fact("body", evidence.body_bytes.map(|bytes| format!("{bytes} bytes{wire}")));
    let interim: Vec<String> = evidence.interim.iter().map(ToString::to_string).collect();
    fact("before", (!interim.is_empty()).then(|| interim.join(", ")));
    fact("allow", evidence.allow.as_deref().map(escaped));
    fact("certificate", evidence.cert_not_after.map(|at| format!("valid until {at}")));
    if let Some(tls) = &evidence.tls {
        handshake(&mut fact, tls);
    }
    fact("edge", evidence.pop_hint.as_deref().map(escaped));
    if let Some(dns) = &evidence.dns {
        fact("rcode", Some(format!("{} {}", escaped(&dns.rcode), escaped(&dns.flags.join(" ")))));
        for answer in &dns.answers {
            fact("answer", Some(escaped(answer)));
        }
        fact("serial", dns.serial.map(|serial| serial.to_string()));
    }
    if let Some(ping) = &evidence.ping {
        fact("packets", Some(format!("{} sent, {} came back", ping.sent, ping.received)));
        fact(
            "round trip",
            ping.round_trips.map(|trips| {
                let RoundTrips { shortest, mean, longest } = trips;
                let [shortest, mean, longest] = [shortest, mean, longest].map(measured);
                format!("{shortest} at least, {mean} mean, {longest} at most")
            }),
        );
    }
    if let Some(grpc) = &evidence.grpc {
        fact("grpc status", Some(grpc.status.to_string()));
        fact("serving", Some(escaped(&grpc.serving)).filter(|word| !word.is_empty()));
    }
    fact("close code", evidence.close_code.map(|code| code.to_string()));
    fact("retry after", evidence.retry_after.map(measured));
}

/// What a TLS handshake showed. Everything in it comes from the target.
fn handshake(fact: &mut impl FnMut(&str, Option<String>), tls: &TlsFacts) {
    let agreed = [&tls.version, &tls.cipher, &tls.alpn];
    let agreed: Vec<String> = agreed.into_iter().flatten().map(|word| escaped(word)).collect();
    fact("tls", (!agreed.is_empty()).then(|| agreed.join(", ")));
    if tls.ocsp_stapled {
        fact("ocsp", Some("answer stapled".to_owned()));
    }
    if tls.client_certificate_asked {
        fact("client", Some("the server asks for a client certificate".to_owned()));
    }
    let Some(own) = tls.chain.first() else {
        return;
    };
    fact("subject", Some(escaped(&own.subject)));
    fact("issuer", Some(escaped(&own.issuer)));
    let shown: Vec<String> = own.names.iter().take(NAMES_SHOWN).map(|name| escaped(name)).collect();
    let more = u32::try_from(shown.len()).map_or(0, |shown| own.names_total.saturating_sub(shown));
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    fact("names", (!shown.is_empty()).then(|| shown.join(", ") + &more));
    let bits = if own.key_bits > 0 { format!(", {} bits", own.key_bits) } else { String::new() };
    fact("key", Some(format!("{}{bits}, signed {}", escaped(&own.key), escaped(&own.signature))));
    fact("sha256", Some(escaped(&own.sha256)));
    let first = tls.chain_not_after().filter(|at| *at != own.not_after);
    fact("chain", first.map(|at| format!("{} certificates, valid until {at}", tls.sent)));
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
