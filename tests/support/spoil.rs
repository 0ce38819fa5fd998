//! Ways to spoil a published version, each with what operators are to read of it.

use std::fs;
use std::os::unix::fs::symlink;

use pilar_artifact::SigningKey;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use super::tree::{ELSEWHERE, EXPIRED, RELEASE, STRANGER, Tree, Version, document, signing_key};

/// The version that is spoiled.
pub(crate) const BAD: &str = "1.1.0";
/// A version that was good before.
pub(crate) const GOOD: &str = "1.0.0";

/// One way to be bad.
pub(crate) struct Case {
    /// The feature that is bad in this way.
    pub(crate) id: &'static str,
    /// The code that operators see.
    pub(crate) code: &'static str,
    /// The number of the check.
    pub(crate) step: u8,
    /// The file at fault, below the feature's directory.
    pub(crate) file: &'static str,
    /// Spoils what was published.
    pub(crate) spoil: fn(&Tree, &str),
}

impl Case {
    /// A version of its feature, with every kind of file that can be spoiled.
    pub(crate) fn version(&self, version: &str) -> Version {
        let entry = format!("export const entry = \"{} {version}\";\n", self.id);
        let mut packed = Vec::new();
        brotli::BrotliCompress(&mut entry.as_bytes(), &mut packed, &Default::default()).unwrap();
        Version::domain(self.id, version, &format!("/{}", self.id))
            .with_field("arena", json!({ "title": self.id }))
            .with_file("entry.js", entry)
            .with_file("entry.js.br", packed)
    }

    /// Whether the index itself is refused, so that nothing is known of any version.
    pub(crate) fn is_of_index(&self) -> bool {
        self.step <= 5
    }
}

const INDEX: &str = "releases.json";
const MANIFEST: &str = "1.1.0/manifest.json";

