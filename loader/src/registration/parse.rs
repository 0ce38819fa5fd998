//! Reading a registration: the `data` of a ConfigMap, or a file with the same keys.

use std::collections::BTreeMap;
use std::fmt;

use pilar_artifact::json::parse_object;
use pilar_artifact::text::for_people;
use pilar_artifact::{FeatureId, Limits};
use reqwest::Url;
use serde_json::{Map, Value};

use super::{ImageRef, Origin, Registration, RegistrationError};

/// The largest file of a registration, in bytes.
pub const MOST_FILE_BYTES: u64 = 64 * 1024;
/// The longest value that is looked at, in bytes.
const LONGEST_VALUE: usize = 2048;

const FEATURE: &str = "featureId";
const IMAGE: &str = "image";
const CDN: &str = "cdnBaseUrl";

impl Registration {
    /// Reads the `data` of a ConfigMap. Keys that are not known are left alone: charts add their own.
    ///
    /// # Errors
    /// [`RegistrationError`], naming the key and the remedy.
    pub fn from_data(data: &BTreeMap<String, String>) -> Result<Self, RegistrationError> {
        Self::from_texts(|key| data.get(key).map(|text| Ok(text.as_str())))
    }

    /// Reads a file with the same keys: JSON where `name` ends in `.json`, otherwise YAML.
    ///
    /// # Errors
    /// [`RegistrationError`], naming the key and the remedy.
    pub fn from_file(name: &str, bytes: &[u8]) -> Result<Self, RegistrationError> {
        let syntax = |message: String| {
            refusal(
                None,
                "registration-syntax",
                message,
                "write the keys featureId, and image or cdnBaseUrl, with text for each",
            )
        };
        if bytes.len() as u64 > MOST_FILE_BYTES {
            let message = format!("it is larger than {MOST_FILE_BYTES} bytes");
            return Err(syntax(message));
        }
        let document: Map<String, Value> = if name.ends_with(".json") {
            parse_object(bytes, &Limits::default()).map_err(|error| syntax(error.to_string()))?
        } else {
            serde_saphyr::from_slice(bytes)
                .map_err(|error| syntax(first_line(&error.to_string())))?
        };
        Self::from_texts(|key| {
            let value = document.get(key).filter(|value| !value.is_null())?;
            Some(value.as_str().ok_or(NotText))
        })
    }

    fn from_texts<'d>(get: impl Get<'d>) -> Result<Self, RegistrationError> {
        let id = value(&get, None, FEATURE)?.ok_or_else(|| {
            refusal(
                None,
                "registration-no-feature",
                format!("there is no {FEATURE}"),
                "add featureId, the id of the feature's manifest",
            )
        })?;
        let feature: FeatureId = id.parse().map_err(|error| {
            refusal(
                None,
                "registration-feature",
                format!("{FEATURE}: {error}"),
                "take the id of the feature's manifest",
            )
        })?;
        let origin = Origin::from_texts(Some(&feature), get)?;
        Ok(Self { feature, origin })
    }
}

impl Origin {
    /// Reads the word of a command line: the URL of a CDN, or an image.
    ///
    /// # Errors
    /// [`RegistrationError`], naming the key of a registration that would hold the same, and the remedy.
    pub fn from_word(from: &str) -> Result<Self, RegistrationError> {
        let key = if from.contains("://") { CDN } else { IMAGE };
        Self::from_texts(None, |wanted| (wanted == key).then_some(Ok(from)))
    }

    fn from_texts<'d>(
        feature: Option<&FeatureId>,
        get: impl Get<'d>,
    ) -> Result<Self, RegistrationError> {
        let refuse =
            |code, message: String, remedy| refusal(feature.cloned(), code, message, remedy);
        match (value(&get, feature, IMAGE)?, value(&get, feature, CDN)?) {
            (Some(_), Some(_)) => Err(refuse(
                "registration-two-origins",
                format!("{IMAGE} and {CDN} are both there"),
                "keep the one that the feature is released through",
            )),
            (None, None) => Err(refuse(
                "registration-no-origin",
                format!("there is neither {IMAGE} nor {CDN}"),
                "add image: <registry>/<repository>@sha256:<digest>, or cdnBaseUrl: https://…",
            )),
            (Some(image), None) => image.parse::<ImageRef>().map(Self::Image).map_err(|error| {
                refuse(
                    "registration-image",
                    format!("{IMAGE} \"{}\": {error}", shown(image)),
                    "write <registry>/<repository>@sha256:<digest>; `pilar image push` and `skopeo inspect` print the digest",
                )
            }),
            (None, Some(url)) => base_url(url).map(Self::Cdn).map_err(|problem| {
                refuse(
                    "registration-cdn-url",
                    format!("{CDN}: {problem}"),
                    "write https://<host>/<path of the directory that holds releases.json>",
                )
            }),
        }
    }

    /// What tells one artifact from another: the digest of an image, wherever it is kept; the URL of a CDN.
    pub fn identity(&self) -> String {
        match self {
            Self::Image(image) => format!("sha256:{}", image.digest),
            Self::Cdn(url) => url.to_string(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => image.fmt(f),
            Self::Cdn(url) => url.fmt(f),
        }
    }
}

/// A value of another type than text.
struct NotText;

/// What looks a key up.
trait Get<'d>: Fn(&'static str) -> Option<Result<&'d str, NotText>> {}

impl<'d, F: Fn(&'static str) -> Option<Result<&'d str, NotText>>> Get<'d> for F {}

/// The text at a key; none where it is blank.
fn value<'d>(
    get: &impl Get<'d>,
    feature: Option<&FeatureId>,
    key: &'static str,
) -> Result<Option<&'d str>, RegistrationError> {
    match get(key) {
        None => Ok(None),
        Some(Ok(text)) if text.len() <= LONGEST_VALUE => {
            Ok(Some(text.trim()).filter(|text| !text.is_empty()))
        }
        Some(_) => Err(refusal(
            feature.cloned(),
            "registration-value",
            format!("{key} is not text of up to {LONGEST_VALUE} bytes"),
            "write the value as a string",
        )),
    }
}

fn refusal(
    feature: Option<FeatureId>,
    code: &'static str,
    message: String,
    remedy: &'static str,
) -> RegistrationError {
    // It may repeat what the registration says.
    RegistrationError { feature, code, message: for_people(&message), remedy }
}

/// The text is not repeated in the message where it may hold a password.
fn base_url(text: &str) -> Result<Url, String> {
    let mut url: Url = text.parse().map_err(|error| format!("it is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("it is not an http or https URL".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment, so that no file name can follow".to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// So much of a value that its explanation fits behind it.
fn shown(text: &str) -> String {
    for_people(text).chars().take(150).collect()
}

/// The parser goes on with an extract of the file.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
