//! The real host, as a process of its own.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::tree::Tree;
use super::{Client, PATIENCE, Process, Reply, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pilar-host");
/// For how long what hangs is held up.
const HANGS_FOR: Duration = Duration::from_secs(20 * 60);
const SHELL: &str = "/bin/sh";
const UNSHARE: &str = "/usr/bin/unshare";
const NSENTER: &str = "/usr/bin/nsenter";
/// The limit of the user namespace that the reader is in.
const WATCH_LIMIT: &str = "/proc/sys/user/max_inotify_instances";

/// How to start a host.
#[derive(Debug)]
pub(crate) struct Setup {
    command: Command,
    /// A second name of the program, for as long as it takes to start it.
    link: Option<PathBuf>,
}

/// A host that is running. It ends with the test.
#[derive(Debug)]
pub(crate) struct Host {
    child: Child,
    /// Where it listens.
    pub(crate) port: u16,
    /// Where `/_admin` listens, if it has a port of its own.
    pub(crate) admin_port: Option<u16>,
    log: Option<JoinHandle<String>>,
    /// What it writes beside its log; nobody reads it until a test does.
    output: Option<BufReader<ChildStdout>>,
}

impl Setup {
    /// A host in front of `tree`, with nothing of this process's environment.
    pub(crate) fn of(tree: &Tree) -> Self {
        Self::bare()
            .with("ARTIFACTS_DIR", tree.artifacts())
            .with("FEATURE_TRUST_PUBLIC_KEYS_JSON", tree.trusted_keys())
    }

    /// A host without artifacts and keys.
    pub(crate) fn bare() -> Self {
        let mut command = Command::new(PROGRAM);
        command.env_clear().stdin(Stdio::null());
        Self { command, link: None }
            .with("HOST_BIND", "127.0.0.1")
            .with("PORT", "0")
            .with("HOST_DRAIN_SECONDS", "0")
            .with("RUST_LOG", "info")
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.command.arg(argument.into());
        self
    }

    /// Runs it as a user whom permission bits bind, should the test run as root.
    pub(crate) fn run_by_nobody(mut self) -> Self {
        if rustix::process::geteuid().is_root() {
            // The build may lie in a directory that is root's alone.
            let reachable = std::env::temp_dir().join(format!("pilar-host-{}", std::process::id()));
            let linked = std::fs::hard_link(PROGRAM, &reachable);
            linked
                .or_else(|_| std::fs::copy(PROGRAM, &reachable).map(drop))
                .expect("a reachable host");
            let mut command = Command::new(&reachable);
            command.env_clear().stdin(Stdio::null()).gid(65534).uid(65534);
            command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            self.command = command;
            self.link = Some(reachable);
        }
        self
    }

    /// Runs it where the kernel refuses to watch directories, until [`Host::allow_watches`]. It takes a user
    /// namespace, which has such a limit of its own.
    pub(crate) fn refused_watches(mut self) -> Self {
        let in_namespace = || {
            let mut command = Command::new(UNSHARE);
            command.env_clear().stdin(Stdio::null()).args(["--user", "--map-root-user"]);
            command
        };
        let set_limit = format!("echo 0 > {WATCH_LIMIT}");
        let probe = in_namespace().args([SHELL, "-c", &set_limit]).output();
        assert!(
            probe.as_ref().is_ok_and(|output| output.status.success()),
            "this machine allows no user namespace ({probe:?}); run the tests as root, or set \
             kernel.unprivileged_userns_clone to 1"
        );
        let mut command = in_namespace();
        let script = format!("{set_limit} && exec \"$0\"");
        command.args([SHELL, "-c", &script, PROGRAM]);
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.command = command;
        self
    }

    /// Passes it a socket as a service manager does (sd_listen_fds(3)).
    pub(crate) fn passing(self, socket: OwnedFd) -> Self {
        let script = "LISTEN_PID=$$ LISTEN_FDS=${LISTEN_FDS-1} exec \"$0\" 3<&0 </dev/null";
        let mut setup = self.through_shell(script);
        setup.command.stdin(socket);
        setup
    }

    /// Lets it have this many open files at the most.
    pub(crate) fn with_few_descriptors(self, count: usize) -> Self {
        self.through_shell(&format!("ulimit -n {count} && exec \"$0\""))
    }

    /// Writes these system calls of it to a file, each line with the thread first.
    pub(crate) fn traced(self, file: &Path, calls: &[&str]) -> Self {
        // The tracer is a grandchild, so that signals reach the host.
        let script = format!(
            "exec strace -D -f -qq -o {} -e trace={} -e signal=none \"$0\"",
            file.display(),
            // A machine that lacks one of them is asked for the others.
            calls.iter().map(|call| format!("?{call}")).collect::<Vec<_>>().join(",")
        );
        self.with("PATH", "/usr/bin:/bin").through_shell(&script)
    }

    /// Runs it where whatever it does with this path takes longer than any test, as on a file system that hangs.
    pub(crate) fn hanging_at(self, path: &Path) -> Self {
        // A tracer holds on to a thread that it delays, even where the program has ended: it has to go first.
        let script = format!(
            "(while sleep 0.1 && [ -e /proc/$$ ]; do grep -q '^State:.Z' /proc/$$/status && \
             kill -KILL $(sed -n 's/^TracerPid:.//p' /proc/$$/status); done) >/dev/null 2>&1 & \
             exec strace -D -f -qq -o /dev/null -e signal=none -P {} -e inject=all:delay_enter={} \"$0\"",
            path.display(),
            HANGS_FOR.as_micros(),
        );
        self.with("PATH", "/usr/bin:/bin").through_shell(&script)
    }

    /// Starts it with a script, for which it is `$0`.
    fn through_shell(mut self, script: &str) -> Self {
        let mut command = Command::new(SHELL);
        command.env_clear().stdin(Stdio::null()).args(["-c", script, PROGRAM]);
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.command = command;
        self
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(mut self) -> Host {
        self.command.stderr(Stdio::piped());
        let mut child = self.spawn();
        let mut stderr = child.stderr.take().expect("piped");
        let log = std::thread::spawn(move || {
            let mut log = Vec::new();
            let _ = stderr.read_to_end(&mut log);
            String::from_utf8_lossy(&log).into_owned()
        });
        let has_admin_port = self.has_admin_port();
        Host::listening(child, Some(log), has_admin_port)
    }

    /// Starts it with nobody at the other end of its log.
    pub(crate) fn start_unheard(mut self) -> Host {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        self.command.stderr(writer);
        Host::listening(self.spawn(), None, false)
    }

    fn has_admin_port(&self) -> bool {
        let is_set = |wanted: &str| {
            let mut values = self.command.get_envs().filter(|(name, _)| *name == wanted);
            values.any(|(_, value)| {
                value.is_some_and(|value| !value.to_string_lossy().trim().is_empty())
            })
        };
        let is_open = is_set("ADMIN_AUTH_TOKEN") || is_set("ALLOW_UNAUTHENTICATED_ADMIN");
        is_set("HOST_ADMIN_PORT") && is_open
    }

    fn spawn(&mut self) -> Child {
        let child = self.command.stdout(Stdio::piped()).spawn().expect("the host starts");
        if let Some(link) = self.link.take() {
            std::fs::remove_file(link).expect("the second name goes");
        }
        child
    }

    /// Runs it where it is to end by itself. Should it not, the test fails.
    pub(crate) fn ends(self) -> Output {
        self.ends_after(|_| {})
    }

    /// The same where something has to be done to it first.
    pub(crate) fn ends_after(mut self, action: impl FnOnce(Process)) -> Output {
        let child =
            self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let pid = Pid::from_child(&child);
        let process = Process(child.id());
        let (send, receive): (_, Receiver<Output>) = channel();
        std::thread::spawn(move || {
            send.send(child.wait_with_output().expect("its output is readable"))
        });
        action(process);
        receive.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let _ = kill_process(pid, Signal::KILL);
            panic!("the host went on where it was to end");
        })
    }
}

