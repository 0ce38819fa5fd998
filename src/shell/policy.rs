//! The content security policy of the pages.

use pilar_artifact::Sha256Digest;

/// The policy of a page with this import map, the only inline script there is.
///
/// Scripts come from this origin or not at all. Styles may be inline: features of the existing system set them
/// so, and a style runs no code. Nothing may be framed by, loaded from or sent to another origin.
pub(super) fn content_security_policy(import_map: Option<&str>) -> String {
    let scripts = match import_map {
        Some(text) => format!("'self' '{}'", Sha256Digest::of(text.as_bytes()).sri()),
        None => "'none'".to_owned(),
    };
    format!(
        "default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
         font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'self'; object-src 'none'"
    )
}
