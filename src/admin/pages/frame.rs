//! The frame of every page.

use maud::{DOCTYPE, Markup, html};

use super::super::{Notice, View, assets, words};
use super::parts::{Tone, icon};

/// A page without its frame.
pub(super) struct Frame<'a> {
    /// What the tab says.
    pub(super) title: &'a str,
    /// The entry of the navigation that it belongs to.
    pub(super) active: &'a str,
    /// What comes below the bar.
    pub(super) body: Markup,
}

const NAVIGATION: [(&str, &str); 5] = [
    ("Overview", "/_admin"),
    ("Features", "/_admin/features"),
    ("Routes", "/_admin/routes"),
    ("Traffic", "/_admin/traffic"),
    ("Events", "/_admin/events"),
];

impl Frame<'_> {
    /// The whole document.
    pub(super) fn render(&self, view: &View<'_>) -> Markup {
        let stream = match self.active {
            "Overview" => "/_admin/live?page=overview",
            "Traffic" => "/_admin/live?page=traffic",
            _ => "/_admin/live",
        };
        let bar = html! {
            nav aria-label="Admin" {
                @for (title, path) in NAVIGATION {
                    a href=(path) aria-current=[(title == self.active).then_some("page")] { (title) }
                }
            }
            @if view.signed_in {
                form class="leave" method="post" action="/_admin/logout" {
                    input type="hidden" name="csrf" value=(view.csrf);
                    button class="plain" { "Sign out" }
                }
            }
        };
        let body = html! {
            main id="main" tabindex="-1" data-stream=(stream) data-snapshot=(view.snapshot.id()) {
                p class="notice info" id="changed" role="status" hidden {
                    (icon(Tone::Info)) span { "The host serves another snapshot now. " a href="" { "Show it" } }
                }
                @if let Some(notice) = view.notice { (said(notice, view)) }
                (self.body)
            }
            footer {
                p {
                    "Pilar host " (view.host.version) " · snapshot " code { (view.snapshot.id()) }
                    " · as of " time datetime=(view.now) title=(words::exact(view.now)) data-exact { (words::exact(view.now)) }
                }
            }
        };
        document(self.title, &bar, &body)
    }
}

/// The document around a bar and a body.
pub(super) fn document(title: &str, bar: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="same-origin";
                title { (title) " · Pilar admin" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(assets::css_url());
                script defer src=(assets::js_url()) {}
            }
            body {
                a class="skip" href="#main" { "Skip to content" }
                header class="bar" {
                    a class="mark" href="/_admin" { "Pilar" span { "admin" } }
                    (bar)
                }
                (body)
            }
        }
    }
}

fn said(notice: Notice, view: &View<'_>) -> Markup {
    let (tone, words) = match notice {
        Notice::Refreshed => (Tone::Good, "The artifacts were looked at again. Snapshot in place:"),
        Notice::RefreshFailed => (
            Tone::Bad,
            "The artifacts could not be looked at; what serves goes on. Snapshot in place:",
        ),
    };
    html! {
        p class={ "notice " (tone.name()) } role="status" {
            (icon(tone)) span { (words) " " code { (view.snapshot.id()) } }
        }
    }
}

/// The button that has the artifacts looked at again.
pub(super) fn refresh(view: &View<'_>) -> Markup {
    html! {
        form class="refresh" method="post" action="/_admin/refresh" {
            input type="hidden" name="csrf" value=(view.csrf);
            (refresh_button(None))
        }
    }
}

/// The form of a button that stands elsewhere, in a part of the page that is kept current.
pub(super) fn refresh_form(view: &View<'_>) -> Markup {
    html! {
        form id=(REFRESH) method="post" action="/_admin/refresh" hidden {
            input type="hidden" name="csrf" value=(view.csrf);
        }
    }
}

/// The button of [`refresh_form`].
pub(super) fn refresh_elsewhere() -> Markup {
    html! { div class="refresh" { (refresh_button(Some(REFRESH))) } }
}

const REFRESH: &str = "refresh-form";

fn refresh_button(form: Option<&str>) -> Markup {
    html! {
        button form=[form] data-busy="Looking at the artifacts…" { "Refresh from the artifacts" }
    }
}

/// Whether the page keeps itself current; the script says so.
pub(super) fn live_status() -> Markup {
    html! {
        p class="caption" {
            span id="live" data-paused="Paused; connecting again."
                data-ended="No longer kept current; load the page again for later figures." {
                "Kept current where scripts run."
            }
        }
    }
}

pub(super) fn not_found(view: &View<'_>, what: &str) -> Markup {
    let body = html! {
        div class="title" { h1 { "There is no such page" } }
        div class="panel" {
            p { "Looked for: " code { (what) } }
            p {
                "It may have been taken out or mistyped. "
                a href="/_admin/features" { "See every feature" } " or " a href="/_admin" { "go to the overview" } "."
            }
        }
    };
    Frame { title: "There is no such page", active: "", body }.render(view)
}
