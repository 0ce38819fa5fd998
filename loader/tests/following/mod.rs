//! The source, and what it says in words that a test can compare.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use kube::Config;
use pilar_loader::metrics;
use pilar_loader::registration::Origin;
use pilar_loader::source::kubernetes::{Patience, follow};
use pilar_loader::source::{Feed, channel};
use pilar_loader::status::Board;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tracing::subscriber::DefaultGuard;

use crate::kubernetes::{Account, Cluster, PATIENCE};

/// As it ships.
pub(crate) const LONG: Patience = Patience { watch_seconds: 60, relist: Duration::from_secs(300) };
/// For what would otherwise be noticed after a minute.
pub(crate) const SHORT: Patience = Patience { watch_seconds: 2, relist: Duration::from_secs(300) };
/// For what only a new list finds.
pub(crate) const RELISTING: Patience =
    Patience { watch_seconds: 10, relist: Duration::from_secs(40) };

/// A source that follows a cluster. It ends with the test.
pub(crate) struct Following {
    feed: Feed,
    task: AbortHandle,
    log: Log,
    _logging: DefaultGuard,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Following {
    /// Starts to follow as `account`, through `port`.
    pub(crate) async fn start(
        cluster: &Cluster,
        account: &Account,
        port: u16,
        namespaces: &[&str],
        patience: Patience,
    ) -> Self {
        let log = Log::default();
        let writer = log.clone();
        let logger = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        let logging = tracing::subscriber::set_default(logger.finish());
        let kubeconfig = cluster.kubeconfig(account, port);
        let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
        let namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let (reporter, feed) = channel();
        let task = tokio::spawn(follow(config, namespaces, patience, reporter));
        Self { feed, task: task.abort_handle(), log, _logging: logging }
    }

    /// What is wanted now: `feature=digit @place` for each, then `; code @place feature` for what is refused and
    /// `; unseen prefix`.
    pub(crate) fn now(&self) -> String {
        let Some(desired) = self.feed.desired() else { return "nothing yet".to_owned() };
        let wanted = desired.registrations.values().map(|registered| {
            let Origin::Image(image) = &registered.registration.origin else { panic!("a CDN") };
            let digit = image.digest.hex().chars().next().unwrap();
            format!("{}={digit} @{}", registered.registration.feature, registered.place)
        });
        let mut text = wanted.collect::<Vec<_>>().join(", ");
        let mut refused: Vec<_> = desired.refused.iter().collect();
        refused.sort_by_key(|refused| &refused.place);
        let refused = refused.iter().map(|refused| {
            let feature = refused.feature.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
            format!("{} @{}{feature}", refused.problem.code, refused.place)
        });
        let refused = refused.collect::<Vec<_>>().join(", ");
        if !refused.is_empty() {
            write!(text, "; {refused}").unwrap();
        }
        if !desired.unseen.is_empty() {
            write!(text, "; unseen {}", desired.unseen.join(", ")).unwrap();
        }
        text
    }

    /// Waits until what is wanted is `expected`, because of `what`.
    pub(crate) async fn until(&self, what: &str, expected: &str) {
        self.wait(&format!("{what}: \"{expected}\" is wanted"), || self.now() == expected).await;
    }

    /// Waits until there is trouble with this code, or none.
    pub(crate) async fn until_trouble(&self, expected: Option<&str>) {
        let what = format!("the trouble is {expected:?}");
        self.wait(&what, || self.trouble().as_deref() == expected).await;
    }

    /// Waits until what is counted under this code is more than `before`.
    pub(crate) async fn until_counted(&self, what: &str, code: &str, before: u64) {
        self.wait(&format!("{what}: {code} is counted"), || self.counted(code) > before).await;
    }

    async fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            let so_far = || format!("now: {}\n{}", self.now(), self.log());
            assert!(Instant::now() < deadline, "gave up waiting: {what}\n{}", so_far());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The code of the trouble that there is.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.feed.contact().trouble.map(|problem| problem.code.to_owned())
    }

    /// How often it failed with this code, as `/metrics` says.
    pub(crate) fn counted(&self, code: &str) -> u64 {
        let board = Board::new("kubernetes", self.feed.clone(), || Timestamp::UNIX_EPOCH);
        let text = metrics::text(Arc::new(board)).unwrap();
        let start = format!("pilar_loader_source_failures_total{{code=\"{code}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&start));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// When the cluster was last heard from.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.feed.contact().last
    }

    /// What was logged.
    pub(crate) fn log(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
