//! The kernel and its limits.

use std::net::{Ipv6Addr, TcpListener};
use std::path::Path;

use inotify::Inotify;
use jiff::SignedDuration;
use rustix::io::Errno;
use rustix::io_uring::{io_uring_params, io_uring_setup};
use rustix::process::{Resource, getrlimit};

use super::Case;
use super::artifacts::Released;
use crate::finding::Finding;

/// Descriptors for listeners, rings, memory files and logs.
const RESERVE: u64 = 256;
/// A shorter queue of connections overflows when a page with many files is opened by many at once.
const LEAST_BACKLOG: u64 = 1024;
/// Clocks of machines that are set by NTP differ by less.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn check(case: &Case<'_>, released: &Released) -> Vec<Finding> {
    let proc = |path: &str| number(&Path::new("/proc/sys").join(path));
    vec![
        io_uring(case),
        open_files(case, getrlimit(Resource::Nofile).maximum),
        watches(case, released.directories, proc("fs/inotify/max_user_watches")),
        backlog(proc("net/core/somaxconn")),
        ipv6(case),
        clock(case, released),
        sentinel(case),
    ]
}

fn io_uring(case: &Case<'_>) -> Finding {
    let choice = case.settings.text("HOST_IO_DRIVER").unwrap_or_default();
    if choice == "epoll" {
        return Finding::skipped("io-uring", "HOST_IO_DRIVER is epoll");
    }
    let mut parameters = io_uring_params::default();
    // SAFETY: no flag is set, so no descriptor in the parameters counts.
    let ring = unsafe { io_uring_setup(8, &mut parameters) };
    let Err(error) = ring else {
        return Finding::ok("io-uring", "the kernel allows it");
    };
    let switch = number(Path::new("/proc/sys/kernel/io_uring_disabled")).unwrap_or(0);
    let filtered = std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line == "Seccomp:\t2"));
    let (why, remedy) = match (switch, filtered, error) {
        (1.., _, _) => ("kernel.io_uring_disabled forbids it", "sysctl kernel.io_uring_disabled=0"),
        (0, true, _) => (
            "a seccomp filter is on",
            "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile",
        ),
        (0, false, Errno::NOSYS) => ("the kernel has none", "use Linux 5.19 or later"),
        (0, false, Errno::NOMEM) => {
            ("too little memory may be locked", "raise the limit on locked memory (RLIMIT_MEMLOCK)")
        }
        (0, false, _) => (
            "the kernel gives no other reason",
            "see the kernel log, and what confines this process",
        ),
    };
    let rest =
        if choice == "io_uring" { "the host does not start" } else { "the host takes epoll" };
    let message = format!("it is refused ({error}), {why}; {rest}");
    let finding = Finding::bad(choice == "io_uring", "io-uring", message, remedy);
    finding.variable("HOST_IO_DRIVER")
}

/// The host raises its soft limit to the hard one by itself.
fn open_files(case: &Case<'_>, maximum: Option<u64>) -> Finding {
    let Some(each) = case.number("HOST_MAX_CONNECTIONS") else {
        return Finding::skipped("open-files", "HOST_MAX_CONNECTIONS has a bad value");
    };
    let workers = case.workers();
    let needed = each.saturating_mul(workers).saturating_add(RESERVE);
    let sum = format!("{workers} workers with {each} connections each need {needed} descriptors");
    match maximum.filter(|maximum| *maximum < needed) {
        None => Finding::ok("open-files", format!("{sum}, and may have them")),
        Some(maximum) => {
            let message = format!("{sum}; {maximum} are allowed, and more connections are refused");
            let remedy =
                "raise the hard limit (ulimit -Hn, LimitNOFILE), or lower HOST_MAX_CONNECTIONS";
            Finding::warn("open-files", message, remedy).variable("HOST_MAX_CONNECTIONS")
        }
    }
}

