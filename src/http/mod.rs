//! Ready-made replies: which representation of a resource answers a request, and the bytes of its
//! head. Nothing in here does I/O.

mod compress;
mod content_type;
mod encoding;
mod etag;
mod path;
mod resource;

pub use compress::{Effort, variants};
pub use content_type::content_type_of;
pub use encoding::{Encoding, EncodingSet, negotiate};
pub use etag::{EntityTag, if_none_match};
pub use path::{PathError, decode_path};
pub use resource::{
    CachePolicy, Representation, Resource, ResourceBuilder, ResourceError, Selection,
};
