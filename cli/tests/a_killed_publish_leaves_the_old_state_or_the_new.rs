//! A publish that is killed, or that runs into a fault of the disk, at every system call that changes
//! something: whoever reads the tree meanwhile sees the old state or the new one, whole.
//!
//! The faults are injected by strace, so every point is met exactly once on every machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

mod common;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use common::{LAB, Workspace, copy, dev_keys, verified};
use pilar_artifact::TrustedKeys;

/// Everything by which a publish changes a disk, or waits for one.
const CALLS: [&str; 9] =
    ["mkdirat", "openat", "openat2", "write", "fsync", "renameat2", "unlinkat", "flock", "close"];
const PUBLISH: [&str; 4] = ["publish", "--local", "--dev", "--json"];

struct Scene {
    workspace: Workspace,
    keys: TrustedKeys,
    /// The artifacts directory before each run.
    before: &'static str,
    old_sequence: Option<u64>,
}

impl Scene {
    /// 1.0.0 is published, or nothing is; 1.1.0 is built. Built files are small, so that a run is short.
    fn new(first_is_published: bool) -> Self {
        let workspace = if first_is_published { Workspace::published() } else { Workspace::new() };
        workspace.feature(LAB, "1.1.0", "two");
        workspace.json(0, &["build", "features", "--dev"]);
        std::fs::create_dir_all(workspace.path("artifacts")).unwrap();
        copy(&workspace.path("artifacts"), &workspace.path("before"));
        let keys = dev_keys(&workspace);
        let old_sequence = first_is_published.then_some(1);
        Self { workspace, keys, before: "before", old_sequence }
    }

    /// Publishes with `fault`, reading the tree all the while.
    fn run(&self, fault: &str) -> ExitStatus {
        let artifacts = self.workspace.path("artifacts");
        std::fs::remove_dir_all(&artifacts).unwrap();
        copy(&self.workspace.path(self.before), &artifacts);
        let mut child = self
            .workspace
            .command_with_fault(fault, &PUBLISH)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is needed for this test");
        loop {
            let ended = child.try_wait().unwrap();
            self.assert_whole(&artifacts, fault);
            if let Some(status) = ended {
                return status;
            }
        }
    }

    fn assert_whole(&self, artifacts: &Path, fault: &str) {
        let sequence = verified(artifacts, &self.keys).map(|index| index.sequence);
        let new = Some(self.old_sequence.unwrap_or(0) + 1);
        assert!(sequence == self.old_sequence || sequence == new, "{fault}: {sequence:?}");
    }

    /// The same command again brings everything to its end and leaves nothing behind.
    fn assert_repeatable(&self, fault: &str) {
        let again = self.workspace.pilar(&PUBLISH);
        assert_eq!(again.status, 0, "{fault}: {}", again.stdout);
        let index = verified(&self.workspace.path("artifacts"), &self.keys).unwrap();
        assert_eq!(index.active_version.to_string(), "1.1.0", "{fault}");
        let listed = index.versions.len();
        let there = std::fs::read_dir(self.workspace.path("artifacts/lab")).unwrap().count();
        assert_eq!(there, listed + 1, "{fault}: directories that no entry names");
        assert!(!self.workspace.path("artifacts/.staging/lab").exists(), "{fault}");
    }
}

fn killed_at_every_call(scene: &Scene) -> usize {
    let mut points = 0;
    for call in CALLS {
        for count in 1.. {
            let fault = format!("{call}:signal=KILL:when={count}");
            let status = scene.run(&fault);
            if status.signal().is_none() && status.code() == Some(0) {
                break;
            }
            points += 1;
            scene.assert_repeatable(&fault);
        }
    }
    points
}

#[test]
fn a_kill_at_any_call_of_a_publish_leaves_the_old_state_or_the_new_one() {
    let points = killed_at_every_call(&Scene::new(true));
    println!("killed at {points} points");
    assert!(points > 40, "only {points} points were met");
}

#[test]
fn a_kill_at_any_call_of_the_first_publish_leaves_nothing_or_all_of_it() {
    let points = killed_at_every_call(&Scene::new(false));
    println!("killed at {points} points");
    assert!(points > 40, "only {points} points were met");
}

#[test]
fn a_disk_that_is_full_at_any_write_is_named_and_changes_nothing() {
    let scene = Scene::new(true);
    let mut points = 0;
    for (call, error) in [
        ("write", "ENOSPC"),
        ("fsync", "ENOSPC"),
        ("mkdirat", "ENOSPC"),
        ("renameat2", "ENOSPC"),
        ("write", "EDQUOT"),
    ] {
        for count in 1.. {
            let fault = format!("{call}:error={error}:when={count}");
            let status = scene.run(&fault);
            if status.code() == Some(0) {
                break;
            }
            points += 1;
            assert_eq!(status.code(), Some(1), "{fault}");
            assert!(!scene.workspace.path("artifacts/.staging/lab").exists(), "{fault}");
            scene.assert_repeatable(&fault);
        }
    }
    println!("failed at {points} points");
    assert!(points > 20, "only {points} points were met");
}

#[test]
fn each_fault_of_the_disk_has_its_code_and_remedy() {
    let workspace = Workspace::published();
    workspace.feature(LAB, "1.1.0", "two");
    workspace.json(0, &["build", "features", "--dev"]);
    let before = workspace.tree("artifacts/lab");
    for (fault, code) in [
        ("write:error=ENOSPC:when=1", "store-full"),
        ("fsync:error=EDQUOT:when=1", "store-full"),
        ("renameat2:error=EROFS:when=1", "store-read-only"),
        ("renameat2:error=EACCES:when=1", "store-permission"),
        ("fsync:error=EIO:when=1", "store-io"),
    ] {
        let output = workspace.command_with_fault(fault, &PUBLISH).output().unwrap();
        let run = common::Run::of(output);
        assert_eq!(run.status, 1, "{fault}: {}", run.stdout);
        let error = &run.json()["error"];
        assert_eq!(error["code"], code, "{fault}");
        assert!(error["file"].as_str().unwrap().starts_with("artifacts/"), "{fault}: {error}");
        assert_eq!(before, workspace.tree("artifacts/lab"), "{fault}");
    }
}

#[test]
fn an_open_that_the_kernel_puts_off_is_tried_again_but_not_for_ever() {
    let workspace = Workspace::published();
    let publish = |fault: &str| {
        common::Run::of(workspace.command_with_fault(fault, &PUBLISH).output().unwrap())
    };
    assert_eq!(publish("openat2:error=EAGAIN:when=1..3").status, 0);
    // As long as somebody holds a lease on the file.
    let run = publish("openat2:error=EAGAIN:when=1..100");
    assert_eq!(run.status, 1, "{}", run.stdout);
    assert!(run.stdout.contains("lease"), "{}", run.stdout);
}
