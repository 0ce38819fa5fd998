//! Documents signed by Node's own `crypto` over an npm stable-stringify verify here, and ours verify there.
//!
//! Its keys sort by JavaScript's default comparison, which is that of UTF-16 code units and so that of
//! RFC 8785; its numbers are those of `JSON.stringify`, which RFC 8785 is made of.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pilar_artifact::canonical::signed_bytes;
use pilar_artifact::json::parse_object;
use pilar_artifact::{FeatureId, Limits, SigningKey, TrustedKeys, signature};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

const RANDOM_DOCUMENTS: usize = 400;

#[test]
fn documents_signed_by_node_verify_here() {
    let texts = documents();
    let answer = node(&json!({ "sign": texts }));
    let signed = strings(&answer["documents"]);
    assert_eq!(signed.len(), texts.len());
    let limits = Limits::default();
    let map = json!({ "node": answer["publicKeyPem"] }).to_string();
    let keys = TrustedKeys::from_json(map.as_bytes(), &limits).unwrap();
    for (text, signed) in texts.iter().zip(&signed) {
        let document = parse_object(signed.as_bytes(), &limits).unwrap();
        let key_id = signature::verify(&document, Some(&feature()), &keys, now(), &limits);
        assert_eq!(key_id.as_deref(), Ok("node"), "{text}\n{signed}");
        // The signature belongs to the document as it was given to Node, too: both read it alike.
        let mut original = parse_object(text.as_bytes(), &limits).unwrap();
        original.insert("signature".to_owned(), document["signature"].clone());
        assert!(
            signature::verify(&original, Some(&feature()), &keys, now(), &limits).is_ok(),
            "{text}"
        );
    }
    println!("signed by Node, verified here: {} documents", signed.len());
}

#[test]
fn documents_signed_here_verify_in_node() {
    let key = SigningKey::from_seed("ours", &[9; 32]);
    let documents: Vec<_> = documents()
        .iter()
        .map(|text| parse_object(text.as_bytes(), &Limits::default()).unwrap())
        .collect();
    let texts: Vec<String> = documents
        .iter()
        .map(|document| String::from_utf8(key.sign_to_bytes(document.clone())).unwrap())
        .collect();
    let pem = key.public_key_pem().unwrap();
    let answer = node(&json!({ "verify": texts, "publicKeyPem": pem }));
    for (position, document) in documents.iter().enumerate() {
        let (ours, theirs) = (STANDARD.encode(signed_bytes(document)), &answer["stable"][position]);
        assert_eq!(theirs, &Value::String(ours), "{}", texts[position]);
        assert_eq!(answer["valid"][position], true, "{}", texts[position]);
    }
    println!("signed here, verified by Node: {} documents", texts.len());

    let changed: Vec<String> =
        texts.iter().map(|text| text.replacen('{', "{\"~\":1,", 1)).collect();
    let answer = node(&json!({ "verify": changed, "publicKeyPem": pem }));
    assert!(answer["valid"].as_array().unwrap().iter().all(|valid| valid == false));
}

/// Documents that were chosen for what readers disagree about, and random ones.
fn documents() -> Vec<String> {
    let chosen = [
        r#"{}"#,
        r#"{"n":[1e21,1e-7,-0,-0.0,5e-324,1.7976931348623157e308,0.1,1.0,100,1E2,1e23,123456789.123456789]}"#,
        r#"{"n":[9007199254740991,9007199254740992,9007199254740993,-9007199254740993,18446744073709551615,123456789012345678901234567890]}"#,
        r#"{"😂":1,"דּ":2,"￿":3,"é":4,"e\u0301":5,"Z":6,"a":7,"":8," ":9}"#,
        r#"{"\ud83d\ude02":"\ud83d\ude02","\u0000":"\u001f\u007f\u0080","\u2028":"\u2029","\"":"\\","/":"\/"}"#,
        r#"{"10":1,"9":2,"1":3,"-1":4,"01":5}"#,
        r#"{"constructor":1,"hasOwnProperty":2,"toString":"x","toJSON":null,"length":3}"#,
        r#"{"deep":[[[[{"b":[{"d":{},"c":[]}],"a":null}]]]],"b":[true,false]}"#,
    ];
    let mut runner = TestRunner::deterministic();
    let strategy = document();
    let random = (0..RANDOM_DOCUMENTS).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    chosen.map(str::to_owned).into_iter().chain(random).collect()
}

/// The text of a random document. Text and not a value, so that spellings vary as well.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        number(),
        string(),
    ];
    let value = leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[{}]", items.join(" , "))),
            members(inner),
        ]
    });
    members(value)
}

fn members(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    // By decoded key, so that no key comes twice.
    prop::collection::hash_map(key(), value, 0..8).prop_map(|members| {
        let members: Vec<String> =
            members.iter().map(|(key, value)| format!("{}: {value}", quoted(key))).collect();
        format!("{{{}}}", members.join(",\n"))
    })
}

fn key() -> impl Strategy<Value = String> {
    // `signature` is what signing replaces; `__proto__` is no plain property in JavaScript.
    let free = |key: &String| key != "signature" && key != "__proto__";
    prop_oneof!["[a-zA-Z0-9_.-]{0,6}", text()].prop_filter("reserved", free)
}

fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        any::<char>(),
        prop::char::range('\0', '\u{ff}'),
        prop::char::range('\u{d000}', '\u{d7ff}'),
        prop::char::range('\u{e000}', '\u{ffff}'),
        prop::char::range('\u{10000}', '\u{10ffff}'),
    ];
    prop::collection::vec(character, 0..6).prop_map(|characters| characters.into_iter().collect())
}

fn string() -> impl Strategy<Value = String> {
    (text(), any::<bool>()).prop_map(|(text, escaped)| {
        if escaped {
            let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            format!("\"{units}\"")
        } else {
            quoted(&text)
        }
    })
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn number() -> impl Strategy<Value = String> {
    let double = any::<u64>()
        .prop_map(f64::from_bits)
        .prop_filter("JSON has no such number", |n| n.is_finite());
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<i128>().prop_map(|n| n.to_string()),
        (-1000_i32..1000).prop_map(|n| n.to_string()),
        double.clone().prop_map(|n| format!("{n:e}")),
        double.prop_map(|n| format!("{n:E}")),
        (any::<i32>(), 1_u32..400).prop_map(|(n, d)| format!("{}", f64::from(n) / f64::from(d))),
        prop::sample::select(vec!["1e21", "1e-7", "-0", "5e-324", "1E+2", "999999999999999900000"])
            .prop_map(str::to_owned),
    ]
}

/// Asks the script, after installing what it needs.
fn node(request: &Value) -> Value {
    static INSTALLED: std::sync::Once = std::sync::Once::new();
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node"));
    INSTALLED.call_once(|| install(directory));
    let mut child = Command::new("node")
        .arg("agree.js")
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs Node.js 20 or later on the PATH: install it, for example from nodejs.org");
    let mut input = child.stdin.take().unwrap();
    let text = request.to_string();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "agree.js failed, see its messages above");
    serde_json::from_str(std::str::from_utf8(&output.stdout).unwrap()).unwrap()
}

fn install(directory: &Path) {
    if directory.join("node_modules/fast-json-stable-stringify/package.json").exists() {
        return;
    }
    let status = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(directory)
        .status()
        .expect("this test needs npm on the PATH: install Node.js 20 or later");
    assert!(
        status.success(),
        "npm ci failed in artifact/tests/node: this test needs the npm registry once, or a filled npm cache"
    );
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn feature() -> FeatureId {
    "patientlist".parse().unwrap()
}

fn now() -> jiff::Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}
