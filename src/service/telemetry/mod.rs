//! Traces and metrics of dynamic requests, exported by OTLP (`OTEL_*`).
//!
//! Nothing here waits for the collector: spans go into a queue that drops what it has no room for, and threads of the
//! SDK export. What stops the host waits for them for a bounded time.

mod export;

use std::time::{Duration, Instant};

use axum::extract::MatchedPath;
use http::{Method, Request, StatusCode};
use opentelemetry::metrics::{Histogram, MeterProvider as _};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span, SpanLimits,
};
use opentelemetry_semantic_conventions::{attribute, metric, resource};

use crate::config;
use crate::edge::{CLASSES, Counts, Limit, Meter};
use export::Client;

/// The attribute that finds a request in the logs.
const REQUEST_ID: &str = "http.response.header.x-request-id";

/// Bounds of the histogram of durations, in seconds (semantic conventions, HTTP metrics).
const DURATIONS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Spans that wait for the collector, and that are sent together.
const MOST_WAITING: usize = 2048;
const BATCH: usize = 512;
/// How long a span waits for others.
const DELAY: Duration = Duration::from_secs(5);

/// What is exported, and to where.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<(SdkTracerProvider, SdkTracer)>,
    metrics: Option<(SdkMeterProvider, Histogram<f64>)>,
    propagator: TraceContextPropagator,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Exchange {
    span: Option<Span>,
    /// Attributes that spans and metrics share.
    labels: Vec<KeyValue>,
    begun: Instant,
}

impl Telemetry {
    /// Starts the threads that export.
    ///
    /// # Errors
    /// What the SDK does not take of its configuration.
    pub fn start(
        config: &config::Telemetry,
        version: &'static str,
        meter: &Meter,
    ) -> Result<Self, ExporterBuildError> {
        let resource = resource(config, version);
        let client = Client::new(config);
        let traces = config.traces.then(|| traces(config, version, resource.clone(), &client));
        let metrics = config.metrics.then(|| metrics(config, version, resource, &client, meter));
        Ok(Self {
            traces: traces.transpose()?,
            metrics: metrics.transpose()?,
            propagator: TraceContextPropagator::new(),
        })
    }

    /// A request begins; its trace goes on if it says that it is part of one.
    pub(super) fn begin<B>(&self, request: &Request<B>, request_id: &str) -> Exchange {
        let method = known_method(request.method());
        let route =
            request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
        let mut labels = vec![
            KeyValue::new(attribute::HTTP_REQUEST_METHOD, method),
            KeyValue::new(attribute::URL_SCHEME, "http"),
        ];
        labels.extend(route.clone().map(|route| KeyValue::new(attribute::HTTP_ROUTE, route)));
        let span = self.traces.as_ref().map(|(_, tracer)| {
            let parent = self.propagator.extract(&HeaderExtractor(request.headers()));
            let name = match route {
                Some(route) => format!("{method} {route}"),
                None => method.to_owned(),
            };
            let ids = Array::String(vec![StringValue::from(request_id.to_owned())]);
            // Never the query, which may be about a patient.
            let attributes = labels.iter().cloned().chain([
                KeyValue::new(attribute::URL_PATH, request.uri().path().to_owned()),
                KeyValue::new(REQUEST_ID, Value::Array(ids)),
            ]);
            let builder = tracer.span_builder(name).with_kind(SpanKind::Server);
            builder.with_attributes(attributes).start_with_context(tracer, &parent)
        });
        Exchange { span, labels, begun: Instant::now() }
    }

    /// A request was answered.
    pub(super) fn end(&self, exchange: Exchange, status: StatusCode) {
        let Exchange { span, mut labels, begun } = exchange;
        let code = status.as_u16();
        let mut outcome =
            vec![KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(code))];
        if status.is_server_error() {
            outcome.push(KeyValue::new(attribute::ERROR_TYPE, code.to_string()));
        }
        if let Some(mut span) = span {
            span.set_attributes(outcome.clone());
            if status.is_server_error() {
                span.set_status(Status::error(""));
            }
            span.end();
        }
        if let Some((_, duration)) = &self.metrics {
            labels.append(&mut outcome);
            duration.record(begun.elapsed().as_secs_f64(), &labels);
        }
    }

    /// Exports what is left. Blocks for as long as the collector takes, a few seconds at the most.
    pub fn shut_down(&self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        // The client has said in the log what the collector does not take.
        if let Some((provider, _)) = &self.traces {
            let _ = provider.shutdown_with_timeout(PATIENCE);
        }
        if let Some((provider, _)) = &self.metrics {
            let _ = provider.shutdown();
        }
    }
}

