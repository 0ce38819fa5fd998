//! What lets in to one repository, for as long as one image is pulled.
//!
//! Nothing is presented before the registry asks for it. It says how in a challenge (RFC 9110 §11.6.1): `Basic`,
//! or `Bearer` with the place where a token is to be had (distribution, "Token Authentication Specification").

use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use tokio::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::transport::credentials::{
    Candidates, Credential, Repository, Secret, Unusable, refresh_token, token, token_in,
};
use crate::transport::http::{Get, Http, Redirects, protocol, successful};
use crate::transport::{AzureIdentity, FetchError, Tally};

/// A repository, and what lets in to it.
#[derive(Debug)]
pub(in crate::transport) struct Session {
    /// Of the registry.
    pub(super) root: Url,
    pub(super) repository: Repository,
    credentials: Vec<Credential>,
    azure: Option<AzureIdentity>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The candidate that is being tried, or that let in.
    candidate: usize,
    authorization: Option<HeaderValue>,
    /// What cannot be used. It is told where nothing else lets in.
    problem: Option<Unusable>,
}

/// How a registry wants to be spoken to.
#[derive(Debug)]
enum Challenge {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

impl Session {
    pub(super) fn new(
        root: Url,
        repository: Repository,
        candidates: Candidates,
        azure: Option<AzureIdentity>,
    ) -> Self {
        let Candidates { credentials, problem } = candidates;
        let state = Mutex::new(State { problem, ..State::default() });
        Self { root, repository, credentials, azure, state }
    }

    /// Sends a GET with what lets in. Where the registry refuses it, a token that is over is renewed, and then
    /// the next candidate is tried.
    pub(in crate::transport) async fn send(
        &self,
        http: &Http,
        get: &Get<'_>,
        tally: &Tally,
    ) -> Result<Response, FetchError> {
        let mut state = self.state.lock().await;
        let response = self.let_in(&mut state, http, get, tally).await?;
        match &state.problem {
            Some(problem) if self.is_refused(&response) => {
                Err(FetchError::Credentials(problem.clone()))
            }
            _ => Ok(response),
        }
    }

    /// Only the registry itself is told who asks, not where it leads to.
    fn is_refused(&self, response: &Response) -> bool {
        matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            && response.url().origin() == self.root.origin()
    }

    async fn let_in(
        &self,
        state: &mut State,
        http: &Http,
        get: &Get<'_>,
        tally: &Tally,
    ) -> Result<Response, FetchError> {
        let mut is_fresh = false;
        loop {
            let response = http.send(get, state.authorization.as_ref()).await?;
            if !self.is_refused(&response) {
                return Ok(response);
            }
            let Some(challenge) = challenge(&response)? else {
                if !state.next(&self.credentials) {
                    return Ok(response);
                }
                is_fresh = false;
                continue;
            };
            if is_fresh && !state.next(&self.credentials) {
                return Ok(response);
            }
            is_fresh = true;
            state.authorization = loop {
                let Some(credential) = self.credentials.get(state.candidate) else {
                    return Ok(response);
                };
                match self.answer(http, &challenge, credential, tally).await {
                    Ok(Some(authorization)) => break Some(authorization),
                    // The place that gives tokens refuses it too.
                    Err(FetchError::Status { status, .. })
                        if status.is_client_error() && status != 429 => {}
                    Err(FetchError::Credentials(problem)) => {
                        state.problem.get_or_insert(problem);
                    }
                    Err(error) => return Err(error),
                    Ok(None) => {}
                }
                if !state.next(&self.credentials) {
                    return Ok(response);
                }
            };
        }
    }

