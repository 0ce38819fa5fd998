//! What is in the artifacts directory.

use std::fs;
use std::io;
use std::path::Path;

use pilar_artifact::FeatureId;

use super::state::Ignored;

/// Where file systems keep what a repair found: the artifacts directory may be a volume's root.
const LOST_AND_FOUND: &str = "lost+found";

/// The features of the artifacts directory, sorted, and what is no feature.
///
/// Names that start with a dot belong to tools (staging, the loader's status) and are passed over, as is
/// what a file system keeps at its root.
///
/// # Errors
/// What the operating system says of the directory itself.
pub(super) fn discover(artifacts_dir: &Path) -> io::Result<(Vec<FeatureId>, Vec<Ignored>)> {
    let mut features = Vec::new();
    let mut ignored = Vec::new();
    for entry in fs::read_dir(artifacts_dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == LOST_AND_FOUND {
            continue;
        }
        // The type of the entry itself: a link to a directory is not one.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        match name.parse::<FeatureId>() {
            Ok(id) if is_dir => features.push(id),
            Ok(_) => ignored.push(Ignored {
                name,
                code: "not-a-directory",
                message: "a feature is a directory; links and files are ignored".to_owned(),
            }),
            Err(error) if is_dir => {
                ignored.push(Ignored { name, code: "bad-feature-id", message: error.to_string() });
            }
            Err(_) => {}
        }
    }
    features.sort();
    ignored.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((features, ignored))
}
