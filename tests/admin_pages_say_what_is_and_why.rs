//! The pages of the Admin UI say what serves, what does not and why, and let nothing through that is not text.
//!
//! With `PILAR_ADMIN_PAGES` the pages are left in that directory, for whoever wants to look at them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use maud::Markup;
use pilar_artifact::FeatureId;
use pilar_artifact::operations::Operation;
use pilar_host::admin::pages::{self, EventFilter, LivePage, LoginProblem};
use pilar_host::admin::{
    HostFacts, MINUTES, Minute, Notice, POLICY, Readiness, Series, Traffic, View, assets,
};
use pilar_host::catalog::{Now, Watching};
use pilar_host::config::Retain;
use pilar_host::control::Control;
use pilar_host::loader_report::LoaderReport;
use pilar_host::shell::Sdk;
use pilar_host::snapshot::Snapshot;
use serde_json::json;
use support::inside::{settings, site};
use support::tree::{RELEASE, STRANGER, Tree, Version, signing_key};

thread_local! {
    static MINUTE: Cell<i64> = const { Cell::new(0) };
}

/// A clock that is eleven minutes later each time.
fn clock() -> Now {
    MINUTE.set(MINUTE.get() + 11);
    let start: Timestamp = "2026-03-02T07:40:00Z".parse().unwrap();
    Now { wall: start + SignedDuration::from_mins(MINUTE.get()), monotonic: Instant::now() }
}

fn control(tree: &Tree) -> Control {
    let retain = Retain { time: Duration::from_secs(86_400), bytes: 1 << 26, listed: 8 };
    Control::start(settings(tree, retain), Sdk::embedded().unwrap(), site(), clock).unwrap()
}

fn version(id: &str, version: &str, name: &str) -> Version {
    Version::domain(id, version, &format!("/{id}")).with_field("displayName", json!(name))
}

/// A host on which everything that can go wrong has gone wrong, and one feature that is as it should be.
fn troubled() -> (Tree, Control) {
    let tree = Tree::new();
    let patients = |number| {
        version("patientlist", number, "Patient list")
            .with_field("routes", json!(["/", "/:patientId", "/:patientId/notes"]))
            .with_file("entry.js.br", "not really brotli")
            .with_file("list.3f2a91c0b7de.js", "export const rows = [];\n".repeat(900))
    };
    tree.publish(&patients("2.2.0"));
    tree.publish(&version("appointments", "1.4.0", "Appointments"));
    tree.publish(&version("labresults", "3.0.0", "Laboratory results"));
    tree.publish(&version("medication", "1.0.0", "Medication"));
    tree.publish(
        &Version::facet("allergybadge", "1.0.3").with_field("displayName", json!("Allergy badge")),
    );
    tree.publish(&version("planning", "0.9.0", "Planning"));
    tree.publish(&Version::domain("ward", "0.1.0", "/planning/ward"));
    fs::write(tree.path("medication/1.0.0/chunk.js"), "damaged").unwrap();
    let mut control = control(&tree);

    tree.publish(&patients("2.3.0"));
    control.refresh().unwrap();
    tree.publish(&version("appointments", "1.5.0", "Appointments"));
    fs::write(tree.path("appointments/1.5.0/chunk.js"), "damaged").unwrap();
    tree.edit_index("labresults", &signing_key(STRANGER), |_| ());
    tree.publish(&Version::domain("scheduling", "1.0.0", "/planning"));
    fs::create_dir(tree.path("Lab Results")).unwrap();
    tree.edit_index("patientlist", &signing_key(RELEASE), |index| {
        index["versions"][0]["provenance"] = json!({
            "builtAt": "2026-03-01T16:20:00Z", "gitSha": "4c1f0e9d2b7a8c6f5e3d1a0b9c8d7e6f5a4b3c2d",
            "actor": "release-pipeline", "reason": "Allergies in the header", "ticket": "PAT-812",
        });
    });
    control.refresh().unwrap();
    while control.keep_listed().unwrap() {}
    (tree, control)
}

