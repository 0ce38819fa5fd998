//! A chunked body has one content and one end, however it arrives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pilar_host::http::{ChunkedDecoder, ChunkedError, Progress};

const LIMIT: usize = 300;

fuzz_target!(|input: &[u8]| {
    let (outcome, content) = decode(input, input.len().max(1));
    assert!(content.len() <= LIMIT);
    for piece in [1, 2, 3, 5, 16, 64] {
        let (in_pieces, same) = decode(input, piece);
        assert_eq!(in_pieces, outcome, "in pieces of {piece}");
        assert_eq!(same, content, "in pieces of {piece}");
    }
    match outcome {
        Ok((taken, Progress::Done)) => {
            let body = input.get(..taken).expect("a body lies within the input");
            assert_eq!(simplest(body).as_deref(), Some(&content[..]));
            // It ends with its last byte and not before.
            let (before, _) = decode(&body[..taken - 1], taken);
            assert_eq!(before, Ok((taken - 1, Progress::More)));
        }
        Ok((taken, Progress::More)) => assert_eq!(taken, input.len()),
        Err(_) => {}
    }
});

/// How much of the input was the body, how that ended, and what was in it.
fn decode(input: &[u8], piece: usize) -> (Result<(usize, Progress), ChunkedError>, Vec<u8>) {
    let (mut decoder, mut content) = (ChunkedDecoder::default(), Vec::new());
    let (mut taken, mut progress) = (0, Progress::More);
    for piece in input.chunks(piece) {
        match decoder.decode(piece, &mut content, LIMIT) {
            Ok((more, now)) => {
                taken += more;
                progress = now;
                assert!(now == Progress::Done || more == piece.len());
            }
            Err(error) => return (Err(error), content),
        }
    }
    (Ok((taken, progress)), content)
}

/// The content of a whole body, as whoever knows only RFC 9112 §7.1.3 would read it.
fn simplest(body: &[u8]) -> Option<Vec<u8>> {
    let (mut content, mut rest) = (Vec::new(), body);
    loop {
        let (line, after) = line(rest)?;
        let digits = line.split(|&byte| byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            rest = after;
            break;
        }
        content.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix(b"\r\n")?;
    }
    loop {
        let (trailer, after) = line(rest)?;
        rest = after;
        if trailer.is_empty() {
            return rest.is_empty().then_some(content);
        }
        assert!(trailer.contains(&b':'));
    }
}

fn line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = input.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&input[..end], &input[end + 2..]))
}
