//! Whatever a layer says, nothing but its own feature is written, nowhere but in the staging directory, and what is
//! accepted is what the simplest reader of archives sees, and is named as what it holds.
#![no_main]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use pilar_artifact::{FeatureId, Sha256Digest};
use pilar_loader::transport::Limits;
use pilar_loader::unpack::{Compression, Layer, Unpacker, feature_of};
use pilar_store::Store;
use tar::{EntryType, Header};

fuzz_target!(|input: &[u8]| {
    let Some((form, rest)) = input.split_first() else { return };
    let entries = entries(rest);
    // An archive as it is, or one made of entries, whose checksums are right.
    let archive = if form & 1 == 0 { rest.to_vec() } else { written(&entries) };
    let (bytes, compression) = match form >> 1 & 3 {
        0 => (archive, Compression::None),
        1 => (gzip(&archive), Compression::Gzip),
        2 => (zstd::encode_all(archive.as_slice(), 1).expect("in memory"), Compression::Zstd),
        _ => (archive, Compression::Gzip),
    };
    let (room, store) = room();
    let feature: FeatureId = "lab".parse().expect("an id");
    let incoming = Arc::new(store.incoming(&feature, "fuzz").expect("a staging directory"));
    let limits = Limits { entries: 64, expanded_bytes: 1 << 20, ..Limits::default() };
    let mut unpacker = Unpacker::new(&feature, limits, Arc::clone(&incoming));
    let digest = Sha256Digest::of(&bytes);
    let layer = Layer { digest, size: bytes.len() as u64, compression };
    let taken = unpacker.layer(bytes.as_slice(), &layer);
    let mut found = BTreeMap::new();
    walk(room, room, &mut found);
    let staging = "artifacts/.staging/.incoming-lab-fuzz/";
    let found: BTreeMap<String, Vec<u8>> = found
        .into_iter()
        .map(|(path, bytes)| (path.strip_prefix(staging).expect("nowhere else").to_owned(), bytes))
        .collect();
    for path in found.keys() {
        let first = path.split('/').next().unwrap_or_default();
        assert!(path == "releases.json" || first.parse::<semver::Version>().is_ok(), "{path}");
    }
    if let Err(refusal) = &taken {
        assert!(!refusal.code().is_empty() && !refusal.to_string().chars().any(char::is_control));
    }
    if taken.is_ok() && !found.is_empty() {
        let named = feature_of(bytes.as_slice(), &layer, limits).expect("it was read before");
        assert_eq!(named, Some(feature));
    }
    if taken.is_ok() && form & 1 == 1 && form >> 1 & 3 != 3 {
        assert_eq!(found, simplest(&entries));
    }
});

/// One entry: its type, its mode, its name and its content.
struct Entry<'i> {
    kind: u8,
    mode: u32,
    name: &'i [u8],
    content: &'i [u8],
}

/// Reads entries: four bytes, of which the last two are lengths, then name and content.
fn entries(mut input: &[u8]) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    while let Some((&[kind, mode, name, content], rest)) = input.split_first_chunk() {
        let Some((name, rest)) = rest.split_at_checked(usize::from(name).min(100)) else { break };
        let Some((content, rest)) = rest.split_at_checked(usize::from(content)) else { break };
        entries.push(Entry { kind, mode: u32::from(mode) << 3, name, content });
        input = rest;
    }
    entries
}

fn written(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut archive = Vec::new();
    for entry in entries {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..entry.name.len()].copy_from_slice(entry.name);
        header.set_entry_type(EntryType::new(entry.kind));
        header.set_mode(entry.mode);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(entry.content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// What a reader sees that knows files, long names and one record, and believes everything.
fn simplest(entries: &[Entry<'_>]) -> BTreeMap<String, Vec<u8>> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it was accepted");
    let until_nul = |bytes: &[u8]| bytes.split(|byte| *byte == 0).next().map(text);
    let (mut files, mut long) = (BTreeMap::new(), None);
    for entry in entries {
        match entry.kind {
            b'L' => long = until_nul(entry.content),
            b'x' => long = path_record(entry.content).map(text).or(long),
            b'0' | 0 => {
                let name = long.take().or_else(|| until_nul(entry.name)).expect("a name");
                let name = name.strip_prefix("./").unwrap_or(&name);
                let name = name.strip_prefix("artifacts/lab/").expect("of the feature");
                files.insert(name.to_owned(), entry.content.to_vec());
            }
            b'5' => long = None,
            b'g' => {}
            other => panic!("type {other} was accepted"),
        }
    }
    files
}

/// The value of the record `path` (POSIX pax, extended header).
fn path_record(mut records: &[u8]) -> Option<&[u8]> {
    while !records.is_empty() {
        let space = records.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
        if let Some(value) = records[space + 1..length - 1].strip_prefix(b"path=") {
            return Some(value);
        }
        records = &records[length..];
    }
    None
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("in memory")
}

/// One tree for the whole run; a staging directory of the same name takes the place of the last one.
fn room() -> (&'static Path, &'static Store) {
    static ROOM: OnceLock<(tempfile::TempDir, Store)> = OnceLock::new();
    let (dir, store) = ROOM.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open_or_create(&dir.path().join("artifacts")).expect("a tree");
        (dir, store)
    });
    (dir.path(), store)
}

fn walk(dir: &Path, root: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        assert!(!path.is_symlink());
        if path.is_dir() {
            walk(&path, root, found);
        } else {
            let name = path.strip_prefix(root).expect("below").to_str().expect("UTF-8").to_owned();
            found.insert(name, std::fs::read(&path).expect("a file"));
        }
    }
}
