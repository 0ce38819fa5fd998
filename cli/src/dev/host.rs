//! The host as a child of this program.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::environment::Environment;
use crate::problem::Problem;

const PROGRAM: &str = "pilar-host";
/// How long the host has to get ready, and to end.
const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// A running host; it ends when this is dropped.
pub(super) struct Host {
    child: Child,
    program: PathBuf,
    /// The URL from the line that it prints when it listens.
    url: Receiver<String>,
}

/// The host to run: the one that was named, the one beside this program, or the one on the `PATH`.
pub(super) fn find(named: Option<&Path>, environment: &Environment) -> Result<PathBuf, Problem> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let beside = environment.machine.executable.iter().filter_map(|own| own.parent());
    let beside = beside.map(Path::to_owned);
    let on_path = environment.search_path.iter().flat_map(std::env::split_paths);
    beside.chain(on_path).map(|dir| dir.join(PROGRAM)).find(|file| file.is_file()).ok_or_else(
        || {
            let message = "there is no pilar-host beside this program or on the PATH";
            Problem::new("host-missing", message, "build it, or name it with --host-bin")
                .field("--host-bin")
        },
    )
}

impl Host {
    /// Starts the host on `port` for the dev key.
    pub(super) fn start(
        program: &Path,
        port: u16,
        artifacts: &Path,
        trusted_keys: &Path,
    ) -> Result<Self, Problem> {
        let mut command = Command::new(program);
        command
            .env("PORT", port.to_string())
            // What is not released yet is for the one who works on it.
            .env("HOST_BIND", "127.0.0.1")
            .env("ARTIFACTS_DIR", artifacts)
            .env("HOT_REFRESH_WATCH", "1")
            .env("FEATURE_TRUST_PUBLIC_KEYS_PATH", trusted_keys)
            .env_remove("FEATURE_TRUST_PUBLIC_KEYS_JSON")
            .env("FEATURE_ALLOW_INSECURE_DEV_KEYS", "1")
            .env("NODE_ENV", "development")
            .env("HOST_DRAIN_SECONDS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Ctrl-C is for this program, which then ends the host in order.
            .process_group(0);
        // SAFETY: between fork and exec only `prctl` is called, which allocates nothing and takes no lock.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::TERM))?));
        }
        let mut child = command.spawn().map_err(|error| {
            let message = format!("the host cannot be started: {error}");
            Problem::new("host-missing", message, "build it, or name it with --host-bin")
                .file(program)
        })?;
        let (sender, url) = channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || forward(output, &sender));
        }
        Ok(Self { child, program: program.to_owned(), url })
    }

    /// Waits until `/_ready` answers 200 and returns the URL of the host; `None` where `stop` came first.
    pub(super) fn wait_until_ready(
        &mut self,
        stop: &AtomicBool,
    ) -> Result<Option<String>, Problem> {
        let started = Instant::now();
        let mut url = None;
        while started.elapsed() < START {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            self.check()?;
            // Only after its own line: on a busy port somebody else would answer.
            url = url.or_else(|| self.url.try_recv().ok());
            if let Some(url) = url.as_deref().filter(|url| is_ready(url)) {
                return Ok(Some(url.to_owned()));
            }
            sleep(POLL);
        }
        let message = format!("the host is not ready after {} s", START.as_secs());
        Err(Problem::new("host-not-ready", message, "see what it printed").file(&self.program))
    }

    /// Whether the host still runs.
    pub(super) fn check(&mut self) -> Result<(), Problem> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let message = format!("the host ended: {status}");
                Err(Problem::new("host-ended", message, "see what it printed").file(&self.program))
            }
            Err(error) => {
                let message = format!("the host is lost: {error}");
                Err(Problem::new("host-ended", message, "start again").file(&self.program))
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (Ok(None), Some(pid)) = (self.child.try_wait(), pid) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let told = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if told.elapsed() > END {
                let _ = self.child.kill();
            }
            sleep(POLL);
        }
    }
}

/// Passes on what the host prints, and sends the first URL in it.
fn forward(output: ChildStdout, url: &Sender<String>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let _ = writeln!(io::stderr().lock(), "{line}");
        if let Some(found) = line.split_whitespace().find(|word| word.starts_with("http://")) {
            let _ = url.send(found.trim_end_matches('/').to_owned());
        }
    }
}

fn is_ready(url: &str) -> bool {
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
    port.is_some_and(|port| ask(port).is_ok_and(|status| status.ends_with(" 200")))
}

fn ask(port: u16) -> io::Result<String> {
    let timeout = Some(Duration::from_secs(1));
    let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    stream.set_read_timeout(timeout)?;
    stream.set_write_timeout(timeout)?;
    stream.write_all(b"GET /_ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(String::from_utf8_lossy(&status).into_owned())
}
