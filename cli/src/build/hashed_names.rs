//! Features without a build step: `src/` as it is, with content hashes in the names.
//!
//! A name changes exactly when the file, or a file that it refers to, changes. So references are rewritten
//! first and the hash is taken over the result. Where files refer to each other in a circle there is no
//! first one: there the hash is over all files of the circle, before their references to one another are
//! rewritten.

use std::collections::{BTreeMap, BTreeSet};

use pilar_artifact::manifest::{Entrypoints, OneOrMany};
use pilar_artifact::{FileName, Limits, MANIFEST_FILE, Sha256Digest};

use super::files::{Content, collect};
use super::references::{Reference, find, relative};
use super::source::Source;
use crate::documents::file_name;
use crate::problem::Problem;

/// Hex digits of a hash in a name.
const HASH_DIGITS: usize = 12;

/// Reads `src/` and gives every file a hashed name.
pub(crate) fn build(source: &Source, limits: &Limits) -> Result<Content, Problem> {
    let dir = source.dir.join("src");
    let files = collect(&dir, limits)?;
    let renamed = rename(files).map_err(|problem| problem.file(&dir))?;
    let named = |field: &str, name: &FileName| {
        renamed.names.get(name).cloned().ok_or_else(|| {
            let message = format!("there is no src/{name}");
            let remedy = "name a file of src/, or add the file";
            Problem::new("entrypoint-missing", message, remedy)
                .file(source.dir.join(MANIFEST_FILE))
                .field(field)
        })
    };
    let manifest = &source.manifest;
    let written = manifest.entrypoints.clone().unwrap_or_default();
    if written.js().is_empty() && !manifest.id.is_shared_set() {
        let message = "no file is named that starts the feature";
        let remedy = "name a module of src/, such as \"entrypoints\": { \"js\": \"main.js\" }";
        return Err(Problem::new("entrypoint-missing", message, remedy)
            .file(source.dir.join(MANIFEST_FILE))
            .field("entrypoints.js"));
    }
    let map = |field: &str, files: Option<OneOrMany<FileName>>| match files {
        None => Ok(None),
        Some(OneOrMany::One(file)) => named(field, &file).map(|file| Some(OneOrMany::One(file))),
        Some(OneOrMany::Many(files)) => {
            let files: Result<_, _> = files.iter().map(|file| named(field, file)).collect();
            files.map(|files| Some(OneOrMany::Many(files)))
        }
    };
    let mut packages = manifest.packages.clone();
    for (specifier, package) in &mut packages {
        package.file = named(&format!("packages.{specifier}.file"), &package.file)?;
    }
    let module = manifest.server_functions.as_ref().and_then(|functions| functions.module.as_ref());
    Ok(Content {
        entrypoints: Entrypoints {
            js: map("entrypoints.js", written.js)?,
            css: map("entrypoints.css", written.css)?,
        },
        packages,
        server_module: module.map(|module| named("serverFunctions.module", module)).transpose()?,
        files: renamed.files,
    })
}

/// Files under their hashed names.
struct Renamed {
    files: BTreeMap<FileName, Vec<u8>>,
    /// Name in `src/` → hashed name.
    names: BTreeMap<FileName, FileName>,
}

fn rename(files: BTreeMap<FileName, Vec<u8>>) -> Result<Renamed, Problem> {
    let graph = Graph::of(&files);
    let mut hasher = Hasher { files: &files, graph: &graph, names: BTreeMap::new() };
    for name in graph.order() {
        hasher.name(name)?;
    }
    let names = hasher.names.clone();
    let files = files.keys().map(|name| {
        let new = names.get(name).cloned().unwrap_or_else(|| name.clone());
        (new, hasher.rewritten(name, &BTreeSet::new()))
    });
    Ok(Renamed { files: files.collect(), names })
}

