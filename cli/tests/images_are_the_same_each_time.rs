//! `pilar image push` makes the same image of the same feature each time, and pushes what is not there yet.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{LAB, Workspace};
use serde_json::Value;

/// Debian's registry, on a free port of 127.0.0.1, until this is dropped.
struct Registry {
    address: String,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Registry {
    fn start(password: Option<(&str, &str)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let path = |name: &str| dir.path().join(name);
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: {address}\n",
            path("storage").display()
        );
        if let Some((name, password)) = password {
            let made = Command::new("htpasswd").args(["-Bbn", name, password]).output();
            fs::write(path("users"), made.unwrap().stdout).unwrap();
            let users = path("users");
            config +=
                &format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", users.display());
        }
        fs::write(path("config.yml"), config).unwrap();
        let mut registry = Command::new("docker-registry");
        registry.arg("serve").arg(path("config.yml")).stdout(Stdio::null()).stderr(Stdio::null());
        let child = registry.spawn().expect("docker-registry is installed by `cargo xtask setup`");
        let patience = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < patience, "the registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { address, child, _dir: dir }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn two_versions() -> Workspace {
    let workspace = Workspace::published();
    workspace.feature(LAB, "1.1.0", "two");
    workspace.publish_built();
    workspace
}

fn pushed(answer: &Value) -> Vec<bool> {
    answer["layers"].as_array().unwrap().iter().map(|l| l["pushed"].as_bool().unwrap()).collect()
}

#[test]
fn an_image_is_pushed_once_and_named_by_its_digest() {
    let registry = Registry::start(None);
    let workspace = two_versions();
    let image = format!("{}/features/lab:1.1.0", registry.address);
    let words = ["image", "push", &image, "--plain-http", "--dev"];
    let first = workspace.json(0, &words);
    assert_eq!(pushed(&first), [true, true, true]);
    let again = workspace.json(0, &words);
    assert_eq!(pushed(&again), [false, false, false]);
    assert_eq!(first["digest"], again["digest"]);
    let digest = first["digest"].as_str().unwrap();
    assert_eq!(first["image"], format!("{}/features/lab@{digest}", registry.address));
    let by_skopeo = |template: &str| {
        let name = format!("docker://{image}");
        let words = ["inspect", "--tls-verify=false", "--format", template, &name];
        let output = Command::new("skopeo").args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(by_skopeo("{{.Digest}}"), digest);
    // Only the new version and the index are sent with the next release.
    workspace.feature(LAB, "1.2.0", "three");
    workspace.publish_built();
    let next = workspace.json(0, &words);
    assert_eq!(pushed(&next), [false, false, true, true]);
    assert_ne!(next["digest"], first["digest"]);
    let untagged = format!("{}/features/other", registry.address);
    let other = workspace.json(0, &["image", "push", &untagged, "--plain-http", "--dev"]);
    assert_eq!(other["digest"], next["digest"]);
}

#[test]
fn the_same_feature_is_the_same_image_wherever_it_lies() {
    let (one, other) = (two_versions(), Workspace::new());
    let words = |output: &'static str| ["image", "push", "--output", output, "--dev"];
    let here = one.json(0, &words("image"));
    // The same files with other times, owners aside, and in another order on the disk.
    let copied = Command::new("cp").arg("-r").args([one.path(".pilar"), other.path(".")]).status();
    assert!(copied.unwrap().success());
    let reversed = "cd \"$1\" && mkdir -p \"$2\" && find . -type f | sort -r | while read -r file; do \
                    mkdir -p \"$2/$(dirname \"$file\")\"; cat \"$file\" > \"$2/$file\"; done";
    let done = Command::new("sh")
        .args(["-c", reversed, "sh"])
        .args([one.path("artifacts"), other.path("artifacts")])
        .status();
    assert!(done.unwrap().success());
    let there = other.json(0, &words("image"));
    assert_eq!(here["digest"], there["digest"]);
    let same =
        Command::new("diff").arg("-r").args([one.path("image"), other.path("image")]).status();
    assert!(same.unwrap().success());
    // Another tool reads the layout, and finds the tree of contract §2 in it.
    let unpacked = one.path("unpacked");
    fs::create_dir_all(&unpacked).unwrap();
    for layer in here["layers"].as_array().unwrap() {
        let hex = layer["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let blob = one.path(&format!("image/blobs/sha256/{hex}"));
        let tar = Command::new("tar").arg("-xzf").arg(blob).arg("-C").arg(&unpacked).status();
        assert!(tar.unwrap().success());
    }
    let same = Command::new("diff")
        .arg("-r")
        .args([unpacked.join("artifacts").join(LAB), one.path("artifacts").join(LAB)])
        .status();
    assert!(same.unwrap().success());
}

#[test]
fn a_registry_lets_in_who_logged_in() {
    let registry = Registry::start(Some(("ci", "of-the-hospital")));
    let workspace = two_versions();
    let image = format!("{}/lab", registry.address);
    let words = ["image", "push", &image, "--plain-http", "--dev"];
    assert_eq!(workspace.refusal(1, &words), "unauthorized");
    let login = |password: &str| {
        workspace.write(
            "docker/config.json",
            format!(
                r#"{{"auths":{{"{}":{{"username":"ci","password":"{password}"}}}}}}"#,
                registry.address
            ),
        );
        let mut command = workspace.command(&[&words[..], &["--json"]].concat());
        let output = command.env("DOCKER_CONFIG", workspace.path("docker")).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, said) = login("a-guess");
    assert_eq!(status, Some(1));
    assert!(said.contains("unauthorized") && !said.contains("a-guess"), "{said}");
    let (status, said) = login("of-the-hospital");
    assert_eq!(status, Some(0), "{said}");
}

#[test]
fn what_a_host_would_refuse_is_not_pushed() {
    let workspace = two_versions();
    let push = |image: &str| workspace.refusal(1, &["image", "push", image, "--dev"]);
    // Nothing listens there; what is wrong is found first.
    let nowhere = "127.0.0.1:1/lab";
    assert_eq!(push(nowhere), "url-unreachable");
    let manifest = "artifacts/lab/1.0.0/manifest.json";
    workspace.write(manifest, workspace.read(manifest) + "\n");
    assert_eq!(push(nowhere), "manifest-hash");
    for wrong in [
        "lab",
        "features/lab",
        "r.example/Lab",
        "r.example/lab:",
        "r.example/lab@sha256:0",
        "r.example/../x",
    ] {
        assert_eq!(
            workspace.refusal(2, &["image", "push", wrong, "--dev"]),
            "bad-image",
            "{wrong}"
        );
    }
    workspace.feature("notes", "1.0.0", "one");
    workspace.publish_built();
    assert_eq!(workspace.refusal(2, &["image", "push", nowhere, "--dev"]), "which-feature");
}
