//! The relay's process: it reads what workers print until they are gone, and waits for nobody.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::line::Partial;
use super::{Channel, Form, Message, Origin, Outlet, Stream};
use crate::chain;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;
/// What a pipe may still hold at the end. Whoever prints on meanwhile is not waited for.
const LEFT: usize = 1 << 20;
/// How long what is left may take to be read by whoever reads the supervisor's output.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A worker's pipe.
#[derive(Debug)]
pub(super) struct Source {
    pipe: File,
    origin: Origin,
    partial: Partial,
}

/// Whom it works for.
#[derive(Clone, Copy, PartialEq)]
enum Master {
    Runs,
    Ends,
    IsDead,
}

impl Source {
    pub(super) fn new(pipe: OwnedFd, origin: Origin) -> Self {
        Self { pipe: pipe.into(), origin, partial: Partial::default() }
    }
}

struct State<'a> {
    form: Form,
    channel: &'a Channel,
    sources: Vec<Source>,
    outlets: [Outlet<'a>; 2],
    master: Master,
    buffer: Vec<u8>,
}

/// Works until the master says that all is over; or, if the master dies, until the workers are gone. Returns an
/// exit status.
pub(super) fn run(form: Form, channel: &Channel, sources: Vec<Source>, outlets: [Outlet<'_>; 2]) -> i32 {
    let buffer = vec![0; CHUNK];
    let mut state = State { form, channel, sources, outlets, master: Master::Runs, buffer };
    let done = loop {
        match state.turn() {
            Ok(()) if state.master == Master::Ends => break state.end(),
            Ok(()) if state.master == Master::IsDead && state.sources.is_empty() => break state.end(),
            Ok(()) => {}
            Err(error) => break Err(error),
        }
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!(error = %chain(&error), "the relay cannot go on");
            1
        }
    }
}

impl State<'_> {
    /// Waits for something to happen, and sees to it.
    fn turn(&mut self) -> io::Result<()> {
        let readable: Vec<bool> = {
            let mut descriptors: Vec<PollFd<'_>> = self
                .sources
                .iter()
                .map(|source| PollFd::new(source.pipe.as_fd(), PollFlags::POLLIN))
                .collect();
            if self.master == Master::Runs {
                descriptors.push(PollFd::new(self.channel.as_fd(), PollFlags::POLLIN));
            }
            descriptors.extend(waiting(&self.outlets));
            wait(&mut descriptors, PollTimeout::NONE)?;
            descriptors.iter().map(|descriptor| descriptor.any().unwrap_or(true)).collect()
        };
        let mut readable = readable.into_iter();
        let (form, outlets, buffer) = (self.form, &mut self.outlets, &mut self.buffer);
        self.sources.retain_mut(|source| {
            !readable.next().unwrap_or(false) || source.relay(form, outlets, buffer) != Relayed::All
        });
        self.flush();
        while self.master == Master::Runs
            && let Some(message) = self.channel.receive()?
        {
            match message {
                Message::Worker(slot, pid, ends) => {
                    let origin = |stream| Origin { slot, pid, stream };
                    let ends = ends.into_iter().zip(Stream::BOTH);
                    self.sources.extend(ends.map(|(end, stream)| Source::new(end, origin(stream))));
                }
                Message::End => self.master = Master::Ends,
                Message::Orphaned => self.master = Master::IsDead,
            }
        }
        Ok(())
    }

    /// Passes on what is left.
    fn end(&mut self) -> io::Result<()> {
        for source in &mut self.sources {
            for _ in 0..LEFT / CHUNK {
                if source.relay(self.form, &mut self.outlets, &mut self.buffer) != Relayed::Some {
                    break;
                }
            }
            source.finish(self.form, &mut self.outlets);
        }
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        loop {
            self.flush();
            let left = deadline.saturating_duration_since(Instant::now());
            let mut descriptors: Vec<_> = waiting(&self.outlets).collect();
            if descriptors.is_empty() || left.is_zero() {
                break;
            }
            wait(&mut descriptors, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO))?;
        }
        self.outlets.iter_mut().for_each(|outlet| tell_of_dropped(outlet.give_up()));
        Ok(())
    }

    fn flush(&mut self) {
        self.outlets.iter_mut().for_each(|outlet| tell_of_dropped(outlet.flush()));
    }
}

fn tell_of_dropped(lines: u64) {
    if lines > 0 {
        tracing::warn!(lines, "nobody has read what workers print: some of it was dropped");
    }
}

/// Those that wait for room.
fn waiting<'a>(outlets: &'a [Outlet<'_>; 2]) -> impl Iterator<Item = PollFd<'a>> {
    let room = |outlet: &'a Outlet<'_>| {
        let descriptor: BorrowedFd<'a> = outlet.as_fd();
        PollFd::new(descriptor, PollFlags::POLLOUT)
    };
    outlets.iter().filter(|outlet| outlet.waits()).map(room)
}

fn wait(descriptors: &mut [PollFd<'_>], timeout: PollTimeout) -> io::Result<()> {
    match poll(descriptors, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[derive(PartialEq)]
enum Relayed {
    /// There may be more.
    Some,
    /// There is nothing for now.
    Nothing,
    /// Nobody can print there any more.
    All,
}

impl Source {
    /// Passes on what has been printed, as far as it fits into `buffer`.
    fn relay(&mut self, form: Form, outlets: &mut [Outlet<'_>; 2], buffer: &mut [u8]) -> Relayed {
        match self.pipe.read(buffer) {
            Ok(0) => {
                self.finish(form, outlets);
                Relayed::All
            }
            Ok(len) => {
                let (origin, outlet) = (self.origin, &mut outlets[self.origin.stream as usize]);
                let now = SystemTime::now();
                self.partial.take(&buffer[..len], |line| outlet.push(&form.dress(origin, line, now)));
                Relayed::Some
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Relayed::Nothing
            }
            Err(_) => Relayed::All,
        }
    }

    fn finish(&mut self, form: Form, outlets: &mut [Outlet<'_>; 2]) {
        let (origin, outlet) = (self.origin, &mut outlets[self.origin.stream as usize]);
        self.partial.finish(|line| outlet.push(&form.dress(origin, line, SystemTime::now())));
    }
}
