//! The rules of contract §3 that source and published manifests share.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::parts::{Arena, FeatureType, Mount, Route, ServerFunctions};
use crate::FeatureId;

/// A field of a document that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field {field}: {problem}")]
pub struct ManifestProblem {
    /// The field, as a path such as `mount.pathPrefix`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl ManifestProblem {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Reads `document` as `T`, naming the field where that fails.
pub(crate) fn typed<T: DeserializeOwned>(
    document: &Map<String, Value>,
) -> Result<T, ManifestProblem> {
    serde_path_to_error::deserialize(Value::Object(document.clone())).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "(document)".to_owned() } else { path };
        ManifestProblem { field, problem: error.into_inner().to_string() }
    })
}

/// Refuses a document that carries the mark of another kind of document.
///
/// All kinds are signed the same way and unknown fields are allowed, so without this a manifest could be
/// written that is a release index as well, and its one signature would count for both.
pub(crate) fn refuse_kind(
    document: &Map<String, Value>,
    marks: &[(&str, &str)],
) -> Result<(), ManifestProblem> {
    match marks.iter().find(|(field, _)| document.contains_key(*field)) {
        Some((field, kind)) => {
            let problem = format!("it belongs to {kind}; a document is of one kind only");
            Err(ManifestProblem::new(*field, problem))
        }
        None => Ok(()),
    }
}

/// The field that marks a published manifest, and its name.
pub(crate) const MANIFEST_MARK: (&str, &str) = ("integrity", "a manifest");
/// The field that marks a release index, and its name.
pub(crate) const INDEX_MARK: (&str, &str) = ("activeVersion", "a release index");

/// The fields that the shared rules are about.
pub(super) struct Facts<'m> {
    pub(super) id: &'m FeatureId,
    pub(super) display_name: &'m str,
    pub(super) feature_type: FeatureType,
    pub(super) mount: Option<&'m Mount>,
    pub(super) routes: &'m [Route],
    pub(super) server_functions: Option<&'m ServerFunctions>,
    pub(super) arena: Option<&'m Arena>,
}

impl Facts<'_> {
    pub(super) fn check_common(&self) -> Result<(), ManifestProblem> {
        if self.display_name.trim().is_empty() {
            return Err(ManifestProblem::new("displayName", "it is empty"));
        }
        if self.id.is_shared_set() != (self.feature_type == FeatureType::Shared) {
            return Err(ManifestProblem::new(
                "featureType",
                "the type \"shared\" and the id \"_shared\" go together",
            ));
        }
        match (self.feature_type, self.mount) {
            (FeatureType::Domain, None) => {
                return Err(ManifestProblem::new("mount", "a domain feature has a mount"));
            }
            (_, Some(mount)) => check_mount(mount)?,
            (_, None) => {}
        }
        for (index, route) in self.routes.iter().enumerate() {
            check_path(&format!("routes[{index}]"), route.path())?;
        }
        if let Some(path) = self.arena.and_then(|arena| arena.path.as_deref()) {
            check_path("arena.path", path)?;
        }
        self.server_functions.map_or(Ok(()), check_server_functions)
    }
}

fn check_mount(mount: &Mount) -> Result<(), ManifestProblem> {
    let prefix = &mount.path_prefix;
    let refuse = |problem: &str| Err(ManifestProblem::new("mount.pathPrefix", problem));
    if !prefix.starts_with('/') {
        return refuse("it is not absolute: start it with \"/\"");
    }
    if prefix.len() > 256 {
        return refuse("it is longer than 256 bytes");
    }
    let trimmed = prefix.strip_suffix('/').unwrap_or(prefix);
    if trimmed.is_empty() {
        return refuse("it would own every path: name a segment, such as \"/patientlist\"");
    }
    for (index, segment) in trimmed.split('/').skip(1).enumerate() {
        if segment.is_empty() {
            return refuse("it holds \"//\"");
        }
        if matches!(segment, "." | "..") {
            return refuse("it holds a dot segment");
        }
        if index == 0 && segment.starts_with('_') {
            return refuse("its first segment starts with \"_\", which is kept for the host");
        }
        if index == 0 && matches!(segment, "api" | "rpc") {
            return refuse("\"/api\" and \"/rpc\" are routes of the host");
        }
        if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) {
            return refuse("use letters, digits and - . _ ~ only");
        }
    }
    let id = &mount.dom_element_id;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_:.".contains(&b);
    if id.is_empty() || id.len() > 128 || !id.bytes().all(plain) {
        return Err(ManifestProblem::new(
            "mount.domElementId",
            "use 1 to 128 letters, digits and - _ : . only",
        ));
    }
    if id.starts_with("pilar-") {
        return Err(ManifestProblem::new(
            "mount.domElementId",
            "\"pilar-\" ids belong to the shell",
        ));
    }
    Ok(())
}

fn check_path(field: &str, path: &str) -> Result<(), ManifestProblem> {
    // Browsers take `%2e` for a dot.
    let dots = path
        .split(['/', '?', '#'])
        .any(|segment| segment.to_ascii_lowercase().replace("%2e", ".") == "..");
    // `//host/…` and `/\host/…` would lead away from this origin, as would a scheme. A leading colon is
    // none: `:id` is a parameter.
    let first = path.split('/').next().unwrap_or("");
    let scheme = first.split_once(':').is_some_and(|(before, _)| !before.is_empty());
    let away = path.starts_with("//") || path.contains('\\') || scheme;
    if dots || away || path.chars().any(char::is_control) || path.len() > 1024 {
        return Err(ManifestProblem::new(field, "it is not a path below the feature's prefix"));
    }
    Ok(())
}

fn check_server_functions(functions: &ServerFunctions) -> Result<(), ManifestProblem> {
    match (&functions.module, &functions.endpoint) {
        (Some(_), None) => {}
        (None, Some(endpoint)) => check_endpoint(endpoint)?,
        _ => {
            return Err(ManifestProblem::new("serverFunctions", "name either module or endpoint"));
        }
    }
    if functions.exports.is_empty() || functions.exports.iter().any(|name| name.trim().is_empty()) {
        return Err(ManifestProblem::new(
            "serverFunctions.exports",
            "name at least one function, none empty",
        ));
    }
    Ok(())
}

fn check_endpoint(endpoint: &str) -> Result<(), ManifestProblem> {
    let refuse = |problem: &str| Err(ManifestProblem::new("serverFunctions.endpoint", problem));
    let Some(rest) = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"))
    else {
        return refuse("it is not an absolute http or https URL");
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or("");
    if authority.is_empty()
        || authority.starts_with(':')
        || rest.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\')
    {
        return refuse("it is not an absolute http or https URL");
    }
    if authority.contains('@') {
        return refuse("it holds credentials: keep these out of a manifest");
    }
    Ok(())
}
