//! A resource with everything that is needed to answer for it, made once when a snapshot is built.

use std::ops::Range;

use http::{HeaderName, HeaderValue, StatusCode, header};

use super::body::Body;
use super::encoding::{Encoding, EncodingSet, negotiate};
use super::etag::{EntityTag, if_match, if_none_match, if_range};
use super::head::{Field, RequestHead};
use super::range::{RangeSet, Requested, requested};

/// How long a reply may be kept (RFC 9111 §5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// `public, max-age=31536000, immutable`: the name changes when the content does.
    Immutable,
    /// `no-cache`: kept, but asked about before each use.
    Revalidate,
    /// `no-store`: never kept.
    NoStore,
}

impl CachePolicy {
    /// The value of `cache-control`.
    pub fn value(self) -> &'static str {
        match self {
            CachePolicy::Immutable => "public, max-age=31536000, immutable",
            CachePolicy::Revalidate => "no-cache",
            CachePolicy::NoStore => "no-store",
        }
    }
}

/// Why a resource cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// Not a header name or value of RFC 9110 §5.
    #[error(
        "header `{name}` cannot be sent: give a token as its name and visible characters as its value"
    )]
    InvalidHeader {
        /// The name as it was given.
        name: String,
    },
    /// A header that the resource or the connection writes itself.
    #[error("header `{name}` is written by the server: leave it out")]
    ReservedHeader {
        /// The name as it was given.
        name: String,
    },
    /// A status whose replies have no body (RFC 9110 §6.4.1).
    #[error("status {status} has no body: choose one of 200 to 599 other than 204, 205 and 304")]
    BodylessStatus {
        /// The status as it was given.
        status: u16,
    },
    /// Nothing was added.
    #[error("a resource needs at least one representation")]
    NoRepresentation,
    /// The same coding was added twice.
    #[error("encoding `{}` was given twice", .encoding.name())]
    RepeatedEncoding {
        /// The coding.
        encoding: Encoding,
    },
}

impl ResourceError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            ResourceError::InvalidHeader { .. } => "invalid-header",
            ResourceError::ReservedHeader { .. } => "reserved-header",
            ResourceError::BodylessStatus { .. } => "bodyless-status",
            ResourceError::NoRepresentation => "no-representation",
            ResourceError::RepeatedEncoding { .. } => "repeated-encoding",
        }
    }
}

/// What answers one path: a status and up to four encodings of one content.
#[derive(Debug)]
pub struct Resource {
    status: StatusCode,
    negotiable: bool,
    available: EncodingSet,
    representations: Box<[Representation]>,
}

/// One encoding of a resource with its ready heads.
///
/// A head runs from the status line up to, but not including, `date`, `connection` and the empty
/// line: these depend on the moment and the connection.
#[derive(Debug)]
pub struct Representation {
    encoding: Encoding,
    etag: Option<EntityTag>,
    head: Box<[u8]>,
    /// Where in the head the lines are that describe the content: its type and coding.
    described: Range<usize>,
    not_modified_head: Box<[u8]>,
    body: Body,
}

/// What a request gets from a resource.
#[derive(Debug)]
pub enum Selection<'a> {
    /// The representation with its head and, unless the method is HEAD, its body.
    Full(&'a Representation),
    /// 206 with this part of the body.
    Part(&'a Representation, Range<usize>),
    /// 206 with several parts of the body.
    Parts(&'a Representation, RangeSet<'a>),
    /// 304 with the representation's second head; there is no body.
    NotModified(&'a Representation),
    /// 406: the client takes none of the encodings.
    NotAcceptable,
    /// 412: the client means another representation.
    PreconditionFailed,
    /// 416: the representation has none of the parts.
    Unsatisfiable(&'a Representation),
}

impl<'a> Selection<'a> {
    /// The representation that is sent, or of which a part or the tag is.
    pub fn representation(&self) -> Option<&'a Representation> {
        match self {
            Self::Full(chosen)
            | Self::Part(chosen, _)
            | Self::Parts(chosen, _)
            | Self::NotModified(chosen) => Some(chosen),
            Self::NotAcceptable | Self::PreconditionFailed | Self::Unsatisfiable(_) => None,
        }
    }
}

impl Resource {
    /// Starts a resource. `content_type` is that of the content before any encoding.
    pub fn builder(status: StatusCode, content_type: &str, cache: CachePolicy) -> ResourceBuilder {
        ResourceBuilder {
            status,
            content_type: content_type.to_owned(),
            cache,
            headers: Vec::new(),
            negotiable: false,
            variants: Vec::new(),
        }
    }

    /// The status of a full reply.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The encodings, the most preferred first.
    pub fn representations(&self) -> &[Representation] {
        &self.representations
    }

    /// The `vary` line of every reply, with its line end; empty for what is not negotiated.
    pub fn vary_line(&self) -> &'static [u8] {
        if self.negotiable { b"vary: accept-encoding\r\n" } else { b"" }
    }

    /// Chooses the reply to a GET or HEAD.
    ///
    /// Negotiation comes first; then the conditions are held against the representation that would
    /// be sent, in the order of RFC 9110 §13.2.2. Only a reply with status 200 has conditions and
    /// parts (§13.2.1, §14.2), and only GET has parts. Allocates nothing.
    pub fn select<'a>(&'a self, head: &RequestHead<'a, '_>) -> Selection<'a> {
        let chosen = negotiate(self.available, head.values(Field::AcceptEncoding));
        let mut all = self.representations.iter();
        let found = all.clone().find(|one| Some(one.encoding) == chosen);
        // An error says more as it is than a 406 in its place; RFC 9110 §12.5.3 leaves it to the server.
        let found = found.or_else(|| all.next_back().filter(|_| self.status != StatusCode::OK));
        let Some(representation) = found else {
            return Selection::NotAcceptable;
        };
        match &representation.etag {
            Some(etag) => representation.hold_against(etag, head),
            None => Selection::Full(representation),
        }
    }
}

