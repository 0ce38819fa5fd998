//! Stable JSON is RFC 8785: its examples and its table of numbers come out byte for byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use pilar_artifact::Limits;
use pilar_artifact::canonical::{canonical_bytes, signed_bytes};
use pilar_artifact::json::parse_object;
use serde_json::{Number, Value};

/// Name, document, canonical form. RFC 8785 §3.2.2–§3.2.4 and the files of its reference suite; `arrays`
/// and the RFC's own examples that are no object are wrapped in one, since a document always is.
const DOCUMENTS: [(&str, &str, &str); 8] = [
    (
        "arrays",
        r#"{ "wrapped": [ 56, { "d": true, "10": null, "1": [ ] } ] }"#,
        r#"{"wrapped":[56,{"1":[],"10":null,"d":true}]}"#,
    ),
    (
        "french",
        r#"{ "peach": "This sorting order", "péché": "is wrong according to French",
             "pêche": "but canonicalization MUST", "sin":   "ignore locale" }"#,
        r#"{"peach":"This sorting order","péché":"is wrong according to French","pêche":"but canonicalization MUST","sin":"ignore locale"}"#,
    ),
    (
        "structures",
        r#"{ "1": {"f": {"f": "hi","F": 5} ,"\n": 56.0}, "10": { }, "": "empty", "a": { },
             "111": [ {"e": "yes","E": "no" } ], "A": { } }"#,
        r#"{"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}"#,
    ),
    (
        "unicode",
        r#"{ "Unnormalized Unicode":"A\u030a" }"#,
        "{\"Unnormalized Unicode\":\"A\u{30a}\"}",
    ),
    (
        "values",
        r#"{ "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
             "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
             "literals": [null, true, false] }"#,
        r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#,
    ),
    (
        "weird",
        r#"{ "\u20ac": "Euro Sign", "\r": "Carriage Return", "\u000a": "Newline", "1": "One",
             "\u0080": "Control\u007f", "\ud83d\ude02": "Smiley",
             "\u00f6": "Latin Small Letter O With Diaeresis",
             "\ufb33": "Hebrew Letter Dalet With Dagesh", "</script>": "Browser Challenge" }"#,
        "{\"\\n\":\"Newline\",\"\\r\":\"Carriage Return\",\"1\":\"One\",\"</script>\":\"Browser Challenge\",\"\u{80}\":\"Control\u{7f}\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😂\":\"Smiley\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}",
    ),
    (
        "every escape",
        r#"{"a":"\u0000\u0001\u0007\b\t\n\u000b\f\r\u000e\u001f\u007f\u0080\u2028\u2029\/"}"#,
        "{\"a\":\"\\u0000\\u0001\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u001f\u{7f}\u{80}\u{2028}\u{2029}/\"}",
    ),
    (
        // U+1F602 starts with the unit D83D and so comes before U+FB33, which has the larger unit.
        "UTF-16 order",
        r#"{"\ufb33":1,"\ud83d\ude02":2,"\uffff":3,"a":4,"B":5}"#,
        "{\"B\":5,\"a\":4,\"😂\":2,\"\u{fb33}\":1,\"\u{ffff}\":3}",
    ),
];

#[test]
fn the_documents_of_the_rfc_come_out_byte_for_byte() {
    for (name, document, canonical) in DOCUMENTS {
        let parsed = parse_object(document.as_bytes(), &Limits::default()).unwrap();
        let bytes = canonical_bytes(&Value::Object(parsed));
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), canonical, "{name}");
        let again = parse_object(&bytes, &Limits::default()).unwrap();
        assert_eq!(
            canonical_bytes(&Value::Object(again)),
            bytes,
            "{name}: a second pass changes it"
        );
    }
    println!("RFC 8785: {} documents", DOCUMENTS.len());
}

/// RFC 8785 Appendix B: IEEE 754 bits and the JSON form.
const NUMBERS: [(u64, &str); 24] = [
    (0x0000_0000_0000_0000, "0"),
    (0x8000_0000_0000_0000, "0"),
    (0x0000_0000_0000_0001, "5e-324"),
    (0x8000_0000_0000_0001, "-5e-324"),
    (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
    (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
    (0x4340_0000_0000_0000, "9007199254740992"),
    (0xc340_0000_0000_0000, "-9007199254740992"),
    (0x4430_0000_0000_0000, "295147905179352830000"),
    (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
    (0x44b5_2d02_c7e1_4af6, "1e+23"),
    (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
    (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
    (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
    (0x444b_1ae4_d6e2_ef50, "1e+21"),
    (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
    (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
    (0x41b3_de43_5555_5553, "333333333.3333332"),
    (0x41b3_de43_5555_5554, "333333333.33333325"),
    (0x41b3_de43_5555_5555, "333333333.3333333"),
    (0x41b3_de43_5555_5556, "333333333.3333334"),
    (0x41b3_de43_5555_5557, "333333333.33333343"),
    (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
    (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
];

#[test]
fn the_numbers_of_appendix_b_come_out_and_go_back_in() {
    for (bits, text) in NUMBERS {
        let number = Value::Number(Number::from_f64(f64::from_bits(bits)).unwrap());
        assert_eq!(String::from_utf8(canonical_bytes(&number)).unwrap(), text, "{bits:016x}");

        let document = format!("{{\"n\":{text}}}");
        let parsed = parse_object(document.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(canonical_bytes(&Value::Object(parsed)), document.as_bytes(), "{text}");
    }
    println!("RFC 8785 Appendix B: {} numbers", NUMBERS.len());
}

#[test]
fn what_overflows_a_double_is_refused_and_never_becomes_null() {
    for text in ["1e309", "-1e309", "1E400", "NaN", "Infinity", "-Infinity"] {
        let document = format!("{{\"n\":{text}}}");
        let error = parse_object(document.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(error.code(), "json-syntax", "{text}");
    }
}

#[test]
fn integers_beyond_53_bits_are_the_double_that_every_reader_makes_of_them() {
    for (text, canonical) in [
        ("9007199254740991", "9007199254740991"),
        ("9007199254740993", "9007199254740992"),
        ("-9007199254740993", "-9007199254740992"),
        ("18446744073709551615", "18446744073709552000"),
        ("123456789012345678901234567890", "1.2345678901234568e+29"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1.0", "1"),
        ("1e0", "1"),
    ] {
        let parsed =
            parse_object(format!("{{\"n\":{text}}}").as_bytes(), &Limits::default()).unwrap();
        let bytes = canonical_bytes(&Value::Object(parsed));
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("{{\"n\":{canonical}}}"), "{text}");
    }
}

#[test]
fn a_signature_covers_all_but_the_top_level_signature() {
    let document = br#"{"b":1,"signature":{"value":"x"},"a":{"signature":2}}"#;
    let parsed = parse_object(document, &Limits::default()).unwrap();
    assert_eq!(signed_bytes(&parsed), br#"{"a":{"signature":2},"b":1}"#);
}
