//! What `pilar validate compat` finds before a release does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

mod common;

use common::Workspace;
use serde_json::{Value, json};

const SOURCES: [&str; 3] = ["validate", "compat", "features"];

/// Sources with more fields of the manifest.
fn source(workspace: &Workspace, id: &str, more: &Value) {
    workspace.feature(id, "1.0.0", "one");
    let path = format!("features/{id}/manifest.json");
    let mut manifest: Value = serde_json::from_str(&workspace.read(&path)).unwrap();
    let fields = more.as_object().cloned().unwrap_or_default();
    manifest.as_object_mut().unwrap().extend(fields);
    workspace.write(&path, manifest.to_string());
}

/// A published set of shared packages with these versions.
fn publish_set(workspace: &Workspace, packages: &[(&str, &str)]) {
    let packages: serde_json::Map<String, Value> = packages
        .iter()
        .map(|(name, version)| {
            let file = format!("{name}.js");
            workspace
                .write(&format!("set/src/{file}"), format!("export const version = '{version}';"));
            ((*name).to_owned(), json!({ "file": file, "version": version }))
        })
        .collect();
    let manifest = json!({
        "id": "_shared", "version": "1.0.0", "displayName": "Shared packages",
        "featureType": "shared", "packages": packages,
    });
    workspace.write("set/manifest.json", manifest.to_string());
    workspace.json(0, &["build", "set", "--dev"]);
    workspace.json(0, &["publish", "--local", "--dev"]);
}

