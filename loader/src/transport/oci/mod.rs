//! Images of a registry (OCI distribution and image specifications), by digest only.

mod manifest;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;

use pilar_artifact::{FeatureId, Sha256Digest};
use reqwest::Url;

use super::credentials::{Repository, candidates};
use super::download::{Access, Feed, channel};
use super::http::{Get, Http, Redirects, shown};
use super::{FetchError, Fetched, Options, Wanted};
use crate::registration::ImageRef;
use crate::unpack::{self, Layer, Refusal, Unpacker};
use manifest::{ACCEPTED, Described, Document, own_architecture, select};

pub(super) use session::Session;

/// Brings the layers of `image`.
pub(super) async fn fetch(
    access: Access<'_>,
    options: &Options,
    wanted: &Wanted<'_>,
    image: &ImageRef,
) -> Result<Fetched, FetchError> {
    let session = session(access.http, options, image).await?;
    let pull = Pull { access: access.with(&session), session: &session };
    let layers = pull.layers(image.digest).await?;
    let feature = &wanted.registration.feature;
    let unpacker = Unpacker::new(feature, access.http.limits, Arc::clone(wanted.into));
    pull.unpack(unpacker, layers, wanted).await?;
    Ok(Fetched { changed: true, validator: None, left_out: BTreeMap::new() })
}

/// The feature that `image` says it holds.
pub(super) async fn feature(
    access: Access<'_>,
    options: &Options,
    image: &ImageRef,
) -> Result<FeatureId, FetchError> {
    let session = session(access.http, options, image).await?;
    let pull = Pull { access: access.with(&session), session: &session };
    for Described { layer, .. } in pull.layers(image.digest).await? {
        let digest = layer.digest;
        let limits = access.http.limits;
        let found = pull.take(layer, move |feed, layer| unpack::feature_of(feed, layer, limits));
        if let Some(feature) = found.await?.map_err(refused(digest))? {
            return Ok(feature);
        }
    }
    let url = shown(&pull.url("manifests", image.digest)?);
    let problem = "it holds no directory artifacts/<featureId>/".to_owned();
    Err(FetchError::Image { code: "image-no-feature", url, problem })
}

async fn session(http: &Http, options: &Options, image: &ImageRef) -> Result<Session, FetchError> {
    let repository = Repository::of(&image.registry, &image.repository);
    let root = http.root(&repository.host).ok_or_else(|| FetchError::Option {
        option: "image",
        problem: format!("\"{}\" is not the host of a registry", image.registry),
    })?;
    let credentials = candidates(options, &repository, &http.limits).await?;
    Ok(Session::new(root, repository, credentials, options.azure.clone()))
}

struct Pull<'a> {
    access: Access<'a>,
    session: &'a Session,
}

impl Pull<'_> {
    /// The layers of the image, or of the one in the index that is for this machine.
    async fn layers(&self, digest: Sha256Digest) -> Result<Vec<Described>, FetchError> {
        let (url, document) = self.document(digest).await?;
        let refuse = |url: &Url, code, problem: String| {
            Err(FetchError::Image { code, url: shown(url), problem })
        };
        let (url, layers) = match document {
            Document::Image(layers) => (url, layers),
            Document::Index(images) => {
                let architecture = own_architecture();
                let Some(own) = select(&images, architecture) else {
                    let problem = format!("it has no image for linux/{architecture}");
                    return refuse(&url, "image-no-platform", problem);
                };
                match self.document(own).await? {
                    (url, Document::Image(layers)) => (url, layers),
                    (url, Document::Index(_)) => {
                        return refuse(&url, "image-nested", "it is an index in an index".into());
                    }
                }
            }
        };
        let limits = &self.access.http.limits;
        if layers.len() > limits.layers {
            let problem = format!("it has more than {} layers", limits.layers);
            return refuse(&url, "too-many-layers", problem);
        }
        let total = layers.iter().fold(0_u64, |sum, each| sum.saturating_add(each.layer.size));
        if total > limits.compressed_bytes {
            let problem = format!("its layers are larger than {} bytes", limits.compressed_bytes);
            return refuse(&url, "image-too-large", problem);
        }
        Ok(layers)
    }

    async fn document(&self, digest: Sha256Digest) -> Result<(Url, Document), FetchError> {
        let url = self.url("manifests", digest)?;
        let limit = self.access.http.limits.document_bytes;
        let get = Get { accept: Some(ACCEPTED), ..Get::new(url.clone(), Redirects::Anywhere) };
        let (_, _, bytes) = self.access.document(&get, limit).await?;
        let found = Sha256Digest::of(&bytes);
        if found != digest {
            return Err(FetchError::Digest { url: shown(&url), expected: digest, found });
        }
        let document = Document::parse(&bytes, &url, limit)?;
        Ok((url, document))
    }

    /// Takes one layer after the other, because a higher one stands above a lower one. A layer that holds nothing
    /// but a version that is in the tree does not come again.
    async fn unpack(
        &self,
        mut unpacker: Unpacker,
        layers: Vec<Described>,
        wanted: &Wanted<'_>,
    ) -> Result<(), FetchError> {
        for Described { layer, holds } in layers {
            let is_there = |(version, manifest): (_, Sha256Digest)| {
                wanted.present.get(&version) == Some(&manifest)
            };
            if holds.is_some_and(is_there) {
                continue;
            }
            let digest = layer.digest;
            let (again, taken) = self
                .take(layer, move |feed, layer| {
                    let taken = unpacker.layer(feed, layer);
                    (unpacker, taken)
                })
                .await?;
            unpacker = again;
            taken.map_err(refused(digest))?;
        }
        Ok(())
    }

    /// Sends a layer to a thread that takes it.
    async fn take<T: Send + 'static>(
        &self,
        layer: Layer,
        take: impl FnOnce(Feed, &Layer) -> T + Send + 'static,
    ) -> Result<T, FetchError> {
        let get = Get::new(self.url("blobs", layer.digest)?, Redirects::Anywhere);
        let size = layer.size;
        let (sink, feed) = channel();
        let taken = tokio::task::spawn_blocking(move || take(feed, &layer));
        let came = self.access.download(&get, Some(size), sink).await;
        let taken = taken.await.map_err(|_| FetchError::Lost)?;
        // Where the network failed, the thread saw only that the layer is too short.
        came.map(|()| taken)
    }

    fn url(&self, what: &str, digest: Sha256Digest) -> Result<Url, FetchError> {
        let path = format!("v2/{}/{what}/sha256:{digest}", self.session.repository.path);
        let url = self.session.root.join(&path).ok();
        let url = url.filter(|url| url.path().strip_prefix('/') == Some(path.as_str()));
        url.ok_or_else(|| FetchError::Option {
            option: "image",
            problem: format!("\"{}\" is not a repository", self.session.repository.path),
        })
    }
}

fn refused(layer: Sha256Digest) -> impl FnOnce(Refusal) -> FetchError {
    move |refusal| FetchError::Layer { layer, refusal: Box::new(refusal) }
}
