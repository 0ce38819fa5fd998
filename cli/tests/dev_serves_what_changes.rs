//! What `pilar dev` promises. The host is a stand-in: it says where it listens and waits; the test answers
//! `/_ready` in its place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdout, Stdio};
use std::thread;

use common::{LAB, Workspace, dev_keys, verified};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

struct Dev {
    workspace: Workspace,
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Dev {
    fn start(workspace: Workspace, prepare: impl Fn(&mut std::process::Command)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        let host = "#!/bin/sh\necho $$ > host.pid\nenv > host.env\n\
                    echo \"stand-in listens on http://localhost:$PORT\"\nexec sleep 600\n";
        workspace.write("host.sh", host);
        let path = workspace.path("host.sh");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let words = ["dev", "features", "--port", &port, "--host-bin", "./host.sh", "--json"];
        let mut command = workspace.command(&words);
        prepare(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { workspace, child, lines }
    }

    /// The next line of JSON.
    #[track_caller]
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn active(&self) -> String {
        let artifacts = self.workspace.path(".pilar/dev/artifacts");
        verified(&artifacts, &dev_keys(&self.workspace)).unwrap().active_version.to_string()
    }

    fn host(&self) -> Pid {
        let pid = self.workspace.read("host.pid").trim().parse().unwrap();
        Pid::from_raw(pid).unwrap()
    }

    /// Sends SIGTERM and returns the exit status.
    fn stop(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lab() -> Workspace {
    let workspace = Workspace::new();
    workspace.feature(LAB, "1.0.0", "one");
    workspace
}

#[test]
fn a_change_is_published_a_broken_one_is_not_and_nothing_is_left_running() {
    let mut dev = Dev::start(lab(), |_| {});
    assert_eq!(dev.next()["version"], "1.0.0-dev.1");
    let serving = dev.next();
    assert_eq!(serving["event"], "serving");
    assert!(serving["features"][0]["url"].as_str().unwrap().ends_with("/lab"), "{serving}");
    let environment = dev.workspace.read("host.env");
    for variable in
        ["HOT_REFRESH_WATCH=1", "NODE_ENV=development", "FEATURE_ALLOW_INSECURE_DEV_KEYS=1"]
    {
        assert!(environment.contains(variable), "{environment}");
    }

    dev.workspace.feature(LAB, "1.0.0", "two");
    assert_eq!(dev.next()["version"], "1.0.0-dev.2");
    assert_eq!(dev.active(), "1.0.0-dev.2");

    dev.workspace.write("features/lab/manifest.json", "{");
    assert_eq!(dev.next()["error"]["code"], "json-syntax");
    assert_eq!(dev.active(), "1.0.0-dev.2");

    dev.workspace.feature(LAB, "1.1.0", "three");
    assert_eq!(dev.next()["version"], "1.1.0-dev.1");

    let host = dev.host();
    assert_eq!(dev.stop(), Some(0));
    assert!(test_kill_process(host).is_err(), "the host still runs");
}

#[test]
fn a_new_directory_is_watched_too() {
    let mut dev = Dev::start(lab(), |_| {});
    dev.next();
    dev.next();
    dev.workspace.write("features/lab/src/more/deep.js", "export const deep = 1;\n");
    let first = dev.next();
    assert_eq!(first["event"], "published");
    dev.workspace.write("features/lab/src/more/deep.js", "export const deep = 2;\n");
    assert_eq!(dev.next()["event"], "published");
}

#[test]
fn a_host_that_ends_ends_the_session_with_a_problem() {
    let mut dev = Dev::start(lab(), |_| {});
    dev.next();
    dev.next();
    kill_process(dev.host(), Signal::KILL).unwrap();
    let mut rest = String::new();
    dev.lines.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("host-ended"), "{rest}");
    assert_eq!(dev.child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_killed_session_takes_the_host_with_it() {
    let mut dev = Dev::start(lab(), |_| {});
    dev.next();
    dev.next();
    let host = dev.host();
    dev.child.kill().unwrap();
    dev.child.wait().unwrap();
    // The kernel sends the signal when the parent is gone; the stand-in needs a moment to end.
    let gone = (0..200).any(|_| {
        thread::sleep(std::time::Duration::from_millis(25));
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", host.as_raw_nonzero()));
        stat.map_or(true, |stat| stat.contains(") Z "))
    });
    assert!(gone, "the host outlived the session");
}

#[test]
fn without_node_the_other_features_are_served() {
    let workspace = lab();
    workspace.feature("wards", "1.0.0", "wards");
    workspace.write("features/wards/package.json", "{ \"scripts\": { \"build\": \"true\" } }");
    // Only what the stand-in needs is on this PATH.
    workspace.write("bin/.keep", "");
    for tool in ["sh", "sleep", "env"] {
        let found = ["/usr/bin", "/bin"].map(|dir| std::path::Path::new(dir).join(tool));
        let found = found.iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, workspace.path("bin").join(tool)).unwrap();
    }
    let bin = workspace.path("bin");
    let mut dev = Dev::start(workspace, |command| {
        command.env("PATH", &bin);
    });
    let skipped = dev.next();
    assert_eq!((&skipped["event"], &skipped["featureId"]), (&"skipped".into(), &"wards".into()));
    assert_eq!(dev.next()["featureId"], LAB);
    assert_eq!(dev.next()["event"], "serving");
}
