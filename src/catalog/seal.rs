//! Verified bytes in memory that nothing outside the process can change or truncate (contract §6).

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use memmap2::Mmap;
use pilar_artifact::verify::FileSink;
use pilar_artifact::{FileName, Sha256Digest};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::http::Body;

/// Collects the files of one version into one memory file.
#[derive(Debug)]
pub(super) struct Sealer {
    memory: File,
    length: usize,
    files: Vec<(FileName, Sha256Digest, std::ops::Range<usize>)>,
}

/// One verified file, as a slice of sealed memory.
#[derive(Debug, Clone)]
pub struct SealedFile {
    /// Its name in the version directory.
    pub name: FileName,
    /// Its digest, checked before it was sealed.
    pub sha256: Sha256Digest,
    /// Its bytes.
    pub body: Body,
}

impl Sealer {
    /// Starts with an empty memory file, whose `label` shows in `/proc`.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn new(label: &str) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = File::from(memfd_create(label, flags)?);
        Ok(Self { memory, length: 0, files: Vec::new() })
    }

    /// Seals the memory and maps it. The files come sorted by name.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn seal(self) -> io::Result<Vec<SealedFile>> {
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&self.memory, seals)?;
        let all = if self.length == 0 {
            // The kernel maps no empty file.
            Bytes::new()
        } else {
            // SAFETY: the memory file is private to this process and sealed against writing, growing and
            // shrinking, so the mapping can neither change nor fault.
            Bytes::from_owner(unsafe { Mmap::map(&self.memory) }?)
        };
        let all = Body::of_file(all, Arc::new(self.memory), 0);
        Ok(self
            .files
            .into_iter()
            .map(|(name, sha256, range)| SealedFile { name, sha256, body: all.slice(range) })
            .collect())
    }
}

impl FileSink for Sealer {
    fn accept(&mut self, name: &FileName, sha256: Sha256Digest, bytes: Vec<u8>) -> io::Result<()> {
        self.memory.write_all(&bytes)?;
        let start = self.length;
        self.length += bytes.len();
        self.files.push((name.clone(), sha256, start..self.length));
        Ok(())
    }
}
