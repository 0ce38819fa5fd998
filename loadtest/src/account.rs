//! What the kernel says that a server took.

use std::fs;
use std::path::Path;

use crate::Failure;

/// A process and all that descend from it.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    for task in tasks(pid) {
        // A thread that has ended meanwhile has no children.
        let children = fs::read_to_string(task.join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            family.extend(self::family(child));
        }
    }
    family
}

/// Nanoseconds that all threads of these processes have spent on a CPU, in user space and in the kernel.
///
/// `schedstat` counts exactly where `stat` counts ticks of 10 ms. Threads that the kernel runs for io_uring
/// on behalf of a process are among its tasks.
pub(crate) fn cpu_nanoseconds(pids: &[u32]) -> Result<u64, Failure> {
    let mut sum = 0;
    for task in pids.iter().flat_map(|pid| tasks(*pid)) {
        // A thread of a pool may have ended since the directory was read.
        let Ok(text) = fs::read_to_string(task.join("schedstat")) else { continue };
        let first = text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
        sum += first.ok_or_else(|| format!("{}: schedstat has no numbers", task.display()))?;
    }
    Ok(sum)
}

/// Bytes of memory that these processes have resident.
pub(crate) fn resident_bytes(pids: &[u32]) -> Result<u64, Failure> {
    pids.iter().map(|pid| mapped_bytes(*pid, "Rss:")).sum()
}

/// Bytes of memory that a process has resident and that are of no file.
pub(crate) fn anonymous_bytes(pid: u32) -> Result<u64, Failure> {
    mapped_bytes(pid, "Anonymous:")
}

/// What the kernel counts in all mappings of a process, in bytes.
fn mapped_bytes(pid: u32, field: &str) -> Result<u64, Failure> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok());
    Ok(kib.ok_or_else(|| format!("{path}: no {field}"))? * 1024)
}

fn tasks(pid: u32) -> Vec<std::path::PathBuf> {
    let dir = Path::new("/proc").join(pid.to_string()).join("task");
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
}
