//! What `pilar doctor` finds, each produced for real.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

mod common;

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;

use common::host::Host;
use common::{LAB, Run, Workspace, server};
use pilar_artifact::SigningKey;
use serde_json::{Value, json};

/// 40 characters that are no secret.
const TOKEN: &str = "an-example-token-of-forty-characters-xyz";

/// Variables of a host that lacks nothing, for what `Workspace::released` holds.
const GOOD: [(&str, &str); 6] = [
    ("NODE_ENV", "production"),
    ("FEATURE_TRUST_PUBLIC_KEYS_PATH", "trust.json"),
    ("RPC_AUTH_TOKEN", TOKEN),
    ("ADMIN_AUTH_TOKEN", "another-example-token-of-forty-character"),
    ("HOST_MAX_CONNECTIONS", "100"),
    ("HOST_WORKERS", "1"),
];

/// A workspace with a feature that the key `release` signed.
fn released() -> Workspace {
    let workspace = Workspace::new();
    workspace.json(0, &["keys", "generate", "--id", "release", "--trust-file", "trust.json"]);
    workspace.feature(LAB, "1.0.0", "one");
    for words in [&["build", "features"][..], &["publish", "--local"]] {
        let mut command = workspace.command(words);
        command.env("FEATURE_SIGNING_KEY_PATH", ".pilar/keys/release.private.pem");
        let run = Run::of(command.env("FEATURE_SIGNING_KEY_ID", "release").output().unwrap());
        assert_eq!(run.status, 0, "{}", run.stderr);
    }
    set_permissions(workspace.path("artifacts"), Permissions::from_mode(0o755)).unwrap();
    workspace
}

/// Runs with these variables and returns the findings.
#[track_caller]
fn examine(workspace: &Workspace, variables: &[(&str, &str)], words: &[&str]) -> Vec<Value> {
    let words = [&["doctor", "--json"], words].concat();
    let run = Run::of(workspace.command(&words).envs(variables.iter().copied()).output().unwrap());
    let answer = run.json();
    let findings = answer["findings"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
    let failed = findings.iter().any(|finding| finding["result"] == "fail");
    assert_eq!(run.status, i32::from(failed), "{answer}");
    findings
}

/// The result of a check, or `none`.
fn result<'f>(findings: &'f [Value], code: &str) -> &'f str {
    let of = findings.iter().filter(|finding| finding["code"] == code);
    let mut results: Vec<&str> = of.map(|finding| finding["result"].as_str().unwrap()).collect();
    // The worst of several.
    results
        .sort_by_key(|result| ["fail", "warn", "skipped", "ok"].iter().position(|r| r == result));
    results.first().copied().unwrap_or("none")
}

/// With `changes` to what is well, `code` has `expected`, and names what to do unless all is well.
#[track_caller]
fn assert_found(workspace: &Workspace, changes: &[(&str, &str)], code: &str, expected: &str) {
    let mut variables: Vec<(&str, &str)> = GOOD.to_vec();
    variables.extend(changes);
    let findings = examine(workspace, &variables, &[]);
    assert_eq!(result(&findings, code), expected, "{changes:?}: {findings:#?}");
    for finding in findings.iter().filter(|finding| finding["code"] == code) {
        let bad = matches!(finding["result"].as_str(), Some("fail" | "warn"));
        assert_eq!(finding.get("remedy").is_some(), bad, "{finding}");
    }
}

#[test]
fn a_host_that_lacks_nothing_passes_in_production() {
    let workspace = released();
    let findings = examine(&workspace, &GOOD, &[]);
    let bad: Vec<_> = findings
        .iter()
        .filter(|finding| matches!(finding["result"].as_str(), Some("fail" | "warn")))
        // Those two are as good as the machine that runs the test; the notes are about what this host leaves unused.
        .filter(|finding| {
            !["io-uring", "listen-backlog", "config-note"]
                .iter()
                .any(|code| finding["code"] == *code)
        })
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let expected = [
        "production",
        "variables",
        "trusted-keys",
        "signing-key",
        "artifacts-dir",
        "artifacts",
        "rpc-auth",
        "rpc-token",
        "admin-token",
        "proxy-headers",
        "io-uring",
        "open-files",
        "inotify",
        "listen-backlog",
        "ipv6",
        "clock",
        "ready-sentinel",
        "memory",
    ];
    for code in expected {
        assert_ne!(result(&findings, code), "none", "{code}");
    }
}

#[test]
fn text_fits_a_terminal_and_ends_with_the_result() {
    let workspace = Workspace::new();
    let run = workspace.pilar(&["doctor"]);
    assert_eq!(run.status, 1);
    let long: Vec<&str> = run.stdout.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(long.is_empty(), "{long:#?}");
    let last = run.stdout.lines().last().unwrap();
    assert!(last.contains(" checks: ") && last.ends_with("warnings."), "{last}");
    assert!(run.stderr.is_empty(), "{}", run.stderr);
}

