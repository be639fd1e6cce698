//! What files describe, kept from one gather to the next.
//!
//! It is never more than what the files describe now: when the last file with some description is gone, and
//! no other describes the same, everything is forgotten and read again.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use headcount_store::FileError;
use headcount_store::directory::{Directory, FileName, PeerName, PeerType, is_locked};
use headcount_store::format::source::Source;
use headcount_store::metric::Kind;
use headcount_store::peer::Client;
use headcount_store::read::{Cells, Reader};

use crate::ahead::{self, Ahead, Opened};
use crate::gather::{Living, Tally};
use crate::index::{Index, Sums};
use crate::keys::Keys;
use crate::liveness::{Doubted, Judge};
use crate::marks::Marks;
use crate::own::{self, Layouts, OwnFile};
use crate::peer::{PeerContent, Read};
use crate::process::{Life, Process};
use crate::rendering::Rendering;

/// What files describe, and which files those are.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) index: Index,
    pub(crate) rendering: Rendering,
    descriptions: Descriptions,
    added: Added,
    files: HashMap<FileId, KnownFile>,
    gathers: u64,
}

/// What stands in the files, and where in the index that is.
#[derive(Debug, Default)]
struct Descriptions {
    layouts: Layouts,
    keys: Keys,
}

/// Series that callers have added beside what the files hold, and their families with help texts.
#[derive(Debug, Default)]
struct Added {
    series: Vec<u32>,
    families: Vec<(u32, String)>,
}

/// What one file is, for as long as it exists.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FileId {
    inode: u64,
    /// Where it is known, it tells a file from a later one with the same inode.
    born: Option<SystemTime>,
}

/// A file that was found in the directory.
#[derive(Debug, Default)]
struct KnownFile {
    /// The last gather that found it.
    gather: u64,
    own: Option<OwnFile>,
    peer: PeerContent,
}

/// Space that is used again for each file.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    cells: Cells,
    bytes: Vec<u8>,
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        Self { inode: metadata.ino(), born: metadata.created().ok() }
    }
}

impl Known {
    /// Opens peers' files, and reads them if they are large.
    pub(crate) fn read_ahead(&self, directory: &Directory, names: &[OsString]) -> Vec<Ahead> {
        let known = |opened: &Opened| {
            let id = FileId::of(&opened.metadata);
            // Otherwise it might be another file.
            id.born?;
            self.files.get(&id).map(|known| &known.peer)
        };
        ahead::read(directory, names, &self.descriptions.keys, known)
    }

    /// Begins a gather: all files are yet to be found.
    pub(crate) fn begin(&mut self) {
        self.gathers += 1;
        self.index.forget_modes();
    }

    /// Adds what a file holds to the tally, unless this gather has read it under another name, or an
    /// archive that it has read stands for it.
    pub(crate) fn read_file(
        &mut self,
        directory: &Directory,
        (name, ahead): (&OsStr, Ahead),
        judge: &mut Judge,
        tally: &mut Tally,
        scratch: &mut Scratch,
    ) -> Result<(), FileError> {
        // What is no text is no name of ours.
        let Some(name_read) = name.to_str().map(FileName::parse).transpose()?.flatten() else {
            return Ok(());
        };
        if matches!(name_read, FileName::Lock | FileName::Unfinished) {
            return Ok(());
        }
        let Ahead { opened, read } = ahead;
        let Opened { file, metadata } = opened.unwrap_or_else(|| Opened::open(directory, name))?;
        if tally.is_covered(&name_read, &file)? {
            return Ok(());
        }
        let id = FileId::of(&metadata);
        let FileId { inode, born } = id;
        let is_identified = born.is_some();
        let Self { index, descriptions, files, gathers, .. } = self;
        let known = files.entry(id).or_default();
        if known.gather == *gathers {
            return Ok(());
        }
        known.gather = *gathers;
        // Of so many bytes a block is in this field, whatever it is in the file system.
        tally.files.bytes += 512 * metadata.blocks();
        if !is_identified {
            known.peer = PeerContent::default();
            known.own.iter_mut().for_each(OwnFile::forget_content);
        }
        match name_read {
            FileName::Peer(peer) => {
                known.own = None;
                let process = descriptions
                    .read_peer((&file, read), &peer, &mut known.peer, index, tally, scratch)
                    .inspect_err(|_| known.peer = PeerContent::default())?;
                let is_live = matches!(peer.metrics, PeerType::Gauge(mode) if mode.is_live());
                let dead = Life::Dead(0);
                if is_live && judge.is_dead(Doubted { file: &file, name: &peer, inode, born }) {
                    tally.processes.set_life(process, dead);
                } else if is_live && peer.buried.is_none() {
                    tally.alive.push(Living { file: name.to_owned(), process, dead, holds_lock: false });
                }
            }
            _ => {
                known.peer = PeerContent::default();
                // A process that is not buried yet may have died all the same.
                let is_alive = matches!(name_read, FileName::Process { .. }) && is_locked(&file);
                let last = known.own.take();
                let life = if is_alive { Some(Life::Alive) } else { None };
                let buried = name_read.burial().unwrap_or(0);
                let (own, process) =
                    descriptions.read_own(&file, (life, buried), last, index, tally, scratch)?;
                if is_alive {
                    let (file, dead) = (name.to_owned(), Life::Dead(own.created()));
                    tally.alive.push(Living { file, process, dead, holds_lock: true });
                }
                known.own = Some(own);
            }
        }
        Ok(())
    }

