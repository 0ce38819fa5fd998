//! Every rule of contract §3 is enforced and names the field that breaks it; what other tools write within
//! the contract is read.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::semicolon_if_nothing_returned,
    reason = "the closures of a table read better without"
)]

mod common;

use common::{FILES, MemoryArtifact, VERSION, context, manifest, trusted, verify_all};
use pilar_artifact::Sha256Digest;
use pilar_artifact::verify::Step;
use serde_json::{Value, json};

const MANIFEST: &str = "1.2.0/manifest.json";

type Change = fn(&mut Value);

/// A change of the manifest, the field that the message names, and a word of it.
#[test]
fn every_bad_field_of_a_manifest_is_named() {
    let cases: Vec<(&str, &str, Change)> = vec![
        ("field id", "not a feature id", |m| m["id"] = json!("Patient List")),
        ("field version", "", |m| m["version"] = json!("1.2")),
        ("field displayName", "empty", |m| m["displayName"] = json!(" ")),
        ("field featureType", "unknown variant", |m| m["featureType"] = json!("page")),
        ("field featureType", "go together", |m| m["featureType"] = json!("shared")),
        ("field mount", "has a mount", |m| {
            m.as_object_mut().unwrap().remove("mount");
        }),
        ("field mount.pathPrefix", "not absolute", |m| m["mount"]["pathPrefix"] = json!("a")),
        ("field mount.pathPrefix", "every path", |m| m["mount"]["pathPrefix"] = json!("/")),
        ("field mount.pathPrefix", "\"//\"", |m| m["mount"]["pathPrefix"] = json!("/a//b")),
        ("field mount.pathPrefix", "\"//\"", |m| m["mount"]["pathPrefix"] = json!("//evil")),
        ("field mount.pathPrefix", "dot segment", |m| m["mount"]["pathPrefix"] = json!("/a/../b")),
        ("field mount.pathPrefix", "\"_\"", |m| m["mount"]["pathPrefix"] = json!("/_admin")),
        ("field mount.pathPrefix", "routes of the host", |m| {
            m["mount"]["pathPrefix"] = json!("/api/a")
        }),
        ("field mount.pathPrefix", "routes of the host", |m| {
            m["mount"]["pathPrefix"] = json!("/rpc")
        }),
        ("field mount.domElementId", "shell", |m| m["mount"]["domElementId"] = json!("pilar-main")),
        ("field mount.pathPrefix", "letters", |m| m["mount"]["pathPrefix"] = json!("/%5fadmin")),
        ("field mount.pathPrefix", "256", |m| {
            m["mount"]["pathPrefix"] = json!(format!("/{}", "a".repeat(256)))
        }),
        ("field mount.domElementId", "letters", |m| m["mount"]["domElementId"] = json!("a b")),
        ("field routes", "at least one", |m| m["routes"] = json!([])),
        ("field routes[0]", "below the feature", |m| m["routes"] = json!(["../b"])),
        ("field routes[1]", "below the feature", |m| m["routes"] = json!(["/", "/a/%2E%2e/b"])),
        ("field routes[0]", "below the feature", |m| m["routes"] = json!(["//evil.example"])),
        ("field routes[0]", "below the feature", |m| {
            m["routes"] = json!([{ "path": "javascript:x" }])
        }),
        ("field arena.path", "below the feature", |m| {
            m["arena"] = json!({ "title": "A", "path": "https://a" })
        }),
        ("field entrypoints.js", "names no file", |m| m["entrypoints"] = json!({ "js": [] })),
        ("field entrypoints.js", "\"b.js\" is not listed", |m| {
            m["entrypoints"]["js"] = json!("b.js")
        }),
        ("field entrypoints.css", "\"b.css\" is not listed", |m| {
            m["entrypoints"]["css"] = json!("b.css")
        }),
        ("field entrypoints.js", "", |m| m["entrypoints"]["js"] = json!("../app.js")),
        ("field integrity", "absolute", |m| {
            m["integrity"]["/etc/passwd"] = json!(m["integrity"]["app.9b2d.js"])
        }),
        ("field integrity", "\"..\"", |m| {
            m["integrity"]["a/../../b"] = json!(m["integrity"]["app.9b2d.js"])
        }),
        ("field integrity.a\\b", "invisible character or one of", |m| {
            m["integrity"]["a\\b"] = m["integrity"]["app.9b2d.js"].clone();
        }),
        ("field integrity", "own hash", |m| {
            m["integrity"]["manifest.json"] = json!(m["integrity"]["app.9b2d.js"])
        }),
        ("field integrity", "not a SHA-256", |m| {
            m["integrity"]["app.9b2d.js"] = json!("0".repeat(64))
        }),
        ("field integrity", "not a SHA-256", |m| {
            m["integrity"]["app.9b2d.js"] = json!("sha512-AAAA")
        }),
        ("field integrity", "4096", |m| {
            let digest = m["integrity"]["app.9b2d.js"].clone();
            for number in 0..4096 {
                m["integrity"][format!("{number}.js")] = digest.clone();
            }
        }),
        ("field channel", "empty", |m| m["channel"] = json!("")),
        ("field requirements.minHostVersion", "", |m| {
            m["requirements"] = json!({ "minHostVersion": "1" })
        }),
        ("field serverFunctions", "either", |m| m["serverFunctions"] = json!({ "exports": ["a"] })),
        ("field serverFunctions", "either", |m| {
            m["serverFunctions"] =
                json!({ "module": "app.9b2d.js", "endpoint": "https://a", "exports": ["a"] });
        }),
        ("field serverFunctions.exports", "at least one", |m| {
            m["serverFunctions"] = json!({ "module": "app.9b2d.js", "exports": [] });
        }),
        ("field serverFunctions.module", "is not listed", |m| {
            m["serverFunctions"] = json!({ "module": "server.js", "exports": ["a"] });
        }),
        ("field serverFunctions.endpoint", "credentials", |m| {
            m["serverFunctions"] =
                json!({ "endpoint": "https://user:secret@a/", "exports": ["a"] });
        }),
        ("field serverFunctions.endpoint", "absolute http", |m| {
            m["serverFunctions"] = json!({ "endpoint": "file:///etc/passwd", "exports": ["a"] });
        }),
        ("field serverFunctions.endpoint", "absolute http", |m| {
            m["serverFunctions"] = json!({ "endpoint": "https://:443/", "exports": ["a"] });
        }),
        ("field packages", "only the shared set", |m| {
            m["packages"] = json!({ "react": { "file": "app.9b2d.js", "version": "19.0.0" } });
        }),
        ("field activeVersion", "belongs to a release index", |m| {
            m["activeVersion"] = json!("1.2.0")
        }),
    ];
    let keys = trusted();
    let count = cases.len();
    for (field, word, change) in cases {
        let mut document = manifest(VERSION, &FILES);
        change(&mut document);
        let rejection = verify_all(&MemoryArtifact::of(document), &context(&keys)).unwrap_err();
        let text = rejection.to_string();
        assert!(text.contains(field) && text.contains(word), "{text} does not say {field}, {word}");
        assert_eq!(
            (rejection.step(), rejection.code()),
            (Step::ManifestSchema, "schema"),
            "{text}"
        );
    }
    println!("bad manifest fields: {count}");
}

#[test]
fn older_spellings_of_the_contract_are_read() {
    let keys = trusted();
    for (alias, word) in [("application", "domain"), ("module", "facet")] {
        let mut document = manifest(VERSION, &FILES);
        document["featureType"] = json!(alias);
        let verified = verify_all(&MemoryArtifact::of(document), &context(&keys)).unwrap();
        assert_eq!(verified.manifest.feature_type.as_str(), word);
    }
    for form in 0..3 {
        let mut artifact = MemoryArtifact::published();
        let digest = Sha256Digest::of(&artifact.0[MANIFEST]);
        let text = [digest.hex(), format!("sha256:{}", digest.hex()), digest.sri()][form].clone();
        artifact.resign_index(|d| d["versions"][0]["manifestSha256"] = json!(text));
        verify_all(&artifact, &context(&keys)).unwrap();
    }
    let mut routes = manifest(VERSION, &FILES);
    routes["routes"] = json!(["", "/", ":id", "patients/:id", { "path": "/a/:b/*" }]);
    verify_all(&MemoryArtifact::of(routes), &context(&keys)).unwrap();
}
