//! Which paths an archive may have, and what lies at them.

use std::collections::BTreeMap;

use pilar_artifact::{FeatureId, FileName, RELEASES_FILE};
use semver::Version;

use super::Rule;
use crate::transport::Limits;

/// Where artifacts lie in an image (contract §2).
const ARTIFACTS: &str = "artifacts";
/// What a name starts with that takes away what a layer below brought (OCI image specification, layer.md).
const WHITEOUT: &str = ".wh.";

/// So many bytes a path may have where an archive has as many entries as it may. All of them are kept in memory until
/// the image is unpacked.
const MEAN_PATH_BYTES: usize = 128;

/// What lies where in an image, from all its layers so far.
#[derive(Debug, Default)]
pub(super) struct Paths {
    known: BTreeMap<String, Known>,
    /// Of all paths that are known.
    bytes: usize,
    layer: u32,
}

/// What lies at a path.
#[derive(Debug)]
struct Known {
    is_directory: bool,
    /// The last layer that has an entry for it; none where it is only on the way to others.
    listed_in: Option<u32>,
}

impl Paths {
    /// Begins the next layer.
    pub(super) fn next_layer(&mut self) {
        self.layer += 1;
    }

    /// Notes an entry of the layer, with the directories on the way to it. Returns how many of these were not known:
    /// they become directories like those that have an entry.
    pub(super) fn note(&mut self, path: &str, is_directory: bool) -> Result<usize, Rule> {
        let layer = Some(self.layer);
        if self.known.get(path).is_some_and(|known| known.listed_in == layer) {
            return Err(Rule::Duplicate);
        }
        let mut implied = 0;
        for (end, _) in path.match_indices('/') {
            if self.lies(path.get(..end).unwrap_or_default(), true, None)? {
                implied += 1;
            }
        }
        self.lies(path, is_directory, layer)?;
        Ok(implied)
    }

    /// Whether the paths together are longer than they may be, and what that is.
    pub(super) fn too_long(&self, limits: &Limits) -> Option<u64> {
        let limit = limits.entries.saturating_mul(MEAN_PATH_BYTES);
        (self.bytes > limit).then_some(limit as u64)
    }

    /// Whether nothing was known of the path.
    fn lies(
        &mut self,
        path: &str,
        is_directory: bool,
        listed_in: Option<u32>,
    ) -> Result<bool, Rule> {
        if let Some(known) = self.known.get_mut(path) {
            if known.is_directory != is_directory {
                return Err(Rule::Conflict);
            }
            known.listed_in = listed_in.or(known.listed_in);
            return Ok(false);
        }
        self.bytes = self.bytes.saturating_add(path.len());
        self.known.insert(path.to_owned(), Known { is_directory, listed_in });
        Ok(true)
    }
}

/// The path of an entry as text, after every rule that holds for paths of any kind; empty for the directory that
/// holds all others. A directory may end with one slash, as all of them do, and any path may begin with `./`, as
/// `tar -C <directory> .` writes it: every reader takes it for the same path without.
pub(super) fn plain<'p>(
    path: &'p [u8],
    is_directory: bool,
    limits: &Limits,
) -> Result<&'p str, Rule> {
    if path.len() > limits.path_bytes {
        return Err(Rule::PathTooLong);
    }
    let path = std::str::from_utf8(path).map_err(|_| Rule::PathNotUtf8)?;
    let path = path.strip_suffix('/').filter(|_| is_directory).unwrap_or(path);
    if is_directory && path == "." {
        return Ok("");
    }
    let path = path.strip_prefix("./").unwrap_or(path);
    if path.starts_with('/') {
        return Err(Rule::PathAbsolute);
    }
    if path.contains('\0') {
        return Err(Rule::PathNul);
    }
    if path.contains('\\') {
        return Err(Rule::PathBackslash);
    }
    for (depth, segment) in path.split('/').enumerate() {
        match segment {
            "" => return Err(Rule::PathEmpty),
            "." => return Err(Rule::PathDot),
            ".." => return Err(Rule::PathParent),
            _ if depth >= limits.path_depth => return Err(Rule::PathTooDeep),
            _ if segment.starts_with(WHITEOUT) => return Err(Rule::Whiteout),
            _ => {}
        }
    }
    Ok(path)
}

/// The feature in whose directory a path lies.
pub(super) fn feature(path: &str) -> Option<FeatureId> {
    path.strip_prefix(ARTIFACTS)?.strip_prefix('/')?.split('/').next()?.parse().ok()
}

/// Where in the feature's directory the entry belongs; `None` for that directory itself and those above it.
pub(super) fn within<'p>(
    path: &'p str,
    is_directory: bool,
    feature: &FeatureId,
) -> Result<Option<&'p str>, Rule> {
    if path.is_empty() {
        return Ok(None);
    }
    let mut segments = path.splitn(4, '/');
    if segments.next() != Some(ARTIFACTS) {
        return Err(Rule::Outside);
    }
    let Some(id) = segments.next() else {
        return if is_directory { Ok(None) } else { Err(Rule::Outside) };
    };
    if id != feature.as_str() {
        return Err(Rule::Foreign);
    }
    let below = path.get(ARTIFACTS.len() + 1 + id.len()..).and_then(|rest| rest.strip_prefix('/'));
    match (segments.next(), segments.next(), is_directory) {
        (None, None, true) => Ok(None),
        (Some(RELEASES_FILE), None, false) => Ok(below),
        (Some(version), name, _) if version.parse::<Version>().is_ok() => match name {
            Some(name) if name.parse::<FileName>().is_ok() => Ok(below),
            Some(_) => Err(Rule::Name),
            None if is_directory => Ok(below),
            None => Err(Rule::Unexpected),
        },
        _ => Err(Rule::Unexpected),
    }
}