/// One instance, and one watch for each directory; both limits are for all programs of a user.
fn watches(case: &Case<'_>, directories: u64, maximum: Option<u64>) -> Finding {
    if !case.flag("HOT_REFRESH_WATCH") {
        return Finding::skipped("inotify", "HOT_REFRESH_WATCH is off");
    }
    if let Err(error) = Inotify::init() {
        let message = format!("the kernel refuses it ({error}), so changes would be seen late");
        let remedy = "raise fs.inotify.max_user_instances, or stop other programs that watch";
        return Finding::warn("inotify", message, remedy).variable("HOT_REFRESH_WATCH");
    }
    match maximum {
        Some(maximum) => room_for_watches(directories, maximum),
        None => {
            Finding::skipped("inotify", "the kernel does not say how many watches there may be")
        }
    }
}

fn room_for_watches(directories: u64, maximum: u64) -> Finding {
    // During a change the old version is there beside the new one.
    let needed = directories.saturating_mul(2);
    let sum = format!("{directories} directories are watched, up to {needed} during a change");
    if needed <= maximum {
        return Finding::ok("inotify", format!("{sum}; {maximum} watches are allowed"));
    }
    let message =
        format!("{sum}; only {maximum} watches are allowed, so changes would be seen late");
    let remedy = format!("sysctl fs.inotify.max_user_watches={}", needed.next_power_of_two());
    Finding::warn("inotify", message, remedy)
}

fn backlog(somaxconn: Option<u64>) -> Finding {
    match somaxconn {
        None => {
            Finding::skipped("listen-backlog", "the kernel does not say how long a queue may be")
        }
        Some(length) if length < LEAST_BACKLOG => {
            let message =
                format!("{length} connections may wait to be accepted; bursts are cut off");
            Finding::warn("listen-backlog", message, "sysctl net.core.somaxconn=4096")
        }
        Some(length) => {
            Finding::ok("listen-backlog", format!("{length} connections may wait to be accepted"))
        }
    }
}

/// Without `HOST_BIND` the host listens on `::`, which takes IPv4 too.
fn ipv6(case: &Case<'_>) -> Finding {
    if case.settings.is_set("HOST_BIND") {
        return Finding::skipped("ipv6", "HOST_BIND names the address");
    }
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => Finding::ok("ipv6", "the host can listen on every address"),
        Err(error) => {
            let message = format!("the host listens on [::], which is not to be had here: {error}");
            Finding::fail("ipv6", message, "set HOST_BIND=0.0.0.0, or turn IPv6 on")
                .variable("HOST_BIND")
        }
    }
}

/// A clock that is behind makes expired keys count, one that is ahead ends them early.
fn clock(case: &Case<'_>, released: &Released) -> Finding {
    let now = case.environment.now();
    let Some(latest) = released.latest else {
        return Finding::skipped("clock", "no signed history tells a time to compare with");
    };
    if latest.duration_since(now) > CLOCK_SLACK {
        let message = format!("it says {now}, but a release was signed at {latest}");
        let remedy = "set the clock by NTP, here or where releases are signed";
        return Finding::fail("clock", message, remedy);
    }
    Finding::ok("clock", format!("{now}, after the latest signed release"))
}

fn sentinel(case: &Case<'_>) -> Finding {
    let name = "FEATURE_READY_SENTINEL_PATH";
    let Some(path) = case.settings.value(name) else {
        return Finding::skipped("ready-sentinel", format!("{name} is not set"));
    };
    let path = Path::new(path);
    if path.exists() {
        return Finding::ok("ready-sentinel", format!("{} is there", path.display()));
    }
    let message = "the file is not there, so /_ready answers 503 until it is";
    let remedy = "see that the loader writes it to this path, on a volume that both share";
    Finding::warn("ready-sentinel", message, remedy).file(path)
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;

    #[test]
    fn a_short_queue_is_told_and_an_unknown_one_is_not() {
        assert_eq!(backlog(Some(128)).level(), Level::Warn);
        assert_eq!(backlog(Some(4096)).level(), Level::Ok);
        assert_eq!(backlog(None).level(), Level::Skipped);
    }

    #[test]
    fn a_change_needs_twice_the_watches() {
        assert_eq!(room_for_watches(10, 20).level(), Level::Ok);
        assert_eq!(room_for_watches(10, 19).level(), Level::Warn);
    }
}
