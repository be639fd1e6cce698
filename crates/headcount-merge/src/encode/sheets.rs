//! The expositions that are kept from one merge to the next: those that were asked for lately.

use super::Escaping;
use super::line_page::Stale;
use super::metric_sheet::MetricSheet;
use super::sheet::{Dialect, Sheet};
use crate::figures::Figures;
use crate::index::Index;
use crate::merged::Merged;
use crate::page::Pages;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sheets {
    figures: Figures,
    /// Whether the figures are those of this merge.
    are_taken: bool,
    kept: Vec<Kept>,
}

/// One of them, up to date when figures were taken for the last time but so many.
#[derive(Debug)]
struct Kept {
    style: Style,
    content: Content,
    take: u64,
}

/// What an exposition looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Lines(Dialect, Escaping),
    Protobuf(Escaping),
}

#[derive(Debug)]
enum Content {
    Lines(Sheet),
    Metrics(MetricSheet),
}

/// A sheet that was not asked for while figures were taken so often is forgotten.
const PATIENCE: u64 = 8;

impl Sheets {
    /// Begins with another merge.
    pub(crate) fn begin(&mut self) {
        self.are_taken = false;
    }

    /// Begins again, with other series.
    pub(crate) fn reset(&mut self, families: &[u32], hidden: &[u32], index: &Index) {
        self.kept.clear();
        self.figures.reset(families, hidden, index);
    }

    /// An exposition of all families.
    pub(super) fn pages(&mut self, style: Style, merged: &Merged<'_>) -> Pages {
        let Self { figures, kept, are_taken } = self;
        if !std::mem::replace(are_taken, true) {
            let parts = merged.parts();
            figures.take(parts.totals, parts.gauges);
            kept.retain(|kept| kept.take + PATIENCE >= figures.takes());
        }
        let known = kept.iter().position(|kept| kept.style == style);
        let mut sheet = match known.map(|at| kept.swap_remove(at)) {
            Some(known) => known,
            None => Kept::new(style, merged, figures),
        };
        if sheet.refresh(merged, figures).is_err() {
            sheet = Kept::new(style, merged, figures);
        }
        let pages = sheet.pages();
        kept.push(sheet);
        pages
    }
}

impl Kept {
    fn new(style: Style, merged: &Merged<'_>, figures: &Figures) -> Self {
        let content = match style {
            Style::Lines(dialect, escaping) => Content::Lines(Sheet::new(merged, dialect, escaping, figures)),
            Style::Protobuf(escaping) => Content::Metrics(MetricSheet::new(merged, escaping, figures)),
        };
        Self { style, content, take: figures.takes() }
    }

    fn refresh(&mut self, merged: &Merged<'_>, figures: &Figures) -> Result<(), Stale> {
        let takes = figures.takes();
        let missed = takes - std::mem::replace(&mut self.take, takes);
        if missed == 0 {
            return Ok(());
        }
        match &mut self.content {
            Content::Lines(sheet) => sheet.refresh(merged, figures, missed == 1),
            Content::Metrics(sheet) => sheet.refresh(merged, figures, missed == 1),
        }
    }

    fn pages(&self) -> Pages {
        match &self.content {
            Content::Lines(sheet) => sheet.pages(),
            Content::Metrics(sheet) => sheet.pages(),
        }
    }
}
