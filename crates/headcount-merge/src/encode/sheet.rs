//! An exposition in text that is kept from one merge to the next, so that of the next only changes need be written.

use std::sync::Arc;

use super::line_page::{LinePage, LinePages, Stale};
use super::lines::Lines;
use super::shown::{Shown, shown};
use super::{Escaping, Exposition, Format, json, openmetrics, text};
use crate::figures::Figures;
use crate::merged::Merged;
use crate::page::{Content, Page, Pages};

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

/// A family, its name in this exposition, and what else it is there.
#[derive(Debug)]
struct Named {
    family: u32,
    name: String,
    role: Role,
}

/// What a family is among the others.
#[derive(Debug, Default)]
struct Role {
    is_first: bool,
    /// The name under which it may have a type, where that is said by the name.
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
        for Named { family, name, role } in &self.families {
            let listed = merged.list(*family);
            let shown = Shown { family: merged.family(&listed), name: name.into() };
            dialect.write_family(&mut lines, &shown, role);
        }
        if lines.written.out != self.page.bytes() {
            self.page = Arc::new(Page::new(lines.written.out));
        }
    }
}

/// A format in which values are spelled, most often a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Text,
    OpenMetrics,
    Json,
}

impl Dialect {
    /// Appends a family; tells whether it will look like this whatever its values are, as long as they are
    /// [counts](Figures::are_counts).
    fn write_family(self, lines: &mut Lines, shown: &Shown<'_>, role: &Role) -> bool {
        match self {
            Self::Text => text::write_family(lines, shown),
            Self::OpenMetrics => {
                return openmetrics::write_family(lines, shown, role.typed_name.as_deref());
            }
            Self::Json => json::write_family(&mut lines.written, shown, role.is_first),
        }
        true
    }

    fn format(self) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::OpenMetrics => Format::OpenMetrics,
            Self::Json => Format::Json,
        }
    }

    /// What its pages consist of, if nothing but values changes.
    fn content(self) -> Content {
        match self {
            Self::Text | Self::OpenMetrics => Content::Samples,
            Self::Json => Content::Any,
        }
    }

    fn roles(self, families: &[Shown<'_>]) -> Vec<Role> {
        let mut roles: Vec<_> = match self {
            Self::Text | Self::Json => families.iter().map(|_| Role::default()).collect(),
            Self::OpenMetrics => {
                let names = openmetrics::typed_names(families).into_iter();
                names.map(|typed_name| Role { typed_name, is_first: false }).collect()
            }
        };
        roles.iter_mut().take(1).for_each(|first| first.is_first = true);
        roles
    }

    /// What ends an exposition of these families.
    fn end(self, families: &[Shown<'_>]) -> &'static [u8] {
        match self {
            Self::Text => b"",
            Self::OpenMetrics => openmetrics::END,
            Self::Json => json::END[usize::from(families.is_empty())],
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
    for (shown, role) in families.iter().zip(dialect.roles(families)) {
        dialect.write_family(&mut lines, shown, &role);
    }
    lines.written.out.extend(dialect.end(families));
    lines.written.out
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
        let (mut parts, mut pages, mut anew) =
            (Vec::new(), LinePages::of(dialect.content()), Anew::default());
        for (shown, role) in families.iter().zip(dialect.roles(&families)) {
            lines.written.out.clear();
            let is_steady = dialect.write_family(&mut lines, shown, &role);
            let family = shown.family.number();
            let range = figures.of(family).filter(|_| is_steady && !written_anew.contains(&family));
            if range.is_some_and(|range| pages.add_family(&lines.written, range, figures)) {
                anew.end(&mut parts);
            } else {
                parts.extend(pages.take().into_iter().map(Part::Lines));
                let name = shown.name.clone().into_owned();
                anew.families.push(Named { family, name, role });
            }
        }
        anew.end(&mut parts);
        parts.extend(pages.take().into_iter().map(Part::Lines));
        parts.push(Part::End(Arc::new(Page::new(dialect.end(&families).to_vec()))));
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
