//! `pilar image`: a feature as an image of a registry, without a container engine.

mod credentials;
mod layers;
mod layout;
mod reference;
mod registry;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pilar_artifact::verify::Context;
use pilar_artifact::{FeatureId, Limits};
use serde_json::{Value, json};

use crate::arguments::{ArtifactsArguments, KeyArguments};
use crate::documents::{features_in, open_dir};
use crate::environment::Environment;
use crate::http::Client;
use crate::keyring;
use crate::problem::{Outcome, Problem};
use crate::ui::Ui;
use layers::Image;
use reference::Reference;
use registry::Registry;

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Make an image of a published feature, push it, and print its digest.
    Push(PushArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilar image push registry.example/patientlist:1.4.0 --feature patientlist
  pilar image push --output image --feature patientlist --dev

Every file is verified before anything is sent. The image holds what `docker build -f
Dockerfile.feature` would put into it, one layer for each version, and is the same byte for byte each
time: what the registry has already is not sent again. Credentials are those of `docker login`.")]
pub(crate) struct PushArguments {
    /// Where to: <registry>/<repository>[:<tag>]. Without a tag it is found by its digest alone.
    #[arg(value_name = "IMAGE", required_unless_present = "output")]
    to: Option<String>,
    /// Which feature; not needed where there is only one.
    #[arg(long, value_name = "ID")]
    feature: Option<FeatureId>,
    /// Write an OCI image layout to this directory, instead of or beside pushing.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Speak to the registry without TLS.
    #[arg(long)]
    plain_http: bool,
    #[command(flatten)]
    artifacts: ArtifactsArguments,
    #[command(flatten)]
    keys: KeyArguments,
}

pub(crate) fn run(
    command: &ImageCommand,
    environment: &Environment,
    ui: &Ui,
) -> Result<Outcome, Problem> {
    let ImageCommand::Push(arguments) = command;
    let to = arguments.to.as_deref().map(Reference::parse).transpose()?;
    let root = arguments.artifacts.dir(environment);
    let feature = match &arguments.feature {
        Some(feature) => feature.clone(),
        None => only_feature(&root)?,
    };
    let progress = ui.progress(format!("verifying {feature}"));
    let keys = keyring::trusted_keys(environment, arguments.keys.dev)?;
    let limits = Limits::default();
    let context = Context { keys: &keys, now: environment.now(), host_version: None, limits };
    let dir = root.join(feature.as_str());
    let image = Image::of(&open_dir(&dir)?, &feature, &context)
        .map_err(|rejection| Problem::from(&rejection).file(root.join(rejection.report().file)))?;
    if let Some(output) = &arguments.output {
        layout::write(output, &image)?;
        ui.line(format!("Wrote {}.", output.display()));
    }
    let sent = match &to {
        None => Vec::new(),
        Some(to) => {
            progress.say(format!("pushing {feature}"));
            let client = Client::new();
            let credential = credentials::of(environment, &to.registry)?;
            Registry::new(&client, to, arguments.plain_http, credential).push(&image)?
        }
    };
    drop(progress);
    let name = to.as_ref().map(|to| to.at(image.digest()));
    let result = name.clone().unwrap_or_else(|| format!("sha256:{}", image.digest()));
    for layer in &image.layers {
        let what = layer.version.as_ref().map_or("index".to_owned(), ToString::to_string);
        let there = if sent.contains(&layer.digest) { "pushed" } else { "there already" };
        let there = if to.is_some() { there } else { "written" };
        ui.line(format!("{feature} {what}: {} bytes, {there}", layer.bytes.len()));
    }
    Ok(Outcome::new(result, describe(&feature, &image, name, &sent)))
}

fn only_feature(root: &std::path::Path) -> Result<FeatureId, Problem> {
    let mut features = features_in(root)?.into_iter().map(|(feature, _)| feature);
    match (features.next(), features.next()) {
        (Some(only), None) => Ok(only),
        (found, _) => {
            let what = if found.is_some() { "are several features" } else { "is no feature" };
            let problem = Problem::new("which-feature", format!("there {what}"), "name --feature");
            Err(problem.file(root).field("--feature").wrong_use())
        }
    }
}

fn describe(
    feature: &FeatureId,
    image: &Image,
    name: Option<String>,
    sent: &[pilar_artifact::Sha256Digest],
) -> Value {
    let layers: Vec<Value> = image
        .layers
        .iter()
        .map(|layer| {
            json!({
                "version": layer.version,
                "digest": format!("sha256:{}", layer.digest),
                "size": layer.bytes.len(),
                "pushed": sent.contains(&layer.digest),
            })
        })
        .collect();
    json!({
        "featureId": feature,
        "digest": format!("sha256:{}", image.digest()),
        "image": name,
        "layers": layers,
    })
}
