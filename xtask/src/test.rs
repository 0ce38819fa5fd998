//! `cargo xtask test`.

use std::process::Command;
use std::time::Instant;

use crate::process::{build_release, cargo, npm, output, run_and_keep};
use crate::tally::Tally;
use crate::{Failure, Workspace, fuzz, instructions, kubernetes, setup};

/// One step of the tests.
pub(crate) struct Step {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it makes sure of.
    pub(crate) what: &'static str,
    run: fn(&Workspace) -> Result<Tally, Failure>,
}

/// All steps, the quick ones first.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "format", what: "rustfmt has nothing to change", run: format },
    Step { name: "lint", what: "clippy has nothing to say", run: lint },
    Step { name: "deny", what: "licences, sources and bans of dependencies", run: deny },
    Step { name: "sdk", what: "the browser side: types, unit tests, checked-in build", run: sdk },
    Step {
        name: "unit",
        what: "unit and property tests inside the crates, each benchmark once",
        run: unit,
    },
    Step {
        name: "promises",
        what: "property and end-to-end tests, one file a promise",
        run: promises,
    },
    Step { name: "fuzz", what: "ten seconds for each fuzz target", run: fuzz::run },
    Step {
        name: "instructions",
        what: "no path costs over 3 % more instructions than its baseline",
        run: instructions::compare,
    },
    Step { name: "static", what: "the release binaries are static", run: is_static },
    Step { name: "browser", what: "real Chromium against the release binaries", run: browser },
];

/// Runs the named steps, or all of them, to their end, and fails if anything failed.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        return Err(format!("there is no step \"{unknown}\"; the steps are {}", known.join(", ")));
    }
    setup::everything(workspace)?;
    let chosen = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    let mut rows = Vec::new();
    for step in STEPS.iter().filter(chosen) {
        println!("\n== {}: {}", step.name, step.what);
        let start = Instant::now();
        let tally = (step.run)(workspace).unwrap_or_else(|failure| {
            eprintln!("{failure}");
            Tally::check(false)
        });
        rows.push((step.name, tally, start.elapsed()));
    }
    println!("\n{:<12} {:>7} {:>7} {:>8}", "step", "passed", "failed", "seconds");
    let mut total = Tally::default();
    for (name, tally, took) in &rows {
        total.add(*tally);
        println!("{name:<12} {:>7} {:>7} {:>8}", tally.passed, tally.failed, took.as_secs());
    }
    println!("\ntests: {} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 { Ok(()) } else { Err("something failed; see above".to_owned()) }
}

/// A command whose success is the test.
pub(crate) fn check(command: &mut Command) -> Result<Tally, Failure> {
    run_and_keep(command).map(|(_, ok)| Tally::check(ok))
}

/// A test runner: its own count, and a failure more where it fails without having counted one.
fn count(command: &mut Command) -> Result<Tally, Failure> {
    let (output, ok) = run_and_keep(command)?;
    let mut tally = Tally::read(&output);
    if !ok && tally.failed == 0 {
        tally.failed = 1;
    }
    if ok && tally.passed == 0 {
        eprintln!("the runner succeeded without having run a test");
        tally.failed = 1;
    }
    Ok(tally)
}

fn format(workspace: &Workspace) -> Result<Tally, Failure> {
    check(&mut cargo(workspace, &["fmt", "--all", "--check"]))
}

fn lint(workspace: &Workspace) -> Result<Tally, Failure> {
    let arguments =
        ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    check(&mut cargo(workspace, &arguments))
}

fn deny(workspace: &Workspace) -> Result<Tally, Failure> {
    // The advisory database comes from a host that closed networks do not reach; `cargo deny check` has it.
    check(Command::new(setup::CARGO_DENY.path(workspace)).current_dir(&workspace.root).args([
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn sdk(workspace: &Workspace) -> Result<Tally, Failure> {
    let dir = workspace.root.join("sdk");
    let mut tally = check(&mut npm(&dir, &["run", "--silent", "typecheck"]))?;
    tally.add(check(&mut npm(&dir, &["run", "--silent", "check:dist"]))?);
    let example = workspace.root.join("examples/feature-patientlist");
    tally.add(check(&mut npm(&example, &["run", "--silent", "typecheck"]))?);
    tally.add(count(&mut npm(&dir, &["test", "--silent"]))?);
    Ok(tally)
}

fn unit(workspace: &Workspace) -> Result<Tally, Failure> {
    count(&mut cargo(
        workspace,
        &["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--bench", "*"],
    ))
}

fn promises(workspace: &Workspace) -> Result<Tally, Failure> {
    count(
        cargo(workspace, &["test", "--workspace", "--locked", "--no-fail-fast", "--test", "*"])
            .env("PILAR_OHA", setup::OHA.path(workspace))
            .env("PILAR_REDBOT", setup::redbot_path(workspace))
            .env("KUBEBUILDER_ASSETS", kubernetes::assets(workspace)?),
    )
}

fn is_static(workspace: &Workspace) -> Result<Tally, Failure> {
    build_release(workspace)?;
    let mut tally = Tally::default();
    for name in ["pilar-host", "pilar", "pilar-loader"] {
        let path = workspace.release_binary(name)?;
        let file = output(Command::new("file").arg("-b").arg(&path))?;
        // `ldd` answers a static binary with an error, so its words count and not its status.
        let ldd = Command::new("ldd").arg(&path).output().map_err(|error| error.to_string())?;
        let ldd = [ldd.stdout, ldd.stderr].concat();
        let ldd = String::from_utf8_lossy(&ldd);
        println!("{name}: {}\n{name}: ldd: {}", file.trim(), ldd.trim());
        let no_loader = file.contains("static") && !file.contains("dynamically linked");
        let no_library =
            ldd.contains("statically linked") || ldd.contains("not a dynamic executable");
        tally.add(Tally::check(no_loader && no_library));
    }
    Ok(tally)
}

fn browser(workspace: &Workspace) -> Result<Tally, Failure> {
    build_release(workspace)?;
    count(
        npm(&workspace.root.join("tests/browser"), &["test", "--silent"])
            .env("PILAR_BIN", workspace.release_binary("pilar")?)
            .env("PILAR_HOST_BIN", workspace.release_binary("pilar-host")?),
    )
}
