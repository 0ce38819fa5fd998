//! Nobody sees or does anything at `/_admin` without the token, or a session that began with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use support::tree::{Tree, Version};
use support::{Client, Host, Reply, Setup};

const TOKEN: &str = "s3cret-t0ken-of-the-tests";
const PATHS: [&str; 9] = [
    "/_admin",
    "/_admin/features",
    "/_admin/features/notes",
    "/_admin/routes",
    "/_admin/traffic",
    "/_admin/events",
    "/_admin/live",
    "/_admin/api/manifests",
    "/_admin/metrics",
];
const HTML: (&str, &str) = ("accept", "text/html");
const SAME_ORIGIN: (&str, &str) = ("origin", "http://localhost");

fn tree() -> Tree {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    tree
}

fn guarded(tree: &Tree) -> Setup {
    Setup::of(tree).with("ADMIN_AUTH_TOKEN", TOKEN)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn code(reply: &Reply) -> String {
    reply.json()["error"]["code"].as_str().unwrap().to_owned()
}

/// A field that the form on a page carries.
fn field(page: &Reply, name: &str) -> String {
    let start = page.text().find(&format!("name=\"{name}\"")).expect("the field is there");
    let rest = page.text()[start..].split_once("value=\"").expect("it has a value").1;
    rest.split_once('"').unwrap().0.to_owned()
}

/// The cookie that comes with the form to sign in with, and what the form carries.
fn login_form(host: &Host) -> (String, String) {
    let form = host.request("GET", "/_admin/login", &[HTML]);
    assert_eq!(form.status, 200, "{}", form.head);
    let cookie = form.header("set-cookie").unwrap().split_once(';').unwrap().0.to_owned();
    (cookie, field(&form, "csrf"))
}

fn try_to_sign_in(host: &Host, token: &str, next: &str) -> Reply {
    let (cookie, csrf) = login_form(host);
    let body = format!("token={token}&csrf={csrf}&next={next}");
    let headers = [HTML, SAME_ORIGIN, ("cookie", &cookie)];
    host.connect().post("/_admin/login", &headers, &body).unwrap()
}

/// The cookie of somebody who signed in, and what their forms carry.
fn sign_in(host: &Host) -> (String, String) {
    let reply = try_to_sign_in(host, TOKEN, "");
    assert_eq!(reply.status, 303, "{}", reply.head);
    let cookie = reply.header("set-cookie").unwrap().split_once(';').unwrap().0.to_owned();
    let page = host.request("GET", "/_admin", &[("cookie", &cookie)]);
    assert_eq!(page.status, 200, "{}", page.head);
    (cookie, field(&page, "csrf"))
}

#[test]
fn where_nothing_opens_it_there_is_no_admin() {
    let tree = tree();
    let host = Setup::of(&tree).start();
    for path in PATHS.into_iter().chain(["/_admin/login", "/_admin/refresh"]) {
        for headers in [&[][..], &[("authorization", "Bearer "), HTML]] {
            let reply = host.request("GET", path, headers);
            assert_eq!((reply.status, code(&reply).as_str()), (404, "no-such-route"), "{path}");
        }
    }
}

#[test]
fn whoever_shows_nothing_gets_nothing() {
    let tree = tree();
    let host = guarded(&tree).start();
    for path in PATHS.into_iter().chain(["/_admin/nowhere"]) {
        let reply = host.get(path);
        assert_eq!((reply.status, code(&reply).as_str()), (401, "not-signed-in"), "{path}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert!(!reply.text().contains("notes"), "{}", reply.text());
        let person = host.request("GET", path, &[HTML]);
        assert_eq!(person.status, 303, "{path}");
        assert!(person.header("location").unwrap().starts_with("/_admin/login?next="));
        assert!(person.body.is_empty());
    }
    let reply = host.request("POST", "/_admin/refresh", &[("content-length", "0")]);
    assert_eq!(reply.status, 401);
}

#[test]
fn whoever_has_the_token_gets_in() {
    let tree = tree();
    let host = guarded(&tree).start();
    for path in PATHS.into_iter().filter(|path| *path != "/_admin/live") {
        let reply = host.request("GET", path, &[("authorization", &bearer(TOKEN))]);
        assert_eq!(reply.status, 200, "{path}: {}", reply.head);
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
    }
    let slash = host.request("GET", "/_admin/", &[("authorization", &bearer(TOKEN))]);
    assert_eq!(slash.header("location"), Some("/_admin"));
    let missing = host.request("GET", "/_admin/nowhere", &[("authorization", &bearer(TOKEN))]);
    assert_eq!(missing.status, 404);
}

/// Makes an address wait, long enough for the rest of a test.
fn guess_until_waiting(mut guess: impl FnMut() -> Reply) {
    while support::wait_for("a long wait", || {
        let reply = guess();
        (reply.status == 429).then(|| reply.header("retry-after").unwrap().parse::<u64>().unwrap())
    }) < 10
    {
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

#[test]
fn guessing_gets_slower_and_the_right_token_is_let_in_all_the_same() {
    let tree = tree();
    let host = guarded(&tree).start();
    let ask = |token: &str| host.request("GET", "/_admin", &[("authorization", &bearer(token))]);
    let mut statuses = Vec::new();
    // Each wait is twice as long as the one before, so some guess comes too early on the slowest machine.
    let too_early = (0..30).map(|_| ask("guess")).find(|reply| {
        statuses.push(reply.status);
        reply.status == 429
    });
    let too_early = too_early.unwrap_or_else(|| panic!("{statuses:?}"));
    assert!(statuses.len() > 4 && statuses[..4] == [401; 4], "{statuses:?}");
    assert_eq!(code(&too_early), "too-many-failures");
    assert!(too_early.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    guess_until_waiting(|| ask("guess"));
    let let_in =
        || support::wait_for("the right token", || (ask(TOKEN).status == 200).then_some(()));
    let_in();
    assert_eq!(ask("guess").status, 429, "which gives a guesser no fresh start");
    assert_eq!(try_to_sign_in(&host, "guess", "").status, 429);
    support::wait_for("somebody to sign in", || {
        (try_to_sign_in(&host, TOKEN, "").status == 303).then_some(())
    });
    assert_eq!(host.get("/notes").status, 200, "nothing else waits");
}

#[test]
fn a_flood_of_guesses_is_not_looked_at() {
    let tree = tree();
    let host = guarded(&tree).start();
    let ask = |token: &str| {
        let mut client = host.connect();
        client.request("GET", "/_admin", &[("authorization", &bearer(token))]).unwrap()
    };
    guess_until_waiting(|| ask("guess"));
    // Ten a second are, whoever sends them: with the right one alone it shows which were.
    let begun = std::time::Instant::now();
    let looked = (0..60).filter(|_| ask(TOKEN).status == 200).count() as u64;
    let seconds = begun.elapsed().as_secs() + 2;
    assert!((1..=10 * seconds).contains(&looked), "{looked} in {seconds} s");
}

#[test]
fn behind_a_proxy_that_is_believed_only_the_guesser_waits() {
    let tree = tree();
    let host = guarded(&tree).with("TRUST_PROXY_HEADERS", "1").start();
    let ask = |client: &str, token: &str| {
        let headers = [("x-forwarded-for", client), ("authorization", &bearer(token))];
        host.request("GET", "/_admin", &headers)
    };
    guess_until_waiting(|| ask("203.0.113.9", "guess"));
    assert_eq!(ask("203.0.113.10", "guess").status, 401, "another client does not wait");
    assert_eq!(
        ask("203.0.113.10, 203.0.113.9", "guess").status,
        429,
        "what a client wrote is not believed"
    );
}

#[test]
fn a_form_that_outlived_its_session_leads_back_to_its_page() {
    let tree = tree();
    let host = guarded(&tree).start();
    let page = ("referer", "http://localhost/_admin/features/notes?from=mail");
    let headers = [HTML, SAME_ORIGIN, page, ("cookie", "pilar_admin=over")];
    let form = host.connect().post("/_admin/refresh", &headers, "csrf=x").unwrap();
    assert_eq!(form.status, 401, "{}", form.head);
    assert!(
        form.text().contains("Your session has ended, so nothing was done."),
        "{}",
        form.text()
    );
    assert_eq!(field(&form, "next"), "/_admin/features/notes?from=mail");
    // It is a form like any other.
    let cookie = form.header("set-cookie").unwrap().split_once(';').unwrap().0.to_owned();
    let body = format!("token={TOKEN}&csrf={}&next={}", field(&form, "csrf"), field(&form, "next"));
    let headers = [HTML, SAME_ORIGIN, ("cookie", cookie.as_str())];
    let reply = host.connect().post("/_admin/login", &headers, &body).unwrap();
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some("/_admin/features/notes?from=mail"))
    );
    // It leads nowhere else, and programs get what they understand.
    let elsewhere = [HTML, SAME_ORIGIN, ("referer", "http://localhost/notes")];
    let form = host.connect().post("/_admin/refresh", &elsewhere, "").unwrap();
    assert_eq!(field(&form, "next"), "/_admin");
    assert_eq!(
        code(&host.connect().post("/_admin/refresh", &[SAME_ORIGIN], "").unwrap()),
        "not-signed-in"
    );
}

#[test]
fn the_port_of_its_own_has_the_limits_of_the_other() {
    let tree = tree();
    let limits = [("HOST_MAX_CONNECTIONS", "2", 503), ("HOST_MAX_CONNECTIONS_PER_IP", "2", 429)];
    for (name, value, status) in limits {
        let host = guarded(&tree).with("HOST_ADMIN_PORT", "0").with(name, value).start();
        let connect = || Client::connect(host.admin_port.unwrap()).unwrap();
        let mut open = [connect(), connect()];
        for client in &mut open {
            assert_eq!(client.request("GET", "/_admin", &[]).unwrap().status, 401, "{name}");
        }
        assert_eq!(connect().receive("GET").unwrap().status, status, "{name}");
    }
}

#[test]
fn people_sign_in_with_a_cookie_that_no_script_and_no_other_site_gets() {
    let tree = tree();
    let host = guarded(&tree).start();
    let reply = try_to_sign_in(&host, TOKEN, "/_admin/features");
    assert_eq!((reply.status, reply.header("location")), (303, Some("/_admin/features")));
    let cookie = reply.header("set-cookie").unwrap();
    let (session, flags) = cookie.split_once("; ").unwrap();
    assert_eq!(flags, "Path=/_admin; Max-Age=28800; HttpOnly; SameSite=Strict");
    assert!(!cookie.contains(TOKEN));
    let page = host.request("GET", "/_admin", &[("cookie", session)]);
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    // Over TLS, which the browser says it used, the cookie stays there.
    let (cookie, csrf) = login_form(&host);
    let body = format!("token={TOKEN}&csrf={csrf}");
    let secure = [("origin", "https://localhost"), HTML, ("cookie", cookie.as_str())];
    let reply = host.connect().post("/_admin/login", &secure, &body).unwrap();
    assert!(reply.header("set-cookie").unwrap().ends_with("; SameSite=Strict; Secure"));
    // One changed character is no session.
    let mut forged = session.to_owned();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'B' } else { 'A' });
    assert_eq!(host.request("GET", "/_admin", &[("cookie", &forged)]).status, 401);
}

#[test]
fn a_session_holds_on_another_host_with_the_token_and_on_none_with_another() {
    let tree = tree();
    let (cookie, _) = sign_in(&guarded(&tree).start());
    let replica = guarded(&tree).start();
    assert_eq!(replica.request("GET", "/_admin", &[("cookie", &cookie)]).status, 200);
    let other = Setup::of(&tree).with("ADMIN_AUTH_TOKEN", "another-token-of-the-tests").start();
    assert_eq!(other.request("GET", "/_admin", &[("cookie", &cookie)]).status, 401);
}

#[test]
fn signing_out_takes_the_cookie_away() {
    let tree = tree();
    let host = guarded(&tree).start();
    let (cookie, csrf) = sign_in(&host);
    let headers = [("cookie", cookie.as_str()), SAME_ORIGIN];
    let reply = host.connect().post("/_admin/logout", &headers, &format!("csrf={csrf}")).unwrap();
    assert_eq!((reply.status, reply.header("location")), (303, Some("/_admin/login")));
    assert!(
        reply.header("set-cookie").unwrap().starts_with("pilar_admin=; Path=/_admin; Max-Age=0;")
    );
}

#[test]
fn a_write_needs_a_form_of_this_session_and_of_this_site() {
    let tree = tree();
    let host = guarded(&tree).start();
    let (cookie, csrf) = sign_in(&host);
    let (_, other_csrf) = sign_in(&host);
    let post = |headers: &[(&str, &str)], form: &str| {
        let headers = [&[("cookie", cookie.as_str())][..], headers].concat();
        host.connect().post("/_admin/refresh", &headers, form).unwrap()
    };
    let right = format!("csrf={csrf}");
    for form in ["", "csrf=", "csrf=AAAA", &format!("csrf={other_csrf}"), &format!("x={csrf}")] {
        let reply = post(&[SAME_ORIGIN], form);
        assert_eq!((reply.status, code(&reply).as_str()), (403, "csrf"), "{form}");
    }
    for elsewhere in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:81"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let reply = post(&[elsewhere], &right);
        assert_eq!((reply.status, code(&reply).as_str()), (403, "cross-site"), "{elsewhere:?}");
    }
    assert_eq!(post(&[SAME_ORIGIN], &right).status, 200);
    assert_eq!(post(&[("sec-fetch-site", "same-origin")], &right).status, 200);
    assert_eq!(post(&[SAME_ORIGIN, ("x-csrf-token", &csrf)], "").status, 200);
}

