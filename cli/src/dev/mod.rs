//! `pilar dev`: build, publish, serve, watch.

mod host;
mod version;
mod watch;
mod workshop;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::build::npm;
use crate::build::source::{self, Source};
use crate::environment::Environment;
use crate::problem::{Outcome, Problem};
use crate::ui::Ui;

use host::Host;
use watch::Watcher;
use workshop::{Update, Workshop};

/// How long nothing changes before a build starts: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// The longest that changes without a pause put a build off.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to look after the host and for a signal.
const TICK: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilar dev                               every feature here, on http://localhost:3000
  pilar dev path/to/feature sdk/shared --port 4000

Each build is published as a version of its own (1.2.0-dev.1, …) with the dev key, to an artifacts
directory that only this command uses. A change in the sources of a feature builds and publishes
that feature again; the page reloads by itself. A build that fails leaves the last good one in place.
Ctrl-C stops the host too.")]
pub(crate) struct DevArguments {
    /// Features, or directories of features [default: as for `pilar build`]
    paths: Vec<PathBuf>,
    /// The port of the host; 0 takes a free one.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The artifacts directory of this command.
    #[arg(long, value_name = "DIR", default_value = ".pilar/dev/artifacts")]
    artifacts: PathBuf,
    /// The host [default: pilar-host beside this program, else on the PATH]
    #[arg(long, value_name = "FILE")]
    host_bin: Option<PathBuf>,
}

pub(crate) fn run(
    arguments: &DevArguments,
    environment: &Environment,
    ui: &Ui,
) -> Result<Outcome, Problem> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, stop.clone()).map_err(|error| {
            let message = format!("signals cannot be received: {error}");
            Problem::new("no-signals", message, "run it again")
        })?;
    }
    let program = host::find(arguments.host_bin.as_deref(), environment)?;
    let sources = source::find(&arguments.paths, &[])?;
    let (sources, skipped) = npm::without_those_that_need_node(sources, environment);
    for id in &skipped {
        let text = format!("Skipped {id}: it needs Node, which is not installed.");
        ui.event(text, &json!({ "event": "skipped", "featureId": id }));
    }
    if sources.is_empty() {
        let remedy = "install Node 20 or later, or name a feature that needs no build";
        let message = "every feature needs Node, which is not installed";
        return Err(Problem::new("node-missing", message, remedy));
    }
    let workshop = Workshop::open(&arguments.artifacts, environment, &stop, *ui)?;
    let session = Session { sources, workshop, failed: BTreeSet::new(), stop: &stop, ui };
    session.run(&program, arguments.port)?;
    Ok(Outcome::new("Stopped.", json!({ "event": "stopped" })))
}

struct Session<'a> {
    sources: Vec<Source>,
    workshop: Workshop<'a>,
    /// The features whose last round failed.
    failed: BTreeSet<usize>,
    stop: &'a AtomicBool,
    ui: &'a Ui,
}

impl Session<'_> {
    fn run(mut self, program: &Path, port: u16) -> Result<(), Problem> {
        let (sender, changes) = channel();
        // Before the first build, so that no change is missed.
        let dirs: Vec<PathBuf> = self.sources.iter().map(|source| source.dir.clone()).collect();
        Watcher::start(&dirs, sender)?;
        for position in 0..self.sources.len() {
            self.update(position, Instant::now());
        }
        if self.stopped() {
            return Ok(());
        }
        let trusted = self.workshop.trusted_keys_path()?;
        let mut host = Host::start(program, port, self.workshop.artifacts(), &trusted)?;
        let Some(url) = host.wait_until_ready(self.stop)? else { return Ok(()) };
        self.print_urls(&url);
        self.follow(&changes, &mut host)
    }

    /// Builds what changes, until a signal comes or the host ends.
    fn follow(&mut self, changes: &Receiver<usize>, host: &mut Host) -> Result<(), Problem> {
        let mut due = BTreeSet::new();
        let mut since = Instant::now();
        while !self.stopped() {
            host.check()?;
            match changes.recv_timeout(if due.is_empty() { TICK } else { QUIET }) {
                Ok(position) => {
                    if due.is_empty() {
                        since = Instant::now();
                    }
                    due.insert(position);
                    if since.elapsed() < PATIENCE {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let remedy = "raise fs.inotify.max_user_watches, then start again";
                    return Err(Problem::new("watch-failed", "changes are not noticed", remedy));
                }
            }
            for position in std::mem::take(&mut due) {
                self.update(position, since);
            }
        }
        Ok(())
    }

    /// Builds and publishes one feature; a problem is shown, and the last good version stays.
    fn update(&mut self, position: usize, since: Instant) {
        let Some(source) = self.sources.get_mut(position) else { return };
        let update = self.workshop.update(source);
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        let id = source.id();
        let milliseconds = since.elapsed().as_millis();
        let had_failed = self.failed.remove(&position);
        match update {
            Ok(Update::Unchanged) if had_failed => self.ui.event(
                format!("{id} is again what is published"),
                &json!({ "event": "unchanged", "featureId": id }),
            ),
            Ok(Update::Unchanged) => {}
            Ok(Update::Published(version)) => self.ui.event(
                format!("{id} {version} published in {milliseconds} ms"),
                &json!({
                    "event": "published",
                    "featureId": id,
                    "version": version,
                    "milliseconds": milliseconds as u64,
                }),
            ),
            Err(problem) => {
                self.failed.insert(position);
                self.ui.problem(&problem);
            }
        }
    }

    fn print_urls(&self, url: &str) {
        let pages: Vec<(String, String)> = self
            .sources
            .iter()
            .enumerate()
            // Nothing may serve there; the problem is on the screen already.
            .filter(|(position, _)| !self.failed.contains(position))
            .filter_map(|(_, source)| {
                let mount = source.manifest.mount.as_ref()?;
                Some((source.id().to_string(), format!("{url}{}", mount.path_prefix)))
            })
            .collect();
        let width = pages.iter().map(|(id, _)| id.len()).max().unwrap_or(0);
        let lines: Vec<String> =
            pages.iter().map(|(id, url)| format!("  {id:<width$}  {url}")).collect();
        let text =
            format!("Serving {url}\n{}\nWatching for changes; Ctrl-C stops.", lines.join("\n"));
        let pages: Vec<_> =
            pages.iter().map(|(id, url)| json!({ "featureId": id, "url": url })).collect();
        self.ui.event(text, &json!({ "event": "serving", "url": url, "features": pages }));
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
