//! The files of a version, as they are on disk after the build.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use pilar_artifact::manifest::{Entrypoints, PackageFile};
use pilar_artifact::verify::ReadArtifact as _;
use pilar_artifact::{FileName, Limits};
use pilar_store::FeatureDir;

use crate::documents::{file_name, open_dir, unreadable};
use crate::problem::Problem;

/// What a version is made of.
#[derive(Debug)]
pub(crate) struct Content {
    /// Every file, without variants and the manifest.
    pub(crate) files: BTreeMap<FileName, Vec<u8>>,
    /// The files that start it.
    pub(crate) entrypoints: Entrypoints,
    /// The shared set only: specifier → file.
    pub(crate) packages: BTreeMap<String, PackageFile>,
    /// The module with its server functions.
    pub(crate) server_module: Option<FileName>,
}

/// Reads every file below `dir`. Links and devices are refused; what an editor leaves behind (`.name`,
/// `name~`) is left out.
pub(crate) fn collect(dir: &Path, limits: &Limits) -> Result<BTreeMap<FileName, Vec<u8>>, Problem> {
    let mut walk =
        Walk { root: dir, reader: open_dir(dir)?, limits, bytes: 0, files: BTreeMap::new() };
    walk.directory(dir, "")?;
    Ok(walk.files)
}

struct Walk<'a> {
    root: &'a Path,
    reader: FeatureDir,
    limits: &'a Limits,
    bytes: u64,
    files: BTreeMap<FileName, Vec<u8>>,
}

impl Walk<'_> {
    fn directory(&mut self, dir: &Path, prefix: &str) -> Result<(), Problem> {
        let entries = std::fs::read_dir(dir)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(|error| {
                let message = format!("the directory cannot be listed: {error}");
                Problem::new("dir-unreadable", message, "let this user read the directory")
                    .file(dir)
            })?;
        for entry in entries {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| {
                let message = "the name of the file is not UTF-8";
                Problem::new("file-name-not-utf8", message, "rename the file").file(&path)
            })?;
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            let kind = entry.file_type().map_err(|error| {
                let message = format!("the file cannot be looked at: {error}");
                Problem::new("file-unreadable", message, "let this user read it").file(&path)
            })?;
            let name = format!("{prefix}{name}");
            if kind.is_dir() {
                // Refuses deep and odd paths before going down.
                file_name(&name, &path)?;
                self.directory(&path, &format!("{name}/"))?;
            } else if kind.is_file() {
                self.file(&name, &path)?;
            } else {
                let what = if kind.is_symlink() { "a link" } else { "no regular file" };
                let message = format!("it is {what}; a version is made of regular files");
                return Err(Problem::new(
                    "file-not-regular",
                    message,
                    "put a copy of the file in its place",
                )
                .file(&path));
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, path: &Path) -> Result<(), Problem> {
        let file = file_name(name, path)?;
        let bytes = self
            .reader
            .read(name, self.limits.file_bytes)
            .map_err(|error| unreadable(&error, path))?;
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limits.version_bytes {
            let limit = self.limits.version_bytes;
            let message = format!("the files are larger than {limit} bytes together");
            return Err(Problem::new("version-too-large", message, "ship less in one version")
                .file(self.root));
        }
        self.files.insert(file, bytes);
        if self.files.len() > self.limits.files {
            let message = format!("there are more than {} files", self.limits.files);
            let remedy = "ship fewer files in one version";
            return Err(Problem::new("too-many-files", message, remedy).file(self.root));
        }
        Ok(())
    }
}
