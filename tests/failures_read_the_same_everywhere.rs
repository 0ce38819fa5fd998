//! Whatever is wrong with a feature, whoever is called reads the same of it wherever they look first: in the Admin
//! UI, at `/_health`, from `pilar inspect` and in the metrics. `docs/failures.md` is what they read, made from real failures by
//! this test: `UPDATE_DOCS=1 cargo test -p pilar-host --test failures_read_the_same_everywhere`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use pilar_artifact::operations::Operation;
use serde_json::{Value, json};
use support::Host;
use support::metrics::{BEARER, guarded, refresh, scrape};
use support::programs;
use support::spoil::{BAD, CASES, GOOD};
use support::tree::{Tree, Version};

const PAGE: &str = "docs/failures.md";

/// What went wrong, in the words of the page.
const SPOILED: &[(&str, &str)] = &[
    ("index-missing", "The release index is gone"),
    ("index-link", "The release index is a link"),
    ("index-huge", "The release index is larger than any is"),
    ("index-deep", "The release index is nested deeper than any is"),
    ("index-double-key", "The release index says one thing twice"),
    ("index-half", "The release index was written by half"),
    ("index-unsigned", "The release index is not signed"),
    ("index-unknown-key", "The release index is signed by a key that nobody trusts"),
    ("index-false-key", "The release index names a trusted key that did not sign it"),
    ("index-expired-key", "The release index is signed by a key that has ended"),
    ("index-other-team", "The release index is signed by a key of other features"),
    ("index-tampered", "The release index was changed after it was signed"),
    ("index-of-another", "The release index is that of another feature"),
    ("index-unlisted", "The active version is not listed"),
    ("manifest-changed", "The manifest is not the one that was released"),
    ("manifest-missing", "The manifest is gone"),
    ("version-missing", "The version directory is gone"),
    ("version-link", "The version directory is a link"),
    ("manifest-unsigned", "The manifest is not signed"),
    ("manifest-unknown-key", "The manifest is signed by a key that nobody trusts"),
    ("manifest-expired-key", "The manifest is signed by a key that has ended"),
    ("path-with-dots", "The manifest lists a file outside of its directory"),
    ("entry-not-listed", "The manifest starts with a file that it does not vouch for"),
    ("prefix-of-host", "The manifest claims a path of the host"),
    ("other-version", "The manifest is that of another version"),
    ("other-id", "The manifest is that of another feature"),
    ("host-too-old", "The version needs a newer host"),
    ("entry-changed", "A file was changed after it was signed"),
    ("variant-changed", "A compressed file was changed after it was signed"),
    ("chunk-truncated", "A file was cut short"),
    ("chunk-missing", "A file is gone"),
    ("chunk-link", "A file is a link"),
    ("chunk-directory", "A directory has the name of a file"),
];

/// What goes wrong other than by spoiled files, and what has happened by then.
const OTHERS: &[(&str, &str)] = &[
    ("revoked", "The active version was revoked, and the one below serves"),
    ("below-floor", "What could be fallen back to is below the floor"),
    ("two-of-one-prefix", "Another feature has the same prefix"),
    ("spoiled-later", "A version was spoiled while it was released to a running host"),
    ("index-spoiled-later", "The release index was spoiled under a running host"),
    ("older-index", "An older release index came back under a running host"),
];

fn feature(id: &str, version: &str) -> Version {
    Version::domain(id, version, &format!("/{id}"))
}

/// Everything that is wrong before the host starts.
fn spoil_before(tree: &Tree) {
    for (id, _) in SPOILED {
        let case = CASES.iter().find(|case| case.id == *id).expect(id);
        tree.publish(&case.version(GOOD));
        tree.publish(&case.version(BAD));
        (case.spoil)(tree, id);
    }
    for number in [GOOD, BAD] {
        for id in ["revoked", "below-floor", "older-index"] {
            tree.publish(&feature(id, number));
        }
    }
    let revoke = Operation::Revoke {
        version: BAD.parse().unwrap(),
        reason: "shows the notes of another patient".to_owned(),
        even_if_nothing_serves: false,
    };
    tree.apply("revoked", &revoke);
    tree.apply("below-floor", &Operation::RaiseFloor { version: BAD.parse().unwrap() });
    fs::write(tree.path(&format!("below-floor/{BAD}/entry.js")), "altered").unwrap();
    tree.publish(&Version::domain("one-of-one-prefix", GOOD, "/wards"));
    tree.publish(&Version::domain("two-of-one-prefix", GOOD, "/wards"));
    for id in ["spoiled-later", "index-spoiled-later"] {
        tree.publish(&feature(id, GOOD));
    }
}

