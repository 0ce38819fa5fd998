//! Whether what the host keeps in memory fits what it is given.

use std::path::Path;

use super::Case;
use super::artifacts::Released;
use crate::finding::Finding;

/// The program itself, its stacks, and what a few hundred busy connections hold.
const BASE: u64 = 64 << 20;
/// A cgroup without a limit says so with a word, or in version 1 with a number that no machine has.
const NO_LIMIT: u64 = 1 << 60;

/// Verified versions are served from memory (contract §6): those that serve, and up to `FEATURE_RETAIN_MAX_BYTES`
/// of those that did.
pub(super) fn check(case: &Case<'_>, released: &Released) -> Finding {
    let Some(retain) = case.number("FEATURE_RETAIN_MAX_BYTES") else {
        return Finding::skipped("memory", "FEATURE_RETAIN_MAX_BYTES has a bad value");
    };
    let Some((limit, origin)) = limit() else {
        return Finding::skipped(
            "memory",
            "neither a cgroup nor /proc/meminfo says how much there is",
        );
    };
    let serving = released.serving_bytes;
    // While a new version is taken in, the one before is still there.
    let needed = serving.saturating_mul(2).saturating_add(retain).saturating_add(BASE);
    let mib = |bytes: u64| format!("{} MiB", bytes.div_ceil(1 << 20));
    let sum = format!(
        "{} of {} ({origin}): serving {}, twice during a change, {} retained",
        mib(needed),
        mib(limit),
        mib(serving),
        mib(retain)
    );
    if needed <= limit {
        return Finding::ok("memory", sum);
    }
    let remedy = "raise the limit of the container, or lower FEATURE_RETAIN_MAX_BYTES";
    let finding = Finding::bad(case.production, "memory", format!("it needs {sum}"), remedy);
    finding.variable("FEATURE_RETAIN_MAX_BYTES")
}

/// The least that this process may use, in bytes, and who says so.
fn limit() -> Option<(u64, &'static str)> {
    let memory = total().map(|total| (total, "memory of the machine"));
    let group = cgroup().map(|limit| (limit, "limit of the cgroup"));
    memory.into_iter().chain(group).min()
}

fn total() -> Option<u64> {
    let text = read(Path::new("/proc/meminfo"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The smallest limit on the way from the cgroup of this process to the root (cgroups(7)).
fn cgroup() -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let limits = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or(""), fields.next().unwrap_or("/"));
        let (root, file) = if controllers.is_empty() {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        } else if controllers.split(',').any(|one| one == "memory") {
            (Path::new("/sys/fs/cgroup/memory"), "memory.limit_in_bytes")
        } else {
            return Vec::new();
        };
        let path = Path::new(path.trim_start_matches('/'));
        path.ancestors()
            .filter_map(|dir| read(&root.join(dir).join(file))?.trim().parse().ok())
            .collect()
    });
    limits.filter(|limit| *limit < NO_LIMIT).min()
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
