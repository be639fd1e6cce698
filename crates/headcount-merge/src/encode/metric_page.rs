//! A page of series in protobuf, in which nothing but values changes.
//!
//! Labels are most of a page. So values are exchanged where they stand. Only when one is longer or shorter than the one
//! before, or somebody still has the old page, it is written anew: of a series whose value has changed labels are copied,
//! and of another one all is.
//!
//! Exemplars and native buckets are as long as they like. A page that has any is always written so.

use std::ops::Range;
use std::sync::Arc;

use headcount_store::metric::Kind;
use headcount_store::text::Value;

use super::beside::Beside;
use super::line_page::Stale;
use super::protobuf::{put_metric, put_value, put_varint, to_count};
use crate::figures::Figures;
use crate::merged::Merged;
use crate::page::Page;

/// See the module.
#[derive(Debug)]
pub(super) struct MetricPage {
    figures: Range<usize>,
    units: Vec<Unit>,
    /// What its series show beside the figures, if that may be anything.
    beside: Option<Beside>,
    page: Arc<Page>,
}

/// What a page consists of: a series, or what a family has before those.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    /// Of this message.
    pub(super) message: u32,
    pub(super) content: Content,
    /// How many figures it has.
    pub(super) figures: u32,
    /// How long it is on the page; a gauge without a value is not there.
    pub(super) len: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    Head,
    Series {
        series: u32,
        /// How long the labels are, encoded.
        labels: u32,
    },
}

/// A family's message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    /// What it has before its series.
    pub(super) head: Vec<u8>,
    /// How long its series are together.
    pub(super) series_len: usize,
    /// Whether that is another length than it was.
    pub(super) is_resized: bool,
}

/// A page in the making: all but the heads, and where those belong.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) bytes: Vec<u8>,
    /// Places in the bytes, and which of the units each is.
    pub(super) heads: Vec<(usize, usize)>,
}

impl MetricPage {
    /// A page of these units, whose figures begin here. It is yet to be [finished](Self::finish).
    pub(super) fn new(start: usize, units: Vec<Unit>, beside: Option<Beside>) -> Self {
        let figures = units.iter().map(|unit| unit.figures as usize).sum::<usize>();
        Self { figures: start..start + figures, units, beside, page: Arc::default() }
    }

    /// The page.
    pub(super) fn page(&self) -> &Arc<Page> {
        &self.page
    }

    /// Whether some figure has changed since figures were taken the time before, or what is shown beside.
    pub(super) fn is_changed(&self, merged: &Merged<'_>, figures: &Figures) -> bool {
        let is_changed = |(at, unit): (usize, &Unit)| unit.shows_more(at, self.beside.as_ref(), merged);
        figures.are_changed(self.figures.clone()) || self.units.iter().enumerate().any(is_changed)
    }

    /// Whether the head of a message that has become longer or shorter is on the page.
    pub(super) fn is_resized(&self, messages: &[Message]) -> bool {
        let has_head = |unit: &Unit| matches!(unit.content, Content::Head);
        self.units.iter().any(|unit| has_head(unit) && messages[unit.message as usize].is_resized)
    }