fn series(busy: u64) -> Series {
    let minute = |number: u64| {
        let wave = 60 + (number * 7) % 23 + if number > 40 { number } else { 0 };
        Minute {
            requests: busy * wave / 50,
            bytes: busy * wave * 1800,
            errors: u64::from(number == 44),
            p50: Some(Duration::from_micros(180 + wave)),
            p99: Some(Duration::from_micros(
                900 + 40 * (number % 11) + if number == 44 { 4000 } else { 0 },
            )),
        }
    };
    let minutes: Vec<Minute> = (0..MINUTES as u64).map(minute).collect();
    let requests = busy * 4000;
    Series {
        requests,
        bytes: busy * 4000 * 2100,
        by_class: [requests - requests / 4 - 9, requests / 4, 7, 2],
        cache_hits: requests / 4,
        p50: Some(Duration::from_micros(231)),
        p99: Some(Duration::from_micros(1_420)),
        minutes,
    }
}

fn traffic(until: Timestamp, features: &[(&str, u64)]) -> Traffic {
    let busy = features.iter().map(|(_, busy)| busy).sum();
    Traffic {
        until,
        total: if features.is_empty() { Series::default() } else { series(busy) },
        features: features.iter().map(|(id, busy)| (id.parse().unwrap(), series(*busy))).collect(),
    }
}

const STATUS: &str = r#"{ "updatedAt": "2026-03-02T08:12:40Z",
    "source": { "kind": "kubernetes", "lastContactAt": "2026-03-02T07:55:00Z",
        "error": { "code": "cluster-unreachable", "message": "the API server does not answer", "remedy": "see the network" } },
    "refused": [{ "place": "ward/planning", "featureId": "planning",
        "error": { "code": "registration-image", "message": "image has no digest", "remedy": "write <registry>/<repository>@sha256:<digest>" } }],
    "features": {
    "patientlist": { "desired": "sha256:4be0cf7a1d2f", "actual": "sha256:4be0cf7a1d2f", "attempts": 1,
        "lastAttemptAt": "2026-03-02T08:02:00Z", "lastSuccessAt": "2026-03-02T08:02:00Z", "durationMs": 412 },
    "medication": { "desired": "sha256:99aa12f3c4d5", "actual": "sha256:17cc0de1b2a3", "attempts": 7,
        "lastAttemptAt": "2026-03-02T08:12:20Z", "lastError": { "code": "server-error", "message": "registry.example: 503 Service Unavailable", "remedy": "see the log of the registry" } } } }"#;

fn view<'a>(
    snapshot: &'a Snapshot,
    control: &'a std::sync::Arc<pilar_host::control::History>,
    traffic: &'a Traffic,
    now: Timestamp,
) -> View<'a> {
    View {
        snapshot,
        history: control,
        traffic,
        host: HostFacts {
            version: "1.4.0".to_owned(),
            driver: "io_uring".to_owned(),
            body_sender: "sendfile".to_owned(),
            workers: 4,
            started_at: now - SignedDuration::from_mins(27),
            uptime: Duration::from_secs(27 * 60),
            watching: Watching::Working,
            refresh_error: None,
            readiness: Readiness::Ready,
        },
        loader: None,
        csrf: "c5rf",
        signed_in: true,
        notice: None,
        now,
    }
}

fn now() -> Timestamp {
    "2026-03-02T08:14:00Z".parse().unwrap()
}

fn id(text: &str) -> FeatureId {
    text.parse().unwrap()
}

/// Every page of a view, by the name of its file.
fn all(view: &View<'_>) -> Vec<(String, String)> {
    let mut all = vec![
        ("overview".to_owned(), pages::overview(view)),
        ("features".to_owned(), pages::features(view)),
        ("routes".to_owned(), pages::routes(view)),
        ("traffic".to_owned(), pages::traffic(view)),
        ("events".to_owned(), pages::events(view, &EventFilter::default())),
        ("not-found".to_owned(), pages::not_found(view, "/_admin/features/nobody")),
    ];
    for id in view.snapshot.features().keys() {
        all.push((format!("feature-{id}"), pages::feature(view, id).unwrap()));
    }
    all.into_iter().map(|(name, page)| (name, page.into_string())).collect()
}

