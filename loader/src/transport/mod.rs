//! Brings an artifact from where a registration says it is into a staging directory.
//!
//! What a transport brings is untrusted: it has kept within the limits and beneath the staging directory, and
//! no more is said of it. Verification comes after, in one place for every transport.

use std::collections::BTreeMap;

use pilar_artifact::Sha256Digest;
use pilar_store::Incoming;
use semver::Version;

use crate::registration::Registration;

/// What is asked of a transport.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The feature and where it is.
    pub registration: &'a Registration,
    /// Manifest digests of the versions that are in the tree already and need not come again.
    pub present: &'a BTreeMap<Version, Sha256Digest>,
    /// Where it is put. On success it holds `releases.json` and a directory for each version of the index that
    /// is not in `present`.
    pub into: &'a Incoming,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The bytes that came over the network.
    pub transferred: u64,
}
