//! Files of variables, as containers and service managers take them.

use std::path::Path;

use crate::finding::Finding;
use crate::keyring::read_file;
use crate::problem::Problem;

/// As much as an environment may hold.
const MAX_BYTES: u64 = 1024 * 1024;

/// What is in such a file.
pub(super) struct EnvFile {
    pub(super) variables: Vec<(String, String)>,
    /// Lines that are none.
    pub(super) problems: Vec<Finding>,
}

/// Reads `NAME=value` lines. Empty lines and those that start with `#` are passed over, `export ` before a name
/// and quotes around a whole value are taken off. Later lines go before earlier ones.
pub(super) fn read(path: &Path) -> Result<EnvFile, Problem> {
    let bytes = read_file(path, MAX_BYTES).map_err(|problem| {
        let remedy = "name a file that exists and that this user may read";
        Problem::new("env-file-unreadable", problem.message(), remedy).file(path).wrong_use()
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let mut variables = Vec::new();
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.strip_prefix("export ").unwrap_or(line).split_once('=');
        match pair.map(|(name, value)| (name.trim_end(), value.trim())) {
            Some((name, value)) if is_name(name) => {
                variables.push((name.to_owned(), unquoted(value).to_owned()));
            }
            // The line may hold a secret, so only its number is shown.
            _ => problems.push(
                Finding::fail("env-file-line", "it is no NAME=value line", "correct the line")
                    .file(format!("{}:{number}", path.display())),
            ),
        }
    }
    Ok(EnvFile { variables, problems })
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty() && name.bytes().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn unquoted(value: &str) -> &str {
    let without = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    without('"').or_else(|| without('\'')).unwrap_or(value)
}
