//! Dynamic requests become spans and metrics of a collector that is named, in the trace of whoever asked; a collector
//! that is gone or hangs slows nothing down.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use socket2::{Domain, Socket, Type};
use support::tree::{Tree, Version};
use support::{Setup, wait_for};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector for OTLP over HTTP.
struct Collector {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

/// Something that was exported.
#[derive(Debug, Clone)]
struct Received {
    path: String,
    head: String,
    body: Vec<u8>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let kept = received.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let kept = kept.clone();
                thread::spawn(move || while take(&connection, &kept).is_some() {});
            }
        });
        Self { port, received }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn at(&self, path: &str) -> Vec<Received> {
        let received = self.received.lock().unwrap();
        received.iter().filter(|one| one.path == path).cloned().collect()
    }

    fn spans(&self) -> Vec<(Vec<KeyValue>, Span)> {
        let requests = self.at("/v1/traces").into_iter();
        let decoded = requests.map(|one| ExportTraceServiceRequest::decode(&*one.body).unwrap());
        let mut spans = Vec::new();
        for of_resource in decoded.flat_map(|request| request.resource_spans) {
            let resource = of_resource.resource.unwrap().attributes;
            let of_scopes = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(of_scopes.map(|span| (resource.clone(), span)));
        }
        spans
    }
}

/// Reads one request and answers it.
fn take(connection: &TcpStream, kept: &Mutex<Vec<Received>>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1).unwrap().to_owned();
    kept.lock().unwrap().push(Received { path, head, body });
    let mut connection = connection;
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}

fn tree() -> Tree {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    tree
}

fn exporting(tree: &Tree, endpoint: &str) -> Setup {
    Setup::of(tree).with("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|one| one.key == name);
    let value = found.and_then(|one| one.value.clone()?.value);
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::ArrayValue(array)) => {
            let values = array.values.into_iter().map(|one| one.value);
            values
                .map(|value| match value {
                    Some(Value::StringValue(text)) => text,
                    other => panic!("{name}: {other:?}"),
                })
                .collect()
        }
        other => panic!("{name}: {other:?} of {attributes:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_request_is_a_span_of_its_callers_trace_without_its_query() {
    let (tree, collector) = (tree(), Collector::start());
    let host = exporting(&tree, &format!("{}/", collector.url()))
        .with("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=north%20wing")
        .with(
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=of-attributes,deployment.environment.name=test",
        )
        .with("OTEL_SERVICE_NAME", "pilar-of-tests")
        .start();
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", parent.as_str()), ("x-request-id", "ticket-4711")];
    host.request("GET", "/_health/notes?patient=jane", &headers);
    host.get("/_health/nobody");
    host.get("/notes");
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    let spans = collector.spans();
    assert_eq!(spans.len(), 2, "dynamic requests alone: {spans:?}");
    let (resource, span) = spans.iter().find(|(_, span)| hex(&span.trace_id) == TRACE).unwrap();
    assert_eq!(text(resource, "service.name"), "pilar-of-tests");
    assert_eq!(text(resource, "deployment.environment.name"), "test");
    assert_eq!(hex(&span.parent_span_id), PARENT);
    assert_eq!(
        (span.name.as_str(), span.kind),
        ("GET /_health/{feature}", SpanKind::Server as i32)
    );
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/_health/{feature}"),
        ("http.response.status_code", "200"),
        ("http.response.header.x-request-id", "ticket-4711"),
        ("url.path", "/_health/notes"),
        ("url.scheme", "http"),
    ] {
        assert_eq!(text(&span.attributes, name), value, "{name}");
    }
    assert!(!format!("{spans:?}").contains("jane"));
    let other = spans.iter().find(|(_, span)| hex(&span.trace_id) != TRACE).unwrap();
    assert!(other.1.parent_span_id.is_empty(), "a trace of its own");
    assert_eq!(text(&other.1.attributes, "http.response.status_code"), "404");
    assert!(collector.at("/v1/traces")[0].head.contains("x-tenant: north wing\r\n"));
}

