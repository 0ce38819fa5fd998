//! Backends that features name in `infrastructure.services`.
//!
//! The contract has only their names. A name is documented when the file of `--services` says what it stands for:
//! then whoever operates the host knows what a feature will ask for before it does.

use std::collections::BTreeSet;
use std::path::Path;

use pilar_artifact::Limits;

use crate::documents::{parse, read_optional, unreadable};
use crate::finding::Finding;
use crate::problem::Problem;
use crate::subject::Subject;

const FIELD: &str = "infrastructure.services";

/// The documented backends, and the file that says so.
#[derive(Debug)]
pub(super) struct Documented {
    names: BTreeSet<String>,
    file: String,
}

/// Reads `{ "<name>": "<description>" }`, where a description may also be an object with a `description`.
pub(super) fn read(path: &Path) -> Result<Documented, Problem> {
    let limits = Limits::default();
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let bytes = read_optional(dir, name, limits.json_bytes)?
        .ok_or_else(|| unreadable(&pilar_artifact::verify::ReadError::Missing, path))?;
    let mut names = BTreeSet::new();
    for (name, value) in parse(&bytes, path, &limits)? {
        let description = value.get("description").unwrap_or(&value).as_str();
        if description.is_none_or(|text| text.trim().is_empty()) {
            let remedy = "write what the backend is and who runs it, as text";
            return Err(Problem::new("service-not-described", "it has no description", remedy)
                .file(path)
                .field(name));
        }
        names.insert(name);
    }
    Ok(Documented { names, file: path.display().to_string() })
}

/// The backends of one feature that nobody describes.
pub(super) fn check(subject: &Subject, documented: Option<&Documented>) -> Vec<Finding> {
    let infrastructure = subject.manifest.infrastructure.as_ref();
    let services = infrastructure.map_or(&[][..], |one| &one.services);
    let id = subject.id();
    let Some(documented) = documented else {
        let message = format!("{id} names {}, and no file says what they are", services.join(", "));
        let remedy = "give --services a file of name and description";
        let finding =
            Finding::warn("services-unchecked", message, remedy).at(subject.place(), FIELD);
        return if services.is_empty() { Vec::new() } else { vec![finding] };
    };
    let unknown = services.iter().enumerate().filter(|(_, name)| !documented.names.contains(*name));
    unknown
        .map(|(number, name)| {
            let message =
                format!("{id} needs \"{name}\", which {} does not describe", documented.file);
            let remedy = "describe it there, or correct the name";
            let finding = Finding::warn("service-undocumented", message, remedy);
            finding.at(subject.place(), format!("{FIELD}[{number}]"))
        })
        .collect()
}
