//! Why nothing came.

use std::time::Duration;

use pilar_artifact::json::JsonError;
use pilar_artifact::verify::Failure;
use pilar_artifact::{Rejection, Sha256Digest};
use pilar_store::StoreError;
use reqwest::StatusCode;

use super::credentials::Unusable;
use crate::unpack::Refusal;

/// Why a fetch failed. What serves is as it was. No text in it holds a secret: addresses are without their query,
/// and what a server or a helper says is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, or one that broke.
    #[error("{url} cannot be reached{}: {cause}", through(.proxy.as_deref()))]
    Unreachable {
        /// The address.
        url: String,
        /// The proxy on the way there, where no connection came about and there is one.
        proxy: Option<String>,
        /// What the network said.
        cause: String,
    },
    /// Nothing or hardly anything came for too long.
    #[error("{url}: {came} bytes came in {} s", .after.as_secs())]
    Stalled {
        /// The address.
        url: String,
        /// The bytes that came nevertheless.
        came: u64,
        /// How long.
        after: Duration,
    },
    /// The fetch as a whole took too long.
    #[error("the fetch was not done after {} s", .after.as_secs())]
    TooSlow {
        /// How long.
        after: Duration,
    },
    /// The server said no.
    #[error("{url} answers {status}")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: StatusCode,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// The server leads somewhere else.
    #[error("{url} leads to {to}: {problem}")]
    Redirect {
        /// The address.
        url: String,
        /// The other one.
        to: String,
        /// Why it is not followed.
        problem: &'static str,
    },
    /// An address without TLS that nobody named.
    #[error("{url} is plain HTTP, which is used only where it is asked for")]
    PlainHttp {
        /// The address.
        url: String,
    },
    /// The server breaks the protocol.
    #[error("{url}: {problem}")]
    Protocol {
        /// The address.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// A document is too large.
    #[error("{url} is larger than {limit} bytes")]
    TooLarge {
        /// The address.
        url: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A file or a document is not what was named.
    #[error("{url} is not what was asked for: expected SHA-256 {expected}, found {found}")]
    Digest {
        /// The address.
        url: String,
        /// What was named.
        expected: Sha256Digest,
        /// What came.
        found: Sha256Digest,
    },
    /// A document of the registry is no strict JSON.
    #[error("{url}: {error}")]
    Json {
        /// The address.
        url: String,
        /// Why.
        error: JsonError,
    },
    /// The image is none that an artifact travels in.
    #[error("{url}: {problem}")]
    Image {
        /// The code.
        code: &'static str,
        /// The address of the manifest.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// A layer was refused.
    #[error("layer {layer}: {refusal}")]
    Layer {
        /// The digest of the layer.
        layer: Sha256Digest,
        /// Why.
        refusal: Box<Refusal>,
    },
    /// Nothing lets in, and something that might have cannot be used.
    #[error("{0}")]
    Credentials(Unusable),
    /// The index or a manifest of a CDN was refused.
    #[error("{0}")]
    Rejected(Box<Rejection>),
    /// The index or a manifest of a CDN is not one, where there is no key to verify it with.
    #[error("{url}: {failure}")]
    Document {
        /// The address.
        url: String,
        /// Why.
        failure: Failure,
    },
    /// The staging directory could not be written.
    #[error("{}: {_0}", _0.path().display())]
    Store(#[from] StoreError),
    /// A thread of this program ended early.
    #[error("the writing thread ended early")]
    Lost,
    /// The program was given something that it cannot use.
    #[error("{option}: {problem}")]
    Option {
        /// The variable.
        option: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl FetchError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Stalled { .. } => "stalled",
            Self::TooSlow { .. } => "too-slow",
            Self::Status { status, .. } => match status.as_u16() {
                401 => "unauthorized",
                403 => "forbidden",
                404 | 410 => "not-found",
                429 => "too-many-requests",
                500.. => "server-error",
                _ => "unexpected-status",
            },
            Self::Redirect { .. } => "redirect-refused",
            Self::PlainHttp { .. } => "plain-http",
            Self::Protocol { .. } => "protocol",
            Self::TooLarge { .. } => "too-large",
            Self::Digest { .. } => "digest-mismatch",
            Self::Json { error, .. } => error.code(),
            Self::Image { code, .. } | Self::Credentials(Unusable { code, .. }) => code,
            Self::Layer { refusal, .. } => refusal.code(),
            Self::Rejected(rejection) => rejection.failure().code(),
            Self::Document { failure, .. } => failure.code(),
            Self::Store(error) => error.code(),
            Self::Lost => "lost-thread",
            Self::Option { .. } => "bad-option",
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreachable { proxy: Some(_), .. } => {
                "see that the proxy of HTTP_PROXY or HTTPS_PROXY runs and lets it through, or name the host in NO_PROXY; it is tried again"
            }
            Self::Unreachable { .. } | Self::Stalled { .. } | Self::TooSlow { .. } => {
                "see that the address is right and that network, proxy and certificates let it through; it is tried again"
            }
            Self::Status { status, .. } => match status.as_u16() {
                401 | 403 => "give the loader a credential that may pull this repository",
                404 | 410 => "correct the registration, or push what it names",
                _ => "see what the server says in its own log; it is tried again",
            },
            Self::Redirect { .. } => "register the address that it leads to",
            Self::PlainHttp { .. } => {
                "use https, or name the host and port in LOADER_PLAIN_HTTP_HOSTS"
            }
            Self::Protocol { .. } => "see that the address is that of a registry or a CDN",
            Self::TooLarge { .. } => "make it smaller, or raise the LOADER_MAX_* limit",
            Self::Digest { .. } => {
                "it is fetched again; should it stay, something on the way alters the bytes: publish it again"
            }
            Self::Json { .. } | Self::Image { .. } => {
                "build and push the image again with `pilar image push`"
            }
            Self::Layer { refusal, .. } => refusal.remedy(),
            Self::Credentials(_) => {
                "correct the docker configuration, the pull secret or the workload identity"
            }
            Self::Rejected(_) | Self::Document { .. } => {
                "publish the feature again, signed with a key that is trusted here"
            }
            Self::Store(error) => error.remedy(),
            Self::Lost => "it is tried again; report it should it stay",
            Self::Option { .. } => "correct the variable",
        }
    }

    /// How long the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the same fetch may well succeed later without anybody changing what is registered.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Stalled { .. }
            | Self::TooSlow { .. }
            | Self::Digest { .. }
            | Self::Protocol { .. }
            | Self::Credentials(_)
            | Self::Store(_)
            | Self::Lost => true,
            Self::Status { status, .. } => {
                status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
            }
            Self::Layer { refusal, .. } => refusal.may_pass(),
            Self::Redirect { .. }
            | Self::PlainHttp { .. }
            | Self::TooLarge { .. }
            | Self::Json { .. }
            | Self::Image { .. }
            | Self::Rejected(_)
            | Self::Document { .. }
            | Self::Option { .. } => false,
        }
    }
}

fn through(proxy: Option<&str>) -> String {
    proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default()
}
