//! Programs of other packages of the workspace. Tests of one package do not build those of another, so they are built
//! here where they are not up to date.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The binary `name` of `package`, beside `tested`, a binary of the package under test.
pub(crate) fn beside(tested: &str, package: &str, name: &str) -> PathBuf {
    let program = Path::new(tested).with_file_name(name);
    let directory = program.parent().and_then(Path::file_name).expect("a directory of the build");
    let profile = if directory == "debug" { OsStr::new("dev") } else { directory };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", package, "--bin", name, "--profile"])
        .arg(profile)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(built.success() && program.is_file(), "{} could not be built", program.display());
    program
}
