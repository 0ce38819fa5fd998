//! The report: what was measured, on what, and what came of it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::corpus::write;
use crate::idle::{CONNECTIONS, Idle};
use crate::latency::{GOAL_LOAD, Latency};
use crate::peers::Part;
use crate::rounds::Measured;
use crate::statistics::Spread;
use crate::{Failure, plot};

/// An idle connection takes no more resident memory than this, in bytes.
const IDLE_GOAL: f64 = 1024.0;
/// epoll takes no more CPU than this, in units of what io_uring takes.
const EPOLL_GOAL: f64 = 1.10;

const PLOT: &str = "cpu.svg";

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) machine: Vec<(&'static str, String)>,
    /// Programs and their versions.
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) commit: String,
    pub(crate) command: String,
    pub(crate) date: String,
    pub(crate) rounds: usize,
    pub(crate) measured: Vec<Measured>,
    pub(crate) idle: Vec<Idle>,
    pub(crate) latency: Vec<Latency>,
}

impl Report {
    /// Writes the page and the plot into a directory.
    pub(crate) fn write(&self, out: &Path) -> Result<(), Failure> {
        fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
        if !self.measured.is_empty() {
            write(&out.join(PLOT), plot::draw(&self.measured)?.as_bytes())?;
        }
        let page = out.join("README.md");
        write(&page, self.page().as_bytes())?;
        println!("\n{}", page.display());
        Ok(())
    }

