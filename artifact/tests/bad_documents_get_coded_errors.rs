//! A bad document gets an error that says which check failed on which file, what was expected and found, and
//! what to do; the codes are those of `docs/verification.md`, no more and no less.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::semicolon_if_nothing_returned,
    reason = "the closures of a table read better without"
)]

mod common;

use std::collections::BTreeSet;
use std::io;

use common::{
    FEATURE, FILES, MemoryArtifact, VERSION, context, documented_codes, feature, key, keys,
    manifest, now, object, trusted, verify_all, verify_index,
};
use pilar_artifact::remote_index::RemoteIndex;
use pilar_artifact::verify::{self, Failure, FileSink, ReadArtifact, ReadError, Step};
use pilar_artifact::{
    FileName, Limits, RELEASES_FILE, Rejection, Sha256Digest, SigningKey, TrustedKeys,
};
use serde_json::{Map, Value, json};

const MANIFEST: &str = "1.2.0/manifest.json";

/// Code, step, file and what the message has to say.
struct Expected<'w>(&'static str, Step, &'static str, &'w [&'static str]);

#[derive(Default)]
struct Codes(BTreeSet<String>);

impl Codes {
    fn expect(&mut self, rejection: &Rejection, expected: &Expected<'_>) {
        let Expected(code, step, file, words) = expected;
        let message = rejection.failure().to_string();
        assert_eq!(rejection.code(), *code, "{rejection}");
        assert_eq!(rejection.step(), *step, "{rejection}");
        assert_eq!(rejection.file(), *file, "{rejection}");
        for word in *words {
            assert!(message.contains(word), "\"{message}\" does not say \"{word}\"");
        }
        assert!(rejection.remedy().len() > 10, "{rejection}");
        let report = rejection.report();
        assert_eq!(report.file, format!("{FEATURE}/{file}"));
        assert_eq!((report.step, report.check.as_str()), (step.number(), step.name()));
        self.0.insert((*code).to_owned());
    }
}

#[test]
fn every_documented_code_is_given_to_a_real_input() {
    let mut codes = Codes::default();
    unreadable_files(&mut codes);
    bad_json(&mut codes);
    bad_signatures(&mut codes);
    bad_indexes(&mut codes);
    bad_versions(&mut codes);
    // Whoever counts refusals by code starts with this list.
    let listed: Vec<&str> = Failure::codes().collect();
    assert_eq!(codes.0, listed.iter().map(|code| (*code).to_owned()).collect());
    assert_eq!(codes.0.len(), listed.len(), "a code is listed twice: {listed:?}");
    bad_keys(&mut codes);
    println!("codes of refused documents: {}", codes.0.len());
    assert_eq!(codes.0, documented_codes("Codes of refused documents"));
}

/// Fails one path with one error.
struct Failing<'a>(&'a MemoryArtifact, &'a str, ReadError);

impl ReadArtifact for Failing<'_> {
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        if path == self.1 { Err(self.2.clone()) } else { self.0.read(path, limit) }
    }
}

fn unreadable_files(codes: &mut Codes) {
    let (artifact, keys) = (MemoryArtifact::published(), trusted());
    let context = context(&keys);
    let entry = "1.2.0/app.9b2d.js";
    for (path, step) in
        [(RELEASES_FILE, Step::IndexRead), (MANIFEST, Step::ManifestHash), (entry, Step::Files)]
    {
        for (error, code, word) in [
            (ReadError::Missing, "file-missing", "missing"),
            (ReadError::NotRegular, "file-not-regular", "links"),
            (ReadError::TooLarge { limit: 9 }, "file-too-large", "larger than 9 bytes"),
            (ReadError::Failed { message: "denied".to_owned() }, "file-unreadable", "denied"),
        ] {
            let source = Failing(&artifact, path, error);
            let rejection = verify::index(&source, &feature(), &context)
                .and_then(|index| {
                    let index = index.index;
                    let active = &index.active_version;
                    verify::version(&source, &index, active, &context, &mut verify::DropFiles)
                })
                .unwrap_err();
            codes.expect(&rejection, &Expected(code, step, path, &[word]));
        }
    }
}

