//! `pilar inspect <url>`: a running host and the files of a CDN give the reason tree that a directory gives.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

mod common;

use common::host::Host;
use common::{LAB, Run, Workspace, server};
use pilar_artifact::SigningKey;
use serde_json::{Value, json};

/// A workspace where 1.1.0 was released and is damaged, so that 1.0.0 serves.
fn damaged() -> Workspace {
    let workspace = Workspace::published();
    workspace.publish("1.1.0");
    let (file, mut bytes) = workspace.tree("artifacts/lab/1.1.0").pop().unwrap();
    bytes.push(b' ');
    pilar_store::replace_file(&file, &bytes).unwrap();
    workspace
}

/// The parts of the reason tree that must not depend on who looked.
fn tree(answer: &Value) -> Value {
    let feature = &answer["features"][0];
    let version = &feature["versions"][0];
    json!([
        feature["featureId"],
        feature["state"],
        feature["servingVersion"],
        feature["desiredVersion"],
        feature["index"]["sequence"],
        feature["index"]["keyId"],
        feature["index"]["checks"],
        version["version"],
        version["outcome"],
        version["refused"],
        version["checks"],
        answer["error"]["code"],
        answer["error"]["remedy"],
    ])
}

fn sign_remote_index(workspace: &Workspace, fields: Value) {
    let pem = workspace.read(".pilar/keys/dev.private.pem");
    let key = SigningKey::from_pkcs8_pem("dev", &pem).unwrap();
    let Value::Object(document) = fields else { panic!() };
    workspace.write("artifacts/remote-index.json", key.sign_to_bytes(document));
}

#[test]
fn a_host_a_cdn_and_a_directory_show_the_same_tree() {
    let workspace = damaged();
    let directory = workspace.json(1, &["inspect", "artifacts", "--dev"]);
    let host = Host::start(&workspace);
    let cdn = server::files(workspace.path("artifacts/lab"));
    let of_host = workspace.json(1, &["inspect", &host.url]);
    let of_cdn = workspace.json(1, &["inspect", &cdn, "--dev"]);
    assert_eq!(tree(&of_host), tree(&directory));
    assert_eq!(tree(&of_cdn), tree(&directory));
    assert_eq!(of_host["status"], "degraded");
    let text = workspace.pilar(&["inspect", &host.url]).stdout;
    assert!(text.contains("13 files              refused (file-hash)"), "{text}");
    assert!(text.contains("falls back to 1.0.0; 1.1.0 was released"), "{text}");
}

