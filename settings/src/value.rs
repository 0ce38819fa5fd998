//! What a value may be.

use std::net::IpAddr;
use std::str::FromStr;

use crate::SettingError;
use crate::table::{Kind, Variable};

/// Checks a value that is set against the kind of its variable.
pub(crate) fn check(variable: &Variable, value: &str) -> Result<(), SettingError> {
    let value = value.trim();
    let ok = match variable.kind {
        Kind::Text | Kind::Path => true,
        Kind::Flag => flag(variable.name, value).is_ok(),
        Kind::Number { min, max } => value.parse::<u64>().is_ok_and(|n| (min..=max).contains(&n)),
        Kind::Url => is_http_url(value),
        Kind::LocalPath => is_local_path(value),
        Kind::Address => value.parse::<IpAddr>().is_ok(),
        Kind::Choice(choices) => choices.contains(&value),
        Kind::Ratio => value.parse::<f64>().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio)),
        Kind::Pairs => pairs(value).is_some(),
        Kind::SecretPairs => pairs(value).is_some_and(|pairs| pairs.iter().all(is_header)),
        Kind::Secret => !value.is_empty(),
    };
    if ok { Ok(()) } else { Err(bad(variable, value)) }
}

/// Parses a value whose variable was checked before.
pub(crate) fn parse<T: FromStr>(
    name: &'static str,
    variable: Option<&Variable>,
    value: &str,
) -> Result<T, SettingError> {
    value.trim().parse().map_err(|_| refused(name, variable, value))
}

/// That a variable does not take this value.
pub(crate) fn refused(
    name: &'static str,
    variable: Option<&Variable>,
    value: &str,
) -> SettingError {
    match variable {
        Some(variable) => bad(variable, value),
        None => {
            SettingError::BadValue { name, value: value.to_owned(), allowed: "a value".to_owned() }
        }
    }
}

/// Reads a switch.
pub(crate) fn flag(name: &'static str, value: &str) -> Result<bool, SettingError> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(SettingError::BadValue {
            name,
            value: value.to_owned(),
            allowed: Kind::Flag.allowed(),
        }),
    }
}

fn bad(variable: &Variable, value: &str) -> SettingError {
    let nearest = match variable.kind {
        Kind::Choice(choices) => choices
            .iter()
            .min_by_key(|choice| strsim::damerau_levenshtein(choice, &value.to_ascii_lowercase()))
            .copied(),
        _ => None,
    };
    let allowed = match nearest {
        Some(nearest) => format!("{} (did you mean \"{nearest}\"?)", variable.kind.allowed()),
        None => variable.kind.allowed(),
    };
    let shown =
        if matches!(variable.kind, Kind::Secret | Kind::SecretPairs) { "(secret)" } else { value };
    SettingError::BadValue {
        name: variable.name,
        value: shown.chars().take(120).collect(),
        allowed,
    }
}

/// Reads names and values as W3C Baggage writes them, without its properties (OpenTelemetry, Resource SDK).
pub(crate) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let decoded = |text: &str| {
            let text = percent_encoding::percent_decode_str(text.trim()).decode_utf8().ok()?;
            Some(text.into_owned())
        };
        Some((decoded(name).filter(|name| !name.is_empty())?, decoded(value)?))
    };
    parts.map(pair).collect()
}

fn is_header((name, value): &(String, String)) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
        && http::HeaderValue::from_str(value).is_ok()
}

fn is_http_url(value: &str) -> bool {
    value.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some()
    })
}

/// A path on this host: it goes into a `location` header, so nothing that leads elsewhere passes.
fn is_local_path(value: &str) -> bool {
    value.starts_with('/')
        && !value.starts_with("//")
        && value.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}
