//! Measures the host side by side with other static servers, on the same files, the same core and the
//! same clients: `cargo xtask bench` installs the servers and runs this. And what a release costs the host:
//! `cargo xtask measure`.

mod account;
mod case;
mod corpus;
mod floor;
mod http;
mod idle;
mod latency;
mod lifecycle;
mod machine;
mod network;
mod oha;
mod peers;
mod plot;
mod report;
mod rounds;
mod server;
mod statistics;
mod wrk;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::case::{CASES, Case};
use crate::report::Report;

/// What went wrong, in words for whoever ran the command.
type Failure = String;

/// The core of the server that is measured, and the core of its client.
const SERVER_CORE: &str = "0";
const CLIENT_CORE: &str = "1";

/// Files that are open at a time: the idle connections, and what else there is.
const FILES: u64 = (idle::FIRST + idle::CONNECTIONS) as u64 + 500;

/// What to measure.
#[derive(Debug, Parser)]
enum Command {
    /// The host beside other servers.
    Servers(Arguments),
    /// Releases, starts and memory of the host.
    Lifecycle(lifecycle::Arguments),
    /// The server that `servers` starts for what the kernel takes alone.
    Floor(floor::Arguments),
}

/// Where the programs are, and what to measure.
#[derive(Debug, Args)]
struct Arguments {
    /// Our host, as it ships.
    #[arg(long)]
    pilar_host: PathBuf,
    /// The command line that builds and signs the files.
    #[arg(long)]
    pilar: PathBuf,
    /// The client that keeps a given rate.
    #[arg(long)]
    oha: PathBuf,
    /// Caddy.
    #[arg(long)]
    caddy: PathBuf,
    /// static-web-server.
    #[arg(long)]
    static_web_server: PathBuf,
    /// The directory of the Hono server, with its packages installed.
    #[arg(long)]
    hono: PathBuf,
    /// Where the report goes.
    #[arg(long)]
    out: PathBuf,
    /// The commit that is measured, for the report.
    #[arg(long)]
    commit: String,
    /// `quick`, and the cases to measure: all where none is named.
    words: Vec<String>,
}

/// How much is measured.
#[derive(Debug)]
struct Plan {
    /// The cases of wrk.
    cases: Vec<&'static Case>,
    /// Memory of idle connections.
    idle: bool,
    /// Of all servers, not just of those that have a goal or are one.
    idle_of_all: bool,
    /// Latency at a given rate.
    latency: bool,
    /// Times that every server gets its turn in every case.
    rounds: usize,
    /// Seconds of one latency measurement.
    latency_seconds: u64,
    /// Set when this program is told to end.
    stop: Arc<AtomicBool>,
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Servers(arguments) => network::enter().and_then(|()| run(&arguments)),
        Command::Lifecycle(arguments) => network::enter().and_then(|()| lifecycle::run(&arguments)),
        Command::Floor(arguments) => floor::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = Plan::read(&arguments.words)?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&plan.stop))
            .map_err(|error| format!("signals cannot be caught: {error}"))?;
    }
    raise_file_limit()?;
    let room = tempfile::Builder::new()
        .prefix("pilar-loadtest-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .map_err(|error| format!("no temporary directory: {error}"))?;
    println!("building and signing the files");
    let site = corpus::build(&arguments.pilar, room.path())?;
    let lineup = peers::lineup(arguments);
    let mut versions = Vec::new();
    for peer in &lineup {
        // One program, however many settings of it run.
        let program = peer.name().split(',').next().unwrap_or_default();
        versions.push((program.to_owned(), peer.version()?));
    }
    versions.dedup();
    versions.push(("wrk".to_owned(), wrk::version()?));
    versions.push(("oha".to_owned(), oha::version(&arguments.oha)?));

    let measured = rounds::run(&plan, &lineup, &site, room.path())?;
    let idle = if plan.idle { idle::run(&plan, &lineup, &site, room.path())? } else { Vec::new() };
    let latency = if plan.latency {
        latency::run(&plan, &lineup, &site, room.path(), &arguments.oha)?
    } else {
        Vec::new()
    };
    let report = Report {
        machine: machine::describe()?,
        versions,
        commit: arguments.commit.clone(),
        command: format!("cargo xtask bench {}", arguments.words.join(" ")).trim_end().to_owned(),
        date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        rounds: plan.rounds,
        measured,
        idle,
        latency,
    };
    report.write(&arguments.out)
}

impl Plan {
    /// Reads the words of the command line.
    fn read(words: &[String]) -> Result<Self, Failure> {
        let quick = words.iter().any(|word| word == "quick");
        let named: Vec<&str> =
            words.iter().map(String::as_str).filter(|word| *word != "quick").collect();
        let known = || CASES.iter().map(|case| case.id).chain([idle::ID, latency::ID]);
        if let Some(unknown) = named.iter().find(|word| known().all(|id| id != **word)) {
            let known: Vec<&str> = known().collect();
            return Err(format!(
                "there is no case \"{unknown}\"; the cases are {}",
                known.join(", ")
            ));
        }
        let wants = |id: &str| named.is_empty() || named.contains(&id);
        let cases = CASES
            .iter()
            .filter(|case| wants(case.id))
            // Without names, quick means the cases that have a goal.
            .filter(|case| !quick || !named.is_empty() || case.goal.is_some())
            .collect();
        Ok(Self {
            cases,
            idle: wants(idle::ID),
            idle_of_all: !quick,
            latency: wants(latency::ID),
            rounds: if quick { 2 } else { 3 },
            latency_seconds: if quick { 2 } else { 4 },
            stop: Arc::default(),
        })
    }

    /// An error once this program was told to end, so that all servers are stopped on the way out.
    fn go_on(&self) -> Result<(), Failure> {
        if self.stop.load(Ordering::Relaxed) { Err("stopped".to_owned()) } else { Ok(()) }
    }
}

/// Lets this program, and the servers that it starts, open as many files as the kernel allows.
fn raise_file_limit() -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < FILES) {
        return Err(format!(
            "{} open files are allowed and {FILES} are needed: run `ulimit -Hn {FILES}` as root, then this again",
            limit.maximum.unwrap_or(0)
        ));
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .map_err(|error| format!("the limit of open files cannot be raised: {error}"))
}
