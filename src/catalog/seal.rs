//! Verified bytes in memory that nothing outside the process can change or truncate (contract §6).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::Mmap;
use pilar_artifact::verify::FileSink;
use pilar_artifact::{FileName, Sha256Digest};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::param::page_size;

use super::large_pages;
use crate::http::Body;

/// Files of this many bytes and up begin on a page. Sent by pages, one that does not costs twice as much; small ones
/// are copied, and lie close together.
const ON_A_PAGE_FROM: usize = 16 * 1024;

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
        large_pages::gather(&self.memory, self.length);
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
        let start = if bytes.len() < ON_A_PAGE_FROM {
            self.length
        } else {
            self.length.next_multiple_of(page_size())
        };
        self.memory.write_all_at(&bytes, start as u64)?;
        self.length = start + bytes.len();
        self.files.push((name.clone(), sha256, start..self.length));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of all memory files of the machine that lie in large pages.
    fn in_large_pages() -> u64 {
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
        let line = memory.lines().find(|line| line.starts_with("ShmemHugePages:")).unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes * 1024
    }

    #[test]
    fn a_version_of_many_mebibytes_lies_in_large_pages() {
        const BYTES: usize = 65 << 20;
        let mut sealer = Sealer::new("test").unwrap();
        let bytes = vec![7; BYTES];
        sealer.accept(&"0.js".parse().unwrap(), Sha256Digest::of(&bytes), bytes).unwrap();
        let before = in_large_pages();
        let files = sealer.seal().unwrap();
        // Others may come and go meanwhile, but none so large.
        let more = in_large_pages().saturating_sub(before);
        assert!(
            more >= 48 << 20,
            "{more} bytes; this takes Linux 6.1 with transparent huge pages, and 64 MiB in large pieces"
        );
        assert_eq!(files[0].body.len(), BYTES);
    }

    #[test]
    fn large_files_begin_on_a_page_and_small_ones_lie_close_together() {
        let mut sealer = Sealer::new("test").unwrap();
        let lengths = [5, 0, ON_A_PAGE_FROM, 100_000, 7, 11];
        for (number, length) in lengths.into_iter().enumerate() {
            let name = format!("{number}.js").parse().unwrap();
            let bytes = vec![u8::try_from(number).unwrap(); length];
            sealer.accept(&name, Sha256Digest::of(&bytes), bytes).unwrap();
        }
        let files = sealer.seal().unwrap();
        let page = page_size() as u64;
        let offsets: Vec<u64> = files.iter().map(|file| file.body.file().unwrap().1).collect();
        assert_eq!(offsets[1], 5);
        assert_eq!(offsets[2], page);
        assert!(offsets[3].is_multiple_of(page));
        assert_eq!((offsets[4], offsets[5]), (offsets[3] + 100_000, offsets[3] + 100_007));
        for (number, (file, length)) in files.iter().zip(lengths).enumerate() {
            assert_eq!(file.body.to_vec(), vec![u8::try_from(number).unwrap(); length]);
            let (memory, offset) = file.body.file().unwrap();
            let mut there = vec![0; length];
            memory.read_exact_at(&mut there, offset).unwrap();
            assert_eq!(there, file.body.to_vec());
        }
    }
}