fn resource(config: &config::Telemetry, version: &'static str) -> Resource {
    // Not the detectors of the SDK: they read the environment once more.
    let given = config.attributes.iter().cloned().map(|(name, value)| KeyValue::new(name, value));
    let name = config.service_name.clone();
    Resource::builder_empty()
        .with_attribute(KeyValue::new(resource::SERVICE_NAME, "pilar-host"))
        .with_attribute(KeyValue::new(resource::SERVICE_VERSION, version))
        .with_attributes(given)
        .with_attributes(name.map(|name| KeyValue::new(resource::SERVICE_NAME, name)))
        .build()
}

fn traces(
    config: &config::Telemetry,
    version: &'static str,
    resource: Resource,
    client: &Client,
) -> Result<(SdkTracerProvider, SdkTracer), ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client.clone())
        .with_endpoint(format!("{}/v1/traces", config.endpoint))
        .with_timeout(config.timeout)
        .build()?;
    // Each value is given, because the SDK would look for it in the environment.
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(MOST_WAITING)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(DELAY)
        .build();
    let config::Sampler { asks_parent, ratio } = config.sampler;
    let own = match ratio {
        1.0 => Sampler::AlwaysOn,
        0.0 => Sampler::AlwaysOff,
        ratio => Sampler::TraceIdRatioBased(ratio),
    };
    let sampler = if asks_parent { Sampler::ParentBased(Box::new(own)) } else { own };
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batch).build())
        .with_sampler(sampler)
        .with_span_limits(SpanLimits::default())
        .with_resource(resource)
        .build();
    let tracer = provider.tracer_with_scope(scope(version));
    Ok((provider, tracer))
}

fn metrics(
    config: &config::Telemetry,
    version: &'static str,
    resource: Resource,
    client: &Client,
    counted: &Meter,
) -> Result<(SdkMeterProvider, Histogram<f64>), ExporterBuildError> {
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(client.clone())
        .with_endpoint(format!("{}/v1/metrics", config.endpoint))
        .with_timeout(config.timeout)
        .build()?;
    let reader = PeriodicReader::builder(exporter).with_interval(config.interval).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
    let meter = provider.meter_with_scope(scope(version));
    let duration = meter
        .f64_histogram(metric::HTTP_SERVER_REQUEST_DURATION)
        .with_unit("s")
        .with_description("Duration of dynamic requests, at the service plane.")
        .with_boundaries(DURATIONS.to_vec())
        .build();
    let counter = |name, unit, description, count: fn(&Counts) -> u64| {
        let counted = counted.clone();
        let counter =
            meter.u64_observable_counter(name).with_unit(unit).with_description(description);
        counter
            .with_callback(move |observer| observer.observe(count(&counted.counts()), &[]))
            .build();
    };
    let read = "Requests whose head was read.";
    counter("pilar.http.requests", "{request}", read, |counts| counts.requests);
    counter("pilar.http.sent", "By", "Bytes of all replies.", |counts| counts.bytes_out);
    let (by_class, by_limit, open) = (counted.clone(), counted.clone(), counted.clone());
    meter
        .u64_observable_counter("pilar.http.responses")
        .with_unit("{response}")
        .with_description("Replies by the first digit of their status.")
        .with_callback(move |observer| {
            for (class, count) in CLASS_NAMES.into_iter().zip(by_class.counts().responses) {
                observer.observe(count, &[KeyValue::new("class", class)]);
            }
        })
        .build();
    meter
        .u64_observable_counter("pilar.limits.reached")
        .with_unit("{time}")
        .with_description("Times that a client came up against a limit.")
        .with_callback(move |observer| {
            let counts = by_limit.counts();
            for limit in Limit::ALL {
                observer.observe(counts.reached(limit), &[KeyValue::new("limit", limit.name())]);
            }
        })
        .build();
    meter
        .i64_observable_up_down_counter("pilar.connections.open")
        .with_unit("{connection}")
        .with_description("Connections that are open.")
        .with_callback(move |observer| {
            let open = i64::try_from(open.counts().connections_open).unwrap_or(i64::MAX);
            observer.observe(open, &[]);
        })
        .build();
    Ok((provider, duration))
}

const CLASS_NAMES: [&str; CLASSES] = ["2xx", "3xx", "4xx", "5xx"];

fn scope(version: &'static str) -> InstrumentationScope {
    InstrumentationScope::builder("pilar-host").with_version(version).build()
}

/// Methods are a label of metrics, so that clients may not make them up.
fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}