#[test]
fn every_problem_of_the_variables_is_told_at_once() {
    let workspace = released();
    let variables = [
        ("PORT", "80a"),
        ("HOST_WROKERS", "2"),
        ("ALLOW_UNAUTHENTICATED_ADMIN", "1"),
        ("FEATURE_TRUST_PUBLIC_KEYS_JSON", "{}"),
        ("HOST_UNKNOWN_THING", "1"),
    ];
    let findings = examine(&workspace, &[&GOOD[..], &variables].concat(), &[]);
    for code in
        ["config-bad-value", "config-near-miss", "config-refused-in-production", "config-both-set"]
    {
        assert_eq!(result(&findings, code), "fail", "{findings:#?}");
    }
    let notes = findings.iter().filter(|finding| finding["code"] == "config-note");
    assert!(notes.clone().any(|note| note["message"].to_string().contains("HOST_UNKNOWN_THING")));
    assert!(!serde_json::to_string(&findings).unwrap().contains(TOKEN), "no secret is shown");
    assert_found(&workspace, &[("NODE_ENV", "Production")], "config-bad-value", "fail");
}

#[test]
fn an_env_file_takes_the_place_of_the_environment() {
    let workspace = released();
    workspace.write(
        "host.env",
        format!(
            "# a comment\n\nexport NODE_ENV=production\nFEATURE_TRUST_PUBLIC_KEYS_PATH = \"trust.json\"\n\
             RPC_AUTH_TOKEN='{TOKEN}'\nRPC_AUTH_TOKEN_OF {TOKEN}\n"
        ),
    );
    let findings = examine(&workspace, &[("HOST_WORKERS", "nine")], &["--env-file", "host.env"]);
    assert_eq!(result(&findings, "config-bad-value"), "none", "the environment does not count");
    assert_eq!(result(&findings, "trusted-keys"), "ok");
    assert_eq!(result(&findings, "rpc-token"), "ok");
    assert_eq!(result(&findings, "env-file-line"), "fail");
    assert!(!serde_json::to_string(&findings).unwrap().contains(TOKEN), "{findings:#?}");
    assert_eq!(
        workspace.refusal(2, &["doctor", "--env-file", "nowhere.env"]),
        "env-file-unreadable"
    );
}

#[test]
fn trusted_keys_are_there_valid_and_for_production() {
    let workspace = released();
    let missing = [("FEATURE_TRUST_PUBLIC_KEYS_PATH", "nowhere.json")];
    assert_found(&workspace, &missing, "keys-unreadable", "fail");
    let directory = [("FEATURE_TRUST_PUBLIC_KEYS_PATH", "artifacts")];
    assert_found(&workspace, &directory, "keys-unreadable", "fail");

    let map: Value = serde_json::from_str(&workspace.read("trust.json")).unwrap();
    let key = &map["release"];
    let public = key.get("publicKey").unwrap_or(key);
    let write = |map: Value| workspace.write("trust.json", map.to_string());
    write(json!({ "release": "no key" }));
    assert_found(&workspace, &[], "key-malformed", "fail");
    let ended = json!({ "publicKey": public, "notAfter": "2020-01-01T00:00:00Z" });
    write(json!({ "release": ended }));
    let findings = examine(&workspace, &GOOD, &[]);
    let refused =
        |finding: &&Value| finding["code"] == "key-expired" && finding["result"] == "fail";
    assert_eq!(findings.iter().filter(refused).count(), 2, "the key, and what it signed");
    write(json!({ "release": public, "before": ended }));
    assert_found(&workspace, &[], "key-expired", "fail");
    assert_found(&workspace, &[("NODE_ENV", "test")], "key-expired", "warn");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(29 * 24);
    write(json!({ "release": { "publicKey": public, "notAfter": soon } }));
    assert_found(&workspace, &[], "key-expires-soon", "warn");
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(31 * 24);
    write(json!({ "release": { "publicKey": public, "notAfter": later } }));
    assert_found(&workspace, &[], "key-expires-soon", "none");

    write(json!({ "release": public, "dev-anna": public }));
    assert_found(&workspace, &[], "dev-key", "fail");
    assert_found(&workspace, &[("NODE_ENV", "test")], "dev-key", "warn");
    let allowed = ("FEATURE_ALLOW_INSECURE_DEV_KEYS", "1");
    assert_found(&workspace, &[("NODE_ENV", "test"), allowed], "dev-key", "ok");
    write(json!({ "release": public }));
    assert_found(&workspace, &[allowed], "dev-key", "warn");
    write(json!({ "dev": public }));
    assert_found(&workspace, &[], "keys-only-dev", "fail");
    assert_found(&workspace, &[], "artifacts", "skipped");

    write(json!({ "release": public }));
    set_permissions(workspace.path("trust.json"), Permissions::from_mode(0o666)).unwrap();
    assert_found(&workspace, &[], "trusted-keys-writable", "fail");
}

