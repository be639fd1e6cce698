//! Reading peers' files several at a time, before it is decided what becomes of them.
//!
//! Their values stand far apart between keys, so that much has to be read for little; and of a file that was not read
//! before, each key has to be found. Both need nothing but what is known already, and are done by two threads. What is
//! learned is learned afterwards, file by file.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use headcount_store::FileError;
use headcount_store::directory::PeerType;
use headcount_store::read::View;

use crate::keys::Keys;
use crate::peer::{PeerContent, Read};

/// Below so many bytes, a thread costs more than it saves.
const LEAST: u64 = 1 << 20;
/// So many bytes are read at a time; what is more is read one file after the other.
const MOST: u64 = 32 << 20;
/// So many files are read at a time.
pub(crate) const FILES: usize = 32;

/// What each thread reads files into that are not mapped, one after the other.
pub(crate) type Buffers = [Vec<u8>; 2];

/// A peer's file that is open, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerFile<'a> {
    pub(crate) view: View<'a>,
    pub(crate) metrics: PeerType,
    pub(crate) known: &'a PeerContent,
    /// What it takes in the file system, in bytes.
    pub(crate) bytes: u64,
}

/// Reads those of some files that are peers', if they are large.
pub(crate) fn read(
    files: &[Option<PeerFile<'_>>],
    keys: &Keys,
    buffers: &mut Buffers,
) -> Vec<Option<Result<Read, FileError>>> {
    let mut sum = 0;
    let mut work = Vec::new();
    for (place, file) in files.iter().enumerate() {
        let Some(PeerFile { view, metrics, known, bytes }) = file.filter(|file| sum + file.bytes <= MOST)
        else {
            continue;
        };
        sum += bytes;
        work.push((place, bytes, move |buffer: &mut Vec<u8>| keys.read(view, metrics, known, buffer)));
    }
    let mut read: Vec<_> = files.iter().map(|_| None).collect();
    if sum >= LEAST {
        // The longest first, so that no thread begins with one when the other is done.
        work.sort_by_key(|&(_, bytes, _)| Reverse(bytes));
        run_in_two(&work, buffers).into_iter().for_each(|(place, done)| read[place] = Some(done));
    }
    read
}

/// Does all work in this thread and another one, each with a buffer of its own; returns what has come of it by its place.
fn run_in_two<T: Send, F: Fn(&mut Vec<u8>) -> T + Sync>(
    work: &[(usize, u64, F)],
    [own, others]: &mut Buffers,
) -> Vec<(usize, T)> {
    let next = AtomicUsize::new(0);
    let run_some = |buffer: &mut Vec<u8>| {
        let mut done = Vec::new();
        while let Some((place, _, run)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((*place, run(buffer)));
        }
        done
    };
    thread::scope(|scope| {
        // Without another thread it goes on alone.
        let other = thread::Builder::new().spawn_scoped(scope, || run_some(others));
        let mut done = run_some(own);
        match other.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(more)) => done.extend(more),
            Ok(Err(panicked)) => std::panic::resume_unwind(panicked),
            Err(_) => {}
        }
        done
    })
}
