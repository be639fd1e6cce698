//! Where lines wait until there is room for them, up to a limit.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};

use crate::sink::{Sink, WHOLE};

/// What comes beyond so many bytes is dropped.
const CAPACITY: usize = 1 << 20;

/// The way to one of the supervisor's own streams.
#[derive(Debug)]
pub(super) struct Outlet<'a> {
    sink: &'a Sink,
    lines: VecDeque<u8>,
    /// Lines that nobody has been told of.
    dropped: u64,
    /// Whether nobody is there to read, nor will be.
    is_broken: bool,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(sink: &'a Sink) -> Self {
        Self { sink, lines: VecDeque::new(), dropped: 0, is_broken: false }
    }

    /// Takes a line, its end included, or drops it if too many wait already.
    pub(super) fn push(&mut self, line: &[u8]) {
        if self.lines.len() + line.len() > CAPACITY || self.is_broken {
            self.dropped += 1;
        } else {
            self.lines.extend(line);
        }
    }

    /// Whether lines wait for room.
    pub(super) fn waits(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Writes what there is room for. Tells how many lines were dropped before, once it is less than half full.
    pub(super) fn flush(&mut self) -> u64 {
        while self.waits() {
            let lines = self.lines.make_contiguous();
            match self.sink.write(&lines[..whole_lines(lines)]) {
                Ok(written) => drop(self.lines.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.is_broken = true;
                    self.dropped = self.give_up();
                }
            }
        }
        // Where nobody reads any more, that is told once, at the end.
        if self.is_broken || self.lines.len() > CAPACITY / 2 { 0 } else { std::mem::take(&mut self.dropped) }
    }

    /// Drops what waits. Tells how many lines that were, and were dropped before.
    pub(super) fn give_up(&mut self) -> u64 {
        let waiting = self.lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.lines.clear();
        std::mem::take(&mut self.dropped) + waiting
    }
}

/// How much to write at once: whole lines that are not mixed with others', or a part of a longer one.
fn whole_lines(lines: &[u8]) -> usize {
    let most = lines.len().min(WHOLE);
    lines[..most].iter().rposition(|&byte| byte == b'\n').map_or(most, |end| end + 1)
}

impl AsFd for Outlet<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sink.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_written_at_once_ends_with_a_line() {
        assert_eq!(whole_lines(b"one\ntwo\n"), 8);
        assert_eq!(whole_lines(b"one\ntw"), 4);
        let long = "x".repeat(WHOLE) + "\n";
        assert_eq!(whole_lines(long.as_bytes()), WHOLE);
        assert_eq!(whole_lines(("short\n".to_owned() + &long).as_bytes()), 6);
    }

    #[test]
    fn lines_wait_for_room_and_what_is_too_much_is_counted() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let sink = Sink::of(&writer).unwrap();
        let mut outlet = Outlet::new(&sink);
        let line = "x".repeat(1023) + "\n";
        for _ in 0..2000 {
            outlet.push(line.as_bytes());
            assert_eq!(outlet.flush(), 0);
        }
        assert!(outlet.waits());
        let (mut read, mut dropped) = (0, 0);
        let mut chunk = vec![0; 65536];
        while outlet.waits() {
            read += reader.read(&mut chunk).unwrap();
            dropped += outlet.flush();
        }
        drop((sink, writer));
        let mut rest = Vec::new();
        read += reader.read_to_end(&mut rest).unwrap();
        assert!(dropped > 0 && read.is_multiple_of(1024));
        assert_eq!(read as u64 / 1024 + dropped, 2000);
    }

    #[test]
    fn without_a_reader_nothing_waits() {
        let (reader, writer) = std::io::pipe().unwrap();
        let sink = Sink::of(&writer).unwrap();
        let mut outlet = Outlet::new(&sink);
        outlet.push(b"one\n");
        outlet.push(b"two\n");
        assert_eq!(outlet.give_up(), 2);
        drop(reader);
        outlet.push(b"line\n");
        outlet.flush();
        outlet.push(b"line\n");
        assert!(!outlet.waits());
        assert_eq!((outlet.flush(), outlet.give_up()), (0, 2));
    }
}
