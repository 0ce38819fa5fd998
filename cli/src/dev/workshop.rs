//! One round of work: sources → built → published as a version to try out.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use pilar_artifact::operations::{Attribution, Channel, Window};
use pilar_artifact::verify::ReadArtifact as _;
use pilar_artifact::{FeatureId, Limits, Sha256Digest};
use semver::Version;

use super::{version, watch};
use crate::build::Builder;
use crate::build::source::Source;
use crate::documents::open_dir;
use crate::environment::Environment;
use crate::keyring;
use crate::problem::Problem;
use crate::tree::{Candidate, Tree};
use crate::ui::Ui;

/// Where builds of this command go, apart from those of `pilar build`.
const OUTPUT_DIR: &str = ".pilar/dev/build";
/// A page that is open keeps its version; more is not needed.
const WINDOW: Window = Window { keep: 2 };

/// Builds and publishes with the dev key.
pub(super) struct Workshop<'a> {
    builder: Builder<'a>,
    tree: Tree<'a>,
    environment: &'a Environment,
    /// What the sources were when they were last built.
    built: BTreeMap<FeatureId, Sha256Digest>,
}

/// What came of a round.
pub(super) enum Update {
    /// A new version is active.
    Published(Version),
    /// Nothing that matters changed.
    Unchanged,
}

impl<'a> Workshop<'a> {
    /// Prepares to publish to `artifacts`. `stop` ends a running build.
    pub(super) fn open(
        artifacts: &Path,
        environment: &'a Environment,
        stop: &'a AtomicBool,
        ui: Ui,
    ) -> Result<Self, Problem> {
        let limits = Limits::default();
        let builder = Builder {
            output: PathBuf::from(OUTPUT_DIR),
            install: true,
            // They save time on a network; this page comes from the same machine, and people wait for the build.
            variants: false,
            key: keyring::signing_key(environment, true)?,
            trusted: keyring::trusted_keys(environment, true)?,
            limits,
            stop: Some(stop),
            environment,
            ui,
        };
        let tree = Tree::open(artifacts.to_owned(), true, environment)?;
        Ok(Self { builder, tree, environment, built: BTreeMap::new() })
    }

    /// The artifacts directory.
    pub(super) fn artifacts(&self) -> &Path {
        &self.tree.root
    }

    /// The keys that the host needs.
    pub(super) fn trusted_keys_path(&self) -> Result<PathBuf, Problem> {
        keyring::dev_trusted_keys_path(self.environment)
    }

    /// Reads the sources again, and builds and publishes them if they changed.
    pub(super) fn update(&mut self, source: &mut Source) -> Result<Update, Problem> {
        // Taken before the build: a tool that writes among the sources must not start a circle.
        let fingerprint = fingerprint(&source.dir, &self.tree.limits)?;
        *source = Source::read(&source.dir)?;
        let feature = source.id().clone();
        if self.built.insert(feature.clone(), fingerprint) == Some(fingerprint) {
            return Ok(Update::Unchanged);
        }
        let dir = self.tree.root.join(feature.as_str());
        let there = if dir.is_dir() { Some(open_dir(&dir)?) } else { None };
        let current = self.tree.current(there.as_ref(), &feature).map_err(|problem| {
            problem.remedy(format!("delete {}; it is made again", dir.display()))
        })?;
        let index = current.as_ref().map(|current| &current.index);
        let version = version::next(&source.manifest.version, index);
        let built = self.builder.build(source, Some(&version))?;
        let output = built.path.parent().unwrap_or(&built.path);
        let candidate = Candidate::read(output, &self.tree.limits)?;
        if let (Some(there), Some(index)) = (&there, index)
            && self.tree.is_same_but_version(there, &index.active_version, &candidate)
        {
            return Ok(Update::Unchanged);
        }
        let attribution = Attribution {
            at: self.environment.now(),
            actor: Some("pilar dev".to_owned()),
            reason: None,
            ticket: None,
        };
        self.tree.publish(&candidate, Channel::Stable, WINDOW, &attribution)?;
        Ok(Update::Published(version))
    }
}

/// A digest over the names and contents of what is watched below `dir`.
fn fingerprint(dir: &Path, limits: &Limits) -> Result<Sha256Digest, Problem> {
    let reader = open_dir(dir)?;
    let mut text = String::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(relative) = directories.pop() {
        let here = dir.join(&relative);
        let mut entries = std::fs::read_dir(&here)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(|error| {
                let message = format!("the directory cannot be listed: {error}");
                Problem::new("dir-unreadable", message, "let this user read it").file(&here)
            })?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if watch::is_ignored(&name, is_dir) {
                continue;
            }
            let path = relative.join(&name);
            if is_dir {
                directories.push(path);
            } else {
                // A file that cannot be read counts by its name; the build will say more.
                let bytes = path.to_str().map(|path| reader.read(path, limits.file_bytes));
                let digest = bytes.and_then(Result::ok).map(|bytes| Sha256Digest::of(&bytes));
                text.push_str(&format!("{} {digest:?}\n", path.display()));
            }
        }
    }
    Ok(Sha256Digest::of(text.as_bytes()))
}
