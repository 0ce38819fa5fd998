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
    value.trim().parse().map_err(|_| match variable {
        Some(variable) => bad(variable, value),
        None => {
            SettingError::BadValue { name, value: value.to_owned(), allowed: "a value".to_owned() }
        }
    })
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
    let shown = if matches!(variable.kind, Kind::Secret) { "(secret)" } else { value };
    SettingError::BadValue {
        name: variable.name,
        value: shown.chars().take(120).collect(),
        allowed,
    }
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