#[test]
fn a_private_key_is_for_its_owner_and_not_for_a_host() {
    let workspace = released();
    let path = ".pilar/keys/release.private.pem";
    let set = [("FEATURE_SIGNING_KEY_PATH", path)];
    assert_found(&workspace, &[], "signing-key", "ok");
    assert_found(&workspace, &set, "signing-key", "warn");
    assert_found(&workspace, &[set[0], ("NODE_ENV", "test")], "signing-key", "ok");
    set_permissions(workspace.path(path), Permissions::from_mode(0o640)).unwrap();
    assert_found(&workspace, &[set[0], ("NODE_ENV", "test")], "signing-key", "fail");
    assert_found(&workspace, &[("FEATURE_SIGNING_KEY_PATH", "gone.pem")], "signing-key", "warn");
    assert_found(&workspace, &[("FEATURE_SIGNING_KEY", "a key")], "signing-key", "fail");
}

#[test]
fn artifacts_are_readable_kept_and_verified() {
    let workspace = released();
    assert_found(&workspace, &[("ARTIFACTS_DIR", "nowhere")], "dir-unreadable", "fail");
    assert_found(&workspace, &[], "artifacts", "ok");
    set_permissions(workspace.path("artifacts"), Permissions::from_mode(0o777)).unwrap();
    assert_found(&workspace, &[], "artifacts-dir", "fail");
    set_permissions(workspace.path("artifacts"), Permissions::from_mode(0o755)).unwrap();
    let (file, mut bytes) = workspace.tree("artifacts/lab/1.0.0").pop().unwrap();
    bytes.push(b' ');
    pilar_store::replace_file(&file, &bytes).unwrap();
    assert_found(&workspace, &[], "file-hash", "fail");
    let findings = examine(&workspace, &[], &["--artifacts", "features"]);
    assert_eq!(result(&findings, "artifacts"), "skipped");
}

#[test]
fn server_functions_are_not_for_everybody_in_production() {
    let workspace = released();
    let none = ("RPC_AUTH_TOKEN", "");
    assert_found(&workspace, &[none], "rpc-auth", "fail");
    assert_found(&workspace, &[none, ("NODE_ENV", "test")], "rpc-auth", "warn");
    assert_found(&workspace, &[("RPC_AUTH_TOKEN", "short")], "rpc-token", "fail");

    let cluster = [none, ("DIPS_TRUST_CLUSTER_AUTH", "1")];
    assert_found(&workspace, &cluster, "rpc-auth", "ok");
    assert_found(&workspace, &cluster, "trusted-cluster", "fail");
    let open = [&cluster[..], &[("TRUST_CLUSTER_REQUIRE_INGRESS_HEADER", "false")]].concat();
    assert_found(&workspace, &open, "trusted-cluster", "fail");
    let header = ("TRUST_CLUSTER_INGRESS_HEADER", "x-ingress");
    let marked = [&cluster[..], &[header, ("TRUST_CLUSTER_INGRESS_VALUE", TOKEN)]].concat();
    assert_found(&workspace, &marked, "trusted-cluster", "ok");

    let validate = ("DFS_VALIDATE_ACCESS_TOKEN", "1");
    let authority = ("DFS_AUTHORITY", "https://dfs.example");
    let audience = ("DFS_AUDIENCE", "pilar");
    assert_found(&workspace, &[none, validate, authority, audience], "rpc-auth", "ok");
    assert_found(&workspace, &[none, validate, authority, audience], "dfs", "none");
    assert_found(&workspace, &[none, validate, authority], "dfs", "fail");
    assert_found(&workspace, &[none, validate, audience], "rpc-auth", "fail");
    assert_found(&workspace, &[authority, audience], "dfs", "warn");
    let plain = ("DFS_AUTHORITY", "http://dfs.example");
    assert_found(&workspace, &[validate, plain, audience], "dfs", "fail");
}

#[test]
fn the_admin_pages_have_a_token_of_their_own() {
    let workspace = released();
    assert_found(&workspace, &[("ADMIN_AUTH_TOKEN", "")], "admin-token", "fail");
    // As the host has it: it does not start with the one, and warns of the other.
    assert_found(
        &workspace,
        &[("ADMIN_AUTH_TOKEN", "fifteen-letters")],
        "config-bad-value",
        "fail",
    );
    let weak = [("ADMIN_AUTH_TOKEN", "sixteen--letters")];
    assert_found(&workspace, &weak, "config-bad-value", "none");
    assert_found(&workspace, &weak, "admin-token", "warn");
    assert_found(&workspace, &[("ADMIN_AUTH_TOKEN", TOKEN)], "admin-token", "fail");
    let open = ("ALLOW_UNAUTHENTICATED_ADMIN", "1");
    assert_found(&workspace, &[open, ("NODE_ENV", "test")], "admin-open", "warn");
    let proxy = ("TRUST_PROXY_HEADERS", "1");
    assert_found(&workspace, &[proxy], "proxy-headers", "warn");
    assert_found(&workspace, &[proxy, ("HOST_BIND", "127.0.0.1")], "proxy-headers", "ok");
}