pub(crate) const CASES: &[Case] = &[
    // The index
    Case {
        id: "index-missing",
        code: "file-missing",
        step: 1,
        file: INDEX,
        spoil: |tree, id| {
            fs::remove_file(tree.path(&format!("{id}/releases.json"))).unwrap();
        },
    },
    Case {
        id: "index-link",
        code: "file-not-regular",
        step: 1,
        file: INDEX,
        spoil: |tree, id| {
            replace_by_link(tree, &format!("{id}/releases.json"));
        },
    },
    Case {
        id: "index-pipe",
        code: "file-not-regular",
        step: 1,
        file: INDEX,
        spoil: |tree, id| {
            replace_by_pipe(tree, &format!("{id}/releases.json"));
        },
    },
    Case {
        id: "index-directory",
        code: "file-not-regular",
        step: 1,
        file: INDEX,
        spoil: |tree, id| {
            let path = tree.path(&format!("{id}/releases.json"));
            fs::remove_file(&path).unwrap();
            fs::create_dir(path).unwrap();
        },
    },
    Case {
        id: "index-huge",
        code: "file-too-large",
        step: 1,
        file: INDEX,
        spoil: |tree, id| {
            tree.edit_index(id, &signing_key(RELEASE), |index| {
                index.insert("filler".to_owned(), json!("x".repeat(1024 * 1024)));
            });
        },
    },
    Case {
        id: "index-deep",
        code: "json-too-deep",
        step: 2,
        file: INDEX,
        spoil: |tree, id| {
            tree.edit_index(id, &signing_key(RELEASE), |index| {
                index.insert("deep".to_owned(), nested(64));
            });
        },
    },
    Case {
        id: "index-double-key",
        code: "json-duplicate-key",
        step: 2,
        file: INDEX,
        spoil: |tree, id| {
            tree.write_index(id, &with_double_key(&tree.index_bytes(id)));
        },
    },
    Case {
        id: "index-not-utf8",
        code: "json-not-utf8",
        step: 2,
        file: INDEX,
        spoil: |tree, id| {
            tree.write_index(id, b"{\"featureId\": \"\xff\"}");
        },
    },
    Case {
        id: "index-half",
        code: "json-syntax",
        step: 2,
        file: INDEX,
        spoil: |tree, id| {
            let bytes = tree.index_bytes(id);
            tree.write_index(id, &bytes[..bytes.len() / 2]);
        },
    },
    Case {
        id: "index-empty",
        code: "json-syntax",
        step: 2,
        file: INDEX,
        spoil: |tree, id| {
            tree.write_index(id, b"");
        },
    },
    Case {
        id: "index-more",
        code: "json-trailing-bytes",
        step: 2,
        file: INDEX,
        spoil: |tree, id| {
            let mut bytes = tree.index_bytes(id);
            bytes.extend_from_slice(b"{}");
            tree.write_index(id, &bytes);
        },
    },
    Case {
        id: "index-unsigned",
        code: "signature-missing",
        step: 3,
        file: INDEX,
        spoil: |tree, id| {
            tree.write_index(id, &unsigned(&tree.index_bytes(id)));
        },
    },
    Case {
        id: "index-unknown-key",
        code: "key-unknown",
        step: 3,
        file: INDEX,
        spoil: |tree, id| {
            tree.edit_index(id, &signing_key(STRANGER), |_| ());
        },
    },
    Case {
        id: "index-false-key",
        code: "signature-invalid",
        step: 3,
        file: INDEX,
        spoil: |tree, id| {
            tree.edit_index(id, &impostor(), |_| ());
        },
    },
    Case {
        id: "index-expired-key",
        code: "key-expired",
        step: 3,
        file: INDEX,
        spoil: |tree, id| {
            tree.edit_index(id, &signing_key(EXPIRED), |_| ());
        },
    },
    Case {
        id: "index-other-team",
        code: "key-not-allowed",
        step: 3,
        file: INDEX,
        spoil: |tree, id| {
            tree.edit_index(id, &signing_key(ELSEWHERE), |_| ());
        },
    },
    Case {
        id: "index-tampered",
        code: "signature-invalid",
        step: 3,
        file: INDEX,
        spoil: |tree, id| {
            let mut index = document(&tree.index_bytes(id));
            index["sequence"] = json!(9);
            tree.write_index(id, Value::Object(index).to_string().as_bytes());
        },
    },
    Case {
        id: "index-of-another",
        code: "index-feature-id",
        step: 5,
        file: INDEX,
        spoil: |tree, id| {
            tree.edit_index(id, &signing_key(RELEASE), |index| {
                index.insert("featureId".to_owned(), json!("neighbour"));
            });
        },
    },
    Case {
        id: "index-no-version",
        code: "schema",
        step: 4,
        file: INDEX,
        spoil: |tree, id| {
            tree.edit_index(id, &signing_key(RELEASE), |index| {
                index.remove("activeVersion");
            });
        },
    },
    Case {
        id: "index-unlisted",
        code: "index-unknown-version",
        step: 5,
        file: INDEX,
        spoil: |tree, id| {
            tree.edit_index(id, &signing_key(RELEASE), |index| {
                index.insert("activeVersion".to_owned(), json!("7.0.0"));
            });
        },
    },
    // The manifest
    Case {
        id: "manifest-changed",
        code: "manifest-hash",
        step: 7,
        file: MANIFEST,
        spoil: |tree, id| {
            let path = tree.path(&format!("{id}/{MANIFEST}"));
            let mut bytes = fs::read(&path).unwrap();
            bytes.push(b'\n');
            fs::write(path, bytes).unwrap();
        },
    },
    Case {
        id: "manifest-missing",
        code: "file-missing",
        step: 7,
        file: MANIFEST,
        spoil: |tree, id| {
            fs::remove_file(tree.path(&format!("{id}/{MANIFEST}"))).unwrap();
        },
    },
    Case {
        id: "version-missing",
        code: "file-missing",
        step: 7,
        file: MANIFEST,
        spoil: |tree, id| {
            fs::remove_dir_all(tree.path(&format!("{id}/{BAD}"))).unwrap();
        },
    },
    Case {
        id: "version-link",
        code: "file-not-regular",
        step: 7,
        file: MANIFEST,
        spoil: |tree, id| {
            replace_by_link(tree, &format!("{id}/{BAD}"));
        },
    },
    Case {
        id: "version-file",
        code: "file-not-regular",
        step: 7,
        file: MANIFEST,
        spoil: |tree, id| {
            let path = tree.path(&format!("{id}/{BAD}"));
            fs::remove_dir_all(&path).unwrap();
            fs::write(path, "not a directory").unwrap();
        },
    },
    Case {
        id: "manifest-pipe",
        code: "file-not-regular",
        step: 7,
        file: MANIFEST,
        spoil: |tree, id| {
            replace_by_pipe(tree, &format!("{id}/{MANIFEST}"));
        },
    },
    Case {
        id: "manifest-huge",
        code: "file-too-large",
        step: 7,
        file: MANIFEST,
        spoil: |tree, id| {
            tree.edit_manifest(id, BAD, &signing_key(RELEASE), |manifest| {
                manifest.insert("filler".to_owned(), json!("x".repeat(1024 * 1024)));
            });
        },
    },
    Case {
        id: "manifest-deep",
        code: "json-too-deep",
        step: 8,
        file: MANIFEST,
        spoil: |tree, id| {
            tree.edit_manifest(id, BAD, &signing_key(RELEASE), |manifest| {
                manifest.insert("visibility".to_owned(), nested(64));
            });
        },
    },
    Case {
        id: "manifest-double-key",
        code: "json-duplicate-key",
        step: 8,
        file: MANIFEST,
        spoil: |tree, id| {
            let bytes = fs::read(tree.path(&format!("{id}/{MANIFEST}"))).unwrap();
            tree.replace_manifest(id, BAD, &with_double_key(&bytes));
        },
    },
    Case {
        id: "manifest-unsigned",
        code: "signature-missing",
        step: 9,
        file: MANIFEST,
        spoil: |tree, id| {
            let bytes = fs::read(tree.path(&format!("{id}/{MANIFEST}"))).unwrap();
            tree.replace_manifest(id, BAD, &unsigned(&bytes));
        },
    },
    Case {
        id: "manifest-unknown-key",
        code: "key-unknown",
        step: 9,
        file: MANIFEST,
        spoil: |tree, id| {
            tree.edit_manifest(id, BAD, &signing_key(STRANGER), |_| ());
        },
    },
    Case {
        id: "manifest-false-key",
        code: "signature-invalid",
        step: 9,
        file: MANIFEST,
        spoil: |tree, id| {
            tree.edit_manifest(id, BAD, &impostor(), |_| ());
        },
    },
    Case {
        id: "manifest-expired-key",
        code: "key-expired",
        step: 9,
        file: MANIFEST,
        spoil: |tree, id| {
            tree.edit_manifest(id, BAD, &signing_key(EXPIRED), |_| ());
        },
    },
    Case {
        id: "manifest-other-team",
        code: "key-not-allowed",
        step: 9,
        file: MANIFEST,
        spoil: |tree, id| {
            tree.edit_manifest(id, BAD, &signing_key(ELSEWHERE), |_| ());
        },
    },
    Case {
        id: "path-with-dots",
        code: "schema",
        step: 10,
        file: MANIFEST,
        spoil: |tree, id| {
            list_file(tree, id, "../1.1.0/entry.js");
        },
    },
    Case {
        id: "path-absolute",
        code: "schema",
        step: 10,
        file: MANIFEST,
        spoil: |tree, id| {
            list_file(tree, id, "/etc/hostname");
        },
    },
    Case {
        id: "path-backslash",
        code: "schema",
        step: 10,
        file: MANIFEST,
        spoil: |tree, id| {
            list_file(tree, id, "..\\entry.js");
        },
    },
    Case {
        id: "entry-not-listed",
        code: "schema",
        step: 10,
        file: MANIFEST,
        spoil: |tree, id| {
            tree.edit_manifest(id, BAD, &signing_key(RELEASE), |manifest| {
                manifest["entrypoints"] = json!({ "js": "elsewhere.js" });
            });
        },
    },
    Case {
        id: "prefix-of-host",
        code: "schema",
        step: 10,
        file: MANIFEST,
        spoil: |tree, id| {
            tree.edit_manifest(id, BAD, &signing_key(RELEASE), |manifest| {
                manifest["mount"]["pathPrefix"] = json!("/_health");
            });
        },
    },
    Case {
        id: "other-version",
        code: "version-mismatch",
        step: 11,
        file: MANIFEST,
        spoil: |tree, id| {
            tree.edit_manifest(id, BAD, &signing_key(RELEASE), |manifest| {
                manifest["version"] = json!("9.9.9");
            });
        },
    },
    Case {
        id: "other-id",
        code: "id-mismatch",
        step: 11,
        file: MANIFEST,
        spoil: |tree, id| {
            tree.edit_manifest(id, BAD, &signing_key(RELEASE), |manifest| {
                manifest["id"] = json!("neighbour");
            });
        },
    },
    Case {
        id: "host-too-old",
        code: "host-too-old",
        step: 12,
        file: MANIFEST,
        spoil: |tree, id| {
            tree.edit_manifest(id, BAD, &signing_key(RELEASE), |manifest| {
                manifest.insert("requirements".to_owned(), json!({ "minHostVersion": "99.0.0" }));
            });
        },
    },
    // The files
    Case {
        id: "entry-changed",
        code: "file-hash",
        step: 13,
        file: "1.1.0/entry.js",
        spoil: |tree, id| {
            flip_a_bit(tree, &format!("{id}/1.1.0/entry.js"));
        },
    },
    Case {
        id: "chunk-changed",
        code: "file-hash",
        step: 13,
        file: "1.1.0/chunk.js",
        spoil: |tree, id| {
            flip_a_bit(tree, &format!("{id}/1.1.0/chunk.js"));
        },
    },
    Case {
        id: "style-changed",
        code: "file-hash",
        step: 13,
        file: "1.1.0/style.css",
        spoil: |tree, id| {
            flip_a_bit(tree, &format!("{id}/1.1.0/style.css"));
        },
    },
    Case {
        id: "variant-changed",
        code: "file-hash",
        step: 13,
        file: "1.1.0/entry.js.br",
        spoil: |tree, id| {
            flip_a_bit(tree, &format!("{id}/1.1.0/entry.js.br"));
        },
    },
    Case {
        id: "chunk-truncated",
        code: "file-hash",
        step: 13,
        file: "1.1.0/chunk.js",
        spoil: |tree, id| {
            fs::write(tree.path(&format!("{id}/1.1.0/chunk.js")), "").unwrap();
        },
    },
    Case {
        id: "chunk-missing",
        code: "file-missing",
        step: 13,
        file: "1.1.0/chunk.js",
        spoil: |tree, id| {
            fs::remove_file(tree.path(&format!("{id}/1.1.0/chunk.js"))).unwrap();
        },
    },
    Case {
        id: "chunk-link",
        code: "file-not-regular",
        step: 13,
        file: "1.1.0/chunk.js",
        spoil: |tree, id| {
            replace_by_link(tree, &format!("{id}/1.1.0/chunk.js"));
        },
    },
    Case {
        id: "chunk-pipe",
        code: "file-not-regular",
        step: 13,
        file: "1.1.0/chunk.js",
        spoil: |tree, id| {
            replace_by_pipe(tree, &format!("{id}/1.1.0/chunk.js"));
        },
    },
    Case {
        id: "chunk-directory",
        code: "file-not-regular",
        step: 13,
        file: "1.1.0/chunk.js",
        spoil: |tree, id| {
            let path = tree.path(&format!("{id}/1.1.0/chunk.js"));
            fs::remove_file(&path).unwrap();
            fs::create_dir(path).unwrap();
        },
    },
];

