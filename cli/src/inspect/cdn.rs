//! A plain directory behind HTTP (contract §2): the same chain of checks over files that are fetched one by one.

use pilar_artifact::json::parse_object;
use pilar_artifact::remote_index::{RemoteFeature, RemoteIndex, RemoteIndexError};
use pilar_artifact::verify::{Context, ReadError};
use pilar_artifact::{FeatureId, RELEASES_FILE};

use super::{Found, chain};
use crate::http::{Client, RemoteDir, resolve, unreachable};
use crate::problem::Problem;
use crate::ui::Progress;

/// The file name of the remote index below a base URL (contract §4).
const REMOTE_INDEX_FILE: &str = "remote-index.json";

/// Verifies the feature at `base`, or every feature that its remote index lists; also returns what is wrong with
/// that index, though it counts.
pub(super) fn inspect(
    client: &Client,
    base: &str,
    context: &Context<'_>,
    progress: &Progress,
) -> Result<(Vec<Found>, Option<Problem>), Problem> {
    let (features, stale) = match features_of(client, base, context)? {
        Some(Listing { features, stale }) => (features, stale),
        None => (vec![(feature_at(client, base, context)?, base.to_owned())], None),
    };
    let inspect = |(feature, base): (FeatureId, String)| {
        progress.say(format!("verifying {feature} at {base}"));
        let source = RemoteDir { client, base };
        let report = chain::feature(&source, &feature, context);
        Found { report, place: source.base }
    };
    Ok((features.into_iter().map(inspect).collect(), stale))
}

/// What a remote index lists.
struct Listing {
    features: Vec<(FeatureId, String)>,
    stale: Option<Problem>,
}

/// The features of the remote index, whose signature is what says that they belong together.
fn features_of(
    client: &Client,
    base: &str,
    context: &Context<'_>,
) -> Result<Option<Listing>, Problem> {
    let url = format!("{base}/{REMOTE_INDEX_FILE}");
    let bytes = match client.file(&url, context.limits.json_bytes) {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) => return Ok(None),
        Err(error) => return Err(unreachable(&error, &url)),
    };
    let index = RemoteIndex::verify(&bytes, context.keys, context.now, &context.limits)
        .map_err(|error| refused(&error, &url))?;
    let stale = index.is_stale(context.now).then(|| {
        let ended = index.expires_at.map_or_else(String::new, |end| format!(" at {end}"));
        let message = format!("the remote index is stale: its time ended{ended}");
        let remedy = "sign and publish the remote index again; hosts go on serving, with a warning";
        Problem::new("remote-index-stale", message, remedy).file(&url)
    });
    let place = |feature: RemoteFeature| {
        let base = resolve(base, &feature.base_url).map_err(|problem| problem.file(&url))?;
        Ok((feature.feature_id, base))
    };
    let features = index.features.into_iter().map(place).collect::<Result<_, Problem>>()?;
    Ok(Some(Listing { features, stale }))
}

/// The feature that the index at `base` is of. It is taken at its word here; the checks that follow hold its
/// signature and every version against that word.
fn feature_at(client: &Client, base: &str, context: &Context<'_>) -> Result<FeatureId, Problem> {
    let url = format!("{base}/{RELEASES_FILE}");
    let bytes = client.file(&url, context.limits.json_bytes).map_err(|error| match error {
        ReadError::Missing => {
            let message = "there is neither a host nor a release index at this address";
            let remedy = "name the address of a host, or the base URL that holds releases.json or remote-index.json";
            Problem::new("no-feature", message, remedy).file(&url)
        }
        error => unreachable(&error, &url),
    })?;
    let document = parse_object(&bytes, &context.limits).map_err(|error| {
        let remedy = "name the base URL of a feature, which holds its releases.json";
        Problem::new(error.code(), error.to_string(), remedy).file(&url)
    })?;
    let id = document.get("featureId").and_then(|id| id.as_str()?.parse().ok());
    id.ok_or_else(|| {
        let message = "it does not say which feature it is of";
        Problem::new("schema", message, "publish the index again with pilar")
            .file(&url)
            .field("featureId")
    })
}

fn refused(error: &RemoteIndexError, url: &str) -> Problem {
    let remedy = "sign the remote index with a key that is trusted here and bound to no feature";
    Problem::new(error.code(), error.to_string(), remedy).file(url)
}
