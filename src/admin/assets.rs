//! The style sheet and the script of the pages, embedded, under names that change with their bytes.

use std::sync::{Arc, LazyLock};

use http::StatusCode;
use pilar_artifact::Sha256Digest;

use crate::catalog::Asset;
use crate::http::{CachePolicy, Resource, ResourceError, content_type_of, variants};

/// Where they are served.
pub const PREFIX: &str = "/_admin/assets/";

const CSS: &str = include_str!("admin.css");
const JS: &str = include_str!("admin.js");

/// Characters of a digest in a name.
const DIGITS: usize = 12;

static CSS_URL: LazyLock<String> = LazyLock::new(|| url("css", CSS));
static JS_URL: LazyLock<String> = LazyLock::new(|| url("js", JS));

/// The URL path of the style sheet.
pub(super) fn css_url() -> &'static str {
    &CSS_URL
}

/// The URL path of the script.
pub(super) fn js_url() -> &'static str {
    &JS_URL
}

/// URL path → reply, for both.
///
/// # Errors
/// [`ResourceError`] should a value not fit a header.
pub fn all() -> Result<[Asset; 2], ResourceError> {
    Ok([asset(css_url(), CSS)?, asset(js_url(), JS)?])
}

fn url(extension: &str, text: &str) -> String {
    let mut digest = Sha256Digest::of(text.as_bytes()).hex();
    digest.truncate(DIGITS);
    format!("{PREFIX}admin.{digest}.{extension}")
}

fn asset(url: &str, text: &'static str) -> Result<Asset, ResourceError> {
    let mut resource =
        Resource::builder(StatusCode::OK, content_type_of(url), CachePolicy::Immutable)
            .negotiable()
            .identity(text.as_bytes(), None);
    for (encoding, variant) in variants(text.as_bytes()) {
        resource = resource.variant(encoding, variant, None);
    }
    Ok((Arc::from(url), Arc::new(resource.build()?)))
}
