//! REDbot, a lint for HTTP, has nothing to say against any kind of reply, but for what is listed with its reason
//! in `tests/redbot/exceptions.json`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use support::load::program;
use support::tree::{Tree, Version};
use support::{Host, Setup};

/// A kind of reply and a note that REDbot has on it.
type Finding = (String, String);

/// Longer than the part of a file that REDbot asks for.
fn long(start: &[u8]) -> Vec<u8> {
    let numbers = (0..1000).flat_map(|number| format!(" {number}").into_bytes());
    start.iter().copied().chain(numbers).collect()
}

fn tree() -> (Tree, Version) {
    let script = long(b"export {} //");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&script).unwrap();
    let feature = Version::domain("notes", "1.0.0", "/notes")
        .with_file("entry.js", script.clone())
        .with_file("large.js", script.clone())
        .with_file("large.js.gz", gzip.finish().unwrap())
        .with_file("style.css", long(b"a {} /*"))
        .with_file("entry.js.map", long(br#"{"version":3,"sources":[],"mappings":""}"#))
        .with_file(
            "logo.png",
            long(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0"),
        )
        .with_file("text.woff2", long(b"wOF2\0\x01\0\0"))
        .with_file("help.html", long(b"<!DOCTYPE html><title>Help</title><p>Help"));
    let shared = Version::facet("_shared", "1.0.0")
        .with_file("entry.js", script)
        .with_field("featureType", json!("shared"))
        .with_field("packages", json!({ "notes": { "file": "entry.js", "version": "1.0.0" } }));
    let tree = Tree::new();
    tree.publish(&feature);
    tree.publish(&shared);
    (tree, feature)
}

/// Every kind of reply, with its status and an address that has it.
fn kinds(host: &Host, feature: &Version) -> Vec<(&'static str, u16, String)> {
    let page = host.get("/notes");
    let sdk =
        page.text().split('"').find(|word| word.starts_with("/_sdk/") && word.ends_with(".js"));
    let path = |path: &str| path.to_owned();
    vec![
        ("script", 200, feature.url("entry.js")),
        ("script in gzip", 200, feature.url("large.js")),
        ("source map", 200, feature.url("entry.js.map")),
        ("style sheet", 200, feature.url("style.css")),
        ("image", 200, feature.url("logo.png")),
        ("font", 200, feature.url("text.woff2")),
        ("document", 200, feature.url("help.html")),
        ("shared package", 200, path("/_shared/entry.js")),
        ("sdk file", 200, path(sdk.expect("a page loads the shell runtime"))),
        ("shell", 200, path("/notes")),
        ("deep page", 200, path("/notes/one/of/many")),
        ("start page", 200, path("/")),
        ("health", 200, path("/_health")),
        ("health of a feature", 200, path("/_health/notes")),
        ("navigation", 200, path("/_navigation")),
        ("ready", 200, path("/_ready")),
        ("no such asset", 404, feature.url("nothing.js")),
        ("no such page", 404, path("/nowhere")),
        ("no such route", 404, path("/_nothing")),
    ]
}

fn findings(host: &Host, (kind, status, path): &(&str, u16, String)) -> BTreeSet<Finding> {
    let output = Command::new(program("PILAR_REDBOT"))
        .args(["--output-format", "har"])
        .arg(host.url(path))
        .output()
        .expect("REDbot starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{kind}: {error}\n{text}{}", String::from_utf8_lossy(&output.stderr))
    });
    let [entry] = report["log"]["entries"].as_array().expect("a log has entries").as_slice() else {
        panic!("{kind}: REDbot got no whole reply: {text}")
    };
    assert_eq!(entry["response"]["status"], *status, "{kind}");
    let mut found = BTreeSet::new();
    collect(kind, &entry["_red_messages"], &mut found);
    found
}

/// The notes that find fault, those below other notes included.
fn collect(kind: &str, notes: &Value, found: &mut BTreeSet<Finding>) {
    for note in notes.as_array().into_iter().flatten() {
        if matches!(note["level"].as_str().expect("a note has a level"), "WARN" | "BAD") {
            found.insert((kind.to_owned(), note["note_id"].as_str().unwrap().to_owned()));
        }
        collect(kind, &note["subnotes"], found);
    }
}

fn exceptions() -> BTreeSet<Finding> {
    let list: Value = serde_json::from_str(include_str!("redbot/exceptions.json")).unwrap();
    let mut exceptions = BTreeSet::new();
    for exception in list.as_array().unwrap() {
        let text = |field: &str| exception[field].as_str().expect("an exception has all fields");
        assert!(!text("reason").is_empty(), "{}: give the reason", text("note"));
        for kind in exception["on"].as_array().expect("an exception says where it applies") {
            exceptions.insert((kind.as_str().unwrap().to_owned(), text("note").to_owned()));
        }
    }
    exceptions
}

#[test]
fn redbot_notes_what_is_listed_with_its_reason_and_nothing_else() {
    let (tree, feature) = tree();
    let host = Setup::of(&tree).start();
    let kinds = kinds(&host, &feature);
    let found: BTreeSet<Finding> = std::thread::scope(|scope| {
        let halves: Vec<_> = kinds
            .chunks(kinds.len().div_ceil(2))
            .map(|half| {
                scope.spawn(|| half.iter().flat_map(|kind| findings(&host, kind)).collect())
            })
            .collect();
        halves.into_iter().flat_map(|half| -> BTreeSet<Finding> { half.join().unwrap() }).collect()
    });
    let listed = exceptions();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "REDbot finds fault with what is not listed in tests/redbot/exceptions.json: {new:?}; and no longer with \
         what is: {gone:?}"
    );
}
