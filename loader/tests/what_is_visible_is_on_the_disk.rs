//! What a loader makes visible is on the disk before, with all it holds and every directory on the way; the index comes last,
//! when the versions it names are there to stay. A machine that loses its power finds the old state or the new one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use common::program::Place;
use common::server::Server;
use common::tree::{Tree, Version};
use common::{files, verified};

/// A call, in the order in which a disk may count on it: a sync when it is done, a rename when it begins.
#[derive(Debug)]
enum Call {
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// Brings what is registered, and returns the calls by which that came to the disk.
fn traced(place: &Place, server: &Server) -> Vec<Call> {
    let log = place.registrations().join("trace");
    let calls = "fsync,fdatasync,rename,renameat,renameat2";
    let output = place
        .loader_traced(calls, &log, &["init"])
        .with("LOADER_PLAIN_HTTP_HOSTS", server.host())
        .with("LOADER_INIT_POLICY", "strict")
        .ends();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = fs::read_to_string(&log).unwrap();
    let mut begun = HashMap::new();
    let calls = log.lines().filter_map(|line| {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim();
        let is_rename = call.starts_with("rename");
        if call.ends_with("<unfinished ...>") {
            if is_rename {
                return Some(rename(call));
            }
            begun.insert(thread.to_owned(), call.to_owned());
            return None;
        }
        assert!(call.ends_with("= 0"), "{line}");
        if is_rename {
            return Some(rename(call));
        }
        if call.starts_with("<...") {
            return begun.remove(thread).map(|call| Call::Sync(handle(&call).0));
        }
        Some(Call::Sync(handle(call).0))
    });
    // Of what the loader remembers for itself nothing is visible to others.
    let loader = place.artifacts().join(".loader");
    let is_of_the_tree = |call: &Call| match call {
        Call::Sync(path) | Call::Rename(_, path) => !path.starts_with(&loader),
    };
    calls.filter(is_of_the_tree).collect()
}

/// The path of the first open file that a call names, such as `9</tmp/tree>`, and what follows it.
fn handle(call: &str) -> (PathBuf, &str) {
    let (_, rest) = call.split_once('<').unwrap();
    let (path, rest) = rest.split_once('>').unwrap();
    (path.into(), rest)
}

/// `renameat2(9</tmp/tree>, "from", 10</tmp/other>, "to", …`
fn rename(call: &str) -> Call {
    let (from, rest) = handle(call);
    let (to, rest_of_it) = handle(rest);
    let name = |text: &str| text.split('"').nth(1).unwrap().to_owned();
    Call::Rename(from.join(name(rest)), to.join(name(rest_of_it)))
}

/// Whoever does these calls, of which the last state is `home`, makes nothing visible that a loss of power could take.
fn assert_durable(calls: &[Call], home: &Path) {
    let index = home.join("releases.json");
    // What is on the disk as it is now, under its name of now.
    let mut durable: BTreeSet<PathBuf> = BTreeSet::new();
    let mut visible = Vec::new();
    for call in calls {
        let (from, to) = match call {
            Call::Sync(path) => {
                durable.insert(path.clone());
                continue;
            }
            Call::Rename(from, to) => (from, to),
        };
        if to.starts_with(home) {
            visible.push(to.clone());
            for entry in everything(to) {
                let before = from.join(entry.strip_prefix(to).unwrap());
                assert!(durable.contains(&before), "{} is not on the disk", entry.display());
            }
        }
        if *to == index {
            assert!(durable.contains(home), "the versions may not be there: {calls:#?}");
        }
        durable = durable
            .into_iter()
            .map(|path| path.strip_prefix(from).map(|below| join(to, below)).unwrap_or(path))
            .collect();
        for changed in [from, to] {
            durable.remove(changed.parent().unwrap());
        }
    }
    let last = visible.last().expect("something became visible");
    assert!(*last == index || *last == home, "{} comes last", last.display());
    assert!(durable.contains(last.parent().unwrap()), "{} may be lost", last.display());
}

/// What is at `path`, with everything below.
fn everything(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let inner = files(path);
    let above = |file: &PathBuf| {
        let all = file.ancestors().take_while(|one| one.starts_with(path));
        all.map(Path::to_owned).collect::<Vec<_>>()
    };
    inner.iter().flat_map(above).collect()
}

fn join(to: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { to.to_owned() } else { to.join(below) }
}

#[test]
fn nothing_becomes_visible_that_a_loss_of_power_could_take() {
    let (tree, place) = (Tree::new(), Place::new());
    let server = Server::of(&tree.artifacts());
    place.register(&server.registration("notes"));
    fs::create_dir(place.artifacts()).unwrap();
    for versions in [vec!["1.0.0", "1.1.0"], vec!["1.2.0", "1.3.0"]] {
        for version in versions {
            let version = Version::domain("notes", version, "/notes");
            tree.publish(&version.with_file("deep/er/chunk.js", "export {}"));
        }
        let calls = traced(&place, &server);
        assert_durable(&calls, &place.artifacts().join("notes"));
        assert!(verified(&place.artifacts(), "notes").is_some());
    }
}
