//! What lets in to a registry, from the docker configurations of the pod and its workload identity.

mod azure;
mod matching;

use std::fmt;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use pilar_artifact::Limits;
use pilar_artifact::json::parse_object;
use serde_json::{Map, Value, json};

use super::{AzureIdentity, FetchError};

pub(super) use azure::{refresh_token, token, token_in};
pub(super) use matching::{Repository, glob_matches};

/// The longest docker configuration, in bytes.
const LONGEST_CONFIGURATION: u64 = 1 << 20;
/// The key of a pull secret of the older kind, `kubernetes.io/dockercfg`, and so the name of its file. It holds
/// what the newer one has in `auths`.
const OLDER: &str = ".dockercfg";
/// How long the credential helpers may take.
const HELPERS: Duration = Duration::from_secs(30);

/// One thing that may let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// Name and password.
    Password(String, Secret),
    /// What a token endpoint takes for a token (`identitytoken`).
    Refresh(Secret),
    /// The workload identity, which is exchanged for one of the above.
    Azure,
    /// Nothing, for what is public.
    Anonymous,
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Why what was to let in cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{registry}: {problem}")]
pub struct Unusable {
    /// The code.
    pub code: &'static str,
    /// The host of the registry.
    pub registry: String,
    /// What is wrong, without the credential.
    pub problem: String,
}

/// What was found for a repository. What cannot be used is no reason not to try the rest, so it is only kept.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// To be tried in this order.
    pub(super) credentials: Vec<Credential>,
    /// The first thing that cannot be used, to be told where nothing lets in.
    pub(super) problem: Option<Unusable>,
}

/// Everything that may let in to `repository`, to be tried in this order, as the kubelet does: what is most
/// specific first, nothing last.
pub(super) async fn candidates(
    configurations: &[PathBuf],
    azure: Option<&AzureIdentity>,
    repository: &Repository,
) -> Result<Candidates, FetchError> {
    let lookup = {
        let (configurations, repository) = (configurations.to_vec(), repository.clone());
        // Files are read and helpers are run, which wait.
        tokio::task::spawn_blocking(move || from_configurations(&configurations, &repository))
    };
    let found = match tokio::time::timeout(HELPERS, lookup).await {
        Ok(found) => found.map_err(|_| FetchError::Lost)?,
        Err(_) => {
            let problem = "a credential helper takes too long".to_owned();
            Candidates { credentials: Vec::new(), problem: Some(unusable(repository, problem)) }
        }
    };
    let Candidates { mut credentials, problem } = found;
    let in_azure = |azure: &AzureIdentity| {
        azure.registries.iter().any(|glob| glob_matches(glob, &repository.host))
    };
    if azure.is_some_and(in_azure) {
        credentials.push(Credential::Azure);
    }
    credentials.push(Credential::Anonymous);
    Ok(Candidates { credentials, problem })
}

fn from_configurations(configurations: &[PathBuf], repository: &Repository) -> Candidates {
    let mut candidates = Candidates::default();
    for path in configurations {
        let found = match read(path) {
            Ok(Some(document)) => from_configuration(&document, repository),
            Ok(None) => continue,
            Err(problem) => vec![Err(problem)],
        };
        for found in found {
            match found {
                Ok(found) if candidates.credentials.contains(&found) => {}
                Ok(found) => candidates.credentials.push(found),
                Err(problem) => {
                    let problem = unusable(repository, format!("{}: {problem}", path.display()));
                    tracing::debug!(code = problem.code, "{problem}");
                    candidates.problem.get_or_insert(problem);
                }
            }
        }
    }
    candidates
}

