//! Who may use `/_admin`, and what a request has to show before it may write.

use std::time::Duration;

use axum::Form;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, FromRequest as _, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::backoff::{Backoff, Look};
use super::session::{LIFETIME_SECONDS, Session, Sessions, same_token};
use super::{Admin, LOGIN, ROOT, audit, login};
use crate::catalog::Now;
use crate::config::Secret;
use crate::edge::Peer;
use crate::service::reply::{RequestId, error};

/// Opens the door, or does not.
#[derive(Debug)]
pub(super) enum Access {
    /// To everybody.
    Open,
    /// To whoever has the token, or a session that was begun with it.
    Token { token: Secret, sessions: Sessions, backoff: Backoff },
}

/// Who sent a request; in its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Somebody, where everybody may.
    Anyone,
    /// A program that has the token.
    Token,
    /// A person who signed in.
    Person(Session),
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// Nothing was shown, or a session whose time is over.
    NotSignedIn,
    /// The token is another.
    WrongToken,
    /// There were too many wrong ones; so many seconds are to be waited.
    TooManyFailures(u64),
}

const COOKIE: &str = "pilar_admin";
const LOGIN_COOKIE: &str = "pilar_admin_login";
/// How long a form to sign in with can be used.
const LOGIN_SECONDS: i64 = 60 * 60;
const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Bytes of a form.
const MOST_FORM_BYTES: usize = 16 * 1024;

#[derive(Debug, Deserialize)]
struct CsrfField {
    csrf: String,
}

impl Access {
    /// Access for those who have this token.
    pub(super) fn with_token(token: Secret) -> Self {
        let sessions = Sessions::new(token.reveal());
        Self::Token { token, sessions, backoff: Backoff::default() }
    }

    fn who(&self, headers: &HeaderMap, peer: Peer, now: Now) -> Result<Who, Denied> {
        let Self::Token { sessions, .. } = self else { return Ok(Who::Anyone) };
        if let Some(presented) = bearer(headers) {
            return self.check_token(presented, peer, now).map(|()| Who::Token);
        }
        let session = cookies(headers, COOKIE).find_map(|sealed| sessions.open(sealed, now.wall));
        session.map(Who::Person).ok_or(Denied::NotSignedIn)
    }

    /// Whether a token is the right one. Who failed too often waits, unless it is.
    pub(super) fn check_token(&self, presented: &str, peer: Peer, now: Now) -> Result<(), Denied> {
        let Self::Token { token, backoff, .. } = self else { return Ok(()) };
        let too_many = |wait: Duration| Err(Denied::TooManyFailures(wait.as_secs() + 1));
        let is_right = || same_token(token.reveal(), presented);
        match backoff.look(peer, now.monotonic) {
            Look::TooMany(wait) => too_many(wait),
            Look::Free | Look::Waiting(_) if is_right() => Ok(()),
            Look::Waiting(wait) => too_many(wait),
            Look::Free => {
                backoff.failed(peer, now.monotonic);
                Err(Denied::WrongToken)
            }
        }
    }

    /// What the forms of a page carry; empty where nobody signs in.
    pub(super) fn csrf_token(&self, who: Who) -> String {
        match (self, who) {
            (Self::Token { sessions, .. }, Who::Person(session)) => sessions.csrf_token(session),
            _ => String::new(),
        }
    }

    fn is_csrf_token(&self, session: Session, presented: &str) -> bool {
        matches!(self, Self::Token { sessions, .. } if sessions.is_csrf_token(session, presented))
    }

    /// What the form to sign in with carries, if people sign in here, and the `set-cookie` of the same: who makes
    /// a browser send a form from elsewhere can do neither.
    ///
    /// It is random and nothing else. Were it signed by a key that comes from the token, whoever is shown the form
    /// could try tokens against it at home.
    pub(super) fn login_form(
        &self,
        random: [u8; 16],
        secure: bool,
    ) -> Option<(String, HeaderValue)> {
        let Self::Token { .. } = self else { return None };
        let proof = BASE64_URL_SAFE_NO_PAD.encode(random);
        let cookie = set_cookie(LOGIN_COOKIE, LOGIN, &proof, LOGIN_SECONDS, secure);
        Some((proof, HeaderValue::from_str(&cookie).ok()?))
    }

