//! A registration that says nothing that could be done names the key and the remedy, and nothing that a file holds
//! ends the loader.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected is to fail"
)]

use std::collections::BTreeMap;

use pilar_loader::registration::{MOST_FILE_BYTES, Origin, Registration};
use proptest::prelude::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn image(text: &str) -> Result<Registration, &'static str> {
    Registration::from_data(&data(&[("featureId", "notes"), ("image", text)]))
        .map_err(|error| error.code())
}

fn cdn(text: &str) -> Result<Registration, &'static str> {
    Registration::from_data(&data(&[("featureId", "notes"), ("cdnBaseUrl", text)]))
        .map_err(|error| error.code())
}

#[test]
fn an_image_is_taken_by_its_digest_only() {
    for (text, registry, repository) in [
        (format!("registry.example.org/team/notes@{DIGEST}"), "registry.example.org", "team/notes"),
        (format!("registry.example.org:5000/notes@{DIGEST}"), "registry.example.org:5000", "notes"),
        (format!("localhost/notes@{DIGEST}"), "localhost", "notes"),
        (format!("localhost:5000/a/b/c@{DIGEST}"), "localhost:5000", "a/b/c"),
        (format!("[::1]:5000/notes@{DIGEST}"), "[::1]:5000", "notes"),
        (format!("registry.example.org/notes:1.0.0@{DIGEST}"), "registry.example.org", "notes"),
        (
            format!("registry.example.org/a__b-c.d/e---f@{DIGEST}"),
            "registry.example.org",
            "a__b-c.d/e---f",
        ),
    ] {
        let Ok(Registration { origin: Origin::Image(found), .. }) = image(&text) else {
            panic!("{text} is refused");
        };
        assert_eq!((found.registry.as_str(), found.repository.as_str()), (registry, repository));
        assert_eq!(format!("sha256:{}", found.digest), DIGEST);
    }
    let upper = DIGEST.to_uppercase();
    for text in [
        "registry.example.org/notes:latest",
        "registry.example.org/notes",
        "registry.example.org/notes@sha256:abc",
        &format!("registry.example.org/notes@{upper}"),
        &format!("registry.example.org/notes@sha512:{}", "0".repeat(128)),
        &format!("registry.example.org/notes@{DIGEST}0"),
        &format!("registry.example.org/notes@{DIGEST}@{DIGEST}"),
        &format!("notes@{DIGEST}"),
        &format!("team/notes@{DIGEST}"),
        &format!("/notes@{DIGEST}"),
        &format!("registry.example.org/@{DIGEST}"),
        &format!("registry.example.org//notes@{DIGEST}"),
        &format!("registry.example.org/Notes@{DIGEST}"),
        &format!("registry.example.org/../notes@{DIGEST}"),
        &format!("registry.example.org/notes/@{DIGEST}"),
        &format!("registry.example.org/-notes@{DIGEST}"),
        &format!("registry.example.org/a..b@{DIGEST}"),
        &format!("registry.example.org:99999/notes@{DIGEST}"),
        &format!("user@registry.example.org/notes@{DIGEST}"),
        &format!("https://registry.example.org/notes@{DIGEST}"),
        &format!("registry.example.org/{}@{DIGEST}", "a".repeat(300)),
    ] {
        assert_eq!(image(text), Err("registration-image"), "{text}");
    }
}

#[test]
fn a_cdn_is_taken_by_a_url_that_names_can_follow() {
    for (text, expected) in [
        ("https://cdn.example.org/notes", "https://cdn.example.org/notes/"),
        ("https://cdn.example.org/notes/", "https://cdn.example.org/notes/"),
        (" https://cdn.example.org ", "https://cdn.example.org/"),
        ("http://127.0.0.1:8080/a/b", "http://127.0.0.1:8080/a/b/"),
    ] {
        let Ok(Registration { origin: Origin::Cdn(url), .. }) = cdn(text) else {
            panic!("{text} is refused");
        };
        assert_eq!(url.as_str(), expected);
        assert_eq!(url.join("releases.json").unwrap().as_str(), format!("{expected}releases.json"));
    }
    for text in [
        "cdn.example.org/notes",
        "ftp://cdn.example.org/notes",
        "file:///etc",
        "https://",
        "https://cdn.example.org/notes?version=1",
        "https://cdn.example.org/notes#one",
        "https://user:secret@cdn.example.org/notes",
        "https://user@cdn.example.org/notes",
    ] {
        assert_eq!(cdn(text), Err("registration-cdn-url"), "{text}");
    }
    let secret =
        data(&[("featureId", "notes"), ("cdnBaseUrl", "https://user:hush@cdn.example.org/")]);
    let problem = Registration::from_data(&secret).unwrap_err().problem("team/notes");
    assert!(!problem.to_string().contains("hush"), "{problem}");
}

