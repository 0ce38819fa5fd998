//! An image is named by its digest. Whatever form it has, its artifact arrives; what is no artifact is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and writes files of its own"
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use common::archive::{Archive, gzip};
use common::network;
use common::network::image::{self, Blob};
use common::network::registry::Registry;
use common::network::{FEATURE, Place, limits, origin, plain, released};
use common::tree;
use pilar_artifact::Sha256Digest;
use pilar_loader::transport::Limits;
use pilar_loader::unpack::Compression;
use serde_json::{Value, json};

const REPOSITORY: &str = "features/lab";

#[tokio::test]
async fn layers_arrive_however_they_are_compressed_and_called() {
    let registry = Registry::open().await;
    let place = Place::plain(&[&registry.address]);
    let archive = image::archive(&released(&["1.0.0", "1.1.0"]));
    let docker = Blob::new(image::DOCKER_LAYER, gzip(&archive));
    let mut as_docker = image::manifest(std::slice::from_ref(&docker));
    as_docker["mediaType"] = json!(image::DOCKER_MANIFEST);
    as_docker["config"]["mediaType"] = json!("application/vnd.docker.container.image.v1+json");
    let digest = image::push_as(&registry, REPOSITORY, &[docker], &as_docker).await;
    place.fetch(&origin(&registry.address, REPOSITORY, digest)).await.whole();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let layer = Blob::layer(&archive, compression);
        let mut artifact = image::manifest(std::slice::from_ref(&layer));
        artifact["artifactType"] = json!("application/vnd.pilar-runtime.artifact");
        let digest = image::push_as(&registry, REPOSITORY, &[layer], &artifact).await;
        place.fetch(&origin(&registry.address, REPOSITORY, digest)).await.whole();
    }
}

#[tokio::test]
async fn an_index_leads_to_the_image_of_this_machine() {
    let registry = Registry::open().await;
    let place = Place::plain(&[&registry.address]);
    let own = image::push_tree(&registry, REPOSITORY, &released(&["1.0.0"])).await;
    let other = image::push_tree(&registry, REPOSITORY, &released(&["2.0.0"])).await;
    let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let entry = |digest: Sha256Digest, architecture: &str| {
        json!({
            "mediaType": image::MANIFEST, "digest": format!("sha256:{digest}"), "size": 1,
            "platform": { "os": "linux", "architecture": architecture },
        })
    };
    let index = |media_type: &str, manifests: Value| {
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
        index.to_string().into_bytes()
    };
    for media_type in [image::INDEX, image::DOCKER_LIST] {
        let both = index(media_type, json!([entry(other, "s390x"), entry(own, architecture)]));
        let digest = registry.push_manifest(REPOSITORY, media_type, both).await;
        let brought = place.fetch(&origin(&registry.address, REPOSITORY, digest)).await;
        brought.whole();
        assert!(brought.has("1.0.0/manifest.json"));
    }
    let attestation = entry(other, "unknown");
    let single = index(image::INDEX, json!([entry(own, "riscv64"), attestation]));
    let single = registry.push_manifest(REPOSITORY, image::INDEX, single).await;
    place.fetch(&origin(&registry.address, REPOSITORY, single)).await.whole();
    let none = index(image::INDEX, json!([entry(own, "riscv64"), entry(other, "s390x")]));
    let none = registry.push_manifest(REPOSITORY, image::INDEX, none).await;
    let brought = place.fetch(&origin(&registry.address, REPOSITORY, none)).await;
    assert!(!brought.refused("image-no-platform").may_pass());
    let nested = index(image::INDEX, json!([entry(single, architecture)]));
    let nested = registry.push_manifest(REPOSITORY, image::INDEX, nested).await;
    place.fetch(&origin(&registry.address, REPOSITORY, nested)).await.refused("image-nested");
}

