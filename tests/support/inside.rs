//! The parts of a host without a process around them.

use pilar_artifact::{Limits, TrustedKeys};
use pilar_host::catalog::Settings;
use pilar_host::config::Retain;
use pilar_host::shell::Site;

use super::tree::Tree;

const VERSION: &str = "1.4.0";

/// A catalog of this tree.
pub(crate) fn settings(tree: &Tree, retain: Retain) -> Settings {
    let limits = Limits::default();
    let keys = tree.trusted_keys();
    Settings {
        artifacts_dir: tree.artifacts(),
        keys: TrustedKeys::from_json(keys.as_bytes(), &limits)
            .expect("the keys of a tree are keys"),
        host_version: VERSION.parse().expect("a version"),
        limits,
        retain,
    }
}

/// Pages as a host has them where nothing is asked of it.
pub(crate) fn site() -> Site {
    Site {
        host_version: VERSION.to_owned(),
        root_redirect: None,
        live_reload: false,
        bootstrap_timeout_ms: 8000,
        admin_assets: Vec::new(),
    }
}
