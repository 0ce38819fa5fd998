//! A layer holds regular files and directories of its own feature, within the limits. Whatever else it holds is
//! refused with a code of its own, and nothing is written outside the staging directory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use common::archive::{Archive, gzip, layer, pax_records, zstd};
use pilar_artifact::FeatureId;
use pilar_artifact::verify::ReadArtifact as _;
use pilar_loader::transport::Limits;
use pilar_loader::unpack::{Compression, Layer, Refusal, Unpacker};
use pilar_store::{Incoming, Store};
use tar::EntryType;

const INDEX: &str = "artifacts/lab/releases.json";
const SCRIPT: &str = "artifacts/lab/1.0.0/app.js";

/// Small enough that each can be broken.
fn limits() -> Limits {
    Limits {
        expanded_bytes: 32 << 20,
        entries: 20,
        path_depth: 6,
        path_bytes: 200,
        ratio: 50,
        artifact: pilar_artifact::Limits { file_bytes: 12 << 20, ..Default::default() },
        ..Limits::default()
    }
}

/// A tree with a file beside it that must stay as it is.
struct Tree {
    outside: tempfile::TempDir,
    incoming: Arc<Incoming>,
}

impl Tree {
    fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("artifacts");
        let store = Store::open_or_create(&root).unwrap();
        let incoming = store.incoming(&feature(), "test").unwrap();
        Self { outside, incoming: Arc::new(incoming) }
    }

    fn take(&self, layers: &[(Vec<u8>, Layer)]) -> Result<(), Refusal> {
        self.take_within(limits(), layers)
    }

    fn take_within(&self, limits: Limits, layers: &[(Vec<u8>, Layer)]) -> Result<(), Refusal> {
        let mut unpacker = Unpacker::new(&feature(), limits, Arc::clone(&self.incoming));
        layers.iter().try_for_each(|(bytes, layer)| unpacker.layer(bytes.as_slice(), layer))
    }

    fn content(&self, path: &str) -> Vec<u8> {
        self.incoming.read().unwrap().read(path, 1 << 30).unwrap()
    }

    /// Every file that is there, relative to the directory that holds the tree.
    fn files(&self) -> BTreeSet<String> {
        fn walk(dir: &Path, root: &Path, found: &mut BTreeSet<String>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    walk(&path, root, found);
                } else {
                    found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut found = BTreeSet::new();
        walk(self.outside.path(), self.outside.path(), &mut found);
        found
    }
}

fn feature() -> FeatureId {
    "lab".parse().unwrap()
}

fn plain(bytes: Vec<u8>) -> (Vec<u8>, Layer) {
    let layer = layer(&bytes, Compression::None);
    (bytes, layer)
}

fn code(archive: Vec<u8>) -> &'static str {
    let tree = Tree::new();
    let refusal = tree.take(&[plain(archive)]).expect_err("it is refused");
    let staging = "artifacts/.staging/.incoming-lab-test/";
    for file in tree.files() {
        assert!(file.starts_with(staging), "{file} lies outside of the staging directory");
    }
    assert!(!refusal.remedy().is_empty() && !refusal.to_string().contains('\0'));
    refusal.code()
}

fn good() -> Archive {
    Archive::new()
        .directory("artifacts/")
        .directory("artifacts/lab/")
        .file(INDEX, b"{}")
        .directory("artifacts/lab/1.0.0/")
        .file(SCRIPT, b"run()")
}

fn alone(path: &[u8]) -> &'static str {
    code(Archive::new().entry(path, EntryType::Regular, 0o644, b"x").end())
}

fn of_type(kind: u8) -> &'static str {
    let kind = EntryType::new(kind);
    code(good().entry(b"artifacts/lab/1.0.0/x", kind, 0o644, b"").end())
}

fn spoken(records: &[(&str, &[u8])]) -> &'static str {
    code(Archive::new().pax(records).file(SCRIPT, b"x").end())
}

