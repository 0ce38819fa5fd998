//! The files of the version that serves.

use maud::{Markup, html};
use pilar_artifact::FileName;

use crate::admin::pages::parts::{column, none, numbers, table};
use crate::admin::words;
use crate::catalog::LoadedVersion;
use crate::http::Encoding;

pub(super) fn files(loaded: &LoadedVersion) -> Markup {
    let columns = [column("File"), numbers("Size"), column("Encodings"), column("SHA-256 (SRI)")];
    let row = |(name, integrity): (&FileName, &pilar_artifact::digest::Integrity)| {
        let url = loaded.url(name);
        let asset = loaded.assets.iter().find(|(path, _)| **path == *url);
        let representations = asset.map_or(&[][..], |(_, resource)| resource.representations());
        let plain = representations.iter().find(|one| one.encoding() == Encoding::Identity);
        let others: Vec<&str> = representations
            .iter()
            .map(|one| one.encoding())
            .filter(|encoding| *encoding != Encoding::Identity)
            .map(Encoding::name)
            .collect();
        vec![
            html! { @if asset.is_some() { a href=(url) { code { (name) } } } @else { code { (name) } } },
            html! { @if let Some(one) = plain { (words::size(one.body().len() as u64)) } @else { (none()) } },
            html! {
                @if asset.is_none() { "not served under its own name" }
                @else if others.is_empty() { (none()) }
                @else { (others.join(", ")) }
            },
            html! { code class="sri" title=(integrity.0.sri()) { (integrity.0.sri()) } },
        ]
    };
    let rows: Vec<Vec<Markup>> = loaded.manifest.integrity.iter().map(row).collect();
    html! {
        details class="more-files" open[rows.len() <= 12] {
            summary { (words::count(rows.len(), "file", "files")) " of " (loaded.manifest.version) ", " (words::size(loaded.bytes)) }
            div class="rows" { (table("Files of the version that serves", &columns, &rows)) }
        }
    }
}
