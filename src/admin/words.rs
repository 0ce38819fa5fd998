//! Numbers, sizes and times as people read them.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

/// A number with its thousands apart.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and what it counts.
pub(super) fn count(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(count as u64), if count == 1 { one } else { many })
}

/// A size in bytes, in units of a thousand.
pub(super) fn size(bytes: u64) -> String {
    let (divisor, unit) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => (1e3, "kB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        1_000_000_000..1_000_000_000_000 => (1e9, "GB"),
        _ => (1e12, "TB"),
    };
    format!("{} {unit}", short(bytes as f64 / divisor))
}

/// How long a reply took.
pub(super) fn latency(time: Option<Duration>) -> String {
    let Some(time) = time else { return "–".to_owned() };
    let seconds = time.as_secs_f64();
    match time.as_micros() {
        0..1_000 => format!("{} µs", time.as_micros()),
        1_000..1_000_000 => format!("{} ms", short(seconds * 1e3)),
        _ => format!("{} s", short(seconds)),
    }
}

/// How long something lasts, in its two largest units.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// A time, as how far it is from now; the exact time is there on hover.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> Markup {
    let elapsed = now.as_second().saturating_sub(at.as_second());
    let distance = coarse(elapsed.unsigned_abs());
    let words = match elapsed {
        -9..10 => "just now".to_owned(),
        10.. => format!("{distance} ago"),
        _ => format!("in {distance}"),
    };
    html! { time datetime=(at) title=(exact(at)) { (words) } }
}

/// A time of day to the second, in UTC.
pub(super) fn exact(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Hours and minutes, in UTC.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M").to_string()
}

/// The first letter in upper case.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Three digits are all that anybody takes in.
fn short(value: f64) -> String {
    match value {
        ..9.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn coarse(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 999, 1000, 12_345, 5_400_000].map(size),
            ["0 B", "999 B", "1.0 kB", "12 kB", "5.4 MB"]
        );
        let times = [0, 999, 1000, 1_234, 12_345, 2_000_000];
        let times = times.map(|micros| latency(Some(Duration::from_micros(micros))));
        assert_eq!(times, ["0 µs", "999 µs", "1.0 ms", "1.2 ms", "12 ms", "2.0 s"]);
        let spans = [0, 59, 61, 3_700, 90_000].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["0 s", "59 s", "1 min", "1 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn a_time_is_relative_and_exact() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let words = |at: &str| moment(at.parse().unwrap(), now).into_string();
        assert_eq!(
            words("2026-01-01T11:57:00Z"),
            r#"<time datetime="2026-01-01T11:57:00Z" title="2026-01-01 11:57:00 UTC">3 min ago</time>"#
        );
        assert!(words("2026-01-01T12:00:05Z").contains(">just now<"));
        assert!(words("2026-01-05T12:00:00Z").contains(">in 4 d<"));
        assert!(words("2025-12-31T11:00:00Z").contains(">25 h ago<"));
    }
}
