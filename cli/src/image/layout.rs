//! An image as a directory (OCI image specification, image-layout.md), for tools that carry images by hand.

use std::path::Path;

use pilar_store::{StoreError, replace_file};
use serde_json::json;

use super::layers::{Image, MANIFEST};
use crate::problem::Problem;

/// Writes the image to `dir`, the file that leads to it last.
pub(super) fn write(dir: &Path, image: &Image) -> Result<(), Problem> {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(|error| {
        let message = format!("the directory cannot be made: {error}");
        Problem::new("store-io", message, "name a directory that this user may write to").file(dir)
    })?;
    let put = |path: &Path, bytes: &[u8]| -> Result<(), StoreError> { replace_file(path, bytes) };
    for (digest, bytes) in image.blobs() {
        put(&blobs.join(digest.hex()), bytes)?;
    }
    put(&blobs.join(image.digest().hex()), &image.manifest)?;
    let layout = json!({ "imageLayoutVersion": "1.0.0" });
    put(&dir.join("oci-layout"), layout.to_string().as_bytes())?;
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": MANIFEST,
            "digest": format!("sha256:{}", image.digest()),
            "size": image.manifest.len(),
        }],
    });
    Ok(put(&dir.join("index.json"), index.to_string().as_bytes())?)
}