impl Host {
    /// A host that says where it listens.
    fn listening(mut child: Child, log: Option<JoinHandle<String>>, has_admin_port: bool) -> Self {
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("stdout is readable");
        let port = line.trim_end().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let Some(port) = port else {
            let _ = child.wait();
            let log = log.map(|log| log.join().unwrap_or_default()).unwrap_or_default();
            panic!("the host did not start: {line}{log}");
        };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(line, format!("pilar-host {version} listens on http://localhost:{port}\n"));
        let admin_port = has_admin_port.then(|| {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("stdout is readable");
            let port = line.trim_end().strip_prefix("/_admin listens on http://localhost:");
            port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port: {line}"))
        });
        Self { child, port, admin_port, log, output: Some(stdout) }
    }

    /// The descriptors that it holds without connections, once all of it has started: at most one more, that of
    /// the connection which asked.
    pub(crate) fn descriptors_at_rest(&self) -> usize {
        assert_eq!(self.get("/_ready").status, 200);
        self.process().descriptors()
    }

    /// What it writes on its standard output from now on.
    pub(crate) fn output(&mut self) -> BufReader<ChildStdout> {
        self.output.take().expect("it is read once")
    }

    /// Its process.
    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// The absolute address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.port).expect("the host accepts connections")
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.connect()
            .request(method, path, headers)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[])
    }

    /// `/_health/<feature>`, whatever its status.
    pub(crate) fn health(&self, feature: &str) -> Value {
        self.get(&format!("/_health/{feature}")).json()
    }

    /// The version that a feature serves.
    pub(crate) fn serving(&self, feature: &str) -> Option<String> {
        self.health(feature)["servingVersion"].as_str().map(str::to_owned)
    }

    /// Waits until a feature serves a version, so that the refresh which it came with is in place as a whole.
    pub(crate) fn wait_until_serving(&self, feature: &str, version: &str) {
        wait_for(&format!("{feature} {version} to serve"), || {
            (self.serving(feature).as_deref() == Some(version)).then_some(())
        });
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process().signal(signal);
    }

    /// How many files it has open.
    pub(crate) fn open_files(&self) -> usize {
        let directory = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(directory).expect("the host is there").count()
    }

    /// How often its threads gave up the processor so far, be it to wait.
    pub(crate) fn context_switches(&self) -> u64 {
        let count = |status: String| {
            let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
            lines.map(|line| number(line.rsplit('\t').next())).sum::<u64>()
        };
        self.of_each_thread("status").map(count).sum()
    }

    /// How long its threads have run, in nanoseconds.
    pub(crate) fn cpu_nanoseconds(&self) -> u64 {
        self.of_each_thread("schedstat").map(|text| number(text.split(' ').next())).sum()
    }

    /// A file of `/proc` for each thread, empty for one that has just ended.
    fn of_each_thread(&self, file: &'static str) -> impl Iterator<Item = String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        threads.expect("the host is there").map(move |thread| {
            let path = thread.expect("a thread").path().join(file);
            std::fs::read_to_string(path).unwrap_or_default()
        })
    }

    /// Ends what [`Setup::refused_watches`] began.
    pub(crate) fn allow_watches(&self) {
        let target = self.child.id().to_string();
        let script = format!("echo 16 > {WATCH_LIMIT}");
        let status = Command::new(NSENTER)
            .args(["--user", "--preserve-credentials", "--target", &target, SHELL, "-c", &script])
            .status();
        assert!(status.expect("util-linux is there").success(), "the limit is raised");
    }

    /// Waits for its end; returns how it ended, and its log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status =
            wait_for("the host to end", || self.child.try_wait().expect("it is our child"));
        let log = self.log.take().map(|log| log.join().unwrap_or_default());
        (status, log.unwrap_or_default())
    }

    /// Ends it as an orchestrator would.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(text: Option<&str>) -> u64 {
    text.unwrap_or_default().parse().unwrap_or_default()
}
