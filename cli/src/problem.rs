//! What a command ends with: an outcome, or a problem in three lines.

use std::path::Path;

use pilar_artifact::Rejection;
use pilar_artifact::operations::OperationError;
use pilar_store::StoreError;
use serde_json::{Map, Value, json};

/// A command that came to its end.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Everything that the text says, for machines.
    pub(crate) json: Map<String, Value>,
    /// The last line.
    pub(crate) result: String,
    /// What went wrong with single features; the others are done.
    pub(crate) problems: Vec<Problem>,
    /// The text has shown them already, each in its place.
    pub(crate) problems_shown: bool,
}

impl Outcome {
    /// An outcome without problems.
    pub(crate) fn new(result: impl Into<String>, json: Value) -> Self {
        let json = match json {
            Value::Object(map) => map,
            other => Map::from_iter([("result".to_owned(), other)]),
        };
        Self { json, result: result.into(), ..Self::default() }
    }
}

/// Why a command did not do what it was asked: what, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(Box<Details>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    code: String,
    message: String,
    file: Option<String>,
    field: Option<String>,
    remedy: String,
    wrong_use: bool,
}

impl Problem {
    /// A problem with its stable code.
    pub(crate) fn new(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self(Box::new(Details {
            code: code.to_owned(),
            message: message.into(),
            file: None,
            field: None,
            remedy: remedy.into(),
            wrong_use: false,
        }))
    }

    /// Names the file or directory.
    pub(crate) fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.0.file = Some(path.as_ref().display().to_string());
        self
    }

    /// Names the field, variable or option.
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Says what to do in this place.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = remedy.into();
        self
    }

    /// The command was called in a way that cannot work: exit status 2 (contract §14).
    pub(crate) fn wrong_use(mut self) -> Self {
        self.0.wrong_use = true;
        self
    }

    /// The exit status: 1 found a problem, 2 wrong use.
    pub(crate) fn status(&self) -> u8 {
        if self.0.wrong_use { 2 } else { 1 }
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &str {
        &self.0.code
    }

    /// What failed.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// The file or directory, if one is named.
    pub(crate) fn file_text(&self) -> Option<&str> {
        self.0.file.as_deref()
    }

    /// The field, variable or option, if one is named.
    pub(crate) fn field_text(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// What to do.
    pub(crate) fn remedy_text(&self) -> &str {
        &self.0.remedy
    }

    /// The three lines of a terminal: what, where, what to do.
    pub(crate) fn lines(&self) -> [String; 3] {
        let Details { code, message, file, field, remedy, .. } = &*self.0;
        let place = match (file, field) {
            (Some(file), Some(field)) => format!("{file}, field {field}"),
            (Some(file), None) => file.clone(),
            (None, Some(field)) => field.clone(),
            (None, None) => "the command line".to_owned(),
        };
        [format!("{message} ({code})"), format!("in: {place}"), format!("do: {remedy}")]
    }

    /// The same for machines.
    pub(crate) fn json(&self) -> Value {
        let Details { code, message, file, field, remedy, .. } = &*self.0;
        let mut value = json!({ "code": code, "message": message, "remedy": remedy });
        if let Value::Object(map) = &mut value {
            map.extend(file.iter().map(|file| ("file".to_owned(), json!(file))));
            map.extend(field.iter().map(|field| ("field".to_owned(), json!(field))));
        }
        value
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(error.code(), error.to_string(), error.remedy()).file(error.path())
    }
}

impl From<&Rejection> for Problem {
    fn from(rejection: &Rejection) -> Self {
        let report = rejection.report();
        let message = format!("step {}, {}: {}", report.step, report.check, report.message);
        Self::new(&report.code, message, report.remedy).file(report.file)
    }
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        Self::new(error.code(), error.to_string(), error.remedy())
    }
}
