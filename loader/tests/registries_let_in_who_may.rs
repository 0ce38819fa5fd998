//! Every way that registries ask who is there, and every place where the answer is kept.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and writes files of its own"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::PATIENCE;
use common::network::image;
use common::network::proxy::{Fault, Proxy};
use common::network::registry::{Registry, basic};
use common::network::tokens::{Tokens, WHO};
use common::network::{Place, limits, origin, plain, released};
use pilar_artifact::Sha256Digest;
use pilar_loader::transport::{AzureIdentity, Limits, Options, Proxies};
use serde_json::{Value, json};

const REPOSITORY: &str = "features/lab";
const SECRET: &str = "correct-horse";

/// A directory with docker configurations.
struct Secrets(tempfile::TempDir);

impl Secrets {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &Value) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content.to_string()).unwrap();
        path
    }
}

fn auths(key: &str, name: &str, password: &str) -> Value {
    let auth = basic(name, password);
    json!({ "auths": { key: { "auth": auth.strip_prefix("Basic ").unwrap() } } })
}

fn with_configurations(address: &str, docker_configs: Vec<PathBuf>) -> Place {
    Place::new(Options { docker_configs, ..plain(&[address]) })
}

async fn push(registry: &Registry) -> Sha256Digest {
    image::push_tree(registry, REPOSITORY, &released(&["1.0.0"])).await
}

#[tokio::test]
async fn name_and_password_from_a_pull_secret() {
    let registry = Registry::with_password("ward", SECRET).await;
    let origin = origin(&registry.address, REPOSITORY, push(&registry).await);
    let address = registry.address.as_str();
    Place::plain(&[address]).fetch(&origin).await.refused("unauthorized");
    let secrets = Secrets::new();
    let right = secrets.file("right", &auths(address, "ward", SECRET));
    let wrong = secrets.file("wrong", &auths(&format!("{address}/features"), "ward", "guess"));
    let elsewhere = secrets.file("elsewhere", &auths("other.example", "ward", SECRET));
    let missing = secrets.0.path().join("not there");
    let of = |files: &[&PathBuf]| {
        with_configurations(address, files.iter().map(|file| (*file).clone()).collect())
    };
    of(&[&right]).fetch(&origin).await.whole();
    // What does not let in is no reason not to try what may.
    of(&[&missing, &elsewhere, &wrong, &right]).fetch(&origin).await.whole();
    for files in [[&wrong], [&elsewhere], [&missing]] {
        let brought = of(&files).fetch(&origin).await;
        let error = brought.refused("unauthorized");
        assert!(!error.to_string().contains("guess") && !format!("{error:?}").contains("guess"));
    }
    let both = json!({ "auths": { format!("{address}/features/lab"): auths("x", "ward", "no")["auths"]["x"],
        address: auths("x", "ward", SECRET)["auths"]["x"] } });
    of(&[&secrets.file("both", &both)]).fetch(&origin).await.whole();
    // A secret of the older kind has no `auths` around it.
    let older = &auths(address, "ward", SECRET)["auths"];
    of(&[&secrets.file(".dockercfg", older)]).fetch(&origin).await.whole();
}