#[test]
fn an_artifact_arrives_however_it_is_compressed() {
    let deep = "artifacts/lab/1.0.0/assets/".to_owned() + &"x".repeat(120) + ".svg";
    let archive = good()
        .pax(&[("path", deep.as_bytes()), ("mtime", b"1.5"), ("SCHILY.xattr.user.x", b"a\nb=\n")])
        .file("short", b"<svg/>")
        .extended(EntryType::GNULongName, b"artifacts/lab/1.0.0/assets/logo.svg\0")
        .file("short", b"<svg></svg>")
        .extended(EntryType::XGlobalHeader, &pax_records(&[("comment", b"made by hand")]))
        .file("artifacts/lab/1.0.0/manifest.json", b"{\"id\":\"lab\"}")
        .end();
    let gzipped = gzip(&archive);
    let zipped = zstd(&archive);
    let halves = [gzip(&archive[..700]), gzip(&archive[700..])].concat();
    for (bytes, compression) in [
        (archive, Compression::None),
        (gzipped, Compression::Gzip),
        (halves, Compression::Gzip),
        (zipped, Compression::Zstd),
    ] {
        let tree = Tree::new();
        let said = layer(&bytes, compression);
        tree.take(&[(bytes, said)]).unwrap();
        assert_eq!(tree.content("releases.json"), b"{}");
        assert_eq!(tree.content("1.0.0/app.js"), b"run()");
        assert_eq!(tree.content("1.0.0/assets/logo.svg"), b"<svg></svg>");
        assert_eq!(tree.content(deep.strip_prefix("artifacts/lab/").unwrap()), b"<svg/>");
        assert_eq!(tree.files().len(), 5);
    }
}

#[test]
fn a_path_may_begin_with_a_dot_and_is_the_same_path_as_without() {
    let dotted = || {
        Archive::new()
            .directory("./")
            .directory("./artifacts/")
            .directory("./artifacts/lab/")
            .file("./artifacts/lab/releases.json", b"{}")
            .file("./artifacts/lab/1.0.0/app.js", b"run()")
    };
    let long = "./artifacts/lab/1.0.0/".to_owned() + &"x".repeat(120) + ".js";
    let tree = Tree::new();
    let archive = dotted().pax(&[("path", long.as_bytes())]).file("short", b"long()").end();
    tree.take(&[plain(archive)]).unwrap();
    assert_eq!(tree.content("releases.json"), b"{}");
    assert_eq!(tree.content("1.0.0/app.js"), b"run()");
    assert_eq!(tree.content(long.strip_prefix("./artifacts/lab/").unwrap()), b"long()");
    assert_eq!(tree.files().len(), 3);
    assert_eq!(code(dotted().file(SCRIPT, b"other").end()), "entry-duplicate");
    assert_eq!(code(dotted().directory("./").end()), "entry-duplicate");
    assert_eq!(code(dotted().directory(".").end()), "entry-duplicate");
    let sticky = Archive::new().entry(b"./", EntryType::Directory, 0o1777, b"");
    assert_eq!(code(sticky.end()), "entry-mode");
}

#[test]
fn a_higher_layer_stands_above_a_lower_one() {
    let tree = Tree::new();
    let above = Archive::new().directory("artifacts/lab/").file(INDEX, b"{\"new\":1}").end();
    tree.take(&[plain(good().end()), plain(above)]).unwrap();
    assert_eq!(tree.content("releases.json"), b"{\"new\":1}");
    assert_eq!(tree.content("1.0.0/app.js"), b"run()");
    let file_over_directory = Archive::new().file("artifacts/lab/1.0.0/a", b"").end();
    let below = Archive::new().file("artifacts/lab/1.0.0/a/b", b"").end();
    let refusal = Tree::new().take(&[plain(below), plain(file_over_directory)]).unwrap_err();
    assert_eq!(refusal.code(), "entry-conflict");
}

#[test]
fn nothing_but_files_and_directories() {
    assert_eq!(of_type(b'1'), "entry-link");
    assert_eq!(of_type(b'2'), "entry-link");
    assert_eq!(of_type(b'K'), "entry-link");
    assert_eq!(of_type(b'3'), "entry-device");
    assert_eq!(of_type(b'4'), "entry-device");
    assert_eq!(of_type(b'6'), "entry-pipe");
    assert_eq!(of_type(b'S'), "entry-sparse");
    for other in [b'7', b'D', b'M', b'N', b'V', b'X', b'A', b'Z', 0xff] {
        assert_eq!(of_type(other), "entry-type");
    }
    assert_eq!(spoken(&[("GNU.sparse.major", b"1")]), "entry-sparse");
    assert_eq!(spoken(&[("linkpath", b"/etc/passwd")]), "entry-link");
}

