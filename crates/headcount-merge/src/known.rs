//! What files describe, kept from one gather to the next.
//!
//! It is never more than what the files describe now: when the last file with some description is gone, and
//! no other describes the same, everything is forgotten and read again.

use std::fs::File;
use std::sync::Arc;

use headcount_store::FileError;
use headcount_store::directory::{Directory, FileName, PeerName, PeerType};
use headcount_store::metric::Kind;
use headcount_store::peer::Client;
use headcount_store::read::{Cells, Reach, Reader, View};

use crate::ahead::{self, Buffers, PeerFile};
use crate::estate::{Archived, Content};
use crate::files::{Files, Found, KnownFile};
use crate::index::{Index, Sums};
use crate::keys::Keys;
use crate::liveness::{Doubted, Judge};
use crate::marks::Marks;
use crate::native_layout::TableKeys;
use crate::own::{Layouts, OwnFile};
use crate::peer::{PeerContent, Read};
use crate::process::{Life, Process};
use crate::rendering::Rendering;
use crate::roster::Entry;
use crate::tally::{Living, Tally, WasFolded};

/// What files describe, and which files those are.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) index: Index,
    pub(crate) rendering: Rendering,
    descriptions: Descriptions,
    added: Added,
    pub(crate) files: Files,
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

/// Space that is used again for each file.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    cells: Cells,
    bytes: Vec<u8>,
}

impl Known {
    /// Begins a gather of a directory, or of files of none: all files are yet to be found.
    pub(crate) fn begin(&mut self, directory: Option<&Directory>) {
        self.files.begin(directory);
        self.index.forget_modes();
    }

    /// Reads those of some files that are open, and peers', if they are large.
    pub(crate) fn read_ahead(
        &self,
        files: &[(&Entry, Result<u64, FileError>)],
        buffers: &mut Buffers,
    ) -> Vec<Option<Result<Read, FileError>>> {
        let peer = |(entry, inode): &(&Entry, Result<u64, FileError>)| {
            let (metrics, known) = entry.metrics().zip(self.files.get(*inode.as_ref().ok()?))?;
            let view = known.open.as_ref()?.view();
            Some(PeerFile { view, metrics, known: &known.peer, bytes: known.bytes })
        };
        ahead::read(&files.iter().map(peer).collect::<Vec<_>>(), &self.descriptions.keys, buffers)
    }

    /// What is in the archives that count. Nothing of it is added yet.
    pub(crate) fn read_archives(
        &mut self,
        directory: &Directory,
        entries: &[&Entry],
        tally: &mut Tally,
    ) -> Result<Vec<Arc<Archived>>, WasFolded> {
        let mut archives = Vec::new();
        for entry in entries {
            let read = self.files.open(directory, entry).and_then(|inode| {
                let found = Found { name: entry.parsed()?, inode };
                let read = self.read_archive(found, tally);
                self.files.let_go(inode, read.is_ok());
                read
            });
            match read {
                Ok(archived) => archives.extend(archived),
                Err(error) => tally.skip(entry, error)?,
            }
        }
        Ok(archives)
    }

