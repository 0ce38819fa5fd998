//! What several pages are put together from.

use maud::{Markup, PreEscaped, Render, html};

use super::super::words;

/// How something is to be felt. Each has a colour and an icon of its own shape; a word always stands beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Something to look at.
    Warn,
    /// Somebody misses something.
    Bad,
    /// Worth knowing.
    Info,
    /// Nothing came of it.
    Quiet,
}

impl Tone {
    /// The name in class attributes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Info => "info",
            Self::Quiet => "quiet",
        }
    }
}

/// The icon alone, for beside a word.
pub(super) fn icon(tone: Tone) -> Markup {
    let path = match tone {
        Tone::Good => "M8 1.75a6.25 6.25 0 1 1 0 12.5a6.25 6.25 0 0 1 0-12.5zM5.2 8.2l2 2l3.7-4.2",
        Tone::Warn => "M8 2.2l6.3 11.3H1.7zM8 6.4v3.4M8 11.7v.1",
        Tone::Bad => {
            "M5.4 1.75h5.2l3.65 3.65v5.2l-3.65 3.65H5.4L1.75 10.6V5.4zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4"
        }
        Tone::Info => "M8 1.75a6.25 6.25 0 1 1 0 12.5a6.25 6.25 0 0 1 0-12.5zM8 7.4v3.8M8 4.9v.1",
        Tone::Quiet => "M8 1.75a6.25 6.25 0 1 1 0 12.5a6.25 6.25 0 0 1 0-12.5zM5.4 8h5.2",
    };
    html! {
        svg class={ "icon " (tone.name()) } viewBox="0 0 16 16" aria-hidden="true" focusable="false" {
            path d=(path) {}
        }
    }
}

/// A state: icon, word, colour.
pub(super) fn badge(tone: Tone, word: &str) -> Markup {
    html! { span class={ "badge " (tone.name()) } { (icon(tone)) (word) } }
}

/// A digest of which the first characters show; the whole of it is there on hover and when copied.
pub(super) fn hash(digest: &str) -> Markup {
    html! { code class="hash" title=(digest) { (digest.strip_prefix("sha256:").unwrap_or(digest)) } }
}

/// What a loader goes by: a digest, or an address, of which the end counts as much.
pub(super) fn origin(text: &str) -> Markup {
    if text.starts_with("sha256:") {
        hash(text)
    } else {
        html! { code { (text) } }
    }
}

/// A sentence of which the digests are shortened, and its first letter is a capital.
pub(super) fn prose(text: &str) -> Markup {
    let text = words::sentence(text);
    let is_digest = |word: &str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    html! {
        @for (position, part) in text.split_inclusive([' ', ',']).enumerate() {
            @let word = part.trim_end_matches([' ', ',']);
            @if position > 0 && is_digest(word) {
                (hash(word)) (part.strip_prefix(word).unwrap_or_default())
            } @else { (part) }
        }
    }
}

/// What is not there.
pub(super) fn none() -> Markup {
    html! { span class="none" { "–" } }
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(in crate::admin) struct Column {
    name: &'static str,
    is_number: bool,
}

/// A column of words.
pub(in crate::admin) const fn column(name: &'static str) -> Column {
    Column { name, is_number: false }
}

/// A column of numbers.
pub(in crate::admin) const fn numbers(name: &'static str) -> Column {
    Column { name, is_number: true }
}

/// A table whose rows stand as cards where it is narrow. The roles are written out because a table that is laid
/// out otherwise is none to assistive technology.
pub(in crate::admin) fn table(label: &str, columns: &[Column], rows: &[Vec<Markup>]) -> Markup {
    html! {
        table role="table" aria-label=(label) {
            thead role="rowgroup" {
                tr role="row" {
                    @for column in columns {
                        th role="columnheader" scope="col" class=[column.class()] { (column.name) }
                    }
                }
            }
            tbody role="rowgroup" {
                @for row in rows {
                    tr role="row" {
                        @for (position, (cell, column)) in row.iter().zip(columns).enumerate() {
                            @if position == 0 {
                                th role="rowheader" scope="row" class=[column.class()] { (cell) }
                            } @else {
                                td role="cell" class=[column.class()] data-label=(column.name) { div { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Column {
    fn class(self) -> Option<&'static str> {
        self.is_number.then_some("number")
    }
}

/// Names and what belongs to them.
pub(super) fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl class="facts" {
            @for (name, value) in facts {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// A part of a page with a heading.
pub(super) fn section(id: &str, title: &str, body: &Markup) -> Markup {
    html! {
        section class="panel" aria-labelledby=(id) {
            h2 id=(id) { (title) }
            (body)
        }
    }
}

/// What stands where nothing is yet: what will be here, and how it comes.
pub(super) fn empty(title: &str, words: impl Render) -> Markup {
    html! {
        div class="empty" {
            (PreEscaped(EMPTY_PICTURE))
            p class="empty-title" { (title) }
            p { (words) }
        }
    }
}

/// The three pillars of the mark, not built yet.
const EMPTY_PICTURE: &str = "<svg viewBox=\"0 0 64 48\" aria-hidden=\"true\" focusable=\"false\">\
     <path d=\"M6 44h52M12 44V24h8v20M28 44V14h8v30M44 44V6h8v38\"/></svg>";