#[test]
fn each_problem_names_the_object_and_the_key_and_the_feature_where_it_could_be_read() {
    let image = format!("registry.example.org/notes@{DIGEST}");
    let long = "a".repeat(3000);
    type Case<'c> = (&'c [(&'c str, &'c str)], &'c str, &'c str, bool);
    let cases: [Case<'_>; 9] = [
        (&[], "registration-no-feature", "featureId", false),
        (&[("image", &image)], "registration-no-feature", "featureId", false),
        (&[("featureId", " "), ("image", &image)], "registration-no-feature", "featureId", false),
        (&[("featureId", "Notes"), ("image", &image)], "registration-feature", "featureId", false),
        (&[("featureId", "../x"), ("image", &image)], "registration-feature", "featureId", false),
        (&[("featureId", "notes")], "registration-no-origin", "cdnBaseUrl", true),
        (&[("featureId", "notes"), ("imgae", &image)], "registration-no-origin", "image", true),
        (
            &[("featureId", "notes"), ("image", &image), ("cdnBaseUrl", "https://c.example.org")],
            "registration-two-origins",
            "image",
            true,
        ),
        (&[("featureId", "notes"), ("image", &long)], "registration-value", "image", true),
    ];
    for (pairs, code, key, has_feature) in cases {
        let error = Registration::from_data(&data(pairs)).unwrap_err();
        assert_eq!(error.code(), code, "{pairs:?}");
        assert_eq!(error.feature().is_some(), has_feature, "{pairs:?}");
        let problem = error.problem("team-a/notes");
        assert!(problem.message.starts_with("team-a/notes: "), "{problem}");
        assert!(problem.message.contains(key), "{problem}");
        assert!(!problem.remedy.is_empty());
    }
}

#[test]
fn no_problem_shows_control_characters_of_a_registration() {
    let hostile = "\u{1b}[31m\u{202e}";
    let in_image = format!("registry.example.org/{hostile}@{DIGEST}");
    let texts = [
        Registration::from_data(&data(&[("featureId", hostile)])),
        Registration::from_data(&data(&[("featureId", "notes"), ("image", &in_image)])),
        Registration::from_data(&data(&[("featureId", "notes"), ("cdnBaseUrl", hostile)])),
        Registration::from_file("a.json", br#"{ "\u001b[31m": 1, "\u001b[31m": 2 }"#),
        Registration::from_file("a.yaml", b"\"\\e[31m\": 1\n\"\\e[31m\": 2\n"),
        Registration::from_file("a.yaml", b"\x1b[31m: &x"),
    ];
    for text in texts {
        let message = text.unwrap_err().problem("team-a/notes").message;
        assert!(!message.chars().any(|c| c.is_control() || c == '\u{202e}'), "{message:?}");
    }
}

#[test]
fn a_file_says_the_same_as_a_config_map_in_yaml_or_json() {
    let image = format!("registry.example.org/notes@{DIGEST}");
    let expected =
        Registration::from_data(&data(&[("featureId", "notes"), ("image", &image)])).unwrap();
    let json =
        format!(r#"{{ "featureId": "notes", "image": "{image}", "owner": {{ "team": 7 }} }}"#);
    let yaml = format!(
        "# ours\nfeatureId: notes\nimage: \"{image}\"\nowner:\n  team: 7\ncdnBaseUrl: null\n"
    );
    for (name, text) in [("a.json", &json), ("a.yaml", &yaml), ("a.yml", &yaml), ("a.yaml", &json)]
    {
        assert_eq!(
            Registration::from_file(name, text.as_bytes()).as_ref(),
            Ok(&expected),
            "{name}: {text}"
        );
    }
    let huge = " ".repeat(usize::try_from(MOST_FILE_BYTES).unwrap() + 1);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                g: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    for (name, text, code) in [
        ("a.json", "featureId: notes", "registration-syntax"),
        ("a.json", r#"{ "featureId": "a", "featureId": "b" }"#, "registration-syntax"),
        ("a.yaml", "featureId: a\nfeatureId: b\n", "registration-syntax"),
        ("a.yaml", "- featureId: notes", "registration-syntax"),
        ("a.yaml", "", "registration-no-feature"),
        ("a.yaml", &huge, "registration-syntax"),
        ("a.yaml", bomb, "registration-syntax"),
        ("a.yaml", &"[".repeat(10_000), "registration-syntax"),
        ("a.yaml", "featureId: [notes]\n", "registration-value"),
        ("a.yaml", "featureId: 7\n", "registration-value"),
    ] {
        let error = Registration::from_file(name, text.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {}", text.chars().take(80).collect::<String>());
        assert!(!error.problem(name).message.contains('\n'));
    }
}

proptest! {
    #[test]
    fn no_bytes_of_a_file_end_the_loader(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..512),
            "[\\[\\]{}:,&*!|>\"' \n\t#%@`?a-z0-9-]{0,200}".prop_map(String::into_bytes),
        ],
        name in prop_oneof![Just("a.json"), Just("a.yaml")],
    ) {
        let _ = Registration::from_file(name, &bytes);
    }

    #[test]
    fn what_is_accepted_is_what_is_shown(text in "[a-z0-9.:/@_A-Z\\[\\]-]{0,80}", tail in any::<bool>()) {
        let text = if tail { format!("{text}@{DIGEST}") } else { text };
        if let Ok(Registration { origin: Origin::Image(found), .. }) = image(&text) {
            let shown = found.to_string();
            prop_assert_eq!(shown.parse(), Ok(found));
        }
    }
}
