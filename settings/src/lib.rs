//! The environment of the host and of the loader: every variable, what it takes, and what is refused (contract
//! §11, §12).
//!
//! Each reads its configuration through [`Settings`] and stops at the first problem; `pilar doctor` shows
//! all of a host's. Nothing here reads the environment: programs pass it in.

#![forbid(unsafe_code)]

mod error;
pub mod keys;
mod loader;
mod program;
mod table;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

pub use error::SettingError;
pub use program::{HOST, LOADER, Program, markdown};
pub use table::{Kind, State, VARIABLES, Variable};

/// The variables of an environment that are set, as one program sees them.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    program: &'static Program,
    set: BTreeMap<String, String>,
}

const ADMIN_TOKEN: &str = "ADMIN_AUTH_TOKEN";
/// A token with fewer characters than this is refused: it can be guessed.
pub const SHORTEST_TOKEN: usize = 16;
/// 32 characters of base64 hold 192 bits; a shorter token may be one that somebody thought up.
pub const SAFE_TOKEN: usize = 32;
/// How to come by a token.
pub const NEW_TOKEN: &str = "make one with `openssl rand -base64 32`";

/// Where the trusted keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// `FEATURE_TRUST_PUBLIC_KEYS_JSON`.
    Inline(String),
    /// `FEATURE_TRUST_PUBLIC_KEYS_PATH`.
    File(PathBuf),
}

