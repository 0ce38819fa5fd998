//! The one entry for people and CI.
//!
//! `cargo xtask dev` starts a development host with the examples; `cargo xtask test` runs everything there
//! is. Both install what they need, or say exactly what is missing.

mod bench;
mod dev;
mod fuzz;
mod instructions;
mod kubernetes;
mod measure;
mod process;
mod setup;
mod tally;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask dev [options of `pilar dev`]   build, sign and serve the examples, and reload on change
cargo xtask test [step ...]                run every check and test, or only the named steps
cargo xtask measure                        time from a release or a registration to its first reply, of a cold start, and memory
cargo xtask bench [quick] [case ...]       CPU, memory and latency side by side with other servers
cargo xtask instructions --renew           write the baselines of the instruction counts anew
cargo xtask setup                          install what `dev` and `test` need

steps of `test`, in order:
";

/// Where things are and go.
struct Workspace {
    /// The root of the checkout.
    root: PathBuf,
    /// Builds that outlive a checkout: `PILAR_CACHE`, default `~/.cache/pilar`.
    cache: PathBuf,
    /// Where kube-apiserver and etcd are, if they are not to be built: `KUBEBUILDER_ASSETS`.
    kubebuilder_assets: Option<PathBuf>,
    /// Where Go modules come from: the first of `GOPROXY`.
    go_proxy: String,
}

/// What went wrong, in words for whoever ran the command.
type Failure = String;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let outcome = Workspace::find().and_then(|workspace| match command.as_deref() {
        Some("dev") => dev::run(&workspace, &rest),
        Some("test") => test::run(&workspace, &rest),
        Some("measure") => measure::run(&workspace),
        Some("bench") => bench::run(&workspace, &rest),
        Some("instructions") if rest == ["--renew"] => instructions::renew(&workspace),
        Some("setup") => setup::everything(&workspace),
        _ => {
            let steps =
                test::STEPS.iter().map(|step| format!("  {:<12} {}\n", step.name, step.what));
            Err(format!("{USAGE}{}", steps.collect::<String>()))
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
impl Workspace {
    fn find() -> Result<Self, Failure> {
        // As cargo says it now: a program that another checkout left in a shared directory of builds counts as fresh.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("run this as `cargo xtask`")?;
        let root = Path::new(&manifest)
            .parent()
            .ok_or("the checkout has no root directory")?
            .to_path_buf();
        let home = || std::env::var_os("HOME").map(PathBuf::from);
        let cache = std::env::var_os("PILAR_CACHE")
            .map(PathBuf::from)
            .or_else(|| home().map(|home| home.join(".cache/pilar")))
            .ok_or("set PILAR_CACHE to a directory for builds that outlive a checkout")?;
        let kubebuilder_assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let proxies = std::env::var("GOPROXY").unwrap_or_default();
        let go_proxy = proxies.split([',', '|']).find(|proxy| proxy.contains("://"));
        let go_proxy =
            go_proxy.unwrap_or("https://proxy.golang.org").trim_end_matches('/').to_owned();
        Ok(Self { root, cache, kubebuilder_assets, go_proxy })
    }

    /// Where cargo puts what it makes.
    fn target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from)
    }

    /// Where cargo puts a release binary of this workspace.
    fn release_binary(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.target().join(process::host_triple(self)?).join("release").join(name);
        if path.is_file() { Ok(path) } else { Err(format!("{} was not built", path.display())) }
    }
}