#[test]
fn a_healthy_host_needs_no_key_to_be_asked() {
    let workspace = Workspace::published();
    let host = Host::start(&workspace);
    let run = workspace.pilar(&["inspect", &format!("{}/", host.url)]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(run.stdout.lines().last(), Some("1 feature: everything is as released."));
}

#[test]
fn what_a_host_does_not_serve_though_no_check_refused_it_is_told() {
    let workspace = Workspace::published();
    workspace.feature("ward", "1.0.0", "two");
    let manifest = workspace.read("features/ward/manifest.json").replace("\"/ward\"", "\"/lab\"");
    workspace.write("features/ward/manifest.json", manifest);
    let manifest = workspace.read("features/lab/manifest.json").replace("\"1.0.0\"", "\"1.1.0\"");
    let shared = "\"shared\": { \"vue\": {} }, \"team\"";
    workspace.write("features/lab/manifest.json", manifest.replace("\"team\"", shared));
    workspace.publish_built();
    let host = Host::start(&workspace);
    let answer = workspace.json(1, &["inspect", &host.url]);
    let errors = answer["errors"].as_array().unwrap();
    let codes: Vec<_> = errors.iter().map(|error| error["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["shared-missing", "prefix-conflict", "host-degraded"]);
    let text = workspace.pilar(&["inspect", &host.url]).stdout;
    assert!(text.contains("its URL prefix belongs to lab"), "{text}");
    assert!(text.contains("it imports vue, which no shared set provides"), "{text}");
}

#[test]
fn every_feature_of_a_remote_index_is_verified() {
    let workspace = Workspace::published();
    workspace.feature("labor", "1.0.0", "two");
    workspace.publish_built();
    let features = json!([
        { "featureId": "lab", "baseUrl": "lab" },
        { "featureId": "labor", "baseUrl": "/labor/" },
    ]);
    let index = json!({
        "schemaVersion": 1, "sequence": 1, "generatedAt": "2026-01-01T00:00:00Z",
        "features": features,
    });
    sign_remote_index(&workspace, index.clone());
    let url = server::files(workspace.path("artifacts"));
    let answer = workspace.json(0, &["inspect", &url, "--dev"]);
    let ids: Vec<_> = answer["features"].as_array().unwrap().iter().collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.iter().all(|feature| feature["state"] == "as-released"), "{answer}");

    let mut stale = index;
    stale["expiresAt"] = json!("2026-01-02T00:00:00Z");
    sign_remote_index(&workspace, stale);
    let answer = workspace.json(1, &["inspect", &url, "--dev"]);
    assert_eq!(answer["error"]["code"], "remote-index-stale");
    assert_eq!(answer["features"].as_array().unwrap().len(), 2);

    let text = workspace.read("artifacts/remote-index.json").replace("\"/labor/\"", "\"/labor\"");
    workspace.write("artifacts/remote-index.json", text);
    assert_eq!(workspace.refusal(1, &["inspect", &url, "--dev"]), "signature-invalid");
}

#[test]
fn a_feature_that_is_another_one_than_its_remote_index_says_is_refused() {
    let workspace = Workspace::published();
    let features = json!([{ "featureId": "labor", "baseUrl": "lab" }]);
    let index = json!({
        "schemaVersion": 1, "sequence": 1, "generatedAt": "2026-01-01T00:00:00Z",
        "features": features,
    });
    sign_remote_index(&workspace, index);
    let url = server::files(workspace.path("artifacts"));
    assert_eq!(workspace.refusal(1, &["inspect", &url, "--dev"]), "index-feature-id");
}

#[test]
fn what_is_neither_host_nor_cdn_is_said_plainly() {
    let workspace = Workspace::published();
    let empty = server::serve(|_| ("404 Not Found".to_owned(), Vec::new()));
    assert_eq!(workspace.refusal(1, &["inspect", &empty, "--dev"]), "no-feature");
    let moved = server::serve(|path| {
        let status = "301 Moved\r\nlocation: https://elsewhere.example/";
        (if path == "/_health" { "404 Not Found" } else { status }.to_owned(), Vec::new())
    });
    let answer = workspace.json(1, &["inspect", &moved, "--dev"]);
    assert_eq!(answer["error"]["code"], "url-unreachable");
    assert!(
        answer["error"]["message"].to_string().contains("https://elsewhere.example/"),
        "{answer}"
    );
    assert_eq!(
        workspace.refusal(1, &["inspect", "http://127.0.0.1:1", "--dev"]),
        "url-unreachable"
    );
    for wrong in
        ["ftp://cdn.example/x", "https://", "https://me:secret@cdn.example", "https://a.example/?b"]
    {
        assert_eq!(workspace.refusal(2, &["inspect", wrong, "--dev"]), "bad-url", "{wrong}");
    }
}

#[test]
fn an_endless_answer_is_cut_off() {
    let workspace = Workspace::published();
    let huge = vec![b' '; 2 * 1024 * 1024];
    let url = server::serve(move |path| match path {
        "/releases.json" => ("200 OK".to_owned(), huge.clone()),
        _ => ("404 Not Found".to_owned(), Vec::new()),
    });
    assert_eq!(workspace.refusal(1, &["inspect", &url, "--dev"]), "file-too-large");
}

#[test]
fn what_a_host_says_of_itself_cannot_move_the_cursor() {
    let workspace = Workspace::published();
    let health = json!({
        "status": "degraded", "summary": "all is well\u{1b}[2J", "host": { "version": "1\u{1b}[H" },
        "features": [{
            "featureId": LAB, "state": "nothing-to-serve\n", "index": { "refused": {
                "code": "schema", "step": 4, "check": "index schema", "file": "lab/\u{202e}x",
                "message": "\u{1b}]0;x\u{7}", "remedy": "\rdo nothing" } } }],
    });
    let url = server::serve(move |_| ("200 OK".to_owned(), health.to_string().into_bytes()));
    let run = workspace.pilar(&["inspect", &url]);
    assert_eq!(run.status, 1);
    let shown = format!("{}{}", run.stdout, run.stderr).replace('\n', "");
    assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{shown:?}");
}

#[test]
fn a_certificate_counts_where_this_machine_trusts_its_authority() {
    let workspace = Workspace::published();
    let root = workspace.path("artifacts/lab");
    let (url, authority) = server::serve_tls(move |path| server::file(&root, path));
    let words = ["inspect", &url, "--dev", "--json"];
    assert_eq!(workspace.refusal(1, &words[..3]), "url-unreachable");
    workspace.write("authority.pem", authority);
    let mut command = workspace.command(&words);
    let run = Run::of(command.env("SSL_CERT_FILE", "authority.pem").output().unwrap());
    assert_eq!(run.status, 0, "{}", run.stdout);
    assert_eq!(run.json()["features"][0]["state"], "as-released");
}
