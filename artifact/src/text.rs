//! Text from untrusted documents, made fit for people.

/// How much of it anybody reads.
const LONGEST: usize = 300;

/// `text` as logs, terminals and pages may show it: bounded in length, and with every character that moves the
/// cursor, starts a line or hides something written out. A document is refused before anybody vouched for it,
/// so what it says of itself must not look like a line of the log.
pub fn for_people(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(LONGEST) {
        if is_invisible(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters, and those of Unicode that show nothing or turn the direction of what follows.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
