//! Brings an artifact from where a registration says it is into a staging directory.
//!
//! What a transport brings is untrusted: it has kept within the limits and beneath the staging directory, and
//! no more is said of it. Verification comes after, in one place for every transport.

mod cdn;
mod credentials;
mod download;
mod error;
mod file;
mod http;
mod oci;
mod options;
mod patience;
mod tally;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use pilar_artifact::{FeatureId, Sha256Digest, TrustedKeys};
use pilar_store::Incoming;
use semver::Version;

use crate::problem::Problem;
use crate::registration::{Origin, Registration};
use download::Access;
use http::Http;
use turns::{Turn, Turns};

pub use credentials::Unusable;
pub use error::FetchError;
pub use options::{AzureIdentity, Limits, Options, Proxies};
pub use tally::Tally;

/// What is asked of a transport.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The feature and where it is.
    pub registration: &'a Registration,
    /// Manifest digests of the versions that are in the tree already and need not come again.
    pub present: &'a BTreeMap<Version, Sha256Digest>,
    /// What [`Fetched::validator`] said when the state that is in place came. A CDN whose index is still that one
    /// is not asked for more.
    pub validator: Option<&'a str>,
    /// What the index of a CDN is verified with before its entries are believed. The sequence rule is not applied
    /// here.
    pub trust: Trust<'a>,
    /// Where it is put. On success it holds `releases.json` and a directory for each version of the index that
    /// is neither in `present` nor revoked; of a CDN, one that is not to serve may be missing or not whole. It is shared with the thread that writes to it, which may outlive a
    /// fetch that is dropped by a moment.
    pub into: &'a Arc<Incoming>,
    /// Where it is noted what this costs.
    pub tally: &'a Tally,
}

/// The keys whose signatures count, and the time that decides about their expiry.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    /// The keys.
    pub keys: &'a TrustedKeys,
    /// The time.
    pub now: Timestamp,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Whether there is anything in the staging directory; a CDN whose index is still the known one brings
    /// nothing.
    pub changed: bool,
    /// To be given as [`Wanted::validator`] next time; an image has none.
    pub validator: Option<String>,
    /// Versions of a CDN that did not come, which keeps nothing else from coming, and why.
    pub left_out: BTreeMap<Version, Problem>,
}

/// A number from 0 to 1 that is different each time.
pub type Jitter = fn() -> f64;

/// All transports. One is made for the whole run, because it bounds what happens at the same time.
#[derive(Debug)]
pub struct Transports {
    http: Http,
    options: Options,
    turns: Turns,
}

impl Transports {
    /// The transports with these options.
    ///
    /// # Errors
    /// [`FetchError::Option`] where one of them cannot be used.
    pub fn new(options: Options, limits: Limits, jitter: Jitter) -> Result<Self, FetchError> {
        let http = Http::new(&options, limits, jitter)?;
        Ok(Self { http, options, turns: Turns::new(limits.parallel_pulls) })
    }

    /// Brings what is wanted. It may be dropped at any time. Requests are tried again by themselves a few times;
    /// after that it is for the caller to come back, where [`FetchError::may_pass`] says so and not before
    /// [`FetchError::retry_after`].
    ///
    /// # Errors
    /// [`FetchError`]; what is in the staging directory then is of no use.
    pub async fn fetch(&self, wanted: &Wanted<'_>) -> Result<Fetched, FetchError> {
        let origin = &wanted.registration.origin;
        let turn = self.turn(origin).await?;
        let access = Access::new(&self.http, wanted.tally, &turn);
        self.in_time(async {
            match origin {
                Origin::Image(image) => oci::fetch(access, &self.options, wanted, image).await,
                Origin::Cdn(base) => cdn::fetch(access, wanted, base).await,
            }
        })
        .await
    }

    /// The feature that is there, by what the image or the index says of itself. [`Transports::fetch`] finds out
    /// whether that is so.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn feature(&self, origin: &Origin) -> Result<FeatureId, FetchError> {
        let tally = Tally::default();
        let turn = self.turn(origin).await?;
        let access = Access::new(&self.http, &tally, &turn);
        self.in_time(async {
            match origin {
                Origin::Image(image) => oci::feature(access, &self.options, image).await,
                Origin::Cdn(base) => cdn::feature(access, base).await,
            }
        })
        .await
    }

    /// Waits for a turn with the host of `origin`.
    async fn turn(&self, origin: &Origin) -> Result<Turn<'_>, FetchError> {
        match origin {
            Origin::Image(image) => self.turns.turn(&image.registry).await,
            Origin::Cdn(base) => self.turns.turn(&http::authority(base)).await,
        }
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let after = self.http.limits.whole;
        // On the heap: the caller may hold many of these.
        let whole = tokio::time::timeout(after, Box::pin(work)).await;
        whole.map_err(|_| FetchError::TooSlow { after })?
    }
}
