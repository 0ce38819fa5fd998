//! What the commands that check many things found: each with its code, whether it is well, where, and what to do.

use pilar_artifact::text::for_people;
use serde_json::{Value, json};

use crate::problem::{Outcome, Problem};
use crate::ui::{Tone, Ui, WIDTH};

/// Narrower than this, text is hard to read; lines become longer than the terminal then.
const LEAST_WIDTH: usize = 32;
/// Where what follows the word of a finding begins.
const MARGIN: usize = 9;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Not checked, for the reason that is given.
    Skipped,
    /// Worth a look; a failure with `--strict`.
    Warn,
    /// It does not work, or it is not safe.
    Fail,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Skipped => Tone::Quiet,
            Self::Warn => Tone::Warning,
            Self::Fail => Tone::Bad,
        }
    }
}

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    code: String,
    level: Level,
    message: String,
    places: Vec<Place>,
    remedy: Option<String>,
}

/// Where: a file, and a field or variable in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    file: Option<String>,
    field: Option<String>,
}

impl Finding {
    pub(crate) fn ok(code: &str, message: impl Into<String>) -> Self {
        Self::new(code, Level::Ok, message, None)
    }

    pub(crate) fn skipped(code: &str, reason: impl Into<String>) -> Self {
        Self::new(code, Level::Skipped, reason, None)
    }

    pub(crate) fn warn(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(code, Level::Warn, message, Some(remedy.into()))
    }

    pub(crate) fn fail(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(code, Level::Fail, message, Some(remedy.into()))
    }

    /// A failure where `serious`, else a warning.
    pub(crate) fn bad(
        serious: bool,
        code: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        if serious { Self::fail(code, message, remedy) } else { Self::warn(code, message, remedy) }
    }

    /// Messages quote documents that nobody has vouched for, so they are made fit for a terminal here.
    fn new(code: &str, level: Level, message: impl Into<String>, remedy: Option<String>) -> Self {
        let message = for_people(&message.into());
        Self { code: code.to_owned(), level, message, places: Vec::new(), remedy }
    }

    /// Names a file and a field in it; every side of a conflict is named.
    pub(crate) fn at(mut self, file: impl Into<String>, field: impl Into<String>) -> Self {
        self.places.push(Place { file: Some(file.into()), field: Some(field.into()) });
        self
    }

    /// Names a file or directory.
    pub(crate) fn file(mut self, file: impl AsRef<std::path::Path>) -> Self {
        let file = Some(file.as_ref().display().to_string());
        self.places.push(Place { file, field: None });
        self
    }

    /// Names a variable.
    pub(crate) fn variable(mut self, name: &str) -> Self {
        self.places.push(Place { file: None, field: Some(name.to_owned()) });
        self
    }

    #[cfg(test)]
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    fn show(&self, width: usize, ui: &Ui) {
        let word = ui.paint(self.level.tone(), &format!("{:<7}", self.level.word()));
        let head = format!("{word}  {:<width$}  ", self.code);
        let mut lines = wrapped(&self.message, MARGIN + width + 2).into_iter();
        ui.line(format!("{head}{}", lines.next().unwrap_or_default()));
        let indented = |line: String, by: usize| ui.line(format!("{:by$}{line}", ""));
        lines.for_each(|line| indented(line, MARGIN + width + 2));
        for place in &self.places {
            indented(format!("in: {}", place.text()), MARGIN);
        }
        let remedy = self.remedy.iter().flat_map(|remedy| wrapped(remedy, MARGIN + 4));
        for (number, line) in remedy.enumerate() {
            indented(format!("{}{line}", if number == 0 { "do: " } else { "    " }), MARGIN);
        }
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "code": self.code,
            "result": self.level.word(),
            "message": self.message,
        });
        if let Value::Object(map) = &mut value {
            let places: Vec<Value> = self.places.iter().map(Place::json).collect();
            if !places.is_empty() {
                map.insert("places".to_owned(), Value::Array(places));
            }
            map.extend(self.remedy.iter().map(|remedy| ("remedy".to_owned(), json!(remedy))));
        }
        value
    }

    fn problem(&self) -> Problem {
        let remedy = self.remedy.clone().unwrap_or_default();
        let problem = Problem::new(&self.code, &self.message, remedy);
        match self.places.as_slice() {
            [] => problem,
            [Place { file: None, field: Some(field) }] => problem.field(field),
            [Place { file: Some(file), field: Some(field) }] => problem.file(file).field(field),
            several => {
                let all: Vec<String> = several.iter().map(Place::text).collect();
                problem.file(all.join(" and "))
            }
        }
    }
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        let (message, remedy) = (problem.message().to_owned(), problem.remedy_text().to_owned());
        let finding = Self::fail(problem.code(), message, remedy);
        match (problem.file_text(), problem.field_text()) {
            (Some(file), Some(field)) => finding.at(file, field),
            (Some(file), None) => finding.file(file),
            (None, Some(field)) => finding.variable(field),
            (None, None) => finding,
        }
    }
}

impl Place {
    fn text(&self) -> String {
        match (&self.file, &self.field) {
            (Some(file), Some(field)) => format!("{file}, field {field}"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => String::new(),
        }
    }

    fn json(&self) -> Value {
        let mut map = serde_json::Map::new();
        map.extend(self.file.iter().map(|file| ("file".to_owned(), json!(file))));
        map.extend(self.field.iter().map(|field| ("field".to_owned(), json!(field))));
        Value::Object(map)
    }
}

/// Shows the findings and ends the command: a failure is a problem, and with `strict` a warning is as well.
/// `what` says in the result what was looked at, such as "3 features".
pub(crate) fn conclude(findings: &[Finding], what: &str, strict: bool, ui: &Ui) -> Outcome {
    let width = findings.iter().map(|finding| finding.code.chars().count()).max().unwrap_or(0);
    findings.iter().for_each(|finding| finding.show(width, ui));
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (failures, warnings) = (count(Level::Fail), count(Level::Warn));
    let is_problem = |finding: &&Finding| {
        finding.level == Level::Fail || (strict && finding.level == Level::Warn)
    };
    let problems: Vec<Problem> = findings.iter().filter(is_problem).map(Finding::problem).collect();
    let number = |count: usize, word: &str| match count {
        0 => format!("no {word}"),
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    let strictly = if strict && warnings > 0 { ", which count as failures" } else { "" };
    let result = format!(
        "{what}: {}, {}{strictly}.",
        number(failures, "failure"),
        number(warnings, "warning")
    );
    let json = json!({
        "findings": findings.iter().map(Finding::json).collect::<Vec<_>>(),
        "failures": failures,
        "warnings": warnings,
        "strict": strict,
    });
    Outcome { problems, problems_shown: true, ..Outcome::new(result, json) }
}

/// Lines of `text` that fit the terminal after `indent` characters; a word that does not is left whole.
fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let room = WIDTH.saturating_sub(indent).max(LEAST_WIDTH);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
