//! Looking at the artifacts again, whenever somebody asks or they changed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pilar_host::catalog::{Watching, watch};
use pilar_host::control::{Control, RefreshError};
use pilar_host::service::Host;
use pilar_host::service::admin::RefreshCall;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, watch as tokio_watch};

use crate::release_memory;

/// How often a watched artifacts directory is looked at where no change was noticed.
const RESCAN: Duration = Duration::from_secs(60);

/// Those who may ask for a refresh.
pub(super) struct Asked {
    pub(super) hangup: Signal,
    pub(super) calls: mpsc::Receiver<RefreshCall>,
}

/// Refreshes when asked to and, if told to watch, whenever the artifacts directory changed.
pub(super) async fn refreshing(
    control: Control,
    host: Arc<Host>,
    watched: Option<PathBuf>,
    watching: tokio_watch::Sender<Watching>,
    mut asked: Asked,
) {
    let control = Arc::new(Mutex::new(control));
    let (changed, mut changes) = mpsc::channel(1);
    // Keeps the channel open where nothing watches.
    let _unwatched = changed.clone();
    if let Some(artifacts_dir) = watched {
        tokio::spawn(watch(artifacts_dir, changed, watching, RESCAN));
    }
    let mut more_to_keep = true;
    loop {
        let mut waiting = Vec::new();
        tokio::select! {
            biased;
            Some(()) = changes.recv() => {}
            Some(()) = asked.hangup.recv() => tracing::info!("refresh asked for by SIGHUP"),
            1.. = asked.calls.recv_many(&mut waiting, usize::MAX) => {}
            // A few at a time, so that a change never waits for all of them.
            () = std::future::ready(()), if more_to_keep => {
                more_to_keep = blocking(&control, &host, Control::keep_listed).await.unwrap_or(false);
                continue;
            }
            else => return,
        }
        if blocking(&control, &host, Control::refresh).await.is_some() {
            host.refresh_error.store(Arc::default());
        }
        let error = host.refresh_error.load_full();
        let outcome = || if error.is_empty() { Ok(()) } else { Err(error.to_string()) };
        // Who asked may be gone.
        waiting.into_iter().for_each(|call: RefreshCall| drop(call.send(outcome())));
        more_to_keep = true;
    }
}

/// Runs something that blocks; an error is noted and what serves goes on.
async fn blocking<T: Send + 'static>(
    control: &Arc<Mutex<Control>>,
    host: &Arc<Host>,
    action: fn(&mut Control) -> Result<T, RefreshError>,
) -> Option<T> {
    let control = control.clone();
    let outcome = tokio::task::spawn_blocking(move || {
        let outcome = action(&mut control.lock().unwrap_or_else(PoisonError::into_inner));
        // What encoding and reading took is not going to be needed for a while.
        release_memory();
        outcome
    })
    .await;
    let error = match outcome {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(error)) => error.to_string(),
        Err(error) => {
            tracing::error!(%error, code = "refresh-panicked", "refresh failed; what serves goes on");
            error.to_string()
        }
    };
    host.refresh_error.store(Arc::new(error));
    None
}
