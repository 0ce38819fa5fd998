//! What `pilar publish --local` promises.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

mod common;

use std::process::Stdio;

use common::{LAB, Workspace, copy, dev_keys, verified};

const BUILD: [&str; 3] = ["build", "features", "--dev"];
const PUBLISH: [&str; 3] = ["publish", "--local", "--dev"];

fn lab(workspace: &Workspace) -> String {
    let index = verified(&workspace.path("artifacts"), &dev_keys(workspace)).unwrap();
    let versions: Vec<String> =
        index.versions.iter().map(|entry| entry.version.to_string()).collect();
    format!("{} of {}", index.active_version, versions.join(" "))
}

#[test]
fn a_published_version_verifies_and_says_where_it_came_from() {
    let workspace = Workspace::new();
    workspace.feature(LAB, "1.0.0", "one");
    workspace.json(0, &BUILD);
    let words = ["--actor", "ci", "--reason", "first", "--ticket", "CARE-1"];
    let answer = workspace.json(0, &[&PUBLISH[..], &words].concat());
    assert_eq!(answer["features"][0]["sequence"], 1);
    assert_eq!(lab(&workspace), "1.0.0 of 1.0.0");
    let index = workspace.index();
    assert_eq!(index["history"][0]["ticket"], "CARE-1");
    assert_eq!(index["versions"][0]["provenance"]["actor"], "ci");
    assert_eq!(index["versions"][0]["provenance"]["builtAt"], "2025-10-09T08:53:20Z");
}

#[test]
fn publishing_the_same_content_again_changes_nothing() {
    let workspace = Workspace::published();
    let before = workspace.tree("artifacts");
    let run = workspace.pilar(&PUBLISH);
    assert_eq!(run.status, 0);
    assert_eq!(run.stdout.lines().last(), Some("Nothing to do: everything is published already."));
    // Built again at another time: other metadata, the same content.
    let rebuilt =
        workspace.command(&BUILD).env("SOURCE_DATE_EPOCH", "1770000000").output().unwrap();
    assert!(rebuilt.status.success());
    assert_eq!(workspace.json(0, &PUBLISH)["features"][0]["changed"], false);
    assert_eq!(before, workspace.tree("artifacts"));
}

#[test]
fn other_content_under_a_published_version_is_refused_with_both_digests() {
    let workspace = Workspace::published();
    let before = workspace.tree("artifacts");
    workspace.feature(LAB, "1.0.0", "other text");
    workspace.json(0, &BUILD);
    let answer = workspace.json(1, &PUBLISH);
    assert_eq!(answer["error"]["code"], "version-taken");
    let message = answer["error"]["message"].as_str().unwrap();
    let digests = message.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64);
    assert_eq!(digests.count(), 2, "{message}");
    assert_eq!(before, workspace.tree("artifacts"));
}

#[test]
fn a_built_file_that_changed_after_it_was_signed_is_refused() {
    let workspace = Workspace::published();
    let before = workspace.tree("artifacts");
    workspace.feature(LAB, "1.1.0", "two");
    workspace.json(0, &BUILD);
    let (file, mut bytes) = workspace.tree(".pilar/build/lab/1.1.0").remove(0);
    bytes[0] ^= 1;
    pilar_store::replace_file(&file, &bytes).unwrap();
    let answer = workspace.json(1, &PUBLISH);
    assert_eq!(answer["error"]["code"], "file-hash");
    assert!(file.ends_with(answer["error"]["file"].as_str().unwrap()), "{answer}");
    assert_eq!(before, workspace.tree("artifacts"));
}

#[test]
fn a_canary_does_not_become_active() {
    let workspace = Workspace::published();
    workspace.feature(LAB, "1.1.0", "two");
    workspace.json(0, &BUILD);
    workspace.json(0, &[&PUBLISH[..], &["--channel", "canary"]].concat());
    assert_eq!(lab(&workspace), "1.0.0 of 1.1.0 1.0.0");
    assert_eq!(workspace.index()["channels"]["canary"], "1.1.0");
}

