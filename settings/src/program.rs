//! The programs that are configured by their environment, each with its table.

use std::fmt::Write as _;

use crate::SettingError;
use crate::loader;
use crate::table::{State, VARIABLES, Variable};

/// A program and its variables.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// What messages call it.
    pub name: &'static str,
    /// Its variables.
    pub variables: &'static [Variable],
    /// Families of names: an unknown name in one of them is worth a line in the log.
    prefixes: &'static [&'static str],
}

/// `pilar-host`.
pub static HOST: Program = Program {
    name: "the host",
    variables: VARIABLES,
    prefixes: &[
        "ADMIN_",
        "ALLOW_",
        "API_PROXY_",
        "ARTIFACTS_",
        "CIRCUIT_BREAKER_",
        "DFS_",
        "DIPS_",
        "FALLBACK_",
        "FEATURE_",
        "HOST_",
        "HOT_REFRESH_",
        "OTEL_",
        "RATE_LIMIT_",
        "RPC_",
        "TRUST_",
    ],
};

/// `pilar-loader`.
pub static LOADER: Program = Program {
    name: "the loader",
    variables: loader::VARIABLES,
    prefixes: &["ARTIFACTS_", "FEATURE_", "LOADER_"],
};

/// Names of other programs of this system that may stand in the same environment.
const NEIGHBOURS: &[&str] =
    &["FEATURE_SIGNING_KEY", "FEATURE_SIGNING_KEY_PATH", "FEATURE_SIGNING_KEY_ID"];

/// Names shorter than this have too many neighbours to guess at.
const SHORTEST_GUESS: usize = 8;

impl Program {
    /// The variable of this name.
    pub fn find(&self, name: &str) -> Option<&'static Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    /// Names that are nearly those of known ones.
    pub(crate) fn near_misses<'n>(
        &self,
        names: impl Iterator<Item = &'n String>,
    ) -> impl Iterator<Item = SettingError> {
        names.filter(|name| !is_known(name)).filter_map(|name| {
            let nearest = self.nearest(name)?;
            Some(SettingError::NearMiss { program: self.name, name: name.clone(), nearest })
        })
    }

    /// Names that look like ours and are not.
    pub(crate) fn unknown<'n>(
        &self,
        names: impl Iterator<Item = &'n String>,
    ) -> impl Iterator<Item = &'n String> {
        names.filter(|name| {
            let ours = self.prefixes.iter().any(|prefix| name.starts_with(prefix));
            ours && !is_known(name) && self.nearest(name).is_none()
        })
    }

    fn nearest(&self, name: &str) -> Option<&'static str> {
        self.variables
            .iter()
            .filter(|variable| variable.name.len().min(name.len()) >= SHORTEST_GUESS)
            .map(|variable| {
                let upper = name.to_ascii_uppercase();
                (strsim::damerau_levenshtein(variable.name, &upper), variable.name)
            })
            .filter(|(distance, _)| *distance <= 2)
            .min()
            .map(|(_, nearest)| nearest)
    }

    /// Its table.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "| variable | takes | default | state | what it does |\n|---|---|---|---|---|\n",
        );
        for Variable { name, kind, default, state, doc } in self.variables {
            let default = default.map_or_else(|| "–".to_owned(), |text| format!("`{text}`"));
            let state = match state {
                State::Active => "active",
                State::Reserved => "reserved",
            };
            // Writing to a String cannot fail.
            let _ =
                writeln!(text, "| `{name}` | {} | {default} | {state} | {doc} |", kind.allowed());
        }
        text
    }
}

/// Whether one of the programs knows the name: they may share an environment.
fn is_known(name: &str) -> bool {
    [&HOST, &LOADER].iter().any(|program| program.find(name).is_some())
        || NEIGHBOURS.contains(&name)
}

/// `docs/configuration.md`.
pub fn markdown() -> String {
    format!(
        "# Configuration\n\n\
         Generated from `settings/src/table.rs` and `settings/src/loader.rs`; a test keeps it current. An empty value \
         counts as unset. A bad value stops the start and says what is allowed; so does a name that is nearly one of \
         these. \"Reserved\" variables are checked, but nothing acts on them yet, and the host says so when one is set. \
         So does it of unknown names that look like ours, other `OTEL_*` among them. A bad value ends the start with status 2; what is wrong with files or \
         the port with status 1.\n\n## Host\n\n{}\n## Loader\n\n\
         It also takes `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` as other programs do, and in a pod what Kubernetes \
         sets there.\n\n{}",
        HOST.table(),
        LOADER.table(),
    )
}
