//! Pages of 2 MiB for sealed memory. Sending a body costs the kernel work for each of its pages, and of 4 KiB there are
//! 512 times as many: `docs/performance/findings.md` has what that makes.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use memmap2::MmapOptions;
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};

/// The size of such a page, in bytes.
const LARGE_PAGE: usize = 2 << 20;

/// Has the kernel gather each whole 2 MiB of the first `length` bytes into one page, and says how many bytes it did so with. What is
/// left takes no more memory than before. Nothing depends on it: a kernel before 6.1 or one without so much memory in
/// one piece leaves things as they are.
pub(super) fn gather(memory: &File, length: usize) -> usize {
    /// Whether they are forbidden holds for the process, so one thread at a time changes it.
    static ALONE: Mutex<()> = Mutex::new(());
    let whole = length / LARGE_PAGE * LARGE_PAGE;
    if whole == 0 {
        return 0;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // `main` forbids them, because the kernel would put them where they are not asked for.
    let are_forbidden = transparent_huge_pages_are_disabled().unwrap_or(false);
    if are_forbidden && disable_transparent_huge_pages(false).is_err() {
        return 0;
    }
    let gathered = collapse(memory, whole);
    if are_forbidden {
        // What could be allowed can be forbidden.
        let _ = disable_transparent_huge_pages(true);
    }
    gathered.map_or(0, |()| whole)
}

/// Gathers the first `length` bytes, through a mapping that is aligned like the pages are to be.
fn collapse(memory: &File, length: usize) -> io::Result<()> {
    let mut room = MmapOptions::new().len(length + LARGE_PAGE).map_anon()?;
    let start = room.as_mut_ptr();
    let start = start.wrapping_add(start.align_offset(LARGE_PAGE)).cast();
    // SAFETY: the new mapping takes the place of a part of `room`, to which nothing refers and with which it goes.
    unsafe {
        mmap(start, length, ProtFlags::READ, MapFlags::SHARED | MapFlags::FIXED, memory, 0)?;
    }
    // SAFETY: this moves what is mapped there and changes nothing of it.
    match unsafe { libc::madvise(start, length, libc::MADV_COLLAPSE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    /// The bytes of all memory files of the machine that lie in large pages.
    fn large_bytes() -> u64 {
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
        let line = memory.lines().find(|line| line.starts_with("ShmemHugePages:")).unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes * 1024
    }

    #[test]
    fn whole_pages_are_gathered_and_hold_what_they_held() {
        disable_transparent_huge_pages(true).unwrap();
        let bytes: Vec<u8> = (0..3 * LARGE_PAGE + 1000).map(|at| (at / 999) as u8).collect();
        let mut memory = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
        memory.write_all(&bytes).unwrap();
        assert_eq!(gather(&memory, LARGE_PAGE - 1), 0, "nothing takes more than it needs");
        let before = large_bytes();
        let gathered = gather(&memory, bytes.len());
        assert_eq!(gathered, 3 * LARGE_PAGE, "{}", io::Error::last_os_error());
        assert!(large_bytes() > before);
        assert!(transparent_huge_pages_are_disabled().unwrap());
        memory.rewind().unwrap();
        let mut there = Vec::new();
        memory.read_to_end(&mut there).unwrap();
        assert!(there == bytes);
    }
}
