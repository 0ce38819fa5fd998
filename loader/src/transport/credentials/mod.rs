//! What lets in to a registry, from the docker configurations of the pod and its workload identity.

mod azure;
mod helper;
mod matching;

use std::fmt;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use docker_credential::{DockerCredential, get_credential_from_reader};
use pilar_artifact::json::parse_object;
use serde_json::{Map, Value, json};

use super::{AzureIdentity, FetchError, Limits, Options};
use helper::{HelperError, Helpers};

pub(super) use azure::{refresh_token, token, token_in};
pub(super) use matching::{Repository, glob_matches};

/// The longest docker configuration, in bytes.
const LONGEST_CONFIGURATION: u64 = 1 << 20;
/// The key of a pull secret of the older kind, `kubernetes.io/dockercfg`, and so the name of its file. It holds
/// what the newer one has in `auths`.
const OLDER: &str = ".dockercfg";

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
    options: &Options,
    repository: &Repository,
    limits: &Limits,
) -> Result<Candidates, FetchError> {
    let Candidates { mut credentials, problem } =
        from_configurations(options, repository, limits).await?;
    let in_azure = |azure: &AzureIdentity| {
        azure.registries.iter().any(|glob| glob_matches(glob, &repository.host))
    };
    if options.azure.as_ref().is_some_and(in_azure) {
        credentials.push(Credential::Azure);
    }
    credentials.push(Credential::Anonymous);
    Ok(Candidates { credentials, problem })
}

async fn from_configurations(
    options: &Options,
    repository: &Repository,
    limits: &Limits,
) -> Result<Candidates, FetchError> {
    let mut candidates = Candidates::default();
    let helpers = Helpers { patience: limits.helper, proxies: &options.proxies };
    for path in &options.docker_configs {
        let document = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || read(&path)).await.map_err(|_| FetchError::Lost)?
        };
        let found = match document {
            Ok(Some(document)) => from_configuration(&document, repository, helpers).await,
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
    Ok(candidates)
}

async fn from_configuration(
    document: &Map<String, Value>,
    repository: &Repository,
    helpers: Helpers<'_>,
) -> Vec<Result<Credential, String>> {
    let host = repository.host.as_str();
    let said = |error: HelperError| error.to_string();
    if let Some(name) = document.get("credHelpers").and_then(|helpers| helpers.get(host)) {
        return vec![helpers.ask(name, host).await.map_err(said)];
    }
    let found = entries(document, repository);
    match document.get("credsStore") {
        Some(store) if found.is_empty() => match helpers.ask(store, host).await {
            // A store that knows nothing of this registry fails like that.
            Err(HelperError::Failed { .. }) => found,
            asked => vec![asked.map_err(said)],
        },
        _ => found,
    }
}

/// The entries that are for a repository. Which keys count is for [`matching`]; what they hold, for
/// `docker_credential`, which looks up one host and is given a configuration of one.
fn entries(
    document: &Map<String, Value>,
    repository: &Repository,
) -> Vec<Result<Credential, String>> {
    let host = repository.host.as_str();
    let auths = document.get("auths").and_then(Value::as_object);
    let keys = auths.into_iter().flat_map(Map::keys).map(String::as_str);
    let matching = matching::matching(keys, repository);
    let entries = matching.iter().filter_map(|key| auths?.get(*key));
    // `docker login` leaves an empty entry behind where a credential store holds the rest.
    let entries = entries.filter(|entry| entry.as_object().is_some_and(|entry| !entry.is_empty()));
    let alone = |entry: &Value| {
        let configuration = json!({ "auths": { host: entry } }).to_string();
        get_credential_from_reader(configuration.as_bytes(), host)
    };
    entries
        .map(|entry| alone(entry).map(Credential::of).map_err(|error| error.to_string()))
        .collect()
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
    let limits = pilar_artifact::Limits {
        json_bytes: LONGEST_CONFIGURATION,
        ..pilar_artifact::Limits::default()
    };
    // What the parser says may hold a piece of the document, which holds secrets.
    let document = parse_object(&bytes, &limits).map_err(|error| error.code().to_owned())?;
    let is_older = path.file_name().is_some_and(|name| name == OLDER);
    Ok(Some(if is_older {
        Map::from_iter([("auths".to_owned(), document.into())])
    } else {
        document
    }))
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
        let found = entries(document.as_object().unwrap(), &repository);
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
    }
}