#[tokio::test]
async fn what_is_no_artifact_is_refused() {
    let registry = Registry::open().await;
    let place = Place::plain(&[&registry.address]);
    let refused = async |layers: &[Blob], manifest: &Value, code: &str| {
        let digest = image::push_as(&registry, REPOSITORY, layers, manifest).await;
        let brought = place.fetch(&origin(&registry.address, REPOSITORY, digest)).await;
        assert!(!brought.refused(code).may_pass(), "{code} stays");
    };
    let layer = || Blob::layer(&image::archive(&released(&["1.0.0"])), Compression::Gzip);
    for media_type in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.in-toto+json",
        "application/vnd.oci.empty.v1+json",
        "text/html",
    ] {
        let layers = [Blob::new(media_type, b"{}".to_vec())];
        refused(&layers, &image::manifest(&layers), "layer-media-type").await;
    }
    let foreign = Archive::new().file("artifacts/labor/releases.json", b"{}").end();
    let layers = [layer(), Blob::layer(&foreign, Compression::Gzip)];
    refused(&layers, &image::manifest(&layers), "feature-foreign").await;
    let distribution = Archive::new().directory("bin/").file("bin/sh", b"#!").end();
    let layers = [Blob::layer(&distribution, Compression::Gzip), layer()];
    refused(&layers, &image::manifest(&layers), "entry-outside").await;
    let layers = [layer()];
    let mut short = image::manifest(&layers);
    short["layers"][0]["size"] = json!(layers[0].bytes.len() - 1);
    let digest = image::push_as(&registry, REPOSITORY, &layers, &short).await;
    place.fetch(&origin(&registry.address, REPOSITORY, digest)).await.refused("size-mismatch");
    let missing = Sha256Digest::of(b"never pushed");
    let brought = place.fetch(&origin(&registry.address, REPOSITORY, missing)).await;
    assert!(!brought.refused("not-found").may_pass());
}

#[tokio::test]
async fn an_image_keeps_within_the_limits() {
    let registry = Registry::open().await;
    let layers = [Blob::layer(&image::archive(&released(&["1.0.0"])), Compression::Gzip)];
    let mut manifest = image::manifest(&layers);
    manifest["annotations"] = json!({ "padding": "x".repeat(4096) });
    let digest = image::push_as(&registry, REPOSITORY, &layers, &manifest).await;
    for (limits, code) in [
        (Limits { document_bytes: 4096, ..limits() }, "too-large"),
        (Limits { compressed_bytes: 100_000, ..limits() }, "image-too-large"),
        (Limits { expanded_bytes: 100_000, ..limits() }, "image-too-large"),
        (Limits { layers: 0, ..limits() }, "too-many-layers"),
        (Limits { entries: 3, ..limits() }, "too-many-entries"),
    ] {
        let place = Place::with(plain(&[&registry.address]), limits);
        let brought = place.fetch(&origin(&registry.address, REPOSITORY, digest)).await;
        assert!(!brought.refused(code).may_pass(), "{code} stays");
    }
}

/// Manifests that hold a second truth for another reader.
#[tokio::test]
async fn a_manifest_is_strict_json() {
    let registry = Registry::open().await;
    let place = Place::plain(&[&registry.address]);
    let layers = [Blob::layer(&image::archive(&released(&["1.0.0"])), Compression::Gzip)];
    registry.push_blob(REPOSITORY, &layers[0].bytes).await;
    registry.push_blob(REPOSITORY, &Blob::config().bytes).await;
    let text = image::manifest(&layers).to_string();
    let twice = text.replacen('{', "{\"layers\":[],", 1).into_bytes();
    let digest = registry.push_manifest(REPOSITORY, image::MANIFEST, twice).await;
    let brought = place.fetch(&origin(&registry.address, REPOSITORY, digest)).await;
    brought.refused("json-duplicate-key");
}

#[tokio::test]
async fn a_layer_whose_version_is_in_the_tree_does_not_come_again() {
    let registry = Registry::open().await;
    let tree = released(&["1.0.0", "1.1.0"]);
    let files = network::files(&tree.path(FEATURE));
    let mut versions = BTreeMap::new();
    let mut layers = Vec::new();
    for version in ["1.0.0", "1.1.0"] {
        let of_version = files.iter().filter(|(path, _)| path.starts_with(version));
        let archive = of_version.fold(Archive::new(), |archive, (path, bytes)| {
            archive.file(&format!("artifacts/{FEATURE}/{path}"), bytes)
        });
        let manifest = Sha256Digest::of(&files[&format!("{version}/manifest.json")]);
        let mut layer = Blob::layer(&archive.end(), Compression::Gzip);
        layer.descriptor["annotations"] = json!({
            "pilar-runtime/version": version,
            "pilar-runtime/manifest-sha256": manifest.hex(),
        });
        layers.push(layer);
        versions.insert(version.parse().unwrap(), manifest);
    }
    let index = Archive::new().file("artifacts/lab/releases.json", &files["releases.json"]);
    layers.push(Blob::layer(&index.end(), Compression::Gzip));
    let digest = image::push(&registry, REPOSITORY, &layers).await;
    let origin = origin(&registry.address, REPOSITORY, digest);
    let place = Place::plain(&[&registry.address]);
    let all = place.fetch(&origin).await.whole().transferred;
    let mut present = versions.clone();
    present.pop_last();
    let brought = place.fetch_what_is_new(&origin, &present, None).await;
    assert!(brought.transferred < all * 2 / 3);
    assert!(brought.has("releases.json") && brought.has("1.1.0/manifest.json"));
    assert!(!brought.has("1.0.0/manifest.json"));
    // The same version with another manifest is another one, and somebody else's word.
    let other = versions.keys().map(|v| (v.clone(), Sha256Digest::of(b"other"))).collect();
    let brought = place.fetch_what_is_new(&origin, &other, None).await;
    assert_eq!(brought.whole().transferred, all);
}

