//! A file of another process, mapped for reading.
//!
//! What it saves is the copying, and most system calls. But nobody promises that the file keeps its length: what was
//! loaded counts only if the mapping [was whole](Mapped::is_whole) afterwards. Until then it may be zeros.
//!
//! # Safety
//!
//! One rule: what others may write to is loaded as atomic words, without an order. That is all that memory which may not be
//! written to allows; a fence gives it one.
#![expect(unsafe_code, reason = "words of other processes have no safe interface")]

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::stat::fstat;

use super::guard::{self, Guard};
use crate::writers::is_local;

/// Bytes in a word.
const WORD: usize = size_of::<u64>();

/// See the module.
#[derive(Debug)]
pub struct Mapped {
    /// Before the memory: it goes first.
    guard: Guard,
    memory: MmapRaw,
}

/// Whether a file that is truncated while it is mapped does no harm to this thread: that a handler of `SIGBUS` is installed,
/// which the first call does, that it was not replaced by another, and that the thread does not block the signal.
#[must_use]
pub fn may_map() -> bool {
    guard::is_in_force()
}

/// How far a file goes whose space begins at its start, in bytes. Peers' files are made larger than what is written to
/// them; what has no space would get some, in memory at least, by being looked at.
pub fn spacious(metadata: &Metadata) -> u64 {
    // Of so many bytes a block is in this field, whatever it is in the file system.
    metadata.len().min(512 * metadata.blocks())
}

impl Mapped {
    /// Maps a file as far as it goes now and has space, if that begins at its start. Ask [`may_map`] before.
    ///
    /// `None` for one that is to be read in another way: it is empty or very large, too many are mapped, or it is on a file
    /// system that does not keep all that is mapped of a file the same as what is read.
    #[must_use]
    pub fn new(file: &File) -> Option<Self> {
        if !is_local(file) {
            return None;
        }
        let len = usize::try_from(spacious(&file.metadata().ok()?)).ok().filter(|&len| len > 0)?;
        // All at once: page by page they cost a fault each.
        let memory = MmapOptions::new().len(len).populate().map_raw_read_only(file).ok()?;
        let guard = Guard::new(memory.as_ptr(), len)?;
        Some(Self { guard, memory })
    }

    /// How far the file is mapped, in bytes.
    #[must_use]
    pub fn end(&self) -> usize {
        self.memory.len()
    }

    /// So many words from an offset on, which is a multiple of eight; `None` if they are not within.
    #[must_use]
    pub fn words(&self, offset: usize, count: usize) -> Option<&[AtomicU64]> {
        let end = count.checked_mul(WORD).and_then(|len| len.checked_add(offset))?;
        // A word that the file ends in is mapped to its end.
        if !offset.is_multiple_of(WORD) || end > self.end().next_multiple_of(WORD) {
            return None;
        }
        // SAFETY: it is within the mapping.
        let start = unsafe { self.memory.as_ptr().add(offset) };
        // SAFETY: the words are within the mapping (above), which begins with a page and so is aligned, is there for as
        // long as `self` is, also if it was cut, and is of atomics (the rule of this module) of which each pattern is a value.
        Some(unsafe { std::slice::from_raw_parts(start.cast(), count) })
    }

    /// Copies what stands from an offset on, and tells whether all of that is within.
    pub fn copy(&self, offset: usize, buffer: &mut [u8]) -> bool {
        let (first, skipped) = (offset / WORD, offset % WORD);
        if offset.checked_add(buffer.len()).is_none_or(|end| end > self.end()) {
            return false;
        }
        let count = (skipped + buffer.len()).div_ceil(WORD);
        let Some(mut words) = self.words(first * WORD, count) else { return false };
        let mut rest = buffer;
        if skipped > 0
            && let Some((word, others)) = words.split_first()
        {
            let (head, behind) = rest.split_at_mut(rest.len().min(WORD - skipped));
            head.copy_from_slice(&load(word)[skipped..][..head.len()]);
            (rest, words) = (behind, others);
        }
        let (places, tail) = rest.split_at_mut(rest.len() / WORD * WORD);
        let (words, last) = words.split_at(places.len() / WORD);
        copy_words(words, places);
        if let Some(word) = last.first() {
            tail.copy_from_slice(&load(word)[..tail.len()]);
        }
        // What is loaded from here on was published no earlier.
        fence(Ordering::Acquire);
        true
    }

    /// Whether all that has been loaded up to now was in the file, if that was nothing behind `end`. `file` is the one that
    /// is mapped.
    #[must_use]
    pub fn is_whole(&self, file: &File, end: u64) -> bool {
        // A mark where pages were gone. A page in the middle of which the file ends goes on with zeros, without one.
        !self.guard.is_cut()
            && fstat(file).is_ok_and(|status| u64::try_from(status.st_size).is_ok_and(|len| len >= end))
    }

    /// Whether pages were gone that were looked at: then there is nothing in it but zeros, for ever.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.guard.is_cut()
    }
}

