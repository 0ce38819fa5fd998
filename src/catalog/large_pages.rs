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

/// Has the kernel gather each whole 2 MiB of the first `length` bytes into one page. What is left takes no more memory than
/// before. Nothing depends on it: a kernel before 6.1 or one without so much memory in
/// one piece leaves things as they are.
pub(super) fn gather(memory: &File, length: usize) {
    /// Whether they are forbidden holds for the process, so one thread at a time changes it.
    static ALONE: Mutex<()> = Mutex::new(());
    let whole = length / LARGE_PAGE * LARGE_PAGE;
    if whole == 0 {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // `main` forbids them, because the kernel would put them where they are not asked for.
    let are_forbidden = transparent_huge_pages_are_disabled().unwrap_or(false);
    if are_forbidden && disable_transparent_huge_pages(false).is_err() {
        return;
    }
    // What it cannot do now it would not do better later.
    let _ = collapse(memory, whole);
    if are_forbidden {
        // What could be allowed can be forbidden.
        let _ = disable_transparent_huge_pages(true);
    }
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

    #[test]
    fn what_is_gathered_holds_what_it_held_and_the_process_gets_no_large_pages() {
        disable_transparent_huge_pages(true).unwrap();
        let bytes: Vec<u8> = (0..3 * LARGE_PAGE + 1000).map(|at| (at / 999) as u8).collect();
        let mut memory = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
        memory.write_all(&bytes).unwrap();
        collapse(&memory, 3 * LARGE_PAGE).expect_err("it is forbidden");
        gather(&memory, bytes.len());
        assert!(transparent_huge_pages_are_disabled().unwrap());
        memory.rewind().unwrap();
        let mut there = Vec::new();
        memory.read_to_end(&mut there).unwrap();
        assert!(there == bytes);
    }
}
