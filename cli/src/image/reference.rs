//! The name of an image: `<registry>/<repository>[:<tag>]`.

use pilar_artifact::Sha256Digest;

use crate::problem::Problem;

/// Where an image is pushed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Host and port.
    pub(super) registry: String,
    pub(super) repository: String,
    pub(super) tag: Option<String>,
}

impl Reference {
    /// Reads a name. The registry is never left out: what is meant by that differs from tool to tool.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = |message: &str| {
            let remedy = "name it like registry.example/team/feature:1.0.0";
            Problem::new("bad-image", format!("\"{text}\": {message}"), remedy)
                .field("IMAGE")
                .wrong_use()
        };
        let (registry, rest) = text.split_once('/').ok_or_else(|| wrong("it names no registry"))?;
        let is_host = registry.contains(['.', ':']) || registry == "localhost";
        let of_host = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
        if !is_host || !registry.bytes().all(of_host) {
            return Err(wrong("it does not start with the host of a registry"));
        }
        if rest.contains('@') {
            return Err(wrong("a digest follows from what is pushed, so it cannot be named"));
        }
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        let is_segment = |segment: &str| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
            segment.bytes().all(plain)
                && segment.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        };
        if !repository.split('/').all(is_segment) || repository.len() > 255 {
            return Err(wrong("the repository is lower-case letters, digits and . _ - / only"));
        }
        let is_tag = |tag: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            (1..=128).contains(&tag.len()) && tag.bytes().all(plain) && !tag.starts_with(['.', '-'])
        };
        if !tag.is_none_or(is_tag) {
            return Err(wrong("the tag is letters, digits and . _ - only"));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
        })
    }

    /// The name that a registration takes.
    pub(super) fn at(&self, digest: Sha256Digest) -> String {
        format!("{}/{}@sha256:{digest}", self.registry, self.repository)
    }
}
