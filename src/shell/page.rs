//! The frame that every page has.

use maud::{DOCTYPE, Markup, html};

use super::{NavigationEntry, Sdk};

/// A page without its frame.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// What the tab and the bar say.
    pub(super) title: &'a str,
    /// The feature that the page belongs to.
    pub(super) active: Option<&'a str>,
    /// More of the head, before the scripts' own preloads.
    pub(super) head: Markup,
    /// The `main` element.
    pub(super) body: Markup,
}

impl Frame<'_> {
    /// The whole document. `scripts` come before anything that loads a module: an import map that came later
    /// would not count everywhere.
    pub(super) fn render(
        &self,
        sdk: &Sdk,
        navigation: &[NavigationEntry],
        scripts: &Markup,
    ) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Pilar" }
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href=(sdk.shell_css().url) integrity=(sdk.shell_css().integrity);
                    (scripts)
                    (self.head)
                }
                body {
                    a class="pilar-skip" href="#pilar-main" { "Skip to content" }
                    header class="pilar-bar" {
                        a class="pilar-mark" href="/" { "Pilar" }
                        span class="pilar-title" id="pilar-title" { (self.title) }
                        @if !navigation.is_empty() {
                            nav class="pilar-switcher" aria-label="Features" {
                                @for entry in navigation {
                                    a href=(entry.path) aria-current=[self.current(entry)] { (entry.title) }
                                }
                            }
                        }
                        span class="pilar-connection" id="pilar-connection" role="status" {}
                    }
                    (self.body)
                    div id="pilar-announcer" class="pilar-visually-hidden" aria-live="polite" {}
                    noscript {
                        p class="pilar-message" {
                            "The parts of this page need JavaScript, which this browser does not run."
                        }
                    }
                }
            }
        }
    }

    fn current(&self, entry: &NavigationEntry) -> Option<&'static str> {
        (self.active == Some(entry.feature_id.as_str())).then_some("page")
    }
}
