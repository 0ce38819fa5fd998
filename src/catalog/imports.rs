//! What a module imports before it runs.

use memchr::memmem;

/// The specifiers that a module imports statically, as they are written in it.
///
/// The words `from` and `import` with a quoted string right after them: every static import ends so, however
/// it was minified, and a dynamic one has a bracket in between. Text in a comment may look the same; who
/// resolves the specifiers finds no module by it, or one more to fetch early. Nothing relies on more than that.
pub(crate) fn static_imports(code: &[u8]) -> Vec<Box<str>> {
    let Ok(code) = std::str::from_utf8(code) else { return Vec::new() };
    let mut found: Vec<_> = ["from", "import"]
        .into_iter()
        // A start searches every module there is.
        .flat_map(|word| memmem::find_iter(code.as_bytes(), word).map(move |at| (at, word)))
        .filter_map(|(at, word)| {
            let before = code.get(..at)?.chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '.')) {
                return None;
            }
            let rest = code.get(at + word.len()..)?.trim_start();
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let (specifier, _) = rest.get(1..)?.split_once(quote)?;
            Some((at, specifier))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, specifier)| specifier.into()).collect()
}

#[cfg(test)]
mod tests {
    use super::static_imports;

    fn found(code: &str) -> Vec<String> {
        static_imports(code.as_bytes()).into_iter().map(String::from).collect()
    }

    #[test]
    fn every_form_of_static_import_is_found_minified_or_not() {
        let forms = [
            "import 'x'",
            "import\"x\";",
            "import a from 'x'",
            "import a,{b as c}from\"x\";",
            "import * as a from\n  'x'",
            "import{a}from'x'",
            "export{a}from\"x\"",
            "export * from 'x'",
            "export*as a from\"x\"",
            "import data from 'x' with { type: 'json' }",
        ];
        for form in forms {
            assert_eq!(found(form), ["x"], "{form}");
        }
        assert_eq!(found("import'b';import{c}from'a';import'd'"), ["b", "a", "d"]);
    }

    #[test]
    fn what_is_loaded_later_or_not_at_all_is_left_alone() {
        let others = [
            "import('x')",
            "await import(\"x\")",
            "import.meta.url",
            "Array.from('x')",
            "$from 'x'",
            "reimport 'x'",
            "const from = 'x'",
            "import",
            "from \"",
            "from 'é",
        ];
        for other in others {
            assert_eq!(found(other), Vec::<String>::new(), "{other}");
        }
        assert_eq!(static_imports(b"import 'x'; \xff"), []);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_searched_without_harm(code in "[a-z '\"{}().;é\n]{0,40}(from|import)[ '\"é]{0,3}[a-z'\"]{0,9}") {
            static_imports(code.as_bytes());
        }
    }
}
