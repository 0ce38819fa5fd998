//! Which paths an archive may have, and what lies at them.

use std::collections::BTreeSet;

use pilar_artifact::{FeatureId, FileName, RELEASES_FILE};
use semver::Version;

use super::Rule;
use crate::transport::Limits;

/// Where artifacts lie in an image (contract §2).
const ARTIFACTS: &str = "artifacts";
/// What a name starts with that takes away what a layer below brought (OCI image specification, layer.md).
const WHITEOUT: &str = ".wh.";

/// What lies where in an image, from all its layers so far.
#[derive(Debug, Default)]
pub(super) struct Paths {
    files: BTreeSet<String>,
    directories: BTreeSet<String>,
    /// The entries of the layer that is being read.
    listed: BTreeSet<String>,
}

impl Paths {
    /// Begins the next layer.
    pub(super) fn next_layer(&mut self) {
        self.listed.clear();
    }

    /// Notes an entry of the layer, with the directories on the way to it.
    pub(super) fn note(&mut self, path: &str, is_directory: bool) -> Result<(), Rule> {
        if !self.listed.insert(path.to_owned()) {
            return Err(Rule::Duplicate);
        }
        for (end, _) in path.match_indices('/') {
            self.directory(path.get(..end).unwrap_or_default())?;
        }
        if is_directory {
            return self.directory(path);
        }
        if self.directories.contains(path) {
            return Err(Rule::Conflict);
        }
        self.files.insert(path.to_owned());
        Ok(())
    }

    fn directory(&mut self, path: &str) -> Result<(), Rule> {
        if self.files.contains(path) {
            return Err(Rule::Conflict);
        }
        if !self.directories.contains(path) {
            self.directories.insert(path.to_owned());
        }
        Ok(())
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
