//! How the command line answers: help, wrong use, exit status, errors in three lines.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

mod common;

use common::Workspace;

#[test]
fn help_shows_every_command_with_examples() {
    let workspace = Workspace::new();
    let help = workspace.pilar(&["--help"]);
    assert_eq!(help.status, 0);
    let commands =
        ["keys", "build", "publish", "release", "inspect", "lint", "validate", "doctor", "dev"];
    for command in commands {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{}", help.stdout);
        let help = workspace.pilar(&[command, "--help"]);
        let text = match command {
            "keys" => workspace.pilar(&["keys", "generate", "--help"]).stdout,
            "lint" => workspace.pilar(&["lint", "routes", "--help"]).stdout,
            "validate" => workspace.pilar(&["validate", "compat", "--help"]).stdout,
            _ => help.stdout,
        };
        assert!(text.contains("Examples:\n  pilar "), "{text}");
    }
    assert!(help.stdout.contains("Exit status: 0 done, 1 found a problem, 2 wrong use."));
    assert!(help.stdout.contains("ARTIFACTS_DIR"));
}

#[test]
fn wrong_use_is_status_two_in_text_and_json() {
    let workspace = Workspace::new();
    let text = workspace.pilar(&["publish"]);
    assert_eq!(text.status, 2);
    assert!(text.stderr.contains("--local"), "{}", text.stderr);
    assert_eq!(
        workspace.refusal(2, &["release", "fallback", "--feature", "lab", "--to", "moon"]),
        "usage"
    );
    assert_eq!(workspace.refusal(2, &["release", "promote", "--feature", "Not An Id"]), "usage");
    assert_eq!(workspace.refusal(2, &["build", "--dev", "."]), "no-feature");
    workspace.feature("lab", "1.0.0", "one");
    assert_eq!(
        workspace.refusal(2, &["build", "features", "--dev", "--feature", "lob"]),
        "unknown-feature"
    );
}

#[test]
fn an_error_is_three_lines_that_name_file_field_and_remedy() {
    let workspace = Workspace::new();
    workspace.feature("lab", "1.0.0", "one");
    let manifest = workspace.read("features/lab/manifest.json");
    workspace.write("features/lab/manifest.json", manifest.replace("\"/lab\"", "\"/_lab\""));
    let run = workspace.pilar(&["build", "features", "--dev"]);
    assert_eq!(run.status, 1);
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{}", run.stderr);
    assert!(lines[0].starts_with("error: ") && lines[0].ends_with(" (schema)"), "{}", lines[0]);
    assert_eq!(lines[1], "  in: features/lab/manifest.json, field mount.pathPrefix");
    assert!(lines[2].starts_with("  do: "), "{}", lines[2]);
    assert!(!run.stderr.contains('\u{1b}'), "no colour where there is no terminal");
}

#[test]
fn a_bad_source_date_epoch_is_named() {
    let workspace = Workspace::new();
    workspace.feature("lab", "1.0.0", "one");
    let mut command = workspace.command(&["build", "features", "--dev"]);
    let run = common::Run::of(command.env("SOURCE_DATE_EPOCH", "yesterday").output().unwrap());
    assert_eq!(run.status, 2);
    assert!(
        run.stderr.contains("SOURCE_DATE_EPOCH") && run.stderr.contains("yesterday"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_closed_pipe_is_no_error() {
    let workspace = Workspace::published();
    let command = format!("{} inspect artifacts --dev | head -n 1", env!("CARGO_BIN_EXE_pilar"));
    let output = std::process::Command::new("bash")
        .args(["-o", "pipefail", "-c", &command])
        .current_dir(workspace.dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
