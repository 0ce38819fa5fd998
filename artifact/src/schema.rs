//! JSON Schemas of the documents, generated from their types.

use schemars::generate::SchemaSettings;
use schemars::{Schema, schema_for};

use crate::keys::KeysDocument;
use crate::loader_status::LoaderStatus;
use crate::remote_index::RemoteIndex;
use crate::signature::SignatureField;
use crate::{Manifest, ReleaseIndex, SourceManifest};

/// Each schema with the name of its file in `docs/schemas/`.
pub fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("source-manifest.schema.json", schema_for!(SourceManifest)),
        ("manifest.schema.json", schema_for!(Manifest)),
        ("releases.schema.json", schema_for!(SignedReleaseIndex)),
        ("remote-index.schema.json", schema_for!(RemoteIndex)),
        ("trusted-keys.schema.json", schema_for!(KeysDocument)),
        // As it is written: readers do without whatever is missing.
        (
            "loader-status.schema.json",
            SchemaSettings::default()
                .for_serialize()
                .into_generator()
                .into_root_schema_for::<LoaderStatus>(),
        ),
    ]
}

/// `releases.json` as it is on disk: the index and its signature.
#[derive(schemars::JsonSchema)]
#[schemars(rename = "ReleaseIndex")]
struct SignedReleaseIndex {
    #[schemars(flatten)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    index: ReleaseIndex,
    /// The signature over the document without this field.
    #[expect(dead_code, reason = "only its schema is of interest")]
    signature: SignatureField,
}
