//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pilar_artifact::FeatureId;
use pilar_artifact::operations::{Attribution, Channel};

use crate::environment::Environment;
use crate::{build, dev, doctor, image, inspect, keys, lint, publish, release, validate};

/// Builds, signs, publishes, releases, inspects and checks features, and examines hosts.
#[derive(Debug, Parser)]
#[command(name = "pilar", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print JSON for machines instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
From sources to a running page:
  pilar dev examples                      build, publish, serve, watch
  pilar build --dev                       build what is here, signed with the dev key
  pilar publish --local --dev             put it into ARTIFACTS_DIR
  pilar release status --dev              what is released

Variables:
  ARTIFACTS_DIR                           the artifacts directory [artifacts]
  FEATURE_SIGNING_KEY_PATH, FEATURE_SIGNING_KEY, FEATURE_SIGNING_KEY_ID
                                          the private key (PKCS#8 PEM) and its id
  FEATURE_TRUST_PUBLIC_KEYS_PATH, FEATURE_TRUST_PUBLIC_KEYS_JSON
                                          the public keys that count
  DOCKER_CONFIG                           the directory of `docker login` [~/.docker]
  SOURCE_DATE_EPOCH                       the build time, for repeatable builds
  NO_COLOR                                no colour

Exit status: 0 done, 1 found a problem, 2 wrong use.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make signing keys and the map of trusted keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Build features from their sources and sign them.
    Build(build::BuildArguments),
    /// Put built features into an artifacts directory.
    Publish(publish::PublishArguments),
    /// Carry features to registries as images.
    #[command(subcommand)]
    Image(image::ImageCommand),
    /// Change which version serves.
    #[command(subcommand)]
    Release(release::ReleaseCommand),
    /// Verify the whole chain and say what would serve, and why.
    Inspect(inspect::InspectArguments),
    /// Find mistakes that no single manifest shows.
    #[command(subcommand)]
    Lint(lint::LintCommand),
    /// Check that features fit a host and each other.
    #[command(subcommand)]
    Validate(validate::ValidateCommand),
    /// Examine the environment and the machine of a host.
    Doctor(doctor::DoctorArguments),
    /// Build, publish and serve features while you work on them.
    Dev(dev::DevArguments),
}

/// Which keys.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct KeyArguments {
    /// Use the dev key in .pilar/keys, made on first use. Hosts in production refuse it.
    #[arg(long)]
    pub(crate) dev: bool,
}

/// Which artifacts directory.
#[derive(Debug, Clone, Args)]
pub(crate) struct ArtifactsArguments {
    /// The artifacts directory [default: ARTIFACTS_DIR, else "artifacts"]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

impl ArtifactsArguments {
    /// The artifacts directory.
    pub(crate) fn dir(&self, environment: &Environment) -> PathBuf {
        self.artifacts.clone().unwrap_or_else(|| environment.artifacts_dir.clone())
    }
}

/// Which features.
#[derive(Debug, Clone, Args)]
pub(crate) struct FeatureArguments {
    /// Only this feature; repeat for several.
    #[arg(long = "feature", value_name = "ID")]
    pub(crate) features: Vec<FeatureId>,
}

/// Who does it, and why: written into the signed history.
#[derive(Debug, Clone, Args)]
pub(crate) struct AttributionArguments {
    /// Who or what does it.
    #[arg(long)]
    pub(crate) actor: Option<String>,
    /// Why; people on call read it.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// The ticket that asked for it.
    #[arg(long)]
    pub(crate) ticket: Option<String>,
}

impl AttributionArguments {
    /// The same with the time.
    pub(crate) fn at_now(&self, environment: &Environment) -> Attribution {
        Attribution {
            at: environment.now(),
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            ticket: self.ticket.clone(),
        }
    }
}

/// Where a version is published to.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ChannelArgument {
    /// For everybody.
    Stable,
    /// For a part of the people, until it is promoted.
    Canary,
}

impl From<ChannelArgument> for Channel {
    fn from(channel: ChannelArgument) -> Self {
        match channel {
            ChannelArgument::Stable => Self::Stable,
            ChannelArgument::Canary => Self::Canary,
        }
    }
}
