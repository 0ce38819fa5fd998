//! stub
use crate::{
    environment::Environment,
    problem::{Outcome, Problem},
    ui::Ui,
};
use clap::Args;
use pilar_artifact::FeatureId;
use std::path::{Path, PathBuf};
#[derive(Debug, Args)]
pub(crate) struct InspectArguments {}
pub(crate) fn run(_: &InspectArguments, _: &Environment, _: &Ui) -> Result<Outcome, Problem> {
    Ok(Outcome::default())
}
pub(crate) fn features_in(root: &Path) -> Result<Vec<(FeatureId, PathBuf)>, Problem> {
    let entries = std::fs::read_dir(root)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .map_err(|error| {
            let message = format!("the artifacts directory cannot be listed: {error}");
            let remedy = "name a directory that exists and that this user may read";
            Problem::new("dir-unreadable", message, remedy).file(root)
        })?;
    let mut features: Vec<(FeatureId, PathBuf)> = entries
        .into_iter()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    features.sort();
    Ok(features)
}