#[test]
fn limits_of_the_machine_are_held_against_the_settings() {
    let workspace = released();
    assert_found(&workspace, &[("HOST_MAX_CONNECTIONS", "1000000")], "open-files", "warn");
    let huge = ("FEATURE_RETAIN_MAX_BYTES", "9000000000000000000");
    assert_found(&workspace, &[huge], "memory", "fail");
    assert_found(&workspace, &[huge, ("NODE_ENV", "test")], "memory", "warn");
    assert_found(&workspace, &[("HOT_REFRESH_WATCH", "1")], "inotify", "ok");
    assert_found(&workspace, &[("HOST_IO_DRIVER", "epoll")], "io-uring", "skipped");
    assert_found(&workspace, &[("HOST_BIND", "::")], "ipv6", "skipped");
    let sentinel = ("FEATURE_READY_SENTINEL_PATH", "ready");
    assert_found(&workspace, &[sentinel], "ready-sentinel", "warn");
    workspace.write("ready", "");
    assert_found(&workspace, &[sentinel], "ready-sentinel", "ok");
}

#[test]
fn what_the_kernel_refuses_is_told_and_fails_only_what_cannot_do_without() {
    let workspace = released();
    for (fault, variable, code, expected) in [
        ("io_uring_setup:error=EPERM", ("HOST_IO_DRIVER", "auto"), "io-uring", "warn"),
        ("io_uring_setup:error=EPERM", ("HOST_IO_DRIVER", "io_uring"), "io-uring", "fail"),
        ("io_uring_setup:error=ENOSYS", ("HOST_IO_DRIVER", "io_uring"), "io-uring", "fail"),
        ("inotify_init1:error=EMFILE", ("HOT_REFRESH_WATCH", "1"), "inotify", "warn"),
        ("bind:error=EADDRNOTAVAIL", ("HOST_WORKERS", "1"), "ipv6", "fail"),
    ] {
        let mut command = workspace.command_with_fault(fault, &["doctor", "--json"]);
        let run = Run::of(command.envs(GOOD).envs([variable]).output().unwrap());
        let answer = run.json();
        let findings = answer["findings"].as_array().unwrap();
        assert_eq!(result(findings, code), expected, "{fault}: {answer:#}");
    }
}

#[test]
fn a_clock_that_is_behind_a_signature_is_wrong() {
    let workspace = released();
    let pem = workspace.read(".pilar/keys/release.private.pem");
    let key = SigningKey::from_pkcs8_pem("release", &pem).unwrap();
    let Value::Object(mut index) = workspace.index() else { panic!() };
    index.remove("signature");
    index["history"][0]["at"] = json!("2126-01-01T00:00:00Z");
    workspace.write("artifacts/lab/releases.json", key.sign_to_bytes(index));
    assert_found(&workspace, &[], "clock", "fail");
}

#[test]
fn a_running_host_is_asked_how_it_is() {
    let workspace = Workspace::published();
    let host = Host::start(&workspace);
    let findings = examine(&workspace, &[], &["--url", &host.url]);
    for code in ["host-health", "host-ready", "host-clock"] {
        assert_eq!(result(&findings, code), "ok", "{findings:#?}");
    }
    let findings = examine(&workspace, &[], &["--url", "http://127.0.0.1:1"]);
    assert_eq!(result(&findings, "url-unreachable"), "fail");

    let ill = server::serve(|path| match path {
        "/_health" => {
            let health = json!({ "status": "degraded", "summary": "1 feature has nothing to serve",
                                 "host": { "version": "0.1.0", "driver": "epoll" }, "features": [] });
            let status = "200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT";
            (status.to_owned(), health.to_string().into_bytes())
        }
        _ => ("503 Service Unavailable".to_owned(), b"draining".to_vec()),
    });
    let findings = examine(&workspace, &[], &["--url", &ill]);
    assert_eq!(result(&findings, "host-health"), "fail");
    assert_eq!(result(&findings, "host-ready"), "fail");
    assert_eq!(result(&findings, "host-clock"), "warn");
    let other = server::serve(|_| ("200 OK".to_owned(), b"<html>".to_vec()));
    let findings = examine(&workspace, &[], &["--url", &other]);
    assert_eq!(result(&findings, "host-health"), "fail");
}
