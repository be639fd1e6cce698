//! What each process has counted in one counter: read from its own files, before any merge.

use std::collections::HashMap;

use headcount_store::FileError;
use headcount_store::directory::{Directory, FileName, PeerName, PeerType};
use headcount_store::format::family::Shape;
use headcount_store::format::record::Record;
use headcount_store::peer::{self, Key, PeerFile};
use headcount_store::read::Image;
use nix::unistd::getpgid;

use crate::pool::Pid;

/// How much each of `workers` has counted in the counter `name`; what its own children have counted is its. Those
/// whose files say nothing of it are left out.
pub(super) fn counted(directory: &Directory, name: &str, workers: &[u32]) -> HashMap<u32, f64> {
    let mut counted = HashMap::new();
    for file in directory.list().unwrap_or_default() {
        let Some(Ok(Some(parsed))) = file.to_str().map(FileName::parse) else { continue };
        let Some(worker) = process_of(&parsed).and_then(|pid| worker_of(pid, workers)) else { continue };
        // What cannot be read counts in no merge either.
        let read = directory.open_file(&file).and_then(|file| match parsed {
            FileName::Process { .. } => own(&Image::read(&file)?, name),
            _ => peers(PeerFile::new(peer::read(&file, &mut Vec::new())?)?, name),
        });
        if let Ok(Some(count)) = read {
            *counted.entry(worker).or_default() += count;
        }
    }
    counted
}

/// The process that writes a file, if that may have counters.
fn process_of(name: &FileName) -> Option<u32> {
    match name {
        FileName::Process { pid, .. } => Some(*pid),
        FileName::Peer(peer @ PeerName { metrics: PeerType::Counter, buried: None, .. }) => {
            peer.ruby_process().unwrap_or(&peer.process).parse().ok()
        }
        _ => None,
    }
}

/// The worker that a process is, or belongs to: each has a process group of its own.
fn worker_of(pid: u32, workers: &[u32]) -> Option<u32> {
    if workers.contains(&pid) {
        return Some(pid);
    }
    let group = getpgid(Some(Pid::from_raw(i32::try_from(pid).ok()?))).ok()?;
    u32::try_from(group.as_raw()).ok().filter(|group| workers.contains(group))
}

fn own(image: &Image, name: &str) -> Result<Option<f64>, FileError> {
    let mut families = Vec::new();
    let mut count = None;
    for record in image.records() {
        match record? {
            Record::Family(family) => {
                families.push((Some(family.name) == name.strip_suffix("_total")).then_some(family.shape));
            }
            Record::Series { family, first_cell, .. } => {
                let cells = image.cells();
                let value = match families.get(family as usize).and_then(Option::as_ref) {
                    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
                    Some(Shape::Counter) => cells.sum(first_cell) as f64,
                    Some(Shape::FloatCounter) => cells.sum_f64(first_cell),
                    _ => continue,
                };
                *count.get_or_insert(0.0) += value;
            }
            // Of archives, which are no process's.
            Record::Process(_) => {}
        }
    }
    Ok(count)
}

fn peers(file: PeerFile<'_>, name: &str) -> Result<Option<f64>, FileError> {
    let mut count = None;
    for entry in file.entries() {
        if Key::decode(entry.key, entry.offset)?.sample == name {
            *count.get_or_insert(0.0) += entry.value;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_what_its_own_files_say() {
        let temporary = tempfile::tempdir().unwrap();
        let registry = headcount::Registry::in_directory(temporary.path()).unwrap();
        let requests = registry.counter_family("requests", "", ["code"]).unwrap();
        requests.with(["200"]).add(3);
        requests.with(["500"]).add(4);
        registry.counter("others", "").unwrap().add(100);
        let directory = Directory::open(temporary.path()).unwrap();
        let own = std::process::id();
        let check = |name: &str, workers: &[u32], expected: &[(u32, f64)]| {
            assert_eq!(counted(&directory, name, workers), expected.iter().copied().collect(), "{name}");
        };
        check("requests_total", &[own], &[(own, 7.0)]);
        check("requests_total", &[], &[]);
        check("nothing_total", &[own], &[]);
        // As the child of a worker, whose group it is in.
        let group = nix::unistd::getpgrp().as_raw().unsigned_abs();
        check("requests_total", &[group], &[(group, 7.0)]);
    }
}
