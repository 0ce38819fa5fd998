//! What was signed is what is served: pages, assets and the routes that tell of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::io::{Read as _, Write as _};

use pilar_artifact::Sha256Digest;
use serde_json::{Value, json};
use support::tree::{Tree, Version};
use support::{Client, Host, Reply, Setup, wait_for};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const HOSTILE: &str = "</script><script>alert(1)</script><!--";

fn big_script() -> Vec<u8> {
    (0..2000)
        .map(|n| format!("export const line{n} = \"the same words again\";\n"))
        .collect::<String>()
        .into_bytes()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut out, &Default::default()).unwrap();
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn patients() -> Version {
    let script = big_script();
    Version::domain("patients", "1.2.0", "/patients")
        .with_field("displayName", json!(HOSTILE))
        .with_field(
            "arena",
            json!({ "title": "Patients", "order": 20, "icon": "people", "section": "Care" }),
        )
        .with_field("entrypoints", json!({ "js": ["entry.js", "big.js"], "css": "style.css" }))
        .with_field("serverFunctions", json!({ "module": "server.js", "exports": ["find"] }))
        .with_file("big.js.br", brotli(&script))
        .with_file("big.js.zst", zstd::bulk::compress(&script, 19).unwrap())
        .with_file("big.js.gz", gzip(&script))
        .with_file("big.js", script)
        .with_file("server.js", "export const find = () => \"secret of the server\";\n")
        .with_file("server.js.map", "{ \"sourcesContent\": [\"secret of the server\"] }")
        .with_file("server.js.gz", gzip(b"export const find = () => \"secret of the server\";\n"))
        .with_file("img/logo.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>")
        .with_file("entry.js.map", "{}")
        .with_file("empty.txt", "")
}

fn shared() -> Version {
    Version::facet("_shared", "1.0.0")
        .with_field("featureType", json!("shared"))
        .with_field("entrypoints", json!({}))
        .with_field(
            "packages",
            json!({
                "react": { "file": "react.a1.js", "version": "19.0.0" },
                "react/jsx-runtime": { "file": "jsx.b2.js", "version": "19.0.0" },
            }),
        )
        .with_file("react.a1.js", "export default \"react\";\n")
        .with_file("jsx.b2.js", "export default \"jsx\";\n")
}

fn full_tree() -> Tree {
    let tree = Tree::new();
    tree.publish(&patients());
    tree.publish(
        &Version::domain("archive", "2.0.0", "/patients/archive/")
            .with_field("arena", json!({ "title": "Archive", "order": 10, "path": "recent" }))
            .with_field("isolation", json!({ "shadowDOM": true })),
    );
    tree.publish(
        &Version::domain("zebra", "1.0.0", "/zebra")
            .with_field("arena", json!({ "title": "Zebra" })),
    );
    tree.publish(
        &Version::domain("apple", "1.0.0", "/apple")
            .with_field("arena", json!({ "title": "Apple" })),
    );
    tree.publish(&Version::facet("badge", "0.3.0"));
    tree.publish(&shared());
    tree
}

/// The driver that the kernel allows best, and the one that is always allowed.
fn on_each_driver(check: impl Fn(&Host)) {
    let tree = full_tree();
    for driver in ["auto", "epoll"] {
        let host = Setup::of(&tree).with("HOST_IO_DRIVER", driver).start();
        check(&host);
        let (status, log) = host.stop();
        assert!(status.success(), "{log}");
    }
}

/// Attributes and text of each script element.
fn scripts(html: &str) -> Vec<(&str, &str)> {
    html.split("<script")
        .skip(1)
        .map(|rest| {
            let (attributes, rest) = rest.split_once('>').unwrap();
            (attributes, rest.split_once("</script>").unwrap().0)
        })
        .collect()
}

fn script_text<'a>(html: &'a str, attribute: &str) -> &'a str {
    let found: Vec<_> = scripts(html)
        .into_iter()
        .filter(|(attributes, _)| attributes.contains(attribute))
        .collect();
    assert_eq!(found.len(), 1, "{attribute}: {html}");
    found[0].1
}

fn import_map(html: &str) -> Value {
    serde_json::from_str(script_text(html, "type=\"importmap\"")).unwrap()
}

fn bootstrap(html: &str) -> Value {
    serde_json::from_str(script_text(html, "id=\"pilar-bootstrap\"")).unwrap()
}

