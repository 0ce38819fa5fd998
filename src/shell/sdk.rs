//! The browser side of the host, embedded in the binary.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use pilar_artifact::Sha256Digest;
use serde_json::Value;

use crate::catalog::{Asset, imports_of};
use crate::http::{CachePolicy, Resource, ResourceError, content_type_of, variants};

/// The files that `sdk/dist/sdk.json` lists, embedded at build time.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));
const LISTING: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/dist/sdk.json"));

/// Shell runtime and `@favn/feature-sdk`, with their replies ready.
#[derive(Debug)]
pub struct Sdk {
    shell_js: SdkFile,
    shell_css: SdkFile,
    imports: Vec<(String, SdkFile)>,
    modules: Vec<SdkFile>,
    assets: Vec<Asset>,
    module_imports: BTreeMap<Arc<str>, Vec<Box<str>>>,
}

/// One file of the browser side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdkFile {
    /// Its URL path.
    pub url: String,
    /// Its Subresource Integrity.
    pub integrity: String,
}

impl Sdk {
    /// Makes the replies ready.
    ///
    /// # Errors
    /// [`SdkError`] where the embedded files do not belong together, which is a broken build.
    pub fn embedded() -> Result<Self, SdkError> {
        let listing: Value =
            serde_json::from_str(LISTING).map_err(|error| SdkError::Listing(error.to_string()))?;
        let name = |pointer: &str| {
            let found = listing.pointer(pointer).and_then(Value::as_str);
            found.ok_or_else(|| SdkError::Listing(format!("{pointer} is missing")))
        };
        let imports = listing.get("imports").and_then(Value::as_object);
        let imports = imports
            .into_iter()
            .flatten()
            .map(|(specifier, file)| {
                Ok((specifier.clone(), SdkFile::of(file.as_str().unwrap_or_default())?))
            })
            .collect::<Result<Vec<_>, SdkError>>()?;
        let modules = FILES
            .iter()
            .filter(|(file, _)| file.ends_with(".js"))
            .map(|(file, _)| SdkFile::of(file))
            .collect::<Result<Vec<_>, SdkError>>()?;
        let assets = FILES.iter().map(asset).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            shell_js: SdkFile::of(name("/shell/js")?)?,
            shell_css: SdkFile::of(name("/shell/css")?)?,
            imports,
            modules,
            module_imports: imports_of(&assets),
            assets,
        })
    }

    /// The shell runtime.
    pub fn shell_js(&self) -> &SdkFile {
        &self.shell_js
    }

    /// The style sheet of all pages.
    pub fn shell_css(&self) -> &SdkFile {
        &self.shell_css
    }

    /// Specifier → file, for the import map.
    pub fn imports(&self) -> impl Iterator<Item = (&str, &SdkFile)> {
        self.imports.iter().map(|(specifier, file)| (specifier.as_str(), file))
    }

    /// Every module, for the integrity part of the import map.
    pub fn modules(&self) -> &[SdkFile] {
        &self.modules
    }

    /// URL path of each module → what it imports statically, as written in it.
    pub fn module_imports(&self) -> &BTreeMap<Arc<str>, Vec<Box<str>>> {
        &self.module_imports
    }

    /// URL path → reply.
    pub fn assets(&self) -> &[Asset] {
        &self.assets
    }
}

impl SdkFile {
    fn of(name: &str) -> Result<Self, SdkError> {
        let (_, bytes) = FILES
            .iter()
            .find(|(file, _)| *file == name)
            .ok_or_else(|| SdkError::Listing(format!("{name} is not among the files")))?;
        Ok(Self { url: url(name), integrity: Sha256Digest::of(bytes).sri() })
    }
}

fn asset((name, bytes): &(&str, &'static [u8])) -> Result<Asset, SdkError> {
    let mut resource =
        Resource::builder(StatusCode::OK, content_type_of(name), CachePolicy::Immutable)
            .negotiable()
            .identity(*bytes, None);
    for (encoding, variant) in variants(bytes) {
        resource = resource.variant(encoding, variant, None);
    }
    Ok((Arc::from(url(name)), Arc::new(resource.build()?)))
}

fn url(name: &str) -> String {
    format!("/_sdk/{name}")
}

/// Embedded files that do not belong together.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// The listing does not name the files that are there.
    #[error("the embedded sdk/dist/sdk.json is broken: {0}; build the sdk and the host again")]
    Listing(String),
    /// A value that does not fit a header.
    #[error("an embedded file cannot be served: {0}")]
    Resource(#[from] ResourceError),
}
