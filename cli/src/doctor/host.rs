//! A host that runs.

use jiff::SignedDuration;
use jiff::fmt::rfc2822::DateTimeParser;
use pilar_artifact::text::for_people;
use serde_json::Value;

use crate::environment::Environment;
use crate::finding::Finding;
use crate::http::{Client, Reply, unreachable};
use crate::inspect::{MAX_HEALTH_BYTES, parse_health};

/// A refusal of `/_ready` is a sentence.
const MAX_READY_BYTES: u64 = 64 * 1024;
/// More than a slow network explains.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

pub(super) fn check(url: &str, environment: &Environment) -> Vec<Finding> {
    let client = Client::new();
    let place = format!("{url}/_health");
    let reply = match client.get(&place, MAX_HEALTH_BYTES) {
        Ok(reply) => reply,
        Err(error) => return vec![Finding::from(unreachable(&error, &place))],
    };
    vec![health(&reply, &place), clock(&reply, environment), ready(&client, url)]
}

fn health(reply: &Reply, place: &str) -> Finding {
    let Some(health) = parse_health(&reply.body).filter(|_| reply.status == 200) else {
        let message = format!("it answers {}, and not as a host does", reply.status);
        return Finding::fail("host-health", message, "name the address of a host").file(place);
    };
    let text =
        |value: Option<&Value>| for_people(value.and_then(Value::as_str).unwrap_or("unknown"));
    let host = health.get("host");
    let of_host = |field| text(host.and_then(|host| host.get(field)));
    let (status, summary) = (text(health.get("status")), text(health.get("summary")));
    let facts = format!("{} on {}: {summary}", of_host("version"), of_host("driver"));
    if status == "ok" {
        return Finding::ok("host-health", facts);
    }
    let remedy = "`pilar inspect` with this address shows each feature, why, and what to do";
    Finding::fail("host-health", format!("{status}, {facts}"), remedy).file(place)
}

fn ready(client: &Client, url: &str) -> Finding {
    let place = format!("{url}/_ready");
    match client.get(&place, MAX_READY_BYTES) {
        Ok(reply) if reply.status == 200 => Finding::ok("host-ready", "it takes traffic"),
        Ok(reply) => {
            let said = String::from_utf8_lossy(&reply.body).into_owned();
            let message = format!("it answers {}: {}", reply.status, for_people(said.trim()));
            let remedy = "it is starting or draining, or its sentinel is missing; see its log";
            Finding::fail("host-ready", message, remedy).file(place)
        }
        Err(error) => Finding::from(unreachable(&error, &place)),
    }
}

/// Which of two clocks is wrong cannot be told from here, only that one is.
fn clock(reply: &Reply, environment: &Environment) -> Finding {
    let parser = DateTimeParser::new();
    let theirs = reply.header("date").and_then(|date| parser.parse_timestamp(date).ok());
    let Some(theirs) = theirs else {
        return Finding::skipped("host-clock", "the answer has no date");
    };
    let apart = theirs.duration_since(environment.now()).abs();
    if apart < CLOCK_SLACK {
        return Finding::ok("host-clock", "the clocks of the host and of this machine agree");
    }
    let message = format!("the host says {theirs}, {} s apart from this machine", apart.as_secs());
    let remedy = "set both clocks by NTP: they decide when keys end";
    Finding::warn("host-clock", message, remedy)
}
