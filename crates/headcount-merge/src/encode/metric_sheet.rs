//! An exposition in protobuf that is kept from one merge to the next, so that of the next only changes need be
//! written.

use std::sync::Arc;

use super::Escaping;
use super::beside::Beside;
use super::line_page::Stale;
use super::metric_page::{Content, Draft, Message, MetricPage, Unit};
use super::protobuf::{put_family, put_head, put_series};
use super::shown::{Shown, shown};
use super::{Exposition, Format};
use crate::figures::Figures;
use crate::merged::{Merged, Parts};
use crate::page::{Page, Pages};

/// See the module.
#[derive(Debug)]
pub(super) struct MetricSheet {
    escaping: Escaping,
    messages: Vec<Message>,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Metrics(MetricPage),
    /// A family that is written sample by sample each time, under this name.
    Anew {
        family: u32,
        name: String,
        page: Arc<Page>,
    },
}

/// The page that is being filled for the first time, and those that are full.
#[derive(Debug, Default)]
struct Writer {
    start: usize,
    units: Vec<Unit>,
    /// How many figures the units have.
    figures: usize,
    /// What they show beside the figures, if that may be anything.
    beside: Option<Beside>,
    draft: Draft,
}

impl MetricSheet {
    /// Writes all families for the first time. `figures` tells which of them a family has; those in `with_more` show
    /// something beside.
    pub(super) fn new(merged: &Merged<'_>, escaping: Escaping, figures: &Figures, with_more: &[u32]) -> Self {
        let families = shown(merged, &Exposition { escaping, ..Exposition::new(Format::Protobuf) });
        let mut sheet = Self { escaping, messages: Vec::new(), parts: Vec::new() };
        let (mut drafts, mut writer) = (Vec::new(), Writer::default());
        for shown in &families {
            let family = shown.family.number();
            if let Some(range) = figures.of(family) {
                let has_more = with_more.contains(&family);
                if writer.beside.is_some() != has_more {
                    sheet.end_page(&mut writer, &mut drafts);
                    writer.beside = has_more.then(Beside::default);
                }
                sheet.add_family(shown, merged, (range.start, figures), &mut writer, &mut drafts);
            } else {
                sheet.end_page(&mut writer, &mut drafts);
                let name = shown.name.clone().into_owned();
                let page = Arc::new(write_anew(shown, escaping));
                sheet.parts.push(Part::Anew { family, name, page });
                drafts.push(None);
            }
        }
        sheet.end_page(&mut writer, &mut drafts);
        sheet.finish(drafts);
        sheet
    }

    fn add_family(
        &mut self,
        shown: &Shown<'_>,
        merged: &Merged<'_>,
        (first, figures): (usize, &Figures),
        writer: &mut Writer,
        drafts: &mut Vec<Option<Draft>>,
    ) {
        if writer.start + writer.figures != first {
            self.end_page(writer, drafts);
            writer.start = first;
        }
        let message = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let mut head = Vec::new();
        put_head(&mut head, shown);
        let kind = shown.family.kind();
        writer.draft.heads.push((writer.draft.bytes.len(), writer.units.len()));
        writer.add(Unit { message, content: Content::Head, figures: 1, len: 0 }, merged.parts());
        let mut series_len = 0;
        let mut listed = shown.family.series();
        let Parts { index, lives, .. } = merged.parts();
        let all = &index.family(shown.family.number()).series;
        for &series in all.iter().filter(|&&series| !lives.is_hidden(series)) {
            let at = writer.start + writer.figures;
            if writer.draft.bytes.len() >= super::PAGE {
                self.end_page(writer, drafts);
                writer.start = at;
            }
            let before = writer.draft.bytes.len();
            // A gauge without a value is not.
            let listed = if figures.get(at).is_some() { listed.next() } else { None };
            let labels =
                listed.map_or(0, |listed| put_series(&mut writer.draft.bytes, listed, kind, self.escaping));
            let len = writer.draft.bytes.len() - before;
            series_len += len;
            // What is longer than can be told is a series that no file holds.
            let [labels, len] = [labels, len].map(|len| u32::try_from(len).unwrap_or(u32::MAX));
            let figures = u32::try_from(index.series(series).sums.figures()).unwrap_or(u32::MAX);
            let content = Content::Series { series, labels };
            writer.add(Unit { message, content, figures, len }, merged.parts());
        }
        self.messages.push(Message { kind, head, series_len, is_resized: false });
    }

    fn end_page(&mut self, writer: &mut Writer, drafts: &mut Vec<Option<Draft>>) {
        let next = Writer { beside: writer.beside.is_some().then(Beside::default), ..Writer::default() };
        let Writer { start, units, beside, draft, .. } = std::mem::replace(writer, next);
        if !units.is_empty() {
            self.parts.push(Part::Metrics(MetricPage::new(start, units, beside)));
            drafts.push(Some(draft));
        }
    }

    /// The exposition.
    pub(super) fn pages(&self) -> Pages {
        let mut pages = Pages::default();
        for part in &self.parts {
            pages.push(Arc::clone(match part {
                Part::Metrics(metrics) => metrics.page(),
                Part::Anew { page, .. } => page,
            }));
        }
        pages
    }

    /// Brings everything up to date. `is_next` if it was so when figures were taken the time before.
    pub(super) fn refresh(
        &mut self,
        merged: &Merged<'_>,
        figures: &Figures,
        is_next: bool,
    ) -> Result<(), Stale> {
        let Self { escaping, messages, parts } = self;
        messages.iter_mut().for_each(|message| message.is_resized = false);
        let mut drafts = Vec::with_capacity(parts.len());
        for part in &mut *parts {
            drafts.push(match part {
                Part::Metrics(page) => {
                    let is_done = is_next
                        && (!page.is_changed(merged, figures) || page.overwrite(figures, messages)?);
                    if is_done { None } else { Some(page.draft(merged, figures, !is_next, messages)?) }
                }
                Part::Anew { family, name, page } => {
                    let listed = merged.list(*family);
                    let shown = Shown { family: merged.family(&listed), name: name.as_str().into() };
                    let new = write_anew(&shown, *escaping);
                    if new.bytes() != page.bytes() {
                        *page = Arc::new(new);
                    }
                    None
                }
            });
        }
        // Lengths stand before what they are of, and that may be on another page.
        let any_resized = messages.iter().any(|message| message.is_resized);
        for (part, draft) in parts.iter_mut().zip(&mut drafts).filter(|_| any_resized) {
            if let (Part::Metrics(page), None) = (part, &draft)
                && page.is_resized(messages)
            {
                *draft = Some(page.draft(merged, figures, false, messages)?);
            }
        }
        self.finish(drafts);
        Ok(())
    }

    fn finish(&mut self, drafts: Vec<Option<Draft>>) {
        for (part, draft) in self.parts.iter_mut().zip(drafts) {
            if let (Part::Metrics(page), Some(draft)) = (part, draft) {
                page.finish(draft, &self.messages);
            }
        }
    }
}

impl Writer {
    fn add(&mut self, unit: Unit, parts: Parts<'_>) {
        let series = match unit.content {
            Content::Head => None,
            Content::Series { series, .. } => Some(series),
        };
        self.beside.iter_mut().for_each(|beside| beside.push(series, parts));
        self.figures += unit.figures as usize;
        self.units.push(unit);
    }
}

fn write_anew(shown: &Shown<'_>, escaping: Escaping) -> Page {
    let mut out = Vec::new();
    put_family(&mut out, shown, escaping);
    Page::new(out)
}