/// Who refers to whom.
struct Graph<'f> {
    references: BTreeMap<&'f FileName, Vec<(Reference, &'f FileName)>>,
    /// Everything that can be reached, in one step or more.
    reach: BTreeMap<&'f FileName, BTreeSet<&'f FileName>>,
}

impl<'f> Graph<'f> {
    fn of(files: &'f BTreeMap<FileName, Vec<u8>>) -> Self {
        let references: BTreeMap<&FileName, Vec<(Reference, &FileName)>> = files
            .iter()
            .map(|(name, bytes)| {
                let text = std::str::from_utf8(bytes).unwrap_or_default();
                let found = find(name.as_str(), text).into_iter().filter_map(|reference| {
                    let (target, _) = files.get_key_value(reference.target.as_str())?;
                    Some((reference, target))
                });
                (name, found.collect())
            })
            .collect();
        let reach = references.keys().map(|name| (*name, reach(name, &references))).collect();
        Self { references, reach }
    }

    /// The files, each after those that it refers to (circles apart).
    fn order(&self) -> Vec<&'f FileName> {
        let mut order: Vec<_> =
            self.reach.iter().map(|(name, reach)| (reach.len(), *name)).collect();
        // Who refers to a file reaches all that the file reaches, and the file.
        order.sort();
        order.into_iter().map(|(_, name)| name).collect()
    }

    /// The files that reach `name` and are reached by it; empty where it is in no circle.
    fn circle(&self, name: &FileName) -> BTreeSet<&'f FileName> {
        let reached = |from: &FileName, to: &FileName| {
            self.reach.get(from).is_some_and(|reach| reach.contains(to))
        };
        let from_here = self.reach.get(name).into_iter().flatten();
        from_here.filter(|other| reached(other, name)).copied().collect()
    }
}

fn reach<'f>(
    from: &FileName,
    references: &BTreeMap<&'f FileName, Vec<(Reference, &'f FileName)>>,
) -> BTreeSet<&'f FileName> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&FileName> = vec![from];
    while let Some(name) = next.pop() {
        for (_, target) in references.get(name).into_iter().flatten() {
            if reached.insert(*target) {
                next.push(target);
            }
        }
    }
    reached
}

struct Hasher<'f, 'g> {
    files: &'f BTreeMap<FileName, Vec<u8>>,
    graph: &'g Graph<'f>,
    names: BTreeMap<FileName, FileName>,
}

impl Hasher<'_, '_> {
    fn name(&mut self, name: &FileName) -> Result<(), Problem> {
        if has_hash(name.as_str()) {
            self.names.insert(name.clone(), name.clone());
            return Ok(());
        }
        let circle = self.graph.circle(name);
        let hash = if circle.is_empty() {
            Sha256Digest::of(&self.rewritten(name, &circle))
        } else {
            let mut all = Vec::new();
            for member in std::iter::once(&name).chain(&circle) {
                let content = Sha256Digest::of(&self.rewritten(member, &circle));
                all.extend(format!("{member} {content}\n").into_bytes());
            }
            Sha256Digest::of(&all)
        };
        let hashed = with_hash(name.as_str(), &hash.hex());
        self.names.insert(name.clone(), file_name(&hashed, name.as_str().as_ref())?);
        Ok(())
    }

    /// The content of `name` with the references that lead out of `circle` rewritten.
    fn rewritten(&self, name: &FileName, circle: &BTreeSet<&FileName>) -> Vec<u8> {
        let bytes = self.files.get(name).map(Vec::as_slice).unwrap_or_default();
        let Some(own_name) = self.names.get(name).or(Some(name)) else { return bytes.to_vec() };
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        for (reference, target) in self.graph.references.get(name).into_iter().flatten() {
            let Some(new) = self.names.get(*target).filter(|_| !circle.contains(*target)) else {
                continue;
            };
            out.extend_from_slice(bytes.get(at..reference.range.start).unwrap_or_default());
            out.extend_from_slice(relative(own_name.as_str(), new.as_str()).as_bytes());
            at = reference.range.end;
        }
        out.extend_from_slice(bytes.get(at..).unwrap_or_default());
        out
    }
}

