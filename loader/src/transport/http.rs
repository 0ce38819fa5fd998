//! Requests that keep to what was asked for: scheme, limits, and where a redirect may lead.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use jiff::fmt::rfc2822;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION, RANGE,
    RETRY_AFTER,
};
use reqwest::{Certificate, Client, NoProxy, Proxy, Response, StatusCode, Url, redirect};
use tokio::time::Instant;

use super::{FetchError, Jitter, Limits, Options, Proxies, Tally};

/// How many redirects are followed for one request.
const REDIRECTS: usize = 5;

/// The fewest bytes that have to come within [`Limits::idle`], 1 KiB a second: who sends fewer would hold a turn for
/// as long as a whole fetch may take.
pub(super) const SLOWEST: u64 = 30 << 10;

/// What sends requests.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client,
    /// The proxies that the client goes through.
    proxies: Proxies,
    plain: BTreeSet<String>,
    pub(super) limits: Limits,
    pub(super) jitter: Jitter,
}

/// How fast a body comes: the time that was waited for it and the bytes that came, since both were last looked at.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waited: Duration,
    came: u64,
}

/// One GET.
#[derive(Debug, Clone)]
pub(super) struct Get<'a> {
    /// Where from.
    pub(super) url: Url,
    /// The media types that are understood.
    pub(super) accept: Option<&'static str>,
    /// The first byte that is wanted.
    pub(super) from: u64,
    /// What came last time is not wanted again.
    pub(super) validator: Option<&'a str>,
    /// Where a redirect may lead.
    pub(super) redirects: Redirects,
}

/// Where a redirect may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redirects {
    /// Anywhere, but what lets in to the first place is not shown to the second. Registries hand their blobs to a
    /// storage service like that.
    Anywhere,
    /// To another path of the same scheme, host and port.
    SameOrigin,
}

impl<'a> Get<'a> {
    /// A GET of the whole.
    pub(super) fn new(url: Url, redirects: Redirects) -> Self {
        Self { url, accept: None, from: 0, validator: None, redirects }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(accept) = self.accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        if self.from > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.from))
        {
            headers.insert(RANGE, range);
        }
        if let Some(Ok(validator)) = self.validator.map(HeaderValue::from_str) {
            headers.insert(IF_NONE_MATCH, validator);
        }
        headers
    }
}

