//! Every single-byte change of every file of a published artifact is rejected.
//!
//! What that means for white space, which no signature over a JSON document covers, is in the last tests
//! and in `docs/verification.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{FILES, MemoryArtifact, VERSION, context, trusted, verify_all, verify_index};
use pilar_artifact::canonical::canonical_bytes;
use pilar_artifact::json::parse_object;
use pilar_artifact::signature::SignatureObject;
use pilar_artifact::verify::{self, Context, DropFiles, ReadArtifact, ReadError};
use pilar_artifact::{Limits, RELEASES_FILE, ReleaseIndex, TrustedKeys};
use serde_json::{Value, json};

/// An artifact in which one file has other bytes.
struct Changed<'a> {
    original: &'a MemoryArtifact,
    path: &'a str,
    bytes: &'a [u8],
}

impl ReadArtifact for Changed<'_> {
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        if path == self.path { Ok(self.bytes.to_vec()) } else { self.original.read(path, limit) }
    }
}

/// Whether the chain accepts the artifact with `bytes` in place of the file at `path`.
fn accepted(original: &MemoryArtifact, path: &str, bytes: &[u8], keys: &TrustedKeys) -> bool {
    let source = Changed { original, path, bytes };
    let context = context(keys);
    verify::index(&source, &common::feature(), &context)
        .is_ok_and(|verified| accepts_version(&source, &verified.index, &context))
}

fn accepts_version(source: &Changed<'_>, index: &ReleaseIndex, context: &Context<'_>) -> bool {
    verify::version(source, index, &index.active_version, context, &mut DropFiles).is_ok()
}

/// Calls `check` with every position of `bytes`, on as many threads as there are processors.
fn at_every_position(length: usize, check: impl Fn(usize) + Sync) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let position = next.fetch_add(1, Ordering::Relaxed);
                    if position >= length {
                        return;
                    }
                    check(position);
                }
            });
        }
    });
}

#[test]
fn every_value_of_every_byte_of_every_file_is_rejected() {
    let (artifact, keys) = (MemoryArtifact::published(), trusted());
    verify_all(&artifact, &context(&keys)).unwrap();
    assert_eq!(artifact.0.len(), 2 + FILES.len());
    // A change of another file than the index leaves its verification as it is, so that is done once.
    let index = verify_index(&artifact, &context(&keys)).unwrap();
    let accepted = |path: &str, bytes: &[u8]| {
        if path == RELEASES_FILE {
            accepted(&artifact, path, bytes, &keys)
        } else {
            accepts_version(&Changed { original: &artifact, path, bytes }, &index, &context(&keys))
        }
    };
    let mut total = 0;
    for (path, original) in &artifact.0 {
        at_every_position(original.len(), |position| {
            let mut bytes = original.clone();
            for value in (0..=255).filter(|value| *value != original[position]) {
                bytes[position] = value;
                assert!(
                    !accepted(path, &bytes),
                    "{path}: byte {position} may be {value} instead of {}",
                    original[position]
                );
            }
        });
        println!("{path}: {} bytes, {} changes rejected", original.len(), original.len() * 255);
        total += original.len() * 255;
    }
    println!("single-byte changes rejected: {total}");
}

#[test]
fn every_deleted_byte_every_truncation_and_every_appended_byte_is_rejected() {
    let (artifact, keys) = (MemoryArtifact::published(), trusted());
    let rejected = AtomicUsize::new(0);
    for (path, original) in &artifact.0 {
        at_every_position(original.len(), |position| {
            let mut shorter = original.clone();
            shorter.remove(position);
            assert!(!accepted(&artifact, path, &shorter, &keys), "{path}: byte {position} may go");
            let truncated = &original[..position];
            assert!(!accepted(&artifact, path, truncated, &keys), "{path}: may end at {position}");
            rejected.fetch_add(2, Ordering::Relaxed);
        });
        for value in 0..=255_u8 {
            let longer = [original.as_slice(), &[value]].concat();
            let white = path == RELEASES_FILE && b" \t\r\n".contains(&value);
            assert_eq!(
                accepted(&artifact, path, &longer, &keys),
                white,
                "{path}: {value} appended"
            );
        }
    }
    println!("deletions and truncations rejected: {}", rejected.into_inner());
}

