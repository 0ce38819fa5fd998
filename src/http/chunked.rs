//! The chunked transfer coding of request bodies (RFC 9112 §7.1), read strictly.

/// Reads a chunked body piece by piece. Extensions and trailers are checked and dropped.
///
/// Stricter than the grammar in one thing: white space around extensions, which RFC 9112 calls bad,
/// is refused, since parsers have differed in it.
#[derive(Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
    /// Bytes of the present chunk that are still to come.
    left: usize,
    /// Bytes of the present size line, or of all trailers.
    line: usize,
    /// Bytes of content so far.
    length: usize,
}

/// How far the body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is to come.
    More,
    /// The last byte of the body was read.
    Done,
}

/// What is wrong with a chunked body. After each the connection closes, because where the next
/// request begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub enum ChunkedError {
    /// A chunk size is missing, too large, or not hexadecimal.
    Size,
    /// A chunk extension is malformed or too long.
    Extension,
    /// A chunk is not followed by CR LF.
    End,
    /// A trailer is malformed, or the trailers are too long.
    Trailer,
    /// There is more content than allowed (413).
    TooLong,
}

impl ChunkedError {
    /// What is wrong, for whoever sent the body.
    pub fn text(self) -> &'static str {
        match self {
            ChunkedError::Size => "a chunk size is not a hexadecimal number of at most 8 digits",
            ChunkedError::Extension => "a chunk extension is malformed or too long",
            ChunkedError::End => "a chunk does not end where its size says",
            ChunkedError::Trailer => "a trailer is malformed, or the trailers are too long",
            ChunkedError::TooLong => "the request body is too long",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    #[default]
    SizeStart,
    Size,
    ExtensionName,
    ExtensionNameRest,
    ExtensionValue,
    ExtensionToken,
    ExtensionQuoted,
    ExtensionEscape,
    ExtensionQuotedEnd,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastLf,
    Done,
}

impl ChunkedDecoder {
    /// The longest size line, extensions included.
    const MOST_LINE: usize = 256;
    /// The most bytes of all trailers.
    const MOST_TRAILERS: usize = 4 * 1024;
    /// Digits of a size: 4 GiB are more than any limit on content.
    const MOST_DIGITS: usize = 8;

    /// Reads `input`, appends the content that it holds to `content`, and returns how many bytes of
    /// the input belonged to the body. `limit` is for the content as a whole.
    ///
    /// # Errors
    /// [`ChunkedError`]; the decoder is of no use afterwards.
    pub fn decode(
        &mut self,
        input: &[u8],
        content: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(usize, Progress), ChunkedError> {
        let mut rest = input;
        while self.state != State::Done {
            if self.state == State::Data {
                let (data, after) = rest.split_at(self.left.min(rest.len()));
                content.extend_from_slice(data);
                self.left -= data.len();
                rest = after;
                if self.left > 0 {
                    break;
                }
                self.state = State::DataCr;
            }
            let Some((&byte, after)) = rest.split_first() else { break };
            rest = after;
            self.state = self.step(byte, limit)?;
        }
        let progress = if self.state == State::Done { Progress::Done } else { Progress::More };
        Ok((input.len() - rest.len(), progress))
    }

    fn step(&mut self, byte: u8, limit: usize) -> Result<State, ChunkedError> {
        use ChunkedError::{End, Extension, Size, Trailer};
        self.line += 1;
        Ok(match (self.state, byte) {
            (State::SizeStart, _) => {
                self.line = 1;
                self.left = hex(byte).ok_or(Size)?;
                State::Size
            }
            (State::Size, b'\r') => State::SizeEnd,
            (State::Size, b';') => State::ExtensionName,
            (State::Size, _) => {
                let digit = hex(byte).ok_or(Size)?;
                if self.line > Self::MOST_DIGITS {
                    return Err(Size);
                }
                self.left = self.left * 16 + digit;
                State::Size
            }
            (State::SizeEnd, b'\n') => self.begin_chunk(limit)?,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::SizeStart,
            (State::DataCr | State::DataLf, _) => return Err(End),
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::TrailerStart | State::TrailerName, _) if self.line > Self::MOST_TRAILERS => {
                return Err(Trailer);
            }
            (State::TrailerStart, _) if is_token(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerName, _) if is_token(byte) => State::TrailerName,
            (State::TrailerValue, b'\r') => State::TrailerEnd,
            (State::TrailerValue, b'\t' | b' '..=b'~' | 0x80..)
                if self.line <= Self::MOST_TRAILERS =>
            {
                State::TrailerValue
            }
            (State::TrailerEnd, b'\n') => State::TrailerStart,
            (State::LastLf, b'\n') => State::Done,
            (
                State::TrailerStart
                | State::TrailerName
                | State::TrailerValue
                | State::TrailerEnd
                | State::LastLf,
                _,
            ) => return Err(Trailer),
            // What is left are extensions.
            (state, _) if self.line <= Self::MOST_LINE => {
                extension(state, byte).ok_or(Extension)?
            }
            _ => return Err(Extension),
        })
    }