fn decoded(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    match reply.header("content-encoding") {
        None => out.extend_from_slice(&reply.body),
        Some("br") => {
            brotli::BrotliDecompress(&mut &reply.body[..], &mut out).unwrap();
        }
        Some("zstd") => out = zstd::decode_all(&reply.body[..]).unwrap(),
        Some("gzip") => {
            flate2::read::GzDecoder::new(&reply.body[..]).read_to_end(&mut out).unwrap();
        }
        Some(other) => panic!("content-encoding {other}"),
    }
    out
}

fn assert_not_there(host: &Host, path: &str) {
    let reply = host.get(path);
    assert_eq!(reply.status, 404, "{path}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
    assert!(
        reply.header("content-type").unwrap().starts_with("text/plain"),
        "{path}: never the shell"
    );
}

#[test]
fn every_file_that_is_listed_for_browsers_is_served_byte_for_byte_and_for_ever() {
    let versions = [patients(), shared()];
    on_each_driver(|host| {
        for version in &versions {
            let hidden = |name: &str| {
                name.starts_with("server.js") || (name.starts_with("big.js.") && name != "big.js")
            };
            for (name, bytes) in version.files.iter().filter(|(name, _)| !hidden(name)) {
                let path = match version.id.as_str() {
                    "_shared" => format!("/_shared/{name}"),
                    _ => version.url(name),
                };
                let reply = host.get(&path);
                assert_eq!(reply.status, 200, "{path}");
                assert_eq!(&reply.body, bytes, "{path}");
                assert_eq!(reply.header("cache-control"), Some(IMMUTABLE), "{path}");
                assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
                assert_eq!(reply.header("vary"), Some("accept-encoding"), "{path}");
                assert_eq!(reply.header("content-encoding"), None, "{path}");
                let etag = reply.header("etag").unwrap().to_owned();
                assert!(etag.starts_with('"') && etag.len() > 16, "{path}: {etag} is strong");

                let head = host.request("HEAD", &path, &[]);
                let without_date = |reply: &Reply| -> Vec<String> {
                    reply
                        .head
                        .lines()
                        .filter(|line| !line.starts_with("date:"))
                        .map(str::to_owned)
                        .collect()
                };
                assert_eq!(without_date(&head), without_date(&reply), "{path}");

                let again = host.request("GET", &path, &[("if-none-match", &etag)]);
                assert_eq!(
                    (again.status, again.header("etag")),
                    (304, Some(etag.as_str())),
                    "{path}"
                );
                let other = host.request("GET", &path, &[("if-none-match", "\"another\"")]);
                assert_eq!(other.status, 200, "{path}");
            }
        }
        let types = [
            ("entry.js", "text/javascript; charset=utf-8"),
            ("style.css", "text/css; charset=utf-8"),
            ("img/logo.svg", "image/svg+xml; charset=utf-8"),
            ("entry.js.map", "application/json"),
        ];
        for (name, content_type) in types {
            let reply = host.get(&versions[0].url(name));
            assert_eq!(reply.header("content-type"), Some(content_type), "{name}");
            // Opened as a page of its own, a document of an artifact runs nothing.
            let policy = reply.header("content-security-policy").unwrap_or_default();
            assert_eq!(policy.contains("sandbox"), name.ends_with(".svg"), "{name}: {policy}");
        }
    });
}

#[test]
fn a_variant_is_chosen_by_quality_and_decodes_to_the_signed_bytes() {
    let path = patients().url("big.js");
    on_each_driver(|host| {
        let mut etags = Vec::new();
        for (accepts, chosen) in [
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip, zstd;q=0.9, br;q=0.5", Some("gzip")),
            ("zstd", Some("zstd")),
            ("deflate", None),
        ] {
            let reply = host.request("GET", &path, &[("accept-encoding", accepts)]);
            assert_eq!(reply.status, 200, "{accepts}");
            assert_eq!(reply.header("content-encoding"), chosen, "{accepts}");
            assert_eq!(
                reply.header("content-type"),
                Some("text/javascript; charset=utf-8"),
                "{accepts}"
            );
            assert!(decoded(&reply) == big_script(), "{accepts}: other bytes");
            let etag = reply.header("etag").unwrap().to_owned();
            let headers = [("accept-encoding", accepts), ("if-none-match", etag.as_str())];
            assert_eq!(host.request("GET", &path, &headers).status, 304, "{accepts}");
            etags.push(etag);
        }
        etags.sort();
        etags.dedup();
        assert_eq!(etags.len(), 4, "each representation has its own tag: {etags:?}");
    });
}

#[test]
fn what_is_not_listed_for_browsers_is_not_there() {
    let tree = full_tree();
    std::fs::write(tree.path("patients/1.2.0/extra.js"), "never signed").unwrap();
    std::fs::write(tree.path("patients/extra.js"), "never signed").unwrap();
    let host = Setup::of(&tree).start();
    for path in [
        "/_assets/patients/1.2.0/extra.js",
        "/_assets/patients/extra.js",
        "/_assets/patients/1.2.0/manifest.json",
        "/_assets/patients/releases.json",
        "/_assets/patients/1.2.0/server.js",
        "/_assets/patients/1.2.0/server.js.gz",
        "/_assets/patients/1.2.0/server.js.map",
        "/_assets/patients/1.2.0/big.js.br",
        "/_assets/patients/1.2.0/",
        "/_assets/patients/1.2.0/ENTRY.JS",
        "/_assets/patients/9.9.9/entry.js",
        "/_assets/nobody/1.0.0/entry.js",
        "/_assets/_shared/1.0.0/react.a1.js",
        "/_shared/manifest.json",
        "/_sdk/sdk.json",
        "/_assets/",
    ] {
        assert_not_there(&host, path);
    }
    for path in [
        "/_assets/patients/1.2.0/../1.2.0/entry.js",
        "/_assets/patients/%2e%2e/patients/1.2.0/entry.js",
    ] {
        assert_eq!(host.get(path).status, 400, "{path}");
    }
}

#[test]
fn a_shell_runs_nothing_but_what_its_policy_and_hashes_name() {
    on_each_driver(|host| {
        let reply = host.get("/patients/42?tab=notes");
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let html = reply.text();

        let policy = reply.header("content-security-policy").unwrap();
        let script_policy =
            policy.split(';').find(|part| part.trim().starts_with("script-src")).unwrap();
        let hash = Sha256Digest::of(script_text(html, "type=\"importmap\"").as_bytes()).sri();
        assert_eq!(script_policy.trim(), format!("script-src 'self' '{hash}'"));
        assert!(
            policy.contains("default-src 'none'") && policy.contains("base-uri 'none'"),
            "{policy}"
        );
        for (attributes, text) in scripts(html) {
            let is_data = attributes.contains("type=\"importmap\"")
                || attributes.contains("type=\"application/json\"");
            assert!(is_data || text.is_empty(), "an inline script: {text}");
            assert!(
                is_data || attributes.contains("integrity=\"sha256-"),
                "no integrity: {attributes}"
            );
        }
        assert!(!html.contains(" onload=") && !html.contains("javascript:"));

        let snapshot = reply.header("x-pilar-snapshot").unwrap();
        assert_eq!(bootstrap(html)["snapshot"], snapshot);
        assert_eq!(host.get("/_health").json()["snapshot"]["id"], snapshot);
        assert_eq!(host.get("/_health").header("x-pilar-snapshot"), Some(snapshot));

        let head = host.request("HEAD", "/patients/42?tab=notes", &[]);
        assert_eq!((head.status, head.header("etag")), (200, reply.header("etag")));
        assert_eq!(head.header("content-length"), Some(reply.body.len().to_string().as_str()));
        for (accepted, encoding) in [
            ("br", Some("br")),
            ("gzip", Some("gzip")),
            ("zstd", None),
            ("zstd, br, gzip", Some("br")),
        ] {
            let packed = host.request("GET", "/patients", &[("accept-encoding", accepted)]);
            assert_eq!(packed.header("content-encoding"), encoding);
            assert_eq!(decoded(&packed), reply.body, "one page for all paths of a feature");
        }
    });
}

#[test]
fn the_import_map_vouches_for_every_module_that_a_page_may_load() {
    on_each_driver(|host| {
        let page = host.get("/patients");
        let map = import_map(page.text());
        let integrity = map["integrity"].as_object().unwrap();
        for version in [
            patients(),
            Version::domain("archive", "2.0.0", "/patients/archive/"),
            Version::facet("badge", "0.3.0"),
        ] {
            for (name, bytes) in version.files.iter().filter(|(name, _)| name.ends_with(".js")) {
                let expected = (name != "server.js").then(|| json!(Sha256Digest::of(bytes).sri()));
                assert_eq!(integrity.get(&version.url(name)), expected.as_ref(), "{name}");
            }
        }
        assert_eq!(map["imports"]["react"], "/_shared/react.a1.js");
        assert_eq!(map["imports"]["react/jsx-runtime"], "/_shared/jsx.b2.js");
        assert!(map["imports"]["@favn/feature-sdk"].as_str().unwrap().starts_with("/_sdk/"));
        for url in map["imports"].as_object().unwrap().values() {
            assert!(integrity.contains_key(url.as_str().unwrap()), "{url} is imported unchecked");
        }
        for (url, hash) in integrity {
            let reply = host.get(url);
            assert_eq!(reply.status, 200, "{url}");
            assert_eq!(Sha256Digest::of(&reply.body).sri(), hash.as_str().unwrap(), "{url}");
        }
    });
}

#[test]
fn every_file_that_a_page_names_is_there_with_the_hash_that_it_names() {
    let tree = full_tree();
    let host = Setup::of(&tree).start();
    for page in ["/", "/patients", "/patients/archive", "/nowhere"] {
        let reply = host.get(page);
        let mut named = 0;
        for tag in reply.text().split('<').filter(|tag| tag.contains("integrity=\"")) {
            let attribute = |name: &str| tag.split(&format!("{name}=\"")).nth(1)?.split('"').next();
            let url = attribute("href").or_else(|| attribute("src")).unwrap();
            let file = host.get(url);
            assert_eq!(file.status, 200, "{page}: {url}");
            assert_eq!(
                Some(Sha256Digest::of(&file.body).sri().as_str()),
                attribute("integrity"),
                "{url}"
            );
            assert_eq!(file.header("cache-control"), Some(IMMUTABLE), "{url}");
            named += 1;
        }
        assert!(named > 0, "{page} names its style sheet");
    }
}

#[test]
fn text_of_a_manifest_stays_text() {
    let tree = full_tree();
    let host = Setup::of(&tree).start();
    for page in ["/", "/patients", "/apple"] {
        let reply = host.get(page);
        let html = reply.text();
        assert!(!html.contains("<script>alert"), "{page}");
        assert!(!html.contains("<!--"), "{page}");
        assert_eq!(scripts(html).len(), 3, "{page}");
        assert_eq!(bootstrap(html)["features"]["patients"]["displayName"], HOSTILE, "{page}");
    }
}

#[test]
fn the_bootstrap_document_says_what_the_browser_runtime_needs() {
    let tree = full_tree();
    let host = Setup::of(&tree).start();
    let document = bootstrap(host.get("/patients/archive/2024").text());
    assert_eq!(document["activeFeatureId"], "archive");
    assert_eq!(document["hostVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        document["features"]["archive"],
        json!({
            "featureId": "archive",
            "version": "2.0.0",
            "displayName": "Feature archive",
            "featureType": "domain",
            "basename": "/patients/archive",
            "domElementId": "root",
            "js": ["/_assets/archive/2.0.0/entry.js"],
            "css": [{
                "href": "/_assets/archive/2.0.0/style.css",
                "integrity": Sha256Digest::of(b".archive { color: navy }\n").sri(),
            }],
            "mountExport": "mount",
            "unmountExport": "unmount",
            "shadowDOM": true,
        })
    );
    assert_eq!(document["features"]["badge"]["featureType"], "facet");
    assert_eq!(document["features"]["_shared"], Value::Null);
    assert_eq!(document["navigation"], host.get("/_navigation").json()["entries"]);
    assert_eq!(document["liveReload"], Value::Null, "nothing watches");
    let start = bootstrap(host.get("/").text());
    assert_eq!(start["activeFeatureId"], Value::Null);
}

#[test]
fn the_longest_prefix_owns_a_path() {
    let tree = full_tree();
    let host = Setup::of(&tree).start();
    for (path, owner) in [
        ("/patients", Some("patients")),
        ("/patients/", Some("patients")),
        ("/patients/archives", Some("patients")),
        ("/patients/42/archive", Some("patients")),
        ("/patients/archive", Some("archive")),
        ("/patients/archive/", Some("archive")),
        ("/patients/archive/a/b?c", Some("archive")),
        ("/patientsarchive", None),
        ("/Patients", None),
        ("/zebr", None),
        ("/unowned", None),
    ] {
        let reply = host.get(path);
        match owner {
            Some(owner) => {
                assert_eq!(reply.status, 200, "{path}");
                assert_eq!(bootstrap(reply.text())["activeFeatureId"], owner, "{path}");
            }
            None => {
                assert_eq!(reply.status, 404, "{path}");
                assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
                assert_eq!(
                    reply.header("content-type"),
                    Some("text/html; charset=utf-8"),
                    "{path}"
                );
                let policy = reply.header("content-security-policy").unwrap();
                assert!(policy.contains("script-src 'none'"), "{path}: {policy}");
                assert!(scripts(reply.text()).is_empty(), "{path}");
            }
        }
    }
}

#[test]
fn the_start_page_lists_domains_in_the_order_of_the_navigation_or_leads_elsewhere() {
    let tree = full_tree();
    let host = Setup::of(&tree).start();
    let start = host.get("/");
    assert_eq!(start.status, 200);
    let links: Vec<&str> = start
        .text()
        .split("<li><a href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(links, ["/patients/archive/", "/patients", "/apple", "/zebra"]);
    drop(host);

    let host = Setup::of(&tree).with("HOST_ROOT_REDIRECT", "/patients?from=start").start();
    let reply = host.get("/");
    assert_eq!((reply.status, reply.header("location")), (302, Some("/patients?from=start")));
    assert_eq!(host.get("/patients?from=start").status, 200);
}

#[test]
fn the_navigation_is_in_order_then_by_title() {
    let tree = full_tree();
    let host = Setup::of(&tree).start();
    let reply = host.get("/_navigation");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(
        reply.json()["entries"],
        json!([
            { "featureId": "archive", "title": "Archive", "path": "/patients/archive/recent", "order": 10.0 },
            { "featureId": "patients", "title": "Patients", "path": "/patients", "icon": "people",
              "section": "Care", "order": 20.0 },
            { "featureId": "apple", "title": "Apple", "path": "/apple" },
            { "featureId": "zebra", "title": "Zebra", "path": "/zebra" },
        ])
    );
    assert_eq!(reply.json()["snapshot"], reply.header("x-pilar-snapshot").unwrap());
}

#[test]
fn health_names_versions_keys_and_hashes() {
    let tree = full_tree();
    on_each_driver_health(&tree, "epoll", |driver| driver == "epoll");
    on_each_driver_health(&tree, "auto", |driver| {
        driver == "epoll" || driver.starts_with("io_uring")
    });

    let host = Setup::of(&tree).start();
    let manifest = std::fs::read(tree.path("patients/1.2.0/manifest.json")).unwrap();
    let reply = host.get("/_health/patients");
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    let health = reply.json();
    for (field, expected) in [
        ("state", json!("as-released")),
        ("servingVersion", json!("1.2.0")),
        ("desiredVersion", json!("1.2.0")),
        ("pathPrefix", json!("/patients")),
        ("manifestSha256", json!(Sha256Digest::of(&manifest).hex())),
        ("manifestKeyId", json!("release")),
    ] {
        assert_eq!(health[field], expected, "{field}");
    }
    assert_eq!(health["index"], json!({ "sequence": 1, "keyId": "release" }));
    assert_eq!(host.get("/_health/_shared").json()["servingVersion"], "1.0.0");

    let unknown = host.get("/_health/nobody");
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json()["error"]["code"], "unknown-feature");
    assert_eq!(unknown.json()["error"]["requestId"], unknown.header("x-request-id").unwrap());
}

fn on_each_driver_health(tree: &Tree, driver: &str, is_it: impl Fn(&str) -> bool) {
    let host = Setup::of(tree).with("HOST_IO_DRIVER", driver).with("HOST_WORKERS", "3").start();
    let health = host.get("/_health").json();
    assert!(is_it(health["host"]["driver"].as_str().unwrap()), "{health}");
    assert_eq!(health["host"]["workers"], 3);
    assert_eq!(health["status"], "ok");
    assert_eq!(health["summary"], "everything is as released");
    let ids: Vec<&str> = health["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["featureId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["_shared", "apple", "archive", "badge", "patients", "zebra"]);
}

#[test]
fn the_io_uring_driver_serves_the_same_where_the_kernel_allows_it() {
    let tree = full_tree();
    let automatic = Setup::of(&tree).start();
    let driver = automatic.get("/_health").json()["host"]["driver"].as_str().unwrap().to_owned();
    let forced = Setup::of(&tree).with("HOST_IO_DRIVER", "io_uring");
    if driver == "epoll" {
        // The kernel refuses rings here, so being told to use one is an error and no silent second choice.
        let output = forced.ends();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("HOST_IO_DRIVER"));
        return;
    }
    let forced = forced.start();
    assert_eq!(forced.get("/_health").json()["host"]["driver"], driver);
    for path in ["/", "/patients", &patients().url("big.js"), "/nowhere"] {
        let (one, other) = (forced.get(path), automatic.get(path));
        assert_eq!((one.status, one.sha256()), (other.status, other.sha256()), "{path}");
    }
}

#[test]
fn ready_waits_for_the_sentinel() {
    let tree = full_tree();
    let host = Setup::of(&tree).start();
    assert_eq!(host.get("/_ready").status, 200);
    drop(host);

    let sentinel = tree.outside("sentinel");
    let host = Setup::of(&tree).with("FEATURE_READY_SENTINEL_PATH", sentinel.clone()).start();
    let reply = host.get("/_ready");
    assert_eq!((reply.status, reply.json()["status"].as_str()), (503, Some("waiting")));
    assert!(reply.text().contains("FEATURE_READY_SENTINEL_PATH"), "{}", reply.text());
    assert_eq!(host.get("/_health").status, 200, "it serves all the same");
    std::fs::write(&sentinel, "").unwrap();
    wait_for("the host to be ready", || (host.get("/_ready").status == 200).then_some(()));
    std::fs::remove_file(&sentinel).unwrap();
    wait_for("the host to be waiting", || (host.get("/_ready").status == 503).then_some(()));
}

#[test]
fn only_get_and_head_are_answered_and_nothing_unknown_is_guessed_at() {
    on_each_driver(|host| {
        for path in [
            "/",
            "/patients",
            "/nowhere",
            &patients().url("entry.js"),
            "/_health",
            "/_navigation",
            "/_ready",
        ] {
            for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
                let reply = host.request(method, path, &[("content-length", "0")]);
                let expected = if method == "OPTIONS" { 204 } else { 405 };
                assert_eq!(reply.status, expected, "{method} {path}");
                assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"), "{method} {path}");
            }
            let get = host.get(path);
            let head = host.request("HEAD", path, &[]);
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        }
        for path in ["/_nothing", "/_admin", "/_dev/snapshot?current=x", "/_health/patients/more"] {
            let reply = host.get(path);
            assert_eq!(reply.status, 404, "{path}");
            assert_eq!(reply.json()["error"]["code"], "no-such-route", "{path}");
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        }
    });
}