    fn page(&self) -> String {
        let mut page = String::from(include_str!("../report/head.md"));
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "\n`{}` at commit `{}`, {}, {} rounds.\n",
            self.command, self.commit, self.date, self.rounds
        );
        table(
            &mut page,
            &["", ""],
            self.machine.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]),
        );
        page.push('\n');
        table(
            &mut page,
            &["program", "version"],
            self.versions.iter().map(|(name, version)| vec![name.clone(), version.clone()]),
        );
        if !self.measured.is_empty() {
            self.goals(&mut page);
            self.drivers(&mut page);
            self.all_cases(&mut page);
        }
        if !self.idle.is_empty() {
            self.idle(&mut page);
        }
        if !self.latency.is_empty() {
            self.latency(&mut page);
        }
        page.push_str(include_str!("../report/method.md"));
        page
    }

    fn goals(&self, page: &mut String) {
        page.push_str("\n## CPU: the better nginx ÷ pilar-host\n\n");
        let _ = writeln!(page, "![CPU of each server, relative to nginx]({PLOT})\n");
        let rows = self.measured.iter().filter_map(|measured| {
            let ours = measured.ours(Part::Ours)?;
            let nginx = measured.better_nginx()?;
            let ratio = Spread::of_ratios(nginx, ours)?;
            let goal = measured.case.goal;
            Some(vec![
                measured.case.title.to_owned(),
                micros(ours),
                micros(nginx),
                shown(ratio),
                goal.map_or_else(|| "–".to_owned(), |goal| format!("{goal}")),
                verdict(goal.map(|goal| ratio.median >= goal)),
            ])
        });
        table(
            page,
            &[
                "case",
                "pilar-host, µs",
                "better nginx, µs",
                "ratio (least–greatest)",
                "goal",
                "met",
            ],
            rows,
        );
    }

    fn drivers(&self, page: &mut String) {
        page.push_str("\n## CPU: epoll ÷ io_uring\n\nWhere the kernel or a seccomp filter takes io_uring away.\n\n");
        let rows = self.measured.iter().filter_map(|measured| {
            let uring = measured.ours(Part::Ours)?;
            let epoll = measured.ours(Part::OursOnEpoll)?;
            let ratio = Spread::of_ratios(epoll, uring)?;
            Some(vec![
                measured.case.title.to_owned(),
                micros(uring),
                micros(epoll),
                shown(ratio),
                format!("{EPOLL_GOAL:.2}"),
                verdict(Some(ratio.median <= EPOLL_GOAL)),
            ])
        });
        table(
            page,
            &["case", "io_uring, µs", "epoll, µs", "ratio (least–greatest)", "goal at most", "met"],
            rows,
        );
    }

    fn all_cases(&self, page: &mut String) {
        page.push_str("\n## CPU: microseconds for each request, all servers\n\n");
        let Some(first) = self.measured.first() else { return };
        let names = first.rows.iter().map(|row| row.name);
        let head: Vec<&str> = std::iter::once("case").chain(names).collect();
        let rows = self.measured.iter().map(|measured| {
            let values = measured.rows.iter().map(|row| match &row.microseconds {
                Ok(values) => micros(values),
                Err(_) => "–".to_owned(),
            });
            std::iter::once(measured.case.title.to_owned()).chain(values).collect()
        });
        table(page, &head, rows);
        let dashes = self.measured.iter().flat_map(|measured| {
            let rows = measured.rows.iter().filter(|row| row.part != Part::Floor);
            rows.filter_map(|row| Some((measured.case, row.name, row.microseconds.as_ref().err()?)))
        });
        for (at, (case, name, reason)) in dashes.enumerate() {
            if at == 0 {
                page.push_str(
                    "\nA dash is a case that a server cannot do, or that has no floor:\n\n",
                );
            }
            let _ = writeln!(page, "- {name}, {}: {reason}", case.title);
        }
    }

    fn idle(&self, page: &mut String) {
        let _ = writeln!(
            page,
            "\n## Memory of {CONNECTIONS} idle connections\n\nResident memory that each connection adds. \
             The goal for pilar-host is at most {IDLE_GOAL} bytes.\n"
        );
        let rows = self.idle.iter().map(|idle| {
            let is_ours = matches!(idle.part, Part::Ours | Part::OursOnEpoll);
            vec![
                idle.name.to_owned(),
                format!("{:.0}", idle.bytes),
                verdict(is_ours.then_some(idle.bytes <= IDLE_GOAL)),
            ]
        });
        table(page, &["server", "bytes a connection", "met"], rows);
    }

    fn latency(&self, page: &mut String) {
        page.push_str(
            "\n## Latency\n\nMicroseconds from the moment at which a request was due, at 70 % and at 25 % of the \
             rate that oha gets out of the better nginx. The goal is a p99 no worse than that of nginx at 70 %. There \
             oha is as busy as the servers; at 25 % what it sees is more theirs than its own.\n\n",
        );
        let rows = self.latency.iter().map(|latency| {
            let rival = self
                .latency
                .iter()
                .filter(|other| other.load == GOAL_LOAD)
                .find(|other| other.case.id == latency.case.id && other.part == Part::Nginx);
            let is_ours = latency.part == Part::Ours && latency.load == GOAL_LOAD;
            let met = rival.filter(|_| is_ours).map(|nginx| latency.p99.median <= nginx.p99.median);
            let micros = |spread: Spread| {
                let Spread { median, least, greatest } = spread;
                format!("{:.0} ({:.0}–{:.0})", median * 1e6, least * 1e6, greatest * 1e6)
            };
            vec![
                latency.case.title.to_owned(),
                latency.name.to_owned(),
                format!("{:.0} %", latency.load * 100.0),
                format!("{:.0} of {}", latency.rate.median, latency.wanted),
                format!("{:.0} %", latency.busy.median * 100.0),
                micros(latency.p50),
                micros(latency.p99),
                micros(latency.p999),
                verdict(met),
            ]
        });
        table(
            page,
            &[
                "file",
                "server",
                "load",
                "requests a second",
                "core busy",
                "p50",
                "p99",
                "p99.9",
                "met",
            ],
            rows,
        );
    }
}

pub(crate) fn table(page: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(page, "| {} |", head.join(" | "));
    let _ = writeln!(page, "|{}", "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
}

/// The median with three digits that count, whatever its size.
fn micros(values: &[f64]) -> String {
    let Some(Spread { median, .. }) = Spread::of(values.iter().copied()) else {
        return "–".to_owned();
    };
    match median {
        ..10.0 => format!("{median:.2}"),
        ..100.0 => format!("{median:.1}"),
        _ => format!("{median:.0}"),
    }
}

pub(crate) fn shown(spread: Spread) -> String {
    format!("**{:.2}** ({:.2}–{:.2})", spread.median, spread.least, spread.greatest)
}

pub(crate) fn verdict(met: Option<bool>) -> String {
    match met {
        Some(true) => "yes",
        Some(false) => "no",
        None => "–",
    }
    .to_owned()
}
