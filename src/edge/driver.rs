//! How a worker talks to the kernel: a ladder of io_uring set-ups with epoll at its foot.

use std::fmt;
use std::io;

use io_uring::IoUring;
use monoio::time::TimeDriver;
use monoio::{FusionRuntime, IoUringDriver, LegacyDriver, RuntimeBuilder};

/// Which drivers may be tried (`HOST_IO_DRIVER`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring where the kernel allows it, otherwise epoll.
    #[default]
    Auto,
    /// io_uring or an error.
    IoUring,
    /// epoll.
    Epoll,
}

/// One rung of the ladder, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setup {
    /// One submitter, completions run when they are waited for (Linux 6.1).
    RingDeferred,
    /// Completions never interrupt the worker (Linux 5.19).
    RingCooperative,
    /// A ring without flags.
    RingPlain,
    /// Readiness instead of completion; what is left where a seccomp profile refuses io_uring.
    Epoll,
}

impl Setup {
    /// The driver's name as in `HOST_IO_DRIVER`.
    pub fn driver(self) -> &'static str {
        if self == Setup::Epoll { "epoll" } else { "io_uring" }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Setup::RingDeferred => "io_uring (single issuer, deferred task run)",
            Setup::RingCooperative => "io_uring (cooperative task run)",
            Setup::RingPlain => "io_uring (plain)",
            Setup::Epoll => "epoll",
        })
    }
}

/// Which set-up a worker runs on, and why it is not a stronger one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverReport {
    /// The set-up in use.
    pub setup: Setup,
    /// The stronger ones with what the kernel said to each.
    pub refused: Vec<(Setup, String)>,
}

/// No set-up that was allowed could be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "the kernel refuses {wanted}: {reasons}. Allow it in the seccomp profile, or set HOST_IO_DRIVER=auto"
)]
pub struct DriverError {
    wanted: &'static str,
    reasons: String,
}

impl DriverError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        "io-driver-refused"
    }
}

pub(super) type Runtime = FusionRuntime<TimeDriver<IoUringDriver>, TimeDriver<LegacyDriver>>;

/// Builds the strongest runtime that the choice and the kernel allow. Must run on the thread that
/// will use it: a ring with a single issuer belongs to its maker.
pub(super) fn build(choice: DriverChoice) -> Result<(Runtime, DriverReport), DriverError> {
    let rungs: &[Setup] = match choice {
        DriverChoice::Auto => {
            &[Setup::RingDeferred, Setup::RingCooperative, Setup::RingPlain, Setup::Epoll]
        }
        DriverChoice::IoUring => &[Setup::RingDeferred, Setup::RingCooperative, Setup::RingPlain],
        DriverChoice::Epoll => &[Setup::Epoll],
    };
    let mut refused = Vec::new();
    for &setup in rungs {
        match try_setup(setup) {
            Ok(runtime) => return Ok((runtime, DriverReport { setup, refused })),
            Err(error) => refused.push((setup, error.to_string())),
        }
    }
    let reasons: Vec<String> =
        refused.iter().map(|(setup, reason)| format!("{setup}: {reason}")).collect();
    let wanted = if choice == DriverChoice::Epoll { "epoll" } else { "io_uring" };
    Err(DriverError { wanted, reasons: reasons.join("; ") })
}

fn try_setup(setup: Setup) -> io::Result<Runtime> {
    if setup == Setup::Epoll {
        let runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?;
        return Ok(FusionRuntime::Legacy(runtime));
    }
    let mut ring = IoUring::builder();
    match setup {
        Setup::RingDeferred => {
            ring.setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun();
        }
        Setup::RingCooperative => {
            ring.setup_coop_taskrun();
        }
        Setup::RingPlain | Setup::Epoll => {}
    }
    let builder = RuntimeBuilder::<IoUringDriver>::new().uring_builder(ring);
    Ok(FusionRuntime::Uring(builder.enable_timer().build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoll_is_always_to_be_had() {
        let (_, report) = build(DriverChoice::Epoll).unwrap();
        assert_eq!(report, DriverReport { setup: Setup::Epoll, refused: Vec::new() });
    }

    #[test]
    fn auto_says_why_it_is_not_stronger() {
        let (_, report) = build(DriverChoice::Auto).unwrap();
        let stronger: Vec<Setup> = report.refused.iter().map(|&(setup, _)| setup).collect();
        assert!(stronger.iter().all(|&setup| setup < report.setup), "{report:?}");
        assert!(report.refused.iter().all(|(_, reason)| !reason.is_empty()), "{report:?}");
    }
}