#[test]
fn an_inserted_byte_is_rejected_or_leaves_the_document_of_the_index_equal() {
    let (artifact, keys) = (MemoryArtifact::published(), trusted());
    let (rejected, equal) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for (path, original) in &artifact.0 {
        let document = (path == RELEASES_FILE).then(|| artifact.index_document());
        at_every_position(original.len(), |position| {
            let mut bytes = original.clone();
            bytes.insert(position, 0);
            // The bytes that mean something to a JSON parser, and a sample of the others.
            for value in b" \t\r\n\0\"\\,:{}[]0129aeEu+-./\x7f\x80\xc3\xef\xff" {
                bytes[position] = *value;
                if !accepted(&artifact, path, &bytes, &keys) {
                    rejected.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                // JSON spells a slash with and without a backslash.
                let slash = *value == b'\\' && original[position] == b'/';
                assert!(
                    slash || b" \t\r\n".contains(value),
                    "{path}: {value} may come before {position}"
                );
                let parsed = parse_object(&bytes, &Limits::default()).unwrap();
                assert_eq!(
                    Some(&parsed),
                    document.as_ref(),
                    "{path}: another document is accepted"
                );
                equal.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    println!("insertions: {rejected:?} rejected, {equal:?} left the document of the index equal");
}

#[test]
fn a_missing_or_renamed_file_is_rejected() {
    let (artifact, keys) = (MemoryArtifact::published(), trusted());
    for path in artifact.0.keys() {
        let mut changed = artifact.clone();
        let bytes = changed.0.remove(path).unwrap();
        assert_eq!(
            verify_all(&changed, &context(&keys)).unwrap_err().code(),
            "file-missing",
            "{path}"
        );
        changed.0.insert(format!("{path}.old"), bytes);
        assert_eq!(
            verify_all(&changed, &context(&keys)).unwrap_err().code(),
            "file-missing",
            "{path}"
        );
    }
}

#[test]
fn a_file_that_is_not_listed_is_never_read() {
    let mut artifact = MemoryArtifact::published();
    artifact.0.insert(format!("{VERSION}/extra.js"), b"alert(1)".to_vec());
    let mut seen = Seen::default();
    let (keys, feature) = (trusted(), common::feature());
    let context = context(&keys);
    let index = verify::index(&artifact, &feature, &context).unwrap().index;
    verify::version(&artifact, &index, &index.active_version, &context, &mut seen).unwrap();
    assert_eq!(seen.0, FILES.map(|(name, _)| name.to_owned()));
}

#[derive(Default)]
struct Seen(Vec<String>);

impl verify::FileSink for Seen {
    fn accept(
        &mut self,
        name: &pilar_artifact::FileName,
        _: pilar_artifact::Sha256Digest,
        _: Vec<u8>,
    ) -> std::io::Result<()> {
        self.0.push(name.to_string());
        Ok(())
    }
}

/// An index that another tool wrote with white space: a change inside it is a change of no token, so the
/// document, and with it what is served, stays exactly what was signed.
#[test]
fn a_changed_byte_of_an_indented_index_is_rejected_or_leaves_the_document_equal() {
    let keys = trusted();
    let mut artifact = MemoryArtifact::published();
    let document = artifact.index_document();
    let indented = format!("{:#}\n", Value::Object(document.clone())).into_bytes();
    artifact.0.insert(RELEASES_FILE.to_owned(), indented.clone());
    let equal = AtomicUsize::new(0);
    at_every_position(indented.len(), |position| {
        let mut bytes = indented.clone();
        let flips = (0..8).map(|bit| indented[position] ^ (1 << bit));
        for value in flips.chain(*b" \t\r\n").filter(|value| *value != indented[position]) {
            bytes[position] = value;
            if accepted(&artifact, RELEASES_FILE, &bytes, &keys) {
                let white = |byte| b" \t\r\n".contains(&byte);
                assert!(white(indented[position]) && white(value), "{position} may be {value}");
                assert_eq!(parse_object(&bytes, &Limits::default()).unwrap(), document);
                equal.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    println!("indented index: {equal:?} changes of white space to white space left it as it was");
    assert!(equal.into_inner() > 0);
}

#[test]
fn the_spelling_of_the_signature_is_unique() {
    let keys = trusted();
    let mut artifact = MemoryArtifact::published();
    let good = artifact.index_document();
    let value = good["signature"]["value"].as_str().unwrap().to_owned();
    assert!(value.ends_with("==") && value.len() == 88);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let respelled = alphabet.chars().map(|last| format!("{}{last}==", &value[..85]));
    let loose = [
        value.trim_end_matches('=').to_owned(),
        format!("{value}="),
        format!(" {value}"),
        format!("{value}\n"),
        value.replace('+', "-").replace('/', "_") + "\u{0}",
    ];
    let mut tried = 0;
    for other in respelled.chain(loose).filter(|other| *other != value) {
        let mut document = good.clone();
        document["signature"]["value"] = other.clone().into();
        artifact
            .0
            .insert(RELEASES_FILE.to_owned(), Value::Object(document).to_string().into_bytes());
        assert!(verify_index(&artifact, &context(&keys)).is_err(), "{other:?}");
        tried += 1;
    }
    println!("respelled signatures rejected: {tried}");
}

#[test]
fn nothing_can_be_added_to_a_signature() {
    let keys = trusted();
    let mut artifact = MemoryArtifact::published();
    let mut document = artifact.index_document();
    document["signature"]["note"] = "not covered by anything".into();
    artifact.0.insert(RELEASES_FILE.to_owned(), Value::Object(document).to_string().into_bytes());
    assert_eq!(verify_index(&artifact, &context(&keys)).unwrap_err().code(), "signature-malformed");
}

/// With several signatures one good one suffices (that is how keys are rotated), so the others may change.
#[test]
fn with_two_signatures_only_the_good_one_and_the_document_are_protected() {
    let keys = trusted();
    let mut artifact = MemoryArtifact::published();
    let mut document = artifact.index_document();
    let good = document["signature"].clone();
    let other = SignatureObject {
        algorithm: "ed25519".to_owned(),
        key_id: "retired".to_owned(),
        value: "AAAA".to_owned(),
    };
    document["signature"] = json!([other, good]);
    let bytes = canonical_bytes(&Value::Object(document));
    artifact.0.insert(RELEASES_FILE.to_owned(), bytes.clone());
    verify_index(&artifact, &context(&keys)).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let start = text.find("\"signature\":[").unwrap();
    let spare = start..start + text[start..].find("},{").unwrap();
    at_every_position(bytes.len(), |position| {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[position] ^= 1 << bit;
            let passes = accepted(&artifact, RELEASES_FILE, &changed, &keys);
            assert!(!passes || spare.contains(&position), "byte {position}, bit {bit}");
        }
    });
}

#[test]
fn the_library_writes_documents_without_white_space() {
    let artifact = MemoryArtifact::published();
    for path in [RELEASES_FILE.to_owned(), format!("{VERSION}/manifest.json")] {
        let document = parse_object(&artifact.0[&path], &Limits::default()).unwrap();
        assert_eq!(artifact.0[&path], canonical_bytes(&Value::Object(document)), "{path}");
    }
}
