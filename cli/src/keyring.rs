//! Which keys sign and which keys count (contract §5).

use std::path::{Path, PathBuf};

use pilar_artifact::{Limits, SigningKey, TrustedKeys};
use pilar_store::{create_file, replace_file};
use serde_json::{Map, Value, json};

use crate::documents::{parse, read_optional, unreadable};
use crate::environment::Environment;
use crate::problem::Problem;

/// What belongs to one checkout and is never committed.
const LOCAL_DIR: &str = ".pilar";
/// Where dev keys live, below the current directory.
const DEV_KEYS_DIR: &str = ".pilar/keys";
/// The id of the dev key; hosts refuse it, and ids that start with `dev-`, in production.
const DEV_KEY_ID: &str = "dev";
/// The trusted-keys map beside the dev key.
const TRUSTED_KEYS_FILE: &str = "trusted-keys.json";
/// A private key is a few hundred bytes.
const MAX_KEY_BYTES: u64 = 64 * 1024;

/// The key that signs.
pub(crate) fn signing_key(environment: &Environment, dev: bool) -> Result<SigningKey, Problem> {
    if dev {
        return dev_key(environment);
    }
    let id = environment.signing_key_id.as_deref();
    match (&environment.signing_key_path, &environment.signing_key, id) {
        (Some(_), Some(_), _) => Err(Problem::new(
            "signing-key-ambiguous",
            "there are two signing keys: FEATURE_SIGNING_KEY_PATH and FEATURE_SIGNING_KEY",
            "set only one of them",
        )
        .field("FEATURE_SIGNING_KEY")
        .wrong_use()),
        (None, None, _) => Err(Problem::new(
            "signing-key-missing",
            "there is no signing key",
            "set FEATURE_SIGNING_KEY_PATH and FEATURE_SIGNING_KEY_ID (`pilar keys generate` makes a key), or say --dev",
        )
        .field("FEATURE_SIGNING_KEY_PATH")
        .wrong_use()),
        (_, _, None) => Err(Problem::new(
            "signing-key-id-missing",
            "the signing key has no id",
            "set FEATURE_SIGNING_KEY_ID to the id under which hosts trust its public half",
        )
        .field("FEATURE_SIGNING_KEY_ID")
        .wrong_use()),
        (Some(path), None, Some(id)) => read_key(path, id),
        (None, Some(pem), Some(id)) => SigningKey::from_pkcs8_pem(id, &pem.0)
            .map_err(|error| bad_key(&error.to_string()).field("FEATURE_SIGNING_KEY")),
    }
}

/// The keys whose signatures count: the configured ones. Where none are configured, the public half of the
/// signing key: what this key signed, it may build on.
pub(crate) fn trusted_keys(environment: &Environment, dev: bool) -> Result<TrustedKeys, Problem> {
    let limits = Limits::default();
    let read = |bytes: &[u8], problem: &dyn Fn(Problem) -> Problem| {
        TrustedKeys::from_json(bytes, &limits).map_err(|error| {
            let remedy =
                "write a map from key id to public key, as `pilar keys generate` prints it";
            problem(Problem::new(error.code(), error.to_string(), remedy))
        })
    };
    if dev {
        return own_key_only(&dev_key(environment)?);
    }
    match (&environment.trusted_keys_json, &environment.trusted_keys_path) {
        (Some(_), Some(_)) => Err(Problem::new(
            "trust-keys-ambiguous",
            "there are two maps of trusted keys",
            "set only one of FEATURE_TRUST_PUBLIC_KEYS_JSON and FEATURE_TRUST_PUBLIC_KEYS_PATH",
        )
        .field("FEATURE_TRUST_PUBLIC_KEYS_JSON")
        .wrong_use()),
        (Some(text), None) => {
            read(text.as_bytes(), &|problem| problem.field("FEATURE_TRUST_PUBLIC_KEYS_JSON"))
        }
        (None, Some(path)) => {
            let bytes = read_file(path, limits.json_bytes)?;
            read(&bytes, &|problem| problem.file(path))
        }
        (None, None) => match signing_key(environment, false) {
            Ok(key) => own_key_only(&key),
            Err(problem) if problem.code() == "signing-key-missing" => Err(Problem::new(
                "trust-keys-missing",
                "there is no trusted key, so no signature can be checked",
                "set FEATURE_TRUST_PUBLIC_KEYS_PATH to the map that the hosts have, or say --dev",
            )
            .field("FEATURE_TRUST_PUBLIC_KEYS_PATH")
            .wrong_use()),
            Err(problem) => Err(problem),
        },
    }
}

/// The map of trusted keys for a host that runs with the dev key.
pub(crate) fn dev_trusted_keys_path(environment: &Environment) -> Result<PathBuf, Problem> {
    dev_key(environment)?;
    Ok(Path::new(DEV_KEYS_DIR).join(TRUSTED_KEYS_FILE))
}