    /// What is in an archive, if it counts. It is told of in the tally, but nothing is added.
    pub(crate) fn read_archive(
        &mut self,
        found: Found<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Arc<Archived>>, FileError> {
        let Self { index, descriptions, files, .. } = self;
        let Some(known) = files.find(found, tally)? else { return Ok(None) };
        let archived = match (known.own.as_ref().and_then(OwnFile::archived), &known.open) {
            (Some(archived), _) => Arc::clone(archived),
            (None, Some(open)) => {
                let number = found.name.burial().unwrap_or(0);
                let reader = Reader::open(open.view())?;
                let content = Content::read(&reader)?;
                let mut own = descriptions.layouts.resolve(&reader, known.own.take(), index)?;
                let archived = own.keep_archived(number, content);
                own.keep_outline(reader.into_outline());
                (known.own, known.peer) = (Some(own), PeerContent::default());
                archived
            }
            (None, None) => return Ok(None),
        };
        archived.announce(index, tally);
        Ok(Some(archived))
    }

    /// Adds what a file holds to the tally, if it counts. It is no archive.
    pub(crate) fn read_file(
        &mut self,
        found: Found<'_>,
        ahead: Option<Result<Read, FileError>>,
        judge: &mut Judge,
        tally: &mut Tally,
        scratch: &mut Scratch,
    ) -> Result<(), FileError> {
        let Self { index, descriptions, files, .. } = self;
        let Some(known) = files.find(found, tally)? else { return Ok(()) };
        let Some(open) = &mut known.open else { return Ok(()) };
        let Found { name, inode } = found;
        match name {
            FileName::Peer(peer) => {
                known.own = None;
                let process = descriptions
                    .read_peer((open.view(), ahead), peer, &mut known.peer, index, tally, scratch)
                    .inspect_err(|_| known.peer = PeerContent::default())?;
                let is_live = matches!(peer.metrics, PeerType::Gauge(mode) if mode.is_live());
                let dead = Life::Dead(0);
                let doubted = Doubted { file: open, name: peer, inode, born: known.born };
                if is_live && judge.is_dead(doubted) {
                    tally.processes.set_life(process, dead);
                } else if is_live && peer.buried.is_none() {
                    tally.alive.push(Living { file: name.clone(), process, dead, holds_lock: false });
                }
            }
            _ => {
                known.peer = PeerContent::default();
                // A process that is not buried yet may have died all the same.
                let is_of_process = matches!(name, FileName::Process { .. });
                let is_alive = is_of_process && open.is_locked();
                tally.has_abandoned |= is_of_process && !is_alive;
                let last = known.own.take();
                let life = if is_alive { Some(Life::Alive) } else { None };
                let buried = name.burial().unwrap_or(0);
                let (own, process) =
                    descriptions.read_own(open.view(), (life, buried), last, index, tally, scratch)?;
                if is_alive {
                    let (file, dead) = (name.clone(), Life::Dead(own.created()));
                    tally.alive.push(Living { file, process, dead, holds_lock: true });
                }
                known.own = Some(own);
            }
        }
        Ok(())
    }

    /// Adds what the file of a living process holds, whatever it is called.
    pub(crate) fn read_process(
        &mut self,
        file: File,
        tally: &mut Tally,
        scratch: &mut Scratch,
    ) -> Result<(), FileError> {
        let Self { index, descriptions, files, .. } = self;
        let inode = files.admit_mapped(file)?;
        let Some(KnownFile { open: Some(open), own, is_found, .. }) = files.get_mut(inode) else {
            return Ok(());
        };
        let alive = (Some(Life::Alive), 0);
        let (read, _) = descriptions.read_own(open.view(), alive, own.take(), index, tally, scratch)?;
        (*own, *is_found) = (Some(read), true);
        files.let_go(inode, true);
        Ok(())
    }

    /// Forgets files that were not found any more, and tells whether the index may now hold what no file
    /// describes.
    pub(crate) fn forget_vanished(&mut self) -> bool {
        let Self { descriptions: Descriptions { layouts, keys }, files, .. } = self;
        files.forget_vanished();
        (layouts.forget_unused() | keys.forget_unused()) && !self.is_all_described()
    }

    /// Forgets everything, and begins again in the same way.
    pub(crate) fn forget(&mut self) {
        *self = Self { files: self.files.forgotten(), ..Self::default() };
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
        view: View<'_>,
        (life, buried): (Option<Life>, u64),
        known: Option<OwnFile>,
        index: &mut Index,
        tally: &mut Tally,
        scratch: &mut Scratch,
    ) -> Result<(OwnFile, u32), FileError> {
        let Scratch { cells, .. } = scratch;
        let mut known = known;
        let reader = match known.as_mut().and_then(OwnFile::take_outline) {
            Some(outline) => Reader::open_again(view, outline)?,
            None => Reader::open(view)?,
        };
        let header = *reader.header();
        let reach = known.as_ref().and_then(|known| known.reach(&reader));
        let has_keys = reach.is_none();
        reader.read_cells(cells, reach.unwrap_or(&Reach::ALL))?;
        let mut own = self.layouts.resolve(&reader, known, index)?;
        let process = tally.processes.add(Process {
            name: own.process_name(),
            pid_namespace: header.process.pid_namespace,
            life: life.unwrap_or(Life::Dead(header.created)),
            buried,
        });
        tally.count(&header);
        let keys = if has_keys { TableKeys::Among(cells) } else { TableKeys::In(&reader) };
        own.apply((cells, keys), process, index, tally);
        own.keep_outline(reader.into_outline());
        Ok((own, process))
    }

    fn read_peer(
        &mut self,
        (view, ahead): (View<'_>, Option<Result<Read, FileError>>),
        name: &PeerName,
        known: &mut PeerContent,
        index: &mut Index,
        tally: &mut Tally,
        scratch: &mut Scratch,
    ) -> Result<u32, FileError> {
        let read = match ahead.transpose()? {
            Some(read) => read,
            None => self.keys.read(view, name.metrics, known, &mut scratch.bytes)?,
        };
        let values = self.keys.accept(read, name.metrics, index, known);
        known.note_mode(index);
        let process = match known.client() {
            Some(Client::Ruby) => {
                tally.files.ruby += 1;
                name.ruby_process().unwrap_or(&name.process)
            }
            _ => {
                tally.files.python += 1;
                name.process.as_str()
            }
        };
        let life = name.buried.map_or(Life::Alive, Life::Dead);
        let (name, buried) = (process.into(), name.buried.unwrap_or(0));
        let process = tally.processes.add(Process { name, pid_namespace: 0, life, buried });
        tally.totals.grow(index.slots());
        known.plan().into_iter().for_each(|plan| plan.follow(&values, process, tally));
        known.series().iter().for_each(|series| tally.lives.add_silent(process, series.clone()));
        Ok(process)
    }
}
