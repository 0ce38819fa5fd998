//! `OTEL_*`, as the OpenTelemetry specification names them.

use std::time::Duration;

use pilar_settings::{SettingError, Settings};

use super::Secret;

/// Where traces and metrics of dynamic requests go, and which.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Whether traces are exported.
    pub traces: bool,
    /// Whether metrics are exported.
    pub metrics: bool,
    /// The collector, without a slash at its end: `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    /// `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers: Vec<(String, Secret)>,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`.
    pub timeout: Duration,
    /// `OTEL_METRIC_EXPORT_INTERVAL`.
    pub interval: Duration,
    /// `OTEL_SERVICE_NAME`.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub attributes: Vec<(String, String)>,
    /// `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    pub sampler: Sampler,
}

/// Which requests are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether those that a caller traces are, and those that it does not are not, whatever the ratio.
    pub asks_parent: bool,
    /// Which part of the others.
    pub ratio: f64,
}

pub(super) fn read(settings: &Settings) -> Result<Option<Telemetry>, SettingError> {
    let has_collector = settings.is_set("OTEL_EXPORTER_OTLP_ENDPOINT");
    let is_on = |name| match settings.value(name) {
        Some(exporter) => exporter == "otlp",
        None => has_collector,
    };
    let (traces, metrics) = (is_on("OTEL_TRACES_EXPORTER"), is_on("OTEL_METRICS_EXPORTER"));
    if settings.flag("OTEL_SDK_DISABLED")? || !(traces || metrics) {
        return Ok(None);
    }
    let milliseconds = |name| settings.number(name).map(Duration::from_millis);
    let headers = settings.pairs("OTEL_EXPORTER_OTLP_HEADERS")?;
    let endpoint = settings.text("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_default();
    Ok(Some(Telemetry {
        traces,
        metrics,
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        headers: headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        timeout: milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT")?,
        interval: milliseconds("OTEL_METRIC_EXPORT_INTERVAL")?,
        service_name: settings.text("OTEL_SERVICE_NAME"),
        attributes: settings.pairs("OTEL_RESOURCE_ATTRIBUTES")?,
        sampler: sampler(settings)?,
    }))
}

fn sampler(settings: &Settings) -> Result<Sampler, SettingError> {
    let name = settings.text("OTEL_TRACES_SAMPLER").unwrap_or_default();
    let own = name.strip_prefix("parentbased_");
    let ratio = match own.unwrap_or(&name) {
        "always_off" => 0.0,
        "traceidratio" => settings.number("OTEL_TRACES_SAMPLER_ARG")?,
        _ => 1.0,
    };
    Ok(Sampler { asks_parent: own.is_some(), ratio })
}
