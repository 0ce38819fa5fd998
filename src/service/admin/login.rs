//! Signing in and out.

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Deserialize;

use super::access::{Denied, Who, came_through_tls, end_session, is_login_form};
use super::pages::html;
use super::{Admin, LOGIN, ROOT, audit};
use crate::admin::pages::{self, LoginProblem};
use crate::edge::Peer;
use crate::service::reply::RequestId;

/// Where to go on to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    next: String,
}

/// What the form sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SignIn {
    token: String,
    csrf: String,
    next: String,
}

pub(super) async fn form(
    State(admin): State<Admin>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    show(&admin, &headers, StatusCode::OK, &asked.next, None)
}

pub(super) async fn sign_in(
    State(admin): State<Admin>,
    Extension(peer): Extension<Peer>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    form: Result<Form<SignIn>, FormRejection>,
) -> Response {
    // What is no form at all is none of ours, and is said to have been tried like any other.
    let SignIn { token, csrf, next } = form.map(|Form(form)| form).unwrap_or_default();
    let failed = |status, problem| show(&admin, &headers, status, &next, Some(problem));
    let now = admin.now();
    if !is_login_form(&headers, &csrf) {
        audit("sign-in", "nobody", peer, &id, "refused: not a form of this browser");
        return failed(StatusCode::FORBIDDEN, LoginProblem::Expired);
    }
    match admin.access.check_token(token.trim(), peer, now) {
        Ok(()) => {}
        Err(denied @ Denied::TooManyFailures(seconds)) => {
            audit("sign-in", "nobody", peer, &id, denied.reason());
            let mut response = failed(StatusCode::TOO_MANY_REQUESTS, LoginProblem::TooManyTries);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            return response;
        }
        Err(denied) => {
            audit("sign-in", "nobody", peer, &id, denied.reason());
            return failed(StatusCode::FORBIDDEN, LoginProblem::WrongToken);
        }
    }
    let nonce = (admin.parts.random)();
    let mut response = Redirect::to(own_page(&next)).into_response();
    if let Some((session, cookie)) =
        admin.access.begin_session(now, nonce, came_through_tls(&headers))
    {
        audit("sign-in", &Who::Person(session).name(), peer, &id, "done");
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

pub(super) async fn sign_out(
    Extension(peer): Extension<Peer>,
    Extension(id): Extension<RequestId>,
    Extension(who): Extension<Who>,
) -> Response {
    audit("sign-out", &who.name(), peer, &id, "done");
    let mut response = Redirect::to(LOGIN).into_response();
    response.headers_mut().insert(header::SET_COOKIE, end_session());
    response
}

/// The form, for somebody whose session ended before they sent another. It leads back to the page that they were on.
pub(super) fn after_session(admin: &Admin, headers: &HeaderMap) -> Response {
    let page = headers.get(header::REFERER).and_then(|page| page.to_str().ok()?.parse().ok());
    let page = page.and_then(|page: Uri| page.path_and_query().map(ToString::to_string));
    let page = page.unwrap_or_default();
    let mut response =
        show(admin, headers, StatusCode::UNAUTHORIZED, &page, Some(LoginProblem::SessionOver));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn show(
    admin: &Admin,
    headers: &HeaderMap,
    status: StatusCode,
    next: &str,
    problem: Option<LoginProblem>,
) -> Response {
    let random = (admin.parts.random)();
    let Some((proof, cookie)) = admin.access.login_form(random, came_through_tls(headers)) else {
        // Nobody has to sign in here.
        return Redirect::to(ROOT).into_response();
    };
    let mut page = html(status, pages::login(&proof, own_page(next), problem));
    page.headers_mut().insert(header::SET_COOKIE, cookie);
    page
}

/// Nowhere but to a page of the Admin UI. Their paths have no dots, plain or encoded, by which a browser would leave it.
fn own_page(next: &str) -> &str {
    let rest = next.strip_prefix(ROOT).unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_own = path.starts_with('/')
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_".contains(&b))
        && query.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if is_own { next } else { ROOT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_nowhere_else() {
        for next in ["/_admin/features/notes", "/_admin/events?feature=notes"] {
            assert_eq!(own_page(next), next);
        }
        let elsewhere = [
            "",
            "/",
            "//evil.example",
            "/_admin.evil.example",
            "https://evil.example",
            "/_admin/\r\nx: y",
            "/_admin/../notes",
            "/_admin/%2e%2E/notes",
            "/_admin/..",
            "/_admin/features?x=\\y z",
        ];
        for next in elsewhere {
            assert_eq!(own_page(next), ROOT);
        }
    }
}
