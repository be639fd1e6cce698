//! Endpoints that this thread has found lately.
//!
//! A thread sees the same few endpoints again and again. Each has one place, by the words of its method and route; whether
//! it is the one that is wanted is decided by comparing it. What is not in its place is looked up among all, so that all
//! there is to lose here is time.

use std::cell::Cell;

use crate::arrival::Arrived;
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
    #[inline]
    pub(crate) fn of(arrived: &Arrived<'_>) -> Self {
        let (first, length) = method(arrived);
        let mut mixed = mix((first as u64) << 8 | length as u64, arrived.route);
        for value in arrived.computed {
            mixed = mix(mixed, value);
        }
        #[expect(clippy::cast_possible_truncation, reason = "as few bits as there are places")]
        let place = (mixed >> (u64::BITS - PLACES.trailing_zeros())) as usize;
        Self(place)
    }

    /// The place of requests that arrive so, and have no route yet. None of those that have one is ever here.
    #[inline]
    pub(crate) fn unrouted(arrived: &Arrived<'_>) -> Self {
        let (first, length) = method(arrived);
        Self(PLACES + (first + length) % UNROUTED)
    }

    /// Who was here last, if it is a recorder's and the one that is wanted.
    #[inline(always)]
    pub(crate) fn find(
        self,
        recorder: Recorder,
        is_wanted: impl FnOnce(&Endpoint) -> bool,
    ) -> Option<&'static Endpoint> {
        let endpoint = RECENT.with(|recent| recent[self.0].get())?;
        (endpoint.recorder.is(recorder) && is_wanted(endpoint)).then_some(endpoint)
    }

    pub(crate) fn set(self, endpoint: &'static Endpoint) {
        RECENT.with(|recent| recent[self.0].set(Some(endpoint)));
    }
}

/// The first letter and the length, in which methods that a server has differ.
#[inline]
fn method(arrived: &Arrived<'_>) -> (usize, usize) {
    let method = arrived.method.as_bytes();
    (method.first().map_or(0, |&first| usize::from(first)), method.len())
}

/// The bytes word by word; those that are over once more as a part of the last word.
#[inline]
fn mix(mixed: u64, text: &str) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let add = |mixed: u64, word: u64| (mixed ^ word).wrapping_mul(ODD).rotate_left(29);
    let bytes = text.as_bytes();
    let (words, over) = bytes.as_chunks::<8>();
    let mixed =
        words.iter().fold(mixed ^ bytes.len() as u64, |mixed, word| add(mixed, u64::from_le_bytes(*word)));
    match bytes.last_chunk() {
        _ if over.is_empty() => mixed.wrapping_mul(ODD),
        Some(last) => add(mixed, u64::from_le_bytes(*last)).wrapping_mul(ODD),
        None => over.iter().fold(mixed, |mixed, &byte| add(mixed, u64::from(byte))).wrapping_mul(ODD),
    }
}