/// Which keys count is for [`matching`]; what they hold, and how helpers are spoken to, for `docker_credential`,
/// which looks up one host and is given a configuration of one.
fn from_configuration(
    document: &Map<String, Value>,
    repository: &Repository,
) -> Vec<Result<Credential, String>> {
    let host = repository.host.as_str();
    let alone = |configuration: Value| {
        get_credential_from_reader(configuration.to_string().as_bytes(), host).map(Credential::of)
    };
    let helper = document.get("credHelpers").and_then(|helpers| helpers.get(host));
    if let Some(helper) = helper {
        let found = alone(json!({ "credHelpers": { host: helper } }));
        return vec![found.map_err(|error| said(&error))];
    }
    let auths = document.get("auths").and_then(Value::as_object);
    let keys = auths.into_iter().flat_map(Map::keys).map(String::as_str);
    let matching = matching::matching(keys, repository);
    let entries = matching.iter().filter_map(|key| auths?.get(*key));
    // `docker login` leaves an empty entry behind where a credential store holds the rest.
    let entries = entries.filter(|entry| entry.as_object().is_some_and(|entry| !entry.is_empty()));
    let found: Vec<_> = entries
        .map(|entry| alone(json!({ "auths": { host: entry } })).map_err(|error| said(&error)))
        .collect();
    match document.get("credsStore") {
        Some(store) if found.is_empty() => match alone(json!({ "credsStore": store })) {
            // A store that knows nothing of this registry fails like that.
            Err(CredentialRetrievalError::HelperFailure { .. }) => found,
            found => vec![found.map_err(|error| said(&error))],
        },
        _ => found,
    }
}

impl Credential {
    fn of(found: DockerCredential) -> Self {
        match found {
            DockerCredential::IdentityToken(token) => Self::Refresh(Secret(token)),
            DockerCredential::UsernamePassword(name, password) => {
                Self::Password(name, Secret(password))
            }
        }
    }
}

fn read(path: &Path) -> Result<Option<Map<String, Value>>, String> {
    let mut bytes = Vec::new();
    match std::fs::File::open(path) {
        Ok(file) => file
            .take(LONGEST_CONFIGURATION + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let limits = Limits { json_bytes: LONGEST_CONFIGURATION, ..Limits::default() };
    // What the parser says may hold a piece of the document, which holds secrets.
    let document = parse_object(&bytes, &limits).map_err(|error| error.code().to_owned())?;
    let is_older = path.file_name().is_some_and(|name| name == OLDER);
    Ok(Some(if is_older {
        Map::from_iter([("auths".to_owned(), document.into())])
    } else {
        document
    }))
}

/// Without what a helper printed, which may hold anything.
fn said(error: &CredentialRetrievalError) -> String {
    match error {
        CredentialRetrievalError::HelperFailure { helper, .. } => format!("{helper} failed"),
        error => error.to_string(),
    }
}

fn unusable(repository: &Repository, problem: String) -> Unusable {
    Unusable { code: "credentials-unusable", registry: repository.host.clone(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: Value, image: &str) -> Vec<Credential> {
        let (host, path) = image.split_once('/').unwrap();
        let repository = Repository { host: host.into(), path: path.into() };
        let found = from_configuration(document.as_object().unwrap(), &repository);
        found.into_iter().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn entries_are_read_in_every_form() {
        let password = Credential::Password("user".into(), Secret("pass:word".into()));
        let auth = json!({ "auths": { "r.io": { "auth": "dXNlcjpwYXNzOndvcmQ=" } } });
        assert_eq!(found(auth, "r.io/x"), std::slice::from_ref(&password));
        let plain = json!({ "auths": { "r.io": { "username": "user", "password": "pass:word" } } });
        assert_eq!(found(plain, "r.io/x"), [password]);
        let token = json!({ "auths": { "r.io": { "auth": "dXNlcjo=", "identitytoken": "t" } } });
        assert_eq!(found(token, "r.io/x"), [Credential::Refresh(Secret("t".into()))]);
        assert_eq!(found(json!({ "auths": { "r.io": {} } }), "r.io/x"), []);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let credential = Credential::Password("user".into(), Secret("hunter2".into()));
        assert!(!format!("{credential:?}").contains("hunter2"));
        let failure = CredentialRetrievalError::HelperFailure {
            helper: "docker-credential-x".into(),
            stdout: "hunter2".into(),
            stderr: "hunter2".into(),
        };
        assert_eq!(said(&failure), "docker-credential-x failed");
    }
}
