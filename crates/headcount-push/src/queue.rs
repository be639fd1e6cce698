//! What waits to be exported while the receiver is away: in order, bounded, and when to try again. It decides, and
//! does nothing.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use hyper::body::Bytes;

use crate::request::PushError;

/// So many exports wait at most …
const MAX_WAITING: usize = 64;
/// … and so many bytes, unless it is one alone.
const MAX_BYTES: usize = 32 << 20;
/// Before the second try; twice as long before each further one …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this.
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// Exports that wait.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    /// Failures in a row.
    failures: u32,
    /// When to try again.
    again: Option<Instant>,
}

impl Queue {
    /// Adds an export. Tells how many of the oldest were dropped to make room for it.
    pub fn add(&mut self, export: Bytes) -> usize {
        self.bytes += export.len();
        self.waiting.push_back(export);
        let mut dropped = 0;
        while self.waiting.len() > MAX_WAITING || (self.bytes > MAX_BYTES && self.waiting.len() > 1) {
            self.take();
            dropped += 1;
        }
        dropped
    }

    /// When there is something to be sent, and what; `None` if nothing waits. A time that has passed is now.
    #[must_use]
    pub fn next(&self) -> Option<(Option<Instant>, Bytes)> {
        self.waiting.front().map(|export| (self.again, export.clone()))
    }

    /// Takes note of what came of an attempt to send the first. One that the receiver does not want is dropped.
    pub fn note(&mut self, export: &Bytes, outcome: &Result<Option<String>, PushError>, now: Instant) {
        if let Err(error) = outcome
            && error.is_temporary()
        {
            let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LAST_PAUSE);
            self.failures += 1;
            let told = error.retry_after().unwrap_or_default().min(LAST_PAUSE);
            self.again = Some(now + less_up_to_a_fifth(pause).max(told));
            return;
        }
        (self.failures, self.again) = (0, None);
        // It may have been dropped for a newer one meanwhile.
        if self.waiting.front().is_some_and(|first| first.as_ptr() == export.as_ptr()) {
            self.take();
        }
    }

    fn take(&mut self) {
        self.bytes -= self.waiting.pop_front().map_or(0, |export| export.len());
    }
}

/// So that not all who were cut off come back at once.
fn less_up_to_a_fifth(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 200;
    pause.mul_f64(1.0 - f64::from(u32::try_from(random).unwrap_or(0)) / 1000.0)
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn refused(status: u16, retry_after: Option<Duration>) -> Result<Option<String>, PushError> {
        let status = StatusCode::from_u16(status).unwrap();
        Err(PushError::Refused { status, reason: String::new(), retry_after })
    }

    /// The first in line, by its length.
    fn first(queue: &Queue) -> Option<usize> {
        queue.next().map(|(_, export)| export.len())
    }

    #[test]
    fn what_is_sent_or_not_wanted_goes_and_what_failed_stays() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for len in 1..=3 {
            assert_eq!(queue.add(vec![0; len].into()), 0);
        }
        let mut note = |outcome| {
            let (_, export) = queue.next().unwrap();
            queue.note(&export, &outcome, now);
            (first(&queue), queue.next().and_then(|(again, _)| again).map(|again| again - now))
        };
        let (stays, pause) = note(refused(503, None));
        assert_eq!(stays, Some(1));
        assert!((Duration::from_millis(800)..=Duration::from_secs(1)).contains(&pause.unwrap()));
        let (_, pause) = note(Err(PushError::Late(Duration::ZERO)));
        assert!((Duration::from_millis(1600)..=Duration::from_secs(2)).contains(&pause.unwrap()));
        assert_eq!(note(refused(429, Some(Duration::from_secs(9)))), (Some(1), Some(Duration::from_secs(9))));
        assert_eq!(note(Ok(None)), (Some(2), None));
        assert_eq!(note(refused(400, None)), (Some(3), None));
        for _ in 0..20 {
            let (_, pause) = note(refused(502, Some(Duration::from_secs(100_000))));
            assert!(pause.unwrap() <= LAST_PAUSE);
        }
        assert_eq!(note(Ok(None)), (None, None));
    }

    #[test]
    fn the_oldest_give_way_by_number_and_by_size() {
        let mut queue = Queue::default();
        let dropped: usize = (1..=MAX_WAITING + 5).map(|len| queue.add(vec![0; len].into())).sum();
        assert_eq!((dropped, first(&queue)), (5, Some(6)));
        let (_, sent) = queue.next().unwrap();
        // One alone may be as large as it is.
        assert_eq!(queue.add(vec![0; MAX_BYTES + 1].into()), MAX_WAITING);
        queue.note(&sent, &Ok(None), Instant::now());
        assert_eq!(first(&queue), Some(MAX_BYTES + 1), "only what was sent is gone");
        assert_eq!(queue.add(Bytes::from_static(b"x")), 1);
        assert_eq!((first(&queue), queue.bytes), (Some(1), 1));
    }
}