fn codes(answer: &Value) -> Vec<&str> {
    let findings = answer["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

fn react(range: &str) -> Value {
    json!({ "shared": { "react": { "singleton": true, "requiredVersion": range } } })
}

#[test]
fn a_released_feature_that_fits_is_well() {
    let workspace = Workspace::published();
    let run = workspace.pilar(&["validate", "compat", "--dev", "--strict"]);
    let version = env!("CARGO_PKG_VERSION");
    let last = format!("1 feature for host {version}: no failure, no warning.\n");
    assert_eq!((run.status, run.stdout), (0, last));
}

#[test]
fn a_host_that_is_too_old_fails_for_sources_and_for_what_is_released() {
    let workspace = Workspace::published();
    source(
        &workspace,
        "lab",
        &json!({ "version": "1.1.0", "requirements": { "minHostVersion": "2.0.0" } }),
    );
    let host = |version| [&SOURCES[..], &["--host-version", version]].concat();
    let answer = workspace.json(1, &host("1.9.9"));
    assert_eq!(codes(&answer), ["host-too-old"]);
    assert_eq!(answer["findings"][0]["places"][0]["field"], "requirements.minHostVersion");
    assert_eq!(codes(&workspace.json(0, &host("2.0.0"))), [""; 0]);
    // A host falls back to 1.0.0 then, which fits; that is not what was released.
    workspace.publish_built();
    let released = ["validate", "compat", "--dev", "--host-version", "1.9.9"];
    assert_eq!(workspace.refusal(1, &released), "host-too-old");
}

#[test]
fn ranges_are_held_against_the_shared_set() {
    let workspace = Workspace::new();
    publish_set(&workspace, &[("react", "19.1.0")]);
    let words = [&SOURCES[..], &["--artifacts", "artifacts", "--dev"]].concat();
    for (range, expected) in [
        ("^19.0.0", &[][..]),
        (">=18 <20 || 21.x", &[]),
        ("~19.1", &[]),
        ("^18.0.0", &["shared-range"]),
        (">19.1.0", &["shared-range"]),
        ("nineteen", &["shared-range-invalid"]),
    ] {
        source(&workspace, "lab", &react(range));
        let answer = workspace.json(i32::from(!expected.is_empty()), &words);
        assert_eq!(codes(&answer), expected, "{range}: {answer}");
    }
    source(&workspace, "lab", &react("^18.0.0"));
    let finding = &workspace.json(1, &words)["findings"][0];
    assert_eq!(finding["message"], "lab needs react ^18.0.0, the set provides 19.1.0");
    assert_eq!(finding["places"][0]["field"], "shared.react.requiredVersion");
    assert_eq!(finding["places"][1]["file"], "artifacts/_shared/1.0.0/manifest.json");
    let missing = json!({ "shared": {
        "vue": { "requiredVersion": "^3.0.0" },
        "react": {},
        "@favn/feature-sdk": { "requiredVersion": "*" },
    } });
    source(&workspace, "lab", &missing);
    assert_eq!(codes(&workspace.json(1, &words)), ["shared-range-missing", "shared-missing"]);
}

#[test]
fn features_that_no_set_can_serve_together_are_both_named() {
    let workspace = Workspace::new();
    source(&workspace, "lab", &react("^18.0.0"));
    source(&workspace, "ward", &react("^19.0.0"));
    let answer = workspace.json(1, &SOURCES);
    assert_eq!(codes(&answer), ["shared-set-missing", "shared-conflict"]);
    let places = answer["findings"][1]["places"].as_array().unwrap();
    assert_eq!(places[0]["file"], "features/lab/manifest.json");
    assert_eq!(places[1]["file"], "features/ward/manifest.json");
}

#[test]
fn a_facet_that_is_embedded_is_there_and_is_a_facet() {
    let workspace = Workspace::new();
    source(&workspace, "lab", &json!({}));
    let script = "import { mountFacet } from '@favn/feature-sdk';\n\
                  mountFacet('badge', element, {});\nmountFacet<Props>( \"chip\", element, {});\n\
                  mountFacet(chosen, element, {}); remountFacet('nothing');\n";
    workspace.write("features/lab/src/main.js", script);
    let answer = workspace.json(1, &SOURCES);
    assert_eq!(codes(&answer), ["facet-missing", "facet-missing"]);
    assert_eq!(answer["findings"][0]["places"][0]["file"], "features/lab/src/main.js");
    source(&workspace, "badge", &json!({ "featureType": "facet", "mount": null }));
    source(&workspace, "chip", &json!({}));
    assert_eq!(codes(&workspace.json(1, &SOURCES)), ["facet-type"]);
    // What a bundler renamed may be something else, so it is a warning.
    let bundled = "import{mountFacet as m}from\"@favn/feature-sdk\";m(\"pill\",e,{});";
    workspace.write("features/lab/src/main.js", bundled);
    assert_eq!(codes(&workspace.json(0, &SOURCES)), ["facet-missing"]);
    workspace.publish_built();
    assert_eq!(codes(&workspace.json(0, &["validate", "compat", "--dev"])), ["facet-missing"]);
}

#[test]
fn backends_are_documented_in_a_file_of_the_team() {
    let workspace = Workspace::new();
    source(&workspace, "lab", &json!({ "infrastructure": { "services": ["lab-api", "beds"] } }));
    assert_eq!(codes(&workspace.json(0, &SOURCES)), ["services-unchecked"]);
    let words = [&SOURCES[..], &["--services", "services.json"]].concat();
    assert_eq!(workspace.refusal(1, &words), "file-missing");
    workspace
        .write("services.json", r#"{ "lab-api": "the lab system, run by Lab IT", "beds": " " }"#);
    assert_eq!(workspace.refusal(1, &words), "service-not-described");
    workspace.write(
        "services.json",
        r#"{ "lab-api": { "description": "the lab system", "owner": "Lab IT" } }"#,
    );
    let answer = workspace.json(0, &words);
    assert_eq!(codes(&answer), ["service-undocumented"]);
    assert_eq!(answer["findings"][0]["places"][0]["field"], "infrastructure.services[1]");
    assert_eq!(workspace.refusal(1, &[&words[..], &["--strict"]].concat()), "service-undocumented");
}

#[test]
fn a_field_that_is_nearly_one_of_the_contract_is_told_wherever_it_is() {
    let workspace = Workspace::new();
    let fields = json!({
        "display_name": "known beside its double",
        "Isolation": { "shadowDOM": true },
        "requirements": { "minHostVersoin": "0.1.0" },
        "routes": [{ "path": "/", "titel": "Start" }],
        "shared": { "react": { "requiredVersion": "*", "singelton": true } },
        "runtime": { "permissions": { "eventbus": { "publish": ["lab:*"] } } },
        "visibility": { "pathPrefx": "free form" },
        "metadata": { "commit": "x" },
    });
    source(&workspace, "lab", &fields);
    let answer = workspace.json(0, &SOURCES);
    let found: Vec<&str> = answer["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["code"] == "field-near-miss")
        .map(|finding| finding["places"][0]["field"].as_str().unwrap())
        .collect();
    let mut found = found;
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "Isolation",
            "requirements.minHostVersoin",
            "routes[0].titel",
            "runtime.permissions.eventbus",
            "shared.react.singelton",
        ]
    );
}

#[test]
fn two_features_with_one_element_id_are_told() {
    let workspace = Workspace::new();
    source(&workspace, "lab", &json!({}));
    let mount = json!({ "mount": { "pathPrefix": "/ward", "domElementId": "lab-root" } });
    source(&workspace, "ward", &mount);
    assert_eq!(codes(&workspace.json(0, &SOURCES)), ["element-id-duplicate"]);
}

#[test]
fn one_bad_manifest_does_not_hide_the_others() {
    let workspace = Workspace::new();
    workspace.write("features/broken/manifest.json", "{");
    source(&workspace, "lab", &json!({ "requirements": { "minHostVersion": "99.0.0" } }));
    let answer = workspace.json(1, &SOURCES);
    assert_eq!(codes(&answer), ["json-syntax", "host-too-old"]);
}
