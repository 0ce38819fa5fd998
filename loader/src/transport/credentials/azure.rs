//! The workload identity of a pod becomes what the token endpoint of a registry takes.
//!
//! Two form posts: the token of the service account for one of Entra, and that for a refresh token of the
//! registry (learn.microsoft.com, "Authenticate with an Azure container registry", `/oauth2/exchange`).

use reqwest::Url;
use serde_json::{Map, Value};

use super::{Secret, Unusable};
use crate::transport::http::{Http, authority, protocol, successful};
use crate::transport::{AzureIdentity, FetchError, Tally};

/// What the first token is for.
const SCOPE: &str = "https://containerregistry.azure.net/.default";
/// RFC 7523 §2.2.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A refresh token for the registry at `root`.
pub(in crate::transport) async fn refresh_token(
    http: &Http,
    azure: &AzureIdentity,
    root: &Url,
    tally: &Tally,
) -> Result<Secret, FetchError> {
    let unusable = |problem: String| {
        let registry = root.host_str().unwrap_or_default().to_owned();
        FetchError::Credentials(Unusable { code: "workload-identity", registry, problem })
    };
    let federated = tokio::fs::read_to_string(&azure.token_file).await;
    let federated =
        federated.map_err(|error| unusable(format!("{}: {error}", azure.token_file.display())))?;
    let entra = azure.authority.as_str().trim_end_matches('/');
    let sign_in = format!("{entra}/{}/oauth2/v2.0/token", azure.tenant);
    let sign_in = sign_in.parse().map_err(|_| unusable("AZURE_TENANT_ID is no id".to_owned()))?;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", azure.client.as_str()),
        ("scope", SCOPE),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", federated.trim()),
    ];
    let entra = token(http, &sign_in, &form, &["access_token"], tally).await?;
    let exchange = root.join("oauth2/exchange");
    let exchange = exchange.map_err(|_| protocol(root, "it is no registry"))?;
    let service = authority(root);
    let form = [
        ("grant_type", "access_token"),
        ("service", service.as_str()),
        ("tenant", azure.tenant.as_str()),
        ("access_token", entra.0.as_str()),
    ];
    token(http, &exchange, &form, &["refresh_token"], tally).await
}

/// Posts a form and takes the token from the reply, from the first of `fields` that is there.
pub(in crate::transport) async fn token(
    http: &Http,
    url: &Url,
    form: &[(&str, &str)],
    fields: &[&str],
    tally: &Tally,
) -> Result<Secret, FetchError> {
    let mut response = successful(http.post(url, form).await?)?;
    let body = http.body(&mut response, http.limits.document_bytes, tally).await?;
    token_in(url, &body, fields)
}

/// The token in the reply of a token endpoint.
pub(in crate::transport) fn token_in(
    url: &Url,
    body: &[u8],
    fields: &[&str],
) -> Result<Secret, FetchError> {
    let limits = pilar_artifact::Limits::default();
    let document: Option<Map<String, Value>> =
        pilar_artifact::json::parse_object(body, &limits).ok();
    let token = document.as_ref().and_then(|document| {
        fields.iter().find_map(|field| document.get(*field)?.as_str().filter(|t| !t.is_empty()))
    });
    let token = token.ok_or_else(|| protocol(url, "its reply holds no token"))?;
    Ok(Secret(token.to_owned()))
}
