//! The HTML that the host renders: shells, the start page, and what people see when there is none.

mod catalogue;
mod navigation;
mod page;
mod policy;
mod preload;
mod sdk;

use std::collections::BTreeMap;

use http::StatusCode;
use maud::{Markup, PreEscaped, html};
use pilar_artifact::FeatureId;
use pilar_artifact::manifest::{FeatureType, Manifest};

pub(crate) use catalogue::LIVE_RELOAD_PATH;
pub use navigation::NavigationEntry;
pub use sdk::{Sdk, SdkError};

use crate::catalog::{Asset, FeatureState, LoadedVersion};
use crate::http::{CachePolicy, Effort, Resource, ResourceError, variants};
use catalogue::Catalogue;
use page::Frame;
use preload::{Kind, Preloads};

/// What the pages of this host share.
#[derive(Debug, Clone)]
pub struct Site {
    /// The host's version.
    pub host_version: String,
    /// Where `/` leads, if not to the start page.
    pub root_redirect: Option<String>,
    /// Whether pages reload when the snapshot changes, for development.
    pub live_reload: bool,
    /// How long a feature may take to start, in milliseconds.
    pub bootstrap_timeout_ms: u32,
    /// Files of the Admin UI, where it is served beside the features.
    pub admin_assets: Vec<Asset>,
}

/// Renders the pages of one snapshot.
#[derive(Debug)]
pub struct Pages<'a> {
    features: &'a BTreeMap<FeatureId, FeatureState>,
    sdk: &'a Sdk,
    site: &'a Site,
    snapshot: &'a str,
    catalogue: Catalogue<'a>,
    navigation: Vec<NavigationEntry>,
}

/// Seconds after which to try a feature again that has nothing to serve.
const RETRY_AFTER: &str = "30";

impl<'a> Pages<'a> {
    /// Collects what the pages of these features share.
    pub fn new(
        features: &'a BTreeMap<FeatureId, FeatureState>,
        sdk: &'a Sdk,
        site: &'a Site,
        snapshot: &'a str,
    ) -> Self {
        let catalogue = Catalogue::new(features, sdk);
        let navigation = navigation::entries(features);
        Self { features, sdk, site, snapshot, catalogue, navigation }
    }

    /// The entries of the navigation, in order.
    pub fn navigation(&self) -> &[NavigationEntry] {
        &self.navigation
    }

    /// The shell around a domain feature; `None` for what is no domain feature.
    ///
    /// # Errors
    /// [`ResourceError`] should a value not fit a header.
    pub fn shell(&self, loaded: &LoadedVersion) -> Result<Option<Resource>, ResourceError> {
        let manifest = &loaded.manifest;
        let Some(mount) =
            manifest.mount.as_ref().filter(|_| manifest.feature_type == FeatureType::Domain)
        else {
            return Ok(None);
        };
        let body = html! {
            main id="pilar-main" tabindex="-1" {
                div id=(mount.dom_element_id) class="pilar-feature" {}
            }
        };
        let active = manifest.id.as_str();
        let frame = Frame {
            title: &manifest.display_name,
            active: Some(active),
            head: shell_head(loaded),
            body,
        };
        let bootstrap =
            self.catalogue.bootstrap(Some(active), self.site, self.snapshot, &self.navigation);
        let page = self.interactive(&frame, &bootstrap, self.preloads(Some(loaded)))?;
        Ok(Some(page))
    }

    /// What `/` answers: the start page, or a redirect.
    ///
    /// # Errors
    /// [`ResourceError`] should a value not fit a header.
    pub fn root(&self) -> Result<Resource, ResourceError> {
        if let Some(target) = &self.site.root_redirect {
            let text = format!("the start page is at {target}\n");
            return Resource::builder(
                StatusCode::FOUND,
                "text/plain; charset=utf-8",
                CachePolicy::Revalidate,
            )
            .header("location", target)?
            .header("x-pilar-snapshot", self.snapshot)?
            .identity(text, None)
            .build();
        }
        let mut domains: Vec<_> = self
            .features
            .values()
            .filter_map(FeatureState::serving)
            .filter(|loaded| loaded.manifest.feature_type == FeatureType::Domain)
            .filter_map(|loaded| Some((&loaded.manifest, loaded.manifest.mount.as_ref()?)))
            .collect();
        // As in the bar; what is not in the bar comes after it, by id.
        domains.sort_by_key(|(manifest, _)| {
            let place = self.navigation.iter().position(|entry| entry.feature_id == manifest.id);
            place.unwrap_or(usize::MAX)
        });
        let body = html! {
            main id="pilar-main" tabindex="-1" class="pilar-start" {
                h1 { "Start" }
                @if domains.is_empty() {
                    p { "No feature serves a page yet. As soon as one is published, it is listed here." }
                } @else {
                    p { "Choose where to go." }
                    ul class="pilar-card" {
                        @for (manifest, mount) in &domains {
                            li { a href=(mount.path_prefix) {
                                (manifest.display_name)
                                small { (mount.path_prefix) }
                            } }
                        }
                    }
                }
            }
        };
        let frame = Frame { title: "Start", active: None, head: html! {}, body };
        let bootstrap = self.catalogue.bootstrap(None, self.site, self.snapshot, &self.navigation);
        self.interactive(&frame, &bootstrap, self.preloads(None))
    }