#[test]
fn no_other_site_signs_a_browser_in() {
    let tree = tree();
    let host = guarded(&tree).start();
    let (cookie, csrf) = login_form(&host);
    let (_, other_csrf) = login_form(&host);
    let form = |csrf: &str| format!("token={TOKEN}&csrf={csrf}");
    let elsewhere = [("origin", "https://evil.example"), ("cookie", cookie.as_str())];
    assert_eq!(host.connect().post("/_admin/login", &elsewhere, &form(&csrf)).unwrap().status, 403);
    for (cookie, csrf) in
        [(cookie.as_str(), ""), ("pilar_admin_login=", ""), ("x=y", &csrf), (&cookie, &other_csrf)]
    {
        let headers = [SAME_ORIGIN, ("cookie", cookie)];
        let reply = host.connect().post("/_admin/login", &headers, &form(csrf)).unwrap();
        assert_eq!(reply.status, 403, "{cookie} {csrf}");
        assert!(!reply.head.contains("pilar_admin="), "{}", reply.head);
    }
}

#[test]
fn a_cookie_of_a_neighbour_does_not_sign_anybody_out() {
    let tree = tree();
    let host = guarded(&tree).start();
    let (cookie, _) = sign_in(&host);
    for cookies in [format!("pilar_admin=x; {cookie}"), format!("{cookie}; pilar_admin=y")] {
        assert_eq!(
            host.request("GET", "/_admin", &[("cookie", &cookies)]).status,
            200,
            "{cookies}"
        );
    }
}

