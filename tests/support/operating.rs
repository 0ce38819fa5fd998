//! What is made for Prometheus and Grafana, held against what a host has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::metrics::Family;

/// The rules.
pub(crate) const ALERTS: &str = "charts/favn-host/files/alerts.yaml";

/// Metrics that Prometheus itself makes.
const OF_PROMETHEUS: [&str; 1] = ["up"];

/// A file of the repository.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the repository.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names of metrics in an expression. They all have a prefix, but for those of Prometheus.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    // What is quoted is no name.
    let bare: String = expression.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = bare.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_metric = |word: &&str| {
        word.starts_with("pilar_") || word.starts_with("process_") || OF_PROMETHEUS.contains(word)
    };
    words.filter(is_metric).map(str::to_owned).collect()
}

/// Names of labels that are matched in an expression or grouped by, beside those of the target.
fn labels_in(expression: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    let bare: Vec<&str> = expression.split('"').collect();
    for part in bare.iter().step_by(2) {
        if let Some(start) = part.strip_suffix(['=', '~']) {
            let start = start.trim_end_matches(['=', '!']);
            labels.extend(start.rsplit(['{', ',']).next().map(|name| name.trim().to_owned()));
        }
    }
    let joined = bare.iter().step_by(2).copied().collect::<String>();
    for (at, _) in joined.match_indices("by (").chain(joined.match_indices("on (")) {
        let names = joined[at + 4..].split(')').next().unwrap();
        labels.extend(names.split(',').map(|name| name.trim().to_owned()));
    }
    let of_target = ["job", "instance", "namespace", "pod", "le", ""];
    labels.retain(|name| !of_target.contains(&name.as_str()));
    labels
}

/// Every metric that an expression names is one of the host, and so is each label.
#[track_caller]
pub(crate) fn assert_is_known(what: &str, expression: &str, host: &[Family]) {
    let named = metrics_in(expression);
    assert!(!named.is_empty(), "{what} names no metric: {expression}");
    let mut labels: BTreeSet<&str> = BTreeSet::new();
    for metric in named.iter().filter(|name| !OF_PROMETHEUS.contains(&name.as_str())) {
        let found = host.iter().find(|family| {
            let parts = ["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", family.name));
            match family.kind.as_str() {
                "histogram" => parts.contains(metric),
                _ => family.name == *metric,
            }
        });
        let found = found.unwrap_or_else(|| panic!("{what}: the host has no {metric}"));
        labels.extend(found.labels.iter().map(String::as_str));
    }
    for label in labels_in(expression) {
        assert!(labels.contains(label.as_str()), "{what}: no label {label} in {expression}");
    }
}
