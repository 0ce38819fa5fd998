//! A token server whose tokens are over after two seconds, and the two parties of Azure's exchange.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, SigningKey as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::registry::{Registry, basic};

/// Who is let in when it is asked.
pub(crate) const WHO: (&str, &str) = ("robot", "of-the-hospital");
const SERVICE: &str = "registry.of.the.test";
const ISSUER: &str = "issuer.of.the.test";
/// How long a token counts, and how much longer the registry takes it (distribution, `token.Leeway`), in seconds.
const LIFE: i64 = 2;
const LEEWAY: i64 = 60;

/// A running token server.
pub(crate) struct Tokens {
    pub(crate) address: String,
    mint: Arc<Mint>,
    task: tokio::task::JoinHandle<()>,
}

struct Mint {
    key: KeyPair,
    certificate: String,
    chain: String,
    issued: AtomicUsize,
    asks_who: AtomicBool,
}

impl Tokens {
    pub(crate) async fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![ISSUER.into()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let mint = Arc::new(Mint {
            key,
            chain: STANDARD.encode(certificate.der()),
            certificate: certificate.pem(),
            issued: AtomicUsize::new(0),
            asks_who: AtomicBool::new(false),
        });
        let router = Router::new()
            .route("/token", get(by_password).post(by_refresh_token))
            .route("/hospital/oauth2/v2.0/token", post(entra))
            .with_state(Arc::clone(&mint));
        let (address, task) = serve(router).await;
        Self { address, mint, task }
    }

    /// A registry that sends everybody here.
    pub(crate) async fn registry(&self) -> Registry {
        let realm = format!("http://{}/token", self.address);
        Registry::with_tokens(&realm, SERVICE, ISSUER, &self.mint.certificate).await
    }

    /// The registry at `registry` with the exchange of Azure before it.
    pub(crate) async fn front(&self, registry: &str) -> String {
        let registry = registry.to_owned();
        let forward = async |State(registry): State<String>, request: Request| {
            let uri = request.uri().path_and_query().unwrap().to_string();
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut sent = client.get(format!("http://{registry}{uri}"));
            for (name, value) in request.headers().iter().filter(|(name, _)| *name != "host") {
                sent = sent.header(name, value);
            }
            let reply = sent.send().await.unwrap();
            let (status, headers) = (reply.status(), reply.headers().clone());
            (status, headers, reply.bytes().await.unwrap()).into_response()
        };
        let router = Router::new()
            .route("/oauth2/exchange", post(exchange))
            .fallback(any(forward))
            .with_state(registry);
        serve(router).await.0
    }

    /// A token for the test itself.
    pub(crate) fn own(&self, repository: &str, actions: &str) -> String {
        let token = self.mint.token(&format!("repository:{repository}:{actions}"), 600);
        format!("Bearer {token}")
    }

    /// How many tokens were given out.
    pub(crate) fn issued(&self) -> usize {
        self.mint.issued.load(Ordering::SeqCst)
    }

    /// From now on only [`WHO`] gets tokens.
    pub(crate) fn ask_who(&self) {
        self.mint.asks_who.store(true, Ordering::SeqCst);
    }

    /// From now on everybody does.
    pub(crate) fn ask_nobody(&self) {
        self.mint.asks_who.store(false, Ordering::SeqCst);
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mint {
    /// A JSON web token (RFC 7519), signed with ES256.
    fn token(&self, scope: &str, life: i64) -> String {
        let now = Timestamp::now().as_second();
        let mut parts = scope.splitn(3, ':').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let access = json!({
            "type": part(), "name": part(),
            "actions": part().split(',').collect::<Vec<_>>(),
        });
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [self.chain] });
        let claims = json!({
            "iss": ISSUER, "sub": "", "aud": SERVICE, "jti": "1", "access": [access],
            "iat": now - LEEWAY - 60, "nbf": now - LEEWAY - 60, "exp": now - LEEWAY + life,
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = fixed(&self.key.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn give(&self, scope: &str, field: &str) -> Response {
        self.issued.fetch_add(1, Ordering::SeqCst);
        let token = self.token(scope, LIFE);
        axum::Json(json!({ field: token, "expires_in": LIFE })).into_response()
    }
}

async fn by_password(
    State(mint): State<Arc<Mint>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let who = headers.get("authorization").map(|value| value.to_str().unwrap());
    let may = !mint.asks_who.load(Ordering::SeqCst) || who == Some(&basic(WHO.0, WHO.1));
    if !may || query["service"] != SERVICE {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    mint.give(&query["scope"], "token")
}

async fn by_refresh_token(State(mint): State<Arc<Mint>>, body: Bytes) -> Response {
    let form = form(&body);
    if form["grant_type"] != "refresh_token" || form["refresh_token"] != "refresh-me" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    mint.give(&form["scope"], "access_token")
}

async fn entra(body: Bytes) -> Response {
    let form = form(&body);
    let right = form["client_assertion"] == "of-the-service-account"
        && form["client_id"] == "loader"
        && form["grant_type"] == "client_credentials";
    if !right {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    axum::Json(json!({ "access_token": "of-entra" })).into_response()
}

async fn exchange(body: Bytes) -> Response {
    let form = form(&body);
    let right = form["access_token"] == "of-entra"
        && form["grant_type"] == "access_token"
        && form["tenant"] == "hospital";
    if !right {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    axum::Json(json!({ "refresh_token": "refresh-me" })).into_response()
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = format!("http://form/?{}", std::str::from_utf8(body).unwrap());
    let url: reqwest::Url = text.parse().unwrap();
    url.query_pairs().into_owned().collect()
}

async fn serve(router: Router) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, task)
}

/// A signature of ECDSA as two numbers of 32 bytes (RFC 7518 §3.4), from its form in ASN.1.
fn fixed(der: &[u8]) -> Vec<u8> {
    let first = usize::from(der[3]);
    let number = |bytes: &[u8]| {
        let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        [vec![0; 32 - significant.len()], significant.to_vec()].concat()
    };
    [number(&der[4..4 + first]), number(&der[6 + first..])].concat()
}
