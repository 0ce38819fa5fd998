//! What stops the start.

/// A configuration that a program does not start with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A value that is not allowed.
    #[error("{name} is \"{value}\", but it takes {allowed}")]
    BadValue {
        /// The variable.
        name: &'static str,
        /// The value, or a stand-in for a secret one.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A name that is nearly that of a known variable.
    #[error("{name} is not a variable of {program}; did you mean {nearest}?")]
    NearMiss {
        /// What was to be configured.
        program: &'static str,
        /// The name found.
        name: String,
        /// The nearest known one.
        nearest: &'static str,
    },
    /// Two variables of which one is allowed.
    #[error("{one} and {other} are both set; keep one of them")]
    Both {
        /// The one.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// No trusted key is configured.
    #[error(
        "no trusted key is configured, so nothing could be verified; set FEATURE_TRUST_PUBLIC_KEYS_PATH \
         to a JSON file of key id to public key, or FEATURE_TRUST_PUBLIC_KEYS_JSON to its content"
    )]
    NoTrustedKeys,
    /// A setting that is for development only.
    #[error("{name} is set while NODE_ENV is production; unset it")]
    RefusedInProduction {
        /// The variable.
        name: &'static str,
    },
}

impl SettingError {
    /// The stable code of this problem.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadValue { .. } => "config-bad-value",
            Self::NearMiss { .. } => "config-near-miss",
            Self::Both { .. } => "config-both-set",
            Self::NoTrustedKeys => "config-no-trusted-keys",
            Self::RefusedInProduction { .. } => "config-refused-in-production",
        }
    }
}