#[test]
fn metrics_come_by_themselves() {
    let (tree, collector) = (tree(), Collector::start());
    let host = exporting(&tree, &collector.url()).with("OTEL_METRIC_EXPORT_INTERVAL", "50").start();
    host.get("/_health?patient=jane");
    let durations = wait_for("the metric of a request", || {
        let exported = collector.at("/v1/metrics");
        let request = ExportMetricsServiceRequest::decode(&*exported.last()?.body).unwrap();
        let scopes = request.resource_metrics.into_iter().flat_map(|one| one.scope_metrics);
        let metrics: Vec<_> = scopes.flat_map(|scope| scope.metrics).collect();
        let named = |name: &str| metrics.iter().find(|metric| metric.name == name);
        for name in [
            "pilar.http.requests",
            "pilar.http.responses",
            "pilar.http.sent",
            "pilar.connections.open",
        ] {
            assert!(named(name).is_some(), "{name}");
        }
        let Some(Data::Histogram(histogram)) = &named("http.server.request.duration")?.data else {
            panic!("it is a histogram")
        };
        Some(histogram.data_points.clone())
    });
    assert_eq!(durations.len(), 1);
    assert_eq!(durations[0].count, 1);
    assert_eq!(text(&durations[0].attributes, "http.route"), "/_health");
    assert_eq!(text(&durations[0].attributes, "http.response.status_code"), "200");
}

#[test]
fn callers_decide_what_is_traced_unless_a_sampler_says_otherwise() {
    let unsampled = format!("00-{TRACE}-{PARENT}-00");
    for (sampler, expected) in [(None, 0), (Some("always_on"), 1), (Some("always_off"), 0)] {
        let (tree, collector) = (tree(), Collector::start());
        let mut setup = exporting(&tree, &collector.url());
        if let Some(sampler) = sampler {
            setup = setup.with("OTEL_TRACES_SAMPLER", sampler);
        }
        let host = setup.start();
        host.request("GET", "/_health", &[("traceparent", &unsampled)]);
        host.stop();
        assert_eq!(collector.spans().len(), expected, "{sampler:?}");
    }
}

#[test]
fn a_collector_that_hangs_or_is_gone_slows_nothing_and_does_not_keep_the_host() {
    let tree = tree();
    // Connections wait in its queue for ever.
    let hanging = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // Nobody listens there, and nobody else can take the port to do so.
    let closed = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    closed.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let gone = closed.local_addr().unwrap().as_socket().unwrap();
    for address in [hanging.local_addr().unwrap(), gone] {
        let host = exporting(&tree, &format!("http://{address}"))
            .with("OTEL_METRIC_EXPORT_INTERVAL", "10")
            .start();
        let mut client = host.connect();
        // More than there is room for.
        for _ in 0..3_000 {
            assert_eq!(client.request("GET", "/_ready", &[]).unwrap().status, 200);
        }
        let (status, log) = host.stop();
        assert!(status.success(), "{log}");
        if address == gone {
            assert_eq!(log.matches("telemetry-not-exported").count(), 1, "said once: {log}");
        }
    }
}

#[test]
fn nothing_is_exported_unless_asked_for() {
    let (tree, collector) = (tree(), Collector::start());
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ] {
        let setup = exporting(&tree, &collector.url()).with("OTEL_METRICS_EXPORTER", "none");
        let host = setup.with(name, value).start();
        host.get("/_health");
        host.stop();
    }
    assert!(collector.received.lock().unwrap().is_empty());
}

#[test]
fn what_is_not_supported_is_refused_or_named_and_no_header_is_shown() {
    let tree = tree();
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=s3cret"),
        ("OTEL_RESOURCE_ATTRIBUTES", "no value"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
    ] {
        let output = Setup::of(&tree).with(name, value).ends();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {message}");
        assert!(message.contains(name) && message.contains("config-bad-value"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
    let host = Setup::of(&tree).with("OTEL_LOGS_EXPORTER", "otlp").start();
    let (_, log) = host.stop();
    assert!(log.contains("OTEL_LOGS_EXPORTER is not a variable of the host"), "{log}");
}
