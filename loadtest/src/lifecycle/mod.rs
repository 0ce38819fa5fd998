//! What a release costs a host: how long until it serves, what is lost on the way, how long a start takes, and
//! how much memory. `cargo xtask measure` runs this.

mod cold;
mod host;
mod page;
mod publish;
mod registration;
mod rollout;
mod tree;

use std::path::PathBuf;

use clap::Args;

use crate::{Failure, machine, wrk};
use page::Page;

/// Where the programs are.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Our host, as it ships.
    #[arg(long)]
    pilar_host: PathBuf,
    /// The command line that builds, signs and publishes.
    #[arg(long)]
    pilar: PathBuf,
    /// What the test of the loader has measured, as JSON.
    #[arg(long)]
    registrations: PathBuf,
    /// The page that is written.
    #[arg(long)]
    out: PathBuf,
    /// The commit that is measured, for the page.
    #[arg(long)]
    commit: String,
}

/// Measures all of it and writes the page.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let room = tempfile::Builder::new()
        .prefix("pilar-lifecycle-")
        .tempdir()
        .map_err(|error| format!("no temporary directory: {error}"))?;
    let at = |name: &str| room.path().join(name);
    let busy = machine::load()?;
    let page = Page {
        registration: registration::read(&arguments.registrations)?,
        rollout: rollout::run(&arguments.pilar_host, &at("rollout"))?,
        publish: publish::run(&arguments.pilar_host, &arguments.pilar, &at("publish"))?,
        cold: cold::run(&arguments.pilar_host, &at("cold"))?,
        machine: machine::describe()?,
        busy,
        wrk: wrk::version()?,
        commit: arguments.commit.clone(),
        date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
    };
    page.write(&arguments.out)
}
