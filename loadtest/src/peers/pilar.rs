//! Our host.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Part, Peer};
use crate::Failure;
use crate::corpus::Site;

pub(super) struct Host {
    pub(super) program: PathBuf,
    pub(super) driver: Driver,
}

/// How the host waits for its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    IoUring,
    Epoll,
}

impl Peer for Host {
    fn name(&self) -> &'static str {
        match self.driver {
            Driver::IoUring => "pilar-host",
            Driver::Epoll => "pilar-host, epoll",
        }
    }

    fn part(&self) -> Part {
        match self.driver {
            Driver::IoUring => Part::Ours,
            Driver::Epoll => Part::OursOnEpoll,
        }
    }

    fn version(&self) -> Result<String, Failure> {
        Ok(env!("CARGO_PKG_VERSION").to_owned())
    }

    fn add_command(
        &self,
        command: &mut Command,
        site: &Site,
        _room: &Path,
        port: u16,
    ) -> Result<(), Failure> {
        let driver = match self.driver {
            Driver::IoUring => "io_uring",
            Driver::Epoll => "epoll",
        };
        command
            .arg(&self.program)
            .env("NODE_ENV", "production")
            .env("HOST_BIND", "127.0.0.1")
            .env("PORT", port.to_string())
            .env("HOST_WORKERS", "1")
            .env("HOST_IO_DRIVER", driver)
            .env("HOST_DRAIN_SECONDS", "0")
            .env("ARTIFACTS_DIR", &site.artifacts)
            .env("FEATURE_TRUST_PUBLIC_KEYS_PATH", &site.trusted_keys);
        Ok(())
    }
}