    /// The `set-cookie` of a new session, if people sign in here. `secure` keeps it off connections without TLS.
    pub(super) fn begin_session(
        &self,
        now: Now,
        nonce: [u8; 16],
        secure: bool,
    ) -> Option<(Session, HeaderValue)> {
        let Self::Token { sessions, .. } = self else { return None };
        let session = Sessions::begin(now.wall, nonce);
        let cookie = set_cookie(COOKIE, ROOT, &sessions.seal(session), LIFETIME_SECONDS, secure);
        Some((session, HeaderValue::from_str(&cookie).ok()?))
    }
}

impl Who {
    /// What an audit line calls them.
    pub(super) fn name(self) -> String {
        match self {
            Self::Anyone => "anyone".to_owned(),
            Self::Token => "token".to_owned(),
            Self::Person(session) => format!("session {}", session.name()),
        }
    }
}

impl Denied {
    /// What an audit line says of it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::NotSignedIn => "refused: not signed in",
            Self::WrongToken => "refused: wrong token",
            Self::TooManyFailures(_) => "refused: too many wrong tokens came from this address",
        }
    }

    /// Its reply as JSON.
    pub(super) fn reply(self, id: &RequestId) -> Response {
        let (status, code, message) = match self {
            Self::NotSignedIn => (
                StatusCode::UNAUTHORIZED,
                "not-signed-in",
                "send `authorization: Bearer` with ADMIN_AUTH_TOKEN, or sign in at /_admin/login",
            ),
            Self::WrongToken => {
                (StatusCode::UNAUTHORIZED, "wrong-token", "this is not ADMIN_AUTH_TOKEN")
            }
            Self::TooManyFailures(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-failures",
                "too many wrong tokens came from this address; wait before the next",
            ),
        };
        let mut response = error(status, code, message, id);
        let headers = response.headers_mut();
        match self {
            Self::TooManyFailures(seconds) => headers.insert(header::RETRY_AFTER, seconds.into()),
            _ => headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        };
        response
    }
}

/// The `set-cookie` that ends a session.
pub(super) fn end_session() -> HeaderValue {
    HeaderValue::from_str(&set_cookie(COOKIE, ROOT, "", 0, false))
        .unwrap_or(HeaderValue::from_static(""))
}

/// Whether a form to sign in with came from here: it carries what one of the cookies does.
pub(super) fn is_login_form(headers: &HeaderMap, presented: &str) -> bool {
    !presented.is_empty() && cookies(headers, LOGIN_COOKIE).any(|value| value == presented)
}

