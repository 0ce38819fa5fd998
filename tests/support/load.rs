//! Programs that load a server from outside.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::NamedTempFile;

const WRK: &str = "/usr/bin/wrk";
/// Asks for several paths in turns, a hundred times a second on each connection at the most.
const IN_TURNS: &str = "
local requests, at = {}, 0
function init(paths)
  for number, path in ipairs(paths) do requests[number] = wrk.format(nil, path) end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function delay() return 10 end
";

/// What a load was answered with.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Requests that got an answer.
    pub(crate) requests: u64,
    /// What went wrong, in the words of the program; empty where nothing did.
    pub(crate) errors: String,
}

/// A program of the tests that a variable names; `cargo xtask test` sets it.
pub(crate) fn program(variable: &str) -> PathBuf {
    let remedy = "start the tests by `cargo xtask test promises`, which installs what they need";
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set; {remedy}")).into()
}

/// A program of Debian that the tests need.
pub(crate) fn debian_program(path: &str) -> Command {
    assert!(Path::new(path).exists(), "{path} is missing; `cargo xtask setup` installs it");
    Command::new(path)
}

/// Runs `wrk`. Its errors are those of sockets, and answers other than 2xx and 3xx.
pub(crate) fn wrk(
    url: &str,
    connections: usize,
    seconds: u64,
    headers: &[(&str, &str)],
) -> Answered {
    let mut command = debian_program(WRK);
    command.args(["--threads", "1", "--connections", &connections.to_string()]);
    command.args(["--duration", &format!("{seconds}s"), "--timeout", "30s"]);
    for (name, value) in headers {
        command.args(["--header", &format!("{name}: {value}")]);
    }
    counted(&run(command.arg(url)))
}

/// A `wrk` that goes on until it is told to end. It ends with the test.
#[derive(Debug)]
pub(crate) struct Asking {
    child: Child,
    _script: NamedTempFile,
}

impl Asking {
    /// Starts to ask a server on loopback for these paths in turns.
    pub(crate) fn start(port: u16, connections: usize, paths: &[&str]) -> Self {
        let mut script = NamedTempFile::new().expect("a temporary file");
        script.write_all(IN_TURNS.as_bytes()).expect("it is ours");
        let mut command = debian_program(WRK);
        command.args(["--threads", "1", "--connections", &connections.to_string()]);
        command.args(["--duration", "3600s", "--timeout", "30s", "--script"]).arg(script.path());
        command.arg(format!("http://127.0.0.1:{port}/")).arg("--").args(paths);
        let child = command.stdout(Stdio::piped()).spawn().expect("wrk starts");
        Self { child, _script: script }
    }

    /// Ends it.
    pub(crate) fn end(mut self) -> Answered {
        assert!(self.child.try_wait().expect("it is our child").is_none(), "wrk ended by itself");
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it is our child");
        let mut report = String::new();
        let mut stdout = self.child.stdout.take().expect("piped");
        stdout.read_to_string(&mut report).expect("its report is readable");
        counted(&report)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        // It may have ended, as it was told to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a report of `wrk` says.
fn counted(report: &str) -> Answered {
    let requests = report.lines().find_map(|line| line.trim().split_once(" requests in "));
    let requests = requests.and_then(|(count, _)| count.parse().ok());
    let wrong = |line: &&str| line.contains("Socket errors") || line.contains("Non-2xx or 3xx");
    Answered {
        requests: requests.unwrap_or_else(|| panic!("wrk counts no requests: {report}")),
        errors: report.lines().filter(wrong).collect::<Vec<_>>().join("; "),
    }
}

/// Runs `oha`. Its errors are failed requests, and answers other than `status`.
pub(crate) fn oha(
    url: &str,
    connections: usize,
    seconds: u64,
    headers: &[(&str, &str)],
    status: u16,
) -> Answered {
    let mut command = Command::new(program("PILAR_OHA"));
    command.args(["--no-tui", "--output-format", "json", "-w"]);
    command.args(["-c", &connections.to_string(), "-z", &format!("{seconds}s")]);
    for (name, value) in headers {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    let report = run(command.arg(url));
    let report: Value = serde_json::from_str(&report).expect("oha reports in JSON");
    let counts = |field: &str| report[field].as_object().expect("oha counts").clone();
    let mut errors = counts("errorDistribution");
    let mut statuses = counts("statusCodeDistribution");
    let requests = statuses.remove(&status.to_string()).and_then(|count| count.as_u64());
    errors.extend(statuses);
    Answered {
        requests: requests.unwrap_or(0),
        errors: if errors.is_empty() { String::new() } else { Value::from(errors).to_string() },
    }
}

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout.into_owned()
}
