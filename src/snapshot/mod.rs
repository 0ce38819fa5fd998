//! One immutable value that the edge answers from.
//!
//! A snapshot is built on the control side from verified contents, and swapped in whole. Nothing in it changes
//! afterwards, so a reply and everything it refers to belong together.

mod health;
mod id;
mod routes;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use pilar_artifact::FeatureId;

use crate::catalog::{Contents, FeatureState, Ignored, RetainedVersion};
use crate::edge::{Answer, Lookup, Owner};
use crate::http::{CachePolicy, Resource, ResourceError};
use crate::shell::{NavigationEntry, Pages, Sdk, Site};

pub use health::{Health, Overlap, Problem};
pub use routes::RouteTable;

/// Looked up for each request, by what clients send. Only names from verified manifests are ever put in, so that
/// a fast hash with a fixed seed does: no client can make keys collide.
pub(crate) type ByPath<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// The state of the host at one moment, with every static reply ready.
#[derive(Debug)]
pub struct Snapshot {
    id: String,
    features: BTreeMap<FeatureId, FeatureState>,
    retained: Vec<RetainedVersion>,
    ignored: Vec<Ignored>,
    owners: BTreeMap<FeatureId, Owner>,
    built_at: Timestamp,
    health: Health,
    navigation: Vec<NavigationEntry>,
    assets: ByPath<Arc<str>, (Arc<Resource>, Owner)>,
    routes: RouteTable,
    root: Resource,
    no_such_page: Resource,
    no_such_asset: Resource,
}

impl Snapshot {
    /// Builds the snapshot of these contents.
    ///
    /// # Errors
    /// [`ResourceError`] should a value not fit a header, which verified manifests rule out.
    pub fn build(
        contents: Contents,
        sdk: &Sdk,
        site: &Site,
        built_at: Timestamp,
    ) -> Result<Self, ResourceError> {
        let id = id::snapshot_id(&contents.features, sdk, site);
        let mut assets = ByPath::default();
        // What serves comes last, so that it wins where names meet.
        let retained = contents.retained.iter().rev().map(|kept| &kept.version);
        let serving = contents.features.values().filter_map(FeatureState::serving);
        for version in retained.chain(serving) {
            let owner = owner_of(&contents.owners, &version.manifest.id);
            for (path, resource) in &version.assets {
                assets.insert(path.clone(), (resource.clone(), owner));
            }
        }
        for (path, resource) in sdk.assets().iter().chain(&site.admin_assets) {
            assets.insert(path.clone(), (resource.clone(), Owner::NOBODY));
        }
        let pages = Pages::new(&contents.features, sdk, site, &id);
        let no_such_asset = Resource::builder(
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            CachePolicy::NoStore,
        )
        .header("x-pilar-snapshot", &id)?
        .identity("no such file in any version that this host serves or retains\n", None)
        .build()?;
        Ok(Self {
            routes: RouteTable::build(&contents.features, &contents.owners, &pages)?,
            root: pages.root()?,
            no_such_page: pages.no_such_page()?,
            no_such_asset,
            navigation: pages.navigation().to_vec(),
            built_at,
            health: Health::new(&id, built_at, &contents, sdk),
            features: contents.features,
            retained: contents.retained,
            ignored: contents.ignored,
            owners: contents.owners,
            assets,
            id,
        })
    }

    /// Whether a snapshot of these contents would be this one: the same serves, and there is the same to say.
    pub fn is_of(&self, contents: &Contents, sdk: &Sdk, site: &Site) -> bool {
        let id = id::snapshot_id(&contents.features, sdk, site);
        let same_retained = self.retained.len() == contents.retained.len()
            && self.retained.iter().zip(&contents.retained).all(|(one, other)| {
                // Also those of a feature that is gone, of which nothing else tells.
                Arc::ptr_eq(&one.version, &other.version)
            });
        self.id == id
            && same_retained
            && self.health == Health::new(&id, self.built_at, contents, sdk)
    }

    /// The id: equal on hosts of one version that serve equal content.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Every feature, the shared set included.
    pub fn features(&self) -> &BTreeMap<FeatureId, FeatureState> {
        &self.features
    }

    /// Versions that do not serve and whose files stay reachable.
    pub fn retained(&self) -> &[RetainedVersion] {
        &self.retained
    }

    /// What in the artifacts directory is no feature.
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// For whom the replies of each feature are counted, those that are gone included.
    pub fn owners(&self) -> &BTreeMap<FeatureId, Owner> {
        &self.owners
    }

    /// The URL prefix of the feature that a page's path lies under.
    pub fn prefix_of(&self, path: &str) -> Option<&str> {
        self.routes.prefix_of(path)
    }

    /// When it was built.
    pub fn built_at(&self) -> Timestamp {
        self.built_at
    }

    /// What `/_health` says of it.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The entries of `/_navigation`, in order.
    pub fn navigation(&self) -> &[NavigationEntry] {
        &self.navigation
    }
}

fn owner_of(owners: &BTreeMap<FeatureId, Owner>, id: &FeatureId) -> Owner {
    owners.get(id).copied().unwrap_or(Owner::NOBODY)
}

impl Lookup for Snapshot {
    fn lookup(&self, path: &str) -> Answer<'_> {
        if path == "/" {
            return Answer::Resource(&self.root, Owner::NOBODY);
        }
        if !path.starts_with("/_") {
            return match self.routes.find(path) {
                Some((page, owner)) => Answer::Resource(page, owner),
                None => Answer::Resource(&self.no_such_page, Owner::NOBODY),
            };
        }
        if let Some((asset, owner)) = self.assets.get(path) {
            return Answer::Resource(asset, *owner);
        }
        let hashed = ["/_assets/", "/_shared/", "/_sdk/"];
        if hashed.iter().any(|prefix| path.starts_with(prefix)) {
            // Never the shell: a page that runs an old chunk's name as HTML would fail in the browser.
            Answer::Resource(&self.no_such_asset, Owner::NOBODY)
        } else if path == "/_ready" {
            Answer::Probe
        } else {
            Answer::Service
        }
    }
}
