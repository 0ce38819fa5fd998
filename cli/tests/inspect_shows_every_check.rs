//! What `pilar inspect` promises.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

mod common;

use common::{LAB, Workspace};

const INSPECT: [&str; 3] = ["inspect", "artifacts", "--dev"];

#[test]
fn every_numbered_check_is_shown_with_what_serves() {
    let workspace = Workspace::published();
    let run = workspace.pilar(&INSPECT);
    assert_eq!(run.status, 0);
    for number in 1..=13 {
        let line = run.stdout.lines().find(|line| line.trim().starts_with(&format!("{number} ")));
        assert!(line.is_some_and(|line| line.ends_with("ok")), "{number}:\n{}", run.stdout);
    }
    assert!(run.stdout.contains("serves 1.0.0, as released"), "{}", run.stdout);
    assert_eq!(run.stdout.lines().last(), Some("1 feature inspected, nothing is refused."));
}

#[test]
fn a_damaged_version_is_shown_with_step_file_and_remedy_and_what_serves_instead() {
    let workspace = Workspace::published();
    workspace.publish("1.1.0");
    let (file, mut bytes) = workspace.tree("artifacts/lab/1.1.0").pop().unwrap();
    bytes.push(b' ');
    pilar_store::replace_file(&file, &bytes).unwrap();
    let answer = workspace.json(1, &INSPECT);
    let feature = &answer["features"][0];
    assert_eq!(feature["state"], "fallback");
    assert_eq!(
        (&feature["desiredVersion"], &feature["servingVersion"]),
        (&"1.1.0".into(), &"1.0.0".into())
    );
    let refused = &feature["versions"][0]["refused"];
    assert_eq!((&refused["code"], &refused["step"]), (&"file-hash".into(), &13.into()));
    assert_eq!(answer["error"]["code"], "file-hash");
    let text = workspace.pilar(&INSPECT);
    assert!(text.stdout.contains("falls back to 1.0.0; 1.1.0 was released"), "{}", text.stdout);
    assert_eq!(text.stdout.lines().last(), Some("1 feature inspected, 1 refusal."));
}

#[test]
fn of_two_features_with_one_prefix_the_lower_id_serves_and_the_other_is_explained() {
    let workspace = Workspace::published();
    workspace.feature("lob", "1.0.0", "one");
    let manifest = workspace.read("features/lob/manifest.json");
    workspace.write("features/lob/manifest.json", manifest.replace("\"/lob\"", "\"/lab\""));
    workspace.publish_built();
    let answer = workspace.json(1, &INSPECT);
    assert_eq!(answer["features"][0]["state"], "as-released");
    assert_eq!(
        (&answer["features"][1]["state"], &answer["features"][1]["conflictWith"]),
        (&"conflict".into(), &"lab".into())
    );
    assert_eq!(answer["error"]["code"], "prefix-conflict");
    let text = workspace.pilar(&INSPECT).stdout;
    assert!(text.contains("its URL prefix belongs to lab"), "{text}");
    assert!(text.contains("nothing serves; 1.0.0 was released"), "{text}");
}

#[test]
fn steps_after_the_first_failure_are_not_reached() {
    let workspace = Workspace::published();
    let text = workspace.read("artifacts/lab/1.0.0/manifest.json");
    workspace.write("artifacts/lab/1.0.0/manifest.json", text.replace("Lab", "Lob"));
    let answer = workspace.json(1, &INSPECT);
    let checks = answer["features"][0]["versions"][0]["checks"].as_array().unwrap();
    let results: Vec<_> = checks.iter().map(|check| check["result"].as_str().unwrap()).collect();
    let mut expected = vec!["not-reached"; 8];
    expected[..2].copy_from_slice(&["passed", "refused"]);
    assert_eq!(results, expected);
}

#[test]
fn a_directory_of_one_feature_and_one_of_one_version_can_be_inspected() {
    let workspace = Workspace::published();
    let feature = workspace.json(0, &["inspect", "artifacts/lab", "--dev"]);
    assert_eq!(feature["features"][0]["servingVersion"], "1.0.0");
    let version = workspace.json(0, &["inspect", ".pilar/build/lab/1.0.0", "--dev"]);
    assert_eq!(version["version"]["checks"].as_array().unwrap().len(), 6);
    let (file, _) = workspace.tree(".pilar/build/lab/1.0.0").remove(0);
    std::fs::remove_file(file).unwrap();
    let version = ["inspect", ".pilar/build/lab/1.0.0", "--dev"];
    assert_eq!(workspace.refusal(1, &version), "file-missing");
    assert_eq!(workspace.refusal(1, &["inspect", ".pilar/keys", "--dev"]), "no-feature");
}

#[test]
fn a_host_that_is_too_old_is_told_apart() {
    let workspace = Workspace::new();
    workspace.feature(LAB, "1.0.0", "one");
    let manifest = workspace.read("features/lab/manifest.json");
    let needs = "\"requirements\": { \"minHostVersion\": \"2.0.0\" }, \"team\"";
    workspace.write("features/lab/manifest.json", manifest.replace("\"team\"", needs));
    workspace.publish_built();
    assert_eq!(workspace.json(0, &INSPECT)["features"][0]["state"], "as-released");
    let words = [&INSPECT[..], &["--host-version", "1.9.0"]].concat();
    assert_eq!(workspace.refusal(1, &words), "host-too-old");
}
