//! Debian's `docker-registry`, in the foreground, on a free port of 127.0.0.1.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pilar_artifact::Sha256Digest;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::{Certificate, Client};
use tempfile::TempDir;

/// A running registry, which stops when this is dropped.
pub(crate) struct Registry {
    /// `127.0.0.1:<port>`
    pub(crate) address: String,
    client: Client,
    scheme: &'static str,
    /// What the test itself is let in with.
    pub(crate) authorization: Option<String>,
    child: Child,
    dir: TempDir,
}

impl Registry {
    /// One that lets in everybody.
    pub(crate) async fn open() -> Self {
        Self::start(tempfile::tempdir().unwrap(), "", "", None).await
    }

    /// One with name and password.
    pub(crate) async fn with_password(name: &str, password: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("htpasswd");
        let output = Command::new("htpasswd").args(["-Bbn", name, password]).output();
        let output = output.expect("htpasswd is installed by `cargo xtask setup`");
        fs::write(&file, output.stdout).unwrap();
        let auth = format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", file.display());
        let mut registry = Self::start(dir, &auth, "", None).await;
        registry.authorization = Some(basic(name, password));
        registry
    }

    /// One that sends everybody to `realm` for a token, which a certificate in `bundle` vouches for.
    pub(crate) async fn with_tokens(
        realm: &str,
        service: &str,
        issuer: &str,
        bundle: &str,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bundle.pem");
        fs::write(&file, bundle).unwrap();
        let auth = format!(
            "auth:\n  token:\n    realm: {realm}\n    service: {service}\n    issuer: {issuer}\n    \
             rootcertbundle: {}\n",
            file.display()
        );
        Self::start(dir, &auth, "", None).await
    }

    /// One that speaks TLS, and the certificate of the authority of its own that vouches for it.
    pub(crate) async fn with_tls() -> (Self, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        let server = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        let leaf = leaf.signed_by(&server, &authority).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (chain, private) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
        fs::write(&chain, leaf.pem()).unwrap();
        fs::write(&private, server.serialize_pem()).unwrap();
        let tls = format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            chain.display(),
            private.display()
        );
        let pem = authority.pem();
        (Self::start(dir, "", &tls, Some(&pem)).await, pem)
    }

    async fn start(dir: TempDir, auth: &str, tls: &str, authority: Option<&str>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = free_address();
        let config = dir.path().join("config.yml");
        let root = dir.path().join("storage");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: {address}\n{tls}{auth}",
            root.display()
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("docker-registry is installed by `cargo xtask setup`");
        let patience = Instant::now() + Duration::from_secs(60);
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            let log = || fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none(), "the registry ended: {}", log());
            assert!(Instant::now() < patience, "the registry does not listen: {}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut builder = Client::builder().no_proxy();
        if let Some(pem) = authority {
            builder = builder.tls_certs_only([Certificate::from_pem(pem.as_bytes()).unwrap()]);
        }
        let (client, scheme) =
            (builder.build().unwrap(), if tls.is_empty() { "http" } else { "https" });
        Self { address, client, scheme, authorization: None, child, dir }
    }

    /// Where it keeps what was pushed.
    pub(crate) fn storage(&self) -> std::path::PathBuf {
        self.dir.path().join("storage")
    }

    pub(crate) async fn push_blob(&self, repository: &str, bytes: &[u8]) {
        let start = format!("{}://{}/v2/{repository}/blobs/uploads/", self.scheme, self.address);
        let mut request = self.client.post(start).header("content-length", "0");
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let begun = request.send().await.unwrap();
        assert_eq!(begun.status(), 202, "{}", begun.text().await.unwrap());
        let location = begun.headers()[LOCATION].to_str().unwrap();
        let place = begun.url().join(location).unwrap();
        let digest = format!("sha256:{}", Sha256Digest::of(bytes));
        let mut place = place;
        place.query_pairs_mut().append_pair("digest", &digest);
        let mut request = self.client.put(place).body(bytes.to_vec());
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let done = request.send().await.unwrap();
        assert_eq!(done.status(), 201, "{}", done.text().await.unwrap());
    }

    pub(crate) async fn push_manifest(
        &self,
        repository: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Sha256Digest {
        let digest = Sha256Digest::of(&bytes);
        let place =
            format!("{}://{}/v2/{repository}/manifests/sha256:{digest}", self.scheme, self.address);
        let mut request = self.client.put(place).header(CONTENT_TYPE, media_type).body(bytes);
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let done = request.send().await.unwrap();
        assert_eq!(done.status(), 201, "{}", done.text().await.unwrap());
        digest
    }

    /// Replaces the bytes of a blob in the registry's own storage.
    pub(crate) fn spoil(&self, digest: Sha256Digest, bytes: &[u8]) {
        let hex = digest.hex();
        let path = format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
        let path = self.storage().join(path);
        assert!(Path::new(&path).exists());
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn basic(name: &str, password: &str) -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    format!("Basic {encoded}")
}

pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
