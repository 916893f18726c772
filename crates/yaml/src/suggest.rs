//! Words that come close, and text of strangers made fit to be shown.

/// The longest excerpt of a user's text in a message, in characters.
const SHOWN_MAX: usize = 80;

/// The candidate that comes closest to `word`, if any is close enough to have been meant.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > SHOWN_MAX {
        return None;
    }
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 4 * limit)
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Says what may have been meant by `word`, or else lists the candidates if they are few.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
) -> Option<String> {
    let candidates = candidates.into_iter();
    if let Some(meant) = suggest(word, candidates.clone()) {
        return Some(format!("did you mean `{}`?", shown(meant)));
    }
    let some: Vec<String> = candidates.take(25).map(shown).collect();
    match some.len() {
        0 | 25 => None,
        _ => Some(format!("known here: {}", some.join(", "))),
    }
}

/// `text` on one line, without control characters, cut at 80 characters.
pub fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let mut line: String = chars
        .by_ref()
        .take(SHOWN_MAX)
        .flat_map(|c| {
            let escape = c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            let plain = (!escape).then_some(c);
            let escaped = escape.then(|| c.escape_default());
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_was_meant_and_nothing_far_off() {
        let known = ["interval", "timeout", "quorum"];
        assert_eq!(suggest("intervall", known), Some("interval"));
        assert_eq!(suggest("tiemout", known), Some("timeout"));
        assert_eq!(suggest("http", known), None);
        assert_eq!(suggest(&"x".repeat(10_000), known), None);
    }

    #[test]
    fn shows_strange_text_on_one_line() {
        assert_eq!(shown("a\nb\u{1b}[1m"), "a\\nb\\u{1b}[1m");
        assert_eq!(shown(&"ä".repeat(200)).chars().count(), 81);
    }
}