    /// Forgets files that were not found any more, and tells whether the index may now hold what no file
    /// describes.
    pub(crate) fn forget_vanished(&mut self) -> bool {
        let Self { descriptions: Descriptions { layouts, keys }, files, gathers, .. } = self;
        files.retain(|_, known| known.gather == *gathers);
        (layouts.forget_unused() | keys.forget_unused()) && !self.is_all_described()
    }

    fn is_all_described(&self) -> bool {
        let Self { index, descriptions: Descriptions { layouts, keys }, added, .. } = self;
        let mut marks = Marks::new(index);
        layouts.mark(&mut marks);
        keys.mark(&mut marks);
        added.families.iter().for_each(|(family, help)| marks.family(*family, help));
        for &series in &added.series {
            match index.series(series).sums {
                Sums::Gauge(gauge) => marks.gauges(gauge..gauge + 1),
                Sums::One(slot) => marks.slots(slot..slot + 1),
                // Callers add none.
                Sums::Summary { .. } | Sums::Histogram { .. } | Sums::GaugeHistogram { .. } => {}
            }
        }
        marks.are_complete()
    }

    /// The series that files describe.
    pub(crate) fn series(&self) -> usize {
        self.index.series_count() as usize - self.added.series.len()
    }

    /// Finds or adds a series of a caller's own, by its encoded labels.
    pub(crate) fn add_series(&mut self, name: &str, help: &str, kind: Kind, labels: &[u8]) -> u32 {
        let Self { index, added, .. } = self;
        let family = index.intern_family(name, kind);
        index.add_help(family, help);
        let series = index.intern_series(family, labels);
        if !added.series.contains(&series) {
            added.series.push(series);
            added.families.push((family, help.to_owned()));
        }
        series
    }
}

impl Descriptions {
    fn read_own(
        &mut self,
        file: &File,
        (life, buried): (Option<Life>, u64),
        known: Option<OwnFile>,
        index: &mut Index,
        tally: &mut Tally,
        scratch: &mut Scratch,
    ) -> Result<(OwnFile, u32), FileError> {
        let Scratch { cells, .. } = scratch;
        let read = known.as_ref().and_then(OwnFile::content).map(|content| content.header);
        let (own, header) = match (read, known) {
            (Some(header), Some(own)) if !tally.has_graves => (own, header),
            (_, known) => {
                let reader = Reader::open(file)?;
                let header = *reader.header();
                let is_archive = header.folded > 0;
                // The buffers are used again for other files, and may be much larger.
                let mut archived = is_archive.then(Cells::default);
                reader.read_cells(archived.as_mut().unwrap_or(cells))?;
                let has_sources = is_archive && tally.has_graves;
                let sources = if has_sources { reader.read_sources()? } else { Vec::new() };
                let mut own = self.layouts.resolve(&reader, known, index)?;
                tally.covered.extend(sources.into_iter().map(|Source { name, identity }| (name, identity)));
                archived.into_iter().for_each(|cells| own.keep(own::Content { header, cells }));
                (own, header)
            }
        };
        let cells = own.content().map_or(&*cells, |content| &content.cells);
        let process = tally.processes.add(Process {
            name: header.process.pid.to_string(),
            pid_namespace: header.process.pid_namespace,
            life: life.unwrap_or(Life::Dead(header.created)),
            buried,
        });
        tally.files.own += 1;
        // A file may say anything.
        let lost = &mut tally.lost;
        for (sum, more) in [
            (&mut tally.files.folded, header.folded),
            (&mut lost.series, header.lost_series),
            (&mut lost.updates, header.lost_updates),
            (&mut lost.exemplars, header.lost_exemplars),
        ] {
            *sum = sum.saturating_add(more);
        }
        own.apply(cells, process, index, tally);
        Ok((own, process))
    }

    fn read_peer(
        &mut self,
        (file, ahead): (&File, Option<Result<Read, FileError>>),
        name: &PeerName,
        known: &mut PeerContent,
        index: &mut Index,
        tally: &mut Tally,
        scratch: &mut Scratch,
    ) -> Result<u32, FileError> {
        if !known.may_be(name.metrics) {
            *known = PeerContent::default();
        }
        let read = match ahead.transpose()? {
            Some(read) => read,
            None => self.keys.read(file.into(), name.metrics, known, &mut scratch.bytes)?,
        };
        let values = self.keys.accept(read, name.metrics, index, known);
        known.note_mode(name.metrics, index);
        let process = match known.client() {
            Some(Client::Ruby) => {
                tally.files.ruby += 1;
                name.ruby_process().unwrap_or(&name.process)
            }
            _ => {
                tally.files.python += 1;
                &name.process
            }
        };
        let life = name.buried.map_or(Life::Alive, Life::Dead);
        let (name, buried) = (process.to_owned(), name.buried.unwrap_or(0));
        let process = tally.processes.add(Process { name, pid_namespace: 0, life, buried });
        tally.totals.grow(index.slots());
        known.plan().into_iter().for_each(|plan| plan.follow(&values, process, tally));
        known.series().iter().for_each(|series| tally.lives.add_silent(process, series.clone()));
        Ok(process)
    }
}
