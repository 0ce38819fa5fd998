//! The page that says what was measured, on what, and what came of it.

use std::fmt::Write as _;
use std::path::Path;

use super::cold::{self, Against, Cold};
use super::publish::{self, Publish};
use super::registration::{Registration, Times};
use super::rollout::{self, Rollout};
use crate::Failure;
use crate::corpus::write;
use crate::report::{shown, table, verdict};
use crate::statistics::Spread;

/// A cold start takes no more than this, in units of what hashing the same bytes takes.
const COLD_GOAL: f64 = 1.3;
const MEGABYTE: f64 = 1e6;

/// All that was measured.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) machine: Vec<(&'static str, String)>,
    /// How many threads ran, or waited to, on average over the minute before.
    pub(super) busy: f64,
    pub(super) wrk: String,
    pub(super) commit: String,
    pub(super) date: String,
    pub(super) rollout: Rollout,
    pub(super) publish: Publish,
    pub(super) registration: Registration,
    pub(super) cold: Cold,
}

impl Page {
    /// Writes the page.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        write(path, self.text().as_bytes())?;
        println!("\n{}", path.display());
        Ok(())
    }

    fn text(&self) -> String {
        let mut page = String::from(
            "# Releases, starts and memory\n\nWritten by `cargo xtask measure`; change nothing here by hand.\n",
        );
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "\n`cargo xtask measure` at commit `{}`, {}: pilar-host {}, wrk {}.\n",
            self.commit,
            self.date,
            env!("CARGO_PKG_VERSION"),
            self.wrk
        );
        let busy = ("load average before", format!("{:.2}: what else ran counts in", self.busy));
        let rows = self.machine.iter().cloned().chain([busy]);
        table(&mut page, &["", ""], rows.map(|(name, value)| vec![name.to_owned(), value]));
        self.rollout(&mut page);
        self.publish(&mut page);
        self.registration(&mut page);
        self.cold(&mut page);
        self.memory(&mut page);
        page
    }

    fn rollout(&self, page: &mut String) {
        let Rollout { p50, p99, longest, requests, asked, rate } = &self.rollout;
        let _ = writeln!(
            page,
            "\n## From a changed `releases.json` to the first reply from the new version\n\n\
             {} features watched by a host that is held to one core. wrk asks for their shells and assets over {} connections from \
             the other core, as fast as it is answered: {rate:.0} requests a second. {} times a version of any feature is \
             placed, and {} ms later its `releases.json` replaced by a rename. The time runs from before the rename \
             until its shell, asked for every millisecond, names the new version. 50 ms of it are the host waiting for the directory \
             to come to rest.\n",
            rollout::FEATURES,
            rollout::CONNECTIONS,
            rollout::ROUNDS,
            rollout::REST.as_millis(),
        );
        let row = vec![format!("{p50:.0}"), format!("{p99:.0}"), format!("{longest:.0}")];
        table(page, &["p50, ms", "p99, ms", "longest, ms"], std::iter::once(row));
        let _ = writeln!(
            page,
            "\nLost requests: **0** of {} (a run that loses one fails): no connection refused or cut, no status but success, \
             no reply that did not come within 10 s.",
            requests + asked
        );
    }

    fn publish(&self, page: &mut String) {
        let Publish { returned, served } = &self.publish;
        let _ = writeln!(
            page,
            "\n## From `pilar publish`\n\n{} versions of a feature of three files, published one after the other \
             to a watching host without load.\n",
            publish::ROUNDS
        );
        let row = |what: &str, spread: &Spread| vec![what.to_owned(), milliseconds(spread)];
        let rows = [
            row("until it returned", returned),
            row("until the first reply from the new version", served),
        ];
        table(
            page,
            &["from the start of `pilar publish`", "ms (least–greatest)"],
            rows.into_iter(),
        );
    }

    fn registration(&self, page: &mut String) {
        let Registration { replicas, changes, told, served, features, bytes, starts, init, ready } =
            &self.registration;
        let _ = writeln!(
            page,
            "\n## From a registration to served\n\n{replicas} replicas, each a loader and a host with a directory of its own, follow a real \
             kube-apiserver with etcd and a real registry, all on this machine. {changes} times a ConfigMap is changed to the image \
             of the next version, which `pilar image push` has put into the registry. The time runs from before the API server is \
             told until a replica's page, asked for every millisecond, names the new version: of all replicas and changes.\n",
        );
        let row = |what: &str, Times { p50, p99, longest }: &Times| {
            let times = [p50, p99, longest].map(|time| format!("{time:.0}"));
            [vec![what.to_owned()], times.to_vec()].concat()
        };
        let rows = [
            row("the API server has done so", told),
            row("a replica serves the new version", served),
        ];
        let head = ["from before the change until", "p50, ms", "p99, ms", "longest, ms"];
        table(page, &head, rows.into_iter());
        let _ = writeln!(
            page,
            "\nA replica that has nothing yet, with {features} features of {:.0} KiB registered, {starts} times:\n",
            *bytes as f64 / 1024.0
        );
        let row = |what: &str, spread: &Spread| vec![what.to_owned(), milliseconds(spread)];
        let rows =
            [row("`pilar-loader init` has ended", init), row("the host behind it is ready", ready)];
        table(
            page,
            &["from the start of `pilar-loader init` until", "ms (least–greatest)"],
            rows.into_iter(),
        );
    }

    fn cold(&self, page: &mut String) {
        let Cold { bytes, threads, ready, whole, .. } = &self.cold;
        let _ = writeln!(
            page,
            "\n## Cold start\n\n{} features with {} versions each, {:.0} MB in all: three files of 4 to 96 KiB a version. \
             From the start of the process until `/_ready` answers 200, which takes the versions that serve; and until all \
             versions are verified and reachable. Beside it: {threads} threads that read and hash (SHA-256, the \
             same code) the same files, and as many that make all 13 checks of the same versions and keep nothing, which \
             is the least that a start can take: the signatures of an index and a manifest take some 90 µs, as long as hashing 150 KB. Files are in the page cache; {} rounds in turns, ratios within a round.\n",
            cold::FEATURES,
            cold::VERSIONS,
            *bytes as f64 / MEGABYTE,
            cold::ROUNDS,
        );
        let row = |what: &str, against: &Against| {
            vec![
                what.to_owned(),
                milliseconds(&against.host),
                milliseconds(&against.checking),
                shown(against.to_checking),
                milliseconds(&against.hashing),
                shown(against.to_hashing),
                format!("{COLD_GOAL}"),
                verdict(Some(against.to_hashing.median <= COLD_GOAL)),
            ]
        };
        let rows = [row("ready, with what serves", ready), row("with all versions", whole)];
        table(
            page,
            &[
                "",
                "pilar-host, ms",
                "checking, ms",
                "÷ checking (least–greatest)",
                "hashing, ms",
                "÷ hashing",
                "goal at most",
                "met",
            ],
            rows.into_iter(),
        );
    }

    fn memory(&self, page: &mut String) {
        let Cold { bytes, memory, .. } = &self.cold;
        page.push_str(
            "\n## Memory\n\nOf the same host with all versions. Sealed files are the artifacts themselves, held once; of \
             them only what was touched is resident. All it holds is the sealed files and its own memory.\n\n",
        );
        let row = |what: &str, held: u64| {
            let each = held as f64 / *bytes as f64;
            vec![what.to_owned(), format!("{:.1}", held as f64 / MEGABYTE), format!("{each:.2}")]
        };
        let rows = [
            row("resident", memory.resident),
            row("sealed files", memory.sealed),
            row("its own (anonymous)", memory.anonymous),
            row("all it holds", memory.sealed + memory.anonymous),
        ];
        table(page, &["", "MB", "MB for each MB of artifacts"], rows.into_iter());
    }
}

fn milliseconds(spread: &Spread) -> String {
    format!("{:.0} ({:.0}–{:.0})", spread.median, spread.least, spread.greatest)
}
