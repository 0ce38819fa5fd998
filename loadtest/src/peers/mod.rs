//! The servers that are measured, each with the settings that an expert would choose for this work.

mod caddy;
mod floor;
mod h2o;
mod hono;
mod nginx;
mod pilar;
mod static_web_server;

use std::path::Path;
use std::process::Command;

use crate::corpus::Site;
use crate::{Arguments, Failure};

/// What a server sends with every file: names have a hash, so nothing ever changes.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// A server.
pub(crate) trait Peer {
    /// Its name in the report.
    fn name(&self) -> &'static str;

    /// Which part it plays in the comparison.
    fn part(&self) -> Part {
        Part::Other
    }

    /// Its version.
    fn version(&self) -> Result<String, Failure>;

    /// Adds the program and its arguments to `command`, so that it serves `site` in the foreground on
    /// 127.0.0.1 and `port`, with one thread that does the work. Its own files go to `room`.
    fn add_command(
        &self,
        command: &mut Command,
        site: &Site,
        room: &Path,
        port: u16,
    ) -> Result<(), Failure>;
}

/// Which part a server plays in the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The host on io_uring: what the goals are about.
    Ours,
    /// The host on epoll.
    OursOnEpoll,
    /// A set-up of nginx; the better one is what the goals are held against.
    Nginx,
    /// Another server.
    Other,
    /// No server at all: what the kernel takes alone.
    Floor,
}

/// All of them, in the order of the report.
pub(crate) fn lineup(arguments: &Arguments) -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(pilar::Host {
            program: arguments.pilar_host.clone(),
            driver: pilar::Driver::IoUring,
        }),
        Box::new(pilar::Host {
            program: arguments.pilar_host.clone(),
            driver: pilar::Driver::Epoll,
        }),
        Box::new(nginx::Nginx { sendfile: true, file_cache: true }),
        Box::new(nginx::Nginx { sendfile: false, file_cache: true }),
        Box::new(nginx::Nginx { sendfile: false, file_cache: false }),
        Box::new(h2o::H2o),
        Box::new(caddy::Caddy { program: arguments.caddy.clone() }),
        Box::new(static_web_server::StaticWebServer {
            program: arguments.static_web_server.clone(),
        }),
        Box::new(hono::Hono { dir: arguments.hono.clone() }),
        Box::new(floor::Floor),
    ]
}

/// Fills a configuration file: `{{name}}` stands for its value.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{{{name}}}}}"), value)
    })
}
