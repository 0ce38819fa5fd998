//! The machine that the numbers are of.

use std::fs;

use crate::{Failure, network};

/// The processor, its cores, the kernel and the distribution.
pub(crate) fn describe() -> Result<Vec<(&'static str, String)>, Failure> {
    let cpus = read("/proc/cpuinfo")?;
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let model =
        value(&cpus, "model name", ':').unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let family = value(&cpus, "cpu family", ':').unwrap_or_default();
    let number = value(&cpus, "model\t", ':').unwrap_or_default();
    let memory = value(&read("/proc/meminfo")?, "MemTotal", ':').unwrap_or_default();
    let system = value(&read("/etc/os-release")?, "PRETTY_NAME", '=').unwrap_or_default();
    Ok(vec![
        ("processor", format!("{model} (family {family}, model {number}), {cores} cores")),
        ("memory", memory),
        ("kernel", read("/proc/sys/kernel/osrelease")?.trim().to_owned()),
        ("system", system.trim_matches('"').to_owned()),
        ("congestion control", network::congestion_control()?),
    ])
}

/// How many threads ran, or waited to, on average over the last minute.
pub(crate) fn load() -> Result<f64, Failure> {
    let text = read("/proc/loadavg")?;
    let minute = text.split(' ').next().and_then(|number| number.parse().ok());
    minute.ok_or_else(|| format!("/proc/loadavg has no number: {text}"))
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// The value of the first line that begins with `name`.
fn value(text: &str, name: &str, separator: char) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(separator)?.1.trim().to_owned())
}
