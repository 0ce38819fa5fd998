//! Strict JSON: the one way in for every signed document.
//!
//! Two parsers that disagree about a document are a way around its signature, so whatever could be read
//! in two ways is refused: duplicate keys, bytes that are not UTF-8, trailing bytes, deep nesting
//! (contract §3). Numbers become IEEE 754 doubles where they do not fit 53 bits, as RFC 8785 §3.2.2.3 has it.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::Limits;
use crate::codes::codes;

/// The largest integer that every JSON reader represents exactly (2^53 - 1).
pub(crate) const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Parses one JSON object.
///
/// # Errors
/// See [`JsonError`]; nothing of a refused document is returned.
pub fn parse_object(bytes: &[u8], limits: &Limits) -> Result<Map<String, Value>, JsonError> {
    if bytes.len() as u64 > limits.json_bytes {
        return Err(JsonError::TooLarge { limit: limits.json_bytes });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| JsonError::NotUtf8 { offset: error.valid_up_to() })?;
    let context = Context { limit: limits.json_depth, problem: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { context: &context, depth: 0 }
        .deserialize(&mut reader)
        .map_err(|error| context.explain(&error))?;
    reader
        .end()
        .map_err(|error| JsonError::TrailingBytes { line: error.line(), column: error.column() })?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(JsonError::NotAnObject),
    }
}

/// Why a document is not acceptable JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// More bytes than allowed.
    #[error("the document is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Bytes that are not UTF-8.
    #[error("the document is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Offset of the first bad byte.
        offset: usize,
    },
    /// Not JSON at all.
    #[error("the document is not valid JSON: {message}")]
    Syntax {
        /// The parser's words, with line and column.
        message: String,
    },
    /// One key twice in one object.
    #[error("the key \"{key}\" appears twice in one object (line {line}, column {column})")]
    DuplicateKey {
        /// The repeated key.
        key: String,
        /// Line of the second one.
        line: usize,
        /// Column of the second one.
        column: usize,
    },
    /// Objects and arrays nested too deeply.
    #[error("the document nests deeper than {limit} levels")]
    TooDeep {
        /// The limit, in levels.
        limit: usize,
    },
    /// Something after the document.
    #[error("there is more after the end of the document (line {line}, column {column})")]
    TrailingBytes {
        /// Line of the first extra byte.
        line: usize,
        /// Column of the first extra byte.
        column: usize,
    },
    /// An array, string or number where an object belongs.
    #[error("the document is not a JSON object")]
    NotAnObject,
}

codes!(JsonError {
    Self::TooLarge { .. } => "json-too-large",
    Self::NotUtf8 { .. } => "json-not-utf8",
    Self::Syntax { .. } => "json-syntax",
    Self::DuplicateKey { .. } => "json-duplicate-key",
    Self::TooDeep { .. } => "json-too-deep",
    Self::TrailingBytes { .. } => "json-trailing-bytes",
    Self::NotAnObject => "json-not-an-object",
});

enum Problem {
    DuplicateKey(String),
    TooDeep,
}

struct Context {
    limit: usize,
    problem: Cell<Option<Problem>>,
}

impl Context {
    fn explain(&self, error: &serde_json::Error) -> JsonError {
        match self.problem.take() {
            Some(Problem::DuplicateKey(key)) => {
                JsonError::DuplicateKey { key, line: error.line(), column: error.column() }
            }
            Some(Problem::TooDeep) => JsonError::TooDeep { limit: self.limit },
            None => JsonError::Syntax { message: error.to_string() },
        }
    }
}

#[derive(Clone, Copy)]
struct Strict<'c> {
    context: &'c Context,
    depth: usize,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == self.context.limit {
            self.context.problem.set(Some(Problem::TooDeep));
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(if value <= MAX_SAFE_INTEGER {
            Value::Number(value.into())
        } else {
            double(value as f64)
        })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(if value.unsigned_abs() <= MAX_SAFE_INTEGER {
            Value::Number(value.into())
        } else {
            double(value as f64)
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                self.context.problem.set(Some(Problem::DuplicateKey(key)));
                return Err(A::Error::custom("duplicate key"));
            }
            let value = map.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// JSON has no NaN and no infinity, and the parser refuses what overflows, so this is always a number.
fn double(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
