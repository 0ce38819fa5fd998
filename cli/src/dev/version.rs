//! The versions of builds that are tried out.

use pilar_artifact::ReleaseIndex;
use semver::{Prerelease, Version};

/// The version under which to publish the next build of sources that call themselves `source`: above the
/// active one, and not listed. `1.2.0` becomes `1.2.0-dev.1`, then `1.2.0-dev.2`; where 1.2.0 itself is
/// published already, `1.2.1-dev.1`.
pub(super) fn next(source: &Version, index: Option<&ReleaseIndex>) -> Version {
    let plain = Version { build: semver::BuildMetadata::EMPTY, ..source.clone() };
    let Some(index) = index else { return numbered(&plain, 1) };
    let above = |base: &Version| {
        let listed = index.versions.iter().filter_map(|entry| number_of(base, &entry.version));
        numbered(base, listed.max().unwrap_or(0) + 1)
    };
    let active = &index.active_version;
    let fresh = above(&plain);
    if index.entry(&plain).is_none() && fresh > *active {
        return fresh;
    }
    let bases = [base_of(active), Version::new(active.major, active.minor, active.patch + 1)];
    let mut higher = bases.iter().map(above).filter(|version| version > active);
    higher.next().unwrap_or_else(|| numbered(&Version::new(active.major + 1, 0, 0), 1))
}

fn numbered(base: &Version, number: u64) -> Version {
    let pre = if base.pre.is_empty() {
        format!("dev.{number}")
    } else {
        format!("{}.dev.{number}", base.pre)
    };
    // Digits, dots and what was a pre-release before always make one.
    let pre = Prerelease::new(&pre).unwrap_or_else(|_| base.pre.clone());
    Version { pre, ..base.clone() }
}

fn number_of(base: &Version, version: &Version) -> Option<u64> {
    (base_of(version) == *base).then(|| version.pre.rsplit('.').next()?.parse().ok())?
}

fn base_of(version: &Version) -> Version {
    let mut base = Version { build: semver::BuildMetadata::EMPTY, ..version.clone() };
    let stem = match version.pre.rsplit_once('.') {
        Some(("dev", number)) if number.parse::<u64>().is_ok() => Some(""),
        Some((stem, number)) if number.parse::<u64>().is_ok() => stem.strip_suffix(".dev"),
        _ => None,
    };
    if let Some(pre) = stem.and_then(|stem| Prerelease::new(stem).ok()) {
        base.pre = pre;
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilar_artifact::Limits;
    use serde_json::json;

    fn index(versions: &[&str], active: &str) -> ReleaseIndex {
        let entries: Vec<_> = versions
            .iter()
            .map(|version| json!({ "version": version, "manifestSha256": "0".repeat(64) }))
            .collect();
        let document = json!({
            "featureId": "a", "sequence": 1, "activeVersion": active, "versions": entries,
        });
        let index = ReleaseIndex::from_document(document.as_object().unwrap()).unwrap();
        index.check(&"a".parse().unwrap(), &Limits::default()).unwrap();
        index
    }

    fn next_of(source: &str, versions: &[&str], active: &str) -> String {
        next(&source.parse().unwrap(), Some(&index(versions, active))).to_string()
    }

    #[test]
    fn the_number_grows_past_what_the_index_lists() {
        assert_eq!(next(&Version::new(1, 2, 0), None).to_string(), "1.2.0-dev.1");
        assert_eq!(
            next_of("1.2.0", &["1.2.0-dev.9", "1.2.0-dev.3"], "1.2.0-dev.9"),
            "1.2.0-dev.10"
        );
        assert_eq!(
            next_of("1.2.0", &["1.2.0-dev.9", "1.2.0-dev.3"], "1.2.0-dev.3"),
            "1.2.0-dev.10"
        );
        assert_eq!(next_of("1.3.0", &["1.2.0-dev.9"], "1.2.0-dev.9"), "1.3.0-dev.1");
    }

    #[test]
    fn a_published_plain_version_moves_on_to_the_next_patch() {
        assert_eq!(next_of("1.2.0", &["1.2.0"], "1.2.0"), "1.2.1-dev.1");
        assert_eq!(next_of("1.2.0", &["1.2.1-dev.1", "1.2.0"], "1.2.1-dev.1"), "1.2.1-dev.2");
    }

    #[test]
    fn a_lowered_source_version_still_goes_up() {
        assert_eq!(next_of("1.0.0", &["2.0.0-dev.3"], "2.0.0-dev.3"), "2.0.0-dev.4");
        assert_eq!(next_of("1.0.0", &["2.0.0"], "2.0.0"), "2.0.1-dev.1");
    }

    #[test]
    fn a_pre_release_keeps_its_name() {
        assert_eq!(next_of("1.0.0-beta.1", &["0.9.0"], "0.9.0"), "1.0.0-beta.1.dev.1");
        assert_eq!(
            next_of("1.0.0-beta.1", &["1.0.0-beta.1.dev.1"], "1.0.0-beta.1.dev.1"),
            "1.0.0-beta.1.dev.2"
        );
    }
}
