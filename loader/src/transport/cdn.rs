//! A directory behind HTTP (contract §2): the index, then the manifests that it names, then the files that they
//! name, each held against the digest it was named by.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pilar_artifact::index::IndexEntry;
use pilar_artifact::json::parse_object;
use pilar_artifact::select::select;
use pilar_artifact::verify::{self, Context, Failure, ReadArtifact, ReadError};
use pilar_artifact::{
    FeatureId, FileName, MANIFEST_FILE, Manifest, RELEASES_FILE, ReleaseIndex, Sha256Digest,
};
use pilar_store::Incoming;
use reqwest::header::{ETAG, HeaderMap};
use reqwest::{StatusCode, Url};
use semver::Version;

use super::download::{Access, channel};
use super::file::{self, Written};
use super::http::{Get, Redirects, shown};
use super::{FetchError, Fetched, Trust, Wanted};
use crate::problem::Problem;

/// One file that a manifest names.
struct Named {
    path: String,
    url: Url,
    digest: Sha256Digest,
}

/// Brings what is missing of the feature below `base`.
pub(super) async fn fetch(
    access: Access<'_>,
    wanted: &Wanted<'_>,
    base: &Url,
) -> Result<Fetched, FetchError> {
    let cdn = Cdn { access, base, wanted };
    match cdn.releases().await? {
        Releases::Known => {
            let validator = wanted.validator.map(ToOwned::to_owned);
            Ok(Fetched { changed: false, validator, left_out: BTreeMap::new() })
        }
        Releases::New { index, validator } => {
            let (left_out, is_settled) = cdn.versions(&index).await?;
            // Where something may come next time, it is asked for then, whether or not the index is still this one.
            let validator = validator.filter(|_| is_settled);
            Ok(Fetched { changed: true, validator, left_out })
        }
    }
}

/// The feature that the index below `base` says it is of.
pub(super) async fn feature(access: Access<'_>, base: &Url) -> Result<FeatureId, FetchError> {
    let limits = &access.http.limits.artifact;
    let url = below(base, RELEASES_FILE)?;
    let get = Get::new(url.clone(), Redirects::SameOrigin);
    let (_, _, bytes) = access.document(&get, limits.json_bytes).await?;
    let failed = |failure| FetchError::Document { url: shown(&url), failure };
    let document = parse_object(&bytes, limits).map_err(|error| failed(Failure::Json(error)))?;
    let index = ReleaseIndex::from_document(&document);
    index.map(|index| index.feature_id).map_err(|problem| failed(Failure::Schema(problem)))
}

/// What the index is.
enum Releases {
    /// The one that is in place.
    Known,
    /// Another one, or one that is asked for the first time.
    New { index: Box<ReleaseIndex>, validator: Option<String> },
}

struct Cdn<'a> {
    access: Access<'a>,
    base: &'a Url,
    wanted: &'a Wanted<'a>,
}

