//! What every exporter says of its process, under the names that all of them use. Where /proc has no answer, the
//! metric has none.

use std::fmt;
use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use pilar_metrics::{BYTES, Page, SECONDS, one};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

#[derive(Debug)]
pub(super) struct Process {
    pub(super) started_at: Timestamp,
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let started = self.started_at.as_second() as f64;
        page.gauge("start_time", "When the process started.", SECONDS, one(started))?;
        page.counter("cpu", "Processor time of all threads.", SECONDS, one(cpu_seconds()))?;
        let help = "Memory that it holds now, sealed files included.";
        page.gauge("resident_memory", help, BYTES, resident_bytes().into_iter().flat_map(one))?;
        let open = fs::read_dir("/proc/self/fd").map(|entries| entries.count() as f64);
        page.gauge("open_fds", "Open descriptors.", None, open.into_iter().flat_map(one))?;
        let most = getrlimit(Resource::Nofile).current.map(|limit| limit as f64);
        let help = "Descriptors that it may open.";
        page.gauge("max_fds", help, None, most.into_iter().flat_map(one))
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default().as_secs_f64()
}

/// proc_pid_statm(5): the second number counts pages.
fn resident_bytes() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages as f64 * page_size() as f64)
}
