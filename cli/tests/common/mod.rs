//! A directory of its own for each test, with the real binary and features to build.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod host;
#[path = "../../../tests/support/programs.rs"]
mod programs;
pub(crate) mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pilar_artifact::verify::{self, Context, DropFiles};
use pilar_artifact::{FeatureId, Limits, ReleaseIndex, TrustedKeys};
use pilar_store::FeatureDir;
use serde_json::Value;
use tempfile::TempDir;

/// The feature of most tests.
pub(crate) const LAB: &str = "lab";

pub(crate) struct Workspace {
    pub(crate) dir: TempDir,
}

/// What a run of `pilar` left.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    /// A workspace with the sources of `lab` 1.0.0, built and published with the dev key.
    pub(crate) fn published() -> Self {
        let workspace = Self::new();
        workspace.feature(LAB, "1.0.0", "one");
        workspace.publish_built();
        workspace
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        pilar_store::replace_file(&path, text.as_ref()).unwrap();
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative))
            .unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    /// Writes the sources of a plain domain feature to `features/<id>`.
    pub(crate) fn feature(&self, id: &str, version: &str, text: &str) {
        let manifest = format!(
            r#"{{
  "id": "{id}", "version": "{version}", "displayName": "Lab results",
  "mount": {{ "pathPrefix": "/{id}", "domElementId": "{id}-root" }},
  "entrypoints": {{ "js": "main.js", "css": "style.css" }},
  "team": {{ "name": "Lab", "unknownToPilar": [1, 2] }}
}}"#
        );
        let at = |file: &str| format!("features/{id}/{file}");
        self.write(&at("manifest.json"), manifest);
        self.write(
            &at("src/main.js"),
            "import { view } from './lib/view.js';\nexport const mount = (element) => view(element);\n",
        );
        self.write(
            &at("src/lib/view.js"),
            format!("export const view = (element) => {{ element.textContent = '{text}'; }};\n"),
        );
        self.write(&at("src/style.css"), ".lab { background: url(img/grid.svg); }\n");
        let line = "<rect width=\"4\" height=\"4\" fill=\"#0f766e\"/>\n".repeat(60);
        self.write(&at("src/img/grid.svg"), format!("<svg>{line}</svg>\n"));
    }

    /// `pilar` in this directory, with nothing from the environment but `PATH`.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        self.prepare(Command::new(env!("CARGO_BIN_EXE_pilar")), words)
    }

    /// The same below `strace`, which injects a fault.
    pub(crate) fn command_with_fault(&self, fault: &str, words: &[&str]) -> Command {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={fault}")]);
        strace.arg(env!("CARGO_BIN_EXE_pilar"));
        self.prepare(strace, words)
    }

    fn prepare(&self, mut command: Command, words: &[&str]) -> Command {
        command.args(words).current_dir(self.dir.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("SOURCE_DATE_EPOCH", "1760000000");
        command
    }

    pub(crate) fn pilar(&self, words: &[&str]) -> Run {
        Run::of(self.command(words).output().unwrap())
    }

    /// Runs `pilar --json`, expects `status`, and returns what it printed.
    #[track_caller]
    pub(crate) fn json(&self, status: i32, words: &[&str]) -> Value {
        let run = self.pilar(&[words, &["--json"]].concat());
        assert_eq!(run.status, status, "{words:?}\n{}\n{}", run.stdout, run.stderr);
        run.json()
    }

    /// Runs `pilar --json`, expects it to be refused, and returns the code.
    #[track_caller]
    pub(crate) fn refusal(&self, status: i32, words: &[&str]) -> String {
        let answer = self.json(status, words);
        answer["error"]["code"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Builds and publishes what is in `features/`.
    #[track_caller]
    pub(crate) fn publish_built(&self) {
        self.json(0, &["build", "features", "--dev"]);
        self.json(0, &["publish", "--local", "--dev"]);
    }

    /// Writes, builds and publishes `lab` at `version`.
    #[track_caller]
    pub(crate) fn publish(&self, version: &str) {
        self.feature(LAB, version, version);
        self.publish_built();
    }

    pub(crate) fn index(&self) -> Value {
        serde_json::from_str(&self.read("artifacts/lab/releases.json")).unwrap()
    }

    /// The files below `relative`, with their content.
    pub(crate) fn tree(&self, relative: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        collect(&self.path(relative), &mut files);
        files.sort();
        files
    }
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout, self.stderr))
    }
}

/// Verifies everything that the index of `lab` in `artifacts` lists, as a host would. `None`: no index.
pub(crate) fn verified(artifacts: &Path, keys: &TrustedKeys) -> Option<ReleaseIndex> {
    let feature: FeatureId = LAB.parse().unwrap();
    let source = FeatureDir::open(&artifacts.join(LAB)).ok()?;
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let context = Context { keys, now, host_version: None, limits: Limits::default() };
    let index =
        verify::index(&source, &feature, &context).unwrap_or_else(|error| panic!("{error}"));
    let listed = index.index.versions.iter().filter(|entry| entry.revoked.is_none());
    for entry in listed {
        verify::version(&source, &index.index, &entry.version, &context, &mut DropFiles)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    Some(index.index)
}

/// The keys that the dev key made.
pub(crate) fn dev_keys(workspace: &Workspace) -> TrustedKeys {
    let text = workspace.read(".pilar/keys/trusted-keys.json");
    TrustedKeys::from_json(text.as_bytes(), &Limits::default()).unwrap()
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn collect(dir: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
}
