//! The HTML that the host renders: shells, the start page, and what people see when there is none.

mod catalogue;
mod navigation;
mod page;
mod policy;
mod preload;
mod sdk;

use std::collections::BTreeMap;

use http::StatusCode;
use maud::{Markup, html};
use pilar_artifact::FeatureId;
use pilar_artifact::manifest::{FeatureType, Manifest};

pub(crate) use catalogue::LIVE_RELOAD_PATH;
pub use navigation::NavigationEntry;
pub use sdk::{Sdk, SdkError};

use crate::catalog::{Asset, FeatureState, LoadedVersion};
use crate::http::{CachePolicy, Part, Resource, ResourceError, encodings};
use catalogue::Catalogue;
use page::{Frame, Runs, Shared};
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
    shared: Shared,
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
        let shared = Shared::new(&catalogue, &navigation, sdk, site, snapshot);
        Self { features, sdk, site, snapshot, catalogue, navigation, shared }
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
        let frame = Frame {
            title: &manifest.display_name,
            head: shell_head(loaded),
            body: Part::plain(body.into_string()),
            runs: Runs::Runtime(Some(manifest.id.as_str())),
        };
        Ok(Some(self.interactive(frame, self.preloads(Some(loaded)))?))
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
        let places: BTreeMap<_, _> =
            self.navigation.iter().map(|entry| &entry.feature_id).zip(0..).collect();
        domains
            .sort_by_key(|(manifest, _)| places.get(&manifest.id).copied().unwrap_or(usize::MAX));
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
        let frame = Frame {
            title: "Start",
            head: html! {},
            body: Part::compressed(body),
            runs: Runs::Runtime(None),
        };
        self.interactive(frame, self.preloads(None))
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
        self.message(StatusCode::NOT_FOUND, "There is no such page", body, None)
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
        let title = "This part is not available right now";
        self.message(StatusCode::SERVICE_UNAVAILABLE, title, body, Some(RETRY_AFTER))
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
    fn interactive(&self, frame: Frame<'_>, preloads: Preloads) -> Result<Resource, ResourceError> {
        let link = preloads.into_link();
        self.finish(StatusCode::OK, CachePolicy::Revalidate, frame, Some(("link", &link)))
    }

    /// A page without scripts.
    fn message(
        &self,
        status: StatusCode,
        title: &str,
        body: Markup,
        retry_after: Option<&str>,
    ) -> Result<Resource, ResourceError> {
        let body = Part::plain(body.into_string());
        let frame = Frame { title, head: html! {}, body, runs: Runs::Nothing };
        let retry_after = retry_after.map(|seconds| ("retry-after", seconds));
        self.finish(status, CachePolicy::NoStore, frame, retry_after)
    }

    fn finish(
        &self,
        status: StatusCode,
        cache: CachePolicy,
        frame: Frame<'_>,
        more: Option<(&str, &str)>,
    ) -> Result<Resource, ResourceError> {
        let mut page = Resource::builder(status, "text/html; charset=utf-8", cache)
            .header("content-security-policy", self.shared.policy(frame.runs))?
            .header("referrer-policy", "same-origin")?
            .header("cross-origin-opener-policy", "same-origin")?
            .header("x-pilar-snapshot", self.snapshot)?
            .negotiable();
        if let Some((name, value)) = more {
            page = page.header(name, value)?;
        }
        for (encoding, bytes, sha256) in encodings(&self.shared.document(frame)) {
            page = page.variant(encoding, bytes, Some(sha256));
        }
        page.build()
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