#[tokio::test]
async fn a_secret_that_was_changed_counts_at_once() {
    let registry = Registry::with_password("ward", SECRET).await;
    let origin = origin(&registry.address, REPOSITORY, push(&registry).await);
    let secrets = Secrets::new();
    let path = secrets.file("secret", &auths(&registry.address, "ward", "old"));
    let place = with_configurations(&registry.address, vec![path.clone()]);
    place.fetch(&origin).await.refused("unauthorized");
    fs::write(&path, "{ \"auths\": SECRETS }").unwrap();
    let brought = place.fetch(&origin).await;
    let error = brought.refused("credentials-unusable");
    assert!(error.may_pass() && !error.to_string().contains("SECRETS"));
    secrets.file("secret", &auths(&registry.address, "ward", SECRET));
    place.fetch(&origin).await.whole();
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_keeps_nothing_else_out() {
    let registry = Registry::with_password("ward", SECRET).await;
    let origin_of = |registry: &Registry, digest| origin(&registry.address, REPOSITORY, digest);
    let address = registry.address.as_str();
    let closed = origin_of(&registry, push(&registry).await);
    let secrets = Secrets::new();
    let right = secrets.file("right", &auths(address, "ward", SECRET));
    let malformed = secrets.file("malformed", &json!([]));
    let undecodable = json!({ "auths": {
        format!("{address}/features"): { "auth": "no base64" }, address: { "auth": 7 } } });
    let undecodable = secrets.file("undecodable", &undecodable);
    let directory = secrets.0.path().to_owned();
    let helper = secrets.file("helper", &json!({ "credHelpers": { address: "missing" } }));
    let public = Registry::open().await;
    let open = origin_of(&public, push(&public).await);
    for broken in [malformed, undecodable, directory, helper] {
        let shown = broken.display().to_string();
        let place = |files: &[&PathBuf]| {
            let docker_configs = files.iter().map(|file| (*file).clone()).collect();
            Place::new(Options { docker_configs, ..plain(&[address, &public.address]) })
        };
        place(&[&broken, &right]).fetch(&closed).await.whole();
        place(&[&broken]).fetch(&open).await.whole();
        // Only where nothing lets in is it what has to be put right.
        let brought = place(&[&broken]).fetch(&closed).await;
        let error = brought.refused("credentials-unusable");
        assert!(error.may_pass() && error.to_string().contains(&shown), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_is_over_is_renewed_in_the_middle_of_a_pull() {
    let tokens = Tokens::start().await;
    let mut registry = tokens.registry().await;
    registry.authorization = Some(tokens.own(REPOSITORY, "pull,push"));
    let digest = push(&registry).await;
    let issued = tokens.issued();
    // After the manifest the way breaks until the token is over; it lives for two seconds.
    let later = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 4\r\ncontent-length: 0\r\n\
                 connection: close\r\n\r\n";
    let proxy =
        Proxy::before(&registry.address, [Fault::CutAfter(20_000), Fault::Answer(later)]).await;
    let place = Place::plain(&[&proxy.address, &tokens.address]);
    let brought = place.fetch(&origin(&proxy.address, REPOSITORY, digest)).await;
    assert_eq!(brought.whole().retries, 2);
    assert_eq!(tokens.issued(), issued + 2, "one to begin with, one in the middle");
}

#[tokio::test]
async fn tokens_for_a_password_for_a_refresh_token_and_for_nobody() {
    let tokens = Tokens::start().await;
    let mut registry = tokens.registry().await;
    registry.authorization = Some(tokens.own(REPOSITORY, "pull,push"));
    let origin = origin(&registry.address, REPOSITORY, push(&registry).await);
    let secrets = Secrets::new();
    let key = registry.address.as_str();
    let place = |configuration: &Value| {
        let docker_configs = vec![secrets.file("config.json", configuration)];
        Place::new(Options { docker_configs, ..plain(&[key, &tokens.address]) })
    };
    tokens.ask_who();
    place(&json!({})).fetch(&origin).await.refused("unauthorized");
    place(&auths(key, WHO.0, "guess")).fetch(&origin).await.refused("unauthorized");
    place(&auths(key, WHO.0, WHO.1)).fetch(&origin).await.whole();
    let refresh =
        json!({ "auths": { key: { "auth": "PHRva2VuPjo=", "identitytoken": "refresh-me" } } });
    place(&refresh).fetch(&origin).await.whole();
    let stale = json!({ "auths": { key: { "identitytoken": "stale" } } });
    let brought = place(&stale).fetch(&origin).await;
    assert!(!format!("{:?}", brought.refused("unauthorized")).contains("stale"));
    tokens.ask_nobody();
    place(&auths(key, WHO.0, "guess")).fetch(&origin).await.whole();
}

#[tokio::test]
async fn a_workload_identity_is_exchanged() {
    let tokens = Tokens::start().await;
    let mut registry = tokens.registry().await;
    registry.authorization = Some(tokens.own(REPOSITORY, "pull,push"));
    let digest = push(&registry).await;
    tokens.ask_who();
    // One address for the registry and its exchange, as it is in the cloud.
    let front = tokens.front(&registry.address).await;
    let secrets = Secrets::new();
    let token_file = secrets.0.path().join("federated");
    fs::write(&token_file, "of-the-service-account\n").unwrap();
    let azure = AzureIdentity {
        authority: format!("http://{}/", tokens.address).parse().unwrap(),
        tenant: "hospital".into(),
        client: "loader".into(),
        token_file: token_file.clone(),
        registries: vec!["*.0.*.1:".to_owned() + front.rsplit_once(':').unwrap().1],
    };
    let options = || Options { azure: Some(azure.clone()), ..plain(&[&front, &tokens.address]) };
    let origin = origin(&front, REPOSITORY, digest);
    Place::new(options()).fetch(&origin).await.whole();
    fs::write(&token_file, "of-somebody-else").unwrap();
    let brought = Place::new(options()).fetch(&origin).await;
    assert!(!format!("{:?}", brought.refused("unauthorized")).contains("somebody"));
    fs::remove_file(&token_file).unwrap();
    assert!(Place::new(options()).fetch(&origin).await.refused("workload-identity").may_pass());
    tokens.ask_nobody();
    Place::new(options()).fetch(&origin).await.whole();
    tokens.ask_who();
    let mut elsewhere = options();
    elsewhere.azure.as_mut().unwrap().registries = vec!["*.azurecr.io".into()];
    Place::new(elsewhere).fetch(&origin).await.refused("unauthorized");
}

/// A helper is a program `docker-credential-<name>` on the `PATH`, so this runs in a process with its own.
#[tokio::test]
async fn credential_helpers_are_asked() {
    let registry = Registry::with_password("ward", SECRET).await;
    let address = registry.address.clone();
    let origin = origin(&address, REPOSITORY, push(&registry).await);
    let secrets = Secrets::new();
    let Some(helpers) = std::env::var_os("HELPERS_ARE_ON_THE_PATH") else {
        for (name, script) in [
            (
                "good",
                format!("cat >/dev/null; echo '{{\"Username\":\"ward\",\"Secret\":\"{SECRET}\"}}'"),
            ),
            (
                "proxied",
                format!(
                    "[ \"$NO_PROXY $no_proxy\" = '.test .test' ] || exit 1; \
                     echo '{{\"Username\":\"ward\",\"Secret\":\"{SECRET}\"}}'"
                ),
            ),
            ("hung", "echo $$ >\"$0.pid\"; exec sleep 600".to_owned()),
            ("silent", "exit 0".to_owned()),
            ("bad", format!("cat >/dev/null; echo {SECRET}; echo {SECRET} >&2; exit 1")),
        ] {
            let path = secrets.0.path().join(format!("docker-credential-{name}"));
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "credential_helpers_are_asked"])
            .env("PATH", format!("{}:{path}", secrets.0.path().display()))
            .env("HELPERS_ARE_ON_THE_PATH", secrets.0.path())
            .status();
        assert!(status.unwrap().success());
        return;
    };
    let fetch = async |configuration: Value| {
        let docker_configs = vec![secrets.file("config.json", &configuration)];
        with_configurations(&address, docker_configs).fetch(&origin).await
    };
    fetch(json!({ "credHelpers": { &address: "good" } })).await.whole();
    fetch(json!({ "credsStore": "good", "auths": { &address: {} } })).await.whole();
    // One that needs to know which hosts have no proxy, which `main` takes out of the environment.
    let proxied = secrets.file("proxied.json", &json!({ "credHelpers": { &address: "proxied" } }));
    let proxies = Proxies { none: Some(".test".to_owned()), ..Proxies::default() };
    let docker_configs = vec![proxied];
    let place = Place::new(Options { docker_configs, proxies, ..plain(&[&address]) });
    place.fetch(&origin).await.whole();
    let brought = fetch(json!({ "credHelpers": { &address: "bad" } })).await;
    let error = brought.refused("credentials-unusable");
    assert!(!format!("{error:?}").contains(SECRET), "{error}");
    fetch(json!({ "credHelpers": { &address: "missing" } })).await.refused("credentials-unusable");
    fetch(json!({ "credHelpers": { &address: "silent" } })).await.refused("credentials-unusable");
    // A store that does not know the registry.
    fetch(json!({ "credsStore": "bad" })).await.refused("unauthorized");
    // One that hangs is not left behind, and keeps nothing else out.
    let hung = secrets.file("hung.json", &json!({ "credHelpers": { &address: "hung" } }));
    let right = secrets.file("right.json", &auths(&address, "ward", SECRET));
    let limits = Limits { helper: Duration::from_secs(1), ..limits() };
    let docker_configs = vec![hung, right];
    let place = Place::with(Options { docker_configs, ..plain(&[&address]) }, limits);
    place.fetch(&origin).await.whole();
    let id = fs::read_to_string(Path::new(&helpers).join("docker-credential-hung.pid")).unwrap();
    // The runtime takes leave of it, so this does not block.
    let process = Path::new("/proc").join(id.trim());
    let gone = async {
        while process.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the helper is gone");
}

#[tokio::test]
async fn tls_with_an_authority_of_our_own() {
    let (registry, pem) = Registry::with_tls().await;
    let origin = origin(&registry.address, REPOSITORY, push(&registry).await);
    let trusting = Options { extra_ca: Some(pem.into_bytes()), ..Options::default() };
    Place::new(trusting).fetch(&origin).await.whole();
    let brought = Place::new(Options::default()).fetch(&origin).await;
    assert!(brought.refused("unreachable").to_string().contains("certificate"));
}

#[tokio::test]
async fn plain_http_only_where_it_was_asked_for() {
    let registry = Registry::open().await;
    let digest = push(&registry).await;
    let place = Place::new(Options::default());
    let brought = place.fetch(&origin(&registry.address, REPOSITORY, digest)).await;
    brought.refused("unreachable");
    // Nor does a server lead there.
    let proxy = Proxy::before(&registry.address, []).await;
    let elsewhere = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{}/v2/\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n",
        registry.address
    );
    proxy.strike([Fault::Answer(elsewhere.leak())]);
    let place = Place::plain(&[&proxy.address]);
    let brought = place.fetch(&origin(&proxy.address, REPOSITORY, digest)).await;
    assert!(!brought.refused("plain-http").may_pass());
}

#[tokio::test]
async fn what_lets_in_is_shown_to_nobody_else() {
    let registry = Registry::with_password("ward", SECRET).await;
    let digest = push(&registry).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = listener.local_addr().unwrap().to_string();
    let heard = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"tell me\"\r\n\
                       content-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    });
    let proxy = Proxy::before(&registry.address, []).await;
    let ask = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"r\"\r\n\
               content-length: 0\r\nconnection: close\r\n\r\n";
    let lead = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{other}/blob?signature=geheim\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    );
    proxy.strike([Fault::Answer(ask), Fault::Answer(lead.leak())]);
    let secrets = Secrets::new();
    let docker_configs = vec![secrets.file("c", &auths(&proxy.address, "ward", SECRET))];
    let place = Place::new(Options { docker_configs, ..plain(&[&proxy.address, &other]) });
    let brought = place.fetch(&origin(&proxy.address, REPOSITORY, digest)).await;
    let error = brought.refused("unauthorized");
    assert!(!format!("{error:?} {error}").contains("geheim"), "{error}");
    let heard = heard.await.unwrap();
    assert!(heard.starts_with("get /blob?signature=geheim") && !heard.contains("authorization"));
}
