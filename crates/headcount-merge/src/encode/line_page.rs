//! A page of lines, in which nothing but values changes.
//!
//! What stands between the values, names and labels, is most of a page. So values are exchanged where they stand. Only
//! when one is longer or shorter than the one before, the page is copied, from one such to the next in one piece; and from
//! each changed value to the next, if somebody still has the old page.

use std::ops::Range;
use std::sync::Arc;

use headcount_store::text::{Value, overwrite_value, write_value};

use super::written::Written;
use crate::figures::Figures;
use crate::page::{Content, Outdated, Page};

/// See the module.
#[derive(Debug)]
pub(super) struct LinePage {
    figures: Range<usize>,
    /// What each figure has on the page.
    lines: Vec<Line>,
    page: Arc<Page>,
}

/// How long what stands before a value is, and the value: together four bytes, as there are many.
#[derive(Clone, Copy, Debug)]
struct Line(u32);

const VALUE_BITS: u32 = 5;
/// Stands for the length of a value where there is none: for the head of a family.
const NO_VALUE: u32 = (1 << VALUE_BITS) - 1;

impl Line {
    /// There is no such line.
    const NONE: Self = Self(0);

    /// `None` if something is longer than can be told.
    fn new(fixed: usize, value: u32) -> Option<Self> {
        let fixed = u32::try_from(fixed).ok().filter(|fixed| *fixed < 1 << (u32::BITS - VALUE_BITS))?;
        (value <= NO_VALUE).then_some(Self(fixed << VALUE_BITS | value))
    }

    fn fixed(self) -> usize {
        (self.0 >> VALUE_BITS) as usize
    }

    /// The length of the value; `None` if there is none.
    fn value(self) -> Option<usize> {
        let value = self.0 & NO_VALUE;
        (value != 0 && value != NO_VALUE).then_some(value as usize)
    }

    /// The same, with so much more before it; `None` if that is longer than can be told.
    fn behind(self, more: usize) -> Option<Self> {
        Self::new(self.fixed() + more, self.0 & NO_VALUE)
    }

    fn len(self) -> usize {
        // What follows a value, most often the line's end, is one byte; what follows that is before the next one.
        self.fixed() + self.value().map_or(0, |value| value + 1)
    }
}

/// Values grow a little, if they do: by so many bytes on a page before it needs other space.
const LEAST_ROOM: usize = 32;

/// The space of a page of this length.
fn with_room(len: usize) -> usize {
    len.max(super::PAGE) + super::PAGE / 16
}

/// A page is to be written again from the beginning: there is a value where there was none, or the other way round.
#[derive(Debug)]
pub(super) struct Stale;

impl LinePage {
    /// The page.
    pub(super) fn page(&self) -> &Arc<Page> {
        &self.page
    }

    /// The figures that are on the page.
    pub(super) fn figures(&self) -> Range<usize> {
        self.figures.clone()
    }

    /// Whether some figure has changed since figures were taken the time before.
    pub(super) fn is_changed(&self, figures: &Figures) -> bool {
        figures.are_changed(self.figures())
    }

    /// Brings the page up to date, of which all values may have changed or those only of the last time. `spare` is
    /// space to write it to; it becomes that of the old page, if nobody else has that.
    pub(super) fn refresh(&mut self, figures: &Figures, all: bool, spare: &mut Vec<u8>) -> Result<(), Stale> {
        let (mut old, mut outdated) = Old::of(&mut self.page, all);
        let is_own = matches!(old, Old::Own(_));
        let mut new = std::mem::take(spare);
        new.clear();
        let (mut at, mut copied) = (0, 0);
        for (line, (value, changed)) in self.lines.iter_mut().zip(figures.each(self.figures.clone())) {
            let start = at + line.fixed();
            at += line.len();
            if !changed && !all {
                continue;
            }
            match (line.value(), value) {
                (None, None) => {}
                (Some(len), Some(value)) => {
                    if old.overwrite(start..start + len, value) {
                        note(&mut outdated, start);
                        continue;
                    }
                    if copied == 0 && new.capacity() < old.bytes().len() + LEAST_ROOM {
                        new = Vec::with_capacity(with_room(old.bytes().len()));
                    }
                    new.extend_from_slice(&old.bytes()[copied..start]);
                    copied = start + len;
                    let written = new.len();
                    write_value(&mut new, value);
                    if !all || new[written..] != old.bytes()[start..copied] {
                        note(&mut outdated, start);
                    }
                    *line = u32::try_from(new.len() - written)
                        .ok()
                        .and_then(|len| Line::new(line.fixed(), len))
                        .ok_or(Stale)?;
                }
                _ => return Err(Stale),
            }
        }
        if copied > 0 {
            new.extend_from_slice(&old.bytes()[copied..]);
        }
        if copied == 0 || (all && new == old.bytes()) {
            *spare = new;
            if let Some(page) = Arc::get_mut(&mut self.page).filter(|_| is_own) {
                page.keep_outdated(outdated);
            }
        } else {
            let mut new = Page::with(self.page.content(), new);
            new.keep_outdated(outdated);
            let old = std::mem::replace(&mut self.page, Arc::new(new));
            *spare = Arc::try_unwrap(old).map(Page::into_bytes).unwrap_or_default();
        }
        Ok(())
    }
}

