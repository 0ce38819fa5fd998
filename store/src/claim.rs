//! A loader has a tree to itself.

use std::fs::File;

use pilar_artifact::FeatureId;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::directory::Directory;
use crate::incoming::INCOMING;
use crate::writer::{STAGING, lock_name};
use crate::{Store, StoreError};

/// No feature id starts with a dot, so it is no feature's lock.
const CLAIM: &str = ".claim.lock";

/// The right to download into a tree; it ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct Claim {
    _lock: File,
}

impl Store {
    /// Takes the tree for one loader, and removes what those before it left unfinished. What cannot be removed is
    /// logged and left: it is in nobody's way.
    ///
    /// Who publishes into it by hand is not hindered: that needs the lock of one feature only, and what is held
    /// under such a lock is not touched.
    ///
    /// # Errors
    /// [`StoreError`]; code `store-busy` where another loader has it.
    pub fn claim(&self) -> Result<Claim, StoreError> {
        let all = self.root().make(STAGING)?;
        let Some(lock) = try_lock(&all, CLAIM)? else {
            return Err(StoreError::Busy { path: self.root().path().to_owned() });
        };
        for name in all.names()? {
            if name.starts_with(INCOMING) {
                all.clear(&name);
            } else if let Some(feature) = feature_of(&name) {
                // A writer that was killed: a feature that is gone is never locked again. Whose lock cannot be taken
                // says so when it is to be written.
                if let Ok(Some(_unused)) = try_lock(&all, &lock_name(&feature)) {
                    all.clear(&name);
                }
            }
        }
        Ok(Claim { _lock: lock })
    }
}

/// The feature whose staging directory has this name, the first or one of those beside it.
fn feature_of(name: &str) -> Option<FeatureId> {
    let (feature, number) = name.split_once('.').unwrap_or((name, "0"));
    number.parse::<u32>().ok()?;
    feature.parse().ok()
}

/// The lock, unless somebody has it.
pub(crate) fn try_lock(dir: &Directory, name: &str) -> Result<Option<File>, StoreError> {
    let file = dir.open_lock(name)?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(error) => {
                return Err(StoreError::io("take the lock", &dir.path().join(name))(error.into()));
            }
        }
    }
}
