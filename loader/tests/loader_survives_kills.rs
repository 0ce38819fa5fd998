//! A loader that is killed, or that runs into a fault of the disk, at every system call that changes something:
//! whoever reads the tree meanwhile sees the old state or the new one, whole, and the next run brings it to its end.
//!
//! The faults are injected by strace. It counts the calls of each thread by itself, so a number is met by the first
//! thread that gets so far.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::thread;

use common::program::{Place, Setup, names};
use common::server::Server;
use common::tree::{Tree, Version};
use common::{copy_all, leftovers, try_verified, verified};
use pilar_artifact::operations::Window;

/// Everything by which a loader changes a disk, or waits for one.
const CALLS: [&str; 10] = [
    "mkdirat",
    "mkdir",
    "openat",
    "openat2",
    "write",
    "fsync",
    "renameat2",
    "unlinkat",
    "flock",
    "close",
];

/// A tree on its way from one state to the next.
struct Scene {
    place: Place,
    server: Server,
    _tree: Tree,
    /// Seconds for which a version stays after it left the index.
    retain: &'static str,
    /// What may be seen, by the sequence of the index.
    old: Option<u64>,
    new: Option<u64>,
    /// A file that is damaged in the old state, and nothing else is.
    damaged: Option<&'static str>,
}

impl Scene {
    /// From nothing to 1.0.0.
    fn first() -> Self {
        let tree = Tree::new();
        tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
        Self::of(tree, Place::new(), None, Some(1), "86400")
    }

    /// From 1.0.0 to 1.1.0.
    fn upgrade() -> Self {
        Self::second(Window::default(), "86400")
    }

    /// From 1.0.0 to 1.1.0 alone.
    fn collection() -> Self {
        Self::second(Window { keep: 0 }, "0")
    }

    /// From 1.0.0 to nothing.
    fn removal() -> Self {
        let scene = Self::first();
        scene.settle();
        fs::remove_file(scene.place.registrations().join("notes.yaml")).unwrap();
        scene.keep_as_old();
        Self { old: Some(1), new: None, ..scene }
    }

    /// From a damaged 1.0.0 to a whole one.
    fn mend() -> Self {
        let (scene, damaged) = (Self::first(), "1.0.0/entry.js");
        scene.settle();
        fs::write(scene.place.artifacts().join("notes").join(damaged), "alert(1)").unwrap();
        scene.keep_as_old();
        Self { old: Some(1), damaged: Some(damaged), ..scene }
    }

    fn second(window: Window, retain: &'static str) -> Self {
        let tree = Tree::keeping(window);
        tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
        let scene = Self::of(tree, Place::new(), None, Some(1), retain);
        scene.settle();
        scene.keep_as_old();
        scene._tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
        Self { old: Some(1), new: Some(2), ..scene }
    }

    fn of(
        tree: Tree,
        place: Place,
        old: Option<u64>,
        new: Option<u64>,
        retain: &'static str,
    ) -> Self {
        let server = Server::of(&tree.artifacts());
        place.register(&server.registration("notes"));
        fs::create_dir(place.artifacts()).unwrap();
        let scene = Self { place, server, _tree: tree, retain, old, new, damaged: None };
        scene.keep_as_old();
        scene
    }

    fn keep_as_old(&self) {
        let old = self.place.artifacts().with_file_name("old");
        let _ = fs::remove_dir_all(&old);
        fs::create_dir(&old).unwrap();
        copy_all(&self.place.artifacts(), &old);
    }

    fn prepared(&self, setup: Setup) -> Setup {
        setup
            .with("LOADER_PLAIN_HTTP_HOSTS", self.server.host())
            .with("LOADER_INIT_POLICY", "strict")
            .with("FEATURE_RETAIN_SECONDS", self.retain)
    }

    /// Runs to the end, without a fault.
    fn settle(&self) {
        let output = self.prepared(self.place.loader(&["init"])).ends();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs with `fault`, reading the tree all the while.
    fn run(&self, fault: &str) -> ExitStatus {
        let artifacts = self.place.artifacts();
        fs::remove_dir_all(&artifacts).unwrap();
        fs::create_dir(&artifacts).unwrap();
        copy_all(&artifacts.with_file_name("old"), &artifacts);
        let mut running = self.prepared(self.place.loader_with_fault(fault, &["init"])).start();
        loop {
            let ended = running.ended();
            self.assert_whole(&artifacts, fault);
            if let Some(status) = ended {
                return status;
            }
        }
    }

    fn assert_whole(&self, artifacts: &Path, fault: &str) {
        let index = || fs::read(artifacts.join("notes/releases.json")).ok();
        let before = index();
        match try_verified(artifacts, "notes") {
            Ok(seen) => {
                let sequence = seen.map(|index| index.sequence);
                assert!(sequence == self.old || sequence == self.new, "{fault}: {sequence:?}");
            }
            // Nothing else is wrong with it, at any time.
            Err(error) if error.code() == "file-hash" && self.damaged == Some(error.file()) => {}
            // What this reader holds open may be taken out, and where a version's time is over at once it may go
            // while it is read. Then the index is another one by now.
            Err(error) => assert!(before != index(), "{fault}: {error}"),
        }
    }

    /// The same again, without a fault, brings everything to its end and leaves nothing behind.
    fn assert_converges(&self, fault: &str) {
        self.settle();
        let artifacts = self.place.artifacts();
        let index = verified(&artifacts, "notes");
        assert_eq!(index.as_ref().map(|index| index.sequence), self.new, "{fault}");
        let there = names(&artifacts.join("notes")).len();
        let listed = index.map_or(0, |index| index.versions.len() + 1);
        assert_eq!(there, listed, "{fault}: {:?}", names(&artifacts.join("notes")));
        assert_eq!(leftovers(&artifacts), Vec::<String>::new(), "{fault}");
        let state = names(&artifacts.join(".loader"));
        assert_eq!(state, ["records", "status.json"], "{fault}");
        assert!(names(&artifacts.join(".loader/records")).len() <= 1, "{fault}");
    }
}

/// Kills at each call, and says at how many.
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
            scene.assert_converges(&fault);
        }
    }
    points
}

/// The scenes in one test, so that their kills are counted in one place; each has a thread of its own.
#[test]
fn a_kill_at_any_call_leaves_the_old_state_or_the_new_one() {
    let scenes = [
        ("the first placement", Scene::first as fn() -> Scene),
        ("an upgrade", Scene::upgrade),
        ("a collection", Scene::collection),
        ("a removal", Scene::removal),
        ("a mend", Scene::mend),
    ];
    let kills: usize = thread::scope(|scope| {
        let begun =
            scenes.map(|(what, scene)| (what, scope.spawn(move || killed_at_every_call(&scene()))));
        let ended = begun.map(|(what, scene)| (what, scene.join().unwrap()));
        ended.iter().for_each(|(what, kills)| println!("{what}: killed {kills} times"));
        ended.iter().map(|(_, kills)| kills).sum()
    });
    println!("killed {kills} times");
    assert!(kills >= 1000, "only {kills} kills");
}
