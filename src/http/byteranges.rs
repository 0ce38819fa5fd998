//! Replies with parts of a representation: 206 and the content range of 416 (RFC 9110 §14.4, §15.3.7).

use std::ops::Range;

use super::body::Body;
use super::range::RangeSet;
use super::resource::Representation;

impl Representation {
    /// Appends the head of a 206 with one part, like [`Representation::head`] without `date`.
    pub fn write_part_head(&self, part: &Range<usize>, out: &mut Vec<u8>) {
        out.extend_from_slice(STATUS_LINE);
        write_number(b"content-length: ", part.len(), out);
        out.extend_from_slice(b"\r\n");
        self.write_content_range(part, out);
        out.extend_from_slice(self.description());
        out.extend_from_slice(self.other_lines());
    }

    /// Appends the `content-range` of a 416.
    pub fn write_unsatisfied_range(&self, out: &mut Vec<u8>) {
        write_number(b"content-range: bytes */", self.body().len(), out);
        out.extend_from_slice(b"\r\n");
    }

    /// Several parts of this representation as one body.
    pub fn byteranges<'a>(&'a self, ranges: RangeSet<'a>) -> Byteranges<'a> {
        Byteranges { representation: self, ranges }
    }

    fn write_content_range(&self, part: &Range<usize>, out: &mut Vec<u8>) {
        write_number(b"content-range: bytes ", part.start, out);
        write_number(b"-", part.end.saturating_sub(1), out);
        write_number(b"/", self.body().len(), out);
        out.extend_from_slice(b"\r\n");
    }
}

const STATUS_LINE: &[u8] = b"HTTP/1.1 206 Partial Content\r\n";

fn write_number(before: &[u8], number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(before);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A `multipart/byteranges` body (RFC 9110 §14.6).
///
/// Each part has the type and the coding of the representation that it is cut from. The reply as a
/// whole has no coding: the parts are not encoded again.
#[derive(Debug)]
pub struct Byteranges<'a> {
    representation: &'a Representation,
    ranges: RangeSet<'a>,
}

impl Byteranges<'_> {
    /// Appends the head of the reply, like [`Representation::head`] without `date`.
    pub fn write_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(STATUS_LINE);
        write_number(b"content-length: ", self.length(), out);
        out.extend_from_slice(b"\r\ncontent-type: multipart/byteranges; boundary=");
        out.extend_from_slice(self.boundary());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.representation.other_lines());
    }

    /// The representation's whole body and the parts of it, for [`Byteranges::write_delimiter`] and then
    /// the bytes of each, and [`Byteranges::write_end`] after the last.
    pub fn body(&self) -> (&Body, impl Iterator<Item = Range<usize>> + '_) {
        (self.representation.body(), self.ranges.iter())
    }

    /// Appends what stands before a part.
    pub fn write_delimiter(&self, part: &Range<usize>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(self.boundary());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.representation.description());
        self.representation.write_content_range(part, out);
        out.extend_from_slice(b"\r\n");
    }

    /// Appends what stands after the last part.
    pub fn write_end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(self.boundary());
        out.extend_from_slice(b"--\r\n");
    }

    /// Bytes of the whole body.
    pub fn length(&self) -> usize {
        let fixed = b"\r\n--".len() + self.boundary().len();
        let parts = self.ranges.iter().map(|part| {
            let first_and_last = digits(part.start) + digits(part.end - 1);
            let content_range = "content-range: bytes -/\r\n".len()
                + first_and_last
                + digits(self.representation.body().len());
            fixed
                + b"\r\n".len()
                + self.representation.description().len()
                + content_range
                + b"\r\n".len()
                + part.len()
        });
        parts.sum::<usize>() + fixed + b"--\r\n".len()
    }

    /// The digest of the representation, as its tag has it: nobody can write a file that holds its
    /// own digest.
    fn boundary(&self) -> &[u8] {
        let tag = self.representation.etag().map(|etag| etag.as_bytes()).unwrap_or_default();
        tag.get(1..tag.len().saturating_sub(1)).unwrap_or_default()
    }
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::super::encoding::Encoding;
    use super::super::range::{Requested, requested};
    use super::super::resource::{CachePolicy, Resource};
    fn encoded() -> Resource {
        Resource::builder(StatusCode::OK, "text/css; charset=utf-8", CachePolicy::Immutable)
            .variant(Encoding::Br, "0123456789ab", None)
            .build()
            .unwrap()
    }

    #[test]
    fn one_part_has_the_headers_of_the_whole_and_its_own_length() {
        let resource = encoded();
        let representation = &resource.representations()[0];
        let mut out = Vec::new();
        representation.write_part_head(&(2..5), &mut out);
        let etag = representation.etag().unwrap().as_str();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!(
                "HTTP/1.1 206 Partial Content\r\n\
                 content-length: 3\r\n\
                 content-range: bytes 2-4/12\r\n\
                 content-type: text/css; charset=utf-8\r\n\
                 content-encoding: br\r\n\
                 accept-ranges: bytes\r\n\
                 etag: {etag}\r\n\
                 cache-control: public, max-age=31536000, immutable\r\n\
                 vary: accept-encoding\r\n\
                 x-content-type-options: nosniff\r\n"
            )
        );
    }

    #[test]
    fn several_parts_are_as_long_as_their_head_says() {
        let resource = encoded();
        let representation = &resource.representations()[0];
        let Requested::Many(ranges) = requested([&b"bytes=0-0,9-10,-1"[..]], 12) else {
            panic!("three ranges");
        };
        let parts = representation.byteranges(ranges);
        let mut body = Vec::new();
        let (bytes, ranges) = parts.body();
        for range in ranges {
            parts.write_delimiter(&range, &mut body);
            body.extend(bytes.slice(range).to_vec());
        }
        parts.write_end(&mut body);
        assert_eq!(body.len(), parts.length());
        let tag = representation.etag().unwrap().as_str().trim_matches('"');
        let text = String::from_utf8(body).unwrap();
        let second = format!(
            "\r\n--{tag}\r\ncontent-type: text/css; charset=utf-8\r\ncontent-encoding: br\r\n\
             content-range: bytes 9-10/12\r\n\r\n9a"
        );
        assert!(text.contains(&second), "{text}");
        assert!(text.ends_with(&format!("\r\n\r\nb\r\n--{tag}--\r\n")), "{text}");
        let mut head = Vec::new();
        parts.write_head(&mut head);
        let head = String::from_utf8(head).unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", text.len())), "{head}");
        assert!(head.contains(&format!("boundary={tag}\r\n")), "{head}");
        assert!(!head.contains("content-encoding"), "{head}");
    }
}
