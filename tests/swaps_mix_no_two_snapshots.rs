//! However often the snapshot is swapped, each reply is of one snapshot, the one that it names, and nothing of the
//! others stays behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use pilar_host::catalog::{Catalog, Contents, Now, Watching};
use pilar_host::config::Retain;
use pilar_host::edge::{DriverChoice, Edge, EdgeOptions, Listeners};
use pilar_host::service::{self, Host, Loader, Replies};
use pilar_host::shell::{Sdk, Site};
use pilar_host::snapshot::Snapshot;
use support::inside::{settings, site};
use support::tree::{Tree, Version};
use support::{Client, Process, Reply};
use tokio::sync::{mpsc, watch};

const SWAPS: usize = 10_000;
/// So many states of the artifacts take turns.
const STATES: usize = 4;
/// Every so many swaps the snapshot is made anew, so that old ones are given up all the time.
const MADE_ANEW: usize = 8;
const CLIENTS: usize = 3;

fn notes(number: usize) -> Version {
    Version::domain("notes", &format!("1.{number}.0"), "/notes")
        // One that is copied into the reply, and one that is sent from where it lies.
        .with_file("small.js", format!("export const version = {number};\n"))
        .with_file("large.js", format!("// {number}\n").repeat(40_000))
}

fn letters(number: usize) -> Version {
    Version::domain("letters", &format!("2.{number}.0"), "/letters")
}

/// A site whose snapshots can be made as often as wanted.
struct States {
    sdk: Sdk,
    site: Site,
    contents: Vec<Contents>,
}

impl States {
    fn new(tree: &Tree) -> States {
        let retain = Retain { time: Duration::from_secs(3600), bytes: 1 << 30, listed: 0 };
        let mut catalog = Catalog::new(settings(tree, retain));
        let contents = (0..STATES).map(|number| {
            tree.publish(&notes(number));
            tree.publish(&letters(number));
            let now = Now { wall: Timestamp::UNIX_EPOCH, monotonic: Instant::now() };
            catalog.refresh(now).unwrap()
        });
        let contents = contents.collect();
        States { sdk: Sdk::embedded().unwrap(), site: site(), contents }
    }

    fn make(&self, number: usize) -> Snapshot {
        let contents = self.contents[number % STATES].clone();
        Snapshot::build(contents, &self.sdk, &self.site, Timestamp::UNIX_EPOCH).unwrap()
    }
}

/// All that is asked for, each with an encoding: pages, what does not exist, dynamic routes, files of the host, and the files
/// of all states.
fn asked() -> Vec<(String, &'static str)> {
    let files = (0..STATES).flat_map(|number| {
        let notes = notes(number);
        ["small.js", "large.js", "entry.js"].map(|file| notes.url(file))
    });
    let pages = [
        "/",
        "/notes",
        "/notes/deep/link",
        "/letters",
        "/nowhere",
        "/_navigation",
        "/_health/notes",
    ];
    let sdk = Sdk::embedded().unwrap().shell_js().url.clone();
    let paths = pages.into_iter().map(str::to_owned).chain(files).chain([sdk]);
    // Pages are put together from parts, in each encoding anew.
    paths
        .flat_map(|path| ["identity", "br", "gzip"].map(|encoding| (path.clone(), encoding)))
        .collect()
}

/// What a reply is recognised by. Replies that name no snapshot are files, which are the same in all of them.
fn key(path: &str, encoding: &'static str, reply: &Reply) -> Key {
    (path.to_owned(), encoding, reply.header("x-pilar-snapshot").map(str::to_owned))
}

type Key = (String, &'static str, Option<String>);

fn ask(client: &mut Client, path: &str, encoding: &str) -> Reply {
    client.request("GET", path, &[("accept-encoding", encoding)]).unwrap()
}

#[test]
fn ten_thousand_swaps_under_load_mix_nothing_and_leave_nothing() {
    for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
        torture(driver);
    }
}

fn torture(driver: DriverChoice) {
    let tree = Tree::new();
    let states = States::new(&tree);
    let current = Arc::new(ArcSwap::from_pointee(states.make(0)));
    let (calls, received) = mpsc::channel(256);
    let listeners = Listeners::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 2).unwrap();
    let address = listeners.local_addr().unwrap();
    let options = EdgeOptions { driver, ..EdgeOptions::new(|| SystemTime::UNIX_EPOCH) };
    let edge = Edge::start(listeners, options, current.clone(), calls).unwrap();
    let service = thread::spawn(move || serve(received));

    // What each snapshot says, asked for while it stays.
    let mut truth: HashMap<Key, (u16, [u8; 32])> = HashMap::new();
    let asked = asked();
    for number in 0..STATES {
        current.store(Arc::new(states.make(number)));
        let mut client = Client::connect_to(address).unwrap();
        for (path, encoding) in &asked {
            let reply = ask(&mut client, path, encoding);
            truth.insert(key(path, encoding, &reply), (reply.status, reply.sha256()));
        }
    }
    let own = Process(std::process::id());
    let (done, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut middle, mut descriptors) = (0, 0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::connect_to(address).unwrap();
                while !done.load(Ordering::Relaxed) {
                    for (path, encoding) in &asked {
                        let reply = ask(&mut client, path, encoding);
                        let found = (reply.status, reply.sha256());
                        assert_eq!(
                            truth.get(&key(path, encoding, &reply)),
                            Some(&found),
                            "{path}: {}",
                            reply.head
                        );
                    }
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let ready: Vec<Arc<Snapshot>> =
            (0..STATES).map(|number| Arc::new(states.make(number))).collect();
        for number in 0..SWAPS {
            let next = if number % MADE_ANEW == 0 {
                Arc::new(states.make(number))
            } else {
                ready[number % STATES].clone()
            };
            current.store(next);
            if number == SWAPS / 2 {
                (middle, descriptors) = (own.own_memory(), own.descriptors());
            }
            // So that requests of all clients fall between and across swaps.
            thread::sleep(Duration::from_micros(200));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(rounds.load(Ordering::Relaxed) >= CLIENTS, "every client asked for every path");
    assert!(own.descriptors() <= descriptors + 4, "{} after {descriptors}", own.descriptors());
    let grown = own.own_memory().saturating_sub(middle);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes more after the second half");
    drop(edge);
    service.join().unwrap();
}

/// The service plane, on this thread until the edge is gone.
fn serve(received: mpsc::Receiver<pilar_host::edge::ServiceCall<Snapshot>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let host = Arc::new(Host {
        version: "1.0.0".to_owned(),
        driver: String::new(),
        refused_drivers: 0,
        body_sender: "",
        workers: 2,
        started_at: Timestamp::UNIX_EPOCH,
        started: Instant::now(),
        clock: || Now { wall: Timestamp::UNIX_EPOCH, monotonic: Instant::now() },
        ready_sentinel: None,
        draining: watch::channel(false).1,
        watching: watch::channel(Watching::Off).1,
        refresh_error: ArcSwap::default(),
        snapshot_id: watch::channel(String::new()).1,
        telemetry: None,
        loader: Loader::of(std::env::temp_dir()),
        live_reload: false,
        request_id_prefix: 0,
        requests: AtomicU64::new(0),
        replies: Replies::default(),
    });
    runtime.block_on(service::run(service::router(&host, None), received, |snapshot| snapshot));
}
