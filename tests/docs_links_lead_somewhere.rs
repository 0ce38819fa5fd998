//! Whoever follows a link of the documentation within the repository arrives: the file is there, and so is the heading.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The pages that are read where they lie. Those of `loadtest/report` are parts of another one.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    for folder in [".", "docs", "docs/performance", "charts/favn-host"] {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path().canonicalize().unwrap());
        pages.extend(files.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    pages.sort();
    pages
}

/// The lines of a page that are no code.
fn prose(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let mut is_code = false;
    let outside = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    text.lines().filter(outside).map(str::to_owned).collect()
}

/// Where the links of a line lead, images included.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).map(|rest| rest.split([')', ' ']).next().unwrap())
}

/// The names under which links reach the headings of a page, as GitHub makes them.
fn headings(page: &Path) -> BTreeSet<String> {
    let name = |heading: String| {
        let kept = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    prose(page).into_iter().filter(|line| line.starts_with('#')).map(name).collect()
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_of_it() {
    let mut astray = Vec::new();
    let mut count = 0;
    for page in pages() {
        for line in prose(&page) {
            for link in links(&line).filter(|link| !link.contains(':')) {
                count += 1;
                let (file, heading) = link.split_once('#').unwrap_or((link, ""));
                let target = match file {
                    "" => page.clone(),
                    file => page.parent().unwrap().join(file),
                };
                let is_there =
                    target.exists() && (heading.is_empty() || headings(&target).contains(heading));
                if !is_there {
                    astray.push(format!("{}: {link}", page.display()));
                }
            }
        }
    }
    assert!(count > 50, "only {count} links were found");
    assert!(astray.is_empty(), "{astray:#?}");
}

#[test]
fn every_page_of_the_documentation_is_linked_to() {
    let linked: BTreeSet<PathBuf> = pages()
        .into_iter()
        .flat_map(|page| {
            let folder = page.parent().unwrap().to_owned();
            let lines = prose(&page);
            let targets = lines.iter().flat_map(|line| links(line));
            let files =
                targets.filter_map(|link| folder.join(link.split('#').next()?).canonicalize().ok());
            files.filter(|file| *file != page).collect::<Vec<_>>()
        })
        .collect();
    for page in pages() {
        let is_start = page.file_name().is_some_and(|name| name == "README.md");
        assert!(is_start || linked.contains(&page), "nothing leads to {}", page.display());
    }
}