#[test]
fn in_development_it_may_be_open_but_not_to_other_sites() {
    let tree = tree();
    let host = Setup::of(&tree).with("ALLOW_UNAUTHENTICATED_ADMIN", "1").start();
    assert_eq!(host.get("/_admin").status, 200);
    assert_eq!(host.request("GET", "/_admin/login", &[]).header("location"), Some("/_admin"));
    let post = |headers: &[(&str, &str)]| {
        host.connect().post("/_admin/refresh", headers, "").unwrap().status
    };
    assert_eq!(post(&[("origin", "https://evil.example")]), 403);
    assert_eq!(post(&[]), 200);
    let both = Setup::of(&tree).with("ADMIN_AUTH_TOKEN", TOKEN);
    let output = both.with("ALLOW_UNAUTHENTICATED_ADMIN", "1").ends();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("config-both-set") && !message.contains(TOKEN), "{message}");
}

#[test]
fn with_a_port_of_its_own_it_is_nowhere_else() {
    let tree = tree();
    let host = guarded(&tree).with("HOST_ADMIN_PORT", "0").start();
    let mut admin = Client::connect(host.admin_port.unwrap()).unwrap();
    let token = bearer(TOKEN);
    let token = [("authorization", token.as_str())];
    let page = admin.request("GET", "/_admin", &token).unwrap();
    assert_eq!(page.status, 200);
    assert_eq!(page.header("x-pilar-snapshot"), host.get("/_health").header("x-pilar-snapshot"));
    assert_eq!(admin.request("GET", "/_admin", &[]).unwrap().status, 401);
    let urls = page.text().split('"').filter(|text| text.starts_with("/_admin/assets/"));
    let urls: Vec<&str> = urls.collect();
    assert!(!urls.is_empty());
    for url in urls {
        assert_eq!(admin.request("GET", url, &[]).unwrap().status, 200, "{url}");
        assert_eq!(host.get(url).status, 404, "{url}");
    }
    for path in PATHS {
        let reply = host.request("GET", path, &token);
        assert_eq!((reply.status, code(&reply).as_str()), (404, "no-such-route"), "{path}");
    }
    for path in ["/", "/notes", "/_health"] {
        assert_eq!(admin.request("GET", path, &token).unwrap().status, 404, "{path}");
    }
    let (status, _) = host.stop();
    assert!(status.success());
}

#[test]
fn without_one_the_files_of_its_pages_are_beside_the_features() {
    let tree = tree();
    let host = guarded(&tree).start();
    let form = host.request("GET", "/_admin/login", &[HTML]);
    let urls = form.text().split('"').filter(|text| text.starts_with("/_admin/assets/"));
    let mut count = 0;
    for url in urls {
        count += 1;
        assert_eq!(host.get(url).status, 200, "{url}");
        assert_eq!(Setup::of(&tree).start().get(url).status, 404, "{url}");
    }
    assert!(count > 0);
}
