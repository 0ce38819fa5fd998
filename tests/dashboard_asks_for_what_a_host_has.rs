//! The dashboard of `charts/favn-host/files` asks for what a host has, in a form that Grafana and Prometheus read.
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

use serde_json::{Map, Value};
use support::metrics::{TOKEN, families, host_with_every_metric, scrape};
use support::operating::{ALERTS, assert_is_known, text};
use support::prometheus::Prometheus;
use support::tree::Tree;

const DASHBOARD: &str = "charts/favn-host/files/dashboard.json";

/// The expressions of a panel or of an annotation, with the variables of Grafana filled in.
fn expression(field: &Value) -> String {
    let text = field.as_str().unwrap();
    let text = text.replace("$__rate_interval", "5m");
    let filled = text.replace("$namespace", ".*").replace("$pod", ".*");
    assert!(!filled.contains('$'), "a variable that Grafana does not know: {filled}");
    filled
}

fn assert_is_from_the_chosen_source(what: &str, field: &Value) {
    assert_eq!(field["datasource"]["uid"], "${datasource}", "{what}");
    assert_eq!(field["datasource"]["type"], "prometheus", "{what}");
}

#[test]
fn the_dashboard_asks_for_what_a_host_has() {
    let tree = Tree::new();
    let host = host_with_every_metric(&tree);
    let families = families(&scrape(&host));
    let prometheus = Prometheus::start(&text(ALERTS), &host, TOKEN);
    prometheus.wait_until_read();
    let dashboard: Map<String, Value> = serde_json::from_str(&text(DASHBOARD)).unwrap();
    let list = |value: &Value| value["list"].as_array().unwrap().clone();
    let variables: BTreeMap<String, Value> = list(&dashboard["templating"])
        .into_iter()
        .map(|variable| (variable["name"].as_str().unwrap().to_owned(), variable))
        .collect();
    let names: Vec<&str> = variables.keys().map(String::as_str).collect();
    assert_eq!(names, ["datasource", "namespace", "pod"]);
    assert_eq!(variables["datasource"]["type"], "datasource");
    for annotation in list(&dashboard["annotations"]) {
        let what = annotation["name"].as_str().unwrap();
        assert_is_from_the_chosen_source(what, &annotation);
        let expression = expression(&annotation["expr"]);
        assert_is_known(what, &expression, &families);
        prometheus.query(&expression);
    }
    let mut ids = BTreeSet::new();
    let mut places = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let what = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{what}: an id twice");
        let place = ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_u64().unwrap());
        let [x, y, width, height] = place;
        assert!(width > 0 && height > 0 && x + width <= 24, "{what} lies outside");
        for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(places.insert(cell), "{what} lies on another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert_is_from_the_chosen_source(what, panel);
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{what}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{what} has no unit");
        let targets = panel["targets"].as_array().unwrap();
        let mut names = BTreeSet::new();
        assert!(!targets.is_empty(), "{what} asks for nothing");
        for target in targets {
            assert!(names.insert(target["refId"].as_str().unwrap()), "{what}: a refId twice");
            assert_is_from_the_chosen_source(what, target);
            let expression = expression(&target["expr"]);
            assert_is_known(what, &expression, &families);
            // The host of this test has a sample of everything, so that only a ratio or a rate may have none.
            let found = prometheus.query(&expression);
            assert!(!found.is_empty() || expression.contains("[5m]"), "{what}: {expression}");
        }
    }
}