/// Notes that the value has changed that began here.
#[inline]
fn note(outdated: &mut Option<Outdated>, at: usize) {
    if let Some(outdated) = outdated {
        outdated.note(at);
    }
}

/// A page that is being brought up to date.
enum Old<'a> {
    /// Nobody else has it.
    Own(&'a mut [u8]),
    /// It stays as it is.
    Kept(&'a [u8]),
}

impl<'a> Old<'a> {
    /// The page, and what it was compressed to.
    fn of(page: &'a mut Arc<Page>, is_kept: bool) -> (Self, Option<Outdated>) {
        if is_kept || Arc::get_mut(page).is_none() {
            return (Self::Kept(page.bytes()), page.outdated());
        }
        let Some(page) = Arc::get_mut(page) else { return (Self::Kept(&[]), None) };
        let outdated = page.take_for_change();
        (Self::Own(page.change()), outdated)
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Kept(bytes) => bytes,
        }
    }

    /// Writes a value where another one stands, if it can. Tells whether it did.
    fn overwrite(&mut self, place: Range<usize>, value: Value) -> bool {
        match self {
            Self::Own(bytes) => overwrite_value(&mut bytes[place], value),
            Self::Kept(_) => false,
        }
    }
}

/// Makes pages of families that have been written sample by sample.
#[derive(Debug, Default)]
pub(super) struct LinePages {
    content: Content,
    done: Vec<LinePage>,
    start: usize,
    lines: Vec<Line>,
    bytes: Vec<u8>,
    /// How many of these no line has: what ends a family stands before the next one, or at the end of the page.
    rest: usize,
}

impl LinePages {
    /// What pages consist of.
    pub(super) fn of(content: Content) -> Self {
        Self { content, ..Self::default() }
    }

    /// Appends a family with these figures. `false` if there is more in it that might change than its values.
    pub(super) fn add_family(&mut self, written: &Written, range: Range<usize>, figures: &Figures) -> bool {
        let Some(lines) = lines(written, range.clone(), figures) else { return false };
        if self.start + self.lines.len() != range.start {
            self.end_page(range.start);
        }
        let mut at = 0;
        for (line, figure) in lines.into_iter().zip(range) {
            let is_full = self.bytes.len() >= super::PAGE && figures.is_first(figure);
            let joined = line.behind(self.rest).filter(|_| !is_full);
            if joined.is_none() {
                self.end_page(figure);
            }
            self.bytes.extend_from_slice(&written.out[at..at + line.len()]);
            at += line.len();
            self.rest = 0;
            self.lines.push(joined.unwrap_or(line));
        }
        self.bytes.extend_from_slice(&written.out[at..]);
        self.rest = written.out.len() - at;
        true
    }

    /// The pages since this was asked the last time.
    pub(super) fn take(&mut self) -> Vec<LinePage> {
        self.end_page(0);
        std::mem::take(&mut self.done)
    }

    /// Ends a page; the next one begins with this figure.
    fn end_page(&mut self, next: usize) {
        self.rest = 0;
        let start = std::mem::replace(&mut self.start, next);
        let mut lines = std::mem::take(&mut self.lines);
        if lines.is_empty() {
            return;
        }
        lines.shrink_to_fit();
        let figures = start..start + lines.len();
        // With the room that later ones need: what they free would be too small for the next.
        let mut bytes = Vec::with_capacity(with_room(self.bytes.len()));
        bytes.append(&mut self.bytes);
        let page = Arc::new(Page::with(self.content, bytes));
        self.done.push(LinePage { figures, lines, page });
    }
}

/// What each figure of a family has of what was written; `None` if those are not its values.
fn lines(written: &Written, range: Range<usize>, figures: &Figures) -> Option<Vec<Line>> {
    let mut lines = Vec::with_capacity(range.len());
    lines.push(Line::new(written.head_end, NO_VALUE)?);
    let mut at = written.head_end;
    let mut values = written.values.iter();
    for figure in range.skip(1) {
        if figures.get(figure).is_none() {
            lines.push(Line::NONE);
            continue;
        }
        let value = values.next()?;
        let is_followed = value.end < written.out.len() && !value.is_empty();
        let len = u32::try_from(value.len()).ok().filter(|len| is_followed && *len < NO_VALUE)?;
        lines.push(Line::new(value.start - at, len)?);
        at = value.end + 1;
    }
    values.next().is_none().then_some(lines)
}