impl Representation {
    /// Its content coding.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Its strong tag; only replies with status 200 have one.
    pub fn etag(&self) -> Option<&EntityTag> {
        self.etag.as_ref()
    }

    /// The head of a full reply.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The head of a 304. It has no `content-length`, which there would speak of a body that is
    /// not sent and has misled intermediaries.
    pub fn not_modified_head(&self) -> &[u8] {
        &self.not_modified_head
    }

    /// The body of a full reply.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The lines of the head that describe the content: `content-type`, and `content-encoding` if
    /// there is one.
    pub(super) fn description(&self) -> &[u8] {
        self.head.get(self.described.clone()).unwrap_or_default()
    }

    /// The lines of the head that follow its length and description.
    pub(super) fn other_lines(&self) -> &[u8] {
        self.head.get(self.described.end..).unwrap_or_default()
    }

    fn hold_against<'a>(&'a self, etag: &EntityTag, head: &RequestHead<'a, '_>) -> Selection<'a> {
        if head.has(Field::IfMatch) && !if_match(etag, head.values(Field::IfMatch)) {
            return Selection::PreconditionFailed;
        }
        if head.has(Field::IfNoneMatch) && if_none_match(etag, head.values(Field::IfNoneMatch)) {
            return Selection::NotModified(self);
        }
        let asks_for_parts = head.has(Field::Range) && head.method == "GET";
        if !asks_for_parts
            || (head.has(Field::IfRange) && !if_range(etag, head.values(Field::IfRange)))
        {
            return Selection::Full(self);
        }
        match requested(head.values(Field::Range), self.body.len()) {
            Requested::All => Selection::Full(self),
            Requested::One(range) => Selection::Part(self, range),
            Requested::Many(ranges) => Selection::Parts(self, ranges),
            Requested::Unsatisfiable => Selection::Unsatisfiable(self),
        }
    }
}

/// An encoding with the digest of its body, if that is known.
type Variant = (Encoding, Body, Option<[u8; 32]>);

/// Collects the parts of a [`Resource`].
#[derive(Debug)]
pub struct ResourceBuilder {
    status: StatusCode,
    content_type: String,
    cache: CachePolicy,
    headers: Vec<(HeaderName, HeaderValue)>,
    negotiable: bool,
    variants: Vec<Variant>,
}

impl ResourceBuilder {
    /// Adds a header to every reply. A 304 has it too, unless it is `link`: whoever keeps the reply keeps what
    /// it announces, which is most of a page's head (RFC 9110 §15.4.5).
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ResourceError> {
        let invalid = || ResourceError::InvalidHeader { name: name.to_owned() };
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        if RESERVED.contains(&parsed) {
            return Err(ResourceError::ReservedHeader { name: name.to_owned() });
        }
        self.headers.push((parsed, HeaderValue::from_str(value).map_err(|_| invalid())?));
        Ok(self)
    }

    /// Says that the resource is of a kind that is negotiated, even while only one encoding is
    /// there: caches then keep what they have apart from a variant that is added later.
    pub fn negotiable(mut self) -> Self {
        self.negotiable = true;
        self
    }