impl Cdn<'_> {
    async fn releases(&self) -> Result<Releases, FetchError> {
        let limits = &self.access.http.limits;
        let url = below(self.base, RELEASES_FILE)?;
        let validator = self.wanted.validator;
        let get = Get { validator, ..Get::new(url, Redirects::SameOrigin) };
        let (status, headers, bytes) =
            self.access.document(&get, limits.artifact.json_bytes).await?;
        if status == StatusCode::NOT_MODIFIED && validator.is_some() {
            return Ok(Releases::Known);
        }
        let index = Box::new(self.index(&bytes)?);
        file::write(self.wanted.into, RELEASES_FILE, bytes).await?;
        Ok(Releases::New { index, validator: etag(&headers) })
    }

    /// Steps 1 to 5 of the checks. The host and the placing side check again; here it is about what is fetched at all.
    fn index(&self, bytes: &[u8]) -> Result<ReleaseIndex, FetchError> {
        let feature = &self.wanted.registration.feature;
        let limits = self.access.http.limits.artifact;
        let Trust { keys, now } = self.wanted.trust;
        let context = Context { keys, now, host_version: None, limits };
        verify::index(&Alone(bytes), feature, &context)
            .map(|verified| verified.index)
            .map_err(|rejection| FetchError::Rejected(Box::new(rejection)))
    }

    /// Brings every version that may serve and is not in the tree: first the one that is to serve, which must come.
    /// Another one that does not come is left out, as one is that fails verification. Returns those, and whether
    /// asking for the same again would bring no more.
    async fn versions(
        &self,
        index: &ReleaseIndex,
    ) -> Result<(BTreeMap<Version, Problem>, bool), FetchError> {
        let serving = select(index, |_| Ok(())).serving.map(|(version, ())| version);
        let is_missing = |entry: &&IndexEntry| {
            entry.revoked.is_none() && !self.wanted.present.contains_key(&entry.version)
        };
        let missing = index.versions.iter().filter(is_missing);
        let (serving, others): (Vec<_>, Vec<_>) =
            missing.partition(|entry| serving.as_ref() == Some(&entry.version));
        for entry in serving {
            self.version(entry).await?;
        }
        let (mut left_out, mut is_settled) = (BTreeMap::new(), true);
        for entry in others {
            let Err(error) = self.version(entry).await else { continue };
            if matches!(error, FetchError::Store(_) | FetchError::Lost) {
                return Err(error);
            }
            is_settled &= !error.may_pass();
            let is_away =
                matches!(error, FetchError::Unreachable { .. } | FetchError::Stalled { .. });
            left_out.insert(entry.version.clone(), error.into());
            // What is to serve is not held up by a server that has gone away meanwhile.
            if is_away {
                break;
            }
        }
        Ok((left_out, is_settled))
    }

    async fn version(&self, entry: &IndexEntry) -> Result<(), FetchError> {
        let manifest = self.manifest(entry).await?;
        // A list, because a stream over borrowed names is not `Send` (rust-lang/rust#102211).
        let named: Vec<Named> = manifest
            .integrity
            .iter()
            .map(|(name, integrity)| self.named(&entry.version, name, integrity.0))
            .collect::<Result<_, _>>()?;
        let at_once = self.access.http.limits.parallel_files.max(1);
        stream::iter(named)
            .map(|named| self.file(named))
            .buffer_unordered(at_once)
            .try_collect::<()>()
            .await
    }

    fn named(
        &self,
        version: &Version,
        name: &FileName,
        digest: Sha256Digest,
    ) -> Result<Named, FetchError> {
        let path = format!("{version}/{name}");
        Ok(Named { url: below(self.base, &path)?, path, digest })
    }

    /// The manifest that the entry names. Its signature is checked with the files, by the placing side; that it is
    /// the one of the signed index is what matters here.
    async fn manifest(&self, entry: &IndexEntry) -> Result<Manifest, FetchError> {
        let limits = &self.access.http.limits.artifact;
        let path = manifest_path(&entry.version);
        let url = below(self.base, &path)?;
        let get = Get::new(url.clone(), Redirects::SameOrigin);
        let (_, _, bytes) = self.access.document(&get, limits.json_bytes).await?;
        let (expected, found) = (entry.manifest_sha256.0, Sha256Digest::of(&bytes));
        if expected != found {
            return Err(FetchError::Digest { url: shown(&url), expected, found });
        }
        let failed = |failure| FetchError::Document { url: shown(&url), failure };
        let document =
            parse_object(&bytes, limits).map_err(|error| failed(Failure::Json(error)))?;
        let manifest = Manifest::from_document(&document, limits)
            .map_err(|problem| failed(Failure::Schema(problem)))?;
        file::write(self.wanted.into, &path, bytes).await?;
        Ok(manifest)
    }

    async fn file(&self, named: Named) -> Result<(), FetchError> {
        let Named { path, url, digest } = named;
        let limits = &self.access.http.limits;
        let left = limits.compressed_bytes.saturating_sub(self.access.tally.transferred());
        let limit = limits.artifact.file_bytes.min(left);
        let (sink, feed) = channel();
        let into: Arc<Incoming> = Arc::clone(self.wanted.into);
        let writing = tokio::task::spawn_blocking(move || file::stream(feed, limit, &into, &path));
        let get = Get::new(url.clone(), Redirects::SameOrigin);
        let came = self.access.download(&get, None, sink).await;
        let written = writing.await.map_err(|_| FetchError::Lost)?;
        came?;
        match written? {
            Written::Whole(found) if found == digest => Ok(()),
            Written::Whole(found) => {
                Err(FetchError::Digest { url: shown(&url), expected: digest, found })
            }
            Written::TooLarge => Err(FetchError::TooLarge { url: shown(&url), limit }),
        }
    }
}

/// Below the base, whether or not that ends with a slash.
fn below(base: &Url, path: &str) -> Result<Url, FetchError> {
    let mut url = base.clone();
    let segments = url.path_segments_mut().map(|mut segments| {
        segments.pop_if_empty().extend(path.split('/'));
    });
    segments.map_err(|()| FetchError::Option {
        option: "cdnBaseUrl",
        problem: "it is not an http or https URL".to_owned(),
    })?;
    Ok(url)
}

fn manifest_path(version: &Version) -> String {
    format!("{version}/{MANIFEST_FILE}")
}

fn etag(headers: &HeaderMap) -> Option<String> {
    headers.get(ETAG)?.to_str().ok().map(ToOwned::to_owned)
}

/// A directory with nothing but the index.
struct Alone<'b>(&'b [u8]);

impl ReadArtifact for Alone<'_> {
    fn read(&self, path: &str, _: u64) -> Result<Vec<u8>, ReadError> {
        if path == RELEASES_FILE { Ok(self.0.to_vec()) } else { Err(ReadError::Missing) }
    }
}
