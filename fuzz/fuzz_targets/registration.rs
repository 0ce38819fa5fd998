//! Whatever a registration says, it is understood, or refused with a stable code in words that fit a log; and what
//! is understood says the same when it is written down and read again.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use pilar_artifact::text::for_people;
use pilar_loader::registration::{Origin, Registration, RegistrationError};
use serde_json::json;

const CODES: [&str; 8] = [
    "registration-syntax",
    "registration-no-feature",
    "registration-feature",
    "registration-no-origin",
    "registration-two-origins",
    "registration-image",
    "registration-cdn-url",
    "registration-value",
];

fuzz_target!(|input: &[u8]| {
    let Some((form, rest)) = input.split_first() else { return };
    let read = match form % 3 {
        0 => Registration::from_file("notes.json", rest),
        1 => Registration::from_file("notes.yaml", rest),
        _ => Registration::from_data(&data(rest)),
    };
    match read {
        Ok(registration) => says_the_same(&registration),
        Err(error) => is_explained(&error),
    }
});

/// The data of a ConfigMap: keys and values in turns, each ended by a NUL.
fn data(input: &[u8]) -> BTreeMap<String, String> {
    let texts: Vec<String> =
        input.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into()).collect();
    texts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

fn says_the_same(registration: &Registration) {
    let (key, origin) = match &registration.origin {
        Origin::Image(image) => ("image", image.to_string()),
        Origin::Cdn(url) => {
            assert!(url.path().ends_with('/') && url.username().is_empty(), "{url}");
            assert!(url.password().is_none() && url.query().is_none() && url.fragment().is_none());
            ("cdnBaseUrl", url.to_string())
        }
    };
    let feature = registration.feature.as_str();
    let data = [("featureId", feature), (key, &origin)];
    let file = json!(BTreeMap::from(data)).to_string();
    let data = data.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    for again in [
        Registration::from_data(&data),
        Registration::from_file("notes.json", file.as_bytes()),
        Registration::from_file("notes.yaml", file.as_bytes()),
    ] {
        assert_eq!(again.as_ref(), Ok(registration));
    }
}

fn is_explained(error: &RegistrationError) {
    let problem = error.problem("team/notes");
    assert!(CODES.contains(&problem.code), "{}", problem.code);
    assert!(!problem.remedy.is_empty());
    // Nothing in it moves a cursor, starts a line or hides what follows.
    let is_shown = |c: char| for_people(c.encode_utf8(&mut [0; 4])) == c.to_string();
    assert!(problem.message.chars().all(is_shown), "{:?}", problem.message);
}
