//! Arbitrary bytes never panic, and every limit holds exactly at its boundary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::{FILES, MemoryArtifact, context, entry, feature, now, trusted, verify_all};
use pilar_artifact::json::parse_object;
use pilar_artifact::remote_index::RemoteIndex;
use pilar_artifact::{
    FeatureId, FileName, Limits, Manifest, RELEASES_FILE, ReleaseIndex, Sha256Digest, SigningKey,
    SourceManifest, TrustedKeys, verify,
};
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value, json};

proptest! {
    #![proptest_config(Config { cases: 3000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        every_reader(&bytes);
    }

    #[test]
    fn bytes_that_look_like_json_never_panic(text in r#"[{}\[\]",:\\u0-9a-fEe.+\- tn]{0,120}"#) {
        every_reader(format!("{{{text}}}").as_bytes());
    }

    #[test]
    fn a_changed_document_never_panics(
        position in any::<prop::sample::Index>(),
        replacement in "[{}\\[\\]\",:0-9a-z\\\\.-]{0,6}",
    ) {
        for bytes in MemoryArtifact::published().0.values() {
            let mut changed = bytes.clone();
            let at = position.index(changed.len());
            changed.splice(at..at, replacement.bytes());
            every_reader(&changed);
        }
    }

    #[test]
    fn arbitrary_text_is_a_name_only_if_it_stays_below_the_directory(text in any::<String>()) {
        check_name(&text);
    }

    #[test]
    fn hostile_text_is_a_name_only_if_it_stays_below_the_directory(
        text in "[a.]{0,3}[/\\\\.%: \u{0}\u{202e}]{0,3}[a./]{0,4}",
    ) {
        check_name(&text);
    }

    #[test]
    fn arbitrary_text_is_an_id_only_by_the_pattern(text in prop_oneof![any::<String>(), "[a-zA-Z0-9_-]{0,66}"]) {
        let mut characters = text.chars();
        let pattern = characters.next().is_some_and(|c| c.is_ascii_lowercase())
            && text.chars().count() <= 63
            && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        prop_assert_eq!(text.parse::<FeatureId>().is_ok(), pattern || text == "_shared");
    }

    #[test]
    fn a_digest_has_three_forms_and_no_more(digest in any::<[u8; 32]>(), noise in any::<String>(), at in any::<prop::sample::Index>()) {
        let digest = Sha256Digest::from(digest);
        for text in [digest.hex(), digest.hex().to_uppercase(), format!("sha256:{}", digest.hex()), digest.sri()] {
            prop_assert_eq!(text.parse::<Sha256Digest>(), Ok(digest));
            let mut longer = text.clone();
            longer.insert(at.index(text.len() + 1), '+');
            prop_assert!(longer.parse::<Sha256Digest>().is_err(), "{}", longer);
            prop_assert!(text[..text.len() - 1].parse::<Sha256Digest>().is_err());
        }
        prop_assert!(noise.parse::<Sha256Digest>().is_err());
    }
}

/// Gives the bytes to everything that reads bytes.
fn every_reader(bytes: &[u8]) {
    let (limits, keys) = (Limits::default(), trusted());
    let _ = TrustedKeys::from_json(bytes, &limits);
    let _ = RemoteIndex::verify(bytes, &keys, now(), &limits);
    let _ = SigningKey::from_pkcs8_pem("id", &String::from_utf8_lossy(bytes));
    let mut artifact = MemoryArtifact::published();
    artifact.0.insert(RELEASES_FILE.to_owned(), bytes.to_vec());
    let _ = verify_all(&artifact, &context(&keys));
    if let Ok(document) = parse_object(bytes, &limits) {
        let _ = Manifest::from_document(&document, &limits);
        let _ = SourceManifest::from_document(&document);
        let _ =
            ReleaseIndex::from_document(&document).map(|index| index.check(&feature(), &limits));
    }
}

fn check_name(text: &str) {
    let Ok(name) = text.parse::<FileName>() else { return };
    assert_eq!(name.as_str(), text);
    let path = std::path::Path::new(text);
    assert!(
        path.components().all(|part| matches!(part, std::path::Component::Normal(_))),
        "{text:?}"
    );
    assert!(!text.contains(['\\', '\0', '%', '?', '#', ':']) && !text.contains("//"), "{text:?}");
}

