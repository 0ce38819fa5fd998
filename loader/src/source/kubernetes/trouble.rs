//! What an API server or the way to it may answer, for people.

use std::error::Error;

use kube::core::Status;
use kube::runtime::watcher;

use crate::problem::Problem;

/// Whether the watch is only too old to go on: `410 Gone`. A new list mends it.
pub(super) fn is_expiry(error: &watcher::Error) -> bool {
    status(error).is_some_and(|status| status.code == 410)
}

/// Why a namespace cannot be read.
pub(super) fn problem(namespace: &str, error: &watcher::Error) -> Problem {
    let Some(status) = status(error) else {
        return Problem::new(
            "cluster-unreachable",
            format!("namespace {namespace}: {}", chain(error)),
            "let this pod reach the API server; until then what was registered stays as it is",
        );
    };
    let (code, remedy) = match status.code {
        401 => (
            "cluster-unauthorized",
            "see that the token of the pod's service account is valid; until then what was registered stays as it is",
        ),
        403 => (
            "cluster-forbidden",
            "let the pod's service account list and watch configmaps there, as the chart's Role does; until then \
             what was registered there stays as it is",
        ),
        _ => (
            "cluster-error",
            "see the log of the API server; until it answers what was registered stays as it is",
        ),
    };
    let Status { code: number, message, .. } = status;
    Problem::new(
        code,
        format!("namespace {namespace}: the API server answers {number}: {message}"),
        remedy,
    )
}

/// An error with its causes.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Many repeat their cause.
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

fn status(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::WatchError(status) => Some(status),
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => Some(status),
        _ => None,
    }
}
