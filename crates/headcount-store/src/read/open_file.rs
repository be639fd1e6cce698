//! A file that stays open, and mapped, from one reading to the next.
//!
//! What it saves is opening and looking. What it costs is a descriptor, of which a process has few; and a file that is
//! deleted meanwhile takes its space for as long.

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::fstat;

use super::{Mapped, View};
use crate::directory::is_locked;
use crate::writers::{Writers, writers};

/// See the module.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    mapping: Mapping,
    permit: Option<Permit>,
    /// Whether it was as long as it should be, and whether its process had it open, when that was asked.
    was_sound: bool,
    was_locked: bool,
    /// Whether anybody could write to it when that was asked.
    had_writers: bool,
}

#[derive(Debug)]
enum Mapping {
    Untried,
    There(Mapped),
    Refused,
}

impl From<File> for OpenFile {
    fn from(file: File) -> Self {
        Self {
            file,
            mapping: Mapping::Untried,
            permit: None,
            was_sound: false,
            was_locked: false,
            had_writers: false,
        }
    }
}

impl OpenFile {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether it has no name any more, and takes its space only because it is open.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        fstat(&self.file).is_ok_and(|status| status.st_nlink == 0)
    }

    /// Whether it may stay open: all that do, in the whole process, have a quarter of its descriptors.
    pub fn may_stay(&mut self) -> bool {
        if self.permit.is_none() {
            self.permit = Permit::take();
        }
        self.permit.is_some()
    }

    /// Forgets what was asked of the file: something may have happened to it since. That need not be done while it is known
    /// that nothing has, as by a [watch](crate::directory::Watch).
    pub fn doubt(&mut self) {
        (self.was_sound, self.was_locked, self.had_writers) = (false, false, false);
    }

    /// Notes that it was read, and as long as it should be.
    pub fn note_sound(&mut self) {
        self.was_sound = true;
    }

    /// Whether the process that writes it, if it is one of ours, still has it open.
    pub fn is_locked(&mut self) -> bool {
        self.was_locked = self.was_locked || is_locked(&self.file);
        self.was_locked
    }

    /// Who could write to it. Those who could and have not closed it still can.
    pub fn writers(&mut self) -> Writers {
        if self.had_writers {
            return Writers::Some;
        }
        let writers = writers(&self.file);
        self.had_writers = writers == Writers::Some;
        writers
    }

    /// Maps it, unless that was tried before.
    pub fn map(&mut self) {
        if matches!(self.mapping, Mapping::Untried) {
            self.mapping = Mapped::new(&self.file).map_or(Mapping::Refused, Mapping::There);
        }
    }

    /// Forgets the mapping, until it is mapped again.
    pub fn unmap(&mut self) {
        if let Mapping::There(_) = self.mapping {
            self.mapping = Mapping::Untried;
        }
    }

    /// Forgets the mapping if it does not hold all of the file that can be mapped: so many bytes by now.
    pub fn note_len(&mut self, len: u64) {
        if let Mapping::There(mapped) = &self.mapping
            && (mapped.is_cut() || (mapped.end() as u64) < len)
        {
            self.mapping = Mapping::Untried;
        }
    }

    /// The file, read through its mapping if there is one.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let mapped = match &self.mapping {
            Mapping::There(mapped) => Some(mapped),
            Mapping::Untried | Mapping::Refused => None,
        };
        let view = View::new(&self.file, mapped);
        if self.was_sound { view.known_to_be_as_long() } else { view }
    }
}

/// How many files stay open.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A file may stay open for as long as this is there.
#[derive(Debug)]
struct Permit;

impl Permit {
    fn take() -> Option<Self> {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft / 4);
        let permit = Self;
        // Not taken, it is given back by the way.
        (OPEN.fetch_add(1, Ordering::Relaxed) < usize::try_from(limit).unwrap_or(usize::MAX))
            .then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}
