//! What is asked of the servers.

/// One case: what 64 or 512 connections of wrk ask for, again and again.
#[derive(Debug)]
pub(crate) struct Case {
    /// Its name on the command line.
    pub(crate) id: &'static str,
    /// Its name in the report.
    pub(crate) title: &'static str,
    /// The file, by its name in the corpus.
    pub(crate) file: &'static str,
    /// The content coding that is asked for.
    pub(crate) coding: Coding,
    /// Connections.
    pub(crate) connections: u16,
    /// Requests that are sent at once on each connection.
    pub(crate) depth: u16,
    /// Whether the client has the file already.
    pub(crate) conditional: bool,
    /// How many times less CPU than the better nginx the host promises to take.
    pub(crate) goal: Option<f64>,
}

/// A content coding (RFC 9110, section 8.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Brotli,
}

impl Coding {
    /// Its name in `accept-encoding` and `content-encoding`.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// What the name of the file on disk ends with.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Gzip => ".gz",
            Self::Brotli => ".br",
        }
    }
}

const PLAIN: Case = Case {
    id: "",
    title: "",
    file: "1k",
    coding: Coding::Identity,
    connections: 64,
    depth: 1,
    conditional: false,
    goal: None,
};
const GZIP: Case = Case { coding: Coding::Gzip, ..PLAIN };
const BROTLI: Case = Case { coding: Coding::Brotli, ..PLAIN };
const MANY: Case = Case { connections: 512, ..PLAIN };

/// All cases, in the order of the report.
pub(crate) const CASES: &[Case] = &[
    Case { id: "1k", title: "1 KiB", goal: Some(1.6), ..PLAIN },
    Case { id: "8k", title: "8 KiB", file: "8k", goal: Some(1.7), ..PLAIN },
    Case { id: "64k", title: "64 KiB", file: "64k", goal: Some(1.6), ..PLAIN },
    Case { id: "1m", title: "1 MiB", file: "1m", goal: Some(1.6), ..PLAIN },
    Case { id: "8m", title: "8 MiB", file: "8m", goal: Some(1.7), ..PLAIN },
    Case { id: "304", title: "304", conditional: true, goal: Some(1.35), ..PLAIN },
    Case { id: "pipelined", title: "1 KiB, 16 pipelined", depth: 16, goal: Some(8.0), ..PLAIN },
    Case { id: "1k-gzip", title: "1 KiB, gzip", ..GZIP },
    Case { id: "8k-gzip", title: "8 KiB, gzip", file: "8k", ..GZIP },
    Case { id: "64k-gzip", title: "64 KiB, gzip", file: "64k", ..GZIP },
    Case { id: "1m-gzip", title: "1 MiB, gzip", file: "1m", ..GZIP },
    Case { id: "8m-gzip", title: "8 MiB, gzip", file: "8m", ..GZIP },
    Case { id: "1k-br", title: "1 KiB, br", ..BROTLI },
    Case { id: "8k-br", title: "8 KiB, br", file: "8k", ..BROTLI },
    Case { id: "64k-br", title: "64 KiB, br", file: "64k", ..BROTLI },
    Case { id: "1m-br", title: "1 MiB, br", file: "1m", ..BROTLI },
    Case { id: "8m-br", title: "8 MiB, br", file: "8m", ..BROTLI },
    Case { id: "1k-512", title: "1 KiB, 512 connections", ..MANY },
    Case { id: "8k-512", title: "8 KiB, 512 connections", file: "8k", ..MANY },
    Case { id: "64k-512", title: "64 KiB, 512 connections", file: "64k", ..MANY },
    Case { id: "1m-512", title: "1 MiB, 512 connections", file: "1m", ..MANY },
    Case { id: "304-512", title: "304, 512 connections", conditional: true, ..MANY },
];
