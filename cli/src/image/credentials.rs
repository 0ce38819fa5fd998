//! What `docker login` left behind.

use std::fs::File;
use std::io::ErrorKind;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};

use crate::environment::Environment;
use crate::problem::Problem;

/// What lets in to `registry`; `None` where nothing is configured.
pub(super) fn of(
    environment: &Environment,
    registry: &str,
) -> Result<Option<DockerCredential>, Problem> {
    let Some(dir) = &environment.docker_config else { return Ok(None) };
    let path = dir.join("config.json");
    let failed = |message: String| {
        let remedy = "log in to the registry again, or correct the file";
        Problem::new("credentials-unusable", message, remedy).file(&path)
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    match get_credential_from_reader(file, registry) {
        Ok(credential) => Ok(Some(credential)),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // What a helper printed may hold anything.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(failed(format!("the credential helper {helper} failed")))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}