    /// What a path answers that no feature owns.
    ///
    /// # Errors
    /// [`ResourceError`] should a value not fit a header.
    pub fn no_such_page(&self) -> Result<Resource, ResourceError> {
        let body = html! {
            main id="pilar-main" tabindex="-1" class="pilar-message" {
                h1 { "There is no such page" }
                p { "No feature of this host owns this address. It may have been moved or mistyped." }
                p { a href="/" { "Go to the start page" } }
                small { "Snapshot " (self.snapshot) }
            }
        };
        let frame = Frame { title: "There is no such page", active: None, head: html! {}, body };
        self.message(StatusCode::NOT_FOUND, &frame, None)
    }

    /// What a prefix answers whose feature has nothing to serve.
    ///
    /// # Errors
    /// [`ResourceError`] should a value not fit a header.
    pub fn nothing_to_serve(&self, state: &FeatureState) -> Result<Resource, ResourceError> {
        let body = html! {
            main id="pilar-main" tabindex="-1" class="pilar-message" {
                h1 { "This part is not available right now" }
                p { "No version of it can be served at the moment. Other parts keep working. Try again in a \
                     minute; if it stays away, pass on the words below." }
                p { a href="" { "Try again" } " · " a href="/" { "Go to the start page" } }
                small { "Feature " (state.id) " · snapshot " (self.snapshot) }
            }
        };
        let frame = Frame {
            title: "This part is not available right now",
            active: Some(state.id.as_str()),
            head: html! {},
            body,
        };
        self.message(StatusCode::SERVICE_UNAVAILABLE, &frame, Some(RETRY_AFTER))
    }

    /// All that a page fetches before its feature runs: style sheets, which hold up drawing, then modules.
    fn preloads(&self, active: Option<&LoadedVersion>) -> Preloads {
        let mut preloads = Preloads::default();
        let css = self.sdk.shell_css();
        preloads.add(Kind::Style, &css.url, &css.integrity);
        let mut modules = vec![self.sdk.shell_js().url.clone()];
        if let Some(loaded) = active {
            let Manifest { entrypoints, integrity, .. } = &loaded.manifest;
            for file in entrypoints.css() {
                if let Some(integrity) = integrity.get(file) {
                    preloads.add(Kind::Style, &loaded.url(file), &integrity.0.sri());
                }
            }
            modules.extend(entrypoints.js().iter().map(|file| loaded.url(file)));
        }
        for (url, integrity) in self.catalogue.needed_by(&modules) {
            preloads.add(Kind::Module, url, integrity);
        }
        preloads
    }

    /// A page on which the browser runtime runs.
    fn interactive(
        &self,
        frame: &Frame<'_>,
        bootstrap: &str,
        preloads: Preloads,
    ) -> Result<Resource, ResourceError> {
        let import_map = self.catalogue.import_map();
        let scripts = html! {
            script type="importmap" { (PreEscaped(import_map)) }
            script type="application/json" id="pilar-bootstrap" { (PreEscaped(bootstrap)) }
            script type="module" src=(self.sdk.shell_js().url) integrity=(self.sdk.shell_js().integrity) {}
        };
        let html = frame.render(self.sdk, &self.navigation, &scripts).into_string();
        let policy = policy::content_security_policy(Some(import_map));
        let link = preloads.into_link();
        let link = Some(("link", link.as_str()));
        finish(StatusCode::OK, CachePolicy::Revalidate, html, &policy, self.snapshot, link)
    }

    /// A page without scripts.
    fn message(
        &self,
        status: StatusCode,
        frame: &Frame<'_>,
        retry_after: Option<&str>,
    ) -> Result<Resource, ResourceError> {
        let html = frame.render(self.sdk, &self.navigation, &html! {}).into_string();
        let policy = policy::content_security_policy(None);
        let retry_after = retry_after.map(|seconds| ("retry-after", seconds));
        finish(status, CachePolicy::NoStore, html, &policy, self.snapshot, retry_after)
    }
}

/// The style sheets of the active feature. A feature in a shadow root gets its styles there.
fn shell_head(loaded: &LoadedVersion) -> Markup {
    let manifest = &loaded.manifest;
    html! {
        @if !manifest.shadow_dom() {
            @for file in manifest.entrypoints.css() {
                link rel="stylesheet" href=(loaded.url(file)) integrity=[manifest.integrity.get(file).map(|one| one.0.sri())]
                    data-pilar-feature=(manifest.id);
            }
        }
    }
}

fn finish(
    status: StatusCode,
    cache: CachePolicy,
    html: String,
    policy: &str,
    snapshot: &str,
    more: Option<(&str, &str)>,
) -> Result<Resource, ResourceError> {
    let mut page = Resource::builder(status, "text/html; charset=utf-8", cache)
        .header("content-security-policy", policy)?
        .header("referrer-policy", "same-origin")?
        .header("cross-origin-opener-policy", "same-origin")?
        .header("x-pilar-snapshot", snapshot)?
        .negotiable();
    if let Some((name, value)) = more {
        page = page.header(name, value)?;
    }
    for (encoding, bytes) in variants(html.as_bytes(), Effort::Fast) {
        page = page.variant(encoding, bytes, None);
    }
    page.identity(html, None).build()
}