#[test]
fn no_special_bits() {
    for mode in [0o4755, 0o2755, 0o1777] {
        let kind = EntryType::Regular;
        assert_eq!(
            code(Archive::new().entry(SCRIPT.as_bytes(), kind, mode, b"").end()),
            "entry-mode"
        );
    }
    let sticky = Archive::new().entry(b"artifacts/", EntryType::Directory, 0o1777, b"");
    assert_eq!(code(sticky.end()), "entry-mode");
}

#[test]
fn no_whiteouts() {
    assert_eq!(alone(b"artifacts/lab/.wh.releases.json"), "entry-whiteout");
    assert_eq!(alone(b"artifacts/lab/1.0.0/.wh..wh..opq"), "entry-whiteout");
    assert_eq!(alone(b".wh.artifacts"), "entry-whiteout");
}

#[test]
fn no_path_that_could_be_read_in_two_ways() {
    assert_eq!(alone(b"/artifacts/lab/releases.json"), "path-absolute");
    assert_eq!(alone(b"artifacts/lab/../../../etc/cron.d/x"), "path-parent");
    assert_eq!(alone(b"../releases.json"), "path-parent");
    assert_eq!(alone(b"artifacts/lab/1.0.0/.."), "path-parent");
    assert_eq!(alone(b"././artifacts/lab/releases.json"), "path-dot");
    assert_eq!(alone(b"artifacts/./lab/releases.json"), "path-dot");
    assert_eq!(alone(b"."), "path-dot");
    assert_eq!(alone(b"./"), "path-empty");
    assert_eq!(alone(b".//artifacts/lab/releases.json"), "path-absolute");
    assert_eq!(alone(b"./../artifacts/lab/releases.json"), "path-parent");
    assert_eq!(alone(b"./etc/passwd"), "entry-outside");
    assert_eq!(alone(b"artifacts//lab/releases.json"), "path-empty");
    assert_eq!(alone(b"artifacts/lab/1.0.0/"), "path-empty");
    assert_eq!(alone(b""), "path-empty");
    assert_eq!(alone(b"artifacts\\lab\\releases.json"), "path-backslash");
    assert_eq!(alone(b"artifacts/lab/1.0.0/\xff.js"), "path-not-utf8");
    assert_eq!(spoken(&[("path", b"artifacts/lab/1.0.0/a\0b")]), "path-nul");
    assert_eq!(alone(b"artifacts/lab/1.0.0/a/b/c/d"), "path-too-deep");
    let long = [b"artifacts/lab/1.0.0/".as_slice(), &[b'x'; 200]].concat();
    assert_eq!(spoken(&[("path", &long)]), "path-too-long");
}

#[test]
fn the_rules_of_paths_hold_for_extended_headers_too() {
    let evil = b"../../etc/passwd";
    assert_eq!(spoken(&[("path", evil)]), "path-parent");
    let long_name = Archive::new().extended(EntryType::GNULongName, b"/etc/passwd\0");
    assert_eq!(code(long_name.file(SCRIPT, b"x").end()), "path-absolute");
    let both = Archive::new()
        .extended(EntryType::GNULongName, SCRIPT.as_bytes())
        .pax(&[("path", SCRIPT.as_bytes())]);
    assert_eq!(code(both.file(SCRIPT, b"x").end()), "entry-header");
    assert_eq!(spoken(&[("path", SCRIPT.as_bytes()), ("path", evil)]), "entry-header");
    // One record by its length, two by its lines.
    let hidden = [b"x\n18 path=".as_slice(), b"/etc/pw"].concat();
    let record = Archive::new().pax(&[("comment", &hidden)]).file(SCRIPT, b"x").end();
    let tree = Tree::new();
    tree.take(&[plain(record)]).unwrap();
    assert_eq!(tree.content("1.0.0/app.js"), b"x");
}

#[test]
fn an_extended_header_is_short_true_and_followed_by_its_entry() {
    assert_eq!(spoken(&[("size", b"0")]), "entry-header");
    assert_eq!(spoken(&[("size", b"-1")]), "entry-header");
    assert_eq!(spoken(&[("comment", &[b'x'; 70_000])]), "entry-header");
    for broken in
        [b"9999 path=x\n".as_slice(), b"x", b"7 path\n", b"0 a=\n", b"18446744073709551616 a=b\n"]
    {
        let archive = Archive::new().extended(EntryType::XHeader, broken).file(SCRIPT, b"x");
        assert_eq!(code(archive.end()), "entry-header");
    }
    for global in [("path", SCRIPT), ("size", "1"), ("linkpath", "x")] {
        let records = pax_records(&[(global.0, global.1.as_bytes())]);
        let archive = Archive::new().extended(EntryType::XGlobalHeader, &records);
        assert_eq!(code(archive.file(SCRIPT, b"x").end()), "entry-header");
    }
    assert_eq!(code(good().pax(&[("path", SCRIPT.as_bytes())]).end()), "entry-header");
    let with_content =
        Archive::new().entry(b"artifacts/", EntryType::Directory, 0o755, b"what is this");
    assert_eq!(code(with_content.end()), "entry-header");
}

