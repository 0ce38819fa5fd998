//! What keys promise: who may sign, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use common::{LAB, Run, Workspace};
use serde_json::Value;

/// A workspace with the sources of `lab` and a key `release`, as a deployment has it.
struct Deployment {
    workspace: Workspace,
}

impl Deployment {
    fn new(key_words: &[&str]) -> Self {
        let workspace = Workspace::new();
        workspace.feature(LAB, "1.0.0", "one");
        let deployment = Self { workspace };
        deployment.generate("release", key_words);
        deployment
    }

    fn generate(&self, id: &str, words: &[&str]) -> Value {
        let generate = ["keys", "generate", "--id", id, "--out", "keys"];
        self.workspace.json(0, &[&generate[..], &["--trust-file", "trusted.json"], words].concat())
    }

    /// `pilar` that signs with the key `id` and trusts `trusted.json`.
    fn command(&self, id: &str, words: &[&str]) -> Command {
        let mut command = self.workspace.command(words);
        command
            .env("FEATURE_SIGNING_KEY_PATH", format!("keys/{id}.private.pem"))
            .env("FEATURE_SIGNING_KEY_ID", id)
            .env("FEATURE_TRUST_PUBLIC_KEYS_PATH", "trusted.json");
        command
    }

    #[track_caller]
    fn json(&self, status: i32, id: &str, words: &[&str]) -> Value {
        let words = [words, &["--json"]].concat();
        let run = Run::of(self.command(id, &words).output().unwrap());
        assert_eq!(run.status, status, "{}", run.stdout);
        run.json()
    }
}

const BUILD: [&str; 2] = ["build", "features"];
const PUBLISH: [&str; 2] = ["publish", "--local"];

#[test]
fn a_private_key_is_for_its_owner_and_never_overwritten() {
    let deployment = Deployment::new(&[]);
    let path = deployment.workspace.path("keys/release.private.pem");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&path).unwrap();
    let words = ["keys", "generate", "--id", "release", "--out", "keys"];
    let answer = deployment.workspace.json(1, &words);
    assert_eq!(answer["error"]["code"], "file-exists");
    assert_eq!(answer["error"]["file"], "keys/release.private.pem");
    assert_eq!(before, std::fs::read(&path).unwrap());
}

#[test]
fn the_map_of_trusted_keys_grows_and_keeps_what_is_in_it() {
    let deployment = Deployment::new(&[]);
    deployment.generate("next", &["--features", "lab*", "--not-after", "2030-01-01T00:00:00Z"]);
    let map: Value = serde_json::from_str(&deployment.workspace.read("trusted.json")).unwrap();
    assert!(map["release"].is_string());
    assert_eq!(map["next"]["features"], serde_json::json!(["lab*"]));
    // Another key under an id that is taken.
    let words =
        ["keys", "generate", "--id", "next", "--out", "other", "--trust-file", "trusted.json"];
    assert_eq!(deployment.workspace.refusal(1, &words), "key-id-taken");
}

#[test]
fn a_key_of_a_deployment_signs_from_build_to_release() {
    let deployment = Deployment::new(&[]);
    deployment.json(0, "release", &BUILD);
    deployment.json(0, "release", &PUBLISH);
    assert_eq!(deployment.workspace.index()["signature"]["keyId"], "release");
    deployment.json(
        0,
        "release",
        &["release", "raise-floor", "--feature", LAB, "--version", "1.0.0"],
    );
    assert_eq!(deployment.workspace.index()["sequence"], 2);
}

#[test]
fn a_key_may_come_inline() {
    let deployment = Deployment::new(&[]);
    let pem = deployment.workspace.read("keys/release.private.pem");
    let mut command = deployment.command("release", &BUILD);
    command.env_remove("FEATURE_SIGNING_KEY_PATH").env("FEATURE_SIGNING_KEY", &pem);
    assert!(command.output().unwrap().status.success());
    let both =
        deployment.command("release", &BUILD).env("FEATURE_SIGNING_KEY", &pem).output().unwrap();
    let both = Run::of(both);
    assert_eq!(both.status, 2);
    assert!(both.stderr.contains("signing-key-ambiguous"), "{}", both.stderr);
}

#[test]
fn a_wrong_an_expired_and_another_features_key_are_refused_before_anything_is_written() {
    for (words, trusted_elsewhere, code) in [
        (&["--features", "other"][..], false, "key-not-allowed"),
        (&["--not-after", "2020-01-01T00:00:00Z"], false, "key-expired"),
        (&[], true, "key-unknown"),
    ] {
        let deployment = Deployment::new(words);
        if trusted_elsewhere {
            std::fs::remove_file(deployment.workspace.path("trusted.json")).unwrap();
            deployment.generate("someone-else", &[]);
        }
        assert_eq!(deployment.json(1, "release", &BUILD)["error"]["code"], code);
        assert!(!deployment.workspace.path(".pilar/build/lab").exists(), "{code}");
    }
}

#[test]
fn an_index_signed_by_a_key_that_is_no_longer_trusted_is_not_built_upon() {
    let deployment = Deployment::new(&[]);
    deployment.json(0, "release", &BUILD);
    deployment.json(0, "release", &PUBLISH);
    std::fs::remove_file(deployment.workspace.path("trusted.json")).unwrap();
    deployment.generate("next", &[]);
    deployment.workspace.feature(LAB, "1.1.0", "two");
    deployment.json(0, "next", &BUILD);
    assert_eq!(deployment.json(1, "next", &PUBLISH)["error"]["code"], "key-unknown");
    assert_eq!(deployment.workspace.index()["sequence"], 1);
}

#[test]
fn the_same_id_with_another_key_does_not_pass() {
    let deployment = Deployment::new(&[]);
    deployment.json(0, "release", &BUILD);
    std::fs::remove_file(deployment.workspace.path("keys/release.private.pem")).unwrap();
    let words = ["keys", "generate", "--id", "release", "--out", "keys"];
    deployment.workspace.json(0, &words);
    assert_eq!(deployment.json(1, "release", &BUILD)["error"]["code"], "signature-invalid");
}

#[test]
fn missing_and_broken_keys_are_named() {
    let workspace = Workspace::new();
    workspace.feature(LAB, "1.0.0", "one");
    assert_eq!(workspace.refusal(2, &BUILD), "signing-key-missing");
    let deployment = Deployment::new(&[]);
    assert_eq!(deployment.json(1, "gone", &BUILD)["error"]["code"], "key-unreadable");
    deployment.workspace.write("keys/broken.private.pem", "not a key");
    let answer = deployment.json(1, "broken", &BUILD);
    assert_eq!(answer["error"]["code"], "signing-key-malformed");
    assert!(!answer.to_string().contains("not a key"), "the text of a key is never shown");
}

#[test]
fn dev_keys_are_made_once_and_kept_out_of_git() {
    let workspace = Workspace::published();
    let key = workspace.read(".pilar/keys/dev.private.pem");
    workspace.json(0, &["build", "features", "--dev"]);
    assert_eq!(key, workspace.read(".pilar/keys/dev.private.pem"));
    assert_eq!(workspace.read(".pilar/.gitignore"), "*\n");
}
