//! Version directories that came from elsewhere, moved into the tree.

use pilar_artifact::verify::VerifiedVersion;
use pilar_artifact::{Limits, Sha256Digest};
use rustix::fs::RenameFlags;

use crate::content::{Content, assert_same};
use crate::directory::Directory;
use crate::{FeatureWriter, Incoming, Placed, StoreError};

impl FeatureWriter {
    /// Moves the directory of a version that was verified in `incoming`, and in nothing else, into the feature's, by
    /// one rename, once all of it is on the disk. One that is there already is never rewritten (contract §2): with the
    /// same content there is nothing to do. One that is damaged is not what was published any more: it changes places
    /// with what came, by one rename as well, so that readers see the one or the other.
    ///
    /// `named` is the manifest that the signed index in place names for the version. Where it is the verified one,
    /// another manifest in the directory is damage, and not another version of the same number.
    ///
    /// # Errors
    /// [`StoreError`]; code `version-taken` names both digests where the content differs, `store-no-exchange` where
    /// the file system cannot mend what is damaged.
    pub fn adopt(
        &mut self,
        incoming: &Incoming,
        verified: &VerifiedVersion,
        named: Option<Sha256Digest>,
    ) -> Result<Placed, StoreError> {
        let name = verified.manifest.version.to_string();
        let home = self.home();
        let is_there = home.has(&name);
        if is_there {
            match assert_whole(home, &name, verified) {
                // It may have been renamed just before a crash, so that only its directory was not yet on disk.
                Ok(()) => return home.sync().map(|()| Placed::AlreadyThere),
                Err(StoreError::Damaged { .. } | StoreError::NotADirectory { .. }) => {}
                Err(StoreError::ContentDiffers { offered, .. }) if named == Some(offered) => {}
                Err(error) => return Err(error),
            }
        }
        incoming.dir().get(&name)?.sync_all()?;
        let flags = if is_there { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        // What was damaged goes with the rest of `incoming`.
        incoming.dir().rename(&name, home, &name, flags)?;
        Ok(if is_there { Placed::Mended } else { Placed::New })
    }
}

fn assert_whole(
    home: &Directory,
    name: &str,
    verified: &VerifiedVersion,
) -> Result<(), StoreError> {
    let limits = Limits::default();
    let content = |digest, bytes| Content { digest, bytes };
    let files = verified.manifest.integrity.iter();
    let files = files.map(|(name, integrity)| (name, content(integrity.0, limits.file_bytes)));
    assert_same(home, name, content(verified.manifest_sha256, limits.json_bytes), files)
}