/// Everything that goes wrong while the host runs.
fn spoil_after(tree: &Tree, older_index: &[u8]) {
    let bad = feature("spoiled-later", BAD);
    tree.place(&bad);
    fs::write(tree.path(&format!("spoiled-later/{BAD}/entry.js")), "altered").unwrap();
    tree.release(&bad);
    let index = String::from_utf8(tree.index_bytes("index-spoiled-later")).unwrap();
    tree.write_index("index-spoiled-later", index.replace(GOOD, BAD).as_bytes());
    tree.write_index("older-index", older_index);
}

/// What operators see of one feature.
struct Sight {
    health: Value,
    admin: String,
    finding: String,
    inspect: String,
    metrics: String,
}

impl Sight {
    fn of(id: &str, host: &Host, inspected: &BTreeMap<String, String>, metrics: &str) -> Self {
        let page = host.request("GET", &format!("/_admin/features/{id}"), &[BEARER]);
        assert_eq!(page.status, 200, "{id}");
        let named = format!("feature=\"{id}\"");
        let worth_reading = |line: &&str| {
            let is_wrong =
                ["state{", "refused{", "problem{"].iter().any(|word| line.contains(word));
            line.contains(&named) && is_wrong && !line.ends_with(" 0.0")
        };
        Self {
            health: host.get(&format!("/_health/{id}")).json(),
            admin: text_of(between(page.text(), "<div class=\"answer", "<form").unwrap()),
            finding: between(page.text(), "<details open", "</details>")
                .map(text_of)
                .unwrap_or_default(),
            inspect: inspected[id].clone(),
            metrics: metrics.lines().filter(worth_reading).collect::<Vec<_>>().join("\n"),
        }
    }

    /// The first check that failed, as `/_health` has it.
    fn refused(&self) -> Option<&Value> {
        let versions = self.health["versions"].as_array().into_iter().flatten();
        let candidates = std::iter::once(&self.health["index"]).chain(versions);
        candidates.map(|one| &one["refused"]).find(|refused| refused.is_object())
    }

    fn write(&self, id: &str, what: &str, page: &mut String) {
        let code =
            self.refused().map(|refused| format!(" (`{}`)", refused["code"].as_str().unwrap()));
        writeln!(page, "\n## {what}{}\n", code.unwrap_or_default()).unwrap();
        let mut health = json!({ "state": self.health["state"] });
        for field in ["servingVersion", "desiredVersion", "conflictWith"] {
            if !self.health[field].is_null() {
                health[field] = self.health[field].clone();
            }
        }
        let sequence = &self.health["index"]["sequenceWentDownFrom"];
        if !sequence.is_null() {
            health["index.sequenceWentDownFrom"] = sequence.clone();
        }
        if let Some(refused) = self.refused() {
            health["refused"] = refused.clone();
        }
        let health = serde_json::to_string_pretty(&health).unwrap();
        for (place, kind, text) in [
            (format!("`/_health/{id}`"), "json", &health),
            (
                format!("Admin UI, `/_admin/features/{id}`"),
                "text",
                &format!("{}\n{}", self.admin, self.finding),
            ),
            ("`pilar inspect artifacts`".to_owned(), "text", &self.inspect),
            ("Metrics".to_owned(), "text", &self.metrics),
        ] {
            writeln!(page, "{place}\n\n```{kind}\n{}\n```\n", text.trim_end()).unwrap();
        }
    }
}

