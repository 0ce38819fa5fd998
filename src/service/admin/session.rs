//! What the browser of somebody who signed in carries: a session that this host signed, and for each form a proof
//! that the form came from it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

/// Seconds after which somebody has to sign in again: a working day.
pub(super) const LIFETIME_SECONDS: i64 = 8 * 60 * 60;

/// Signs sessions and checks them.
///
/// Its key is derived from `ADMIN_AUTH_TOKEN`, so a session holds on every replica and through a restart, and a new
/// token ends all of them. Nothing is stored: a session ends when its time is over.
#[derive(Clone)]
pub(super) struct Sessions {
    key: [u8; 32],
}

/// Somebody who signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    claims: [u8; CLAIMS],
}

const EXPIRY: usize = 8;
const NONCE: usize = 16;
const CLAIMS: usize = EXPIRY + NONCE;
const MAC: usize = 32;

impl Sessions {
    /// Sessions of those who know this token.
    pub(super) fn new(token: &str) -> Self {
        let mut derive = keyed(token.as_bytes());
        derive.update(b"pilar-host: key of admin sessions");
        Self { key: derive.finalize().into_bytes().into() }
    }

    /// A new session from `now` on. `nonce` is random.
    pub(super) fn begin(now: Timestamp, nonce: [u8; NONCE]) -> Session {
        let expiry = now.as_second().saturating_add(LIFETIME_SECONDS);
        let mut claims = [0; CLAIMS];
        let (first, last) = claims.split_at_mut(EXPIRY);
        first.copy_from_slice(&expiry.to_be_bytes());
        last.copy_from_slice(&nonce);
        Session { claims }
    }

    /// The session as a browser carries it.
    pub(super) fn seal(&self, session: Session) -> String {
        let mac = self.mac(b"session", session).finalize().into_bytes();
        BASE64_URL_SAFE_NO_PAD.encode([session.claims.as_slice(), mac.as_slice()].concat())
    }

    /// A sealed session, if this host or one with the same token sealed it and its time is not over.
    pub(super) fn open(&self, sealed: &str, now: Timestamp) -> Option<Session> {
        let mut bytes = [0; CLAIMS + MAC];
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(sealed, &mut bytes).ok()?;
        if length != bytes.len() {
            return None;
        }
        let (claims, mac) = bytes.split_at(CLAIMS);
        let session = Session { claims: claims.try_into().ok()? };
        // In constant time.
        self.mac(b"session", session).verify_slice(mac).ok()?;
        (session.expiry() > now.as_second()).then_some(session)
    }

    /// What each form that writes carries: whoever can only make a browser send something cannot know it.
    pub(super) fn csrf_token(&self, session: Session) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.mac(b"form", session).finalize().into_bytes())
    }

    /// Whether a form came from a page of this session.
    pub(super) fn is_csrf_token(&self, session: Session, presented: &str) -> bool {
        let Ok(presented) = BASE64_URL_SAFE_NO_PAD.decode(presented) else { return false };
        self.mac(b"form", session).verify_slice(&presented).is_ok()
    }

    fn mac(&self, purpose: &[u8], session: Session) -> Hmac<Sha256> {
        let mut mac = keyed(&self.key);
        mac.update(purpose);
        mac.update(&session.claims);
        mac
    }
}

impl Session {
    /// When it ends, in seconds since 1970.
    pub(super) fn expiry(self) -> i64 {
        let bytes = self.claims.first_chunk().copied().unwrap_or_default();
        i64::from_be_bytes(bytes)
    }

    /// What a log line calls it. Nobody can make a session of it.
    pub(super) fn name(self) -> String {
        self.claims.iter().skip(EXPIRY).take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// Whether two tokens are the same, in a time that tells nothing of either.
pub(super) fn same_token(expected: &str, presented: &str) -> bool {
    let tag = keyed(b"pilar-host: comparison").chain_update(expected).finalize();
    let presented = keyed(b"pilar-host: comparison").chain_update(presented);
    presented.verify(&tag.into_bytes()).is_ok()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes a key of any length (RFC 2104 §2), so the other branch is for nobody.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const TOKEN: &str = "correct horse battery staple";

    fn later(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_session_holds_on_every_host_with_the_token_until_its_time_is_over() {
        let session = Sessions::begin(NOW, [7; NONCE]);
        let cookie = Sessions::new(TOKEN).seal(session);
        let elsewhere = Sessions::new(TOKEN);
        assert_eq!(elsewhere.open(&cookie, later(LIFETIME_SECONDS - 1)), Some(session));
        assert_eq!(elsewhere.open(&cookie, later(LIFETIME_SECONDS)), None);
        assert_eq!(Sessions::new("another token").open(&cookie, NOW), None);
    }

    #[test]
    fn no_changed_bit_of_a_session_is_taken() {
        let sessions = Sessions::new(TOKEN);
        let cookie = sessions.seal(Sessions::begin(NOW, [7; NONCE]));
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&cookie).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(sessions.open(&changed, NOW), None, "bit {bit}");
        }
        for length in 0..cookie.len() {
            assert_eq!(sessions.open(&cookie[..length], NOW), None, "{length} characters");
        }
        assert_eq!(sessions.open(&format!("{cookie}AAAA"), NOW), None);
    }

    #[test]
    fn a_form_of_another_session_is_not_taken_and_a_session_is_no_form() {
        let sessions = Sessions::new(TOKEN);
        let [mine, yours] = [[1; NONCE], [2; NONCE]].map(|nonce| Sessions::begin(NOW, nonce));
        assert!(sessions.is_csrf_token(mine, &sessions.csrf_token(mine)));
        assert!(!sessions.is_csrf_token(mine, &sessions.csrf_token(yours)));
        for other in ["", "AAAA", &sessions.seal(mine)] {
            assert!(!sessions.is_csrf_token(mine, other), "{other}");
        }
    }

    #[test]
    fn tokens_are_the_same_only_as_a_whole() {
        assert!(same_token(TOKEN, TOKEN));
        for other in
            ["", "correct", "correct horse battery staple ", "Correct horse battery staple"]
        {
            assert!(!same_token(TOKEN, other), "{other}");
        }
    }
}
