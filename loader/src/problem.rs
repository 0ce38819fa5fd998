//! What went wrong, in words that fit a log line, a status file and a person.

use std::fmt;

use pilar_artifact::Rejection;
use pilar_store::StoreError;

use crate::transport::FetchError;

/// A problem: what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable code.
    pub code: &'static str,
    /// What went wrong, naming the file, the object or the host.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl Problem {
    /// A problem with its stable code.
    pub fn new(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {}); {}", self.message, self.code, self.remedy)
    }
}

impl std::error::Error for Problem {}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(error.code(), format!("{}: {error}", error.path().display()), error.remedy())
    }
}

impl From<FetchError> for Problem {
    fn from(error: FetchError) -> Self {
        Self::new(error.code(), error.to_string(), error.remedy())
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let message = format!("{}: {}", rejection.file(), rejection.message());
        Self::new(rejection.code(), message, rejection.remedy())
    }
}
