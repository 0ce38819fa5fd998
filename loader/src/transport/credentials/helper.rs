//! Credential helpers: programs `docker-credential-<name>` that are asked for what lets in to a host
//! (github.com/docker/docker-credential-helpers).

use std::io;
use std::process::Stdio;
use std::time::Duration;

use pilar_artifact::Limits;
use pilar_artifact::json::parse_object;
use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::{Credential, Secret};
use crate::transport::Proxies;

/// The longest reply of a helper, in bytes.
const LONGEST_REPLY: u64 = 64 << 10;
/// The name that stands for a token instead of a password.
const TOKEN: &str = "<token>";

/// Why a helper gave nothing. What it printed is not repeated: it may be anything.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelperError {
    #[error("it names a credential helper by something else than text")]
    Name,
    #[error("{program} cannot be run: {error}")]
    Run { program: String, error: io::Error },
    #[error("{program} failed")]
    Failed { program: String },
    #[error("{program} was not done after {} s", .after.as_secs())]
    Slow { program: String, after: Duration },
    #[error("the reply of {program} cannot be read")]
    Reply { program: String },
}

/// How helpers are run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Helpers<'a> {
    /// One that takes longer is killed, as is one that nobody waits for any more.
    pub(super) patience: Duration,
    /// They may need them as well.
    pub(super) proxies: &'a Proxies,
}

impl Helpers<'_> {
    /// Asks the helper that a configuration names.
    pub(super) async fn ask(self, name: &Value, host: &str) -> Result<Credential, HelperError> {
        let name = name.as_str().ok_or(HelperError::Name)?;
        let program = format!("docker-credential-{name}");
        let after = self.patience;
        let reply = match tokio::time::timeout(after, self.run(&program, host)).await {
            Ok(Ok(Some(reply))) => reply,
            Ok(Ok(None)) => return Err(HelperError::Failed { program }),
            Ok(Err(error)) => return Err(HelperError::Run { program, error }),
            Err(_) => return Err(HelperError::Slow { program, after }),
        };
        credential(&reply).ok_or(HelperError::Reply { program })
    }

    /// What the program prints; `None` where it says that it failed.
    async fn run(self, program: &str, host: &str) -> io::Result<Option<Vec<u8>>> {
        let mut child = Command::new(program)
            .arg("get")
            .envs(self.proxies.for_programs())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not care for what it is asked may have ended by now; its status tells.
            let _ = stdin.write_all(host.as_bytes()).await;
        }
        let mut reply = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LONGEST_REPLY).read_to_end(&mut reply).await?;
        }
        let status = child.wait().await?;
        Ok(status.success().then_some(reply))
    }
}

fn credential(reply: &[u8]) -> Option<Credential> {
    let reply: Map<String, Value> = parse_object(reply, &Limits::default()).ok()?;
    let text = |key| reply.get(key).and_then(Value::as_str).map(str::to_owned);
    let (name, secret) = (text("Username")?, Secret(text("Secret")?));
    Some(if name == TOKEN {
        Credential::Refresh(secret)
    } else {
        Credential::Password(name, secret)
    })
}
