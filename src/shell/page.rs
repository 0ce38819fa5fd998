//! The frame that every page has.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::catalogue::{Catalogue, start_of_bootstrap};
use super::{NavigationEntry, Sdk, Site, policy};
use crate::http::Part;

/// A page without its frame.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// What the tab and the bar say.
    pub(super) title: &'a str,
    /// More of the head.
    pub(super) head: Markup,
    /// The `main` element.
    pub(super) body: Part,
    /// Whether and for whom the runtime is there.
    pub(super) runs: Runs<'a>,
}

/// What runs on a page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Runs<'a> {
    Nothing,
    /// The browser runtime, which starts this feature.
    Runtime(Option<&'a str>),
}

/// What the frames of all pages of a snapshot have in common, which is nearly all of them: it names every feature.
#[derive(Debug)]
pub(super) struct Shared {
    head: String,
    scripts: Part,
    navigation: Part,
    /// The policy of pages with scripts, and of those without.
    policies: (String, String),
}

impl Shared {
    pub(super) fn new(
        catalogue: &Catalogue<'_>,
        navigation: &[NavigationEntry],
        sdk: &Sdk,
        site: &Site,
        snapshot: &str,
    ) -> Self {
        let head = html! {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            link rel="icon" href="data:,";
            link rel="stylesheet" href=(sdk.shell_css().url) integrity=(sdk.shell_css().integrity);
        };
        let import_map = catalogue.import_map();
        // The map comes before anything that loads a module: one that came later would not count everywhere.
        let scripts = html! {
            (PreEscaped(catalogue.rest_of_bootstrap(site, snapshot, navigation))) (PreEscaped("</script>"))
            script type="importmap" { (PreEscaped(import_map)) }
            script type="module" src=(sdk.shell_js().url) integrity=(sdk.shell_js().integrity) {}
        };
        // Which entry is the current one is for the runtime to say: without it, no page of a feature works.
        let navigation = html! {
            @if !navigation.is_empty() {
                nav class="pilar-switcher" aria-label="Features" {
                    @for entry in navigation {
                        a href=(entry.path) { (entry.title) }
                    }
                }
            }
            span class="pilar-connection" id="pilar-connection" role="status" {}
        };
        Self {
            head: head.into_string(),
            scripts: Part::compressed(scripts),
            navigation: Part::compressed(navigation),
            policies: (
                policy::content_security_policy(Some(import_map)),
                policy::content_security_policy(None),
            ),
        }
    }

    /// The whole document.
    pub(super) fn document(&self, frame: Frame<'_>) -> Vec<Part> {
        let (scripts_start, scripts) = match frame.runs {
            Runs::Nothing => (String::new(), None),
            Runs::Runtime(active) => (
                format!("{BOOTSTRAP_START}{}", start_of_bootstrap(active)),
                Some(self.scripts.clone()),
            ),
        };
        let head = html! {
            (DOCTYPE)
            (PreEscaped("<html lang=\"en\"><head>"))
            (PreEscaped(&self.head))
            title { (frame.title) " · Pilar" }
            (frame.head)
            (PreEscaped(scripts_start))
        };
        let bar = html! {
            (PreEscaped("</head><body>"))
            a class="pilar-skip" href="#pilar-main" { "Skip to content" }
            (PreEscaped("<header class=\"pilar-bar\">"))
            a class="pilar-mark" href="/" { "Pilar" }
            span class="pilar-title" id="pilar-title" { (frame.title) }
        };
        let end = html! {
            div id="pilar-announcer" class="pilar-visually-hidden" aria-live="polite" {}
            noscript {
                p class="pilar-message" {
                    "The parts of this page need JavaScript, which this browser does not run."
                }
            }
            (PreEscaped("</body></html>"))
        };
        let plain = |markup: Markup| Part::plain(markup.into_string());
        let mut parts = vec![plain(head)];
        parts.extend(scripts);
        parts.extend([
            plain(bar),
            self.navigation.clone(),
            Part::plain("</header>"),
            frame.body,
            plain(end),
        ]);
        parts
    }

    /// The content security policy of a page.
    pub(super) fn policy(&self, runs: Runs<'_>) -> &str {
        match runs {
            Runs::Nothing => &self.policies.1,
            Runs::Runtime(_) => &self.policies.0,
        }
    }
}

const BOOTSTRAP_START: &str = "<script type=\"application/json\" id=\"pilar-bootstrap\">";
