//! The files that all servers serve: a feature, built and signed by `pilar`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::case::Coding;
use crate::server::output;
use crate::{Failure, http};

const FEATURE: &str = "corpus";
const VERSION: &str = "1.0.0";
const KEY_ID: &str = "loadtest";

/// The files by name, with their sizes in bytes.
const FILES: &[(&str, usize)] = &[
    ("1k", 1024),
    ("8k", 8 * 1024),
    ("64k", 64 * 1024),
    ("1m", 1024 * 1024),
    ("8m", 8 * 1024 * 1024),
];

/// Where the files are.
#[derive(Debug)]
pub(crate) struct Site {
    /// The artifacts directory of our host.
    pub(crate) artifacts: PathBuf,
    /// The keys that it trusts.
    pub(crate) trusted_keys: PathBuf,
    /// The document root of the others: the same files under the same URL paths.
    pub(crate) root: PathBuf,
}

/// Builds the feature below `room`, publishes it, and lays the same files out for the others.
pub(crate) fn build(pilar: &Path, room: &Path) -> Result<Site, Failure> {
    let source = room.join(FEATURE);
    let io = |error: std::io::Error| format!("{}: {error}", room.display());
    fs::create_dir_all(source.join("src")).map_err(io)?;
    let manifest = format!(
        r#"{{ "id": "{FEATURE}", "version": "{VERSION}", "displayName": "Corpus",
             "mount": {{ "pathPrefix": "/{FEATURE}", "domElementId": "root" }},
             "entrypoints": {{ "js": "1k.js" }} }}"#
    );
    write(&source.join("manifest.json"), manifest.as_bytes())?;
    for (name, size) in FILES {
        write(&source.join(format!("src/{name}.js")), &script(*size))?;
    }
    let site = Site {
        artifacts: room.join("artifacts"),
        trusted_keys: room.join("keys/trusted-keys.json"),
        root: room.join("www"),
    };
    fs::create_dir_all(&site.artifacts).map_err(io)?;
    let pilar = |arguments: &[&str]| {
        output(
            Command::new(pilar)
                .current_dir(room)
                .args(arguments)
                .env("FEATURE_SIGNING_KEY_PATH", format!("keys/{KEY_ID}.private.pem"))
                .env("FEATURE_SIGNING_KEY_ID", KEY_ID)
                .env("FEATURE_TRUST_PUBLIC_KEYS_PATH", &site.trusted_keys)
                .env("ARTIFACTS_DIR", &site.artifacts),
        )
    };
    let trust = ["--trust-file", "keys/trusted-keys.json"];
    pilar(&[&["keys", "generate", "--id", KEY_ID, "--out", "keys"][..], &trust].concat())?;
    pilar(&["build", FEATURE])?;
    pilar(&["publish", "--local"])?;

    let served = site.root.join(format!("_assets/{FEATURE}/{VERSION}"));
    fs::create_dir_all(&served).map_err(io)?;
    for entry in fs::read_dir(site.artifacts.join(FEATURE).join(VERSION)).map_err(io)? {
        let entry = entry.map_err(io)?;
        fs::copy(entry.path(), served.join(entry.file_name())).map_err(io)?;
    }
    Ok(site)
}

impl Site {
    /// The URL path of a file of the corpus.
    pub(crate) fn url(&self, name: &str) -> Result<String, Failure> {
        let dir = format!("_assets/{FEATURE}/{VERSION}");
        let names =
            fs::read_dir(self.root.join(&dir)).map_err(|error| format!("{dir}: {error}"))?;
        names
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            // The build put a hash into the name: `1k.<12 digits>.js`.
            .find(|file| file.starts_with(&format!("{name}.")) && file.ends_with(".js"))
            .map(|file| format!("/{dir}/{file}"))
            .ok_or_else(|| format!("{dir} has no file {name}"))
    }

    /// The bytes that a reply for this URL path must have.
    pub(crate) fn body(&self, url: &str, coding: Coding) -> Result<Vec<u8>, Failure> {
        let path = self.root.join(format!("{}{}", url.trim_start_matches('/'), coding.suffix()));
        fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Whether a server at this port serves the smallest file.
    pub(crate) fn is_served(&self, port: u16) -> bool {
        let ask = || http::Connection::open(port)?.get(&self.url("1k")?, &Vec::new());
        ask().is_ok_and(|reply| reply.status == 200)
    }
}

/// A file of this run alone.
#[expect(clippy::disallowed_methods, reason = "nothing but this run reads it")]
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// What reads like a script and compresses like one, the same in every run.
pub(crate) fn script(size: usize) -> Vec<u8> {
    const VERBS: &[&str] = &["load", "render", "select", "format", "merge", "validate", "sort"];
    const NOUNS: &[&str] = &[
        "Patient",
        "Ward",
        "Appointment",
        "Journal",
        "Result",
        "Facet",
        "Route",
        "Referral",
        "Bed",
        "Order",
        "Episode",
        "Medication",
        "Letter",
    ];
    const NAMES: &[&str] =
        &["state", "options", "items", "context", "next", "previous", "element", "locale"];
    let mut numbers = Numbers(size as u64);
    let mut text = String::with_capacity(size + 512);
    while text.len() < size {
        let (verb, noun) = (numbers.pick(VERBS), numbers.pick(NOUNS));
        let (first, second, third) =
            (numbers.pick(NAMES), numbers.pick(NAMES), numbers.pick(NAMES));
        let mut number = || numbers.next() % 1_000_000;
        let (name, key, other) = (number(), number(), number());
        // Writing to a string cannot fail.
        let _ = match numbers.next() % 3 {
            0 => writeln!(
                text,
                "export function {verb}{noun}{name}({first}, {second}_) {{\n  const {third}{key} = \
                 {first}.get(\"{noun}-{other}\") ?? {second}_.fallback;\n  return {{ ...{third}{key}, \
                 total: {} }};\n}}",
                numbers.next() % 1_000_000
            ),
            1 => writeln!(
                text,
                "const {verb}{noun}{name} = ({first}) => {first}.{second}.filter((entry) => entry.{third} \
                 !== {key}).map((entry) => entry.{second}.slice({other}));"
            ),
            _ => writeln!(
                text,
                "/** {verb}s the {noun} of {first}, {second} and {third}; see #{name}, {key} and {other}. */"
            ),
        };
    }
    let mut bytes = text.into_bytes();
    bytes.truncate(size);
    bytes
}

/// Numbers that look random and are the same in every run: splitmix64.
#[derive(Debug, Default)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        let at = usize::try_from(self.next()).unwrap_or(0) % words.len();
        words.get(at).copied().unwrap_or("")
    }
}
