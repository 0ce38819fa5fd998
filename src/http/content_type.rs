//! Media types of what front-end artifacts hold.

/// The value of `content-type` for a file, judged by its extension alone.
///
/// Text types name their charset, so that a browser never has to guess. An unknown extension is
/// `application/octet-stream`, which with `nosniff` is never executed.
pub fn content_type_of(file_name: &str) -> &'static str {
    let Some((_, extension)) = file_name.rsplit_once('.') else {
        return UNKNOWN;
    };
    TABLE
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map_or(UNKNOWN, |(_, media_type)| media_type)
}

const UNKNOWN: &str = "application/octet-stream";

const TABLE: &[(&str, &str)] = &[
    // RFC 9239 §6: modules and scripts share one type.
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("svg", "image/svg+xml; charset=utf-8"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("ico", "image/x-icon"),
    ("woff2", "font/woff2"),
    ("woff", "font/woff"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("wasm", "application/wasm"),
    ("txt", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("xml", "application/xml"),
    ("pdf", "application/pdf"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("vtt", "text/vtt; charset=utf-8"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_extension_decides_in_any_case() {
        assert_eq!(content_type_of("entry.4f2a.js"), "text/javascript; charset=utf-8");
        assert_eq!(content_type_of("Logo.PNG"), "image/png");
        assert_eq!(content_type_of("entry.js.map"), "application/json");
    }

    #[test]
    fn what_is_not_known_is_never_executable() {
        for name in ["LICENSE", "a.exe", "", ".", "js"] {
            assert_eq!(content_type_of(name), UNKNOWN, "{name}");
        }
    }
}
