//! Embeds the browser side: the files that `sdk/dist/sdk.json` names.
//!
//! They are copied to where the generated code lies, which then names no path of this checkout: several checkouts can
//! share one target directory, and this script does not run again for each of them.
#![expect(
    clippy::disallowed_methods,
    reason = "a build script reads its environment and writes its output"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let dist = root.join("sdk/dist");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=sdk/dist");
    let listing = fs::read_to_string(dist.join("sdk.json"))?;
    let listing: serde_json::Value = serde_json::from_str(&listing)?;
    let files = listing
        .get("files")
        .and_then(|files| files.as_array())
        .ok_or("sdk/dist/sdk.json: field files: a list is expected")?;
    let mut code = String::from("&[\n");
    for file in files {
        let name = file.as_str().ok_or("sdk/dist/sdk.json: field files: names are expected")?;
        fs::write(out.join(name), fs::read(dist.join(name))?)?;
        writeln!(code, "    ({name:?}, include_bytes!({name:?})),")?;
    }
    code.push_str("]\n");
    fs::write(out.join("sdk_files.rs"), code)?;
    Ok(())
}