#[test]
fn a_dynamic_reply_repeats_a_harmless_request_id_and_replaces_any_other() {
    let tree = full_tree();
    let host = Setup::of(&tree).start();
    let asked = |id: &str| {
        let reply = host.request("GET", "/_health", &[("x-request-id", id)]);
        reply.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(asked("4bf92f35-77b3/a.b:c"), "4bf92f35-77b3/a.b:c");
    for odd in ["a b", "<script>", &"x".repeat(200), "\"quoted\""] {
        let own = asked(odd);
        assert!(
            own != odd && own.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'),
            "{odd}: {own}"
        );
    }
    let (one, other) = (host.get("/_health"), host.get("/_health"));
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}

#[test]
fn requests_that_arrive_together_are_answered_in_their_order() {
    on_each_driver(|host| {
        let mut client: Client = host.connect();
        let paths = [
            "/patients",
            "/_health/badge",
            "/_assets/patients/1.2.0/big.js",
            "/nowhere",
            "/_navigation",
            "/",
        ];
        for path in paths {
            client.send("GET", path, &[]).unwrap();
        }
        let statuses: Vec<u16> =
            paths.iter().map(|_| client.receive("GET").unwrap().status).collect();
        assert_eq!(statuses, [200, 200, 200, 404, 200, 200]);
    });
}

#[test]
fn replicas_in_front_of_equal_trees_agree_on_the_snapshot() {
    let (one, other) = (full_tree(), full_tree());
    let id = |tree: &Tree| {
        Setup::of(tree).start().get("/").header("x-pilar-snapshot").unwrap().to_owned()
    };
    assert_eq!(id(&one), id(&other));
    other.publish(&Version::facet("badge", "0.3.1"));
    assert_ne!(id(&one), id(&other));
}

#[test]
fn an_empty_tree_serves_a_start_page_that_says_so() {
    let tree = Tree::new();
    let host = Setup::of(&tree).start();
    let start = host.get("/");
    assert_eq!(start.status, 200);
    assert!(start.text().contains("No feature serves a page yet"), "{}", start.text());
    assert_eq!(host.get("/_health").json()["status"], "ok");
    assert_eq!(host.get("/anything").status, 404);
}