/// Makes the key pair `id` in `dir`: `<id>.private.pem` for its owner only, `<id>.public.pem` for everybody.
pub(crate) fn generate(
    environment: &Environment,
    id: &str,
    dir: &Path,
) -> Result<(SigningKey, PathBuf, PathBuf), Problem> {
    let mut seed = [0_u8; 32];
    (environment.machine.randomness)(&mut seed).map_err(|error| {
        let message = format!("the operating system gave no randomness: {error}");
        Problem::new("no-randomness", message, "run it again")
    })?;
    let key = SigningKey::from_seed(id, &seed);
    let private = dir.join(format!("{id}.private.pem"));
    let public = dir.join(format!("{id}.public.pem"));
    let encode = |error: pilar_artifact::signing::SigningKeyError| bad_key(&error.to_string());
    std::fs::create_dir_all(dir).map_err(|error| {
        let remedy = "name a directory that this user may write to";
        Problem::new("key-dir", format!("the directory cannot be made: {error}"), remedy).file(dir)
    })?;
    // A repository that does not know `.pilar` would otherwise commit the key.
    let ignore = Path::new(LOCAL_DIR).join(".gitignore");
    if dir.starts_with(LOCAL_DIR) && !ignore.exists() {
        replace_file(&ignore, b"*\n")?;
    }
    create_file(&private, key.to_pkcs8_pem().map_err(encode)?.as_bytes(), 0o600)?;
    replace_file(&public, key.public_key_pem().map_err(encode)?.as_bytes())?;
    Ok((key, private, public))
}

/// Adds the public half of `key` to the map in the file at `path`, which is made where it is missing.
pub(crate) fn trust(path: &Path, id: &str, entry: &Value) -> Result<(), Problem> {
    let limits = Limits::default();
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut map = match read_optional(dir, name, limits.json_bytes)? {
        Some(bytes) => parse(&bytes, path, &limits)?,
        None => Map::new(),
    };
    match map.get(id) {
        Some(there) if there == entry => return Ok(()),
        Some(_) => {
            let message = format!("the map has another key under the id \"{id}\"");
            let remedy = "choose another id; remove the old key once nothing is signed with it";
            return Err(Problem::new("key-id-taken", message, remedy).file(path).field(id));
        }
        None => {}
    }
    map.insert(id.to_owned(), entry.clone());
    let text = format!("{:#}\n", Value::Object(map));
    TrustedKeys::from_json(text.as_bytes(), &limits).map_err(|error| {
        Problem::new(error.code(), error.to_string(), "correct the map by hand").file(path)
    })?;
    Ok(replace_file(path, text.as_bytes())?)
}

fn dev_key(environment: &Environment) -> Result<SigningKey, Problem> {
    let dir = Path::new(DEV_KEYS_DIR);
    let private = dir.join(format!("{DEV_KEY_ID}.private.pem"));
    let key = if private.exists() {
        read_key(&private, DEV_KEY_ID)?
    } else {
        match generate(environment, DEV_KEY_ID, dir) {
            Ok((key, ..)) => key,
            // Another run made it in the meantime.
            Err(problem) if problem.code() == "file-exists" => read_key(&private, DEV_KEY_ID)?,
            Err(problem) => return Err(problem),
        }
    };
    trust(&dir.join(TRUSTED_KEYS_FILE), DEV_KEY_ID, &json!(key.public_key_base64()))?;
    Ok(key)
}

fn own_key_only(key: &SigningKey) -> Result<TrustedKeys, Problem> {
    let map = json!({ key.id(): key.public_key_base64() }).to_string();
    TrustedKeys::from_json(map.as_bytes(), &Limits::default())
        .map_err(|error| Problem::new(error.code(), error.to_string(), "make another key"))
}

fn read_key(path: &Path, id: &str) -> Result<SigningKey, Problem> {
    let bytes = read_file(path, MAX_KEY_BYTES)?;
    let pem = String::from_utf8_lossy(&bytes);
    SigningKey::from_pkcs8_pem(id, &pem).map_err(|error| bad_key(&error.to_string()).file(path))
}

/// Reads a file that an operator named, such as a key. They are often links into a mounted secret, so links are
/// followed here.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Problem> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            let message = format!("the file cannot be read: {error}");
            Problem::new("key-unreadable", message, "name a file that this user may read")
                .file(path)
        })?;
    if bytes.len() as u64 > limit {
        return Err(unreadable(&pilar_artifact::verify::ReadError::TooLarge { limit }, path));
    }
    Ok(bytes)
}

fn bad_key(message: &str) -> Problem {
    Problem::new(
        "signing-key-malformed",
        message,
        "make a key with `pilar keys generate`, or convert yours with `openssl pkcs8 -topk8 -nocrypt`",
    )
}
