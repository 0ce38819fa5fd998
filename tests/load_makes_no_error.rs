//! Under load, every request is answered as it would be alone. How fast is not asked here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use support::Setup;
use support::load::{Answered, oha, wrk};
use support::tree::{Tree, Version};

const CONNECTIONS: usize = 32;
const SECONDS: u64 = 2;

/// A path, the status of its reply, and the headers to ask with.
type Kind<'a> = (&'a str, u16, &'a [(&'a str, &'a str)]);

#[test]
fn two_load_generators_at_once_meet_no_error_on_any_kind_of_reply() {
    let tree = Tree::new();
    let feature = Version::domain("notes", "1.0.0", "/notes");
    tree.publish(&feature);
    for driver in ["auto", "epoll"] {
        let host = Setup::of(&tree).with("HOST_IO_DRIVER", driver).start();
        let asset = feature.url("entry.js");
        let etag = host.get(&asset).header("etag").unwrap().to_owned();
        let unchanged = [("if-none-match", etag.as_str())];
        let kinds: [Kind<'_>; 4] = [
            (&asset, 200, &[]),
            (&asset, 304, &unchanged),
            ("/notes", 200, &[("accept-encoding", "gzip, br, zstd")]),
            ("/_health", 200, &[]),
        ];
        for (path, status, headers) in kinds {
            let url = host.url(path);
            let (from_wrk, from_oha) = std::thread::scope(|scope| {
                let wrk = scope.spawn(|| wrk(&url, CONNECTIONS, SECONDS, headers));
                (oha(&url, CONNECTIONS, SECONDS, headers, status), wrk.join().unwrap())
            });
            for (program, Answered { requests, errors }) in [("oha", from_oha), ("wrk", from_wrk)] {
                let what = format!("{program}, {driver}, {status} of {path}");
                assert_eq!(errors, "", "{what}");
                assert!(requests > 0, "{what}: nothing was answered");
            }
        }
    }
}
