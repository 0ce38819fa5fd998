//! A host that cannot start as it was told to says which setting is wrong, what it was and what is allowed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Output;

use pilar_host::config::{Kind, State, VARIABLES};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use support::Setup;
use support::tree::{RELEASE, STRANGER, Tree, Version, signing_key};

/// Wrong use of a setting.
const WRONG_USE: i32 = 2;
/// A setting that is right and a world that is not.
const FAILED: i32 = 1;

#[track_caller]
fn assert_refused(output: &Output, status: i32, words: &[&str]) {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{message}");
    for word in words {
        assert!(message.contains(word), "\"{word}\" is missing: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
    assert!(output.stdout.is_empty(), "it never listened");
}

#[test]
fn a_bad_value_is_named_with_what_is_allowed() {
    let tree = Tree::new();
    for (name, value, allowed) in [
        ("PORT", "80a", "a whole number from 0 to 65535"),
        ("PORT", "65536", "a whole number from 0 to 65535"),
        ("PORT", "-1", "a whole number from 0 to 65535"),
        ("HOST_BIND", "localhost", "an IP address"),
        ("HOT_REFRESH_WATCH", "maybe", "1, true, yes or on; 0, false, no or off"),
        ("HOST_WORKERS", "0", "a whole number from 1 to 1024"),
        ("HOST_WORKERS", "2.5", "a whole number from 1 to 1024"),
        ("HOST_IO_DRIVER", "kqueue", "one of auto, io_uring, epoll"),
        ("HOST_IO_DRIVER", "iouring", "did you mean \"io_uring\""),
        ("HOST_IO_DRIVER", "EPOL", "did you mean \"epoll\""),
        ("HOST_DRAIN_SECONDS", "10s", "a whole number from 0 to 3600"),
        ("FEATURE_RETAIN_SECONDS", "forever", "a whole number from 0 to 31536000"),
        ("FEATURE_RETAIN_MAX_BYTES", "1GiB", "a whole number from 0"),
        ("HOST_ROOT_REDIRECT", "https://elsewhere.example/", "a path on this host"),
        ("HOST_ROOT_REDIRECT", "//elsewhere.example/", "a path on this host"),
        ("HOST_ROOT_REDIRECT", "/\\elsewhere.example/", "a path on this host"),
        ("HOST_ROOT_REDIRECT", "patients", "a path on this host"),
        ("FEATURE_ALLOW_INSECURE_DEV_KEYS", "2", "1, true, yes or on; 0, false, no or off"),
        ("FEATURE_REMOTE_INDEX_URL", "ftp://cdn.example/", "an http or https URL"),
        ("RPC_MAX_BODY_BYTES", "lots", "a whole number from 1 to 1073741824"),
        ("TRUST_PROXY_HEADERS", "perhaps", "1, true, yes or on; 0, false, no or off"),
    ] {
        let output = Setup::of(&tree).with(name, value).ends();
        assert_refused(&output, WRONG_USE, &[name, value, allowed, "config-bad-value"]);
    }
}

#[test]
fn every_variable_that_takes_no_free_text_refuses_nonsense() {
    let tree = Tree::new();
    let free = |kind| matches!(kind, Kind::Text | Kind::Path | Kind::Secret | Kind::SecretPairs);
    let strict = VARIABLES.iter().filter(|variable| !free(variable.kind));
    for variable in strict {
        let output = Setup::of(&tree).with(variable.name, "no such thing").ends();
        let allowed = variable.kind.allowed();
        assert_refused(
            &output,
            WRONG_USE,
            &[variable.name, "no such thing", &allowed, "config-bad-value"],
        );
    }
}

#[test]
fn a_token_that_can_be_guessed_is_refused_and_a_short_one_is_said() {
    let tree = Tree::new();
    let token = |token: &str| Setup::of(&tree).with("ADMIN_AUTH_TOKEN", token);
    let refused = token("fifteen-letters").ends();
    assert_refused(&refused, WRONG_USE, &["ADMIN_AUTH_TOKEN", "at least 16", "openssl rand"]);
    assert!(!String::from_utf8(refused.stderr).unwrap().contains("fifteen"));
    let (_, log) = token("sixteen--letters").start().stop();
    assert!(log.contains("ADMIN_AUTH_TOKEN has 16 characters"), "{log}");
    let (_, log) = token(&"x".repeat(32)).start().stop();
    assert!(!log.contains("ADMIN_AUTH_TOKEN"), "{log}");
}

#[test]
fn a_near_miss_is_refused_with_the_name_that_was_meant() {
    let tree = Tree::new();
    for (name, meant) in [
        ("FEATURE_REMOTE_POL_MS", "FEATURE_REMOTE_POLL_MS"),
        ("ARTIFACT_DIR", "ARTIFACTS_DIR"),
        ("HOT_REFRESH_WACTH", "HOT_REFRESH_WATCH"),
        ("host_workers", "HOST_WORKERS"),
        ("FEATURE_TRUSTED_PUBLIC_KEYS_PATH", "FEATURE_TRUST_PUBLIC_KEYS_PATH"),
    ] {
        let output = Setup::of(&tree).with(name, "1").ends();
        assert_refused(&output, WRONG_USE, &[name, meant, "config-near-miss"]);
    }
}

#[test]
fn what_a_cluster_injects_and_what_is_not_in_use_yet_is_said_once_and_stops_nothing() {
    let tree = Tree::new();
    let host = Setup::of(&tree)
        .with("FEATURE_BADGE_SERVICE_HOST", "10.0.0.1")
        .with("KUBERNETES_SERVICE_HOST", "10.0.0.2")
        .with("HOSTNAME", "pod-1")
        .with("FEATURE_SIGNING_KEY_ID", "release")
        .with("RPC_AUTH_TOKEN", "a token that nobody should read")
        .with("HOST_ADMIN_PORT", "0")
        .start();
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    let lines = |name: &str| log.lines().filter(|line| line.contains(name)).count();
    assert_eq!(lines("FEATURE_BADGE_SERVICE_HOST"), 1, "{log}");
    assert_eq!(
        lines("RPC_AUTH_TOKEN is set, but this version of the host does not act on it yet"),
        1,
        "{log}"
    );
    assert_eq!(lines("HOST_ADMIN_PORT is set, but nothing listens there"), 1, "{log}");
    for silent in
        ["KUBERNETES_SERVICE_HOST", "HOSTNAME", "FEATURE_SIGNING_KEY_ID", "nobody should read"]
    {
        assert_eq!(lines(silent), 0, "{silent}: {log}");
    }
    assert!(!log.contains('\u{1b}'), "colours are for terminals: {log}");
}

#[test]
fn an_empty_value_counts_as_unset() {
    let tree = Tree::new();
    let mut setup = Setup::of(&tree);
    for variable in VARIABLES {
        let given = [
            "ARTIFACTS_DIR",
            "FEATURE_TRUST_PUBLIC_KEYS_JSON",
            "HOST_BIND",
            "PORT",
            "HOST_DRAIN_SECONDS",
        ];
        if !given.contains(&variable.name) {
            setup = setup.with(variable.name, " ");
        }
    }
    assert_eq!(setup.start().get("/_health").status, 200);
    let unset = Setup::of(&tree).with("FEATURE_TRUST_PUBLIC_KEYS_JSON", "").ends();
    assert_refused(&unset, WRONG_USE, &["config-no-trusted-keys"]);
}

#[test]
fn without_a_key_it_does_not_start() {
    let tree = Tree::new();
    let with_keys = |keys: &str| Setup::of(&tree).with("FEATURE_TRUST_PUBLIC_KEYS_JSON", keys);
    let none = Setup::of(&tree).without("FEATURE_TRUST_PUBLIC_KEYS_JSON").ends();
    let both = ["FEATURE_TRUST_PUBLIC_KEYS_PATH", "FEATURE_TRUST_PUBLIC_KEYS_JSON"];
    assert_refused(&none, WRONG_USE, &[both[0], both[1], "config-no-trusted-keys"]);
    let two = Setup::of(&tree).with("FEATURE_TRUST_PUBLIC_KEYS_PATH", "keys.json").ends();
    assert_refused(&two, WRONG_USE, &[both[0], both[1], "config-both-set"]);

    let origin = "FEATURE_TRUST_PUBLIC_KEYS_JSON";
    assert_refused(&with_keys("{}").ends(), FAILED, &[origin, "keys-empty"]);
    assert_refused(&with_keys("release=abc").ends(), FAILED, &[origin, "json-syntax"]);
    assert_refused(
        &with_keys(r#"{"a": "AAAA"}"#).ends(),
        FAILED,
        &[origin, "\"a\"", "32 (raw)", "key-malformed"],
    );
    let twice = format!(r#"{{"a": "{0}", "a": "{0}"}}"#, signing_key(RELEASE).public_key_base64());
    assert_refused(&with_keys(&twice).ends(), FAILED, &[origin, "json-duplicate-key"]);
    let zero = json!({ "a": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" }).to_string();
    assert_refused(&with_keys(&zero).ends(), FAILED, &[origin, "key-weak"]);

    let from = |path: &Path| {
        Setup::of(&tree)
            .without("FEATURE_TRUST_PUBLIC_KEYS_JSON")
            .with("FEATURE_TRUST_PUBLIC_KEYS_PATH", path)
    };
    let file = tree.outside("keys.json");
    let name = file.display().to_string();
    assert_refused(
        &from(&file).ends(),
        FAILED,
        &["FEATURE_TRUST_PUBLIC_KEYS_PATH", &name, "keys-unreadable"],
    );
    fs::write(&file, "[]").unwrap();
    assert_refused(&from(&file).ends(), FAILED, &[&name, "json-not-an-object"]);
    fs::write(&file, tree.trusted_keys()).unwrap();
    assert_eq!(from(&file).start().get("/_health").status, 200);
}

#[test]
fn every_form_of_a_key_is_read() {
    let tree = Tree::new();
    tree.publish(&Version::facet("badge", "1.0.0"));
    let key = signing_key(RELEASE);
    let pem = key.public_key_pem().unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    for form in [
        json!(pem),
        json!(der),
        json!(key.public_key_base64()),
        json!({ "publicKey": der, "features": ["bad*"], "notAfter": "2999-01-01T00:00:00Z" }),
    ] {
        let keys = json!({ RELEASE: form }).to_string();
        let host = Setup::of(&tree).with("FEATURE_TRUST_PUBLIC_KEYS_JSON", keys).start();
        assert_eq!(host.serving("badge").as_deref(), Some("1.0.0"), "{form}");
    }
}

#[test]
fn a_dev_key_counts_only_where_it_is_asked_for_and_never_in_production() {
    let tree = Tree::new();
    tree.publish(&Version::facet("badge", "1.0.0"));
    let dev = pilar_artifact::SigningKey::from_seed("dev-laptop", &[3; 32]);
    tree.edit_manifest("badge", "1.0.0", &dev, |_| ());
    tree.edit_index("badge", &dev, |_| ());
    let only_dev = json!({ "dev-laptop": dev.public_key_base64() }).to_string();
    let also_dev = json!({ "dev-laptop": dev.public_key_base64(), STRANGER: signing_key(STRANGER).public_key_base64() });
    let with = |keys: &str| Setup::of(&tree).with("FEATURE_TRUST_PUBLIC_KEYS_JSON", keys);
    let allow = "FEATURE_ALLOW_INSECURE_DEV_KEYS";

    assert_refused(&with(&only_dev).ends(), FAILED, &["keys-only-dev", allow]);
    let host = with(&only_dev).with(allow, "1").start();
    assert_eq!(host.serving("badge").as_deref(), Some("1.0.0"));
    drop(host);
    let production = with(&only_dev).with(allow, "1").with("NODE_ENV", "production").ends();
    assert_refused(&production, FAILED, &["keys-only-dev"]);
    // What is nearly production must not be development.
    for near in ["Production", "prod", "PRODUCTION", "producton"] {
        let refused = with(&only_dev).with(allow, "1").with("NODE_ENV", near).ends();
        assert_refused(&refused, WRONG_USE, &["NODE_ENV", near, "config-bad-value"]);
    }

    for setup in [
        with(&also_dev.to_string()),
        with(&also_dev.to_string()).with(allow, "1").with("NODE_ENV", "production"),
    ] {
        let host = setup.start();
        assert_eq!(host.health("badge")["index"]["refused"]["code"], "key-unknown");
        let (_, log) = host.stop();
        assert!(log.contains("dev-key-refused") && log.contains("dev-laptop"), "{log}");
    }
}

#[test]
fn production_refuses_what_is_for_development_and_logs_for_machines() {
    let tree = Tree::new();
    let open =
        Setup::of(&tree).with("NODE_ENV", "production").with("ALLOW_UNAUTHENTICATED_ADMIN", "true");
    let words =
        ["ALLOW_UNAUTHENTICATED_ADMIN", "NODE_ENV", "production", "config-refused-in-production"];
    assert_refused(&open.ends(), WRONG_USE, &words);

    let (_, log) = Setup::of(&tree).with("NODE_ENV", "production").start().stop();
    assert!(log.lines().count() > 2, "{log}");
    for line in log.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

#[test]
fn a_missing_artifacts_directory_is_named_with_what_to_do() {
    let tree = Tree::new();
    let missing = tree.outside("missing");
    let output = Setup::of(&tree).with("ARTIFACTS_DIR", &missing).ends();
    assert_refused(
        &output,
        FAILED,
        &["ARTIFACTS_DIR", &missing.display().to_string(), "create it"],
    );
    let file = tree.outside("file");
    fs::write(&file, "").unwrap();
    let output = Setup::of(&tree).with("ARTIFACTS_DIR", &file).ends();
    assert_refused(&output, FAILED, &["ARTIFACTS_DIR", &file.display().to_string()]);
}

#[test]
fn a_busy_port_is_named_even_where_its_holder_would_share_it() {
    let tree = Tree::new();
    let refused = |port: u16| {
        let output = Setup::of(&tree).with("PORT", port.to_string()).ends();
        assert_refused(&output, FAILED, &[&format!("127.0.0.1:{port}"), "set PORT", "port-in-use"]);
    };
    let alone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    refused(alone.local_addr().unwrap().port());

    let sharing = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    sharing.set_reuse_port(true).unwrap();
    sharing.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    sharing.listen(1).unwrap();
    refused(sharing.local_addr().unwrap().as_socket().unwrap().port());

    let host = Setup::of(&tree).start();
    refused(host.port);
    assert_eq!(host.get("/_health").status, 200, "the first one goes on");
    let admin = |port: u16| {
        let setup = Setup::of(&tree).with("ALLOW_UNAUTHENTICATED_ADMIN", "1");
        setup.with("HOST_ADMIN_PORT", port.to_string())
    };
    let words = [&format!("127.0.0.1:{}", host.port), "set HOST_ADMIN_PORT", "port-in-use"];
    assert_refused(&admin(host.port).ends(), FAILED, &words);
    let same = admin(host.port).with("PORT", host.port.to_string()).ends();
    assert_refused(&same, WRONG_USE, &["HOST_ADMIN_PORT", "other than that of PORT"]);
    let elsewhere = Setup::of(&tree).with("HOST_BIND", "192.0.2.1").ends();
    assert_refused(&elsewhere, FAILED, &["192.0.2.1", "address-not-available"]);
}

#[test]
fn its_arguments_are_few_and_an_unknown_one_is_wrong_use() {
    for (argument, expected) in [
        ("--version", "pilar-host "),
        ("-V", "pilar-host "),
        ("--help", "ARTIFACTS_DIR"),
        ("-h", "PORT"),
    ] {
        let output = Setup::bare().argument(argument).ends();
        assert_eq!(output.status.code(), Some(0), "{argument}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(expected), "{argument}");
    }
    for argument in ["--port", "serve", ""] {
        let output = Setup::bare().argument(argument).ends();
        assert_refused(&output, WRONG_USE, &[&format!("\"{argument}\""), "--help"]);
    }
    let not_text = Setup::bare().argument(OsStr::from_bytes(b"\xff\xfe")).ends();
    assert_refused(&not_text, WRONG_USE, &["--help"]);
    let too_many = Setup::bare().argument("--version").argument("now").ends();
    assert_refused(&too_many, WRONG_USE, &["\"now\"", "--help"]);
}

#[test]
fn every_default_is_a_value_that_is_allowed() {
    let tree = Tree::new();
    let mut setup = Setup::of(&tree);
    let given = ["ARTIFACTS_DIR", "PORT"];
    for variable in VARIABLES.iter().filter(|variable| !given.contains(&variable.name)) {
        if let Some(default) = variable.default {
            setup = setup.with(variable.name, default);
        }
    }
    let host = setup.start();
    assert_eq!(host.get("/_health").status, 200);
    let active = VARIABLES.iter().filter(|variable| variable.state == State::Active).count();
    assert!(active > 10, "the table has lost its content");
}
