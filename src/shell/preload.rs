//! The `link` header of a page: what it will fetch at once, told before its first byte is parsed (RFC 8288).
//!
//! Only the header announces, the page's elements apply: a style sheet is announced here and put to use by its
//! `link` element, a module is announced here and imported. Modules are announced by `preload` as the scripts
//! that they are, not by `modulepreload`: that one resolves the imports of what it fetched at once, and the
//! header is read before the import map in the page is, so that Chromium and Firefox give every module up that
//! imports a shared package. With `crossorigin` and the very integrity of the import map, the browser takes the
//! bytes for the import, checked, without a second request.

/// What a preload is put to use as.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Style,
    Module,
}

/// A `link` header in the making.
#[derive(Debug, Default)]
pub(super) struct Preloads {
    link: String,
}

/// Bytes of the header, at most. Proxies refuse a reply whose head outgrows their buffer, nginx one of more
/// than 4 KiB unless told otherwise; what is left out is found a little later, by whatever imports it.
const MAX_BYTES: usize = 3 * 1024;

impl Preloads {
    /// Adds a file, unless its address has characters that would need an escape here, or the header is full.
    pub(super) fn add(&mut self, kind: Kind, url: &str, integrity: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-~+@=".contains(&b);
        if !url.bytes().all(plain) || !integrity.bytes().all(plain) {
            return;
        }
        let kind = match kind {
            Kind::Style => "as=style",
            Kind::Module => "as=script; crossorigin",
        };
        let separator = if self.link.is_empty() { "" } else { ", " };
        let one = format!("{separator}<{url}>; rel=preload; {kind}; integrity=\"{integrity}\"");
        if self.link.len() + one.len() <= MAX_BYTES {
            self.link.push_str(&one);
        }
    }

    /// The value of the header.
    pub(super) fn into_link(self) -> String {
        self.link
    }
}

#[cfg(test)]
mod tests {
    use pilar_artifact::FileName;
    use proptest::prelude::*;

    use super::*;

    const INTEGRITY: &str = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn link_to(urls: &[String]) -> String {
        let mut preloads = Preloads::default();
        for url in urls {
            preloads.add(Kind::Module, url, INTEGRITY);
        }
        preloads.into_link()
    }

    #[test]
    fn a_style_sheet_and_a_module_are_announced_as_what_they_are() {
        let mut preloads = Preloads::default();
        preloads.add(Kind::Style, "/_assets/a/1.0.0-rc.1+b/x~y_z.css", INTEGRITY);
        preloads.add(Kind::Module, "/_shared/@scope/react.js", INTEGRITY);
        assert_eq!(
            preloads.into_link(),
            format!(
                "</_assets/a/1.0.0-rc.1+b/x~y_z.css>; rel=preload; as=style; integrity=\"{INTEGRITY}\", \
                 </_shared/@scope/react.js>; rel=preload; as=script; crossorigin; integrity=\"{INTEGRITY}\""
            )
        );
    }

    #[test]
    fn a_header_that_is_full_keeps_what_came_first() {
        let urls: Vec<String> = (0..1000).map(|n| format!("/_assets/many/1.0.0/{n}.js")).collect();
        let link = link_to(&urls);
        assert!(link.len() <= MAX_BYTES && link.len() > MAX_BYTES / 2, "{}", link.len());
        assert!(link.starts_with("</_assets/many/1.0.0/0.js>; "), "{link}");
    }

    proptest! {
        /// Takes the value apart by its separators alone: each part has to be one whole preload.
        #[test]
        fn no_file_name_breaks_out_of_its_place(names in prop::collection::vec("[^\\p{Cc}]{1,40}|[a-z/.]{1,20}[<>,;\"' é=\r\n]{0,3}[a-z]{1,9}", 0..8)) {
            let names = names.into_iter().filter_map(|name| name.parse::<FileName>().ok());
            let urls: Vec<String> = names.map(|name| format!("/_assets/a/1.0.0/{name}")).collect();
            let link = link_to(&urls);
            prop_assert!(link.bytes().all(|b| matches!(b, 0x20..=0x7e)), "{}", link);
            for one in link.split(", ").filter(|_| !link.is_empty()) {
                let rest = one.strip_prefix('<').and_then(|one| one.split_once(">; rel=preload; as=script; crossorigin; integrity="));
                let Some((url, integrity)) = rest else { return Err(TestCaseError::fail(link)) };
                prop_assert!(urls.iter().any(|known| known == url), "{}", link);
                prop_assert_eq!(integrity, format!("\"{INTEGRITY}\""));
            }
        }
    }
}