    /// Adds the bytes as they were built; see [`ResourceBuilder::variant`].
    pub fn identity(self, body: impl Into<Body>, sha256: Option<[u8; 32]>) -> Self {
        self.variant(Encoding::Identity, body, sha256)
    }

    /// Adds an encoding. `sha256` is the digest of `body`, or one that no other bytes have, if the caller has it
    /// already; it becomes the entity tag.
    pub fn variant(
        mut self,
        encoding: Encoding,
        body: impl Into<Body>,
        sha256: Option<[u8; 32]>,
    ) -> Self {
        self.variants.push((encoding, body.into(), sha256));
        self
    }

    /// Writes the heads.
    pub fn build(mut self) -> Result<Resource, ResourceError> {
        let status = self.status;
        if status.is_informational() || matches!(status.as_u16(), 204 | 205 | 304) {
            return Err(ResourceError::BodylessStatus { status: status.as_u16() });
        }
        if HeaderValue::from_str(&self.content_type).is_err() {
            return Err(ResourceError::InvalidHeader { name: header::CONTENT_TYPE.to_string() });
        }
        let mut variants = std::mem::take(&mut self.variants);
        variants.sort_by(|(a, ..), (b, ..)| b.cmp(a));
        let mut available = EncodingSet::default();
        for &(encoding, ..) in &variants {
            if available.contains(encoding) {
                return Err(ResourceError::RepeatedEncoding { encoding });
            }
            available.insert(encoding);
        }
        let only_identity = variants.iter().all(|&(encoding, ..)| encoding == Encoding::Identity);
        self.negotiable |= !only_identity;
        if variants.is_empty() {
            return Err(ResourceError::NoRepresentation);
        }
        let representations = variants.into_iter().map(|variant| self.represent(variant)).collect();
        let negotiable = self.negotiable;
        Ok(Resource { status, negotiable, available, representations })
    }

    fn represent(&self, (encoding, body, sha256): Variant) -> Representation {
        // An error is never revalidated, so a tag would only be a promise that nobody keeps.
        let etag = (self.status == StatusCode::OK).then(|| match sha256 {
            Some(digest) => EntityTag::from_sha256(&digest),
            None => EntityTag::of_pieces(body.pieces_from(0)),
        });
        let mut head = self.start_head(self.status);
        push(&mut head, header::CONTENT_LENGTH, body.len().to_string().as_bytes());
        let described_from = head.len();
        push(&mut head, header::CONTENT_TYPE, self.content_type.as_bytes());
        if encoding != Encoding::Identity {
            push(&mut head, header::CONTENT_ENCODING, encoding.name().as_bytes());
        }
        let described = described_from..head.len();
        if etag.is_some() {
            push(&mut head, header::ACCEPT_RANGES, b"bytes");
        }
        self.finish_head(&mut head, etag.as_ref());
        for (name, value) in self.headers.iter().filter(|(name, _)| name == header::LINK) {
            push(&mut head, name.clone(), value.as_bytes());
        }
        let mut not_modified_head = self.start_head(StatusCode::NOT_MODIFIED);
        self.finish_head(&mut not_modified_head, etag.as_ref());
        Representation {
            encoding,
            etag,
            head: head.into_boxed_slice(),
            described,
            not_modified_head: not_modified_head.into_boxed_slice(),
            body,
        }
    }

    fn start_head(&self, status: StatusCode) -> Vec<u8> {
        let reason = status.canonical_reason().unwrap_or_default();
        format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes()
    }

    fn finish_head(&self, head: &mut Vec<u8>, etag: Option<&EntityTag>) {
        if let Some(etag) = etag {
            push(head, header::ETAG, etag.as_bytes());
        }
        push(head, header::CACHE_CONTROL, self.cache.value().as_bytes());
        if self.negotiable {
            push(head, header::VARY, header::ACCEPT_ENCODING.as_str().as_bytes());
        }
        push(head, header::X_CONTENT_TYPE_OPTIONS, b"nosniff");
        for (name, value) in self.headers.iter().filter(|(name, _)| name != header::LINK) {
            push(head, name.clone(), value.as_bytes());
        }
    }
}