/// Fewer words are copied one by one: the instruction for many takes its time to begin.
#[cfg(target_arch = "x86_64")]
const MANY: usize = 64;

/// Copies words into as many bytes.
fn copy_words(words: &[AtomicU64], bytes: &mut [u8]) {
    assert_eq!(bytes.len(), words.len() * WORD, "there is room for all words");
    #[cfg(target_arch = "x86_64")]
    if words.len() >= MANY {
        // SAFETY: both have this many words (asserted). Each is loaded by itself, as an aligned one is at once, which is
        // what an atomic load without an order is; but the processor takes many at a time where it can.
        unsafe {
            std::arch::asm!(
                "rep movsq",
                inout("rcx") words.len() => _,
                inout("rsi") words.as_ptr() => _,
                inout("rdi") bytes.as_mut_ptr() => _,
                options(nostack, preserves_flags),
            );
        }
        return;
    }
    for (place, word) in bytes.chunks_exact_mut(WORD).zip(words) {
        place.copy_from_slice(&load(word));
    }
}

fn load(word: &AtomicU64) -> [u8; WORD] {
    word.load(Ordering::Relaxed).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::sync::mpsc;

    use super::*;

    const LEN: u32 = 1 << 20;

    /// A file that is full of the same byte.
    fn full() -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; LEN as usize], 0).unwrap();
        file
    }

    fn map(file: &File) -> Mapped {
        assert!(may_map());
        Mapped::new(file).expect("a local file")
    }

    #[test]
    fn whatever_part_is_copied_is_what_stands_there() {
        let file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..8191_u32).map(|n| (n % 251) as u8).collect();
        file.write_all_at(&bytes, 0).unwrap();
        let mapped = map(&file);
        assert_eq!(mapped.end(), bytes.len());
        for (at, len) in
            [(0, 8191), (3, 2), (3, 5), (3, 6), (5, 40), (8, 16), (4095, 20), (8190, 1), (8191, 0)]
        {
            let mut copied = vec![0; len];
            assert!(mapped.copy(at, &mut copied), "{at} {len}");
            assert_eq!(copied, bytes[at..at + len], "{at} {len}");
        }
        for (at, len) in [(8191, 1), (0, 8192), (usize::MAX, 2)] {
            assert!(!mapped.copy(at, &mut vec![0; len]), "{at} {len}");
        }
        assert!(
            mapped.words(4, 1).is_none()
                && mapped.words(8192, 1).is_none()
                && mapped.words(0, usize::MAX).is_none()
        );
        assert_eq!(mapped.words(8184, 1).unwrap().len(), 1);
    }

    #[test]
    fn what_has_no_space_yet_gets_none_by_being_mapped() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 4096], 0).unwrap();
        file.set_len(LEN.into()).unwrap();
        let before = file.metadata().unwrap().blocks();
        let mapped = map(&file);
        assert!((4096..LEN as usize).contains(&mapped.end()));
        assert!(mapped.copy(0, &mut [0; 4096]) && mapped.is_whole(&file, 4096));
        assert_eq!(file.metadata().unwrap().blocks(), before);
    }

    #[test]
    fn a_mapping_of_which_pages_are_gone_gives_zeros_and_tells() {
        for (len, is_cut) in [(0, true), (4096, true), (LEN - 4096 - 1, true), (LEN - 1, false)] {
            let file = full();
            let mapped = map(&file);
            file.set_len(len.into()).unwrap();
            let mut copied = vec![1; LEN as usize];
            assert!(mapped.copy(0, &mut copied));
            assert!(!mapped.is_whole(&file, LEN.into()), "{len}");
            assert_eq!(mapped.is_cut(), is_cut, "{len}");
            // It stays so, whatever becomes of the file, until it is mapped anew.
            file.write_all_at(&[7; LEN as usize], 0).unwrap();
            assert_eq!(mapped.is_whole(&file, LEN.into()), !is_cut, "{len}");
            drop(mapped);
            assert!(map(&file).is_whole(&file, LEN.into()));
        }
    }

    #[test]
    fn files_are_truncated_while_a_thread_reads_them_and_nothing_that_is_missing_is_taken_for_zeros() {
        let (sender, receiver) = mpsc::channel::<File>();
        let (told, tell) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for file in receiver {
                    let mapped = map(&file);
                    let mut copied = vec![0; LEN as usize];
                    loop {
                        assert!(mapped.copy(0, &mut copied));
                        let is_whole = mapped.is_whole(&file, LEN.into());
                        assert!(!is_whole || copied.iter().all(|&byte| byte == 7));
                        told.send(is_whole).unwrap();
                        if !is_whole {
                            break;
                        }
                    }
                }
            });
            for round in 0..100 {
                let file = full();
                sender.send(file.try_clone().unwrap()).unwrap();
                assert!(tell.recv().unwrap());
                file.set_len(u64::from((round * 10_007) % LEN)).unwrap();
                while tell.recv().unwrap() {}
            }
            drop(sender);
        });
    }
}