#[test]
fn names_that_mislead_a_reader_are_refused() {
    let bad = [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "./a",
        "a/./b",
        "a/..",
        "../a",
        "a\\b",
        "a%2e",
        "a?b",
        "a#b",
        "a\nb",
        "a\0b",
        "a\u{7f}",
        "a\u{85}",
        " a",
        "a ",
        "a /b",
        "\u{a0}a",
        "https:evil.example/x.js",
        "C:x",
        "a\u{202e}sj.b",
        "a\u{200b}b",
        "\u{feff}a",
        "a\u{2028}b",
        "a*b",
        "a|b",
        "a<b",
        "a\"b",
    ];
    for name in bad {
        assert!(name.parse::<FileName>().is_err(), "{name:?}");
    }
    let good = [
        "a",
        "a.js",
        "a/b.js",
        "...",
        ".well-known/x",
        "a b.png",
        "bilde-å.png",
        "@scope+pkg.js",
        "[id].js",
        "a,b;c=d&e.js",
        "manifest.json/x",
        "sub/manifest.json",
        "releases.json",
        "(a)~1.css",
    ];
    for name in good {
        assert!(name.parse::<FileName>().is_ok(), "{name:?}");
    }
    let long = "a".repeat(512);
    assert!(long.parse::<FileName>().is_ok());
    assert!(long.parse::<FileName>().unwrap().with_suffix("br").is_none());
    assert!(format!("{long}a").parse::<FileName>().is_err());
    assert!(["a"; 16].join("/").parse::<FileName>().is_ok());
    assert!(["a"; 17].join("/").parse::<FileName>().is_err());
    println!("file names: {} refused, {} taken", bad.len(), good.len());
}

#[test]
fn depth_64_is_read_and_65_is_refused() {
    let arrays =
        |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    let objects = |levels: usize| format!("{}0{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    for nested in [arrays(64), objects(64)] {
        assert!(parse_object(nested.as_bytes(), &Limits::default()).is_ok());
    }
    for nested in [arrays(65), objects(65), arrays(100_000), "{\"a\":".repeat(100_000)] {
        let error = parse_object(nested.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(error.code(), "json-too-deep");
    }
}

#[test]
fn one_mebibyte_is_read_and_one_byte_more_is_refused() {
    let text = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    assert_eq!(text(1 << 20).len(), 1 << 20);
    assert!(parse_object(text(1 << 20).as_bytes(), &Limits::default()).is_ok());
    let error = parse_object(text((1 << 20) + 1).as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(error.code(), "json-too-large");
}

#[test]
fn the_sizes_and_counts_of_a_version_hold_exactly() {
    let (artifact, keys) = (MemoryArtifact::published(), trusted());
    let largest = FILES.iter().map(|(_, bytes)| bytes.len() as u64).max().unwrap();
    let all: u64 = FILES.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let check = |change: &dyn Fn(&mut Limits)| {
        let mut context = context(&keys);
        change(&mut context.limits);
        verify_all(&artifact, &context).map(|verified| verified.bytes).map_err(|error| error.code())
    };
    assert_eq!(check(&|limits| limits.file_bytes = largest), Ok(all));
    assert_eq!(check(&|limits| limits.file_bytes = largest - 1), Err("file-too-large"));
    assert_eq!(check(&|limits| limits.version_bytes = all), Ok(all));
    assert_eq!(check(&|limits| limits.version_bytes = all - 1), Err("version-too-large"));
    assert_eq!(check(&|limits| limits.files = FILES.len()), Ok(all));
    assert_eq!(check(&|limits| limits.files = FILES.len() - 1), Err("schema"));
    assert_eq!(check(&|limits| limits.signatures = 0), Ok(all), "one signature is no list");
}

#[test]
fn the_number_of_versions_holds_exactly() {
    let (limits, keys) = (Limits::default(), trusted());
    for (count, code) in
        [(limits.versions, None), (limits.versions + 1, Some("index-version-count"))]
    {
        let mut artifact = MemoryArtifact::published();
        artifact.resign_index(|document| {
            let versions = (0..count).rev().map(|patch| entry(&format!("1.0.{patch}"), b""));
            document["versions"] = serde_json::to_value(versions.collect::<Vec<_>>()).unwrap();
            document["activeVersion"] = json!("1.0.0");
            document["channels"] = json!({});
        });
        let checked = verify::index(&artifact, &feature(), &context(&keys));
        assert_eq!(checked.err().map(|error| error.code()), code);
    }
}

/// Some features of the JSON parser turn objects with these keys into numbers; ours must not.
#[test]
fn no_key_has_a_private_meaning() {
    let text = r#"{"$serde_json::private::Number":"1","$serde_json::private::RawValue":"2"}"#;
    let wrapped = format!("{{\"a\":{text},\"n\":1.50}}");
    let document = parse_object(wrapped.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(document["a"].as_object().unwrap().len(), 2);
    assert_eq!(document["n"], Value::from(1.5));
}
