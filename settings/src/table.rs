//! Every variable of the host, in one table. `docs/configuration.md` is generated from it and from that of the
//! loader.

/// One variable of the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value where it is not set.
    pub default: Option<&'static str>,
    /// Whether something acts on it.
    pub state: State,
    /// What it does.
    pub doc: &'static str,
}

/// What a variable takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Any text; its value is never shown.
    Secret,
    /// A switch.
    Flag,
    /// A whole number.
    Number {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A path in the file system.
    Path,
    /// A path on this host.
    LocalPath,
    /// An http or https URL.
    Url,
    /// An IP address.
    Address,
    /// A number from 0 to 1.
    Ratio,
    /// Names and values, as the OpenTelemetry specification writes them.
    Pairs,
    /// The same; the values are never shown.
    SecretPairs,
    /// One of some words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// What is allowed, in words.
    pub fn allowed(self) -> String {
        match self {
            Self::Text | Self::Secret => "text".to_owned(),
            Self::Flag => "1, true, yes or on; 0, false, no or off".to_owned(),
            Self::Number { min, max: MAX } => format!("a whole number from {min}"),
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Path => "a path".to_owned(),
            Self::LocalPath => "a path on this host that starts with one \"/\"".to_owned(),
            Self::Url => "an http or https URL".to_owned(),
            Self::Address => "an IP address".to_owned(),
            Self::Ratio => "a number from 0 to 1".to_owned(),
            Self::Pairs | Self::SecretPairs => {
                "name=value,name=value, with other characters escaped by percent signs".to_owned()
            }
            Self::Choice(choices) => format!("one of {}", choices.join(", ")),
        }
    }
}

/// Whether something acts on a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It takes effect.
    Active,
    /// It is part of the contract and checked, but nothing acts on it yet; setting it is logged.
    Reserved,
}

pub(crate) const MAX: u64 = u64::MAX;