impl Http {
    /// What sends requests with these options.
    pub(super) fn new(
        options: &Options,
        limits: Limits,
        jitter: Jitter,
    ) -> Result<Self, FetchError> {
        // It fails where there is one already, which is the same one: the program has no other.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bad = |option| move |error: reqwest::Error| option_error(option, &error);
        let mut builder = Client::builder()
            .user_agent(concat!("pilar-loader/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(limits.connect)
            .read_timeout(limits.idle)
            // The variables are read by the program and passed in.
            .no_proxy();
        if let Some(pem) = &options.extra_ca {
            let certificates =
                Certificate::from_pem_bundle(pem).map_err(bad("LOADER_EXTRA_CA_PATH"))?;
            if certificates.is_empty() {
                let problem = "there is no certificate in it".to_owned();
                return Err(FetchError::Option { option: "LOADER_EXTRA_CA_PATH", problem });
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let none = options.proxies.none.as_deref().and_then(NoProxy::from_string);
        if let Some(proxy) = &options.proxies.http {
            let proxy = Proxy::http(proxy).map_err(bad("HTTP_PROXY"))?;
            builder = builder.proxy(proxy.no_proxy(none.clone()));
        }
        if let Some(proxy) = &options.proxies.https {
            let proxy = Proxy::https(proxy).map_err(bad("HTTPS_PROXY"))?;
            builder = builder.proxy(proxy.no_proxy(none));
        }
        let client = builder.build().map_err(bad("the HTTP client"))?;
        let plain =
            options.plain_http_hosts.iter().map(|host| without_default_port(host)).collect();
        Ok(Self { client, proxies: options.proxies.clone(), plain, limits, jitter })
    }

    /// The root of a host that was named without a scheme: TLS, unless it was named as one without.
    pub(super) fn root(&self, host: &str) -> Option<Url> {
        let scheme =
            if self.plain.contains(&without_default_port(host)) { "http" } else { "https" };
        let url: Url = format!("{scheme}://{host}/").parse().ok()?;
        let only_a_host = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        (only_a_host && url.username().is_empty() && url.password().is_none()).then_some(url)
    }

    /// Sends a GET and follows redirects, whatever the last answer is.
    pub(super) async fn send(
        &self,
        get: &Get<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, FetchError> {
        let mut url = get.url.clone();
        let mut authorization = authorization;
        for _ in 0..=REDIRECTS {
            self.check_scheme(&url)?;
            let mut headers = get.headers();
            if let Some(value) = authorization {
                headers.insert(AUTHORIZATION, value.clone());
            }
            let sent = self.client.get(url.clone()).headers(headers).send().await;
            let response = sent.map_err(|error| self.failed(&url, error))?;
            let Some(to) = redirect_of(&response, &url)? else { return Ok(response) };
            if to.origin() != url.origin() {
                if get.redirects == Redirects::SameOrigin {
                    return Err(refused_redirect(&url, &to, "it is another scheme, host or port"));
                }
                authorization = None;
            }
            url = to;
        }
        Err(refused_redirect(&get.url, &url, "there are too many redirects"))
    }

    /// Sends a form, which redirects do not lead away.
    pub(super) async fn post(
        &self,
        url: &Url,
        form: &[(&str, &str)],
    ) -> Result<Response, FetchError> {
        self.check_scheme(url)?;
        let sent = self.client.post(url.clone()).form(form).send().await;
        sent.map_err(|error| self.failed(url, error))
    }

    /// Reads a body of no more than `limit` bytes.
    pub(super) async fn body(
        &self,
        response: &mut Response,
        limit: u64,
        tally: &Tally,
    ) -> Result<Vec<u8>, FetchError> {
        let url = response.url().clone();
        let (mut body, mut pace) = (Vec::new(), Pace::default());
        while let Some(bytes) = self.chunk(response, &mut pace).await? {
            tally.came(bytes.len());
            if body.len().saturating_add(bytes.len()) as u64 > limit {
                return Err(FetchError::TooLarge { url: shown(&url), limit });
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }

    /// The next piece of a body. A server that sends less than [`SLOWEST`] is given up
    /// like one that is silent.
    pub(super) async fn chunk(
        &self,
        response: &mut Response,
        pace: &mut Pace,
    ) -> Result<Option<Bytes>, FetchError> {
        let start = Instant::now();
        let read = response.chunk().await.map_err(|error| self.failed(response.url(), error))?;
        let Some(bytes) = read else { return Ok(None) };
        // What the disk takes is not the server's.
        pace.waited += start.elapsed();
        pace.came += bytes.len() as u64;
        if pace.waited >= self.limits.idle {
            let Pace { came, .. } = std::mem::take(pace);
            if came < SLOWEST {
                let url = shown(response.url());
                return Err(FetchError::Stalled { url, came, after: self.limits.idle });
            }
        }
        Ok(Some(bytes))
    }

    fn check_scheme(&self, url: &Url) -> Result<(), FetchError> {
        let plain = || self.plain.contains(&authority(url));
        match url.scheme() {
            "https" => Ok(()),
            "http" if plain() => Ok(()),
            "http" => Err(FetchError::PlainHttp { url: shown(url) }),
            _ => Err(protocol(url, "it is neither http nor https")),
        }
    }

    fn failed(&self, url: &Url, error: reqwest::Error) -> FetchError {
        if error.is_timeout() && !error.is_connect() {
            return FetchError::Stalled { url: shown(url), came: 0, after: self.limits.idle };
        }
        let proxy = if error.is_connect() { self.proxy(url) } else { None };
        FetchError::Unreachable { url: shown(url), proxy, cause: cause(&error) }
    }

    /// The proxy on the way to an address, without what lets in there.
    fn proxy(&self, url: &Url) -> Option<String> {
        let address: Uri = url.as_str().parse().ok()?;
        let intercepted = self.proxies.way_to(&address)?;
        Some(intercepted.uri().to_string())
    }
}

/// Takes an answer whose status says that what was asked for is in it.
pub(super) fn successful(response: Response) -> Result<Response, FetchError> {
    let status = response.status();
    if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(response);
    }
    let retry_after = retry_after(response.headers());
    Err(FetchError::Status { url: shown(response.url()), status, retry_after })
}

/// An address as messages show it: without its query, where storage services put what lets in.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// A server that breaks the protocol.
pub(super) fn protocol(url: &Url, problem: impl Into<String>) -> FetchError {
    FetchError::Protocol { url: shown(url), problem: problem.into() }
}

fn refused_redirect(url: &Url, to: &Url, problem: &'static str) -> FetchError {
    FetchError::Redirect { url: shown(url), to: shown(to), problem }
}

fn redirect_of(response: &Response, url: &Url) -> Result<Option<Url>, FetchError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let to = location.and_then(|location| url.join(location).ok());
    to.map(Some).ok_or_else(|| protocol(url, "it leads to no address"))
}

/// Seconds, or a date (RFC 9110 §10.2.3), which is held against the one of the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let asked = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = rfc2822::parse(asked).ok()?.timestamp();
    let now = rfc2822::parse(text(DATE)?).ok()?.timestamp();
    Some(Duration::try_from(then.duration_since(now)).unwrap_or_default())
}

/// Host and port as configurations name them.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn without_default_port(host: &str) -> String {
    host.strip_suffix(":80").unwrap_or(host).to_ascii_lowercase()
}

fn option_error(option: &'static str, error: &reqwest::Error) -> FetchError {
    FetchError::Option { option, problem: cause(error) }
}

/// The reason below what reqwest says, which repeats the address.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost = error.source();
    while let Some(deeper) = innermost.and_then(std::error::Error::source) {
        innermost = Some(deeper);
    }
    innermost.map_or_else(|| "the connection failed".to_owned(), ToString::to_string)
}
