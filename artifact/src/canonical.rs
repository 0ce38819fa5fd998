//! Stable JSON (contract §5): RFC 8785, the JSON Canonicalization Scheme.

use serde_json::{Map, Value};

/// The exact bytes that a signature covers: the document without its `signature`, canonicalised.
pub fn signed_bytes(document: &Map<String, Value>) -> Vec<u8> {
    let mut unsigned = document.clone();
    // `remove` would move the last key into the gap; the order does not matter to JCS, but a stable one
    // is easier to debug.
    unsigned.shift_remove("signature");
    canonical_bytes(&Value::Object(unsigned))
}

/// The RFC 8785 form of a JSON value, in UTF-8.
pub fn canonical_bytes(value: &Value) -> Vec<u8> {
    // A `Value` has string keys and finite numbers only, so serialising it into memory cannot fail.
    serde_json_canonicalizer::to_vec(value).unwrap_or_default()
}
