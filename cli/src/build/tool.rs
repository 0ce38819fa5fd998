//! Running other people's tools.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a tool that was told to end has for it.
const GRACE: Duration = Duration::from_secs(2);

/// How a tool ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// What it printed, both streams in order.
    pub(crate) output: String,
}

/// Runs `command` to its end. Where `stop` is given and becomes true, the command and its children end too.
pub(crate) fn run(command: &mut Command, stop: Option<&AtomicBool>) -> io::Result<Finished> {
    let mut log = File::from(memfd_create("tool-output", MemfdFlags::CLOEXEC)?);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
    // What it prints is shown later, and maybe not on a terminal.
    command.env("NO_COLOR", "1").env_remove("FORCE_COLOR");
    let status = match stop {
        None => command.status()?,
        // A group of its own, so that a tool's children end with it.
        Some(stop) => wait(&mut command.process_group(0).spawn()?, stop)?,
    };
    let mut bytes = Vec::new();
    log.rewind()?;
    log.read_to_end(&mut bytes)?;
    Ok(Finished { status, output: String::from_utf8_lossy(&bytes).into_owned() })
}

fn wait(child: &mut Child, stop: &AtomicBool) -> io::Result<ExitStatus> {
    let mut told: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        match (told, group) {
            (None, Some(group)) if stop.load(Ordering::Relaxed) => {
                kill_process_group(group, Signal::TERM)?;
                told = Some(Instant::now());
            }
            (Some(since), Some(group)) if since.elapsed() > GRACE => {
                kill_process_group(group, Signal::KILL)?;
            }
            _ => {}
        }
        sleep(Duration::from_millis(20));
    }
}
