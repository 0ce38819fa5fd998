//! Instructions per operation of the paths that serve, held against those that are checked in.
//!
//! Callgrind runs the program on a processor of its own making, so the counts are the same however busy the
//! machine is. That processor has AVX2 where the real one has it, and never AVX-512 or the SHA extensions: what
//! libraries choose at run time depends on nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{call, cargo, output};
use crate::tally::Tally;
use crate::{Failure, Workspace};

/// Where the baselines are.
const BASELINES: &str = "benches/instructions.txt";
/// By how many percent a count may be above its baseline.
const TOLERANCE: u64 = 3;
/// The function of `benches/instructions.rs` inside of which instructions count.
const COUNTED: &str = "*counted_operations*";

const RENEW: &str = "cargo xtask instructions --renew";

/// What the counts depend on besides the code, and the count of each case.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    conditions: String,
    cases: Vec<(String, u64)>,
}

/// Counts and compares; fails where a case is above its baseline.
pub(crate) fn compare(workspace: &Workspace) -> Result<Tally, Failure> {
    let path = workspace.root.join(BASELINES);
    let text = fs::read_to_string(&path).map_err(|error| format!("{BASELINES}: {error}"))?;
    let baselines = Counts::read(&text)?;
    let now = count(workspace)?;
    if now.conditions != baselines.conditions {
        println!(
            "the baselines are from {}, this is {}: both may count for the difference",
            baselines.conditions, now.conditions
        );
    }
    println!("\n{:<20} {:>10} {:>10} {:>8}", "instructions", "baseline", "now", "change");
    let mut tally = Tally::default();
    for (case, now) in &now.cases {
        let (words, ok) = match baselines.of(case) {
            Some(baseline) => judge(baseline, *now),
            None => (format!("{:>10} {now:>10}  has no baseline: {RENEW}", "-"), false),
        };
        println!("{case:<20} {words}");
        tally.add(Tally::check(ok));
    }
    for (case, _) in baselines.cases.iter().filter(|(case, _)| now.of(case).is_none()) {
        println!("{case:<20} is in {BASELINES} and nowhere else: {RENEW}");
        tally.add(Tally::check(false));
    }
    Ok(tally)
}

/// Counts and writes the baselines anew.
#[expect(clippy::disallowed_methods, reason = "a file of the checkout, which git keeps")]
pub(crate) fn renew(workspace: &Workspace) -> Result<(), Failure> {
    let text = count(workspace)?.write();
    print!("{text}");
    fs::write(workspace.root.join(BASELINES), text).map_err(|error| format!("{BASELINES}: {error}"))
}

fn judge(baseline: u64, now: u64) -> (String, bool) {
    let too_many = now * 100 > baseline * (100 + TOLERANCE);
    let advice = if too_many {
        format!(
            "  too many: make it cheaper, or say in the commit why it costs more and run {RENEW}"
        )
    } else if now * 100 < baseline * (100 - TOLERANCE) {
        format!("  fewer: keep it so with {RENEW}")
    } else {
        String::new()
    };
    let change = (now as f64 / baseline as f64 - 1.0) * 100.0;
    (format!("{baseline:>10} {now:>10} {change:>+7.1}%{advice}"), !too_many)
}

fn count(workspace: &Workspace) -> Result<Counts, Failure> {
    let program = build(workspace)?;
    let room = workspace.target().join("callgrind");
    fs::create_dir_all(&room).map_err(|error| format!("{}: {error}", room.display()))?;
    let listing = output(&mut Command::new(&program))?;
    let mut cases = Vec::new();
    for line in listing.lines() {
        let (case, operations) = line
            .split_once(' ')
            .and_then(|(case, operations)| Some((case, operations.parse::<u64>().ok()?)))
            .ok_or_else(|| {
                format!("{}: not a case and its operations: {line}", program.display())
            })?;
        let total = callgrind(&program, case, &room.join(format!("{case}.out")))?;
        cases.push((case.to_owned(), (total + operations / 2) / operations));
    }
    println!("callgrind_annotate {}/<case>.out shows where they are", room.display());
    Ok(Counts { conditions: conditions(workspace)?, cases })
}

/// Builds the program that runs the cases, and returns where it is.
fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    call(&mut cargo(workspace, &["build", "--release", "--locked", "--example", "instructions"]))?;
    workspace.release_binary("examples/instructions")
}

/// How many instructions a case executes.
fn callgrind(program: &Path, case: &str, out: &Path) -> Result<u64, Failure> {
    let file = |name: &str| format!("--{name}={}", out.display());
    output(
        // The environment lies on the stack and moves it.
        Command::new("/usr/bin/valgrind")
            .env_clear()
            .args(["--tool=callgrind", "--collect-atstart=no"])
            .arg(format!("--toggle-collect={COUNTED}"))
            .arg(file("callgrind-out-file"))
            .arg(program)
            .arg(case),
    )?;
    let profile = fs::read(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let profile = String::from_utf8_lossy(&profile);
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    total
        .and_then(|total| total.trim().parse().ok())
        .filter(|&total| total > 0)
        .ok_or_else(|| format!("{}: {COUNTED} was not entered", out.display()))
}

/// What the counts depend on besides the code.
fn conditions(workspace: &Workspace) -> Result<String, Failure> {
    let first = |program: &str, arguments: &[&str]| {
        output(Command::new(program).current_dir(&workspace.root).args(arguments))
            .map(|text| text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
    };
    let processor = fs::read_to_string("/proc/cpuinfo").map_err(|error| error.to_string())?;
    Ok([
        first("rustc", &["--version"])?,
        first("/usr/bin/valgrind", &["--version"])?,
        first("getconf", &["GNU_LIBC_VERSION"])?,
        std::env::consts::ARCH.to_owned(),
        if processor.contains(" avx2") { "AVX2" } else { "no AVX2" }.to_owned(),
    ]
    .join(", "))
}

impl Counts {
    fn of(&self, case: &str) -> Option<u64> {
        self.cases.iter().find(|(other, _)| other == case).map(|(_, count)| *count)
    }

    fn write(&self) -> String {
        let mut text = format!(
            "# Instructions per operation, written by `{RENEW}`.\nconditions: {}\n",
            self.conditions
        );
        for (case, count) in &self.cases {
            text.push_str(&format!("{case}: {count}\n"));
        }
        text
    }

    fn read(text: &str) -> Result<Self, Failure> {
        let mut counts = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let wrong = || format!("{BASELINES}: not a name and its count: {line}");
            let (name, value) = line.split_once(": ").ok_or_else(wrong)?;
            if name == "conditions" {
                counts.conditions = value.to_owned();
            } else {
                counts.cases.push((name.to_owned(), value.parse().map_err(|_| wrong())?));
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_percent_more_pass_and_more_do_not() {
        for (now, ok, advice) in
            [(1000, true, ""), (1030, true, ""), (1031, false, "cheaper"), (900, true, "fewer")]
        {
            let (words, passed) = judge(1000, now);
            assert_eq!(passed, ok, "{words}");
            assert!(words.contains(advice), "{words}");
        }
    }

    #[test]
    fn baselines_are_read_as_they_were_written() {
        let counts =
            Counts { conditions: "rustc 1, x: y".to_owned(), cases: vec![("a-b".to_owned(), 12)] };
        assert_eq!(Counts::read(&counts.write()), Ok(counts));
        assert!(Counts::read("a: many").is_err());
    }
}
