//! Reading documents from disk within limits, with problems that name the file.

use std::io;
use std::path::{Path, PathBuf};

use pilar_artifact::json::parse_object;
use pilar_artifact::verify::{ReadArtifact as _, ReadError};
use pilar_artifact::{FeatureId, FileName, Limits};
use pilar_store::FeatureDir;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// Opens a directory for reading; nothing read from it leads outside.
pub(crate) fn open_dir(path: &Path) -> Result<FeatureDir, Problem> {
    FeatureDir::open(path).map_err(|error| {
        let remedy = "name a directory that exists and that this user may read";
        Problem::new("dir-unreadable", format!("the directory cannot be read: {error}"), remedy)
            .file(path)
    })
}

/// Reads the file `name` of the directory `dir`; `None` where it is missing.
pub(crate) fn read_optional(
    dir: &Path,
    name: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, Problem> {
    match open_dir(dir)?.read(name, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(ReadError::Missing) => Ok(None),
        Err(error) => Err(unreadable(&error, &dir.join(name))),
    }
}

/// The directories of features in `root`, sorted. Names that start with a dot belong to tools.
pub(crate) fn features_in(root: &Path) -> Result<Vec<(FeatureId, PathBuf)>, Problem> {
    let entries = std::fs::read_dir(root)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|error| {
            let message = format!("the directory cannot be listed: {error}");
            let remedy = "name a directory that exists and that this user may read";
            Problem::new("dir-unreadable", message, remedy).file(root)
        })?;
    let mut features: Vec<(FeatureId, PathBuf)> = entries
        .into_iter()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    features.sort();
    Ok(features)
}

/// Parses one strict JSON object that was read from `path`.
pub(crate) fn parse(
    bytes: &[u8],
    path: &Path,
    limits: &Limits,
) -> Result<Map<String, Value>, Problem> {
    parse_object(bytes, limits).map_err(|error| {
        Problem::new(error.code(), error.to_string(), "correct the file by hand, or make it again")
            .file(path)
    })
}

/// A file that could not be read.
pub(crate) fn unreadable(error: &ReadError, path: &Path) -> Problem {
    let remedy = match error {
        ReadError::Missing => "make the file, or name the right directory",
        ReadError::NotRegular => "put a regular file there; links are refused",
        ReadError::TooLarge { .. } => "make the file smaller",
        ReadError::Failed { .. } => "let this user read the file",
    };
    Problem::new(error.code(), error.to_string(), remedy).file(path)
}

/// Reads a file name, naming the file and field it comes from where it is none.
pub(crate) fn file_name(text: &str, path: &Path) -> Result<FileName, Problem> {
    text.parse().map_err(|error| {
        Problem::new("file-name", format!("{error}"), "rename the file").file(path)
    })
}
