//! Names of files inside a version directory.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text;

/// A relative path below a version directory that can only ever name a file below it.
///
/// Segments are separated by `/`; none is empty, `.` or `..`, starts or ends with white space, and no
/// character is invisible or means something to a URL parser. So the name stays below the directory for every
/// reader, and looks like what it is. Case and Unicode form are kept as they are: names that differ in these
/// alone are different files.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct FileName(String);

/// The longest name, in bytes.
const MAX_BYTES: usize = 512;
/// The deepest name, in segments.
const MAX_SEGMENTS: usize = 16;

impl FileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the last dot of the last segment, or `""`.
    pub fn extension(&self) -> &str {
        let last = self.0.rsplit('/').next().unwrap_or("");
        last.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// The precompressed variant of this file with the given suffix, such as `x.js.br` for `x.js`
    /// (contract §3). `None` where the name would become too long.
    pub fn with_suffix(&self, suffix: &str) -> Option<Self> {
        format!("{}.{suffix}", self.0).parse().ok()
    }
}

impl FromStr for FileName {
    type Err = FileNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let refuse = |problem| FileNameError { found: name.chars().take(120).collect(), problem };
        if name.is_empty() {
            return Err(refuse("it is empty"));
        }
        if name.len() > MAX_BYTES {
            return Err(refuse("it is longer than 512 bytes"));
        }
        if name.starts_with('/') {
            return Err(refuse("it is absolute"));
        }
        if name.chars().any(|c| text::is_invisible(c) || r#"\%?#:"<>|*"#.contains(c)) {
            return Err(refuse(r#"it holds an invisible character or one of \ % ? # : " < > | *"#));
        }
        if name.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(refuse("a segment is empty, \".\" or \"..\""));
        }
        if name.split('/').any(|segment| segment.trim() != segment) {
            return Err(refuse("a segment starts or ends with white space"));
        }
        if name.split('/').count() > MAX_SEGMENTS {
            return Err(refuse("it has more than 16 segments"));
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<String> for FileName {
    type Error = FileNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

impl Borrow<str> for FileName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that does not name a file inside a version directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{found}\" does not name a file of the version directory: {problem}")]
pub struct FileNameError {
    found: String,
    problem: &'static str,
}
