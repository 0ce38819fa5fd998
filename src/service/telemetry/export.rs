//! The way to the collector, over HTTP or, with rustls, HTTPS.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use crate::config;

/// Bytes of a collector's reply that are looked at.
const MOST_OF_REPLY: u64 = 64 * 1024;

/// Sends what the exporters made. It blocks its thread, which is one of the SDK's own.
#[derive(Debug, Clone)]
pub(super) struct Client {
    agent: Agent,
    headers: HeaderMap,
    /// Whether the last export failed: only a change is logged.
    is_failing: Arc<AtomicBool>,
}

impl Client {
    pub(super) fn new(config: &config::Telemetry) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // What the collector is called decides where it is, not a proxy of the environment.
            .proxy(None)
            .timeout_global(Some(config.timeout))
            .build()
            .new_agent();
        let header = |(name, value): &(String, config::Secret)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let mut value = HeaderValue::from_str(value.reveal()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        };
        let headers = config.headers.iter().filter_map(header).collect();
        Self { agent, headers, is_failing: Arc::default() }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (mut parts, body) = request.into_parts();
        // The exporter takes headers from the environment, checked by nobody; the configuration has those that count.
        let kind = parts.headers.remove(header::CONTENT_TYPE);
        parts.headers = self.headers.clone();
        parts.headers.extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
        let response = self.agent.run(Request::from_parts(parts, body.as_ref()))?;
        let (parts, mut body) = response.into_parts();
        let body = body.with_config().limit(MOST_OF_REPLY).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }

    fn note(&self, outcome: &Result<Response<Bytes>, ureq::Error>) {
        let problem = match outcome {
            Ok(reply) if reply.status().is_success() => None,
            Ok(reply) => Some(format!("the collector answers {}", reply.status().as_u16())),
            Err(error) => Some(error.to_string()),
        };
        let was_failing = self.is_failing.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(problem) if !was_failing => tracing::warn!(
                code = "telemetry-not-exported",
                "{problem}; traces and metrics are lost until it takes them. See OTEL_EXPORTER_OTLP_ENDPOINT"
            ),
            None if was_failing => {
                tracing::info!(
                    code = "telemetry-exported",
                    "the collector takes traces and metrics again"
                );
            }
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outcome = self.send(request);
        self.note(&outcome);
        Ok(outcome?)
    }
}
