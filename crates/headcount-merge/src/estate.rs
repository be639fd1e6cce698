//! The estate: what the dead have left, in archives.
//!
//! An archive never changes. So it is read once, what all archives hold is added up once, and for as long as a gather
//! finds the same ones, it begins with that. Only exemplars are looked at each time: they grow old.

use std::sync::Arc;

use headcount_store::FileError;
use headcount_store::format::exemplar::Exemplar;
use headcount_store::format::header::Header;
use headcount_store::format::source::Source;
use headcount_store::read::{Cells, Reach, Reader};

use crate::exemplars::Owner;
use crate::index::Index;
use crate::layout::Layout;
use crate::native_layout::TableKeys;
use crate::native_places::NativePlaces;
use crate::process::{Life, Process};
use crate::tally::Tally;

/// What is in an archive.
#[derive(Debug)]
pub(crate) struct Archived {
    content: Content,
    layout: Arc<Layout>,
    exemplars: Vec<(Owner, Exemplar)>,
    process: Process,
}

/// What is in an archive beside the descriptions.
#[derive(Debug)]
pub(crate) struct Content {
    header: Header,
    cells: Cells,
    sources: Vec<Source>,
}

impl Content {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, FileError> {
        let mut cells = Cells::default();
        reader.read_cells(&mut cells, &Reach::ALL)?;
        Ok(Self { header: *reader.header(), cells, sources: reader.read_sources()? })
    }
}

impl Archived {
    /// An archive with this number, this content, and descriptions by which its cells go there.
    pub(crate) fn new(number: u64, content: Content, layout: Arc<Layout>) -> Self {
        let Header { process, created, .. } = content.header;
        let process = Process {
            name: process.pid.to_string().into(),
            pid_namespace: process.pid_namespace,
            life: Life::Dead(created),
            buried: number,
        };
        let exemplars = layout.exemplars(&content.cells).collect();
        Self { content, layout, exemplars, process }
    }

    /// Counts it, and says which files it stands for; in which modes there are gauges is noted in the index.
    pub(crate) fn announce(&self, index: &mut Index, tally: &mut Tally) {
        let Content { header, sources, .. } = &self.content;
        tally.count(header);
        if tally.has_graves {
            let sources = sources.iter().map(|source| (source.name.clone(), source.identity));
            tally.covered.extend(sources);
        }
        self.layout.note_modes(index);
    }
}

impl Tally {
    /// Begins with what these archives hold; `index` knows of all that they describe.
    pub(crate) fn inherit(&mut self, archives: Vec<Arc<Archived>>, index: &mut Index) {
        let is_same = |(a, b)| Arc::ptr_eq(a, b);
        if self.estate.len() != archives.len() || !self.estate.iter().zip(&archives).all(is_same) {
            self.forget_estate();
            for Archived { content, layout, process, .. } in archives.iter().map(|archived| &**archived) {
                self.totals.grow(index.slots());
                let process = self.processes.add(process.clone());
                // It is younger than what it holds, so it does not tell since when anything is.
                let cells = &content.cells;
                let mut places = NativePlaces::default();
                layout.apply((cells, TableKeys::Among(cells)), (process, 0), &mut places, index, self);
            }
            self.keep_estate();
            self.estate = archives;
        }
        let Self { estate, exemplars, .. } = self;
        for &(owner, ref exemplar) in estate.iter().flat_map(|archived| &archived.exemplars) {
            exemplars.add(owner, exemplar);
        }
    }

    /// Nothing is there from the dead any more, and nothing else yet.
    fn forget_estate(&mut self) {
        let Self { totals, natives, gauges, lives, processes, .. } = self;
        (*totals, *natives) = Default::default();
        (*gauges, *processes) = Default::default();
        lives.forget();
    }

    /// What there is now is from the dead.
    fn keep_estate(&mut self) {
        let Self { totals, natives, gauges, lives, processes, .. } = self;
        totals.keep();
        natives.keep();
        lives.keep(gauges);
        gauges.keep();
        processes.keep();
    }
}
