//! What `pilar build` promises.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

mod common;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use common::{LAB, Workspace};
use pilar_artifact::Sha256Digest;
use serde_json::Value;

const OUT: &str = ".pilar/build/lab/1.0.0";

fn built(workspace: &Workspace) -> Value {
    workspace.json(0, &["build", "features", "--dev"]);
    serde_json::from_str(&workspace.read(&format!("{OUT}/manifest.json"))).unwrap()
}

fn lab() -> Workspace {
    let workspace = Workspace::new();
    workspace.feature(LAB, "1.0.0", "one");
    workspace
}

#[test]
fn names_get_hashes_and_references_follow() {
    let workspace = lab();
    let manifest = built(&workspace);
    let names: Vec<&str> =
        manifest["integrity"].as_object().unwrap().keys().map(String::as_str).collect();
    let find = |start: &str, end: &str| {
        *names.iter().find(|name| name.starts_with(start) && name.ends_with(end)).unwrap()
    };
    let (main, view) = (find("main.", ".js"), find("lib/view.", ".js"));
    let (style, grid) = (find("style.", ".css"), find("img/grid.", ".svg"));
    let main_text = workspace.read(&format!("{OUT}/{main}"));
    assert!(main_text.contains(&format!("from './{view}'")), "{main_text}");
    let css = workspace.read(&format!("{OUT}/{style}"));
    assert!(css.contains(&format!("url(./{grid})")), "{css}");
    assert_eq!(manifest["entrypoints"]["js"], main);
    assert_eq!(manifest["entrypoints"]["css"], style);
}