/// What `pilar inspect` prints of the whole tree, by feature, without the checks that passed.
fn inspect(pilar: &Path, tree: &Tree) -> BTreeMap<String, String> {
    let output = Command::new(pilar)
        .env_clear()
        .env("FEATURE_TRUST_PUBLIC_KEYS_JSON", tree.trusted_keys())
        .env("NO_COLOR", "1")
        .args(["inspect", "artifacts", "--host-version", env!("CARGO_PKG_VERSION")])
        .current_dir(tree.outside(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let is_news = |line: &&str| {
        !line.trim().is_empty() && !line.ends_with(" ok") && !line.contains("not reached")
    };
    let mut features = BTreeMap::<String, String>::new();
    let mut last = String::new();
    for line in text.lines().filter(is_news) {
        if !line.starts_with(' ') {
            last = line.to_owned();
        }
        let feature = features.entry(last.clone()).or_default();
        feature.push_str(line.trim_end());
        feature.push('\n');
    }
    features
}

/// What stands between `start` and the next `end`, with `start`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let from = &text[text.find(start)?..];
    Some(&from[..from.find(end).unwrap_or(from.len())])
}

/// What a page says, a line for each block.
fn text_of(html: &str) -> String {
    const BLOCKS: [&str; 9] =
        ["/p", "/h1", "/li", "/dd", "/summary", "/div", "/details", "br", "/ul"];
    let mut text = String::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        let end = rest[start..].find('>').map_or(rest.len(), |end| start + end + 1);
        let tag = rest[start + 1..end].trim_end_matches('>');
        let name = tag.split([' ', '\n']).next().unwrap();
        if name == "svg" {
            rest = rest.split_once("</svg>").unwrap().1;
            continue;
        }
        text.push_str(if BLOCKS.contains(&name) {
            "\n"
        } else if name.starts_with('/') {
            " "
        } else {
            ""
        });
        rest = &rest[end..];
    }
    text.push_str(rest);
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The four places agree on what is wrong.
fn assert_agree(id: &str, sight: &Sight) {
    let state = sight.health["state"].as_str().unwrap();
    assert!(
        sight.metrics.contains(&format!("state=\"{state}\"")),
        "{id}: {state}: {}",
        sight.metrics
    );
    let inspected = match state {
        // What a host remembers of an index before, nobody else can know.
        "last-good" | "nothing-to-serve" => "",
        "conflict" => "nothing serves; ",
        "fallback" => "falls back to ",
        _ => ", as released",
    };
    assert!(sight.inspect.contains(inspected), "{id}: {state}: {}", sight.inspect);
    let Some(refused) = sight.refused() else { return };
    for field in ["code", "file"] {
        let text = refused[field].as_str().unwrap();
        let short = text.strip_prefix(&format!("{id}/")).unwrap_or(text);
        assert!(sight.finding.contains(short), "{id}: {field}: {}", sight.finding);
        assert!(sight.inspect.contains(short), "{id}: {field}: {}", sight.inspect);
    }
    let code = format!("code={}", refused["code"]);
    assert!(sight.metrics.contains(&code), "{id}: {code}: {}", sight.metrics);
    let remedy = refused["remedy"].as_str().unwrap();
    let remedy_everywhere = |text: &str| text.to_lowercase().contains(&remedy.to_lowercase());
    assert!(remedy_everywhere(&sight.finding), "{id}: {remedy}: {}", sight.finding);
    assert!(remedy_everywhere(&sight.inspect), "{id}: {remedy}: {}", sight.inspect);
}

#[test]
fn each_failure_reads_as_the_page_has_it_and_the_same_in_every_place() {
    let tree = Tree::new();
    spoil_before(&tree);
    let older_index = tree.index_bytes("older-index");
    tree.publish(&feature("older-index", "1.2.0"));
    let host = guarded(&tree).start();
    spoil_after(&tree, &older_index);
    refresh(&host);
    let metrics = scrape(&host);
    let pilar = programs::beside(env!("CARGO_BIN_EXE_pilar-host"), "pilar-cli", "pilar");
    let inspected = inspect(&pilar, &tree);
    let mut page = String::from(HEAD);
    for (id, what) in SPOILED.iter().chain(OTHERS) {
        let sight = Sight::of(id, &host, &inspected, &metrics);
        assert_agree(id, &sight);
        sight.write(id, what, &mut page);
    }
    let path = format!("{}/{PAGE}", env!("CARGO_MANIFEST_DIR"));
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let first = page.lines().zip(written.lines()).position(|(now, then)| now != then);
    assert!(
        page == written,
        "{PAGE} is not what operators see, from line {:?}; UPDATE_DOCS=1 writes it anew",
        first.map(|line| line + 1)
    );
}

const HEAD: &str = "# What operators see when something fails

Each of these failures was produced for real, in front of a running host with version 1.0.0 at hand below the 1.1.0 that went wrong,
and this is what was read of it. Codes and steps are those of [verification.md](verification.md); what the states mean and what to do about
them is in [health.md](health.md) and [operations.md](operations.md). Search for the code that you see. The page is written by
`UPDATE_DOCS=1 cargo test -p pilar-host --test failures_read_the_same_everywhere`.
";
