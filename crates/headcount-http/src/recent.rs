//! Endpoints that this thread has found lately.
//!
//! A thread sees the same few endpoints again and again. Each has one place, by the words of its method and route; whether
//! it is the one that is wanted is decided by comparing it. What is not in its place is looked up among all, so that all
//! there is to lose here is time.

use std::cell::Cell;

use crate::endpoint::Endpoint;
use crate::recorder::Recorder;

/// More than most servers have routes; one kibibyte in each thread.
const PLACES: usize = 128;

/// Behind these, places of requests without a route, as many as there are methods.
const UNROUTED: usize = 16;

thread_local! {
    static RECENT: [Cell<Option<&'static Endpoint>>; PLACES + UNROUTED] =
        const { [const { Cell::new(None) }; PLACES + UNROUTED] };
}

/// The place of one endpoint, and of all others that share it.
#[derive(Clone, Copy)]
pub(crate) struct Recent(usize);

impl Recent {
    /// The place of requests that arrive so.
    #[inline(always)]
    pub(crate) fn of(method: &str, route: &str, computed: &[&str]) -> Self {
        let (first, length) = letter(method);
        let mut mixed = mix((first as u64) << 8 | length as u64, route);
        for value in computed {
            mixed = mix(mixed, value);
        }
        #[expect(clippy::cast_possible_truncation, reason = "as few bits as there are places")]
        let place = (mixed >> (u64::BITS - PLACES.trailing_zeros())) as usize;
        Self(place)
    }

    /// The place of requests that arrive so, and have no route yet. None of those that have one is ever here.
    #[inline]
    pub(crate) fn unrouted(method: &str) -> Self {
        let (first, length) = letter(method);
        Self(PLACES + (first + length) % UNROUTED)
    }

    /// Who was here last, if it is a recorder's.
    #[inline(always)]
    pub(crate) fn of_recorder(self, recorder: Recorder) -> Option<&'static Endpoint> {
        RECENT.with(|recent| recent[self.0].get()).filter(|endpoint| endpoint.recorder.is(recorder))
    }

    pub(crate) fn set(self, endpoint: &'static Endpoint) {
        RECENT.with(|recent| recent[self.0].set(Some(endpoint)));
    }
}

/// The first letter and the length, in which methods that a server has differ.
#[inline]
fn letter(method: &str) -> (usize, usize) {
    let method = method.as_bytes();
    (method.first().map_or(0, |&first| usize::from(first)), method.len())
}

/// The first eight bytes, those in the middle and the last, as routes differ there; all of a short text. What they have in
/// common with another is a place for both, and no more.
#[inline(always)]
fn mix(mixed: u64, text: &str) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let bytes = text.as_bytes();
    let length = bytes.len() as u64;
    let middle = bytes.get(bytes.len() / 2..).and_then(<[u8]>::first_chunk);
    let words = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
            word(first).wrapping_mul(ODD.rotate_left(17))
                ^ middle.map_or(0, word).rotate_left(31)
                ^ word(last)
        }
        _ => bytes.iter().fold(0, |words, &byte| words << 8 | u64::from(byte)),
    };
    (mixed ^ words).wrapping_add(length << 48).wrapping_mul(ODD)
}
