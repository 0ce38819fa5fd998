//! Asking a host, a CDN or a registry, within limits on time and size.

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pilar_artifact::verify::{ReadArtifact, ReadError};
use ureq::http::{HeaderMap, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error, RequestBuilder};

use crate::documents::unreadable;
use crate::problem::Problem;

/// How long one file may take, a connection included.
const WHOLE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);
/// How long one request to a registry may take, a layer of 256 MiB included.
const UPLOAD: Duration = Duration::from_secs(15 * 60);
/// What stays as it is in a path: the unreserved characters of RFC 3986 §2.3, what parts segments, and what build
/// metadata of a version starts with.
const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b'+');

/// Asks over HTTP. Certificates are checked against those that this machine trusts; redirects are not followed, so
/// that what was named is what is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: Agent,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    headers: HeaderMap,
}

impl Reply {
    /// A header, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What is sent to a registry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sent<'a> {
    /// Whether it is there.
    Head,
    /// With these fields in the query.
    Get(&'a [(&'a str, &'a str)]),
    /// These bytes, to begin something.
    Post(&'a [u8]),
    /// These fields, to be given a token for.
    Form(&'a [(&'a str, &'a str)]),
    /// These bytes, to be kept.
    Put { bytes: &'a [u8], content_type: &'a str },
}

impl Client {
    pub(crate) fn new() -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The hashes are over the files as they are.
            .accept_encoding("identity")
            .user_agent(concat!("pilar/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(WHOLE));
        Self { agent: config.build().new_agent() }
    }

    /// Reads at most `limit` bytes of what is at `url`, whatever its status.
    pub(crate) fn get(&self, url: &str, limit: u64) -> Result<Reply, ReadError> {
        taken(self.agent.get(url).call(), url, limit)
    }

    /// Sends something to a registry, and reads at most `limit` bytes of what it answers.
    pub(crate) fn send(
        &self,
        url: &str,
        sent: &Sent<'_>,
        authorization: Option<&str>,
        limit: u64,
    ) -> Result<Reply, Problem> {
        let answered = match *sent {
            Sent::Head => dressed(self.agent.head(url), authorization).call(),
            Sent::Get(fields) => {
                let asked = self.agent.get(url).query_pairs(fields.iter().copied());
                dressed(asked, authorization).call()
            }
            Sent::Post(bytes) => dressed(self.agent.post(url), authorization).send(bytes),
            Sent::Form(fields) => {
                dressed(self.agent.post(url), authorization).send_form(fields.iter().copied())
            }
            Sent::Put { bytes, content_type } => {
                let put = self.agent.put(url).content_type(content_type);
                dressed(put, authorization).send(bytes)
            }
        };
        let shown = url.split('?').next().unwrap_or_default();
        taken(answered, shown, limit).map_err(|error| unreachable(&error, shown))
    }

    /// The file at `url`; what is not there is [`ReadError::Missing`].
    pub(crate) fn file(&self, url: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        let reply = self.get(url, limit)?;
        match (reply.status, reply.header("location")) {
            (200, _) => Ok(reply.body),
            (404 | 410, _) => Err(ReadError::Missing),
            (status, Some(place)) => Err(ReadError::Failed {
                message: format!("{url} answers {status} and leads to {place}; name that address"),
            }),
            (status, None) => Err(ReadError::Failed { message: format!("{url} answers {status}") }),
        }
    }
}

/// With what lets in, and with the time that a large file takes.
fn dressed<B>(builder: RequestBuilder<B>, authorization: Option<&str>) -> RequestBuilder<B> {
    let builder = builder.config().timeout_global(Some(UPLOAD)).build();
    match authorization {
        Some(authorization) => builder.header("authorization", authorization),
        None => builder,
    }
}

fn taken(
    answered: Result<Response<Body>, Error>,
    url: &str,
    limit: u64,
) -> Result<Reply, ReadError> {
    let failed = |error: Error| match error {
        Error::BodyExceedsLimit(_) => ReadError::TooLarge { limit },
        error => ReadError::Failed { message: format!("{url} cannot be asked: {error}") },
    };
    let mut response = answered.map_err(failed)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    // One byte more than allowed, so that a body of just the limit is not taken for a longer one.
    let body = response.body_mut().with_config().limit(limit.saturating_add(1)).read_to_vec();
    let body = body.map_err(failed)?;
    if body.len() as u64 > limit {
        return Err(ReadError::TooLarge { limit });
    }
    Ok(Reply { status, body, headers })
}

/// Why nothing came from `url`.
pub(crate) fn unreachable(error: &ReadError, url: &str) -> Problem {
    match error {
        ReadError::Failed { message } => {
            let remedy = "see that the address is right and can be reached from here";
            Problem::new("url-unreachable", message, remedy).file(url)
        }
        error => unreadable(error, url.as_ref()),
    }
}

/// A feature's directory on a CDN (contract §2).
pub(crate) struct RemoteDir<'c> {
    pub(crate) client: &'c Client,
    /// Without a slash at its end.
    pub(crate) base: String,
}

impl ReadArtifact for RemoteDir<'_> {
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        let path = utf8_percent_encode(path, KEPT);
        self.client.file(&format!("{}/{path}", self.base), limit)
    }
}

/// Takes an http or https URL without credentials, query and fragment, and returns it without a slash at its end.
pub(crate) fn base_url(text: &str) -> Result<String, Problem> {
    let wrong = |message: &str| {
        let remedy = "name a base URL such as https://cdn.example/features/patientlist";
        Problem::new("bad-url", format!("\"{text}\": {message}"), remedy).wrong_use()
    };
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if authority.is_empty() {
        return Err(wrong("it is not an http or https URL"));
    }
    if authority.contains('@') {
        return Err(wrong("it holds credentials, which would be shown in reports"));
    }
    if text.contains(['?', '#']) || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(wrong("it is not the address of a directory"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// `reference` of a document at `base`, absolute or relative to it (contract §4).
pub(crate) fn resolve(base: &str, reference: &str) -> Result<String, Problem> {
    let absolute = reference.starts_with("https://") || reference.starts_with("http://");
    let origin_end = base.match_indices('/').nth(2).map_or(base.len(), |(at, _)| at);
    if absolute {
        base_url(reference)
    } else if reference.starts_with('/') {
        base_url(&format!("{}{reference}", base.get(..origin_end).unwrap_or(base)))
    } else {
        base_url(&format!("{base}/{}", reference.trim_start_matches("./")))
    }
}
