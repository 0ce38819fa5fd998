//! `pilar build`: sources in, a signed version directory out.

mod compress;
pub(crate) mod files;
mod hashed_names;
mod manifest;
pub(crate) mod npm;
mod references;
pub(crate) mod source;
mod tool;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::Args;
use pilar_artifact::{FeatureId, Limits, SigningKey, TrustedKeys};
use pilar_store::Store;
use semver::Version;
use serde_json::{Value, json};

use crate::arguments::{FeatureArguments, KeyArguments};
use crate::environment::Environment;
use crate::keyring;
use crate::problem::{Outcome, Problem};
use crate::ui::{Progress, Ui};

use source::Source;

/// Where builds go, below the current directory.
pub(crate) const OUTPUT_DIR: &str = ".pilar/build";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilar build --dev                        every feature here, signed with the dev key
  pilar build examples --feature patientlist
  pilar build path/to/feature --out /tmp/out

PATH is a feature (it has a manifest.json) or a directory of features. Without PATH: the current
directory, else examples/ and sdk/shared below it.

A package.json with a \"build\" script: `npm ci` where node_modules is not current, `npm run build`,
then every file of dist/, with the entry points that dist/pilar-build.json names. Otherwise every
file of src/, with the \"entrypoints\" of manifest.json; names get a content hash, and quoted
relative references between the files follow.")]
pub(crate) struct BuildArguments {
    /// A feature, or a directory of features.
    path: Option<PathBuf>,
    #[command(flatten)]
    features: FeatureArguments,
    /// Where <id>/<version>/ goes.
    #[arg(long, value_name = "DIR", default_value = OUTPUT_DIR)]
    out: PathBuf,
    /// Do not run `npm ci`, even where node_modules is not current.
    #[arg(long)]
    no_install: bool,
    /// Where Node is missing, build the features that do not need it.
    #[arg(long)]
    skip_without_node: bool,
    #[command(flatten)]
    keys: KeyArguments,
}

pub(crate) fn run(
    arguments: &BuildArguments,
    environment: &Environment,
    ui: &Ui,
) -> Result<Outcome, Problem> {
    let sources = source::find(arguments.path.as_slice(), &arguments.features.features)?;
    let builder = Builder {
        output: arguments.out.clone(),
        install: !arguments.no_install,
        variants: true,
        key: keyring::signing_key(environment, arguments.keys.dev)?,
        trusted: keyring::trusted_keys(environment, arguments.keys.dev)?,
        limits: Limits::default(),
        stop: None,
        environment,
        ui: *ui,
    };
    let (sources, skipped) = if arguments.skip_without_node {
        npm::without_those_that_need_node(sources, environment)
    } else {
        (sources, Vec::new())
    };
    for id in &skipped {
        ui.line(format!("Skipped {id}: it needs Node, which is not installed."));
    }
    let mut built = Vec::new();
    let mut problems = Vec::new();
    for source in &sources {
        match builder.build(source, None) {
            Ok(one) => {
                ui.line(one.summary());
                built.push(one.json());
            }
            Err(problem) => problems.push(problem),
        }
    }
    let mut result = format!("Built {} of {} features", built.len(), sources.len() + skipped.len());
    result.push_str(&format!(" into {}.", arguments.out.display()));
    let json = json!({ "features": built, "skipped": skipped });
    Ok(Outcome { problems, ..Outcome::new(result, json) })
}

/// Builds features, one at a time.
pub(crate) struct Builder<'a> {
    /// Where `<id>/<version>/` goes.
    pub(crate) output: PathBuf,
    /// Whether `npm ci` may run.
    pub(crate) install: bool,
    /// Whether to make precompressed variants.
    pub(crate) variants: bool,
    /// The key that signs manifests.
    pub(crate) key: SigningKey,
    /// The keys whose signatures count.
    pub(crate) trusted: TrustedKeys,
    /// Bounds on what is built.
    pub(crate) limits: Limits,
    /// Ends a running tool when set.
    pub(crate) stop: Option<&'a AtomicBool>,
    /// The clock and `SOURCE_DATE_EPOCH`.
    pub(crate) environment: &'a Environment,
    /// Shows what is going on.
    pub(crate) ui: Ui,
}

/// A version directory that was built.
#[derive(Debug)]
pub(crate) struct Built {
    /// The feature.
    pub(crate) id: FeatureId,
    /// The version.
    pub(crate) version: Version,
    /// Its directory.
    pub(crate) path: PathBuf,
    /// Files, without variants and the manifest.
    files: usize,
    /// Size of these, in bytes.
    bytes: usize,
    /// Precompressed variants.
    variants: usize,
}

impl Builder<'_> {
    /// Builds `source`, as `version` where one is given, and replaces what was built of it before.
    pub(crate) fn build(
        &self,
        source: &Source,
        version: Option<&Version>,
    ) -> Result<Built, Problem> {
        let id = source.id();
        let version = version.unwrap_or(&source.manifest.version);
        let progress = self.ui.progress(format!("building {id}"));
        let content = if source.has_build_script {
            npm::build(source, self, &progress)?
        } else {
            hashed_names::build(source, &self.limits)?
        };
        progress.say(format!("compressing {id}"));
        let variants = if self.variants { compress::variants(&content.files)? } else { Vec::new() };
        let manifest = manifest::publish(source, version, &content, &variants, self)?;
        let path = self.write(id, version, &content, &variants, &manifest, &progress)?;
        Ok(Built {
            id: id.clone(),
            version: version.clone(),
            path,
            files: content.files.len(),
            bytes: content.files.values().map(Vec::len).sum(),
            variants: variants.len(),
        })
    }

    fn write(
        &self,
        id: &FeatureId,
        version: &Version,
        content: &files::Content,
        variants: &[(pilar_artifact::FileName, Vec<u8>)],
        manifest: &[u8],
        progress: &Progress,
    ) -> Result<PathBuf, Problem> {
        progress.say(format!("writing {id}"));
        let mut writer = Store::open_or_create(&self.output)?.lock(id)?;
        let mut staged = writer.stage(version)?;
        let variants = variants.iter().map(|(name, bytes)| (name, bytes));
        for (name, bytes) in content.files.iter().chain(variants) {
            staged.write(name, bytes)?;
        }
        staged.replace(manifest)?;
        // One build of a feature is kept, so that publishing needs no choice.
        writer.retain_versions(|there| there == version)?;
        Ok(writer.path().join(version.to_string()))
    }
}

impl Built {
    /// One line for people.
    fn summary(&self) -> String {
        let Self { id, version, files, bytes, variants, .. } = self;
        let size = size_text(*bytes);
        format!("{id} {version}: {files} files, {size}, {variants} compressed variants")
    }

    /// The same for machines.
    fn json(&self) -> Value {
        json!({
            "featureId": self.id,
            "version": self.version,
            "directory": self.path.display().to_string(),
            "files": self.files,
            "bytes": self.bytes,
            "variants": self.variants,
        })
    }
}

fn size_text(bytes: usize) -> String {
    if bytes < 10_000 { format!("{bytes} bytes") } else { format!("{} kB", bytes / 1000) }
}
