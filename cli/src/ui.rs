//! The terminal: text for people, JSON for machines, progress for those who wait.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::problem::{Outcome, Problem};

/// The widest line of a table (80 columns).
pub(crate) const WIDTH: usize = 80;

/// How this run speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ui {
    json: bool,
    colour: bool,
    colour_errors: bool,
    progress: bool,
}

/// What a word means; the word says it too.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tone {
    Good,
    Warning,
    Bad,
    Quiet,
    Strong,
}

impl Ui {
    /// Colour only on a terminal and never with `NO_COLOR`; progress only on a terminal.
    pub(crate) fn new(json: bool, stdout_tty: bool, stderr_tty: bool, no_color: bool) -> Self {
        Self {
            json,
            colour: stdout_tty && !json && !no_color,
            colour_errors: stderr_tty && !no_color,
            progress: stderr_tty && !json,
        }
    }

    /// One line of detail. Machines get it in the JSON of the outcome.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        if !self.json {
            print(text.as_ref());
        }
    }

    /// One event of a command that goes on: a line of JSON for machines, `text` for people.
    pub(crate) fn event(&self, text: impl AsRef<str>, json: &Value) {
        print(if self.json { Cow::Owned(json.to_string()) } else { text.as_ref().into() }.as_ref());
    }

    /// Text in the colour of what it means.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.colour, tone, text)
    }

    /// Rows under headings, in columns that fit 80 characters; the last column gives way.
    pub(crate) fn table(&self, head: &[&str], rows: &[Vec<String>]) {
        let widths: Vec<usize> = head
            .iter()
            .enumerate()
            .map(|(column, title)| {
                let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell));
                cells.chain([length(title)]).max().unwrap_or(0)
            })
            .collect();
        let heads: Vec<String> = head.iter().map(|title| title.to_uppercase()).collect();
        self.line(self.paint(Tone::Quiet, &row_text(&heads, &widths)));
        for row in rows {
            self.line(row_text(row, &widths));
        }
    }

    /// Output of a tool that failed, to where people look for it; machines get the problem only.
    pub(crate) fn tool_output(&self, output: &str) {
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "{}", output.trim_end());
    }

    /// Shows on a terminal that something is going on, until it is dropped.
    pub(crate) fn progress(&self, message: impl Into<Cow<'static, str>>) -> Progress {
        if !self.progress {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_message(message);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    /// Prints a problem of a command that goes on.
    pub(crate) fn problem(&self, problem: &Problem) {
        if self.json {
            print(&json!({ "error": problem.json() }).to_string());
        } else {
            self.print_problem(problem);
        }
    }

    /// Prints how the command ended and returns the exit status (contract §14).
    pub(crate) fn finish(&self, done: Result<Outcome, Problem>) -> u8 {
        let Outcome { mut json, result, problems, problems_shown } = done
            .unwrap_or_else(|problem| Outcome { problems: vec![problem], ..Outcome::default() });
        if self.json {
            if let Some(first) = problems.first() {
                json.insert("error".to_owned(), first.json());
            }
            if problems.len() > 1 {
                let all = problems.iter().map(Problem::json).collect();
                json.insert("errors".to_owned(), Value::Array(all));
            }
            print(&format!("{:#}", Value::Object(json)));
        } else {
            if !problems_shown {
                problems.iter().for_each(|problem| self.print_problem(problem));
            }
            if !result.is_empty() {
                print(&self.paint(Tone::Strong, &result));
            }
        }
        problems.iter().map(Problem::status).max().unwrap_or(0)
    }

    fn print_problem(&self, problem: &Problem) {
        let [what, place, remedy] = problem.lines();
        let error = paint(self.colour_errors, Tone::Bad, "error:");
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "{error} {what}\n  {place}\n  {remedy}");
    }
}

/// A running display; it goes away when dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Says what is going on now.
    pub(crate) fn say(&self, message: impl Into<Cow<'static, str>>) {
        self.0.set_message(message);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Somebody who closed the pipe has read enough: that is no error.
fn print(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}");
}

fn paint(colour: bool, tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Good => "32",
        Tone::Warning => "33",
        Tone::Bad => "31",
        Tone::Quiet => "2",
        Tone::Strong => "1",
    };
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn row_text(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if column > 0 {
            line.push_str("  ");
        }
        let last = column + 1 == cells.len();
        let room = WIDTH.saturating_sub(length(&line));
        line.push_str(&shorten(cell, if last { room } else { room.min(*width) }));
        let padding = if last { 0 } else { width.saturating_sub(length(cell)) };
        line.extend(std::iter::repeat_n(' ', padding));
    }
    line.trim_end().to_owned()
}

fn shorten(text: &str, room: usize) -> String {
    if length(text) <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn length(text: &str) -> usize {
    text.chars().count()
}
