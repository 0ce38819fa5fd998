//! Which keys of a docker configuration are for a repository, as the kubelet understands them
//! (kubernetes.io/docs/concepts/containers/images, "Interpretation of config.json").

use wildmatch::WildMatch;

/// The key of Docker Hub, whatever its images are called.
const DOCKER_HUB: &str = "index.docker.io";

/// A repository on a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transport) struct Repository {
    /// Host and port of the registry, as it is spoken to.
    pub(in crate::transport) host: String,
    /// The path below it.
    pub(in crate::transport) path: String,
}

impl Repository {
    /// The repository that a registration names. `docker.io` is a name for another host, and leaves out the
    /// first segment of its own images.
    pub(in crate::transport) fn of(registry: &str, path: &str) -> Self {
        match registry {
            "docker.io" | DOCKER_HUB | "registry-1.docker.io" => {
                let library = if path.contains('/') { "" } else { "library/" };
                Self { host: "registry-1.docker.io".into(), path: format!("{library}{path}") }
            }
            _ => Self { host: registry.to_owned(), path: path.to_owned() },
        }
    }

    /// The host under which configurations name it.
    fn name(&self) -> &str {
        if self.host == "registry-1.docker.io" { DOCKER_HUB } else { &self.host }
    }
}

/// The keys that are for `repository`, the most specific first.
pub(super) fn matching<'k>(
    keys: impl Iterator<Item = &'k str>,
    repository: &Repository,
) -> Vec<&'k str> {
    let mut matching: Vec<(String, &str)> =
        keys.map(|key| (plain(key), key)).filter(|(plain, _)| is_for(plain, repository)).collect();
    // Longer paths sort behind shorter ones, so the reverse has the more specific first. A scheme makes no
    // difference.
    matching.sort_by(|one, other| other.cmp(one));
    matching.into_iter().map(|(_, key)| key).collect()
}

/// Whether `host` matches `glob`, part by part between the dots; a star never stands for a dot. The port is the
/// same or absent in both.
pub(in crate::transport) fn glob_matches(glob: &str, host: &str) -> bool {
    let split = |text: &str| {
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        (host.to_owned(), port.to_owned())
    };
    let ((glob, glob_port), (host, port)) = (split(glob), split(host));
    let (globs, parts): (Vec<_>, Vec<_>) = (glob.split('.').collect(), host.split('.').collect());
    glob_port == port
        && globs.len() == parts.len()
        && globs.iter().zip(parts).all(|(glob, part)| WildMatch::new(glob).matches(part))
}

/// A key without its scheme and the version of the protocol: `https://index.docker.io/v1/` is a host.
fn plain(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let path = path.strip_prefix("v1/").or_else(|| path.strip_prefix("v2/")).unwrap_or(path);
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
}

/// The path of a key is a prefix of the repository's, letter by letter.
fn is_for(key: &str, repository: &Repository) -> bool {
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    glob_matches(host, repository.name()) && repository.path.starts_with(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_for_image(key: &str, image: &str) -> bool {
        let (host, path) = image.split_once('/').unwrap();
        !matching([key].into_iter(), &Repository::of(host, path)).is_empty()
    }

    /// The table of the kubelet's documentation.
    #[test]
    fn keys_match_as_the_kubelet_documents() {
        for (key, image) in [
            ("my-registry.example/images", "my-registry.example/images"),
            ("my-registry.example/images", "my-registry.example/images/my-image"),
            ("my-registry.example/images", "my-registry.example/images/another-image"),
            ("*.my-registry.example/images", "sub.my-registry.example/images/my-image"),
            ("prefix.*.example", "prefix.registry.example/x"),
            ("*-good.registry.example", "prefix-good.registry.example/x"),
            ("*.*.registry.example", "abc.def.registry.example/x"),
            ("*.azurecr.example", "hospital.azurecr.example/team/lab"),
        ] {
            assert!(is_for_image(key, image), "{key} is for {image}");
        }
        for (key, image) in [
            ("*.my-registry.example/images", "a.sub.my-registry.example/images/my-image"),
            ("*.my-registry.example/images", "a.b.sub.my-registry.example/images/my-image"),
            ("*.registry.example", "abc.def.registry.example/x"),
            ("registry.example/images", "registry.example/other/my-image"),
            ("registry.example", "registry.example:5000/x"),
            ("registry.example:5000", "registry.example/x"),
            ("*", "registry.example/x"),
        ] {
            assert!(!is_for_image(key, image), "{key} is not for {image}");
        }
    }

    #[test]
    fn a_scheme_and_the_version_of_the_protocol_make_no_difference() {
        for key in
            ["https://r.example", "http://r.example/", "r.example/v2/", "https://r.example/v1/"]
        {
            assert!(is_for_image(key, "r.example/team/lab"), "{key}");
        }
        assert!(is_for_image("https://index.docker.io/v1/", "docker.io/lab"));
        assert!(is_for_image("index.docker.io/library", "docker.io/lab"));
        assert!(is_for_image("localhost:5000", "localhost:5000/lab"));
    }

    #[test]
    fn the_most_specific_key_comes_first() {
        let keys = ["r.example", "r.example/team", "https://r.example/team/lab", "*.example"];
        let repository = Repository::of("r.example", "team/lab");
        assert_eq!(
            matching(keys.into_iter(), &repository),
            ["https://r.example/team/lab", "r.example/team", "r.example", "*.example"]
        );
    }
}
