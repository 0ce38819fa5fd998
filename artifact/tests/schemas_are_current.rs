//! The JSON Schemas in `docs/schemas` are those of the types.
//!
//! `UPDATE_SCHEMAS=1 cargo test -p pilar-artifact --test schemas_are_current` writes them anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::Path;

use pilar_artifact::schema;
use serde_json::Value;

#[test]
fn the_schemas_in_the_docs_are_those_of_the_types() {
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemas"));
    let mut names = BTreeSet::new();
    for (name, schema) in schema::all() {
        let text = format!("{:#}\n", schema.as_value());
        let path = directory.join(name);
        if update() {
            write(&path, &text);
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "docs/schemas/{name} is not current: run UPDATE_SCHEMAS=1 cargo test -p pilar-artifact --test schemas_are_current"
        );
        names.insert(name.to_owned());
    }
    let files: BTreeSet<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, names, "docs/schemas holds the schemas and nothing else");
    println!("schemas: {}", names.len());
}

#[expect(clippy::disallowed_methods, reason = "the switch of a developer at the keyboard")]
fn update() -> bool {
    std::env::var_os("UPDATE_SCHEMAS").is_some_and(|value| value == "1")
}

#[expect(clippy::disallowed_methods, reason = "a generated file under version control")]
fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// What a schema says about required fields is what the parser says.
#[test]
fn the_required_fields_are_those_of_the_contract() {
    let required = |name: &str| -> Vec<String> {
        let (_, schema) = schema::all().into_iter().find(|(found, _)| *found == name).unwrap();
        let mut fields: Vec<String> = schema.as_value()["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field: &Value| field.as_str().unwrap().to_owned())
            .collect();
        fields.sort();
        fields
    };
    assert_eq!(required("source-manifest.schema.json"), ["displayName", "id", "version"]);
    assert_eq!(
        required("manifest.schema.json"),
        [
            "channel",
            "displayName",
            "entrypoints",
            "featureType",
            "id",
            "integrity",
            "signature",
            "version"
        ]
    );
    assert_eq!(
        required("releases.schema.json"),
        ["activeVersion", "featureId", "sequence", "signature", "versions"]
    );
    assert_eq!(
        required("remote-index.schema.json"),
        ["features", "generatedAt", "schemaVersion", "sequence", "signature"]
    );
}
