//! Who a client is, by name and password.
//!
//! Passwords are stored as bcrypt has them, which takes long on purpose. So they are checked one after the other in
//! a thread of their own, and what has been found is kept: a scraper comes with the same password each time.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use hyper::header::{AUTHORIZATION, HeaderMap};
use ring::digest::{Context, SHA256};
use tokio::sync::Semaphore;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exporter) enum Verdict {
    /// It is answered.
    Welcome,
    /// The client has to say who it is, and to be right.
    Unknown,
    /// There were too many requests.
    TooOften,
    /// Too many passwords are being checked.
    Busy,
}

/// Those who may get in.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    known: Mutex<HashMap<[u8; 32], bool>>,
    /// One password is checked at a time.
    turn: Arc<Semaphore>,
    /// So many may wait for that.
    queue: Semaphore,
}

/// What is kept is thrown away when it is more than this.
const KNOWN: usize = 100;
const QUEUE: usize = 32;

/// With this the password of a user who does not exist is compared, so that it takes as long as that of one who does.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuu5Z5Zc0m1t1rCj7yTZ9Y1Gx0s3qXvW2e";

impl Users {
    /// Those of a configuration; says whose hash is none.
    pub(super) fn new(hashes: BTreeMap<String, String>) -> Result<Self, String> {
        for (user, hash) in &hashes {
            if let Err(error) = HashParts::from_str(hash) {
                return Err(format!("the hash of the user `{user}` is none of bcrypt's: {error}"));
            }
        }
        let (known, turn) = (Mutex::default(), Arc::new(Semaphore::new(1)));
        Ok(Self { hashes, known, turn, queue: Semaphore::new(QUEUE) })
    }

    pub(super) async fn judge(&self, headers: &HeaderMap) -> Verdict {
        let Some((user, password)) = credentials(headers) else { return Verdict::Unknown };
        let hash = self.hashes.get(&user);
        let digest = digest([user.as_bytes(), hash.map_or("", |hash| hash).as_bytes(), &password]);
        if let Some(is_right) = self.recall(digest) {
            return verdict(is_right);
        }
        let Ok(_place) = self.queue.try_acquire() else { return Verdict::Busy };
        // Nobody closes it.
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return Verdict::Busy };
        // Whoever was before may have had the same password.
        if let Some(is_right) = self.recall(digest) {
            return verdict(is_right);
        }
        let (exists, compared) = (hash.is_some(), hash.map_or(NOBODY, |hash| hash).to_owned());
        let check = move || {
            let is_right = bcrypt::verify(&password, &compared).unwrap_or(false);
            // Also if nobody waits any more: the next one is not checked before this one is.
            drop(turn);
            is_right && exists
        };
        let is_right = tokio::task::spawn_blocking(check).await.unwrap_or(false);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(digest, is_right);
        verdict(is_right)
    }

    fn recall(&self, digest: [u8; 32]) -> Option<bool> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).copied()
    }
}

fn verdict(is_right: bool) -> Verdict {
    if is_right { Verdict::Welcome } else { Verdict::Unknown }
}

fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let said = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = said.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((user, decoded[colon + 1..].to_vec()))
}

/// Of the parts with their lengths, so that none can be taken for another.
fn digest(parts: [&[u8]; 3]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn users() -> Users {
        let hash = bcrypt::hash_with_result("secret:ü", 4).unwrap().to_string();
        Users::new([("anna".to_owned(), hash)].into()).unwrap()
    }

    fn judge(users: &Users, header: Option<&str>) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.extend(header.map(|header| (AUTHORIZATION, HeaderValue::from_str(header).unwrap())));
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(users.judge(&headers))
    }

    #[test]
    fn only_the_right_name_with_the_right_password_gets_in() {
        let users = users();
        let check = |credentials: &str, expected| {
            let header = format!("Basic {}", STANDARD.encode(credentials));
            // The second time it is known.
            for _ in 0..2 {
                assert_eq!(judge(&users, Some(&header)), expected, "{credentials}");
            }
        };
        check("anna:secret:ü", Verdict::Welcome);
        check("anna:secret", Verdict::Unknown);
        check("berta:secret:ü", Verdict::Unknown);
        check(":", Verdict::Unknown);
        check("anna", Verdict::Unknown);
        for odd in [None, Some(""), Some("Basic"), Some("Basic ???"), Some("Bearer YW5uYTpzZWNyZXQ6w7w=")] {
            assert_eq!(judge(&users, odd), Verdict::Unknown, "{odd:?}");
        }
        assert_eq!(judge(&users, Some("bAsIc  YW5uYTpzZWNyZXQ6w7w= ")), Verdict::Welcome);
    }

    #[test]
    fn what_is_known_is_bounded_and_belongs_to_one_hash() {
        let users = users();
        for number in 0..2 * KNOWN {
            let header = format!("Basic {}", STANDARD.encode(format!("anna:{number}")));
            judge(&users, Some(&header));
        }
        assert!(users.known.lock().unwrap().len() <= KNOWN);
        assert_ne!(digest([b"a", b"b", b"c"]), digest([b"a", b"bc", b""]));
    }

    #[test]
    fn nobody_costs_as_much_as_somebody_and_is_never_right() {
        let parts = HashParts::from_str(NOBODY).unwrap();
        assert_eq!(parts.get_cost(), 10);
        // It is computed, and not found to be wrong before.
        assert!(!bcrypt::verify("", NOBODY).unwrap());
        let error = Users::new([("anna".to_owned(), "secret".to_owned())].into()).unwrap_err();
        assert!(error.starts_with("the hash of the user `anna` is none of bcrypt's"), "{error}");
    }
}