fn set_cookie(name: &str, path: &str, value: &str, seconds: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Lets a request through that may see, and if it writes may write, what it asks for.
pub(super) async fn guard(
    State(admin): State<Admin>,
    Extension(peer): Extension<Peer>,
    Extension(id): Extension<RequestId>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = if admin.parts.trust_proxy { peer.behind(request.headers()) } else { peer };
    request.extensions_mut().insert(peer);
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let action = action(request.uri().path());
    if writes && !is_same_origin(request.headers()) {
        audit(action, "nobody", peer, &id, "refused: sent by another site");
        return denied(&id, "cross-site", "another site made the browser send this");
    }
    // Signing in is for those who are not yet.
    if request.uri().path() == LOGIN {
        return next.run(request).await;
    }
    let who = match admin.access.who(request.headers(), peer, admin.now()) {
        Ok(who) => who,
        Err(Denied::NotSignedIn) if !writes && wants_page(request.headers()) => {
            let next = utf8_percent_encode(request.uri().path(), NON_ALPHANUMERIC);
            return Redirect::to(&format!("{LOGIN}?next={next}")).into_response();
        }
        Err(reason) => {
            if writes || reason == Denied::WrongToken {
                audit(action, "nobody", peer, &id, reason.reason());
            }
            // A form that was open for longer than its session.
            if reason == Denied::NotSignedIn && wants_page(request.headers()) {
                return login::after_session(&admin, request.headers());
            }
            return reason.reply(&id);
        }
    };
    if let (true, Who::Person(session)) = (writes, who) {
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, MOST_FORM_BYTES).await else {
            audit(action, &who.name(), peer, &id, "refused: the form is too long");
            return error(
                StatusCode::PAYLOAD_TOO_LARGE,
                "form-too-long",
                "the form is too long",
                &id,
            );
        };
        let presented = csrf(&parts, &body).await.unwrap_or_default();
        if !admin.access.is_csrf_token(session, &presented) {
            audit(action, &who.name(), peer, &id, "refused: not a form of this session");
            return denied(&id, "csrf", "the form is not of this session; load the page again");
        }
        request = Request::from_parts(parts, Body::from(body));
    }
    request.extensions_mut().insert(who);
    next.run(request).await
}

/// What an audit line calls what a request would have done.
fn action(path: &str) -> &'static str {
    match path.strip_prefix(ROOT) {
        Some("/refresh") => "refresh",
        Some("/login") => "sign-in",
        Some("/logout") => "sign-out",
        _ => "use",
    }
}

fn denied(id: &RequestId, code: &str, message: &str) -> Response {
    error(StatusCode::FORBIDDEN, code, message, id)
}

/// What a script sends in a header, and a form in a field.
async fn csrf(parts: &http::request::Parts, body: &Bytes) -> Option<String> {
    if let Some(value) = parts.headers.get(CSRF_HEADER) {
        return Some(value.to_str().ok()?.to_owned());
    }
    let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
    let Form(field) = Form::<CsrfField>::from_request(request, &()).await.ok()?;
    Some(field.csrf)
}

/// Whether a browser sent this for a page of this host, or no browser sent it at all: browsers send `origin` with
/// whatever writes, and `sec-fetch-site`, which no proxy makes wrong, wherever the connection is secure.
fn is_same_origin(headers: &HeaderMap) -> bool {
    match (headers.get(SEC_FETCH_SITE), headers.get(header::ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let authority = origin.as_ref().and_then(Uri::authority);
            authority.zip(host).is_some_and(|(authority, host)| authority == host)
        }
        (None, None) => true,
    }
}

/// Whether the browser reached this host through TLS, as far as it says.
pub(super) fn came_through_tls(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// Whether a person looks at the reply.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The values of all cookies of this name: a neighbour on the same host may have set one as well.
fn cookies<'h>(headers: &'h HeaderMap, wanted: &'static str) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(name, _)| *name == wanted).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_what_a_page_of_this_host_or_no_browser_sends_may_write() {
        for (site, origin, expected) in [
            (None, None, true),
            (Some("same-origin"), Some("https://clinic.example"), true),
            (Some("cross-site"), Some("https://clinic.example"), false),
            (Some("same-site"), Some("https://other.clinic.example"), false),
            (Some("none"), None, false),
            (None, Some("http://clinic.example"), true),
            (None, Some("http://clinic.example:8080"), false),
            (None, Some("http://evil.example"), false),
            (None, Some("null"), false),
            (None, Some("not a url"), false),
        ] {
            let mut lines = vec![("host", "clinic.example")];
            lines.extend(site.map(|site| ("sec-fetch-site", site)));
            lines.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(is_same_origin(&headers(&lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_session_is_found_among_other_cookies() {
        let lines = headers(&[("cookie", "theme=dark; pilar_admin=abc; x_pilar_admin=no")]);
        assert_eq!(cookies(&lines, COOKIE).next(), Some("abc"));
        assert_eq!(cookies(&headers(&[("cookie", "xpilar_admin=abc")]), COOKIE).next(), None);
    }
}
