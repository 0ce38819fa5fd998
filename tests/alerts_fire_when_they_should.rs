//! Whoever is on call is woken by what is wrong and by nothing else, and finds what to do: each alert of
//! `charts/favn-host/files` speaks of metrics that a host has, fires when it should and no other does (`tests/alerts`), and
//! has its section in `docs/operations.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::collections::BTreeSet;

use pilar_host::catalog::IndexTrouble;
use serde_json::Value;
use support::load::debian_program;
use support::metrics::{TOKEN, families, host_with_every_metric, refresh, scrape};
use support::operating::{ALERTS, assert_is_known, file, text};
use support::prometheus::Prometheus;
use support::tree::{Tree, Version};
use support::wait_for;

const TRIED: &str = "tests/alerts/alerts.test.yaml";

/// What promtool says to these arguments, which is to be nothing but success.
fn promtool(arguments: &[&str], path: &str) {
    let output =
        debian_program("/usr/bin/promtool").args(arguments).arg(file(path)).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.contains("SUCCESS"), "{said}");
}

#[test]
fn each_fires_when_it_should_and_no_other_does() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], ALERTS);
    promtool(&["test", "rules"], TRIED);
}

/// Labels that a text of an alert shows.
fn shown(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split("$labels.").skip(1);
    names.map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap())
}

#[test]
fn each_is_tried_has_its_section_and_speaks_of_metrics_that_a_host_has() {
    let tree = Tree::new();
    let host = host_with_every_metric(&tree);
    let families = families(&scrape(&host));
    let prometheus = Prometheus::start(&text(ALERTS), &host, TOKEN);
    let (tried, runbook) = (text(TRIED), text("docs/operations.md"));
    let alerts = prometheus.alerting_rules();
    assert!(!alerts.is_empty());
    let mut sections: BTreeSet<&str> =
        runbook.lines().filter_map(|line| line.strip_prefix("### Pilar")).collect();
    for alert in &alerts {
        let name = alert["name"].as_str().unwrap();
        assert_is_known(name, alert["query"].as_str().unwrap(), &families);
        assert!(sections.remove(name.strip_prefix("Pilar").unwrap()), "{name} has no section");
        let notes = &alert["annotations"];
        let anchor = format!("docs/operations.md#{}", name.to_lowercase());
        assert_eq!(notes["runbook_url"], anchor);
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        let start = format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\"");
        let fired = tried.lines().find(|line| line.contains(&start));
        let fired = fired.unwrap_or_else(|| panic!("{TRIED} never lets {name} fire"));
        for field in ["summary", "description"] {
            let words = notes[field].as_str().unwrap();
            for label in shown(words) {
                assert!(fired.contains(&format!(",{label}=\"")), "{name} has no label {label}");
            }
        }
    }
    assert_eq!(sections, BTreeSet::new(), "sections without an alert");
}

#[test]
fn what_is_called_tampering_are_codes_of_refusals() {
    let text = text(ALERTS);
    let lists: Vec<&str> =
        text.split("{code").skip(1).map(|rest| rest.split('"').nth(1).unwrap()).collect();
    assert_eq!(lists.len(), 3, "the alerts on refused bytes, on those that passed, on the others");
    assert!(lists.iter().all(|list| *list == lists[0]), "{lists:?}");
    for pattern in lists[0].split('|') {
        let start = pattern.trim_end_matches(".+");
        let known = IndexTrouble::codes().any(|code| match start == pattern {
            true => code == pattern,
            false => code.starts_with(start) && code.len() > start.len(),
        });
        assert!(known, "{pattern} is no code");
    }
}

#[test]
fn an_altered_file_reaches_whoever_is_on_call() {
    let tree = Tree::new();
    let host = host_with_every_metric(&tree);
    // As it is, but for what takes minutes.
    let at_once: String = text(ALERTS)
        .lines()
        .filter(|line| !line.trim_start().starts_with("for: "))
        .map(|line| format!("{line}\n"))
        .collect();
    let prometheus = Prometheus::start(&at_once, &host, TOKEN);
    let alert = wait_for("the alert", || {
        let firing = prometheus.alerts().into_iter();
        firing
            .filter(|alert| alert["state"] == "firing")
            .find(|alert| alert["labels"]["alertname"] == "PilarIntegrityRefused")
    });
    assert_eq!(alert["labels"]["feature"], "notes");
    assert_eq!(alert["labels"]["code"], "file-hash");
    assert_eq!(alert["annotations"]["summary"], "notes: file-hash, possible tampering");
    let names = |alerts: Vec<Value>| -> BTreeSet<String> {
        let names = alerts.iter().map(|alert| &alert["labels"]["alertname"]);
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    // The loader of this host is silent and behind.
    for name in ["PilarFallbackServing", "PilarLoaderBehind", "PilarLoaderSilent"] {
        wait_for(name, || names(prometheus.alerts()).contains(name).then_some(()));
    }
    tree.publish(&Version::domain("notes", "1.3.0", "/notes"));
    refresh(&host);
    wait_for("the end of the alert", || {
        let firing = names(prometheus.alerts());
        let is_over = |name: &str| !firing.contains(name);
        (is_over("PilarIntegrityRefused") && is_over("PilarFallbackServing")).then_some(())
    });
}
