//! HTTP without I/O: what a request says, which representation of a resource answers it, and the
//! bytes of the reply's head.

mod assembled;
mod body;
mod byteranges;
mod chunked;
mod compress;
mod content_type;
mod encoding;
mod etag;
mod head;
mod path;
mod range;
mod resource;

pub use assembled::{Part, encodings};
pub use body::Body;
pub use byteranges::Byteranges;
pub use chunked::{ChunkedDecoder, ChunkedError, Progress};
pub use compress::variants;
pub use content_type::content_type_of;
pub use encoding::{Encoding, EncodingSet, negotiate};
pub use etag::{EntityTag, if_match, if_none_match, if_range};
pub use head::{
    BodyLength, Field, HeadError, HeadLimits, HeaderSlots, Parsed, RequestHead, header_slots,
    judge_partial, may_be_whole, parse,
};
pub use path::{PathError, decode_path};
pub use range::{RangeSet, Requested, requested};
pub use resource::{
    CachePolicy, Representation, Resource, ResourceBuilder, ResourceError, Selection,
};
