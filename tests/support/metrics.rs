//! What a host says at `/_admin/metrics`.

use std::collections::BTreeSet;

use serde_json::json;

use super::tree::{RELEASE, Tree, Version, signing_key};
use super::{Host, Setup};

/// What opens the metrics of these hosts.
pub(crate) const TOKEN: &str = "s3cret-t0ken-of-the-tests";

/// The header of whoever has the token.
pub(crate) const BEARER: (&str, &str) = ("authorization", "Bearer s3cret-t0ken-of-the-tests");

/// A family of metrics, as its comments and samples say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Family {
    /// The name of its samples; of a histogram, without what tells its parts.
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
    /// Names of its labels, as many as its samples have in all.
    pub(crate) labels: BTreeSet<String>,
    pub(crate) has_samples: bool,
}

/// A host whose metrics a token opens.
pub(crate) fn guarded(tree: &Tree) -> Setup {
    Setup::of(tree).with("ADMIN_AUTH_TOKEN", TOKEN)
}

/// A host of which every metric has a sample: a feature that serves a fallback and has been upgraded, keys that end,
/// a loader that is behind.
pub(crate) fn host_with_every_metric(tree: &Tree) -> Host {
    for version in ["1.0.0", "1.1.0"] {
        tree.publish(&Version::domain("notes", version, "/notes"));
    }
    let status = json!({
        "updatedAt": "2026-01-01T00:00:00Z",
        "source": { "kind": "directory", "lastContactAt": "2026-01-01T00:00:00Z" },
        "refused": [{ "place": "labs.yaml", "error": { "code": "registration-image" } }],
        "features": { "notes": { "desired": "sha256:aa", "actual": "sha256:bb" } },
    });
    let loader = tree.path(".loader");
    std::fs::create_dir(&loader).expect("it is not there yet");
    std::fs::write(loader.join("status.json"), status.to_string()).expect("it is writable");
    let key = json!({
        "publicKey": signing_key(RELEASE).public_key_base64(),
        "notAfter": "2099-01-01T00:00:00Z",
    });
    let keys = json!({ RELEASE: key }).to_string();
    let host = guarded(tree).with("FEATURE_TRUST_PUBLIC_KEYS_JSON", keys).start();
    let bad = Version::domain("notes", "1.2.0", "/notes");
    tree.place(&bad);
    std::fs::write(tree.path("notes/1.2.0/entry.js"), "altered").expect("it is writable");
    tree.release(&bad);
    refresh(&host);
    host
}

/// Has the host look at the artifacts.
pub(crate) fn refresh(host: &Host) {
    let reply = host.connect().post("/_admin/refresh", &[BEARER], "").expect("it answers");
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// The page as text.
pub(crate) fn scrape(host: &Host) -> String {
    let reply = host.request("GET", "/_admin/metrics", &[BEARER]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let kind = reply.header("content-type");
    assert_eq!(kind, Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    reply.text().to_owned()
}

/// The families of a page, in its order.
pub(crate) fn families(text: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = comment(line, "# HELP ") {
            families.push(Family {
                name: name.to_owned(),
                kind: String::new(),
                help: help.to_owned(),
                labels: BTreeSet::new(),
                has_samples: false,
            });
            continue;
        }
        let Some(family) = families.last_mut() else { continue };
        if let Some((_, kind)) = comment(line, "# TYPE ") {
            family.kind = kind.to_owned();
            family.name.push_str(match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            });
        } else if !line.starts_with('#') {
            family.has_samples = true;
            assert!(line.starts_with(&family.name), "{line} among {}", family.name);
            family.labels.extend(label_names(line).into_iter().filter(|name| name != "le"));
        }
    }
    families
}

fn comment<'a>(line: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
    line.strip_prefix(kind)?.split_once(' ')
}

/// Label values of these tests hold neither `="` nor an escaped quote.
fn label_names(sample: &str) -> Vec<String> {
    let Some((_, labels)) = sample.split_once('{') else { return Vec::new() };
    let mut parts: Vec<&str> = labels.split("=\"").collect();
    parts.pop();
    parts.iter().map(|part| part.rsplit(['"', ',']).next().expect("a part").to_owned()).collect()
}