#[test]
fn each_path_once() {
    assert_eq!(code(good().file(SCRIPT, b"other").end()), "entry-duplicate");
    assert_eq!(code(good().directory("artifacts/lab/").end()), "entry-duplicate");
    assert_eq!(code(good().file("artifacts/lab/1.0.0/app.js/x", b"").end()), "entry-conflict");
    let directory = good().file("artifacts/lab/1.0.0/a/b", b"").file("artifacts/lab/1.0.0/a", b"");
    assert_eq!(code(directory.end()), "entry-conflict");
}

#[test]
fn nothing_but_the_feature_itself() {
    assert_eq!(alone(b"etc/passwd"), "entry-outside");
    assert_eq!(alone(b"artifacts"), "entry-outside");
    assert_eq!(alone(b"artifacts/labor/releases.json"), "feature-foreign");
    assert_eq!(alone(b"artifacts/releases.json"), "feature-foreign");
    assert_eq!(alone(b"artifacts/lab/readme.md"), "entry-unexpected");
    assert_eq!(alone(b"artifacts/lab/latest/app.js"), "entry-unexpected");
    assert_eq!(alone(b"artifacts/lab/1.0.0"), "entry-unexpected");
    assert_eq!(alone(b"artifacts/lab/releases.json/x"), "entry-unexpected");
    assert_eq!(alone(b"artifacts/lab/1.0.0/a?b.js"), "path-name");
    assert_eq!(alone("artifacts/lab/1.0.0/a\u{202e}sj.js".as_bytes()), "path-name");
    assert_eq!(code(Archive::new().directory("usr/").end()), "entry-outside");
    assert_eq!(code(Archive::new().directory("artifacts/other/").end()), "feature-foreign");
}

#[test]
fn no_more_than_the_limits_allow() {
    let many = (0..21).fold(Archive::new(), |archive, number| {
        archive.file(&format!("artifacts/lab/1.0.0/{number}"), b"")
    });
    assert_eq!(code(many.end()), "too-many-entries");
    let large = vec![7; (12 << 20) + 1];
    assert_eq!(code(good().file("artifacts/lab/1.0.0/large", &large).end()), "file-too-large");
    let claims =
        Archive::new().claiming(SCRIPT.as_bytes(), EntryType::Regular, 0o644, 1 << 60, b"");
    assert_eq!(code(claims.end()), "file-too-large");
    let piece = vec![7; 11 << 20];
    let whole = ["a", "b", "c"].iter().fold(Archive::new(), |archive, name| {
        archive.file(&format!("artifacts/lab/1.0.0/{name}"), &piece)
    });
    assert_eq!(code(whole.end()), "image-too-large");
}

/// An entry may lie in many directories that have none, and each of these costs a directory on the disk.
#[test]
fn directories_without_an_entry_count_as_well() {
    let nested = |range: std::ops::Range<u32>| {
        range.fold(Archive::new(), |archive, number| {
            archive.file(&format!("artifacts/lab/1.0.0/{number}/{number}/x"), b"")
        })
    };
    // Three directories above all, and two and a file for each.
    Tree::new().take(&[plain(nested(0..5).end())]).unwrap();
    assert_eq!(code(nested(0..6).end()), "too-many-entries");
    // One that is known is not counted again, in another layer either.
    let layers = [plain(nested(0..3).end()), plain(nested(0..3).end())];
    Tree::new().take(&layers).unwrap();
    let layers = [plain(nested(0..3).end()), plain(nested(3..6).end())];
    assert_eq!(Tree::new().take(&layers).unwrap_err().code(), "too-many-entries");
}

