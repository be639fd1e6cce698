//! A page of series in protobuf, in which nothing but values changes.
//!
//! Labels are most of a page. Of a series whose value has changed they are copied, and of another one all is.

use std::ops::Range;
use std::sync::Arc;

use headcount_store::metric::Kind;

use super::line_page::Stale;
use super::protobuf::{put_metric, put_value, put_varint};
use crate::figures::Figures;
use crate::merged::Merged;
use crate::page::Page;

/// See the module.
#[derive(Debug)]
pub(super) struct MetricPage {
    figures: Range<usize>,
    units: Vec<Unit>,
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
    pub(super) fn new(start: usize, units: Vec<Unit>) -> Self {
        let figures = units.iter().map(|unit| unit.figures as usize).sum::<usize>();
        Self { figures: start..start + figures, units, page: Arc::default() }
    }

    /// The page.
    pub(super) fn page(&self) -> &Arc<Page> {
        &self.page
    }

    /// Whether some figure has changed since figures were taken the time before.
    pub(super) fn is_changed(&self, figures: &Figures) -> bool {
        figures.are_changed(self.figures.clone())
    }

    /// Whether the head of a message that has become longer or shorter is on the page.
    pub(super) fn is_resized(&self, messages: &[Message]) -> bool {
        let has_head = |unit: &Unit| matches!(unit.content, Content::Head);
        self.units.iter().any(|unit| has_head(unit) && messages[unit.message as usize].is_resized)
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
            if !all && !figures.are_changed(own.clone()) {
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
            // Families with exemplars are written anew.
            put_value(&mut metric, (value, None), message.kind, merged.parts().lives.created(series));
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

/// The labels of a series as it was encoded: they stand behind its tag and its length.
fn labels_of(series: &[u8], len: usize) -> &[u8] {
    let start = 2 + series.iter().skip(1).take_while(|&&byte| byte & 0x80 != 0).count();
    series.get(start..start + len).unwrap_or_default()
}