fn impostor() -> SigningKey {
    SigningKey::from_seed(RELEASE, &[7; 32])
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!({}), |inner, _| json!({ "in": inner }))
}

fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let mut document = document(bytes);
    document.remove("signature");
    Value::Object(document).to_string().into_bytes()
}

/// The same document with two signatures: some readers take the first of two equal keys, others the last.
fn with_double_key(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    format!("{{ \"signature\": null, {}", text.trim_start().trim_start_matches('{')).into_bytes()
}

fn list_file(tree: &Tree, id: &str, name: &str) {
    tree.edit_manifest(id, BAD, &signing_key(RELEASE), |manifest| {
        let hash = manifest["integrity"]["entry.js"].clone();
        manifest["integrity"][name] = hash;
    });
}

fn flip_a_bit(tree: &Tree, path: &str) {
    let path = tree.path(path);
    let mut bytes = fs::read(&path).unwrap();
    bytes[3] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A link to the very same content, which lies elsewhere.
pub(crate) fn replace_by_link(tree: &Tree, path: &str) {
    let target = tree.outside(&path.replace('/', "-"));
    fs::rename(tree.path(path), &target).unwrap();
    symlink(target, tree.path(path)).unwrap();
}

fn replace_by_pipe(tree: &Tree, path: &str) {
    let path = tree.path(path);
    fs::remove_file(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
}