#[tokio::test]
async fn images_of_buildah_and_skopeo_arrive() {
    let registry = Registry::open().await;
    let place = Place::plain(&[&registry.address]);
    let tree = released(&["1.0.0", "1.1.0"]);
    let room = tempfile::tempdir().unwrap();
    let path = |name: &str| room.path().join(name).to_str().unwrap().to_owned();
    let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Dockerfile.feature");
    let buildah = |words: &[&str]| {
        let storage =
            ["--storage-driver", "vfs", "--root", &path("root"), "--runroot", &path("run")];
        run(Command::new("buildah").args(storage).args(words));
    };
    let (file, context) = (dockerfile.to_str().unwrap(), tree.artifacts());
    let context = context.to_str().unwrap();
    let argument = format!("FEATURE={FEATURE}");
    for (format, name) in [("oci", "built-oci"), ("docker", "built-docker")] {
        let tag = format!("{}/{name}:1", registry.address);
        let build = ["bud", "--isolation", "chroot", "--format", format, "--build-arg", &argument];
        buildah(&[&build[..], &["-f", file, "-t", &tag, context]].concat());
        let (target, digest) = (format!("docker://{tag}"), path("digest"));
        let push = ["push", "--tls-verify=false", "--digestfile", &digest, &tag, &target];
        buildah(&push);
        place.fetch(&origin(&registry.address, name, digest_in(&digest))).await.whole();
    }
    // Copied by skopeo, and compressed by it in another way.
    for (form, more) in
        [("oci", vec!["--dest-compress-format", "zstd"]), ("v2s2", vec![]), ("oci", vec![])]
    {
        let (source, target, digest) = (
            format!("docker://{}/built-oci:1", registry.address),
            format!("docker://{}/copied:1", registry.address),
            path("copied"),
        );
        let mut copy = Command::new("skopeo");
        copy.args([
            "--insecure-policy",
            "copy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
        ]);
        copy.args(["--format", form, "--digestfile", &digest]).args(more);
        run(copy.args([source, target]));
        place.fetch(&origin(&registry.address, "copied", digest_in(&digest))).await.whole();
    }
}

#[tokio::test]
async fn images_of_pilar_arrive_and_only_what_is_new_of_them() {
    let registry = Registry::open().await;
    let place = Place::plain(&[&registry.address]);
    let tree = released(&["1.0.0"]);
    let push = || image::push_by_pilar(&registry, REPOSITORY, &tree, FEATURE);
    let first = place.fetch(&origin(&registry.address, REPOSITORY, push())).await;
    let whole = first.whole().transferred;
    let manifest = std::fs::read(tree.path("lab/1.0.0/manifest.json")).unwrap();
    let present = BTreeMap::from([("1.0.0".parse().unwrap(), Sha256Digest::of(&manifest))]);
    tree.publish(&tree::Version::facet(FEATURE, "1.1.0"));
    let next = origin(&registry.address, REPOSITORY, push());
    let brought = place.fetch_what_is_new(&next, &present, None).await;
    assert!(brought.transferred < whole / 10);
    assert!(brought.has("releases.json") && brought.has("1.1.0/manifest.json"));
    place.fetch(&next).await.whole();
}

fn run(command: &mut Command) {
    let output = command.output().expect("it is installed by `cargo xtask setup`");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn digest_in(path: &str) -> Sha256Digest {
    std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
}
