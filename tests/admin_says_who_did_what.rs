//! Operators can have the artifacts looked at, see what serves, and read later who did what; no log line has a
//! secret in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use support::tree::{RELEASE, Tree, Version};
use support::{Host, Setup};

const TOKEN: &str = "s3cret-t0ken-of-the-tests";
const BEARER: (&str, &str) = ("authorization", "Bearer s3cret-t0ken-of-the-tests");

fn notes(version: &str) -> Version {
    Version::domain("notes", version, "/notes")
}

fn guarded(tree: &Tree) -> Setup {
    Setup::of(tree).with("ADMIN_AUTH_TOKEN", TOKEN)
}

fn refresh(host: &Host) -> support::Reply {
    host.connect().post("/_admin/refresh", &[BEARER], "").unwrap()
}

#[test]
fn a_refresh_is_done_when_it_is_answered() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    let host = guarded(&tree).start();
    tree.publish(&notes("1.1.0"));
    let reply = refresh(&host);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["changed"], true);
    let health = host.get("/_health").json();
    assert_eq!(reply.json()["snapshot"], health["snapshot"]["id"]);
    assert_eq!(health["features"][0]["servingVersion"], "1.1.0");
    assert_eq!(refresh(&host).json()["changed"], false);
}

#[test]
fn a_refresh_that_fails_says_why_and_what_serves_goes_on() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    let host = guarded(&tree).start();
    let elsewhere = tree.artifacts().with_extension("gone");
    std::fs::rename(tree.artifacts(), &elsewhere).unwrap();
    let reply = refresh(&host);
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (500, &"refresh-failed".into()));
    assert!(reply.text().contains("ARTIFACTS_DIR"), "{}", reply.text());
    assert_eq!(host.get("/notes").status, 200);
    std::fs::rename(&elsewhere, tree.artifacts()).unwrap();
    assert_eq!(refresh(&host).status, 200);
}

#[test]
fn many_who_ask_at_once_are_all_answered() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    let host = guarded(&tree).start();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..16).map(|_| scope.spawn(|| refresh(&host).status)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; 16]);
}

#[test]
fn manifests_are_shown_as_they_were_signed() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    let host = guarded(&tree).start();
    let reply = host.request("GET", "/_admin/api/manifests", &[BEARER]);
    let document = reply.json();
    let feature = &document["features"][0];
    assert_eq!(
        (&feature["featureId"], &feature["state"]),
        (&"notes".into(), &"as-released".into())
    );
    assert_eq!(feature["serving"]["keyId"], RELEASE);
    assert_eq!(feature["serving"]["manifest"]["version"], "1.0.0");
    let health = host.get("/_health").json();
    assert_eq!(feature["serving"]["manifestSha256"], health["features"][0]["manifestSha256"]);
    assert_eq!(document["snapshot"], health["snapshot"]["id"]);
}

#[test]
fn each_write_is_one_line_of_the_log_and_no_line_has_a_secret() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    // What is logged of writes does not depend on what else is.
    let host = guarded(&tree).with("RUST_LOG", "off").start();
    let id = ("x-request-id", "ticket-4711");
    host.connect().post("/_admin/refresh?patient=jane", &[BEARER, id], "").unwrap();
    let wrong = [("authorization", "Bearer wr0ng-t0ken")];
    host.connect().post("/_admin/refresh", &wrong, "").unwrap();
    let (_, log) = host.stop();
    let lines: Vec<&str> = log.lines().collect();
    let [refreshed, refused] = lines[..] else { panic!("two lines: {log}") };
    for part in ["refresh", "token", "127.0.0.1:", "ticket-4711", "done"] {
        assert!(refreshed.contains(part), "{part}: {refreshed}");
    }
    assert!(refused.contains("nobody") && refused.contains("wrong token"), "{refused}");
    for secret in [TOKEN, "wr0ng", "patient", "jane"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn each_write_that_is_refused_is_one_line_too_with_the_reason() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    let host = guarded(&tree).with("RUST_LOG", "off").start();
    let form = host.request("GET", "/_admin/login", &[("accept", "text/html")]);
    let value = |reply: &support::Reply, name: &str| {
        let rest = reply.text().split_once(&format!("name=\"{name}\" value=\"")).unwrap().1;
        rest.split_once('"').unwrap().0.to_owned()
    };
    let cookie = |reply: &support::Reply| {
        reply.header("set-cookie").unwrap().split_once(';').unwrap().0.to_owned()
    };
    let (here, id) = (("origin", "http://localhost"), ("x-request-id", "ticket-4711"));
    let with_form = cookie(&form);
    let body = |token: &str| format!("token={token}&csrf={}", value(&form, "csrf"));
    let post = |path: &str, headers: &[(&str, &str)], body: &str| {
        let headers = [headers, &[id]].concat();
        host.connect().post(path, &headers, body).unwrap()
    };
    let signed_in = post("/_admin/login", &[here, ("cookie", &with_form)], &body(TOKEN));
    let session = cookie(&signed_in);
    let session = ("cookie", session.as_str());
    post("/_admin/login", &[here, ("cookie", &with_form)], &body("wr0ng-t0ken"));
    post("/_admin/login", &[here], &body(TOKEN));
    // What cannot be read as the form is none.
    assert_eq!(post("/_admin/login", &[here], "token=wr0ng-t0ken&token=%ff").status, 403);
    post("/_admin/refresh", &[session, ("origin", "https://evil.example")], "csrf=s3cret-f0rm");
    post("/_admin/refresh", &[session, here], "csrf=s3cret-f0rm");
    post("/_admin/logout", &[session, here], "csrf=s3cret-f0rm");
    post("/_admin/refresh", &[here], "");
    post("/_admin/refresh", &[("authorization", "Bearer wr0ng-t0ken")], "");
    let (_, log) = host.stop();
    let lines: Vec<&str> = log.lines().collect();
    let expected = [
        ("sign-in", "session ", "done"),
        ("sign-in", "nobody", "refused: wrong token"),
        ("sign-in", "nobody", "refused: not a form of this browser"),
        ("sign-in", "nobody", "refused: not a form of this browser"),
        ("refresh", "nobody", "refused: sent by another site"),
        ("refresh", "session ", "refused: not a form of this session"),
        ("sign-out", "session ", "refused: not a form of this session"),
        ("refresh", "nobody", "refused: not signed in"),
        ("refresh", "nobody", "refused: wrong token"),
    ];
    assert_eq!(lines.len(), expected.len(), "{log}");
    for (line, (action, who, outcome)) in lines.iter().zip(expected) {
        for part in [action, who, outcome, "127.0.0.1:", "ticket-4711"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    for secret in [TOKEN, "wr0ng", "s3cret-f0rm", &with_form, session.1] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