/// Leaves pages where somebody asked for them.
fn leave(host: &str, pages: &[(String, String)]) {
    let Some(directory) = std::env::var_os("PILAR_ADMIN_PAGES").map(PathBuf::from) else { return };
    let host = directory.join(host);
    fs::create_dir_all(&host).unwrap();
    for (name, page) in pages {
        fs::write(host.join(format!("{name}.html")), page).unwrap();
    }
    for (url, asset) in assets::all().unwrap() {
        let body = asset.representations().iter().find(|one| one.encoding().name() == "identity");
        fs::create_dir_all(directory.join("_admin/assets")).unwrap();
        fs::write(directory.join(url.trim_start_matches('/')), body.unwrap().body().to_vec())
            .unwrap();
    }
    fs::write(directory.join("policy"), POLICY).unwrap();
}

/// What somebody reads, without the marks in between.
fn text(page: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for letter in page.chars() {
        match letter {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(letter),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn page(of: &Markup) -> String {
    text(&of.0)
}

fn assert_says(page: &str, words: &[&str]) {
    for words in words {
        assert!(page.contains(words), "{words:?} is not in: {page}");
    }
}

#[test]
fn the_overview_answers_first_and_then_lists_what_differs() {
    let (_tree, control) = troubled();
    let (snapshot, history) = (control.current().load_full(), control.history());
    let traffic = traffic(now(), &[("patientlist", 19), ("appointments", 8), ("allergybadge", 3)]);
    let mut view = view(&snapshot, &history, &traffic, now());
    view.loader = Some(Arc::new(LoaderReport::of(STATUS.as_bytes())));
    let text = page(&pages::overview(&view));
    assert_says(
        &text,
        &[
            "1 feature has nothing to serve",
            "1 feature has a fallback serving",
            "1 feature has a prefix that another feature has",
            "Check 13, files, refused 1.5.0/chunk.js",
            "Check 3, index signature",
            "The feature planning has /planning",
            "registry.example: 503 Service Unavailable",
            "See the log of the registry",
            "Does not hear what is registered",
            "Registrations from ConfigMaps of the cluster",
            "It does not hear what is registered. The API server does not answer cluster-unreachable See the network",
            "ward/planning",
            "Image has no digest registration-image Write &lt;registry&gt;/&lt;repository&gt;@sha256:&lt;digest&gt;",
            "Lab Results",
            "io_uring",
        ],
    );
    let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} in {text}"));
    assert!(place("nothing to serve") < place("What differs"));
    assert!(place("What differs") < place("Serving as released"));
    let all = all(&view);
    for (name, page) in &all {
        let stream = match name.as_str() {
            "overview" | "traffic" => format!("/_admin/live?page={name}"),
            _ => "/_admin/live".to_owned(),
        };
        assert!(page.contains(&format!("data-stream=\"{stream}\"")), "{name}");
    }
    leave("troubled", &all);
}

#[test]
fn the_overview_says_how_the_loader_does_in_one_line() {
    let tree = Tree::new();
    let control = control(&tree);
    let (snapshot, history) = (control.current().load_full(), control.history());
    let traffic = traffic(now(), &[]);
    let mut view = view(&snapshot, &history, &traffic, now());
    let mut line = |status: serde_json::Value| {
        view.loader = Some(Arc::new(LoaderReport::of(status.to_string().as_bytes())));
        let text = page(&pages::overview(&view));
        text.split_once(" Loader ").unwrap().1.to_owned()
    };
    let error =
        json!({ "code": "cluster-unreachable", "message": "no route", "remedy": "mend it" });
    let refused = json!([{ "place": "a.yaml", "error": error }]);
    let (here, away) = (json!({ "desired": "aa", "actual": "aa" }), json!({ "desired": "aa" }));
    for (words, status) in [
        ("Its status cannot be read", json!([])),
        ("All that is registered is in place", json!({ "features": { "notes": here } })),
        (
            "1 of 2 not in place yet",
            json!({ "features": { "notes": here, "labs": away }, "refused": refused }),
        ),
        ("Refuses 1 registration", json!({ "features": { "notes": here }, "refused": refused })),
        (
            "Does not hear what is registered",
            json!({ "source": { "kind": "kubernetes", "error": error }, "features": { "labs": away } }),
        ),
        (
            "Has not heard yet what is registered",
            json!({ "source": { "kind": "kubernetes" }, "features": { "notes": here } }),
        ),
        (
            "Silent for ",
            json!({ "updatedAt": "2020-01-01T00:00:00Z", "features": { "notes": here } }),
        ),
    ] {
        let line = line(status);
        assert!(line.starts_with(words), "{words}: {line}");
    }
}

#[test]
fn each_version_has_each_check_and_the_one_that_failed_has_what_to_do() {
    let (_tree, control) = troubled();
    let (snapshot, history) = (control.current().load_full(), control.history());
    let traffic = traffic(now(), &[]);
    let view = view(&snapshot, &history, &traffic, now());
    let of = |feature: &str| page(&pages::feature(&view, &id(feature)).unwrap());

    let fell_back = of("appointments");
    assert_says(
        &fell_back,
        &[
            "Serving 1.4.0; 1.5.0 is released.",
            "1.5.0 Refused",
            "12 host version passed",
            "13 files failed file-hash",
            "File appointments/1.5.0/chunk.js",
            "Expected SHA-256 ",
            "Found SHA-256 ",
            "publish the version again under a new number",
            "1.4.0 Serving",
            "Fell back to 1.4.0",
        ],
    );
    let refused = of("labresults");
    assert_says(
        &refused,
        &[
            "Serving 3.0.0, from before its index was refused.",
            "2 index JSON passed",
            "3 index signature failed key-unknown",
            "4 index schema not reached",
            "goes on serving from memory",
        ],
    );
    assert_says(&of("medication"), &["Serving nothing; 1.0.0 is released.", "13 files failed"]);
    let fine = of("patientlist");
    assert_says(
        &fine,
        &[
            "Serving 2.3.0 as released.",
            "9 manifest signature passed key release",
            "release-pipeline",
            "PAT-812",
            "Allergies in the header",
            "retained",
            "list.3f2a91c0b7de.js",
            "sha256-",
        ],
    );
    assert_says(&of("scheduling"), &["Prefix taken", "The feature planning has /planning"]);
    assert!(pages::feature(&view, &id("nobody")).is_none());
}

#[test]
fn routes_name_who_has_a_prefix_and_who_would_like_to() {
    let (_tree, control) = troubled();
    let (snapshot, history) = (control.current().load_full(), control.history());
    let traffic = traffic(now(), &[]);
    let view = view(&snapshot, &history, &traffic, now());
    let routes = page(&pages::routes(&view));
    assert_says(
        &routes,
        &[
            "1 feature has a prefix that another has",
            "/planning is served by planning , not by scheduling .",
            "/planning/ward",
            "/:patientId/notes",
        ],
    );
}

#[test]
fn what_is_well_is_said_to_be_well_and_an_empty_host_says_how_to_fill_it() {
    let tree = Tree::new();
    tree.publish(&version("patientlist", "2.3.0", "Patient list"));
    tree.publish(&version("appointments", "1.5.0", "Appointments"));
    let control = control(&tree);
    let (snapshot, history) = (control.current().load_full(), control.history());
    let figures = traffic(now(), &[("patientlist", 19), ("appointments", 8)]);
    let mut well = view(&snapshot, &history, &figures, now());
    well.notice = Some(Notice::Refreshed);
    let overview = page(&pages::overview(&well));
    assert_says(&overview, &["Everything is as released", "The artifacts were looked at again."]);
    assert!(!overview.contains("What differs"), "{overview}");
    well.notice = None;
    leave("well", &all(&well));

    let tree = Tree::new();
    let control = self::control(&tree);
    let (snapshot, history) = (control.current().load_full(), control.history());
    let figures = traffic(now(), &[]);
    let mut nothing = view(&snapshot, &history, &figures, now());
    nothing.host.watching = Watching::Off;
    assert_says(
        &page(&pages::overview(&nothing)),
        &["Nothing is published yet", "pilar publish --local"],
    );
    let mut pages = all(&nothing);
    for (name, problem) in [("login", None), ("login-wrong", Some(LoginProblem::WrongToken))] {
        pages.push((name.to_owned(), pages::login("c5rf", "/_admin", problem).into_string()));
    }
    leave("empty", &pages);
    nothing.host.refresh_error = Some("ARTIFACTS_DIR /artifacts could not be read".to_owned());
    let overview = page(&pages::overview(&nothing));
    assert_says(&overview, &["The last refresh failed", "could not be read"]);
}

#[test]
fn events_are_chosen_by_feature_and_severity() {
    let (_tree, control) = troubled();
    let (snapshot, history) = (control.current().load_full(), control.history());
    let traffic = traffic(now(), &[]);
    let view = view(&snapshot, &history, &traffic, now());
    let with = |feature: &str, severity: &str| {
        let filter = EventFilter { feature: feature.to_owned(), severity: severity.to_owned() };
        page(&pages::events(&view, &filter))
    };
    assert_says(&with("appointments", "warning"), &["fell-back", "file-hash"]);
    assert!(!with("appointments", "warning").contains("prefix-conflict"));
    assert_says(&with("", "error"), &["nothing-to-serve", "prefix-conflict"]);
    assert!(!with("", "error").contains("snapshot-in-place"));
    assert_says(&with("nobody", "loud"), &["No event is like this"]);
    assert_eq!(with("", "loud"), with("", "info"));
}

#[test]
fn nothing_is_inline_and_no_text_becomes_markup() {
    let hostile = "</script><img src=x onerror=alert(1)>\"'";
    let tree = Tree::new();
    tree.publish(&version("notes", "1.0.0", hostile));
    tree.edit_index("notes", &signing_key(RELEASE), |index| {
        index["versions"][0]["provenance"] =
            json!({ "builtAt": "2026-01-01T00:00:00Z", "gitSha": hostile, "actor": hostile });
    });
    let reason = hostile.to_owned();
    tree.publish(&version("gone", "1.0.0", "Gone"));
    let revoke = Operation::Revoke {
        version: "1.0.0".parse().unwrap(),
        reason,
        even_if_nothing_serves: true,
    };
    tree.apply("gone", &revoke);
    fs::create_dir(tree.path("<b>")).unwrap();
    let control = control(&tree);
    let (snapshot, history) = (control.current().load_full(), control.history());
    let traffic = traffic(now(), &[("notes", 1)]);
    let mut view = view(&snapshot, &history, &traffic, now());
    let status = json!({
        "source": { "kind": hostile, "error": { "code": hostile, "message": hostile, "remedy": hostile } },
        "refused": [{ "place": hostile, "error": { "code": hostile, "message": hostile, "remedy": hostile } }],
        "features": { "notes": { "lastError": { "code": hostile, "message": hostile }, "desired": hostile,
            "warnings": [{ "code": hostile, "message": hostile, "remedy": hostile }] } }
    });
    view.loader = Some(Arc::new(LoaderReport::of(status.to_string().as_bytes())));
    view.host.refresh_error = Some(hostile.to_owned());
    let mut pages = all(&view);
    pages.push(("login".to_owned(), pages::login(hostile, hostile, None).into_string()));
    for page in LivePage::ALL {
        let parts = pages::live(page, &view).into_iter();
        pages.extend(parts.map(|(name, part)| (format!("part {name}"), part.into_string())));
    }
    pages.push(("404".to_owned(), pages::not_found(&view, hostile).into_string()));
    for (name, page) in &pages {
        for forbidden in [
            "<img",
            "<b>",
            "<i>",
            " style=",
            "<style",
            " onerror=\"",
            "javascript:",
            "http://",
            "https://",
        ] {
            assert!(!page.contains(forbidden), "{forbidden} in {name}: {page}");
        }
        let scripts = page.matches("<script").count();
        assert_eq!(scripts, page.matches("<script defer src=\"/_admin/assets/").count(), "{name}");
    }
}
