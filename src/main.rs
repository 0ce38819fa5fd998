//! Starts the host: arguments, environment, clock, log. What it is made of is wired together in `run`.

mod run;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use jiff::Timestamp;
use pilar_host::catalog::Now;
use pilar_host::config::{self, Checked};
use tracing_subscriber::EnvFilter;

/// Gives what this thread has freed back to the system.
fn release_memory() {
    // SAFETY: the call takes no memory of ours; it may be made at any time from any thread.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Has the kernel give memory in pages of 4 KiB alone. It would otherwise put one of 2 MiB wherever a connection
/// that became idle has left something behind, and what was given back would be taken again.
fn keep_pages_small() {
    // Where the call is forbidden the host only takes more memory.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    // Lossy: an argument that is not text is refused like any other that is not known.
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|text| text.to_string_lossy().into_owned()).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {}
        ["--version" | "-V"] => {
            println!("pilar-host {VERSION}");
            return ExitCode::SUCCESS;
        }
        ["--help" | "-h"] => {
            println!(
                "pilar-host {VERSION}: serves verified features. It is configured by its environment:\n"
            );
            println!("{}", config::HOST.table());
            return ExitCode::SUCCESS;
        }
        ["--version" | "-V" | "--help" | "-h", other, ..] | [other, ..] => {
            eprintln!("pilar-host takes no argument \"{other}\"; see pilar-host --help");
            return ExitCode::from(2);
        }
    }
    keep_pages_small();
    let Checked { config, notes } = match config::read(environment()) {
        Ok(checked) => checked,
        Err(error) => {
            eprintln!("pilar-host cannot start: {error} (code {})", error.code());
            return ExitCode::from(2);
        }
    };
    start_logging(config.production);
    for note in notes {
        tracing::warn!(code = "config-note", "{note}");
    }
    match run::run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pilar-host cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

#[expect(clippy::disallowed_methods, reason = "this is where the clock is")]
fn now() -> Now {
    Now { wall: Timestamp::now(), monotonic: Instant::now() }
}

#[expect(clippy::disallowed_methods, reason = "this is where the clock is")]
fn time_of_day() -> SystemTime {
    SystemTime::now()
}

/// Bytes that nobody can foresee. They are part of what signs sessions apart, and all else of them is keyed, so
/// zeroes of a kernel that has none to give harm nobody.
fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::warn!(%error, code = "no-random-bytes", "the kernel gives no random bytes");
    }
    bytes
}

/// JSON in production, for collectors; lines elsewhere, for people. `RUST_LOG` chooses what is logged.
fn start_logging(production: bool) {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // What operators change is logged whatever RUST_LOG says.
    if let Ok(audit) = "audit=info".parse() {
        filter = filter.add_directive(audit);
    }
    let colour = std::io::stderr().is_terminal();
    // A log that nobody reads any more is no reason to stop: the default would print about it, and panic.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    if production {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_target(false).with_ansi(colour).compact().init();
    }
}
