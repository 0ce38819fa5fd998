//! The Admin UI at `/_admin` (contract §7): what someone opens who is worried.
//!
//! Pages are pure functions from a [`View`] to HTML. They need no script to be read; with one, times stay
//! current and the figures of the traffic change by themselves. Who may see them, and where their data comes
//! from, is decided elsewhere.

pub mod assets;
mod chart;
pub mod pages;
mod traffic;
mod words;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::catalog::Watching;
use crate::control::History;
use crate::loader_report::LoaderReport;
use crate::snapshot::Snapshot;

pub use traffic::{MINUTES, Minute, Series, Traffic};

/// The content security policy of every page: nothing inline, nothing from elsewhere, no frames.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What the pages are made from.
#[derive(Debug)]
pub struct View<'a> {
    /// What serves.
    pub snapshot: &'a Snapshot,
    /// What happened.
    pub history: &'a History,
    /// What was asked for, and how it was answered.
    pub traffic: &'a Traffic,
    /// The process.
    pub host: HostFacts,
    /// What the loader last wrote; none where no loader is at work.
    pub loader: Option<Arc<LoaderReport>>,
    /// What each form sends back in its field `csrf`.
    pub csrf: &'a str,
    /// Whether there is a session to end.
    pub signed_in: bool,
    /// What the last form that was sent did.
    pub notice: Option<Notice>,
    /// The time that the page is of.
    pub now: Timestamp,
}

/// The process that serves.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// Its version.
    pub version: String,
    /// The I/O set-up in use.
    pub driver: String,
    /// How large bodies are sent.
    pub body_sender: String,
    /// Edge threads.
    pub workers: usize,
    /// When it started.
    pub started_at: Timestamp,
    /// How long ago that was, by the monotonic clock.
    pub uptime: Duration,
    /// Whether changes are noticed.
    pub watching: Watching,
    /// Why the last refresh failed as a whole, if it did.
    pub refresh_error: Option<String>,
    /// Whether it wants traffic.
    pub readiness: Readiness,
}

/// What `/_ready` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It wants traffic.
    Ready,
    /// The file of `FEATURE_READY_SENTINEL_PATH` is not there yet.
    Waiting,
    /// It is about to stop.
    Draining,
}

/// What a form did, for the page that comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The artifacts were looked at again.
    Refreshed,
    /// They could not be.
    RefreshFailed,
}
