//! The fuzz targets, each for ten seconds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::process::{call, cargo, host_triple};
use crate::tally::Tally;
use crate::test::check;
use crate::{Failure, Workspace, setup};

/// How long each target runs.
const SECONDS: u32 = 10;
/// Inputs are not made longer than this: it holds a whole request head of a browser, and more only makes each
/// run slower.
const MOST_BYTES: u32 = 1024;
/// A single input that takes longer is a finding.
const MOST_SECONDS: u32 = 5;

/// Checks the code of the targets, builds them and runs each on its seeds and on what earlier runs found.
pub(crate) fn run(workspace: &Workspace) -> Result<Tally, Failure> {
    let manifest = ["--manifest-path", "fuzz/Cargo.toml"];
    let mut tally = check(cargo(workspace, &["fmt", "--check"]).args(manifest))?;
    let clippy = &mut cargo(workspace, &["clippy", "--locked", "--quiet"]);
    tally.add(check(clippy.args(manifest).args(["--", "-D", "warnings"]))?);
    let room = workspace.target().join("fuzz");
    build(workspace, &room)?;
    let targets = targets(workspace)?;
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    for some in targets.chunks(at_once) {
        let outcomes: Vec<Result<String, Failure>> = thread::scope(|scope| {
            let running: Vec<_> =
                some.iter().map(|target| scope.spawn(|| smoke(workspace, &room, target))).collect();
            let lost = |_| Err("the thread that ran a target ended early".to_owned());
            running.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
        });
        for outcome in outcomes {
            tally.add(Tally::check(outcome.is_ok()));
            match outcome {
                Ok(words) => println!("{words}"),
                Err(failure) => eprintln!("{failure}"),
            }
        }
    }
    Ok(tally)
}

/// The sanitizer needs flags that only a compiler under development takes, or one that is told to be. It cannot
/// be linked statically either: cargo-fuzz sets `RUSTFLAGS`, in the place of `.cargo/config.toml`.
fn build(workspace: &Workspace, room: &Path) -> Result<(), Failure> {
    call(
        Command::new(setup::CARGO_FUZZ.path(workspace))
            .current_dir(&workspace.root)
            .args(["build", "--codegen-units", "16", "--target-dir"])
            .arg(room)
            .env("RUSTC_BOOTSTRAP", "1"),
    )
}

/// The names of the targets, each that of its file.
fn targets(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let sources = workspace.root.join("fuzz/fuzz_targets");
    let listing = std::fs::read_dir(&sources).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let listing = listing.map_err(|error| format!("{}: {error}", sources.display()))?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
    let mut names: Vec<String> = listing.iter().filter_map(|entry| stem(entry.path())).collect();
    names.sort();
    Ok(names)
}

fn smoke(workspace: &Workspace, room: &Path, target: &str) -> Result<String, Failure> {
    let binary = room.join(host_triple(workspace)?).join("release").join(target);
    // What is found goes into the first directory, so the seeds stay what was checked in.
    let found = directory(&room.join("corpus").join(target))?;
    let failing = directory(&room.join("failing").join(target))?;
    let output = Command::new(&binary)
        .arg(format!("-max_total_time={SECONDS}"))
        .arg(format!("-max_len={MOST_BYTES}"))
        .arg(format!("-timeout={MOST_SECONDS}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", failing.display()))
        .arg(found)
        .arg(workspace.root.join("fuzz/corpus").join(target))
        .output()
        .map_err(|error| format!("{}: {error}", binary.display()))?;
    let words = String::from_utf8_lossy(&output.stderr);
    let number = |name: &str| words.rsplit_once(name)?.1.split_whitespace().next()?.parse().ok();
    let inputs: u64 = number("stat::number_of_executed_units:").unwrap_or(0);
    let covered: u64 = number(" cov: ").unwrap_or(0);
    if !output.status.success() || inputs == 0 {
        return Err(format!(
            "{target}: failed ({}); the input is in {}\n{}",
            output.status,
            failing.display(),
            from_the_first_complaint(&words)
        ));
    }
    Ok(format!("{target}: {inputs} inputs in {SECONDS} s, {covered} edges covered, none failed"))
}

/// Without the progress reports that come before.
fn from_the_first_complaint(words: &str) -> &str {
    let first = ["panicked at", "ERROR:"].iter().filter_map(|mark| words.find(mark)).min();
    first.and_then(|first| words.get(first..)).unwrap_or(words)
}

fn directory(path: &Path) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path.to_path_buf())
}