/// The table.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "PORT",
        kind: Kind::Number { min: 0, max: 65535 },
        default: Some("3000"),
        state: State::Active,
        doc: "Port to listen on; 0 takes a free one and prints it.",
    },
    Variable {
        name: "HOST_BIND",
        kind: Kind::Address,
        default: None,
        state: State::Active,
        doc: "Address to listen on; default every address, IPv6 and IPv4.",
    },
    Variable {
        name: "NODE_ENV",
        kind: Kind::Text,
        default: None,
        state: State::Active,
        doc: "`production`, in exactly this spelling, turns on JSON logs and refuses settings that are for development.",
    },
    Variable {
        name: "ARTIFACTS_DIR",
        kind: Kind::Path,
        default: Some("artifacts"),
        state: State::Active,
        doc: "The directory of artifacts.",
    },
    Variable {
        name: "HOT_REFRESH_WATCH",
        kind: Kind::Flag,
        default: None,
        state: State::Active,
        doc: "Watch the artifacts directory and refresh when it changes.",
    },
    TRUSTED_KEYS_JSON,
    TRUSTED_KEYS_PATH,
    INSECURE_DEV_KEYS,
    Variable {
        name: "FEATURE_READY_SENTINEL_PATH",
        kind: Kind::Path,
        default: None,
        state: State::Active,
        doc: "`/_ready` answers 503 until this file exists.",
    },
    Variable {
        name: "FEATURE_RETAIN_SECONDS",
        kind: Kind::Number { min: 0, max: 31_536_000 },
        default: Some("86400"),
        state: State::Active,
        doc: "Seconds for which assets of a version that served stay reachable.",
    },
    Variable {
        name: "FEATURE_RETAIN_MAX_BYTES",
        kind: Kind::Number { min: 0, max: MAX },
        default: Some("268435456"),
        state: State::Active,
        doc: "Bytes of versions in memory that do not serve, at the most; those that served longest ago go first.",
    },
    Variable {
        name: "HOST_WORKERS",
        kind: Kind::Number { min: 1, max: 1024 },
        default: None,
        state: State::Active,
        doc: "Edge threads; default one for each core.",
    },
    Variable {
        name: "HOST_IO_DRIVER",
        kind: Kind::Choice(&["auto", "io_uring", "epoll"]),
        default: Some("auto"),
        state: State::Active,
        doc: "`auto` takes io_uring where the kernel allows it, else epoll.",
    },
    Variable {
        name: "HOST_BODY_SENDER",
        kind: Kind::Choice(&["sendfile", "send"]),
        default: Some("sendfile"),
        state: State::Active,
        doc: "How bodies over 16 KiB are sent: `sendfile` hands their pages to the kernel, `send` copies them.",
    },
    Variable {
        name: "HOST_UNIX_SOCKET",
        kind: Kind::Path,
        default: None,
        state: State::Active,
        doc: "A unix socket to listen on as well, for this user and group; removed at the end.",
    },
    Variable {
        name: "LISTEN_FDS",
        kind: Kind::Number { min: 0, max: 64 },
        default: None,
        state: State::Active,
        doc: "Set by a service manager: listening sockets that it passes from descriptor 3 on. They are used in place of `PORT` and `HOST_BIND`, and stay open through a restart.",
    },
    Variable {
        name: "LISTEN_PID",
        kind: Kind::Number { min: 1, max: 4_194_304 },
        default: None,
        state: State::Active,
        doc: "Set by a service manager: the process that `LISTEN_FDS` is for; another one ignores it.",
    },
    Variable {
        name: "HOST_MAX_CONNECTIONS",
        kind: Kind::Number { min: 1, max: 1_000_000 },
        default: Some("16384"),
        state: State::Active,
        doc: "Open connections of each edge thread; one more is answered with 503.",
    },
    Variable {
        name: "HOST_MAX_CONNECTIONS_PER_IP",
        kind: Kind::Number { min: 1, max: 1_000_000 },
        default: None,
        state: State::Active,
        doc: "Open connections of each client address; one more is answered with 429. Leave it unset behind a proxy, where all clients have one address.",
    },
    Variable {
        name: "HOST_IDLE_TIMEOUT_SECONDS",
        kind: Kind::Number { min: 1, max: 86_400 },
        default: Some("75"),
        state: State::Active,
        doc: "Seconds for which a connection may wait for its next request; give it more than a load balancer in front keeps one.",
    },
    Variable {
        name: "HOST_MIN_SEND_RATE",
        kind: Kind::Number { min: 0, max: 1_000_000_000 },
        default: Some("240"),
        state: State::Active,
        doc: "Bytes per second that a client has to take of a reply, on average over any 30 s; a slower one is reset. 0 asks for one byte in 30 s.",
    },
    Variable {
        name: "HOST_ROOT_REDIRECT",
        kind: Kind::LocalPath,
        default: None,
        state: State::Active,
        doc: "Where `/` leads; default the start page.",
    },
    Variable {
        name: "HOST_DRAIN_SECONDS",
        kind: Kind::Number { min: 0, max: 3600 },
        default: Some("10"),
        state: State::Active,
        doc: "Seconds after SIGTERM for which the host goes on serving; requests in flight then get 4 s more.",
    },
    Variable {
        name: "HOST_ADMIN_PORT",
        kind: Kind::Number { min: 0, max: 65535 },
        default: None,
        state: State::Active,
        doc: "Moves `/_admin` to a port of its own, on the address of `HOST_BIND`; 0 takes a free one and prints it.",
    },
    Variable {
        name: "HOST_ACCESS_LOG",
        kind: Kind::Flag,
        default: None,
        state: State::Active,
        doc: "Write one JSON line on the standard output for each request: method, path without its query, status, bytes, time, client. Lines that find no room are dropped and counted.",
    },
    Variable {
        name: "HOST_LOGIN_URL",
        kind: Kind::Url,
        default: None,
        state: State::Reserved,
        doc: "Where people sign in.",
    },
    Variable {
        name: "HOST_AUTH_PLUGIN",
        kind: Kind::Path,
        default: None,
        state: State::Reserved,
        doc: "A JS module that exports `authorizeRpcRequest`.",
    },
    Variable {
        name: "FEATURE_REMOTE_INDEX_URL",
        kind: Kind::Url,
        default: None,
        state: State::Reserved,
        doc: "The remote index of a CDN.",
    },
    Variable {
        name: "FEATURE_REMOTE_POLL_MS",
        kind: Kind::Number { min: 0, max: 86_400_000 },
        default: Some("0"),
        state: State::Reserved,
        doc: "Milliseconds between looks at the remote index; 0 never looks again.",
    },
    Variable {
        name: "ADMIN_AUTH_TOKEN",
        kind: Kind::Secret,
        default: None,
        state: State::Active,
        doc: "Opens `/_admin` to whoever has this bearer token, and to people who sign in with it. Without it there is no `/_admin`. Sessions are signed by a key that is derived from it: they hold on every replica and through a restart, and a new token ends all of them.",
    },
    Variable {
        name: "ALLOW_UNAUTHENTICATED_ADMIN",
        kind: Kind::Flag,
        default: None,
        state: State::Active,
        doc: "Opens `/_admin` to everybody, for development; refused in production and beside `ADMIN_AUTH_TOKEN`.",
    },
    Variable {
        name: "TRUST_PROXY_HEADERS",
        kind: Kind::Flag,
        default: None,
        state: State::Active,
        doc: "Take the last address of `x-forwarded-for` for the client's, in the logs and where wrong tokens are counted. Only behind a proxy that writes it, since a client can write anything there.",
    },
    Variable {
        name: "RPC_AUTH_TOKEN",
        kind: Kind::Secret,
        default: None,
        state: State::Reserved,
        doc: "Bearer token of server functions.",
    },
    Variable {
        name: "RPC_MAX_BODY_BYTES",
        kind: Kind::Number { min: 1, max: 1_073_741_824 },
        default: Some("1048576"),
        state: State::Reserved,
        doc: "Bytes of a server function's request body.",
    },
    Variable {
        name: "RPC_MAX_EXECUTION_MS",
        kind: Kind::Number { min: 1, max: 3_600_000 },
        default: Some("30000"),
        state: State::Reserved,
        doc: "Milliseconds that a server function may take.",
    },
    Variable {
        name: "RPC_MODULE_ALLOWED_HOSTS",
        kind: Kind::Text,
        default: None,
        state: State::Reserved,
        doc: "Hosts that `fetch` in server modules may reach.",
    },
    Variable {
        name: "RATE_LIMIT_RPC_MAX",
        kind: Kind::Number { min: 1, max: 1_000_000_000 },
        default: Some("100"),
        state: State::Reserved,
        doc: "Server function calls in a window.",
    },
    Variable {
        name: "RATE_LIMIT_RPC_WINDOW_MS",
        kind: Kind::Number { min: 1, max: 86_400_000 },
        default: Some("60000"),
        state: State::Reserved,
        doc: "Length of the window in milliseconds.",
    },
    Variable {
        name: "DFS_AUTHORITY",
        kind: Kind::Url,
        default: None,
        state: State::Reserved,
        doc: "The OIDC provider.",
    },
    Variable {
        name: "DFS_AUDIENCE",
        kind: Kind::Text,
        default: None,
        state: State::Reserved,
        doc: "The audience of access tokens.",
    },
    Variable {
        name: "DFS_VALIDATE_ACCESS_TOKEN",
        kind: Kind::Flag,
        default: None,
        state: State::Reserved,
        doc: "Validate access tokens.",
    },
    Variable {
        name: "DFS_ROLES_CLAIM",
        kind: Kind::Text,
        default: Some("roles"),
        state: State::Reserved,
        doc: "The claim that holds roles.",
    },
    Variable {
        name: "DFS_TENANT_CLAIM",
        kind: Kind::Text,
        default: None,
        state: State::Reserved,
        doc: "The claim that holds the tenant.",
    },
    Variable {
        name: "DIPS_TRUST_CLUSTER_AUTH",
        kind: Kind::Flag,
        default: None,
        state: State::Reserved,
        doc: "Trust the identity that the cluster's ingress forwards.",
    },
    Variable {
        name: "TRUST_CLUSTER_INGRESS_HEADER",
        kind: Kind::Text,
        default: None,
        state: State::Reserved,
        doc: "The header that marks requests from the ingress.",
    },
    Variable {
        name: "TRUST_CLUSTER_INGRESS_VALUE",
        kind: Kind::Secret,
        default: None,
        state: State::Reserved,
        doc: "Its value.",
    },
    Variable {
        name: "TRUST_CLUSTER_REQUIRE_INGRESS_HEADER",
        kind: Kind::Flag,
        default: Some("true"),
        state: State::Reserved,
        doc: "Require that header.",
    },
    Variable {
        name: "FALLBACK_CACHE_ENABLED",
        kind: Kind::Flag,
        default: Some("true"),
        state: State::Active,
        doc: "Keep listed versions that do not serve in memory, for pages that are still open and to fall back to, \
              within `FEATURE_RETAIN_MAX_BYTES`.",
    },
    Variable {
        name: "FALLBACK_CACHE_MAX_ENTRIES",
        kind: Kind::Number { min: 0, max: 1_000_000 },
        default: Some("100"),
        state: State::Active,
        doc: "How many of them.",
    },
    Variable {
        name: "API_PROXY_BASE_URL",
        kind: Kind::Url,
        default: None,
        state: State::Reserved,
        doc: "Where `/api/*` leads.",
    },
    Variable {
        name: "API_PROXY_TIMEOUT_MS",
        kind: Kind::Number { min: 1, max: 3_600_000 },
        default: Some("15000"),
        state: State::Reserved,
        doc: "Milliseconds to wait for it.",
    },
    Variable {
        name: "API_PROXY_ALLOWED_PATHS",
        kind: Kind::Text,
        default: None,
        state: State::Reserved,
        doc: "Paths that are proxied.",
    },
    Variable {
        name: "API_PROXY_FORWARD_IDENTITY_TICKET",
        kind: Kind::Flag,
        default: Some("true"),
        state: State::Reserved,
        doc: "Forward the identity ticket.",
    },
    Variable {
        name: "API_PROXY_FORWARD_DIPS_TICKET",
        kind: Kind::Flag,
        default: None,
        state: State::Reserved,
        doc: "The older name of API_PROXY_FORWARD_IDENTITY_TICKET.",
    },
    Variable {
        name: "API_PROXY_STRICT_IDENTITY_ENRICHMENT",
        kind: Kind::Flag,
        default: Some("false"),
        state: State::Reserved,
        doc: "Refuse requests whose identity cannot be enriched.",
    },
    Variable {
        name: "CIRCUIT_BREAKER_FAILURE_THRESHOLD",
        kind: Kind::Number { min: 1, max: 1_000_000 },
        default: Some("5"),
        state: State::Reserved,
        doc: "Failures after which a backend rests.",
    },
    Variable {
        name: "CIRCUIT_BREAKER_RESET_TIMEOUT_MS",
        kind: Kind::Number { min: 1, max: 86_400_000 },
        default: Some("30000"),
        state: State::Reserved,
        doc: "Milliseconds that it rests.",
    },
    Variable {
        name: "OTEL_SDK_DISABLED",
        kind: Kind::Flag,
        default: Some("false"),
        state: State::Active,
        doc: "Exports nothing, whatever the other variables say.",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT",
        kind: Kind::Url,
        default: Some("http://localhost:4318"),
        state: State::Active,
        doc: "The collector. Setting it turns traces and metrics of dynamic requests on; `/v1/traces` and `/v1/metrics` are added to it.",
    },
    Variable {
        name: "OTEL_TRACES_EXPORTER",
        kind: Kind::Choice(&["otlp", "none"]),
        default: None,
        state: State::Active,
        doc: "`otlp` exports traces without `OTEL_EXPORTER_OTLP_ENDPOINT` as well, `none` never.",
    },
    Variable {
        name: "OTEL_METRICS_EXPORTER",
        kind: Kind::Choice(&["otlp", "none"]),
        default: None,
        state: State::Active,
        doc: "The same for metrics.",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_PROTOCOL",
        kind: Kind::Choice(&["http/protobuf"]),
        default: Some("http/protobuf"),
        state: State::Active,
        doc: "How the collector is spoken to.",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_HEADERS",
        kind: Kind::SecretPairs,
        default: None,
        state: State::Active,
        doc: "Headers for the collector, such as a token.",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_TIMEOUT",
        kind: Kind::Number { min: 1, max: 3_600_000 },
        default: Some("10000"),
        state: State::Active,
        doc: "Milliseconds that the collector may take for one export.",
    },
    Variable {
        name: "OTEL_METRIC_EXPORT_INTERVAL",
        kind: Kind::Number { min: 1, max: 86_400_000 },
        default: Some("60000"),
        state: State::Active,
        doc: "Milliseconds between two exports of metrics.",
    },
    Variable {
        name: "OTEL_SERVICE_NAME",
        kind: Kind::Text,
        default: None,
        state: State::Active,
        doc: "The resource attribute `service.name`; default that of `OTEL_RESOURCE_ATTRIBUTES`, or `pilar-host`.",
    },
    Variable {
        name: "OTEL_RESOURCE_ATTRIBUTES",
        kind: Kind::Pairs,
        default: None,
        state: State::Active,
        doc: "Attributes of all that is exported.",
    },
    Variable {
        name: "OTEL_TRACES_SAMPLER",
        kind: Kind::Choice(&[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ]),
        default: Some("parentbased_always_on"),
        state: State::Active,
        doc: "Which requests are traced.",
    },
    Variable {
        name: "OTEL_TRACES_SAMPLER_ARG",
        kind: Kind::Ratio,
        default: Some("1"),
        state: State::Active,
        doc: "Which part of them, for the samplers by ratio.",
    },
];

// Host and loader verify by the same keys.

pub(crate) const TRUSTED_KEYS_JSON: Variable = Variable {
    name: "FEATURE_TRUST_PUBLIC_KEYS_JSON",
    kind: Kind::Secret,
    default: None,
    state: State::Active,
    doc: "Trusted keys as JSON: key id to public key.",
};

pub(crate) const TRUSTED_KEYS_PATH: Variable = Variable {
    name: "FEATURE_TRUST_PUBLIC_KEYS_PATH",
    kind: Kind::Path,
    default: None,
    state: State::Active,
    doc: "A file of trusted keys; read at the start, so a new key needs a restart.",
};

pub(crate) const INSECURE_DEV_KEYS: Variable = Variable {
    name: "FEATURE_ALLOW_INSECURE_DEV_KEYS",
    kind: Kind::Flag,
    default: None,
    state: State::Active,
    doc: "Admit trusted keys whose id is `dev` or starts with `dev-`; never in production.",
};
