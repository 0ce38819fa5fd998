//! What the commands take from around them: variables (contract §5, §11), the clock, randomness.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use pilar_settings::Settings;
use semver::Version;

use crate::problem::Problem;

/// The variables that `pilar` reads; empty ones count as not set.
#[derive(Debug)]
pub(crate) struct Environment {
    /// `ARTIFACTS_DIR`
    pub(crate) artifacts_dir: PathBuf,
    /// `FEATURE_SIGNING_KEY_PATH`
    pub(crate) signing_key_path: Option<PathBuf>,
    /// `FEATURE_SIGNING_KEY`
    pub(crate) signing_key: Option<Secret>,
    /// `FEATURE_SIGNING_KEY_ID`
    pub(crate) signing_key_id: Option<String>,
    /// `FEATURE_TRUST_PUBLIC_KEYS_JSON`
    pub(crate) trusted_keys_json: Option<String>,
    /// `FEATURE_TRUST_PUBLIC_KEYS_PATH`
    pub(crate) trusted_keys_path: Option<PathBuf>,
    /// `SOURCE_DATE_EPOCH`
    source_date_epoch: Option<String>,
    /// The variables of a host, where this environment is that of one.
    pub(crate) host: Settings,
    /// `DOCKER_CONFIG`, or `.docker` in `HOME`: where `docker login` keeps what lets in to registries.
    pub(crate) docker_config: Option<PathBuf>,
    /// `PATH`
    pub(crate) search_path: Option<OsString>,
    /// Clock, randomness, and where this program is.
    pub(crate) machine: Machine,
}

/// What is different each time.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// The time.
    pub(crate) clock: fn() -> Timestamp,
    /// Fills bytes for a private key.
    pub(crate) randomness: fn(&mut [u8; 32]) -> io::Result<()>,
    /// The file of this program.
    pub(crate) executable: Option<PathBuf>,
}

/// The version of this program, which is that of the host that it is released with.
pub(crate) fn own_version() -> Option<Version> {
    Version::parse(env!("CARGO_PKG_VERSION")).ok()
}

/// Text that is never shown.
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Environment {
    /// Reads the variables of this program through `lookup`; those of a host are taken whole.
    pub(crate) fn read(
        lookup: impl Fn(&str) -> Option<OsString>,
        host: Settings,
        machine: Machine,
    ) -> Self {
        let text = |name| lookup(name).map(|value| value.to_string_lossy().into_owned());
        let path = |name| lookup(name).map(PathBuf::from);
        Self {
            artifacts_dir: path("ARTIFACTS_DIR").unwrap_or_else(|| PathBuf::from("artifacts")),
            signing_key_path: path("FEATURE_SIGNING_KEY_PATH"),
            signing_key: text("FEATURE_SIGNING_KEY").map(Secret),
            signing_key_id: text("FEATURE_SIGNING_KEY_ID"),
            trusted_keys_json: text("FEATURE_TRUST_PUBLIC_KEYS_JSON"),
            trusted_keys_path: path("FEATURE_TRUST_PUBLIC_KEYS_PATH"),
            source_date_epoch: text("SOURCE_DATE_EPOCH"),
            host,
            docker_config: path("DOCKER_CONFIG")
                .or_else(|| path("HOME").map(|home| home.join(".docker"))),
            search_path: lookup("PATH"),
            machine,
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        (self.machine.clock)()
    }

    /// The time to write into what is built: `SOURCE_DATE_EPOCH` where it is set, so that a build can be
    /// repeated byte for byte.
    pub(crate) fn build_time(&self) -> Result<Timestamp, Problem> {
        let seconds = match &self.source_date_epoch {
            None => Some(self.now().as_second()),
            Some(text) => text.trim().parse().ok(),
        };
        seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or_else(|| {
            let found = self.source_date_epoch.as_deref().unwrap_or_default();
            Problem::new(
                "bad-variable",
                format!("\"{found}\" is not a number of seconds since 1970"),
                "set SOURCE_DATE_EPOCH to a whole number, such as the output of `git log -1 --format=%ct`",
            )
            .field("SOURCE_DATE_EPOCH")
            .wrong_use()
        })
    }
}