#[test]
fn all_paths_together_are_bounded() {
    let segment = "x".repeat(160);
    let long = |number: u32| format!("artifacts/lab/1.0.0/{number}{segment}/{segment}/{segment}");
    let of = |files: u32| {
        (0..files).fold(Archive::new(), |archive, number| {
            archive.pax(&[("path", long(number).as_bytes())]).file("short", b"")
        })
    };
    let limits = Limits { path_bytes: 768, ..limits() };
    let take = |files| Tree::new().take_within(limits, &[plain(of(files).end())]);
    take(1).unwrap();
    assert_eq!(take(3).unwrap_err().code(), "paths-too-long");
}

#[test]
fn what_a_small_layer_becomes_is_bounded() {
    let bomb = good().file("artifacts/lab/1.0.0/zeros", &vec![0; 11 << 20]).end();
    for (bytes, compression) in [(gzip(&bomb), Compression::Gzip), (zstd(&bomb), Compression::Zstd)]
    {
        let said = layer(&bytes, compression);
        let refusal = Tree::new().take(&[(bytes, said)]).unwrap_err();
        assert_eq!(refusal.code(), "ratio-too-large");
        assert!(!refusal.may_pass(), "the same bytes are refused next time");
    }
    let mut window = zstd::Encoder::new(Vec::new(), 3).unwrap();
    window.window_log(27).unwrap();
    window.include_contentsize(false).unwrap();
    std::io::Write::write_all(&mut window, &good().end()).unwrap();
    let bytes = window.finish().unwrap();
    let said = layer(&bytes, Compression::Zstd);
    assert_eq!(Tree::new().take(&[(bytes, said)]).unwrap_err().code(), "archive-damaged");
}

#[test]
fn the_bytes_are_those_that_were_named() {
    let bytes = gzip(&good().end());
    let honest = layer(&bytes, Compression::Gzip);
    let refused = |bytes: &[u8], layer: &Layer| {
        let refusal = Tree::new().take(&[(bytes.to_vec(), layer.clone())]).unwrap_err();
        (refusal.code(), refusal.may_pass())
    };
    let truncated = &bytes[..bytes.len() - 9];
    assert_eq!(refused(truncated, &honest), ("size-mismatch", true));
    let longer = [bytes.as_slice(), b"more"].concat();
    assert_eq!(refused(&longer, &honest), ("size-mismatch", true));
    // However early an altered byte makes the archive unreadable, it is the digest that tells.
    for position in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[position] ^= 0x55;
        assert_eq!(refused(&altered, &honest), ("digest-mismatch", true), "byte {position}");
    }
}

#[test]
fn what_is_no_archive_is_damaged() {
    let refused = |bytes: &[u8], compression| {
        let said = layer(bytes, compression);
        let refusal = Tree::new().take(&[(bytes.to_vec(), said)]).unwrap_err();
        assert!(!refusal.may_pass(), "the same bytes are refused next time");
        refusal.code()
    };
    let archive = good().end();
    assert_eq!(refused(&archive, Compression::Gzip), "archive-damaged");
    assert_eq!(refused(&archive, Compression::Zstd), "archive-damaged");
    assert_eq!(refused(&gzip(&archive), Compression::None), "archive-damaged");
    assert_eq!(refused(&gzip(&archive[..700]), Compression::Gzip), "archive-damaged");
    assert_eq!(refused(&archive[..2600], Compression::None), "archive-damaged");
    assert_eq!(refused(b"<html>not found</html>", Compression::None), "archive-damaged");
    let mut checksum = archive.clone();
    checksum[150] ^= 1;
    assert_eq!(refused(&checksum, Compression::None), "archive-damaged");
    let two = [archive.clone(), archive].concat();
    assert_eq!(refused(&two, Compression::None), "archive-trailing-bytes");
    assert_eq!(refused(&gzip(&two), Compression::Gzip), "archive-trailing-bytes");
}

#[test]
fn no_refusal_shows_control_characters_of_an_archive() {
    // The reader of archives quotes the name of an entry whose size it cannot read.
    let mut header = tar::Header::new_ustar();
    let name = b"artifacts/lab/\x1b[31m";
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.as_mut_bytes()[124..128].copy_from_slice(b"zzzz");
    header.set_cksum();
    let archive = [header.as_bytes().as_slice(), &[0; 1024]].concat();
    let said = layer(&archive, Compression::None);
    let refusal = Tree::new().take(&[(archive, said)]).unwrap_err();
    assert_eq!(refusal.code(), "archive-damaged");
    assert!(!refusal.to_string().chars().any(char::is_control), "{:?}", refusal.to_string());
}
