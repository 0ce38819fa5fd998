//! `docs/metrics.md` lists every metric of a host with its labels, and no other. `UPDATE_DOCS=1` writes it anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;
use support::load::debian_program;
use support::metrics::{Family, families, guarded, host_with_every_metric, refresh, scrape};
use support::spoil;
use support::tree::{EXPIRED, RELEASE, Tree, Version};

const HEAD: &str = "\
# Metrics

What `/_admin/metrics` of a host says; how to read it and what to do about it is in [operations.md](operations.md). Each
host counts from its start. Times of day are seconds since 1970.

| metric | type | labels | what |
|---|---|---|---|
";

fn row(family: &Family) -> String {
    let labels: Vec<String> = family.labels.iter().map(|name| format!("`{name}`")).collect();
    let Family { name, kind, help, .. } = family;
    format!("| `{name}` | {kind} | {} | {} |\n", labels.join(", "), help.replace('|', "\\|"))
}

#[test]
fn every_metric_is_in_docs_metrics_md() {
    let tree = Tree::new();
    let host = host_with_every_metric(&tree);
    let families = families(&scrape(&host));
    for family in &families {
        assert!(family.has_samples, "the host of this test is to have a sample of {family:?}");
        assert!(family.help.ends_with('.') && !family.help.ends_with(".."), "{family:?}");
    }
    let page: String = families.iter().map(row).collect();
    let page = format!("{HEAD}{page}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(checked_in, page, "run this test with UPDATE_DOCS=1 and check in what it writes");
}

#[test]
fn promtool_has_nothing_to_say_of_names_types_and_units() {
    let tree = Tree::new();
    let host = host_with_every_metric(&tree);
    let text = older_format(&scrape(&host));
    let mut promtool = debian_program("/usr/bin/promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// The text format that was there before OpenMetrics: families have the names of their samples, and there is no unit,
/// no type `info` and no end.
fn older_format(text: &str) -> String {
    let kinds: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let line = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let (Some("#"), Some(what), Some(name), Some(rest)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return (line != "# EOF").then(|| format!("{line}\n"));
        };
        let (suffix, kind) = match kinds[name] {
            "counter" => ("_total", "counter"),
            "info" => ("_info", "gauge"),
            kind => ("", kind),
        };
        let rest = if what == "TYPE" { kind } else { rest };
        (what != "UNIT").then(|| format!("# {what} {name}{suffix} {rest}\n"))
    };
    text.lines().filter_map(line).collect()
}

/// The samples of a metric that have this text among their labels, with their values.
fn values(text: &str, start: &str) -> Vec<(String, f64)> {
    let samples = text.lines().filter(|line| line.starts_with(start));
    samples
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

fn code(sample: &str) -> String {
    sample.split_once("code=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

#[test]
fn every_refusal_is_counted_from_zero_and_named_while_it_lasts() {
    let tree = Tree::new();
    let host = guarded(&tree).start();
    let before = values(&scrape(&host), "pilar_verification_failures_total{");
    assert!(before.iter().all(|(_, count)| *count == 0.0), "{before:?}");
    let from_zero: BTreeSet<String> = before.iter().map(|(sample, _)| code(sample)).collect();
    for case in spoil::CASES {
        tree.publish(&case.version(spoil::GOOD));
        tree.publish(&case.version(spoil::BAD));
        (case.spoil)(&tree, case.id);
    }
    refresh(&host);
    let text = scrape(&host);
    for case in spoil::CASES {
        assert!(from_zero.contains(case.code), "{} begins at 1", case.code);
        let subject = if case.is_of_index() { "index" } else { "version" };
        let refused = format!(
            "pilar_verification_refused{{feature=\"{}\",subject=\"{subject}\",code=\"{}\"}} 1",
            case.id, case.code
        );
        assert!(text.lines().any(|line| line.starts_with(&refused)), "no {refused}: {text}");
    }
    let total = |text: &str| {
        let counts = values(text, "pilar_verification_failures_total{");
        counts.iter().map(|(_, count)| count).sum::<f64>()
    };
    assert_eq!(total(&text), spoil::CASES.len() as f64);
    for case in spoil::CASES {
        std::fs::remove_dir_all(tree.path(case.id)).unwrap();
    }
    refresh(&host);
    let text = scrape(&host);
    assert_eq!(values(&text, "pilar_verification_refused{"), []);
    assert_eq!(total(&text), spoil::CASES.len() as f64, "a counter never goes down");
}

#[test]
fn events_that_are_no_refusals_are_counted_from_zero() {
    let tree = Tree::new();
    let host = guarded(&tree).start();
    let codes = |text: &str| {
        let samples = values(text, "pilar_events_total{");
        samples.iter().map(|(sample, _)| code(sample)).collect::<BTreeSet<_>>()
    };
    let from_zero = codes(&scrape(&host));
    let notes = |version| Version::domain("notes", version, "/notes");
    tree.publish(&notes("1.0.0"));
    refresh(&host);
    let older = tree.index_bytes("notes");
    // A fallback, a recovery, an older index, a conflict, nothing to serve, the last good version, a removal.
    tree.place(&notes("1.1.0"));
    std::fs::write(tree.path("notes/1.1.0/entry.js"), "altered").unwrap();
    tree.release(&notes("1.1.0"));
    refresh(&host);
    tree.publish(&notes("1.2.0"));
    refresh(&host);
    tree.write_index("notes", &older);
    tree.publish(&Version::domain("other", "1.0.0", "/notes"));
    tree.publish(&Version::domain("broken", "1.0.0", "/broken"));
    std::fs::write(tree.path("broken/1.0.0/entry.js"), "altered").unwrap();
    refresh(&host);
    tree.write_index("notes", b"{}");
    std::fs::remove_dir_all(tree.path("broken")).unwrap();
    refresh(&host);
    // A look that fails, and one that does so no longer.
    std::fs::rename(tree.artifacts(), tree.outside("away")).unwrap();
    host.signal(Signal::HUP);
    support::wait_for("a look that fails", || {
        let failed = values(&scrape(&host), "pilar_problems{kind=\"refresh-failed\"}");
        (failed[0].1 == 1.0).then_some(())
    });
    std::fs::rename(tree.outside("away"), tree.artifacts()).unwrap();
    refresh(&host);
    let text = scrape(&host);
    for happened in [
        "serving",
        "recovered",
        "fell-back",
        "last-good",
        "nothing-to-serve",
        "prefix-conflict",
        "removed",
        "index-sequence-went-down",
        "snapshot-in-place",
        "artifacts-dir-unreadable",
        "refreshed-again",
    ] {
        let count = values(&text, &format!("pilar_events_total{{code=\"{happened}\"}}"));
        assert!(count[0].1 > 0.0, "{happened}: {text}");
    }
    assert_eq!(codes(&text), from_zero);
}

#[test]
fn what_health_calls_degraded_is_a_problem_and_nothing_else_is() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let host = guarded(&tree).start();
    let problems = || {
        let all = values(&scrape(&host), "pilar_problems{").into_iter();
        let some: Vec<String> =
            all.filter(|(_, count)| *count > 0.0).map(|(sample, _)| sample).collect();
        let is_ok = host.get("/_health").json()["status"] == "ok";
        assert_eq!(some.is_empty(), is_ok, "{some:?}");
        some
    };
    assert_eq!(problems(), Vec::<String>::new());
    tree.write_index("notes", b"{}");
    std::fs::create_dir(tree.path("Not_a_feature")).unwrap();
    refresh(&host);
    let both = ["pilar_problems{kind=\"last-good\"}", "pilar_problems{kind=\"ignored-name\"}"];
    assert_eq!(problems(), both);
    std::fs::rename(tree.artifacts(), tree.outside("away")).unwrap();
    host.signal(Signal::HUP);
    support::wait_for("a look that fails", || {
        problems().contains(&"pilar_problems{kind=\"refresh-failed\"}".to_owned()).then_some(())
    });
}

#[test]
fn samples_of_the_time_that_replies_take_are_a_histogram_of_each_feature() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let host = guarded(&tree).with("HOST_WORKERS", "1").start();
    // Each edge thread takes the time of one read in 16.
    for _ in 0..200 {
        assert_eq!(host.get("/notes").status, 200);
    }
    let text = scrape(&host);
    let of = |part: &str| values(&text, &format!("pilar_feature_sampled_duration_seconds_{part}"));
    let counts: Vec<f64> = of("bucket{").into_iter().map(|(_, count)| count).collect();
    assert!(counts.is_sorted(), "{text}");
    let (sum, count) = (of("sum{")[0].1, of("count{")[0].1);
    assert!(sum > 0.0 && count > 0.0 && count <= 200.0, "{sum} {count}");
    assert_eq!(counts.last(), Some(&count));
}

#[test]
fn a_host_says_whether_it_is_ready_watches_and_which_keys_it_needs() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let sentinel = tree.outside("ready");
    let host = guarded(&tree)
        .with("FEATURE_READY_SENTINEL_PATH", &sentinel)
        .with("HOT_REFRESH_WATCH", "1")
        .with("FEATURE_RETAIN_MAX_BYTES", "12345")
        .start();
    let has = |sample: &str| scrape(&host).lines().any(|line| line == sample);
    assert!(has("pilar_ready 0.0") && has("pilar_draining 0.0"));
    std::fs::write(&sentinel, "").unwrap();
    assert!(has("pilar_ready 1.0"));
    support::wait_for("the watch", || {
        has("pilar_watch_state{state=\"working\"} 1.0").then_some(())
    });
    assert!(has("pilar_watch_state{state=\"failed\"} 0.0"));
    assert!(has("pilar_retained_limit_bytes 12345.0"));
    for (key, features) in [(RELEASE, "1.0"), (EXPIRED, "0.0")] {
        assert!(has(&format!("pilar_trusted_key_features{{key=\"{key}\"}} {features}")), "{key}");
    }
    let text = scrape(&host);
    assert_eq!(values(&text, "pilar_loader_"), [], "there is no loader");
    let failed = "pilar_service_responses_total{route=\"/_admin/metrics\",class=\"5xx\"} 0";
    assert!(has(failed), "the first failure is to be seen by increase(): {text}");
    let looked = values(&text, "pilar_refresh_success_timestamp_seconds ")[0].1;
    assert!(looked >= values(&text, "process_start_time_seconds ")[0].1);
    assert!(values(&text, "process_resident_memory_bytes ")[0].1 > 1e6);
}

#[test]
fn registrations_that_the_loader_refuses_are_counted_by_code() {
    let tree = Tree::new();
    std::fs::create_dir(tree.path(".loader")).unwrap();
    let refused = |code: &str| format!(r#"{{ "place": "a", "error": {{ "code": "{code}" }} }}"#);
    let [one, other] = ["registration-image", "registration-syntax"].map(refused);
    let status = format!(r#"{{ "refused": [{one}, {other}, {one}] }}"#);
    std::fs::write(tree.path(".loader/status.json"), status).unwrap();
    let text = scrape(&guarded(&tree).start());
    let counted = values(&text, "pilar_loader_refused_registrations{");
    let counted: Vec<(String, f64)> =
        counted.into_iter().map(|(sample, count)| (code(&sample), count)).collect();
    let expected =
        [("registration-image".to_owned(), 2.0), ("registration-syntax".to_owned(), 1.0)];
    assert_eq!(counted, expected);
}

#[test]
fn words_of_a_file_that_nobody_signed_make_no_end_of_series() {
    let tree = Tree::new();
    std::fs::create_dir(tree.path(".loader")).unwrap();
    let refused = |code: String| json!({ "place": "a", "error": { "code": code } });
    let codes = (0..900).map(|number| format!("code-{number}"));
    let codes = codes.chain(["Free text, \"and\" more".to_owned(), "x".repeat(300), String::new()]);
    let status = json!({ "refused": codes.map(refused).collect::<Vec<_>>() });
    std::fs::write(tree.path(".loader/status.json"), status.to_string()).unwrap();
    let text = scrape(&guarded(&tree).start());
    let counted = values(&text, "pilar_loader_refused_registrations{");
    assert!(counted.len() <= 65, "{counted:?}");
    assert_eq!(counted.iter().map(|(_, count)| count).sum::<f64>(), 903.0);
    assert!(counted.iter().all(|(sample, _)| {
        let code = code(sample);
        code == "other" || code.starts_with("code-")
    }));
}

#[test]
fn a_loader_status_that_says_no_time_is_not_taken_for_a_recent_one() {
    let tree = Tree::new();
    std::fs::create_dir(tree.path(".loader")).unwrap();
    std::fs::write(tree.path(".loader/status.json"), "half a fi").unwrap();
    let host = guarded(&tree).start();
    let text = scrape(&host);
    assert_eq!(values(&text, "pilar_loader_contact_timestamp_seconds")[0].1, 0.0);
    assert_eq!(values(&text, "pilar_loader_source_contact_timestamp_seconds"), []);
    let unheard = r#"{ "updatedAt": "2026-01-01T00:00:00Z", "source": { "kind": "kubernetes" } }"#;
    std::fs::write(tree.path(".loader/status.json"), unheard).unwrap();
    let text = scrape(&host);
    assert!(values(&text, "pilar_loader_contact_timestamp_seconds")[0].1 > 0.0);
    assert_eq!(values(&text, "pilar_loader_source_contact_timestamp_seconds")[0].1, 0.0);
}
