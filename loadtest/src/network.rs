//! The network that is measured over: a loopback of its own, without the pacing that a machine may have.

use std::fs;
use std::process::Command;

use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::Failure;
use crate::server::output;

/// Where the kernel keeps which congestion control new connections have.
const SETTING: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// Every kernel has this one. Nothing is ever lost on a loopback, so all controls do the same there, but for those that pace: they
/// send by timers, which then cost more than all else and hide what is measured.
const CONGESTION_CONTROL: &str = "reno";

/// Enters such a network, with all that is started from here on. Without the right to one this stays where it is: the report
/// says which congestion control there was.
pub(crate) fn enter() -> Result<(), Failure> {
    // SAFETY: of what threads share, only the network becomes another one, and this is the only thread.
    if let Err(error) = unsafe { unshare_unsafe(UnshareFlags::NEWNET) } {
        println!(
            "no network of its own, but that of the machine: {error}; root has the right to one"
        );
        return Ok(());
    }
    output(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    if let Err(failure) = set(CONGESTION_CONTROL) {
        println!("the congestion control stays what it is: {failure}");
    }
    Ok(())
}

/// Which congestion control there is.
pub(crate) fn congestion_control() -> Result<String, Failure> {
    let read = fs::read_to_string(SETTING).map_err(|error| format!("{SETTING}: {error}"))?;
    Ok(read.trim().to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the kernel, and no file that could tear"
)]
fn set(name: &str) -> Result<(), Failure> {
    fs::write(SETTING, name).map_err(|error| format!("{SETTING}: {error}"))
}
