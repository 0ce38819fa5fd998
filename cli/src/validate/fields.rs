//! Fields that nobody reads but that are nearly called like one that somebody does.

use pilar_artifact::{Manifest, SourceManifest};
use schemars::schema_for;
use serde_json::{Map, Value};

use crate::finding::Finding;
use crate::subject::Subject;

/// Shorter names have too many neighbours to guess at.
const SHORTEST_GUESS: usize = 4;
/// Names up to this length may differ by one keystroke, longer ones by two.
const SHORT: usize = 6;

/// Unknown fields are allowed and carried along (contract §3), so a misspelt one changes nothing, silently.
pub(super) fn check(subject: &Subject) -> Vec<Finding> {
    let root = if subject.is_source { schema_for!(SourceManifest) } else { schema_for!(Manifest) };
    let root = root.to_value();
    let mut walk = Walk { root: &root, subject, findings: Vec::new() };
    walk.object(&root, &subject.document, "");
    walk.findings
}

struct Walk<'a> {
    root: &'a Value,
    subject: &'a Subject,
    findings: Vec<Finding>,
}

impl<'a> Walk<'a> {
    fn object(&mut self, schema: &'a Value, object: &Map<String, Value>, path: &str) {
        let Some(known) = schema.get("properties").and_then(Value::as_object) else {
            // A map: each value has the same shape.
            let Some(each) = schema.get("additionalProperties") else { return };
            for (name, value) in object {
                self.value(each, value, &join(path, name));
            }
            return;
        };
        for (name, value) in object {
            match known.get(name) {
                Some(schema) => self.value(schema, value, &join(path, name)),
                None => self.unknown(known, object, &join(path, name), name),
            }
        }
    }

    fn value(&mut self, schema: &'a Value, value: &Value, path: &str) {
        match value {
            Value::Object(object) => {
                if let Some(schema) = self.shape(schema, "object") {
                    self.object(schema, object, path);
                }
            }
            Value::Array(items) => {
                let each = self.shape(schema, "array").and_then(|schema| schema.get("items"));
                for (number, item) in items.iter().enumerate() {
                    let Some(each) = each else { return };
                    self.value(each, item, &format!("{path}[{number}]"));
                }
            }
            _ => {}
        }
    }

    /// The part of a schema that is about objects or arrays, behind references and alternatives.
    fn shape(&self, schema: &'a Value, kind: &str) -> Option<&'a Value> {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.shape(self.root.pointer(reference.strip_prefix('#')?)?, kind);
        }
        if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
            return alternatives.iter().find_map(|one| self.shape(one, kind));
        }
        let is_kind = match schema.get("type")? {
            Value::String(name) => name == kind,
            Value::Array(names) => names.iter().any(|name| name == kind),
            _ => false,
        };
        is_kind.then_some(schema)
    }

    fn unknown(
        &mut self,
        known: &Map<String, Value>,
        beside: &Map<String, Value>,
        path: &str,
        name: &str,
    ) {
        // Whoever has the real field too knows how it is called.
        let missing = known.keys().filter(|known| !beside.contains_key(*known));
        let Some(nearest) = nearest(name, missing) else { return };
        let id = self.subject.id();
        let message =
            format!("{id} has a field {path}, which nobody reads; did you mean {nearest}?");
        let remedy = format!("call it {nearest}, or choose a name that nobody mistakes for it");
        let finding = Finding::warn("field-near-miss", message, remedy);
        self.findings.push(finding.at(self.subject.place(), path));
    }
}

fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k String>) -> Option<&'k String> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
    let name = plain(name);
    let allowed = if name.len() <= SHORT { 1 } else { 2 };
    known
        .filter(|known| known.len().min(name.len()) >= SHORTEST_GUESS)
        .map(|known| (strsim::damerau_levenshtein(&plain(known), &name), known))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, known)| known)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
