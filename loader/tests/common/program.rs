//! The real program, as a process of its own.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use pilar_artifact::loader_status::{LOADER_STATUS_FILE, LoaderStatus};
use pilar_loader::registration::Registration;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::tree::Tree;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pilar-loader");

/// Where the program works: an artifacts directory, a directory of registrations, a sentinel.
#[derive(Debug)]
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.registrations()).unwrap();
        place
    }

    pub(crate) fn artifacts(&self) -> PathBuf {
        self.0.path().join("artifacts")
    }

    pub(crate) fn registrations(&self) -> PathBuf {
        self.0.path().join("registrations")
    }

    pub(crate) fn sentinel(&self) -> PathBuf {
        self.0.path().join("ready")
    }

    /// Registers it by a file.
    pub(crate) fn register(&self, registration: &Registration) {
        let Registration { feature, origin } = registration;
        let origin = format!("{origin}");
        let key = if origin.contains("://") { "cdnBaseUrl" } else { "image" };
        self.say(feature.as_str(), &format!("featureId: {feature}\n{key}: {origin}\n"));
    }

    /// Writes the file of a registration, whole.
    pub(crate) fn say(&self, name: &str, text: &str) {
        let staged = self.0.path().join("staged");
        fs::write(&staged, text).unwrap();
        fs::rename(staged, self.registrations().join(format!("{name}.yaml"))).unwrap();
    }

    /// What the program last said of its work.
    pub(crate) fn status(&self) -> LoaderStatus {
        let text = fs::read_to_string(self.artifacts().join(LOADER_STATUS_FILE)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The program, with nothing of this process's environment.
    pub(crate) fn loader(&self, arguments: &[&str]) -> Setup {
        let mut command = Command::new(PROGRAM);
        command.args(arguments);
        self.prepare(command)
    }

    /// The program under a fault that strace injects.
    pub(crate) fn loader_with_fault(&self, fault: &str, arguments: &[&str]) -> Setup {
        self.below_strace(&["-o", "/dev/null", "-e", &format!("inject={fault}")], arguments)
    }

    /// The same where the fault strikes only what has to do with the file at `path`.
    pub(crate) fn loader_with_fault_at(
        &self,
        path: &Path,
        fault: &str,
        arguments: &[&str],
    ) -> Setup {
        let (path, fault) = (path.to_str().unwrap(), format!("inject={fault}"));
        self.below_strace(&["-o", "/dev/null", "-P", path, "-e", &fault], arguments)
    }

    /// The program, whose `calls` are noted in `log` with the paths of what they are made on.
    pub(crate) fn loader_traced(&self, calls: &str, log: &Path, arguments: &[&str]) -> Setup {
        let (log, calls) = (log.to_str().unwrap(), format!("trace={calls}"));
        self.below_strace(&["-y", "-o", log, "-e", &calls], arguments)
    }

    fn below_strace(&self, options: &[&str], arguments: &[&str]) -> Setup {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq"]).args(options).arg(PROGRAM).args(arguments);
        self.prepare(command)
    }

    fn prepare(&self, mut command: Command) -> Setup {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        Setup(command)
            .with("ARTIFACTS_DIR", self.artifacts())
            .with("LOADER_REGISTRATIONS_DIR", self.registrations())
            .with("FEATURE_READY_SENTINEL_PATH", self.sentinel())
            .with("FEATURE_TRUST_PUBLIC_KEYS_JSON", Tree::new().trusted_keys())
    }
}

/// How to start the program.
#[derive(Debug)]
pub(crate) struct Setup(Command);

impl Setup {
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.env_remove(name);
        self
    }

    /// Runs it to its end.
    pub(crate) fn ends(mut self) -> Output {
        self.0.output().expect("the program can be started")
    }

    /// Starts it, and lets it speak into the log of the test.
    pub(crate) fn start(mut self) -> Running {
        let child = self.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Running(child.expect("the program can be started"))
    }
}

/// The program at work. It ends with the test.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// The port that it says it listens on.
    pub(crate) fn port(&mut self) -> u16 {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap();
        port.parse().unwrap_or_else(|_| panic!("no port in \"{line}\""))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
    }

    /// Waits for its end, and returns its log with it.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.0.wait().unwrap(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended is no more to be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + super::PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "gave up waiting: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The status and the body of a page of the program.
pub(crate) fn get(port: u16, path: &str) -> (u16, String) {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The names below a directory.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
