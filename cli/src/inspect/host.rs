//! What a running host says of itself in `/_health` (contract §7).

use pilar_artifact::Limits;
use pilar_artifact::json::parse_object;
use pilar_artifact::text::for_people;
use pilar_artifact::verify::Report;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::show;
use super::view::{FeatureView, checks_json};
use crate::http::{Client, unreachable};
use crate::problem::{Outcome, Problem};
use crate::ui::{Tone, Ui};

/// The health of many features with many versions each is a few megabytes.
pub(crate) const MAX_HEALTH_BYTES: u64 = 32 * 1024 * 1024;

/// Asks for `/_health`; `None` where whoever answers is no host.
pub(super) fn ask(client: &Client, url: &str) -> Result<Option<Map<String, Value>>, Problem> {
    let health = format!("{url}/_health");
    let reply = client.get(&health, MAX_HEALTH_BYTES);
    let reply = reply.map_err(|error| unreachable(&error, &health))?;
    Ok(if reply.status == 200 { parse(&reply.body) } else { None })
}

/// Reads the answer to `/_health`; `None` where it is none.
pub(crate) fn parse(body: &[u8]) -> Option<Map<String, Value>> {
    let limits = Limits { json_bytes: MAX_HEALTH_BYTES, ..Limits::default() };
    let health = parse_object(body, &limits).ok()?;
    let is_health = ["status", "host", "features"].iter().all(|field| health.contains_key(*field));
    is_health.then_some(health)
}

/// Shows the reason tree of a host.
pub(super) fn show(url: &str, mut health: Map<String, Value>, ui: &Ui) -> Result<Outcome, Problem> {
    let text = |value: &Value, field: &str| {
        for_people(value.get(field).and_then(Value::as_str).unwrap_or("unknown"))
    };
    let host = health.get("host").cloned().unwrap_or_default();
    let snapshot = health.get("snapshot").cloned().unwrap_or_default();
    let (version, driver) = (text(&host, "version"), text(&host, "driver"));
    ui.line(format!("{} {url}", ui.paint(Tone::Strong, "host")));
    ui.line(format!("  version {version} on {driver}, snapshot {}", text(&snapshot, "id")));
    ui.line("");
    let mut problems = Vec::new();
    let mut count = 0;
    let features = health.get_mut("features").and_then(Value::as_array_mut);
    for described in features.into_iter().flatten() {
        let mut view = FeatureView::deserialize(&*described).map_err(|error| {
            let remedy = "ask a host of the version of this program";
            let message = format!("the answer of the host is not understood: {error}");
            Problem::new("health-malformed", message, remedy).file(url)
        })?;
        for version in &mut view.versions {
            version.checked = version.outcome.as_deref() == Some("serving");
        }
        show::feature(&view, ui);
        complete(described, &view);
        problems.extend(refusals(&view).map(|refusal| problem(url, refusal)));
        problems.extend(view.problems().map(|problem| problem.file(url)));
        count += 1;
    }
    let status = health.get("status").and_then(Value::as_str).unwrap_or("unknown");
    let summary = health.get("summary").and_then(Value::as_str).map(for_people).unwrap_or_default();
    if status != "ok" {
        let message = format!("the host is {status}: {summary}");
        let remedy = "see the features above; each names what to do";
        problems.push(Problem::new("host-degraded", for_people(&message), remedy).file(url));
    }
    let noun = if count == 1 { "feature" } else { "features" };
    let result = format!("{count} {noun}: {summary}.");
    health.insert("url".to_owned(), json!(url));
    Ok(Outcome { problems, problems_shown: true, ..Outcome::new(result, Value::Object(health)) })
}

/// Adds what came of each check, which `/_health` leaves for its reader to conclude.
fn complete(described: &mut Value, view: &FeatureView) {
    let set = |place: Option<&mut Value>, checks: Vec<Value>| {
        if let Some(map) = place.and_then(Value::as_object_mut) {
            map.insert("checks".to_owned(), Value::Array(checks));
        }
    };
    set(described.get_mut("index"), checks_json(&view.index_checks()));
    for (number, version) in view.versions.iter().enumerate() {
        let place = described.get_mut("versions").and_then(|versions| versions.get_mut(number));
        set(place, checks_json(&version.checks()));
    }
}

fn refusals(view: &FeatureView) -> impl Iterator<Item = &Report> {
    let versions = view.versions.iter().filter_map(|version| version.refusal());
    view.index.refused.iter().chain(versions)
}

fn problem(url: &str, refusal: &Report) -> Problem {
    let Report { code, step, check, file, message, remedy } = refusal;
    let message = for_people(&format!("step {step}, {check}: {message}"));
    Problem::new(&for_people(code), message, for_people(remedy)).file(format!("{url}, {file}"))
}