impl Settings {
    /// The variables of `environment`, for `program`. An empty value counts as unset: that is how charts and
    /// compose files leave a variable out.
    pub fn new(
        program: &'static Program,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self {
            program,
            set: environment.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect(),
        }
    }

    /// Everything that the program does not start with, in the order in which it is found.
    pub fn problems(&self) -> Vec<SettingError> {
        let values = self.program.variables.iter().filter_map(|variable| {
            let value = self.set.get(variable.name)?;
            value::check(variable, value).err()
        });
        self.program
            .near_misses(self.set.keys())
            .chain(values)
            .chain(self.production().err())
            .chain(self.guessable_token())
            .chain(self.port_of_its_own())
            .chain(self.for_development_only())
            .chain(self.trusted_keys().err())
            .collect()
    }

    /// Things that are no error, one line each.
    pub fn notes(&self) -> Vec<String> {
        let reserved = self.program.variables.iter().filter(|variable| {
            variable.state == State::Reserved && self.set.contains_key(variable.name)
        });
        let program = self.program.name;
        let reserved = reserved.map(|Variable { name, .. }| {
            format!("{name} is set, but this version of {program} does not act on it yet")
        });
        let unknown = self.program.unknown(self.set.keys());
        unknown
            .map(|name| format!("{name} is not a variable of {program} and has no effect"))
            .chain(reserved)
            .collect()
    }

    /// Whether `name` is set.
    pub fn is_set(&self, name: &str) -> bool {
        self.set.contains_key(name)
    }

    /// The value that is set, of any program's variable.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.set.get(name).map(|value| value.trim())
    }

    /// The value, or the default of the table.
    pub fn text(&self, name: &'static str) -> Option<String> {
        let default =
            || self.program.find(name).and_then(|variable| variable.default).map(str::to_owned);
        self.set.get(name).map(|value| value.trim().to_owned()).or_else(default)
    }

    /// A value that is set or has a default.
    ///
    /// # Errors
    /// [`SettingError::BadValue`].
    pub fn number<T: FromStr>(&self, name: &'static str) -> Result<T, SettingError> {
        self.parse(name, &self.text(name).unwrap_or_default())
    }

    /// A value without a default.
    ///
    /// # Errors
    /// [`SettingError::BadValue`].
    pub fn optional<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, SettingError> {
        self.text(name).map(|text| self.parse(name, &text)).transpose()
    }

    /// A switch; off where it is not set and has no default.
    ///
    /// # Errors
    /// [`SettingError::BadValue`].
    pub fn flag(&self, name: &'static str) -> Result<bool, SettingError> {
        self.text(name).map_or(Ok(false), |text| value::flag(name, &text))
    }

    /// Names and values, none where the variable is not set.
    ///
    /// # Errors
    /// [`SettingError::BadValue`].
    pub fn pairs(&self, name: &'static str) -> Result<Vec<(String, String)>, SettingError> {
        let Some(text) = self.text(name) else { return Ok(Vec::new()) };
        value::pairs(&text).ok_or_else(|| value::refused(name, self.program.find(name), &text))
    }

    /// Whether `NODE_ENV` is `production`. What is nearly that must not quietly be development, where dev keys
    /// may be trusted.
    ///
    /// # Errors
    /// [`SettingError::BadValue`].
    pub fn production(&self) -> Result<bool, SettingError> {
        let Some(value) = self.text("NODE_ENV") else { return Ok(false) };
        let lower = value.to_ascii_lowercase();
        let near =
            lower.starts_with("prod") || strsim::damerau_levenshtein(&lower, "production") <= 2;
        match (value.as_str(), near) {
            ("production", _) => Ok(true),
            (_, true) => Err(SettingError::BadValue {
                name: "NODE_ENV",
                value,
                allowed: "\"production\" in exactly this spelling, or another word".to_owned(),
            }),
            (_, false) => Ok(false),
        }
    }

    /// Where the trusted keys are.
    ///
    /// # Errors
    /// [`SettingError::Both`] and [`SettingError::NoTrustedKeys`].
    pub fn trusted_keys(&self) -> Result<KeySource, SettingError> {
        let inline = self.text("FEATURE_TRUST_PUBLIC_KEYS_JSON").map(KeySource::Inline);
        let file = self
            .text("FEATURE_TRUST_PUBLIC_KEYS_PATH")
            .map(|path| KeySource::File(PathBuf::from(path)));
        match (inline, file) {
            (Some(_), Some(_)) => Err(SettingError::Both {
                one: "FEATURE_TRUST_PUBLIC_KEYS_JSON",
                other: "FEATURE_TRUST_PUBLIC_KEYS_PATH",
            }),
            (Some(source), None) | (None, Some(source)) => Ok(source),
            (None, None) => Err(SettingError::NoTrustedKeys),
        }
    }

    fn parse<T: FromStr>(&self, name: &'static str, text: &str) -> Result<T, SettingError> {
        value::parse(name, self.program.find(name), text)
    }

    /// What is to be known of an `ADMIN_AUTH_TOKEN` that the host takes and that is shorter than it should be.
    pub fn weak_admin_token(&self) -> Option<String> {
        let length = self.value(ADMIN_TOKEN)?.chars().count();
        (length < SAFE_TOKEN).then(|| {
            format!(
                "{ADMIN_TOKEN} has {length} characters; a token of fewer than {SAFE_TOKEN} may be one that somebody \
                 thought up and can be guessed; {NEW_TOKEN}"
            )
        })
    }

    fn guessable_token(&self) -> Option<SettingError> {
        let length = self.value(ADMIN_TOKEN)?.chars().count();
        (length < SHORTEST_TOKEN).then(|| SettingError::BadValue {
            name: ADMIN_TOKEN,
            value: "(secret)".to_owned(),
            allowed: format!("at least {SHORTEST_TOKEN} characters; {NEW_TOKEN}"),
        })
    }

    /// Port 0 is another one each time, and with `LISTEN_FDS` nobody listens on `PORT`.
    fn port_of_its_own(&self) -> Option<SettingError> {
        let name = "HOST_ADMIN_PORT";
        let port: u16 = self.value(name)?.parse().ok()?;
        let world: u16 = self.number("PORT").ok()?;
        (port == world && port != 0 && !self.is_set("LISTEN_FDS")).then(|| SettingError::BadValue {
            name,
            value: port.to_string(),
            allowed: "a port of its own, other than that of PORT".to_owned(),
        })
    }

    fn for_development_only(&self) -> Option<SettingError> {
        let name = "ALLOW_UNAUTHENTICATED_ADMIN";
        let refused = self.production().ok()? && self.flag(name).ok()?;
        refused.then_some(SettingError::RefusedInProduction { name })
    }
}

/// Values may be secrets, so only names are shown.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.set.keys()).finish()
    }
}

/// Whether a trusted key with this id is a dev key: its private half lies on somebody's disk, so a host in
/// production never believes it.
pub fn is_dev_key(id: &str) -> bool {
    id == "dev" || id.starts_with("dev-")
}