    fn begin_chunk(&mut self, limit: usize) -> Result<State, ChunkedError> {
        if self.left == 0 {
            self.line = 0;
            return Ok(State::TrailerStart);
        }
        self.length = self.length.saturating_add(self.left);
        if self.length > limit {
            return Err(ChunkedError::TooLong);
        }
        Ok(State::Data)
    }
}

/// `*( ";" name [ "=" ( token / quoted-string ) ] )`
fn extension(state: State, byte: u8) -> Option<State> {
    let next = match (state, byte) {
        (State::ExtensionName, _) if is_token(byte) => State::ExtensionNameRest,
        (State::ExtensionNameRest, b'=') => State::ExtensionValue,
        (State::ExtensionNameRest | State::ExtensionToken, _) if is_token(byte) => state,
        (State::ExtensionValue, b'"') => State::ExtensionQuoted,
        (State::ExtensionValue, _) if is_token(byte) => State::ExtensionToken,
        (State::ExtensionQuoted, b'"') => State::ExtensionQuotedEnd,
        (State::ExtensionQuoted, b'\\') => State::ExtensionEscape,
        (State::ExtensionQuoted | State::ExtensionEscape, b'\t' | b' '..=b'~' | 0x80..) => {
            State::ExtensionQuoted
        }
        (
            State::ExtensionNameRest | State::ExtensionToken | State::ExtensionQuotedEnd,
            b';' | b'\r',
        ) => {
            if byte == b';' {
                State::ExtensionName
            } else {
                State::SizeEnd
            }
        }
        _ => return None,
    };
    Some(next)
}

fn hex(byte: u8) -> Option<usize> {
    char::from(byte).to_digit(16).map(|digit| digit as usize)
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1000;

    /// What was read, and how much of the input it took.
    fn decode(input: &[u8]) -> Result<(String, usize, Progress), ChunkedError> {
        let mut content = Vec::new();
        let (taken, progress) = ChunkedDecoder::default().decode(input, &mut content, LIMIT)?;
        Ok((String::from_utf8(content).unwrap(), taken, progress))
    }

    #[test]
    fn content_is_joined_and_what_follows_is_left() {
        for (input, expected) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("5\r\nhello\r\n1\r\n!\r\n00\r\n\r\n", "hello!"),
            ("0000000A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
            ("a;x;y=z;w=\"q \\\" \\\\;\"\r\n0123456789\r\n0;last\r\n\r\n", "0123456789"),
            ("1\r\nx\r\n0\r\nexpires: never\r\nx-empty:\r\n\r\n", "x"),
        ] {
            let with_more = format!("{input}GET / HTTP/1.1\r\n");
            let expected = (expected.to_owned(), input.len(), Progress::Done);
            assert_eq!(decode(with_more.as_bytes()), Ok(expected), "{input:?}");
        }
    }

    #[test]
    fn what_reads_two_ways_is_refused() {
        use ChunkedError::*;
        let long = format!("1;{}\r\nx\r\n", "a".repeat(300));
        let trailers = format!("0\r\nx: {}\r\n\r\n", "a".repeat(5000));
        for (input, expected) in [
            ("\r\n", Size),
            (" 5\r\nhello", Size),
            ("5 \r\nhello", Size),
            ("+5\r\nhello", Size),
            ("-1\r\n", Size),
            ("0x5\r\nhello", Size),
            ("5\nhello", Size),
            ("000000005\r\nhello", Size),
            ("fffffffff\r\n", Size),
            ("g\r\n", Size),
            ("5;\r\nhello", Extension),
            ("5; x\r\nhello", Extension),
            ("5;x y\r\nhello", Extension),
            ("5;x=\r\nhello", Extension),
            ("5;x=\"a\r\nhello", Extension),
            ("5;x=\"a\"b\r\nhello", Extension),
            ("5;x\nhello", Extension),
            ("5\r\r\nhello", Extension),
            (&long, Extension),
            ("5\r\nhello0\r\n\r\n", End),
            ("5\r\nhello\n0\r\n\r\n", End),
            ("5\r\nhello\rx", End),
            ("0\r\nno colon\r\n\r\n", Trailer),
            ("0\r\n folded: x\r\n\r\n", Trailer),
            ("0\r\nx: \0\r\n\r\n", Trailer),
            ("0\r\nx: y\n\r\n", Trailer),
            ("0\r\n\n", Trailer),
            ("0\r\n\rx", Trailer),
            (&trailers, Trailer),
            ("3e9\r\n", TooLong),
            ("ffffffff\r\n", TooLong),
        ] {
            assert_eq!(decode(input.as_bytes()), Err(expected), "{input:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_cut_reads_the_same(
            chunks in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 1..30), 0..8),
            cuts in proptest::collection::vec(1usize..20, 0..40),
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:x};e=\"v\"\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\nt: v\r\n\r\n");
            let (mut decoder, mut content, mut rest) = (ChunkedDecoder::default(), Vec::new(), &body[..]);
            let mut cuts = cuts.into_iter();
            let mut progress = Progress::More;
            while !rest.is_empty() {
                let piece = cuts.next().unwrap_or(rest.len()).min(rest.len());
                let (taken, now) = decoder.decode(&rest[..piece], &mut content, LIMIT).unwrap();
                proptest::prop_assert_eq!(taken, piece);
                progress = now;
                rest = &rest[piece..];
            }
            proptest::prop_assert_eq!(progress, Progress::Done);
            proptest::prop_assert_eq!(content, chunks.concat());
        }

        #[test]
        fn any_bytes_are_read_without_harm(input in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let mut content = Vec::new();
            if let Ok((taken, _)) = ChunkedDecoder::default().decode(&input, &mut content, LIMIT) {
                proptest::prop_assert!(taken <= input.len() && content.len() <= LIMIT);
            }
        }
    }
}
