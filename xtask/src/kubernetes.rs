//! A real API server for the tests: kube-apiserver and etcd, built once from the Go module proxy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{call, output};
use crate::{Failure, Workspace, setup};

/// The Go module that pins both, relative to the checkout.
const MODULE: &str = "tests/kubernetes";
/// What is built: the file, and the package that it is made from.
const PROGRAMS: &[(&str, &str)] = &[
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
];
/// The Go that builds them where the machine has none that is new enough, as the module proxy has it.
const GO: &str = "1.26.10";
/// Go's name for this processor, and the SHA-256 of the archive for it.
const GO_ARCHIVE: (&str, &str) = if cfg!(target_arch = "aarch64") {
    ("arm64", "195f18be92553fb272b9c4f9fca6e67b6a04d8831bf6c4b918ac70982fadb444")
} else {
    ("amd64", "f64ecb0807852be2c98899561c45288a9ad57f4e88f3cd002ffabeccbd03bfe1")
};
/// What fetches and unpacks it, with the Debian package of each.
const FETCHING: &[(&str, &str)] = &[
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/unzip", "unzip"),
    ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
];

/// The directory with both programs: `KUBEBUILDER_ASSETS`, as other projects name it, or one in the cache.
pub(crate) fn assets(workspace: &Workspace) -> Result<PathBuf, Failure> {
    if let Some(assets) = &workspace.kubebuilder_assets {
        return Ok(assets.clone());
    }
    Ok(workspace.cache.join(format!("kubernetes-{}", version(workspace)?)))
}

/// Builds both unless they are there.
pub(crate) fn build(workspace: &Workspace) -> Result<(), Failure> {
    let assets = assets(workspace)?;
    let missing = |dir: &Path| PROGRAMS.iter().find(|(name, _)| !dir.join(name).is_file());
    let Some((name, _)) = missing(&assets) else { return Ok(()) };
    if workspace.kubebuilder_assets.is_some() {
        return Err(format!(
            "KUBEBUILDER_ASSETS: {} has no {name}; unset it to have one built",
            assets.display()
        ));
    }
    println!("building kube-apiserver and etcd, once; this takes minutes");
    // Beside the place where it goes, so that it gets there by a rename and is whole or not there.
    let room = workspace.cache.join(format!("kubernetes-{}.partial", std::process::id()));
    let built = make(&room).and_then(|()| build_in(workspace, &room));
    let placed = built.and_then(|programs| match fs::rename(programs, &assets) {
        // Another run may have been quicker.
        Err(_) if missing(&assets).is_none() => Ok(()),
        renamed => renamed.map_err(|error| format!("{}: {error}", assets.display())),
    });
    // The modules and what the compiler keeps are gigabytes, of which nothing is needed again.
    let swept = fs::remove_dir_all(&room).map_err(|error| format!("{}: {error}", room.display()));
    placed.and(swept)
}

fn build_in(workspace: &Workspace, room: &Path) -> Result<PathBuf, Failure> {
    let go = go(workspace, room)?;
    let version = version(workspace)?;
    let programs = room.join("programs");
    make(&programs)?;
    for (name, package) in PROGRAMS {
        call(
            Command::new("nice")
                .current_dir(workspace.root.join(MODULE))
                .arg(&go)
                // Two compilers at a time: one takes up to a gigabyte of memory.
                .args(["build", "-p", "2", "-trimpath", "-modcacherw"])
                // What it says of itself at `/version`.
                .args([
                    "-ldflags",
                    &format!("-s -w -X k8s.io/component-base/version.gitVersion={version}"),
                ])
                .arg("-o")
                .arg(programs.join(name))
                .arg(package)
                .env("CGO_ENABLED", "0")
                .env("GOCACHE", room.join("compiled"))
                .env("GOMODCACHE", room.join("modules"))
                .env("GOTOOLCHAIN", "local")
                // Those of the machine are meant for other modules.
                .env("GOFLAGS", "-mod=readonly"),
        )?;
    }
    Ok(programs)
}

/// The machine's Go where it is new enough for the module, else one that is fetched into `room`.
fn go(workspace: &Workspace, room: &Path) -> Result<PathBuf, Failure> {
    let numbers = |version: &str| {
        version.split('.').map_while(|number| number.parse().ok()).collect::<Vec<u32>>()
    };
    let wanted = requirement(workspace, "go ")?;
    let own = output(Command::new("go").args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local"));
    let own = own.unwrap_or_default();
    if numbers(own.trim().trim_start_matches("go")) >= numbers(&wanted) {
        return Ok(PathBuf::from("go"));
    }
    setup::programs(FETCHING)?;
    let (processor, sha256) = GO_ARCHIVE;
    let name = format!("v0.0.1-go{GO}.linux-{processor}");
    let archive = room.join("go.zip");
    let url = format!("{}/golang.org/toolchain/@v/{name}.zip", workspace.go_proxy);
    call(
        Command::new("curl")
            .args(["--fail", "--silent", "--show-error", "--location", "--output"])
            .arg(&archive)
            .arg(url),
    )?;
    let found = output(Command::new("sha256sum").arg(&archive))?;
    if !found.starts_with(sha256) {
        return Err(format!("{}: its SHA-256 is not {sha256}: {found}", archive.display()));
    }
    call(Command::new("unzip").arg("-q").arg(&archive).arg("-d").arg(room))?;
    let root = room.join("golang.org").join(format!("toolchain@{name}"));
    // Archives of modules carry no modes.
    call(
        Command::new("chmod").args(["-R", "a+x"]).args([root.join("bin"), root.join("pkg/tool")]),
    )?;
    Ok(root.join("bin/go"))
}

/// The version of Kubernetes, as the module pins it.
fn version(workspace: &Workspace) -> Result<String, Failure> {
    requirement(workspace, "k8s.io/kubernetes v").map(|version| format!("v{version}"))
}

/// The word that follows `words` at the start of a line of the module's `go.mod`.
fn requirement(workspace: &Workspace, words: &str) -> Result<String, Failure> {
    let path = workspace.root.join(MODULE).join("go.mod");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix(words));
    let found = line.and_then(|line| line.split_whitespace().next());
    found.map(str::to_owned).ok_or_else(|| format!("{}: no line \"{words}…\"", path.display()))
}

fn make(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))
}
