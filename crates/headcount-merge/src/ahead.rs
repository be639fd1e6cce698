//! Reading peers' files several at a time, before it is decided what becomes of them.
//!
//! Their values stand far apart between keys, so that much has to be read for little; and of a file that was not read
//! before, each key has to be found. Both need nothing but what is known already, and are done by two threads. What is
//! learned is learned afterwards, file by file.

use std::cmp::Reverse;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use headcount_store::FileError;
use headcount_store::directory::{Directory, FileName, PeerType};
use headcount_store::read::View;

use crate::keys::Keys;
use crate::peer::{PeerContent, Read};

/// Below so many bytes, a thread costs more than it saves.
const LEAST: u64 = 1 << 20;
/// So many bytes are read at a time; what is more is read one file after the other.
const MOST: u64 = 32 << 20;
/// So many files are read at a time.
const FILES: usize = 32;

/// A file that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) metadata: Metadata,
}

/// A file as far as it was opened and read ahead.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    pub(crate) opened: Option<Result<Opened, FileError>>,
    pub(crate) read: Option<Result<Read, FileError>>,
}

impl Opened {
    pub(crate) fn open(directory: &Directory, name: &OsStr) -> Result<Self, FileError> {
        let file = directory.open_file(name)?;
        let metadata = file.metadata().map_err(FileError::Unreadable)?;
        Ok(Self { file, metadata })
    }
}

/// Names in the order in which they are to be read, as many at a time as are read at once: peers' files last, one of each
/// kind before all others, so that these find its keys.
pub(crate) fn batches(names: Vec<OsString>) -> Vec<Vec<OsString>> {
    let (mut batches, mut kinds) = (Vec::new(), Vec::new());
    let [mut own, mut firsts, mut others] = [const { Vec::new() }; 3];
    for name in names {
        match metrics(&name) {
            None => own.push(name),
            Some(kind) if kinds.contains(&kind) => others.push(name),
            Some(kind) => {
                kinds.push(kind);
                firsts.push(name);
            }
        }
    }
    for names in [own, firsts, others] {
        batches.extend(names.chunks(FILES).map(<[_]>::to_vec));
    }
    batches
}

/// What a peer's file holds; `None` for another file.
fn metrics(name: &OsStr) -> Option<PeerType> {
    match FileName::parse(name.to_str()?) {
        Ok(Some(FileName::Peer(peer))) => Some(peer.metrics),
        _ => None,
    }
}

/// Opens peers' files, and reads them if they are large. `known` is what is known of one.
pub(crate) fn read<'k>(
    directory: &Directory,
    names: &[OsString],
    keys: &Keys,
    known: impl Fn(&Opened) -> Option<&'k PeerContent>,
) -> Vec<Ahead> {
    let open = |name: &OsString| {
        let metrics = metrics(name)?;
        Some((metrics, Opened::open(directory, name)))
    };
    let (mut files, mut sum) = (Vec::new(), 0);
    let opened: Vec<_> = names.iter().map(open).collect();
    let mut work = Vec::new();
    for (place, opened) in opened.iter().enumerate() {
        let Some((metrics, Ok(opened))) = opened else { continue };
        // Of so many bytes a block is in this field, whatever it is in the file system.
        let bytes = 512 * opened.metadata.blocks();
        if sum + bytes <= MOST {
            sum += bytes;
            let known = known(opened).filter(|known| known.may_be(*metrics));
            let view = View::from(&opened.file);
            work.push((place, bytes, move |buffer: &mut Vec<u8>| {
                keys.read(view, *metrics, known.unwrap_or(&PeerContent::default()), buffer)
            }));
        }
    }
    // The longest first, so that no thread begins with one when the other is done.
    work.sort_by_key(|&(_, bytes, _)| Reverse(bytes));
    let mut read = if sum < LEAST { Vec::new() } else { run_in_two(&work) };
    drop(work);
    read.reverse();
    for (place, opened) in opened.into_iter().enumerate() {
        let read = read.pop_if(|(of, _)| *of == place).map(|(_, read)| read);
        files.push(Ahead { opened: opened.map(|(_, opened)| opened), read });
    }
    files
}

/// Does all work in this thread and another one, each with a buffer of its own; returns what has come of it by its place, in
/// order.
fn run_in_two<T: Send, F: Fn(&mut Vec<u8>) -> T + Sync>(work: &[(usize, u64, F)]) -> Vec<(usize, T)> {
    let next = AtomicUsize::new(0);
    let run_some = || {
        let (mut done, mut buffer) = (Vec::new(), Vec::new());
        while let Some((place, _, run)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((*place, run(&mut buffer)));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        // Without another thread it goes on alone.
        let other = thread::Builder::new().spawn_scoped(scope, run_some);
        let mut done = run_some();
        match other.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(more)) => done.extend(more),
            Ok(Err(panicked)) => std::panic::resume_unwind(panicked),
            Err(_) => {}
        }
        done
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done
}
