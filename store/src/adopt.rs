//! Version directories that came from elsewhere, moved into the tree.

use pilar_artifact::verify::VerifiedVersion;
use pilar_artifact::{Limits, Sha256Digest};
use rustix::fs::RenameFlags;

use crate::content::{Content, assert_same};
use crate::{FeatureWriter, Incoming, Placed, StoreError};

impl FeatureWriter {
    /// Moves the directory of a version that was verified in `incoming` into the feature's, by one rename, once all
    /// of it is on the disk. One that is there already is never rewritten (contract §2): with the same content there
    /// is nothing to do.
    ///
    /// # Errors
    /// [`StoreError`]; code `version-taken` names both digests where the content differs.
    pub fn adopt(
        &mut self,
        incoming: &Incoming,
        verified: &VerifiedVersion,
    ) -> Result<Placed, StoreError> {
        let name = verified.manifest.version.to_string();
        let home = self.home();
        if home.has(&name) {
            let limits = Limits::default();
            let content = |digest, bytes| Content { digest, bytes };
            let files = verified.manifest.integrity.iter();
            let files = files.map(|(name, integrity)| {
                let digest: Sha256Digest = integrity.0;
                (name, content(digest, limits.file_bytes))
            });
            assert_same(home, &name, content(verified.manifest_sha256, limits.json_bytes), files)?;
            // It may have been renamed just before a crash, so that only its directory was not yet on disk.
            home.sync()?;
            return Ok(Placed::AlreadyThere);
        }
        incoming.dir().get(&name)?.sync_all()?;
        incoming.dir().rename(&name, home, &name, RenameFlags::NOREPLACE)?;
        Ok(Placed::New)
    }
}
