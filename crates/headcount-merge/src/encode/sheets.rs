//! The expositions that are kept from one merge to the next: those that were asked for lately.

use super::line_page::Stale;
use super::metric_sheet::MetricSheet;
use super::sheet::{Dialect, Sheet};
use super::{Escaping, Exposition, Format};
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
    /// The families of this merge that have exemplars, and those with native buckets: where these are shown, more may
    /// change than figures.
    with_exemplars: Vec<u32>,
    with_natives: Vec<u32>,
    kept: Vec<Kept>,
}

/// One of them, up to date when figures were taken for the last time but so many.
#[derive(Debug)]
struct Kept {
    style: Style,
    /// Families that show more than their figures.
    with_more: Vec<u32>,
    /// Since when its series are, where it says that.
    created: Vec<u64>,
    content: Content,
    take: u64,
}

/// What an exposition looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Lines(Dialect, Escaping),
    Protobuf(Escaping),
}

impl Style {
    /// What this exposition is to be.
    pub(super) fn of(exposition: &Exposition<'_>) -> Self {
        let escaping = exposition.escaping;
        match exposition.format {
            Format::Text | Format::TextV1 => Self::Lines(Dialect::Text, escaping),
            Format::OpenMetricsV0 | Format::OpenMetrics => Self::Lines(Dialect::OpenMetrics, escaping),
            Format::Protobuf => Self::Protobuf(escaping),
            // It has names as they are.
            Format::Json => Self::Lines(Dialect::Json, Escaping::AllowUtf8),
        }
    }

    fn shows_exemplars(self) -> bool {
        !matches!(self, Self::Lines(Dialect::Text, _))
    }

    fn shows_natives(self) -> bool {
        matches!(self, Self::Lines(Dialect::Json, _) | Self::Protobuf(_))
    }

    /// Since when all series are, if it says that. Such as are known hardly ever become older.
    fn created<'a>(self, merged: &'a Merged<'_>) -> &'a [u64] {
        match self {
            Self::Lines(Dialect::Text | Dialect::OpenMetrics, _) => &[],
            Self::Lines(Dialect::Json, _) | Self::Protobuf(_) => merged.parts().lives.all_created(),
        }
    }
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
        let Self { figures, kept, are_taken, with_exemplars, with_natives } = self;
        if !std::mem::replace(are_taken, true) {
            let parts = merged.parts();
            figures.take(parts.totals, parts.gauges);
            *with_exemplars = figures.families_with(parts.exemplars, parts.index);
            *with_natives = figures.families_with_natives(parts.index);
            kept.retain(|kept| kept.take + PATIENCE >= figures.takes());
        }
        let created = style.created(merged);
        let exemplars = if style.shows_exemplars() { with_exemplars } else { &[][..] };
        let natives = if style.shows_natives() { with_natives } else { &[][..] };
        let with_more = [exemplars, natives].concat();
        let known = kept.iter().position(|kept| kept.style == style);
        let mut sheet = match known.map(|at| kept.swap_remove(at)) {
            Some(known) if known.with_more == with_more && known.created == created => known,
            _ => Kept::new(style, merged, figures, &with_more),
        };
        if sheet.refresh(merged, figures).is_err() {
            sheet = Kept::new(style, merged, figures, &with_more);
        }
        let pages = sheet.pages();
        kept.push(sheet);
        pages
    }
}

impl Kept {
    fn new(style: Style, merged: &Merged<'_>, figures: &Figures, with_more: &[u32]) -> Self {
        let content = match style {
            Style::Lines(dialect, escaping) => {
                Content::Lines(Sheet::new(merged, (dialect, escaping), figures, with_more))
            }
            Style::Protobuf(escaping) => {
                Content::Metrics(MetricSheet::new(merged, escaping, figures, with_more))
            }
        };
        let created = style.created(merged).to_vec();
        Self { style, with_more: with_more.to_vec(), created, content, take: figures.takes() }
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
