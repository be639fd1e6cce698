//! An exposition in lines that is kept from one merge to the next, so that of the next only changes need be written.

use std::sync::Arc;

use super::line_page::{LinePage, LinePages, Stale};
use super::lines::Lines;
use super::shown::{Shown, shown};
use super::{Escaping, Exposition, Format, openmetrics, text};
use crate::figures::Figures;
use crate::merged::Merged;
use crate::page::{Page, Pages};

/// See the module.
#[derive(Debug)]
pub(super) struct Sheet {
    dialect: Dialect,
    escaping: Escaping,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Lines(LinePage),
    Anew(Anew),
    End(Arc<Page>),
}

/// Families that are written sample by sample each time.
#[derive(Debug, Default)]
struct Anew {
    families: Vec<Named>,
    page: Arc<Page>,
}

/// A family, and its names in this exposition.
#[derive(Debug)]
struct Named {
    family: u32,
    name: String,
    typed_name: Option<String>,
}

impl Anew {
    /// Appends the families that there are to the parts.
    fn end(&mut self, parts: &mut Vec<Part>) {
        if !self.families.is_empty() {
            parts.push(Part::Anew(std::mem::take(self)));
        }
    }

    fn refresh(&mut self, merged: &Merged<'_>, dialect: Dialect, escaping: Escaping) {
        let mut lines = Lines::new(Vec::with_capacity(self.page.bytes().len()), escaping);
        for Named { family, name, typed_name } in &self.families {
            let listed = merged.list(*family);
            let shown = Shown { family: merged.family(&listed), name: name.into() };
            dialect.write_family(&mut lines, &shown, typed_name.as_deref());
        }
        if lines.out != self.page.bytes() {
            self.page = Arc::new(Page::new(lines.out));
        }
    }
}

/// A format of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Text,
    OpenMetrics,
}

impl Dialect {
    /// Appends a family; tells whether it will look like this whatever its values are, as long as they are
    /// [counts](Figures::are_counts).
    fn write_family(self, lines: &mut Lines, shown: &Shown<'_>, typed_name: Option<&str>) -> bool {
        match self {
            Self::Text => {
                text::write_family(lines, shown);
                true
            }
            Self::OpenMetrics => openmetrics::write_family(lines, shown, typed_name),
        }
    }

    fn format(self) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::OpenMetrics => Format::OpenMetrics,
        }
    }
}

/// All families that are asked for, sample by sample.
pub(super) fn write(
    families: &[Shown<'_>],
    dialect: Dialect,
    escaping: Escaping,
    has_created: bool,
) -> Vec<u8> {
    let mut lines = Lines::new(Vec::new(), escaping);
    lines.has_created = has_created;
    for (shown, typed_name) in families.iter().zip(typed_names(families, dialect)) {
        dialect.write_family(&mut lines, shown, typed_name.as_deref());
    }
    if dialect == Dialect::OpenMetrics {
        lines.out.extend(openmetrics::END);
    }
    lines.out
}

fn typed_names(families: &[Shown<'_>], dialect: Dialect) -> Vec<Option<String>> {
    match dialect {
        Dialect::Text => families.iter().map(|_| None).collect(),
        Dialect::OpenMetrics => openmetrics::typed_names(families),
    }
}

impl Sheet {
    /// Writes all families for the first time. `figures` tells which of them a family has; those in `written_anew` are
    /// not kept.
    pub(super) fn new(
        merged: &Merged<'_>,
        (dialect, escaping): (Dialect, Escaping),
        figures: &Figures,
        written_anew: &[u32],
    ) -> Self {
        let families = shown(merged, &Exposition { escaping, ..Exposition::new(dialect.format()) });
        let mut lines = Lines::new(Vec::new(), escaping);
        let (mut parts, mut pages, mut anew) = (Vec::new(), LinePages::default(), Anew::default());
        for (shown, typed_name) in families.iter().zip(typed_names(&families, dialect)) {
            lines.out.clear();
            let is_steady = dialect.write_family(&mut lines, shown, typed_name.as_deref());
            let family = shown.family.number();
            let range = figures.of(family).filter(|_| is_steady && !written_anew.contains(&family));
            let written = (&*lines.out, lines.head_end);
            if range.is_some_and(|range| pages.add_family(written, &lines.values, range, figures)) {
                anew.end(&mut parts);
            } else {
                parts.extend(pages.take().into_iter().map(Part::Lines));
                let name = shown.name.clone().into_owned();
                anew.families.push(Named { family, name, typed_name });
            }
        }
        anew.end(&mut parts);
        parts.extend(pages.take().into_iter().map(Part::Lines));
        if dialect == Dialect::OpenMetrics {
            parts.push(Part::End(Arc::new(Page::new(openmetrics::END.to_vec()))));
        }
        for part in &mut parts {
            if let Part::Anew(anew) = part {
                anew.refresh(merged, dialect, escaping);
            }
        }
        Self { dialect, escaping, parts }
    }

    /// The exposition.
    pub(super) fn pages(&self) -> Pages {
        let mut pages = Pages::default();
        for part in &self.parts {
            pages.push(Arc::clone(match part {
                Part::Lines(lines) => lines.page(),
                Part::Anew(Anew { page, .. }) | Part::End(page) => page,
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
        let Self { dialect, escaping, parts } = self;
        // From page to page: what each of them freed by itself would lie between others, and hardly be used again.
        let mut spare = Vec::new();
        for part in parts {
            match part {
                Part::Lines(page) => {
                    if is_next && !page.is_changed(figures) {
                        continue;
                    }
                    if *dialect == Dialect::OpenMetrics && !figures.are_counts(page.figures()) {
                        return Err(Stale);
                    }
                    page.refresh(figures, !is_next, &mut spare)?;
                }
                Part::Anew(anew) => anew.refresh(merged, *dialect, *escaping),
                Part::End(_) => {}
            }
        }
        Ok(())
    }
}