#[test]
fn integrity_lists_exactly_what_is_on_disk() {
    let workspace = lab();
    let manifest = built(&workspace);
    let root = workspace.path(OUT);
    let mut on_disk = BTreeSet::new();
    for (path, bytes) in workspace.tree(OUT) {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        if name != "manifest.json" {
            assert_eq!(manifest["integrity"][&name], Sha256Digest::of(&bytes).sri(), "{name}");
            on_disk.insert(name);
        }
    }
    let listed: BTreeSet<String> =
        manifest["integrity"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(listed, on_disk);
}

#[test]
fn variants_are_the_same_bytes_compressed() {
    let workspace = lab();
    built(&workspace);
    let tree = workspace.tree(OUT);
    let bytes = |end: &str| {
        let found = tree.iter().find(|(path, _)| path.to_str().unwrap().ends_with(end));
        found.unwrap_or_else(|| panic!("no {end}")).1.clone()
    };
    let plain = bytes(".svg");
    let mut br = Vec::new();
    brotli::Decompressor::new(&bytes(".svg.br")[..], 4096).read_to_end(&mut br).unwrap();
    let mut gz = Vec::new();
    flate2::read::GzDecoder::new(&bytes(".svg.gz")[..]).read_to_end(&mut gz).unwrap();
    let zst = zstd::stream::decode_all(&bytes(".svg.zst")[..]).unwrap();
    assert!(br == plain && gz == plain && zst == plain);
    assert!(bytes(".svg.br").len() * 100 <= plain.len() * 95);
    // Too small to save a packet.
    assert!(!tree.iter().any(|(path, _)| path.to_str().unwrap().ends_with(".css.br")));
}

#[test]
fn the_published_manifest_keeps_unknown_fields_and_fills_in_defaults() {
    let workspace = lab();
    let manifest = built(&workspace);
    assert_eq!(manifest["team"]["unknownToPilar"], serde_json::json!([1, 2]));
    assert_eq!(manifest["featureType"], "domain");
    assert_eq!(manifest["routes"], serde_json::json!(["/"]));
    assert_eq!(manifest["channel"], "stable");
    assert_eq!(manifest["metadata"]["builtAt"], "2025-10-09T08:53:20Z");
    assert_eq!(manifest["signature"]["keyId"], "dev");
}

#[test]
fn the_same_sources_build_to_the_same_bytes() {
    let workspace = lab();
    built(&workspace);
    let first = workspace.tree(OUT);
    built(&workspace);
    assert_eq!(first, workspace.tree(OUT));
    workspace.feature(LAB, "1.0.0", "two");
    built(&workspace);
    assert_ne!(first, workspace.tree(OUT));
}

#[test]
fn a_link_in_the_sources_is_refused() {
    let workspace = lab();
    symlink("/etc/hostname", workspace.path("features/lab/src/host.txt")).unwrap();
    assert_eq!(workspace.refusal(1, &["build", "features", "--dev"]), "file-not-regular");
    assert!(!workspace.path(OUT).exists());
}

#[test]
fn a_name_that_is_not_utf8_is_refused() {
    let workspace = lab();
    let name = std::ffi::OsStr::from_bytes(b"a\xff.js");
    std::fs::File::create(workspace.path("features/lab/src").join(name)).unwrap();
    assert_eq!(workspace.refusal(1, &["build", "features", "--dev"]), "file-name-not-utf8");
}

#[test]
fn an_entry_point_that_is_not_there_is_named() {
    let workspace = lab();
    std::fs::remove_file(workspace.path("features/lab/src/style.css")).unwrap();
    let answer = workspace.json(1, &["build", "features", "--dev"]);
    assert_eq!(answer["error"]["code"], "entrypoint-missing");
    assert_eq!(answer["error"]["field"], "entrypoints.css");
    assert_eq!(answer["error"]["file"], "features/lab/manifest.json");
}

#[test]
fn two_features_with_one_id_are_refused() {
    let workspace = lab();
    common::copy(&workspace.path("features/lab"), &workspace.path("features/other"));
    assert_eq!(workspace.refusal(1, &["build", "features", "--dev"]), "duplicate-feature");
}

#[test]
fn a_bad_feature_does_not_keep_the_others_from_being_built() {
    let workspace = lab();
    workspace.feature("wards", "1.0.0", "wards");
    std::fs::remove_file(workspace.path("features/lab/src/main.js")).unwrap();
    let answer = workspace.json(1, &["build", "features", "--dev"]);
    assert_eq!(answer["features"][0]["featureId"], "wards");
    assert!(workspace.path(".pilar/build/wards/1.0.0/manifest.json").exists());
}

/// A feature whose build step writes `dist/` without any package, so that no registry is needed.
fn with_build_step(workspace: &Workspace, script: &str) {
    workspace.feature(LAB, "1.0.0", "one");
    let package = serde_json::json!({
        "name": "lab", "version": "1.0.0", "private": true, "scripts": { "build": script },
    });
    workspace.write("features/lab/package.json", package.to_string());
    let lock = serde_json::json!({
        "name": "lab", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": { "": { "name": "lab", "version": "1.0.0" } },
    });
    workspace.write("features/lab/package-lock.json", lock.to_string());
}

#[test]
fn a_build_step_is_run_and_its_record_says_what_starts_the_feature() {
    let workspace = Workspace::new();
    with_build_step(&workspace, "node build.js");
    workspace.write(
        "features/lab/build.js",
        r#"const fs = require('fs');
fs.mkdirSync('dist/assets', { recursive: true });
fs.writeFileSync('dist/assets/app-Ab12Cd34.js', 'export const mount = () => {};');
fs.writeFileSync('dist/pilar-build.json', JSON.stringify({ entrypoints: { js: 'assets/app-Ab12Cd34.js' } }));"#,
    );
    let manifest = built(&workspace);
    assert_eq!(manifest["entrypoints"]["js"], "assets/app-Ab12Cd34.js");
    assert_eq!(manifest["integrity"].as_object().unwrap().len(), 1);
}

#[test]
fn a_build_step_that_fails_shows_what_it_printed_and_keeps_the_last_build() {
    let workspace = lab();
    built(&workspace);
    let before = workspace.tree(OUT);
    with_build_step(&workspace, "echo wrong thing >&2; exit 3");
    let run = workspace.pilar(&["build", "features", "--dev"]);
    assert_eq!(run.status, 1);
    assert!(run.stderr.contains("wrong thing"), "{}", run.stderr);
    assert!(run.stderr.contains("`npm run build` for lab failed"), "{}", run.stderr);
    assert_eq!(before, workspace.tree(OUT));
}

#[test]
fn without_node_the_feature_is_named_or_skipped() {
    let workspace = Workspace::new();
    with_build_step(&workspace, "true");
    workspace.feature("wards", "1.0.0", "wards");
    let without_node = |words: &[&str]| {
        let mut command = workspace.command(words);
        common::Run::of(command.env("PATH", "/nonexistent").output().unwrap())
    };
    let refused = without_node(&["build", "features", "--dev", "--json"]);
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (1, &"node-missing".into()));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("lab"));
    let skipped = without_node(&["build", "features", "--dev", "--skip-without-node", "--json"]);
    assert_eq!(skipped.status, 0);
    assert_eq!(skipped.json()["skipped"], serde_json::json!(["lab"]));
    assert_eq!(skipped.json()["features"][0]["featureId"], "wards");
}
