//! What the kernel says of a process.

use std::collections::BTreeSet;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A process that is looked at from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Its open descriptors.
    pub(crate) fn descriptors(self) -> usize {
        self.entries("fd").count()
    }

    /// The limit of descriptors with which it can open so many more.
    pub(crate) fn limit_to_open(self, more: usize) -> u64 {
        let numbers =
            self.entries("fd").filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let in_use: BTreeSet<u64> = numbers.collect();
        (0..).filter(|number| !in_use.contains(number)).nth(more).expect("numbers do not end")
    }

    /// Nanoseconds of CPU that its threads have had.
    pub(crate) fn cpu_nanoseconds(self) -> u64 {
        let of_thread = |thread: fs::DirEntry| {
            // A thread may end meanwhile.
            let times = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            times.split(' ').next().and_then(|running| running.parse().ok()).unwrap_or(0u64)
        };
        self.entries("task").map(of_thread).sum()
    }

    /// Bytes of memory of its own that it holds now, without mapped files.
    pub(crate) fn own_memory(self) -> usize {
        self.status("RssAnon:")
    }

    /// Bytes of memory that it holds now.
    pub(crate) fn memory(self) -> usize {
        self.status("VmRSS:")
    }

    /// The most bytes of memory that it held at one time since [`Process::forget_peak`].
    pub(crate) fn peak_memory(self) -> usize {
        self.status("VmHWM:")
    }

    /// Makes what it holds now its peak (`proc_pid_clear_refs(5)`).
    pub(crate) fn forget_peak(self) {
        fs::write(self.path("clear_refs"), "5").expect("the peak can be set back");
    }

    pub(crate) fn signal(self, signal: Signal) {
        let pid = i32::try_from(self.0).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the process is there");
    }

    /// Whether a thread of it is held up by [`Setup::hanging_at`](super::Setup::hanging_at), rather than by the
    /// short stop that each system call of a traced program is.
    pub(crate) fn hangs(self) -> bool {
        let stopped = || -> HashSet<OsString> {
            let is_stopped = |thread: &fs::DirEntry| {
                let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
                status.contains("(tracing stop)")
            };
            self.entries("task").filter(is_stopped).map(|thread| thread.file_name()).collect()
        };
        let mut always = stopped();
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(5));
            let now = stopped();
            always.retain(|thread| now.contains(thread));
        }
        !always.is_empty()
    }

    fn status(self, field: &str) -> usize {
        let status = fs::read_to_string(self.path("status")).expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        kibibytes.map_or_else(|| panic!("no {field} in {status}"), |count: usize| count * 1024)
    }

    fn entries(self, of: &str) -> impl Iterator<Item = fs::DirEntry> {
        fs::read_dir(self.path(of)).expect("the process is there").filter_map(Result::ok)
    }

    fn path(self, below: &str) -> String {
        format!("/proc/{}/{below}", self.0)
    }
}
