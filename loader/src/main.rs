//! `pilar-loader`: init container and sidecar. Reads arguments, environment, clock and chance; everything else is
//! in the library.

use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use pilar_artifact::FeatureId;
use pilar_artifact::loader_status::{LoaderError, LoaderFeature};
use pilar_loader::config::{self, Config};
use pilar_loader::machine::Machine;
use pilar_loader::problem::Problem;
use pilar_loader::registration::{Origin, Registration};
use pilar_loader::run::{self, Ended};
use pilar_loader::status;
use pilar_settings::LOADER;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long what cannot be broken off, such as waiting for the disk, may take at the end.
const LAST_WORK: Duration = Duration::from_secs(10);

/// Brings registered features into an artifacts directory: verified, whole, and again and again.
#[derive(Debug, Parser)]
#[command(name = "pilar-loader", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
It is configured by its environment; `pilar-loader variables` lists what it takes.

Exit status: 0 done, 1 refused or failed, 2 wrong use.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring everything that is registered within a deadline, make the sentinel, and end.
    Init,
    /// Keep everything in place that is registered, until stopped.
    Watch,
    /// Bring one feature and end.
    Sync(Sync),
    /// List the variables.
    Variables,
}

#[derive(Debug, clap::Args)]
struct Sync {
    /// Bring it once; there is no other way yet to sync by hand, so it must be said.
    #[arg(long, required = true)]
    once: bool,
    /// Where from: <registry>/<repository>@sha256:<digest>, or the base URL of a CDN.
    #[arg(long, value_name = "IMAGE_OR_URL")]
    from: String,
    /// The artifacts directory.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The feature that it must be; default: the one that the image or the index names.
    #[arg(long, value_name = "ID")]
    feature: Option<FeatureId>,
    /// Print JSON for machines instead of text.
    #[arg(long)]
    json: bool,
}

/// `mi_option_purge_delay` of `mimalloc.h`, which the binding leaves out: for how many milliseconds what was freed is
/// kept.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    // What one download has freed is not kept for the next: a loader has time, and little memory.
    // SAFETY: the call takes no memory of ours; no other thread runs yet.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 0) };
    // Nor in pages of 2 MiB, which the allocator asks for and one small block keeps. Where the call is forbidden, it
    // only takes more memory.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version are answers; all else is wrong use, which clap says with status 2.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    if matches!(arguments.command, Command::Variables) {
        print(&LOADER.table());
        return ExitCode::SUCCESS;
    }
    let config = match config::read(environment()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("pilar-loader cannot start: {error} (code {})", error.code());
            return ExitCode::from(2);
        }
    };
    hide_no_proxy();
    start_logging(config.production);
    for note in &config.notes {
        tracing::warn!(code = "config-note", "{note}");
    }
    match run(&arguments.command, &config) {
        Ok(status) => status,
        Err(problem) => {
            eprintln!("pilar-loader cannot go on: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command, config: &Config) -> Result<ExitCode, Problem> {
    let failed = |error: io::Error| {
        Problem::new("runtime", error.to_string(), "see what the operating system says")
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    // Before anything that may take a while: as the first process of a container, a program that has no handler is
    // deaf to SIGTERM.
    let stop = {
        let _entered = runtime.enter();
        stopped().map_err(failed)?
    };
    let status = runtime.block_on(async {
        match command {
            Command::Init => {
                run::init(config, machine(), stop).await.map(|ended| exit_code(&ended))
            }
            Command::Watch => {
                run::watch(config, machine(), say_port, stop).await.map(|_| ExitCode::SUCCESS)
            }
            Command::Sync(arguments) => sync(arguments, config, stop).await,
            Command::Variables => Ok(ExitCode::SUCCESS),
        }
    });
    runtime.shutdown_timeout(LAST_WORK);
    status
}

async fn sync(
    arguments: &Sync,
    config: &Config,
    stop: impl Future<Output = ()>,
) -> Result<ExitCode, Problem> {
    let Sync { from, into, feature, .. } = arguments;
    let origin = match Origin::from_word(from) {
        Ok(origin) => origin,
        Err(error) => {
            eprintln!("pilar-loader: {}", error.problem("--from"));
            return Ok(ExitCode::from(2));
        }
    };
    let mut stop = pin!(stop);
    let named = async {
        match feature {
            Some(feature) => Ok(feature.clone()),
            None => run::feature_of(config, machine(), &origin).await,
        }
    };
    let named = tokio::select! {
        named = named => named,
        () = &mut stop => return Ok(ExitCode::FAILURE),
    };
    let feature = match named {
        Ok(feature) => feature,
        Err(problem) => {
            say(arguments, None, None, Some(&status::error(&problem)));
            return Ok(ExitCode::FAILURE);
        }
    };
    let registration = Registration { feature: feature.clone(), origin };
    let (ended, board) = run::sync(config, machine(), registration, into, stop).await?;
    let said = board.status();
    let said = said.features.get(&feature);
    say(arguments, Some(&feature), said, said.and_then(|said| said.last_error.as_ref()));
    Ok(exit_code(&ended))
}

/// Says how it went.
fn say(
    arguments: &Sync,
    feature: Option<&FeatureId>,
    said: Option<&LoaderFeature>,
    error: Option<&LoaderError>,
) {
    let from = &arguments.from;
    if arguments.json {
        let document = json!({ "featureId": feature, "feature": said, "error": error });
        print(&format!("{document:#}\n"));
    } else if let Some(error) = error {
        eprintln!(
            "error: {} ({})\n  in: {from}\n  do: {}",
            error.message, error.code, error.remedy
        );
    } else if let Some((feature, version)) =
        feature.zip(said.and_then(|said| said.active_version.as_ref()))
    {
        print(&format!("{feature} {version} is in place\n"));
    }
}

fn exit_code(ended: &Ended) -> ExitCode {
    match ended {
        Ended::Done(_) => ExitCode::SUCCESS,
        Ended::Incomplete(_) | Ended::Stopped => ExitCode::FAILURE,
    }
}

fn stopped() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn say_port(port: u16) {
    print(&format!("pilar-loader listens on http://localhost:{port}\n"));
}

/// Whoever closed the pipe has read enough.
fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// kube would read `NO_PROXY` too, hold it against the proxy instead of the cluster, and end where it cannot read it.
/// What it says has been read by now.
fn hide_no_proxy() {
    for name in ["NO_PROXY", "no_proxy"] {
        // SAFETY: no other thread runs yet that could read the environment.
        unsafe { std::env::remove_var(name) };
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the clock is")]
fn machine() -> Machine {
    Machine { clock: Timestamp::now, chance }
}

/// Spreads what would come together; a kernel that has no random bytes to give harms nobody.
fn chance() -> f64 {
    let bits = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(bits) / f64::from(u32::MAX)
}

/// What is logged where `RUST_LOG` says nothing. kube calls each try that fails an error, with neither code nor remedy;
/// what cannot be read is said by the source, once.
const LOGGED: &str = "info,kube_client::client::builder=off";

/// JSON in production, for collectors; lines elsewhere, for people. `RUST_LOG` chooses what is logged.
fn start_logging(production: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let colour = io::stderr().is_terminal();
    // A log that nobody reads any more is no reason to stop: the default would print about it, and panic.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .log_internal_errors(false);
    if production {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_target(false).with_ansi(colour).compact().init();
    }
}
