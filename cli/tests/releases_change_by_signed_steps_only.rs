//! What `pilar release` promises.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

mod common;

use common::{LAB, Workspace, dev_keys, verified};
use serde_json::Value;

/// `lab` with 1.2.0 active above 1.1.0 and 1.0.0.
fn three_versions() -> Workspace {
    let workspace = Workspace::published();
    workspace.publish("1.1.0");
    workspace.publish("1.2.0");
    workspace
}

/// Runs `release <words>` for `lab` and expects `status`.
#[track_caller]
fn release(workspace: &Workspace, status: i32, words: &[&str]) -> Value {
    workspace.json(status, &[&["release"], words, &["--feature", LAB, "--dev"]].concat())
}

#[track_caller]
fn refused(workspace: &Workspace, words: &[&str]) -> String {
    let before = workspace.tree("artifacts/lab");
    let answer = release(workspace, 1, words);
    assert_eq!(before, workspace.tree("artifacts/lab"), "a refusal changes nothing");
    answer["error"]["code"].as_str().unwrap().to_owned()
}

#[test]
fn rollback_and_promote_go_down_and_up() {
    let workspace = three_versions();
    let answer = release(&workspace, 0, &["rollback", "--reason", "empty list", "--actor", "kim"]);
    assert_eq!((&answer["activeVersion"], &answer["sequence"]), (&"1.1.0".into(), &4.into()));
    assert_eq!(answer["previousVersion"], "1.2.0");
    release(&workspace, 0, &["promote", "--version", "1.2.0"]);
    let index = verified(&workspace.path("artifacts"), &dev_keys(&workspace)).unwrap();
    assert_eq!(index.active_version.to_string(), "1.2.0");
    let actions: Vec<&str> = index.history.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["promote", "rollback", "publish", "publish", "publish"]);
    assert_eq!(index.history[1].reason.as_deref(), Some("empty list"));
}

#[test]
fn a_canary_is_promoted_or_given_up() {
    let workspace = three_versions();
    release(&workspace, 0, &["rollback", "--version", "1.0.0"]);
    let canary = ["canary", "--version", "1.1.0", "--percent", "25", "--soak-seconds", "60"];
    let answer = release(&workspace, 0, &canary);
    assert_eq!(answer["rollout"]["percent"], 25);
    let answer = release(&workspace, 0, &["fallback", "--to", "stable"]);
    assert!(answer["channels"].get("canary").is_none(), "{answer}");
    release(&workspace, 0, &canary);
    assert_eq!(release(&workspace, 0, &["promote"])["activeVersion"], "1.1.0");
}

#[test]
fn a_revoked_version_never_serves_again() {
    let workspace = three_versions();
    let words = ["revoke", "--version", "1.2.0", "--reason", "shows the wrong patient"];
    assert_eq!(release(&workspace, 0, &words)["activeVersion"], "1.1.0");
    assert_eq!(refused(&workspace, &["promote", "--version", "1.2.0"]), "version-revoked");
    let inspected = workspace.json(0, &["inspect", "artifacts", "--dev"]);
    let version = &inspected["features"][0]["versions"][0];
    assert_eq!(version["refused"]["code"], "version-revoked");
    assert_eq!(inspected["features"][0]["state"], "as-released");
}

#[test]
fn revoking_the_last_version_has_to_be_meant() {
    let workspace = Workspace::published();
    let words = ["revoke", "--version", "1.0.0", "--reason", "bad"];
    assert_eq!(refused(&workspace, &words), "nothing-left");
    release(&workspace, 0, &[&words[..], &["--even-if-nothing-serves"]].concat());
    assert_eq!(refused(&workspace, &["revoke", "--version", "1.0.0"]), "no-reason");
}

#[test]
fn the_floor_goes_up_and_holds() {
    let workspace = three_versions();
    let answer = release(&workspace, 0, &["raise-floor", "--version", "1.1.0"]);
    assert_eq!(answer["minimumVersion"], "1.1.0");
    assert_eq!(refused(&workspace, &["raise-floor", "--version", "1.0.0"]), "below-floor");
    assert_eq!(refused(&workspace, &["rollback", "--version", "1.0.0"]), "below-floor");
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_code() {
    let workspace = three_versions();
    assert_eq!(refused(&workspace, &["promote", "--version", "9.9.9"]), "unknown-version");
    assert_eq!(refused(&workspace, &["promote", "--version", "1.1.0"]), "not-above-active");
    assert_eq!(refused(&workspace, &["rollback", "--version", "1.2.0"]), "not-below-active");
    assert_eq!(refused(&workspace, &["fallback"]), "no-canary");
    let words = ["release", "promote", "--feature", "nobody", "--dev"];
    assert_eq!(workspace.refusal(1, &words), "nothing-published");
}

#[test]
fn a_version_that_hosts_would_refuse_cannot_be_made_active() {
    let workspace = three_versions();
    let (file, _) = workspace.tree("artifacts/lab/1.1.0").remove(0);
    std::fs::remove_file(file).unwrap();
    assert_eq!(refused(&workspace, &["rollback"]), "file-missing");
    // Taking a version back must work even then.
    release(&workspace, 0, &["revoke", "--version", "1.2.0", "--reason", "worse"]);
}

#[test]
fn status_tells_what_is_released_and_why() {
    let workspace = three_versions();
    release(&workspace, 0, &["rollback", "--reason", "empty list"]);
    let words = ["release", "status", "--feature", LAB, "--dev"];
    let run = workspace.pilar(&words);
    assert_eq!(run.status, 0);
    assert!(run.stdout.contains("empty list"), "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    assert_eq!(run.stdout.lines().last(), Some("lab: 1.1.0 is active."));
    let status = &workspace.json(0, &words)["features"][0];
    assert_eq!(status["activeVersion"], "1.1.0");
    assert_eq!(status["versions"].as_array().unwrap().len(), 3);
    assert_eq!(status["history"][0]["reason"], "empty list");
}

#[test]
fn status_of_a_refused_index_is_a_problem_and_the_others_are_shown() {
    let workspace = Workspace::published();
    workspace.feature("wards", "1.0.0", "wards");
    workspace.publish_built();
    let text = workspace.read("artifacts/lab/releases.json");
    workspace
        .write("artifacts/lab/releases.json", text.replace("\"sequence\":1", "\"sequence\":7"));
    let answer = workspace.json(1, &["release", "status", "--dev"]);
    assert_eq!(answer["error"]["code"], "signature-invalid");
    assert_eq!(answer["features"][0]["featureId"], "wards");
}
