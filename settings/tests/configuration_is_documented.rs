//! `docs/configuration.md` is the table of the code.
//!
//! `UPDATE_DOCS=1 cargo test -p pilar-settings` writes it anew.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and it writes a generated file under version control"
)]

use std::fs;
use std::path::Path;

use pilar_settings::{HOST, LOADER, SettingError, Settings, markdown};

#[test]
fn the_table_in_the_docs_is_the_table_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, markdown()).expect("the file can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == markdown(),
        "docs/configuration.md is not current: run UPDATE_DOCS=1 cargo test -p pilar-settings"
    );
}

#[test]
fn every_default_is_a_value_that_is_allowed_and_every_near_miss_is_refused() {
    for program in [&HOST, &LOADER] {
        let with = |name: &str, value: &str| {
            let keys = ("FEATURE_TRUST_PUBLIC_KEYS_JSON".to_owned(), "{}".to_owned());
            Settings::new(program, [keys, (name.to_owned(), value.to_owned())]).problems()
        };
        for variable in program.variables {
            if let Some(default) = variable.default {
                assert_eq!(with(variable.name, default), [], "{}", variable.name);
            }
        }
    }
    let environment = [("LOADER_HTTP_PROT".to_owned(), "1".to_owned())];
    let problems = Settings::new(&LOADER, environment).problems();
    let expected = SettingError::NearMiss {
        program: "the loader",
        name: "LOADER_HTTP_PROT".to_owned(),
        nearest: "LOADER_HTTP_PORT",
    };
    assert!(problems.contains(&expected), "{problems:?}");
}

#[test]
fn programs_that_share_an_environment_do_not_stop_at_each_others_variables() {
    for program in [&HOST, &LOADER] {
        let all = HOST.variables.iter().chain(LOADER.variables);
        let environment = all.map(|variable| {
            let value = variable.default.unwrap_or_default().to_owned();
            (variable.name.to_owned(), value)
        });
        let keys = ("FEATURE_TRUST_PUBLIC_KEYS_JSON".to_owned(), "{}".to_owned());
        let problems = Settings::new(program, environment.chain([keys])).problems();
        assert_eq!(problems, [], "{}", program.name);
    }
}
