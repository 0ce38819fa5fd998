//! `pilar keys`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use pilar_artifact::keys::{BoundKey, KeyDocument};
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::keyring;
use crate::problem::{Outcome, Problem};
use crate::ui::Ui;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make an Ed25519 key pair, and print what hosts need to trust it.
    Generate(GenerateArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilar keys generate --id release-2026 --out /secure/keys --trust-file deploy/trusted-keys.json
  pilar keys generate --id team-lab --features 'lab-*' --not-after 2027-12-31T00:00:00Z

The private key is written for its owner only and never overwritten. Ids `dev` and `dev-…` are for
development: hosts in production refuse them.")]
pub(crate) struct GenerateArguments {
    /// The id under which hosts trust the key: letters, digits and . _ -
    #[arg(long, value_parser = key_id)]
    id: String,
    /// Where the two files go.
    #[arg(long, value_name = "DIR", default_value = ".pilar/keys")]
    out: PathBuf,
    /// Also add the public key to this map of trusted keys.
    #[arg(long, value_name = "FILE")]
    trust_file: Option<PathBuf>,
    /// Bind the key to features, by globs such as 'lab-*'.
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    features: Vec<String>,
    /// The key verifies nothing after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    not_after: Option<Timestamp>,
}

pub(crate) fn run(
    command: &KeysCommand,
    environment: &Environment,
    ui: &Ui,
) -> Result<Outcome, Problem> {
    let KeysCommand::Generate(arguments) = command;
    let (key, private, public) = keyring::generate(environment, &arguments.id, &arguments.out)?;
    let entry = trusted_entry(key.public_key_base64(), arguments)?;
    if let Some(path) = &arguments.trust_file {
        keyring::trust(path, &arguments.id, &entry)?;
        ui.line(format!("Added to {}.", path.display()));
    }
    let trusted = json!({ arguments.id.as_str(): entry });
    ui.line(format!("Private key  {}", private.display()));
    ui.line(format!("Public key   {}", public.display()));
    ui.line(format!("Hosts trust it with FEATURE_TRUST_PUBLIC_KEYS_JSON='{trusted}'"));
    Ok(Outcome::new(
        format!("Made key {}.", arguments.id),
        json!({
            "keyId": arguments.id,
            "privateKey": private.display().to_string(),
            "publicKey": public.display().to_string(),
            "trustedKeys": trusted,
        }),
    ))
}

fn trusted_entry(public_key: String, arguments: &GenerateArguments) -> Result<Value, Problem> {
    let features = (!arguments.features.is_empty()).then(|| arguments.features.clone());
    let document = if features.is_none() && arguments.not_after.is_none() {
        KeyDocument::Text(public_key)
    } else {
        KeyDocument::Bound(BoundKey { public_key, features, not_after: arguments.not_after })
    };
    serde_json::to_value(document)
        .map_err(|error| Problem::new("key-not-writable", error.to_string(), "make another key"))
}

fn key_id(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let head = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if head && text.len() <= 64 && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("use 1 to 64 letters, digits and . _ -, starting with a letter or digit".to_owned())
    }
}