    /// Writes values that have changed in the places of the old ones, as far as they are as long, and if nobody else has
    /// the page. Tells whether that was all there is to do.
    pub(super) fn overwrite(&mut self, figures: &Figures, messages: &[Message]) -> Result<bool, Stale> {
        if self.beside.is_some() {
            // Values are not all there is between labels.
            return Ok(false);
        }
        let Some(page) = Arc::get_mut(&mut self.page) else { return Ok(false) };
        let (mut rest, mut figure) = (page.change(), self.figures.start);
        for unit in &self.units {
            let (known, behind) = rest.split_at_mut(unit.len as usize);
            rest = behind;
            let own = figure..figure + unit.figures as usize;
            figure = own.end;
            let Content::Series { labels, .. } = unit.content else { continue };
            if !figures.are_changed(own.clone()) {
                continue;
            }
            if figures.get(own.start).is_none() != known.is_empty() {
                return Err(Stale);
            }
            let start = labels_at(known) + labels as usize;
            let value = known.get_mut(start..).unwrap_or_default();
            if Exchange(value).values(messages[unit.message as usize].kind, figures, own).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes series anew, all of them or those whose values have changed.
    pub(super) fn draft(
        &mut self,
        merged: &Merged<'_>,
        figures: &Figures,
        all: bool,
        messages: &mut [Message],
    ) -> Result<Draft, Stale> {
        let old = self.page.bytes();
        let mut draft = Draft { bytes: Vec::with_capacity(old.len() + 64), heads: Vec::new() };
        let (mut metric, mut at, mut figure) = (Vec::new(), 0, self.figures.start);
        for (place, unit) in self.units.iter_mut().enumerate() {
            let own = figure..figure + unit.figures as usize;
            figure = own.end;
            let known = &old[at..at + unit.len as usize];
            at += known.len();
            let Content::Series { series, labels } = unit.content else {
                draft.heads.push((draft.bytes.len(), place));
                continue;
            };
            let is_changed =
                figures.are_changed(own.clone()) || unit.shows_more(place, self.beside.as_ref(), merged);
            if !all && !is_changed {
                draft.bytes.extend_from_slice(known);
                continue;
            }
            let message = &mut messages[unit.message as usize];
            let value = match (message.kind, figures.get(own.start)) {
                (_, value) if value.is_none() != known.is_empty() => return Err(Stale),
                (_, None) => continue,
                (_, Some(value)) => merged.parts().value(series, value.to_f64()),
            };
            metric.clear();
            metric.extend_from_slice(labels_of(known, labels as usize));
            let exemplar = self.beside.as_mut().and_then(|beside| {
                beside.note(place, series, merged.parts());
                merged.parts().exemplar(series)
            });
            put_value(&mut metric, (value, exemplar), message.kind, merged.parts().lives.created(series));
            let start = draft.bytes.len();
            put_metric(&mut draft.bytes, &metric);
            let len = draft.bytes.len() - start;
            message.is_resized |= len != known.len();
            message.series_len += len;
            message.series_len -= known.len();
            unit.len = u32::try_from(len).map_err(|_| Stale)?;
        }
        Ok(draft)
    }

    /// Writes heads, now that the lengths of all messages are known.
    pub(super) fn finish(&mut self, draft: Draft, messages: &[Message]) {
        let Draft { bytes, heads } = draft;
        let mut new = bytes;
        if !heads.is_empty() {
            let bytes = std::mem::take(&mut new);
            let mut copied = 0;
            for (at, place) in heads {
                new.extend_from_slice(&bytes[copied..at]);
                copied = at;
                let unit = &mut self.units[place];
                let Message { head, series_len, .. } = &messages[unit.message as usize];
                let start = new.len();
                // A family without series is not shown.
                if *series_len > 0 {
                    put_varint(&mut new, (head.len() + series_len) as u64);
                    new.extend_from_slice(head);
                }
                // As long as a name and a help text.
                unit.len = u32::try_from(new.len() - start).unwrap_or(u32::MAX);
            }
            new.extend_from_slice(&bytes[copied..]);
        }
        if new != self.page.bytes() {
            self.page = Arc::new(Page::new(new));
        }
    }
}

impl Unit {
    /// Whether it is a series that shows something else beside its figures.
    fn shows_more(&self, at: usize, beside: Option<&Beside>, merged: &Merged<'_>) -> bool {
        match (self.content, beside) {
            (Content::Series { series, .. }, Some(beside)) => beside.is_changed(at, series, merged.parts()),
            _ => false,
        }
    }
}

/// Where the labels of a series begin, as it was encoded: behind its tag and its length.
fn labels_at(series: &[u8]) -> usize {
    2 + series.iter().skip(1).take_while(|&&byte| byte & 0x80 != 0).count()
}

fn labels_of(series: &[u8], len: usize) -> &[u8] {
    let start = labels_at(series);
    series.get(start..start + len).unwrap_or_default()
}

/// What a series has behind its labels, as [`put_value`] has encoded it, while values are exchanged in that. `None` is
/// for one that is not as long as the one before.
struct Exchange<'a>(&'a mut [u8]);

impl Exchange<'_> {
    /// All values of a series of this kind.
    fn values(mut self, kind: Kind, figures: &Figures, mut own: Range<usize>) -> Option<()> {
        self.pass(1)?;
        self.pass_integer()?;
        match kind {
            Kind::Counter | Kind::Gauge | Kind::Info | Kind::StateSet | Kind::GaugeHistogram => {
                self.float(figures.get(own.next()?)?)
            }
            Kind::Summary => {
                self.integer(figures.get(own.next()?)?)?;
                self.float(figures.get(own.next()?)?)
            }
            Kind::Histogram => {
                let (sum, count) = (own.next()?, own.next_back()?);
                self.integer(figures.get(count)?)?;
                self.float(figures.get(sum)?)?;
                own.try_for_each(|bucket| {
                    // Its tag and its length, which is below 128; and behind the count, its bound.
                    self.pass(2)?;
                    self.integer(figures.get(bucket)?)?;
                    self.pass(1 + size_of::<f64>())
                })
            }
        }
    }

    fn pass(&mut self, len: usize) -> Option<()> {
        self.0.split_off_mut(..len).map(|_| ())
    }

    fn pass_integer(&mut self) -> Option<()> {
        let len = self.0.iter().position(|byte| byte & 0x80 == 0)?;
        self.pass(len + 1)
    }

    /// A field with a count.
    fn integer(&mut self, count: Value) -> Option<()> {
        self.pass(1)?;
        let mut rest = to_count(count);
        loop {
            let byte = self.0.split_off_first_mut()?;
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if (*byte & 0x80 == 0) != (rest == 0) {
                return None;
            }
            *byte = low & 0x7f | *byte & 0x80;
            if rest == 0 {
                return Some(());
            }
        }
    }

    /// A field with a float.
    fn float(&mut self, value: Value) -> Option<()> {
        self.pass(1)?;
        let place = self.0.split_off_mut(..size_of::<f64>())?;
        place.copy_from_slice(&value.to_f64().to_le_bytes());
        Some(())
    }
}
