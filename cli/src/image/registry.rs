//! Pushing to a registry (OCI distribution specification, "Push").

use docker_credential::DockerCredential;
use pilar_artifact::Sha256Digest;
use pilar_artifact::json::parse_object;

use super::layers::{Image, MANIFEST};
use super::reference::Reference;
use crate::http::{Client, Reply, Sent};
use crate::problem::Problem;

/// The longest reply that is read, in bytes; what a registry says beside its status is short.
const LONGEST_REPLY: u64 = 1 << 20;

/// A repository to push to.
pub(super) struct Registry<'c> {
    client: &'c Client,
    to: &'c Reference,
    /// Scheme and host.
    root: String,
    credential: Option<DockerCredential>,
    authorization: Option<String>,
}

impl<'c> Registry<'c> {
    pub(super) fn new(
        client: &'c Client,
        to: &'c Reference,
        plain_http: bool,
        credential: Option<DockerCredential>,
    ) -> Self {
        let scheme = if plain_http { "http" } else { "https" };
        let root = format!("{scheme}://{}", to.registry);
        Self { client, to, root, credential, authorization: None }
    }

    /// Pushes what is not there yet, the manifest last, and returns the digests of the blobs that were sent.
    pub(super) fn push(mut self, image: &Image) -> Result<Vec<Sha256Digest>, Problem> {
        let mut sent = Vec::new();
        for (digest, bytes) in image.blobs() {
            if self.push_blob(digest, bytes)? {
                sent.push(digest);
            }
        }
        let digest = format!("sha256:{}", image.digest());
        let name = self.to.tag.as_deref().unwrap_or(&digest);
        let url = format!("{}/v2/{}/manifests/{name}", self.root, self.to.repository);
        let sending = Sent::Put { bytes: &image.manifest, content_type: MANIFEST };
        let reply = self.ask(&url, &sending)?;
        expect(&reply, &[201], &url)?;
        match reply.header("docker-content-digest") {
            Some(there) if there != digest => {
                let message = format!("the registry stored {there} where {digest} was sent");
                let remedy = "push to a registry that keeps manifests as they are";
                Err(Problem::new("digest-mismatch", message, remedy).file(url))
            }
            _ => Ok(sent),
        }
    }

    /// Whether the blob had to be sent.
    fn push_blob(&mut self, digest: Sha256Digest, bytes: &[u8]) -> Result<bool, Problem> {
        let blobs = format!("{}/v2/{}/blobs", self.root, self.to.repository);
        let url = format!("{blobs}/sha256:{digest}");
        if self.ask(&url, &Sent::Head)?.status == 200 {
            return Ok(false);
        }
        let url = format!("{blobs}/uploads/");
        let begun = self.ask(&url, &Sent::Post(b""))?;
        expect(&begun, &[202], &url)?;
        let location = begun.header("location").unwrap_or_default();
        let place = match location.strip_prefix('/') {
            Some(path) => format!("{}/{path}", self.root),
            None => location.to_owned(),
        };
        let separator = if place.contains('?') { '&' } else { '?' };
        let url = format!("{place}{separator}digest=sha256:{digest}");
        let content_type = "application/octet-stream";
        let reply = self.ask(&url, &Sent::Put { bytes, content_type })?;
        expect(&reply, &[201], &place)?;
        Ok(true)
    }

    /// Sends a request, with what lets in once the registry has asked for it. Nobody but the registry is shown it.
    fn ask(&mut self, url: &str, sent: &Sent<'_>) -> Result<Reply, Problem> {
        let rest = url.strip_prefix(&self.root);
        let is_own = rest.is_some_and(|rest| rest.starts_with('/'));
        let authorization = self.authorization.as_deref().filter(|_| is_own);
        let reply = self.client.send(url, sent, authorization, LONGEST_REPLY)?;
        if reply.status != 401 || !is_own {
            return Ok(reply);
        }
        self.authorization = self.answer(reply.header("www-authenticate").unwrap_or_default())?;
        self.client.send(url, sent, self.authorization.as_deref(), LONGEST_REPLY)
    }

    /// What to say to a challenge (RFC 9110 §11.6.1).
    fn answer(&self, challenges: &str) -> Result<Option<String>, Problem> {
        let challenges = http_auth::parse_challenges(challenges).unwrap_or_default();
        for challenge in challenges {
            let param = |name: &str| {
                let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                return Ok(self.basic());
            }
            if challenge.scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = param("realm")
            {
                return self.token(&realm, param("service").as_deref()).map(Some);
            }
        }
        Ok(None)
    }

    /// A token for pulling and pushing (distribution, "Token Authentication Specification").
    fn token(&self, realm: &str, service: Option<&str>) -> Result<String, Problem> {
        if realm.starts_with("http://") && !self.root.starts_with("http://") {
            let message = "the registry asks for the credential to be sent without TLS";
            let remedy = "push to a registry whose tokens are given out over https";
            return Err(Problem::new("plain-http", message, remedy).file(realm));
        }
        let scope = format!("repository:{}:pull,push", self.to.repository);
        let mut fields = vec![("scope", scope.as_str())];
        fields.extend(service.map(|service| ("service", service)));
        if let Some(DockerCredential::IdentityToken(token)) = &self.credential {
            fields.extend([("grant_type", "refresh_token"), ("client_id", "pilar")]);
            fields.push(("refresh_token", token));
            let reply = self.client.send(realm, &Sent::Form(&fields), None, LONGEST_REPLY)?;
            return bearer(&reply, realm);
        }
        let sent = Sent::Get(&fields);
        let reply = self.client.send(realm, &sent, self.basic().as_deref(), LONGEST_REPLY)?;
        bearer(&reply, realm)
    }

    fn basic(&self) -> Option<String> {
        match &self.credential {
            Some(DockerCredential::UsernamePassword(name, password)) => {
                use base64::Engine as _;
                let both = format!("{name}:{password}");
                let encoded = base64::engine::general_purpose::STANDARD.encode(both);
                Some(format!("Basic {encoded}"))
            }
            _ => None,
        }
    }
}

fn bearer(reply: &Reply, realm: &str) -> Result<String, Problem> {
    expect(reply, &[200], realm)?;
    let document = parse_object(&reply.body, &pilar_artifact::Limits::default()).ok();
    let token = document.as_ref().and_then(|document| {
        ["token", "access_token"].iter().find_map(|field| document.get(*field)?.as_str())
    });
    let token = token.ok_or_else(|| {
        let remedy = "see that the address is that of a registry";
        Problem::new("protocol", "the reply holds no token", remedy).file(realm)
    })?;
    Ok(format!("Bearer {token}"))
}

/// Refuses a reply with another status, in the words of its code; what the server says beside it is shown.
fn expect(reply: &Reply, wanted: &[u16], url: &str) -> Result<(), Problem> {
    if wanted.contains(&reply.status) {
        return Ok(());
    }
    let (code, remedy) = match reply.status {
        401 => ("unauthorized", "log in with `docker login`, or set DOCKER_CONFIG"),
        403 => ("forbidden", "let this account push to the repository"),
        404 => ("not-found", "see that the address is that of a registry"),
        429 | 500.. => ("server-error", "run it again: what is there already is not sent again"),
        _ => ("unexpected-status", "see what the registry says in its own log"),
    };
    let said = pilar_artifact::text::for_people(&String::from_utf8_lossy(&reply.body));
    let message = format!("the registry answers {}: {said}", reply.status);
    // Without its query, where a place to upload to may hold what lets in.
    let url = url.split('?').next().unwrap_or_default();
    Err(Problem::new(code, message.trim_end_matches(": "), remedy).file(url))
}