/// Documents that are not strict JSON, with their code and a word of the message.
fn not_strict() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    vec![
        (vec![b' '; 1024 * 1024 + 1], "json-too-large", "1048576 bytes"),
        (b"{\"a\":\"\xff\"}".to_vec(), "json-not-utf8", "byte 6"),
        (b"{\"a\":\"\xc0\xaf\"}".to_vec(), "json-not-utf8", "byte 6"),
        (b"{\"a\":\"\xed\xa0\x80\"}".to_vec(), "json-not-utf8", "byte 6"),
        (b"\xef\xbb\xbf{}".to_vec(), "json-syntax", "line 1"),
        (b"".to_vec(), "json-syntax", "EOF"),
        (br#"{"a":"\ud800"}"#.to_vec(), "json-syntax", "line 1"),
        (br#"{"a":"\udc00\ud800"}"#.to_vec(), "json-syntax", "line 1"),
        (br#"{"\ud800":1}"#.to_vec(), "json-syntax", "line 1"),
        (b"{\"a\":1,}".to_vec(), "json-syntax", "line 1 column 8"),
        (b"{'a':1}".to_vec(), "json-syntax", "line 1"),
        (b"{\"a\":01}".to_vec(), "json-syntax", "line 1"),
        (b"{\"a\":1 /* b */}".to_vec(), "json-syntax", "line 1"),
        (b"{\"a\":\"\x01\"}".to_vec(), "json-syntax", "line 1"),
        (br#"{"a":1,"a":1}"#.to_vec(), "json-duplicate-key", "\"a\" appears twice"),
        (br#"{"a":1,"\u0061":2}"#.to_vec(), "json-duplicate-key", "\"a\" appears twice"),
        (br#"{"b":[{"a":1,"a":1}]}"#.to_vec(), "json-duplicate-key", "\"a\" appears twice"),
        (nested(64).into_bytes(), "json-too-deep", "64 levels"),
        (b"{} {}".to_vec(), "json-trailing-bytes", "line 1, column 4"),
        (b"{}\0".to_vec(), "json-trailing-bytes", "line 1"),
        (b"[]".to_vec(), "json-not-an-object", "not a JSON object"),
        (b"\"text\"".to_vec(), "json-not-an-object", "not a JSON object"),
    ]
}

fn bad_json(codes: &mut Codes) {
    let keys = trusted();
    let context = context(&keys);
    for (bytes, code, word) in not_strict() {
        // As the index; a reader refuses what is too large before it is parsed.
        let mut artifact = MemoryArtifact::published();
        artifact.0.insert(RELEASES_FILE.to_owned(), bytes.clone());
        let rejection = verify_index(&artifact, &context).unwrap_err();
        if code == "json-too-large" {
            let expected = Expected("file-too-large", Step::IndexRead, RELEASES_FILE, &["1048576"]);
            codes.expect(&rejection, &expected);
            // A reader that does not stop there gains nothing.
            let source = Unlimited(&artifact);
            let rejection = verify::index(&source, &feature(), &context).unwrap_err();
            codes.expect(&rejection, &Expected(code, Step::IndexJson, RELEASES_FILE, &["1048576"]));
            continue;
        }
        assert!(rejection.to_string().contains(word), "{rejection}");
        codes.expect(&rejection, &Expected(code, Step::IndexJson, RELEASES_FILE, &[]));
        // As a manifest whose hash the index names.
        let artifact = MemoryArtifact::of_bytes(bytes);
        let rejection = verify_all(&artifact, &context).unwrap_err();
        codes.expect(&rejection, &Expected(code, Step::ManifestJson, MANIFEST, &[]));
    }
}

struct Unlimited<'a>(&'a MemoryArtifact);

impl ReadArtifact for Unlimited<'_> {
    fn read(&self, path: &str, _: u64) -> Result<Vec<u8>, ReadError> {
        self.0.read(path, u64::MAX)
    }
}

/// Puts a signature field into the index, or takes it out.
fn with_signature(signature: Option<Value>) -> MemoryArtifact {
    let mut artifact = MemoryArtifact::published();
    let mut document = artifact.index_document();
    match signature {
        Some(signature) => document.insert("signature".to_owned(), signature),
        None => document.remove("signature"),
    };
    artifact.0.insert(RELEASES_FILE.to_owned(), Value::Object(document).to_string().into_bytes());
    artifact
}

fn bad_signatures(codes: &mut Codes) {
    let good = MemoryArtifact::published().index_document()["signature"].clone();
    let changed = |field: &str, value: Value| {
        let mut signature = good.clone();
        signature[field] = value;
        Some(signature)
    };
    let public = key().public_key_base64();
    let plain = json!({ "release": public });
    let stranger = SigningKey::from_seed("x", &[1; 32]).public_key_base64();
    let bound = |features: Value, not_after: &str| json!({ "release": { "publicKey": public, "features": features, "notAfter": not_after } });
    let later = "2027-01-01T00:00:00Z";
    type Case = (&'static str, &'static str, Option<Value>, Value);
    let cases: Vec<Case> = vec![
        ("signature-missing", "not signed", None, plain.clone()),
        ("signature-missing", "not signed", Some(json!([])), plain.clone()),
        ("signature-malformed", "neither", Some(json!(7)), plain.clone()),
        ("signature-malformed", "neither", Some(Value::Null), plain.clone()),
        ("signature-malformed", "neither", Some(json!({ "value": good["value"] })), plain.clone()),
        (
            "signature-malformed",
            "base64 of 64 bytes",
            changed("value", json!("AAAA")),
            plain.clone(),
        ),
        ("signature-malformed", "base64 of 64 bytes", Some(json!("not base64")), plain.clone()),
        (
            "signature-malformed",
            "more signatures",
            Some(Value::Array(vec![good.clone(); 9])),
            plain.clone(),
        ),
        (
            "signature-algorithm",
            "\"none\", not \"ed25519\"",
            changed("algorithm", json!("none")),
            plain.clone(),
        ),
        (
            "signature-algorithm",
            "\"Ed25519\"",
            changed("algorithm", json!("Ed25519")),
            plain.clone(),
        ),
        ("key-unknown", "\"other\" is not trusted", changed("keyId", json!("other")), plain),
        ("signature-invalid", "\"release\"", Some(good.clone()), json!({ "release": stranger })),
        (
            "signature-invalid",
            "no trusted key",
            Some(good["value"].clone()),
            json!({ "release": stranger }),
        ),
        (
            "key-expired",
            "ended at 2026-01-01",
            Some(good.clone()),
            bound(json!(["*"]), "2026-01-01T00:00:00Z"),
        ),
        (
            "key-not-allowed",
            "may not sign for patientlist",
            Some(good.clone()),
            bound(json!(["allergy*", "p?"]), later),
        ),
        (
            "key-not-allowed",
            "may not sign for patientlist",
            Some(good["value"].clone()),
            bound(json!(["Patientlist"]), later),
        ),
    ];
    for (code, word, signature, trust) in cases {
        let keys = keys(trust);
        let artifact = with_signature(signature);
        let rejection = verify_index(&artifact, &context(&keys)).unwrap_err();
        assert!(rejection.to_string().contains(word), "{rejection}");
        codes.expect(&rejection, &Expected(code, Step::IndexSignature, RELEASES_FILE, &[]));
    }

    // The manifest is checked on its own: a good index does not speak for it.
    let other = SigningKey::from_seed("other", &[8; 32]);
    let manifests = [
        (other.sign_to_bytes(object(manifest(VERSION, &FILES))), "key-unknown"),
        (manifest(VERSION, &FILES).to_string().into_bytes(), "signature-missing"),
    ];
    for (bytes, code) in manifests {
        let keys = trusted();
        let rejection = verify_all(&MemoryArtifact::of_bytes(bytes), &context(&keys)).unwrap_err();
        codes.expect(&rejection, &Expected(code, Step::ManifestSignature, MANIFEST, &[]));
    }
}

type Change = fn(&mut Map<String, Value>);

fn bad_indexes(codes: &mut Codes) {
    let cases: Vec<(&str, &str, Change)> = vec![
        ("schema", "field sequence", |d| d["sequence"] = json!(1.5)),
        ("schema", "field sequence", |d| d["sequence"] = json!(-1)),
        ("schema", "field sequence", |d| d["sequence"] = json!(9_007_199_254_740_993_u64)),
        ("schema", "field activeVersion", |d| d["activeVersion"] = json!("v1.2.0")),
        ("schema", "field activeVersion", |d| d["activeVersion"] = json!("1.2")),
        ("schema", "field featureId", |d| d["featureId"] = json!("../patientlist")),
        ("schema", "manifestSha256", |d| d["versions"][0]["manifestSha256"] = json!("+f")),
        ("schema", "field integrity: it belongs to a manifest", |d| {
            d.insert("integrity".to_owned(), json!({}));
        }),
        ("schema", "versions", |d| {
            d.remove("versions");
        }),
        ("index-schema-version", "2 is not 1", |d| d["schemaVersion"] = json!(2)),
        ("index-feature-id", "\"other\", the directory says \"patientlist\"", |d| {
            d["featureId"] = json!("other");
        }),
        ("index-sequence", "starts at 1", |d| d["sequence"] = json!(0)),
        ("index-version-count", "lists 0; 1 to 256", |d| d["versions"] = json!([])),
        ("index-version-count", "lists 257", |d| {
            d["versions"] = Value::Array(vec![d["versions"][0].clone(); 257]);
        }),
        ("index-not-descending", "1.2.0 follows 1.2.0", |d| {
            d["versions"] = Value::Array(vec![d["versions"][0].clone(); 2]);
        }),
        ("index-not-descending", "1.2.0+a follows 1.2.0+b", |d| {
            let (mut a, mut b) = (d["versions"][0].clone(), d["versions"][0].clone());
            (a["version"], b["version"]) = (json!("1.2.0+a"), json!("1.2.0+b"));
            d["versions"] = json!([b, a]);
        }),
        ("index-unknown-version", "field activeVersion: 9.0.0", |d| {
            d["activeVersion"] = json!("9.0.0")
        }),
        ("index-unknown-version", "field channels.canary: 9.0.0", |d| {
            d["channels"]["canary"] = json!("9.0.0");
        }),
        ("index-stable-not-active", "says 1.1.0, activeVersion says 1.2.0", |d| {
            let mut lower = d["versions"][0].clone();
            lower["version"] = json!("1.1.0");
            d["versions"].as_array_mut().unwrap().push(lower);
            d["channels"]["stable"] = json!("1.1.0");
        }),
        ("index-rollout", "1.2.0 is not the version of channels.canary", |d| {
            let rollout =
                json!({ "version": VERSION, "percent": 5, "startedAt": now(), "soakSeconds": 1 });
            d.insert("rollout".to_owned(), rollout);
        }),
        ("index-rollout", "percent is 101", |d| {
            let rollout =
                json!({ "version": VERSION, "percent": 101, "startedAt": now(), "soakSeconds": 1 });
            d.insert("rollout".to_owned(), rollout);
        }),
        ("index-history", "newest first", |d| d["history"][0]["sequence"] = json!(2)),
        ("index-history", "newest first", |d| {
            d["history"] = Value::Array(vec![d["history"][0].clone(); 2]);
        }),
    ];
    let keys = trusted();
    for (code, word, change) in cases {
        let mut artifact = MemoryArtifact::published();
        artifact.resign_index(change);
        let rejection = verify_index(&artifact, &context(&keys)).unwrap_err();
        assert!(rejection.to_string().contains(word), "{rejection} does not say {word}");
        let step = if code == "schema" { Step::IndexSchema } else { Step::IndexRules };
        codes.expect(&rejection, &Expected(code, step, RELEASES_FILE, &[]));
    }
}

fn bad_versions(codes: &mut Codes) {
    let keys = trusted();
    let mut context = context(&keys);
    let artifact = MemoryArtifact::published();
    let index = verify_index(&artifact, &context).unwrap();

    let other = "3.0.0".parse().unwrap();
    let rejection =
        verify::version(&artifact, &index, &other, &context, &mut verify::DropFiles).unwrap_err();
    let expected =
        Expected("version-not-listed", Step::VersionListed, RELEASES_FILE, &["not listed"]);
    codes.expect(&rejection, &expected);

    let mut revoked = artifact.clone();
    revoked.resign_index(|d| {
        d["versions"][0]["revoked"] = json!({ "reason": "leaks names", "at": now() });
    });
    let words = &["2026-06-01", "leaks names"];
    let expected = Expected("version-revoked", Step::VersionListed, RELEASES_FILE, words);
    codes.expect(&verify_all(&revoked, &context).unwrap_err(), &expected);

    let mut hash = artifact.clone();
    hash.0.insert(MANIFEST.to_owned(), b"{}".to_vec());
    let empty = Sha256Digest::of(b"{}").hex();
    let rejection = verify_all(&hash, &context).unwrap_err();
    assert!(rejection.to_string().contains(&empty));
    let expected = Expected("manifest-hash", Step::ManifestHash, MANIFEST, &["the index says"]);
    codes.expect(&rejection, &expected);

    let mut id = manifest(VERSION, &FILES);
    id["id"] = json!("other");
    let words = &["field id", "\"other\"", "\"patientlist\""];
    let expected = Expected("id-mismatch", Step::Agreement, MANIFEST, words);
    codes.expect(&verify_all(&MemoryArtifact::of(id), &context).unwrap_err(), &expected);

    for found in ["1.2.1", "1.2.0+build"] {
        let artifact = MemoryArtifact::of(manifest(found, &FILES));
        let words = &["field version", "1.2.0"];
        let expected = Expected("version-mismatch", Step::Agreement, MANIFEST, words);
        codes.expect(&verify_all(&artifact, &context).unwrap_err(), &expected);
    }

    let mut functions = artifact.clone();
    functions.resign_index(|d| d["versions"][0]["serverFunctionsSha256"] = json!("0".repeat(64)));
    let words = &["field serverFunctions.module", "there is none"];
    let expected = Expected("server-functions-hash", Step::Agreement, MANIFEST, words);
    codes.expect(&verify_all(&functions, &context).unwrap_err(), &expected);

    let host = "1.0.0".parse().unwrap();
    context.host_version = Some(&host);
    let mut needs = manifest(VERSION, &FILES);
    needs["requirements"] = json!({ "minHostVersion": "1.0.1-rc.1" });
    let words = &["requirements.minHostVersion", "1.0.1-rc.1", "this is 1.0.0"];
    let expected = Expected("host-too-old", Step::HostVersion, MANIFEST, words);
    codes.expect(&verify_all(&MemoryArtifact::of(needs.clone()), &context).unwrap_err(), &expected);
    needs["requirements"] = json!({ "minHostVersion": "1.0.0+build" });
    verify_all(&MemoryArtifact::of(needs), &context).unwrap();

    let mut file = artifact.clone();
    file.0.insert("1.2.0/app.9b2d.js.br".to_owned(), b"other".to_vec());
    let words = &["the manifest says"];
    let expected = Expected("file-hash", Step::Files, "1.2.0/app.9b2d.js.br", words);
    codes.expect(&verify_all(&file, &context).unwrap_err(), &expected);

    context.limits.version_bytes = 20;
    let words = &["larger than 20 bytes"];
    let expected = Expected("version-too-large", Step::Files, "1.2.0/app.9b2d.js", words);
    codes.expect(&verify_all(&artifact, &context).unwrap_err(), &expected);
    context.limits = Limits::default();

    let rejection =
        verify::version(&artifact, &index, &index.active_version, &context, &mut Full).unwrap_err();
    let expected = Expected("not-stored", Step::Files, "1.2.0/app.3f1c.css", &["no space"]);
    codes.expect(&rejection, &expected);
}

/// A sink without room.
struct Full;

impl FileSink for Full {
    fn accept(&mut self, _: &FileName, _: Sha256Digest, _: Vec<u8>) -> io::Result<()> {
        Err(io::Error::other("no space"))
    }
}

fn bad_keys(codes: &mut Codes) {
    let raw = key().public_key_base64();
    let cases = [
        (json!({}), "keys-empty", "no trusted key"),
        (json!({ "a": "" }), "key-malformed", "0 bytes"),
        (json!({ "a": "!" }), "key-malformed", "neither PEM nor base64"),
        (json!({ "a": "AAAA" }), "key-malformed", "3 bytes"),
        (json!({ "a": 1 }), "key-malformed", "write a string"),
        (json!({ "a": { "publicKey": raw, "feature": ["x"] } }), "key-malformed", "write a string"),
        (json!({ "a": { "publicKey": raw, "notAfter": "soon" } }), "key-malformed", "notAfter"),
        (
            json!({ "a": { "publicKey": raw, "features": [] } }),
            "key-malformed",
            "\"features\" is empty",
        ),
        (
            json!({ "a": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----" }),
            "key-malformed",
            "PEM",
        ),
        (json!({ "a": key().to_pkcs8_pem().unwrap() }), "key-malformed", "PEM"),
        (json!({ "a": "A".repeat(43) + "=", "good": raw }), "key-weak", "\"a\""),
        (json!({ "a": "A".repeat(59) + "=" }), "key-malformed", "DER"),
        (
            json!({ "a": "Av//////////////////////////////////////////" .to_owned() + "fw==" }),
            "key-malformed",
            "bytes",
        ),
    ];
    for (document, code, word) in cases {
        let error = TrustedKeys::from_json(document.to_string().as_bytes(), &Limits::default())
            .unwrap_err();
        assert_eq!(error.code(), code, "{document}: {error}");
        assert!(error.to_string().contains(word), "{error} does not say {word}");
        codes.0.insert(code.to_owned());
    }
    for (bytes, code, _) in not_strict() {
        let error = TrustedKeys::from_json(&bytes, &Limits::default()).unwrap_err();
        assert_eq!(error.code(), code);
    }
}

#[test]
fn what_an_unsigned_document_says_cannot_pass_for_a_line_of_the_log() {
    let id =
        format!("x\n2026-11-21T00:00:00Z  INFO serving \u{1b}[2J\u{202e}{}", "k".repeat(900_000));
    let mut signature = MemoryArtifact::published().index_document()["signature"].clone();
    signature["keyId"] = json!(id);
    let rejection =
        verify_index(&with_signature(Some(signature)), &context(&trusted())).unwrap_err();
    assert_eq!(rejection.code(), "key-unknown");
    for shown in [rejection.to_string(), rejection.report().message] {
        assert!(shown.len() < 1000, "{} bytes", shown.len());
        assert!(!shown.contains(['\n', '\u{1b}', '\u{202e}']), "{shown}");
        assert!(shown.contains(r"x\n2026") && shown.contains('…'), "{shown}");
    }
}

#[test]
fn a_key_is_trusted_in_all_four_forms_until_its_end() {
    let pem = key().public_key_pem().unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let raw = key().public_key_base64();
    let artifact = MemoryArtifact::published();
    let end = now().to_string();
    for form in [
        json!(pem),
        json!(pem.replace('\n', "\r\n")),
        json!(der),
        json!(raw),
        json!({ "publicKey": pem }),
        json!({ "publicKey": raw, "features": ["x", "patient*"], "notAfter": end }),
        json!({ "publicKey": der, "features": ["?atientlist"] }),
        json!({ "publicKey": der, "features": ["patientlist"] }),
    ] {
        let keys = keys(json!({ "release": form }));
        verify_all(&artifact, &context(&keys)).unwrap();
        if form.get("notAfter").is_some() {
            let mut later = context(&keys);
            later.now = "2026-06-01T12:00:01Z".parse().unwrap();
            assert_eq!(verify_index(&artifact, &later).unwrap_err().code(), "key-expired");
        }
    }
}

#[test]
fn a_bare_signature_counts_if_any_id_of_its_key_may_sign() {
    let value = MemoryArtifact::published().index_document()["signature"]["value"].clone();
    let artifact = with_signature(Some(value));
    let raw = key().public_key_base64();
    let old = json!({ "publicKey": raw, "notAfter": "2020-01-01T00:00:00Z" });
    let narrow = json!({ "publicKey": raw, "features": ["other"] });
    let all = keys(json!({ "a-old": old, "b-narrow": narrow, "c-current": raw }));
    let verified = verify::index(&artifact, &feature(), &context(&all)).unwrap();
    assert_eq!(verified.key_id, "c-current");
    let none = keys(json!({ "a-old": old, "b-narrow": narrow }));
    assert_eq!(verify_index(&artifact, &context(&none)).unwrap_err().code(), "key-expired");
}

#[test]
fn one_good_signature_of_several_suffices_and_the_first_error_is_told() {
    let good = MemoryArtifact::published().index_document()["signature"].clone();
    let mut stranger = good.clone();
    stranger["keyId"] = json!("stranger");
    let mut algorithm = good.clone();
    algorithm["algorithm"] = json!("rsa");
    let keys = trusted();
    let both = with_signature(Some(json!([stranger, algorithm, good])));
    assert!(verify_index(&both, &context(&keys)).is_ok());
    let none = with_signature(Some(json!([stranger, algorithm])));
    assert_eq!(verify_index(&none, &context(&keys)).unwrap_err().code(), "key-unknown");
}

/// A team writes the fields of its manifest; none of them may make it an index for anybody.
#[test]
fn a_signed_manifest_never_passes_for_another_kind_of_document() {
    let keys = trusted();
    let mut both = object(manifest(VERSION, &FILES));
    for (field, value) in MemoryArtifact::published().index_document() {
        both.insert(field, value);
    }
    both.insert("generatedAt".to_owned(), json!(now()));
    both.insert("features".to_owned(), json!([{ "featureId": "other", "baseUrl": "https://a" }]));
    let bytes = key().sign_to_bytes(both.clone());
    let mut artifact = MemoryArtifact::published();
    artifact.0.insert(RELEASES_FILE.to_owned(), bytes.clone());
    let rejection = verify_index(&artifact, &context(&keys)).unwrap_err();
    assert_eq!((rejection.step(), rejection.code()), (Step::IndexSchema, "schema"), "{rejection}");
    let error = RemoteIndex::verify(&bytes, &keys, now(), &Limits::default()).unwrap_err();
    assert_eq!(error.code(), "schema");
    let rejection = verify_all(&MemoryArtifact::of_bytes(bytes), &context(&keys)).unwrap_err();
    assert_eq!(rejection.step(), Step::ManifestSchema);
    assert!(pilar_artifact::SourceManifest::from_document(&both).is_err());
}

#[test]
fn a_remote_index_is_refused_for_each_of_its_four_reasons() {
    let good = json!({
        "schemaVersion": 1, "sequence": 4, "generatedAt": now(), "expiresAt": "2026-07-01T00:00:00Z",
        "features": [{ "featureId": "a", "baseUrl": "a/" }, { "featureId": "b", "baseUrl": "https://cdn.example/b/" }],
    });
    let limits = Limits::default();
    let keys = trusted();
    let verify = |bytes: &[u8]| RemoteIndex::verify(bytes, &keys, now(), &limits);
    let index = verify(&key().sign_to_bytes(object(good.clone()))).unwrap();
    assert!(!index.is_stale(now()) && index.is_stale("2026-07-01T00:00:01Z".parse().unwrap()));

    for (bytes, code, _) in not_strict() {
        assert_eq!(verify(&bytes).unwrap_err().code(), code);
    }
    assert_eq!(verify(good.to_string().as_bytes()).unwrap_err().code(), "signature-missing");
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 6] = [
        ("field schemaVersion", |d| d["schemaVersion"] = json!(2)),
        ("field sequence", |d| d["sequence"] = json!(0)),
        ("features[1].featureId", |d| d["features"][1]["featureId"] = json!("a")),
        ("features[0].baseUrl", |d| d["features"][0]["baseUrl"] = json!(" ")),
        ("generatedAt", |d| d["generatedAt"] = json!("yesterday")),
        ("activeVersion", |d| d["activeVersion"] = json!("1.0.0")),
    ];
    for (word, change) in changes {
        let mut document = good.clone();
        change(&mut document);
        let error = verify(&key().sign_to_bytes(object(document))).unwrap_err();
        assert_eq!(error.code(), "schema");
        assert!(error.to_string().contains(word), "{error}");
    }
    // It speaks for every feature, so a key that is bound to some may not sign it.
    let bound = common::keys(
        json!({ "release": { "publicKey": key().public_key_base64(), "features": ["*"] } }),
    );
    let bytes = key().sign_to_bytes(object(good));
    let error = RemoteIndex::verify(&bytes, &bound, now(), &limits).unwrap_err();
    assert_eq!(error.code(), "key-not-allowed");
}
