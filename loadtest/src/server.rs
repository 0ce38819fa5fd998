//! Starting and stopping the servers.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::corpus::Site;
use crate::peers::Peer;
use crate::{Failure, SERVER_CORE, account};

/// A server that does not serve by then never will.
const LONGEST_START: Duration = Duration::from_secs(20);
/// One that is told to end and has not by then is killed.
const LONGEST_END: Duration = Duration::from_secs(5);

/// A server that runs, on a core of its own; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
}

impl Server {
    /// Starts a server and waits until it serves.
    pub(crate) fn start(peer: &dyn Peer, site: &Site, room: &Path) -> Result<Self, Failure> {
        let room = room.join(peer.name().replace(|letter: char| !letter.is_alphanumeric(), "-"));
        let io = |error: std::io::Error| format!("{}: {error}", room.display());
        fs::create_dir_all(&room).map_err(io)?;
        let port = free_port()?;
        let log = room.join("output.log");
        let file = File::create(&log).map_err(io)?;
        let mut command = pinned(SERVER_CORE);
        peer.add_command(&mut command, site, &room, port)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().map_err(io)?)
            .stderr(file)
            .spawn()
            .map_err(|error| format!("{} could not be started: {error}", peer.name()))?;
        let mut server = Self { child, port };
        let start = Instant::now();
        while !site.is_served(port) {
            let ended = server.child.try_wait().map_err(io)?.is_some();
            if ended || start.elapsed() > LONGEST_START {
                let words = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{} does not serve; it says:\n{words}", peer.name()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// All its processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        account::family(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let family = self.pids();
        // Those that have ended are what is wanted.
        let send = |signal| {
            for pid in &family {
                if let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw) {
                    let _ = kill_process(pid, signal);
                }
            }
        };
        send(Signal::TERM);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > LONGEST_END {
                send(Signal::KILL);
                let _ = self.child.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A command that runs on one core and ends with this program; the program and its arguments are to be added.
pub(crate) fn pinned(core: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "taskset", "--cpu-list", core]);
    command
}

/// Runs a command and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!("failed ({}): {shown}\n{words}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn free_port() -> Result<u16, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}