#[test]
fn versions_that_fall_out_of_the_window_are_removed_and_no_others() {
    let workspace = Workspace::published();
    std::fs::create_dir_all(workspace.path("artifacts/lab/notes")).unwrap();
    for version in ["1.1.0", "1.2.0", "1.3.0"] {
        workspace.feature(LAB, version, version);
        workspace.json(0, &BUILD);
        workspace.json(0, &[&PUBLISH[..], &["--keep", "1"]].concat());
    }
    assert_eq!(lab(&workspace), "1.3.0 of 1.3.0 1.2.0");
    let mut there: Vec<_> = std::fs::read_dir(workspace.path("artifacts/lab"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(there, ["1.2.0", "1.3.0", "notes", "releases.json"]);
}

#[test]
fn an_index_that_no_trusted_key_signed_is_never_built_upon() {
    let workspace = Workspace::published();
    let text = workspace.read("artifacts/lab/releases.json");
    workspace.write("artifacts/lab/releases.json", text.replace("1.0.0", "1.0.1"));
    workspace.feature(LAB, "1.1.0", "two");
    workspace.json(0, &BUILD);
    assert_eq!(workspace.refusal(1, &PUBLISH), "signature-invalid");
}

#[test]
fn publishers_of_one_version_at_once_agree() {
    let workspace = Workspace::published();
    workspace.feature(LAB, "1.1.0", "two");
    workspace.json(0, &BUILD);
    let children: Vec<_> = (0..6)
        .map(|_| workspace.command(&PUBLISH).stdout(Stdio::null()).spawn().unwrap())
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(workspace.index()["sequence"], 2);
    assert_eq!(lab(&workspace), "1.1.0 of 1.1.0 1.0.0");
}

#[test]
fn no_update_is_lost_between_writers_at_once() {
    let workspace = Workspace::published();
    workspace.feature(LAB, "1.1.0", "two");
    workspace.json(0, &BUILD);
    workspace.json(0, &[&PUBLISH[..], &["--channel", "canary"]].concat());
    let percents = ["10", "20", "30", "40", "50", "60", "70", "80"];
    let children: Vec<_> = percents
        .iter()
        .map(|percent| {
            let words = ["release", "canary", "--feature", LAB, "--version", "1.1.0", "--dev"];
            let words = [&words[..], &["--percent", percent, "--reason", percent]].concat();
            workspace.command(&words).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let index = workspace.index();
    assert_eq!(index["sequence"], 2 + percents.len());
    let mut reasons: Vec<&str> = index["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["reason"].as_str())
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons, percents);
}

#[test]
fn a_version_that_an_interrupted_publish_left_is_not_in_the_way() {
    let workspace = Workspace::published();
    // The directory was renamed, the index was not written; then the sources changed.
    copy(&workspace.path("artifacts/lab/1.0.0"), &workspace.path("artifacts/lab/1.1.0"));
    workspace.publish("1.1.0");
    assert_eq!(lab(&workspace), "1.1.0 of 1.1.0 1.0.0");
}

#[test]
fn an_artifacts_directory_that_cannot_be_one_is_named() {
    let workspace = Workspace::new();
    workspace.feature(LAB, "1.0.0", "one");
    workspace.json(0, &BUILD);
    workspace.write("artifacts", "a file");
    let answer = workspace.json(1, &PUBLISH);
    assert_eq!(answer["error"]["code"], "store-not-a-directory");
    assert_eq!(answer["error"]["file"], "artifacts");
    assert_eq!(workspace.read("artifacts"), "a file");
}

#[test]
fn a_feature_directory_that_is_a_link_is_refused() {
    let workspace = Workspace::new();
    workspace.feature(LAB, "1.0.0", "one");
    workspace.json(0, &BUILD);
    std::fs::create_dir_all(workspace.path("artifacts")).unwrap();
    std::fs::create_dir_all(workspace.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(workspace.path("elsewhere"), workspace.path("artifacts/lab"))
        .unwrap();
    assert_eq!(workspace.refusal(1, &PUBLISH), "store-not-a-directory");
    assert!(workspace.tree("elsewhere").is_empty());
}

#[test]
fn a_staging_directory_that_is_a_link_is_refused_and_nothing_behind_it_is_removed() {
    let workspace = Workspace::published();
    workspace.feature(LAB, "1.1.0", "two");
    workspace.json(0, &BUILD);
    workspace.write("victim/lab/precious", "precious");
    std::fs::remove_dir_all(workspace.path("artifacts/.staging")).unwrap();
    std::os::unix::fs::symlink("../victim", workspace.path("artifacts/.staging")).unwrap();
    let answer = workspace.json(1, &PUBLISH);
    assert_eq!(answer["error"]["code"], "store-not-a-directory");
    assert_eq!(answer["error"]["file"], "artifacts/.staging");
    assert_eq!(workspace.tree("victim").len(), 1);
    assert_eq!(workspace.read("victim/lab/precious"), "precious");
    assert_eq!(lab(&workspace), "1.0.0 of 1.0.0");
}
