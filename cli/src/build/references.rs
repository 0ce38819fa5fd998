//! References between the files of a feature that has no build step.
//!
//! Found are: in JavaScript, a whole quoted string (`'…'` or `"…"`) that starts with `./` or `../`; in CSS,
//! the same, any `url(…)`, and what follows `@import`. A query or fragment after the name stays. Template
//! literals are left alone: what they name is known at run time only.

use std::ops::Range;

/// A place in a file that names another file of the artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The bytes of the path, without query and fragment.
    pub(crate) range: Range<usize>,
    /// The file it names, relative to the root of the artifact.
    pub(crate) target: String,
}

/// The references in `text`, the content of the file `name`, in order. Each names a path; whether there is
/// such a file is for the caller to see.
pub(crate) fn find(name: &str, text: &str) -> Vec<Reference> {
    let css = match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js" | "mjs") => false,
        Some("css") => true,
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = text.get(at..).and_then(|rest| rest.find(['"', '\'', '('])) {
        let open = at + offset;
        at = open + 1;
        let before = text.get(..open).unwrap_or_default();
        let Some(candidate) = string_after(text, open, css && before.ends_with("url")) else {
            continue;
        };
        let inner = text.get(candidate.clone()).unwrap_or_default();
        let path = inner.split(['?', '#']).next().unwrap_or_default();
        let dotted = path.starts_with("./") || path.starts_with("../");
        let before = before.trim_end();
        let named = css && (before.ends_with("@import") || before.ends_with("url("));
        let bare_url = css && text.get(open..=open) == Some("(");
        if !(dotted || named || bare_url) {
            continue;
        }
        if let Some(target) = resolve(name, path) {
            let range = candidate.start..candidate.start + path.len();
            at = candidate.end;
            found.push(Reference { range, target });
        }
    }
    found
}

/// `to` as `from` names it: always relative, with a leading `./` or `../`.
pub(crate) fn relative(from: &str, to: &str) -> String {
    let mut from: Vec<&str> = from.split('/').collect();
    from.pop();
    let to: Vec<&str> = to.split('/').collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count().min(to.len() - 1);
    let up = from.len() - shared;
    let steps = if up == 0 { vec!["."] } else { vec![".."; up] };
    steps.into_iter().chain(to.into_iter().skip(shared)).collect::<Vec<_>>().join("/")
}

/// What stands between the quote or bracket at `open` and its partner, on one line.
fn string_after(text: &str, open: usize, is_url: bool) -> Option<Range<usize>> {
    let rest = text.get(open + 1..)?;
    let end = match text.get(open..=open)? {
        "(" if is_url && !rest.trim_start().starts_with(['"', '\'']) => rest.find(')')?,
        "(" => return None,
        quote => rest.find(quote)?,
    };
    let inner = rest.get(..end)?;
    let plain = !inner.contains(['\\', '\n', '`', '"', '\'']);
    let start = open + 1 + (inner.len() - inner.trim_start().len());
    plain.then(|| start..start + inner.trim().len()).filter(|range| !range.is_empty())
}

/// The file that `path` names as seen from the file `name`; `None` where it leads out of the artifact.
fn resolve(name: &str, path: &str) -> Option<String> {
    if path.is_empty() || path.starts_with('/') || path.contains(':') {
        return None;
    }
    let mut segments: Vec<&str> = name.split('/').collect();
    segments.pop();
    for segment in path.split('/') {
        match segment {
            "." | "" => {}
            ".." => {
                segments.pop()?;
            }
            other => segments.push(other),
        }
    }
    Some(segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(name: &str, text: &str) -> Vec<String> {
        find(name, text).into_iter().map(|reference| reference.target).collect()
    }

    #[test]
    fn imports_in_both_quotes_and_new_url_are_found() {
        let text = r#"import { a } from './a.js'; import("../b/c.js"); new URL("./d.png?x#y", import.meta.url)"#;
        assert_eq!(targets("x/main.js", text), ["x/a.js", "b/c.js", "x/d.png"]);
    }

    #[test]
    fn bare_names_templates_and_ways_out_are_left_alone() {
        let text = "import 'react'; import(`./${a}.js`); const s = 'main.js'; import '../../out.js'; fetch('/a.js')";
        assert_eq!(targets("x/main.js", text), Vec::<String>::new());
    }

    #[test]
    fn an_apostrophe_in_a_comment_does_not_hide_what_follows() {
        assert_eq!(targets("main.js", "// don't\nimport './a.js';"), ["a.js"]);
        assert_eq!(
            targets("main.js", "// it's here: './b.js'\nimport './a.js';"),
            ["b.js", "a.js"]
        );
    }

    #[test]
    fn css_urls_and_imports_are_found_without_a_leading_dot() {
        let text = "@import \"base.css\"; a { b: url(img/x.png) url( './y.svg#z' ) url(data:image/png;base64,AA) }";
        assert_eq!(targets("style.css", text), ["base.css", "img/x.png", "y.svg"]);
        assert_eq!(targets("style.css", "a { content: \"base.css\" }"), Vec::<String>::new());
    }

    #[test]
    fn the_range_covers_the_path_only() {
        let text = "import './a.js?v=1'";
        let [only] = find("main.js", text).try_into().unwrap();
        assert_eq!(&text[only.range], "./a.js");
    }

    #[test]
    fn names_are_relative_to_the_file_that_holds_them() {
        assert_eq!(relative("main.js", "a.js"), "./a.js");
        assert_eq!(relative("x/main.js", "a.js"), "../a.js");
        assert_eq!(relative("x/main.js", "x/y/a.js"), "./y/a.js");
        assert_eq!(relative("x/y/main.js", "x/z/a.js"), "../z/a.js");
    }
}