/// Written by the resource itself, by the connection, or not at all.
const RESERVED: [HeaderName; 13] = [
    header::ACCEPT_RANGES,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::ETAG,
    header::CACHE_CONTROL,
    header::VARY,
    header::X_CONTENT_TYPE_OPTIONS,
    header::DATE,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

fn push(head: &mut Vec<u8>, name: HeaderName, value: &[u8]) {
    head.extend_from_slice(name.as_str().as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::head::{HeadLimits, Parsed, header_slots, parse};
    use super::*;

    /// What a GET with these further lines gets, in words.
    fn ask(resource: &Resource, lines: &str) -> String {
        let input = format!("GET / HTTP/1.1\r\nhost: a\r\n{lines}\r\n");
        let mut slots = header_slots();
        let Parsed::Head(head) = parse(input.as_bytes(), &mut slots, &HeadLimits::default()) else {
            panic!("no head: {input}");
        };
        match resource.select(&head) {
            Selection::Full(one) => format!("200 {}", one.encoding().name()),
            Selection::Part(one, range) => format!("206 {} {range:?}", one.encoding().name()),
            Selection::Parts(one, set) => {
                format!("206 {} {:?}", one.encoding().name(), set.iter().collect::<Vec<_>>())
            }
            Selection::NotModified(one) => format!("304 {}", one.encoding().name()),
            Selection::NotAcceptable => "406".to_owned(),
            Selection::PreconditionFailed => "412".to_owned(),
            Selection::Unsatisfiable(one) => format!("416 {}", one.encoding().name()),
        }
    }

    fn script() -> Resource {
        Resource::builder(StatusCode::OK, "text/javascript; charset=utf-8", CachePolicy::Immutable)
            .header("access-control-allow-origin", "*")
            .unwrap()
            .identity(Bytes::from_static(b"export {}"), None)
            .variant(Encoding::Br, Bytes::from_static(b"br bytes"), None)
            .build()
            .unwrap()
    }

    fn text(head: &[u8]) -> &str {
        std::str::from_utf8(head).unwrap()
    }

    #[test]
    fn every_representation_has_its_own_length_tag_and_coding() {
        let resource = script();
        let [br, identity] = resource.representations() else { panic!("two representations") };
        assert_eq!(
            text(br.head()),
            format!(
                "HTTP/1.1 200 OK\r\n\
                 content-length: 8\r\n\
                 content-type: text/javascript; charset=utf-8\r\n\
                 content-encoding: br\r\n\
                 accept-ranges: bytes\r\n\
                 etag: {}\r\n\
                 cache-control: public, max-age=31536000, immutable\r\n\
                 vary: accept-encoding\r\n\
                 x-content-type-options: nosniff\r\n\
                 access-control-allow-origin: *\r\n",
                EntityTag::of(b"br bytes").as_str()
            )
        );
        assert!(text(identity.head()).contains("content-length: 9\r\n"));
        assert!(!text(identity.head()).contains("content-encoding"));
        assert_ne!(br.etag(), identity.etag());
    }

    #[test]
    fn a_304_repeats_what_a_cache_updates_and_nothing_about_a_body() {
        let resource = script();
        let representation = &resource.representations()[0];
        assert_eq!(
            text(representation.not_modified_head()),
            format!(
                "HTTP/1.1 304 Not Modified\r\n\
                 etag: {}\r\n\
                 cache-control: public, max-age=31536000, immutable\r\n\
                 vary: accept-encoding\r\n\
                 x-content-type-options: nosniff\r\n\
                 access-control-allow-origin: *\r\n",
                representation.etag().unwrap().as_str()
            )
        );
    }

    #[test]
    fn a_304_does_not_announce_again() {
        let link = "</a.css>; rel=preload; as=style";
        let page = Resource::builder(StatusCode::OK, "text/html", CachePolicy::Revalidate)
            .header("link", link)
            .unwrap()
            .identity(Bytes::new(), None)
            .build()
            .unwrap();
        let [only] = page.representations() else { panic!("one representation") };
        assert!(text(only.head()).ends_with(&format!("\r\nlink: {link}\r\n")));
        assert!(!text(only.not_modified_head()).contains("link"));
    }

    #[test]
    fn conditions_are_held_against_the_representation_that_would_be_sent() {
        let resource = script();
        let br = EntityTag::of(b"br bytes");
        let (br, any) = (br.as_str(), "accept-encoding: br\r\n");
        for (lines, expected) in [
            (format!("{any}if-none-match: {br}\r\n"), "304 br"),
            (format!("if-none-match: {br}\r\n"), "200 identity"),
            ("accept-encoding: identity;q=0\r\nif-match: *\r\n".to_owned(), "406"),
            (format!("{any}if-match: {br}\r\n"), "200 br"),
            (format!("{any}if-match: W/{br}\r\n"), "412"),
            (format!("if-match: {br}\r\n"), "412"),
            (format!("{any}if-match: *\r\nif-none-match: *\r\n"), "304 br"),
            (format!("{any}if-match: \"x\"\r\nif-none-match: *\r\n"), "412"),
            (format!("{any}range: bytes=1-2\r\n"), "206 br 1..3"),
            (format!("{any}range: bytes=0-0,-1\r\n"), "206 br [0..1, 7..8]"),
            (format!("{any}range: bytes=8-\r\n"), "416 br"),
            (format!("{any}range: bytes=1-2\r\nif-range: {br}\r\n"), "206 br 1..3"),
            (format!("{any}range: bytes=1-2\r\nif-range: W/{br}\r\n"), "200 br"),
            (format!("{any}range: bytes=9-\r\nif-range: \"x\"\r\n"), "200 br"),
            (format!("{any}range: bytes=9-\r\nif-none-match: {br}\r\n"), "304 br"),
        ] {
            assert_eq!(ask(&resource, &lines), expected, "{lines}");
        }
    }

    #[test]
    fn a_digest_that_is_known_is_the_tag() {
        let resource = Resource::builder(StatusCode::OK, "text/plain", CachePolicy::Revalidate)
            .identity(Bytes::from_static(b"x"), Some([0xab; 32]))
            .build()
            .unwrap();
        let etag = *resource.representations()[0].etag().unwrap();
        assert_eq!(etag, EntityTag::from_sha256(&[0xab; 32]));
    }

    #[test]
    fn an_error_carries_no_tag_and_answers_no_condition() {
        let resource = Resource::builder(StatusCode::NOT_FOUND, "text/plain", CachePolicy::NoStore)
            .identity(Bytes::from_static(b"no"), None)
            .build()
            .unwrap();
        assert!(!text(resource.representations()[0].head()).contains("etag"));
        for lines in ["if-none-match: *\r\n", "if-match: \"x\"\r\n", "range: bytes=0-0\r\n"] {
            assert_eq!(ask(&resource, lines), "200 identity", "{lines}");
        }
    }

    #[test]
    fn an_error_is_readable_for_whoever_takes_nothing() {
        let resource = Resource::builder(StatusCode::NOT_FOUND, "text/html", CachePolicy::NoStore)
            .variant(Encoding::Br, Bytes::from_static(b"br bytes"), None)
            .identity(Bytes::from_static(b"<p>no such page"), None)
            .build()
            .unwrap();
        for lines in ["", "accept-encoding: *;q=0\r\n", "accept-encoding: identity;q=0\r\n"] {
            assert_eq!(ask(&resource, lines).split(' ').next(), Some("200"), "{lines}");
        }
        assert_eq!(ask(&resource, "accept-encoding: *;q=0\r\n"), "200 identity");
        assert_eq!(ask(&resource, "accept-encoding: br, *;q=0\r\n"), "200 br");
    }

    #[test]
    fn vary_is_sent_when_and_only_when_the_kind_is_negotiated() {
        let plain = || {
            Resource::builder(StatusCode::OK, "image/png", CachePolicy::Immutable)
                .identity(Bytes::new(), None)
        };
        assert!(!text(plain().build().unwrap().representations()[0].head()).contains("vary"));
        let negotiable = plain().negotiable().build().unwrap();
        assert!(text(negotiable.representations()[0].head()).contains("vary: accept-encoding\r\n"));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_a_code() {
        let builder = || Resource::builder(StatusCode::OK, "text/plain", CachePolicy::NoStore);
        let code = |result: Result<Resource, ResourceError>| result.unwrap_err().code();
        let refused = |name, value| builder().header(name, value).unwrap_err().code();
        assert_eq!(refused("x-a", "split\r\nx-b: 1"), "invalid-header");
        assert_eq!(refused("bad name", "1"), "invalid-header");
        assert_eq!(refused("Content-Length", "1"), "reserved-header");
        assert_eq!(code(builder().build()), "no-representation");
        let twice = builder().identity(Bytes::new(), None).identity(Bytes::new(), None);
        assert_eq!(code(twice.build()), "repeated-encoding");
        let bodyless =
            Resource::builder(StatusCode::NO_CONTENT, "text/plain", CachePolicy::NoStore);
        assert_eq!(code(bodyless.identity(Bytes::new(), None).build()), "bodyless-status");
        let content_type = Resource::builder(StatusCode::OK, "a\nb", CachePolicy::NoStore);
        assert_eq!(code(content_type.identity(Bytes::new(), None).build()), "invalid-header");
    }
}