/// `dir/name.<hash>.ext`
fn with_hash(name: &str, hash: &str) -> String {
    let hash = hash.get(..HASH_DIGITS).unwrap_or(hash);
    let (dir, file) = name.rsplit_once('/').map_or(("", name), |(dir, file)| (dir, file));
    let slash = if dir.is_empty() { "" } else { "/" };
    match file.rsplit_once('.') {
        Some((stem, extension)) => format!("{dir}{slash}{stem}.{hash}.{extension}"),
        None => format!("{dir}{slash}{file}.{hash}"),
    }
}

/// Whether the name has a hash already: `name.<8 or more hex digits>.ext`.
fn has_hash(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let mut parts = file.rsplit('.');
    let (_extension, hash, stem) = (parts.next(), parts.next(), parts.next());
    stem.is_some()
        && hash.is_some_and(|hash| {
            hash.len() >= 8 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(files: &[(&str, &str)]) -> BTreeMap<String, (String, String)> {
        let files = files
            .iter()
            .map(|(name, text)| (name.parse().unwrap(), text.as_bytes().to_vec()))
            .collect();
        let Renamed { files, names } = rename(files).unwrap();
        names
            .iter()
            .map(|(old, new)| {
                let text = String::from_utf8(files[new].clone()).unwrap();
                (old.to_string(), (new.to_string(), text))
            })
            .collect()
    }

    #[test]
    fn a_name_has_the_hash_of_the_bytes_that_are_served() {
        let all = renamed(&[("main.js", "import './lib/a.js';"), ("lib/a.js", "export {}")]);
        for (name, text) in all.values() {
            let hash = &Sha256Digest::of(text.as_bytes()).hex()[..HASH_DIGITS];
            assert!(name.contains(hash), "{name} does not contain {hash}");
        }
        let (a, _) = &all["lib/a.js"];
        assert_eq!(all["main.js"].1, format!("import './{a}';"));
    }

    #[test]
    fn a_change_reaches_the_names_of_all_that_refer_to_it() {
        let files =
            |leaf| [("main.js", "import './b.js'"), ("b.js", "import './c.js'"), ("c.js", leaf)];
        let (one, two) = (renamed(&files("1")), renamed(&files("2")));
        assert!(one.keys().all(|name| one[name].0 != two[name].0));
    }

    #[test]
    fn circles_get_names_that_depend_on_every_member() {
        let files =
            |text| [("a.js", "import './b.js'"), ("b.js", text), ("c.js", "import './a.js'")];
        let one = renamed(&files("import './a.js'; 1"));
        let two = renamed(&files("import './a.js'; 2"));
        assert_eq!(one, renamed(&files("import './a.js'; 1")));
        assert!(one.keys().all(|name| one[name].0 != two[name].0));
        assert_eq!(one["a.js"].1, format!("import './{}'", one["b.js"].0));
        assert_eq!(one["c.js"].1, format!("import './{}'", one["a.js"].0));
    }

    #[test]
    fn a_name_that_has_a_hash_keeps_it() {
        let all = renamed(&[("main.js", "import './x.0123abcd.js'"), ("x.0123abcd.js", "")]);
        assert_eq!(all["x.0123abcd.js"].0, "x.0123abcd.js");
        assert_eq!(all["main.js"].1, "import './x.0123abcd.js'");
        assert!(!has_hash("jquery.min.js") && !has_hash("deadbeef.js"));
    }

    #[test]
    fn every_kind_of_name_gets_its_hash_in_the_right_place() {
        assert_eq!(with_hash("a/b.min.js", "0123456789abcdef"), "a/b.min.0123456789ab.js");
        assert_eq!(with_hash("LICENSE", "0123456789abcdef"), "LICENSE.0123456789ab");
    }
}
