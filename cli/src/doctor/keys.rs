//! The keys: those that the host trusts, and private ones that lie about.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use pilar_artifact::keys::TrustedKey;
use pilar_artifact::{Limits, TrustedKeys};
use pilar_settings::{KeySource, is_dev_key};

use super::Case;
use crate::finding::Finding;
use crate::keyring::read_file;

/// A key that ends sooner than this is worth a word.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);
const JSON: &str = "FEATURE_TRUST_PUBLIC_KEYS_JSON";
const ALLOW_DEV: &str = "FEATURE_ALLOW_INSECURE_DEV_KEYS";

/// Also returns the keys that the host would trust.
pub(super) fn check(case: &Case<'_>) -> (Vec<Finding>, Option<TrustedKeys>) {
    let (mut findings, trusted) = trusted(case);
    findings.push(signing_key(case));
    (findings, trusted)
}

fn trusted(case: &Case<'_>) -> (Vec<Finding>, Option<TrustedKeys>) {
    let source = match case.settings.trusted_keys() {
        Ok(source) => source,
        Err(_) => {
            let message = "there is no one map of trusted keys, as said above";
            return (vec![Finding::skipped("trusted-keys", message)], None);
        }
    };
    let limits = Limits::default();
    let (bytes, place) = match &source {
        KeySource::Inline(text) => (text.clone().into_bytes(), JSON.to_owned()),
        KeySource::File(path) => match regular_file(path, limits.json_bytes) {
            Ok(bytes) => (bytes, path.display().to_string()),
            Err(finding) => return (vec![finding], None),
        },
    };
    let mut keys = match TrustedKeys::from_json(&bytes, &limits) {
        Ok(keys) => keys,
        Err(error) => {
            let remedy =
                "write a map from key id to public key, as `pilar keys generate` prints it";
            return (
                vec![Finding::fail(error.code(), error.to_string(), remedy).variable(&place)],
                None,
            );
        }
    };
    let mut findings = Vec::new();
    if let KeySource::File(path) = &source {
        findings.extend(writable(path));
    }
    findings.extend(dev_keys(case, &mut keys, &place));
    findings.extend(ends(case, &keys, &place));
    let count = keys.iter().count();
    if count > 0 {
        let ids: Vec<&str> = keys.iter().map(|(id, _)| id).collect();
        let noun = if count == 1 { "key is" } else { "keys are" };
        let message = format!("{count} {noun} trusted: {}", ids.join(", "));
        findings.insert(0, Finding::ok("trusted-keys", message));
    }
    (findings, Some(keys).filter(|keys| !keys.is_empty()))
}

/// The host takes a regular file, or a link to one, which is how secrets are mounted.
fn regular_file(path: &Path, limit: u64) -> Result<Vec<u8>, Finding> {
    let unreadable = |message: &str| {
        let remedy = "name the file of trusted keys, and let the user of the host read it";
        Finding::fail("keys-unreadable", message, remedy).file(path)
    };
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(unreadable("it is not a regular file")),
        _ => read_file(path, limit).map_err(|problem| unreadable(problem.message())),
    }
}

/// Whoever may write the map decides what is trusted.
fn writable(path: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let message = format!("everybody may write the map of trusted keys (mode {mode:04o})");
    let remedy = format!("chmod o-w {}", path.display());
    let open = mode & 0o002 != 0;
    open.then(|| Finding::fail("trusted-keys-writable", message, remedy).file(path))
}

/// Leaves out dev keys where the host does.
fn dev_keys(case: &Case<'_>, keys: &mut TrustedKeys, place: &str) -> Vec<Finding> {
    let switch = case.flag(ALLOW_DEV);
    let allowed = switch && !case.production;
    let listed: Vec<String> =
        keys.iter().map(|(id, _)| id.to_owned()).filter(|id| is_dev_key(id)).collect();
    let mut findings = Vec::new();
    if switch && case.production {
        let message = "it is set in production, where it has no effect";
        findings.push(Finding::warn("dev-key", message, "unset it").variable(ALLOW_DEV));
    }
    if listed.is_empty() {
        return findings;
    }
    let names = listed.join(", ");
    if allowed {
        let message = format!("{names} is trusted here, and would not be in production");
        findings.push(Finding::ok("dev-key", message));
        return findings;
    }
    keys.retain(|id| !is_dev_key(id));
    if keys.is_empty() {
        let message = format!("only dev keys are listed ({names}), so the host does not start");
        let remedy = format!("add a release key; for development set {ALLOW_DEV}=1");
        findings.push(Finding::fail("keys-only-dev", message, remedy).variable(place));
    } else {
        let message = format!("{names} is listed; the host does not trust it");
        let remedy = "take it out: its private half lies on somebody's disk";
        findings.push(Finding::bad(case.production, "dev-key", message, remedy).variable(place));
    }
    findings
}

fn ends(case: &Case<'_>, keys: &TrustedKeys, place: &str) -> Vec<Finding> {
    let now = case.environment.now();
    let found = keys.iter().filter_map(|(id, key): (&str, &TrustedKey)| {
        let end = key.not_after()?;
        let remedy = "sign with a key that lasts, and add that one to the map of every host first";
        let left = end.duration_since(now);
        let finding = if now > end {
            let message = format!("the time of {id} ended at {end}: nothing signed with it loads");
            Finding::bad(case.production, "key-expired", message, remedy)
        } else if left < SOON {
            let days = left.as_hours() / 24;
            let message = format!("the time of {id} ends at {end}, in {days} days");
            Finding::warn("key-expires-soon", message, remedy)
        } else {
            return None;
        };
        Some(finding.variable(place))
    });
    found.collect()
}

/// A host verifies, it never signs.
fn signing_key(case: &Case<'_>) -> Finding {
    let remedy = "keep private keys where releases are signed; a host needs none";
    if case.settings.is_set("FEATURE_SIGNING_KEY") {
        let message =
            "a private key is in the environment, which children and crash reports inherit";
        let finding = Finding::bad(case.production, "signing-key", message, remedy);
        return finding.variable("FEATURE_SIGNING_KEY");
    }
    let Some(path) = case.settings.value("FEATURE_SIGNING_KEY_PATH").map(PathBuf::from) else {
        return Finding::ok("signing-key", "there is no private key here, and a host needs none");
    };
    match std::fs::metadata(&path) {
        Err(error) => {
            let message = format!("the private key cannot be looked at: {error}");
            Finding::warn("signing-key", message, "correct the path, or unset it").file(path)
        }
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                let message =
                    format!("others than its owner may use the private key (mode {mode:04o})");
                let remedy = format!("chmod 600 {}", path.display());
                Finding::fail("signing-key", message, remedy).file(path)
            } else if case.production {
                let message = "a private key is within reach of a host in production";
                Finding::warn("signing-key", message, remedy).file(path)
            } else {
                Finding::ok("signing-key", format!("only its owner may use it (mode {mode:04o})"))
            }
        }
    }
}
