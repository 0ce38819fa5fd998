//! Requests as clients send them.

use pilar_host::http::{HeadLimits, Parsed, RequestHead, header_slots, parse};

/// What Chromium accepts of encodings.
pub(crate) const ACCEPT_ENCODING: &str = "gzip, deflate, br, zstd";

/// The head with which Chromium asks for a module, with these further lines.
pub(crate) fn chromium(path: &str, lines: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\n\
         Host: localhost:3000\r\n\
         Connection: keep-alive\r\n\
         sec-ch-ua-platform: \"Linux\"\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/156.0.0.0 Safari/537.36\r\n\
         sec-ch-ua: \"Chromium\";v=\"156\", \"Not)A;Brand\";v=\"24\"\r\n\
         sec-ch-ua-mobile: ?0\r\n\
         Origin: http://localhost:3000\r\n\
         Accept: */*\r\n\
         Sec-Fetch-Site: same-origin\r\n\
         Sec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: script\r\n\
         Referer: http://localhost:3000/patients\r\n\
         Accept-Encoding: {ACCEPT_ENCODING}\r\n\
         Accept-Language: en-GB,en;q=0.9,nb;q=0.8\r\n\
         {lines}\r\n"
    )
    .into_bytes()
}

/// The least that HTTP/1.1 asks for.
pub(crate) fn minimal(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes()
}

/// Reads a head and hands it on.
pub(crate) fn read<T>(input: &[u8], action: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
    match parse(input, &mut header_slots(), &HeadLimits::default()) {
        Parsed::Head(head) => action(&head),
        refused => panic!("the requests of the benchmarks are whole and acceptable: {refused:?}"),
    }
}
