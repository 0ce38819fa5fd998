//! What `pilar lint routes` finds between features that are each right for themselves.

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
use serde_json::{Value, json};

/// Sources with a prefix and more fields of the manifest.
fn source(workspace: &Workspace, id: &str, prefix: &str, more: &Value) {
    workspace.feature(id, "1.0.0", "one");
    let path = format!("features/{id}/manifest.json");
    let mut manifest: Value = serde_json::from_str(&workspace.read(&path)).unwrap();
    manifest["mount"]["pathPrefix"] = json!(prefix);
    let fields = more.as_object().cloned().unwrap_or_default();
    manifest.as_object_mut().unwrap().extend(fields);
    workspace.write(&path, manifest.to_string());
}

/// The codes of all findings, in order.
fn codes(answer: &Value) -> Vec<&str> {
    let findings = answer["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

#[test]
fn features_that_do_not_meet_are_well() {
    let workspace = Workspace::new();
    source(
        &workspace,
        "lab",
        "/lab",
        &json!({ "arena": { "title": "Lab", "path": "/lab/today" } }),
    );
    source(
        &workspace,
        "labor",
        "/labor",
        &json!({ "arena": { "title": "Labor", "path": "ward" } }),
    );
    let run = workspace.pilar(&["lint", "routes", "features"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, "2 features: no failure, no warning.\n"));
}

#[test]
fn one_prefix_of_two_features_names_who_gets_it() {
    let workspace = Workspace::new();
    source(&workspace, "ward", "/lab/", &json!({}));
    source(&workspace, "lab", "/lab", &json!({}));
    let answer = workspace.json(1, &["lint", "routes", "features"]);
    assert_eq!(codes(&answer), ["prefix-duplicate"]);
    let finding = &answer["findings"][0];
    assert_eq!(finding["message"], "lab and ward both have /lab; lab gets it, ward is not served");
    assert_eq!(
        finding["places"],
        json!([
            { "file": "features/lab/manifest.json", "field": "mount.pathPrefix" },
            { "file": "features/ward/manifest.json", "field": "mount.pathPrefix" },
        ])
    );
    assert_eq!(answer["error"]["code"], "prefix-duplicate");
}

#[test]
fn whoever_is_released_with_a_prefix_keeps_it_from_a_newcomer() {
    let workspace = Workspace::published();
    std::fs::remove_dir_all(workspace.path("features")).unwrap();
    source(&workspace, "apples", "/lab", &json!({}));
    let words = ["lint", "routes", "features", "--artifacts", "artifacts", "--dev"];
    let answer = workspace.json(1, &words);
    assert_eq!(
        answer["findings"][0]["message"],
        "apples and lab both have /lab; lab gets it, apples is not served"
    );
}

#[test]
fn a_longer_prefix_wins_its_subtree_and_the_routes_in_it() {
    let workspace = Workspace::new();
    let routes = json!({ "routes": ["/", "/blood/:id", { "path": "/bloody" }, "/:any"] });
    source(&workspace, "lab", "/lab", &routes);
    source(&workspace, "blood", "/lab/blood", &json!({}));
    let answer = workspace.json(1, &["lint", "routes", "features"]);
    assert_eq!(codes(&answer), ["prefix-overlap", "route-shadowed"]);
    assert_eq!(
        answer["findings"][0]["message"],
        "blood gets /lab/blood and all below it; lab keeps the rest of /lab"
    );
    assert_eq!(answer["findings"][1]["places"][0]["field"], "routes[1]");
    assert_eq!(answer["findings"][1]["places"][1]["file"], "features/blood/manifest.json");
}

#[test]
fn warnings_fail_with_strict_only() {
    let workspace = Workspace::new();
    source(&workspace, "lab", "/lab", &json!({}));
    source(&workspace, "ward", "/Lab", &json!({}));
    let answer = workspace.json(0, &["lint", "routes", "features"]);
    assert_eq!(codes(&answer), ["prefix-case"]);
    assert_eq!(workspace.refusal(1, &["lint", "routes", "features", "--strict"]), "prefix-case");
    let text = workspace.pilar(&["lint", "routes", "features", "--strict"]).stdout;
    let last = "2 features: no failure, 1 warning, which count as failures.";
    assert_eq!(text.lines().last(), Some(last));
}

#[test]
fn a_prefix_of_the_host_is_refused_and_one_that_looks_like_it_is_told() {
    let workspace = Workspace::new();
    source(&workspace, "lab", "/_lab", &json!({}));
    source(&workspace, "proxy", "/api/lab", &json!({}));
    source(&workspace, "ward", "/RPC/ward", &json!({}));
    let answer = workspace.json(1, &["lint", "routes", "features"]);
    assert_eq!(codes(&answer), ["schema", "schema", "prefix-reserved"]);
    for finding in &answer["findings"].as_array().unwrap()[..2] {
        assert_eq!(finding["places"][0]["field"], "mount.pathPrefix");
    }
}

#[test]
fn an_entry_of_the_navigation_leads_to_a_page() {
    let workspace = Workspace::new();
    source(&workspace, "lab", "/lab", &json!({ "arena": { "title": "Lab", "path": "/ward/5" } }));
    source(&workspace, "ward", "/ward", &json!({ "arena": { "title": "Ward", "path": "/beds" } }));
    source(&workspace, "beds", "/ward/beds", &json!({}));
    let facet = |path: Option<&str>| json!({ "featureType": "facet", "mount": null, "arena": { "title": "Badge", "path": path } });
    source(&workspace, "badge", "/badge", &facet(Some("/badges")));
    source(&workspace, "chip", "/chip", &facet(None));
    source(&workspace, "pill", "/pill", &facet(Some("/lab?pills")));
    let answer = workspace.json(1, &["lint", "routes", "features"]);
    let found = codes(&answer);
    let expected =
        ["arena-unowned", "prefix-overlap", "arena-nowhere", "arena-relative", "arena-foreign"];
    assert_eq!(found, expected);
}

#[test]
fn a_prefix_that_changed_between_versions_names_both_manifests() {
    let workspace = Workspace::published();
    source(&workspace, LAB, "/laboratory", &json!({ "version": "1.1.0" }));
    let words = ["lint", "routes", "features", "--artifacts", "artifacts", "--dev"];
    let sources = workspace.json(0, &words);
    assert_eq!(codes(&sources), ["prefix-changed"]);
    assert_eq!(sources["findings"][0]["places"][1]["file"], "artifacts/lab/1.0.0/manifest.json");
    workspace.publish_built();
    let released = workspace.json(0, &["lint", "routes", "--dev"]);
    assert_eq!(codes(&released), ["prefix-changed"]);
    assert_eq!(released["findings"][0]["places"][0]["file"], "artifacts/lab/1.1.0/manifest.json");
}

#[test]
fn what_is_not_verified_is_not_linted_but_said() {
    let workspace = Workspace::published();
    let index = workspace.read("artifacts/lab/releases.json");
    workspace.write("artifacts/lab/releases.json", index.replace("1.0.0", "1.0.1"));
    assert_eq!(workspace.refusal(1, &["lint", "routes", "--dev"]), "signature-invalid");
    assert_eq!(
        workspace.refusal(1, &["lint", "routes", "--artifacts", "nowhere", "--dev"]),
        "dir-unreadable"
    );
    workspace.write("empty/x", "");
    assert_eq!(workspace.refusal(2, &["lint", "routes", "empty"]), "no-feature");
}