    /// What a credential is to a challenge; `None` where it is no answer.
    async fn answer(
        &self,
        http: &Http,
        challenge: &Challenge,
        credential: &Credential,
        tally: &Tally,
    ) -> Result<Option<HeaderValue>, FetchError> {
        let (realm, service) = match (challenge, credential) {
            (Challenge::Basic, Credential::Password(name, password)) => {
                return Ok(basic(name, password));
            }
            (Challenge::Basic, _) => return Ok(None),
            (Challenge::Bearer { realm, service }, _) => (realm, service.as_deref()),
        };
        let token = match credential {
            Credential::Password(name, password) => {
                self.token(http, realm, service, basic(name, password), tally).await?
            }
            Credential::Anonymous => self.token(http, realm, service, None, tally).await?,
            Credential::Refresh(token) => self.refresh(http, realm, service, token, tally).await?,
            Credential::Azure => {
                let Some(azure) = &self.azure else { return Ok(None) };
                let token = refresh_token(http, azure, &self.root, tally).await?;
                self.refresh(http, realm, service, &token, tally).await?
            }
        };
        let value = HeaderValue::from_str(&format!("Bearer {}", token.0));
        let value = value.map_err(|_| protocol(realm, "its token is no token"))?;
        Ok(Some(sensitive(value)))
    }

    /// A token by GET, with name and password or without.
    async fn token(
        &self,
        http: &Http,
        realm: &Url,
        service: Option<&str>,
        authorization: Option<HeaderValue>,
        tally: &Tally,
    ) -> Result<Secret, FetchError> {
        let mut url = realm.clone();
        url.query_pairs_mut()
            .extend_pairs(service.map(|service| ("service", service)))
            .append_pair("scope", &self.scope());
        let get = Get::new(url, Redirects::SameOrigin);
        let mut response = successful(http.send(&get, authorization.as_ref()).await?)?;
        let body = http.body(&mut response, http.limits.document_bytes, tally).await?;
        token_in(realm, &body, &["token", "access_token"])
    }

    /// A token by POST, for a refresh token (distribution, "OAuth2 Token Authentication").
    async fn refresh(
        &self,
        http: &Http,
        realm: &Url,
        service: Option<&str>,
        refresh_token: &Secret,
        tally: &Tally,
    ) -> Result<Secret, FetchError> {
        let scope = self.scope();
        let form = [
            ("grant_type", "refresh_token"),
            ("service", service.unwrap_or_default()),
            ("client_id", "pilar-loader"),
            ("scope", scope.as_str()),
            ("refresh_token", refresh_token.0.as_str()),
        ];
        token(http, realm, &form, &["access_token", "token"], tally).await
    }

    fn scope(&self) -> String {
        format!("repository:{}:pull", self.repository.path)
    }
}

impl State {
    /// Goes on to the next candidate; `false` where there is none.
    fn next(&mut self, credentials: &[Credential]) -> bool {
        self.authorization = None;
        let more = self.candidate + 1 < credentials.len();
        // The next request begins with the first again: a credential may have been mended meanwhile.
        self.candidate = if more { self.candidate + 1 } else { 0 };
        more
    }
}

fn challenge(response: &Response) -> Result<Option<Challenge>, FetchError> {
    if response.status() != StatusCode::UNAUTHORIZED {
        return Ok(None);
    }
    let headers = response.headers().get_all(WWW_AUTHENTICATE).into_iter();
    for text in headers.filter_map(|value| value.to_str().ok()) {
        for offered in http_auth::parse_challenges(text).unwrap_or_default() {
            let param = |name: &str| {
                let found = offered.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            if offered.scheme.eq_ignore_ascii_case("basic") {
                return Ok(Some(Challenge::Basic));
            }
            if offered.scheme.eq_ignore_ascii_case("bearer") {
                let realm = param("realm").and_then(|realm| realm.parse().ok());
                let realm = realm.ok_or_else(|| {
                    protocol(response.url(), "it does not say where a token is to be had")
                })?;
                return Ok(Some(Challenge::Bearer { realm, service: param("service") }));
            }
        }
    }
    Ok(None)
}

fn basic(name: &str, password: &Secret) -> Option<HeaderValue> {
    let encoded = STANDARD.encode(format!("{name}:{}", password.0));
    HeaderValue::from_str(&format!("Basic {encoded}")).ok().map(sensitive)
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
