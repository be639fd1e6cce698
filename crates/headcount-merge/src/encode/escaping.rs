//! Names that are not made of letters, digits, underscores and colons, for readers that know no others.
//!
//! The four schemes are those of Prometheus' content negotiation.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write;

use headcount_store::text::OWN_NAME;

use crate::merged::Series;

/// What becomes of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escaping {
    /// They stay as they are.
    AllowUtf8,
    /// Each character that cannot be is an underscore.
    #[default]
    Underscores,
    /// A dot is `_dot_` and an underscore two, in all names; another character is two underscores.
    Dots,
    /// A name that cannot be begins with `U__`; in it an underscore is two, and a character that cannot be
    /// its number in Unicode between underscores.
    Values,
}

/// With this begins a name that has been escaped by values.
const BY_VALUES: &str = "U__";

impl Escaping {
    /// Finds a scheme by the name that it has in an Accept header.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values]
            .into_iter()
            .find(|scheme| scheme.as_str() == name)
    }

    /// Its name in an Accept header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// A family's name.
    pub(super) fn metric_name(self, name: &str) -> Cow<'_, str> {
        self.escape(name, |c| c == ':')
    }

    /// A label's name.
    pub(super) fn label_name(self, name: &str) -> Cow<'_, str> {
        self.escape(name, |_| false)
    }

    fn escape(self, name: &str, also: fn(char) -> bool) -> Cow<'_, str> {
        let may_be = |(at, c): (usize, char)| {
            c.is_ascii_alphabetic() || c == '_' || also(c) || (at > 0 && c.is_ascii_digit())
        };
        let is_legal = name.char_indices().all(may_be);
        match self {
            Self::AllowUtf8 => Cow::Borrowed(name),
            Self::Underscores | Self::Values if is_legal && !name.starts_with(BY_VALUES) => {
                Cow::Borrowed(name)
            }
            Self::Underscores => name.char_indices().map(|at| if may_be(at) { at.1 } else { '_' }).collect(),
            Self::Dots => {
                let mut out = String::with_capacity(name.len() + 8);
                for at in name.char_indices() {
                    match at.1 {
                        '.' => out.push_str("_dot_"),
                        c if c != '_' && may_be(at) => out.push(c),
                        _ => out.push_str("__"),
                    }
                }
                Cow::Owned(out)
            }
            // Also what begins as if it had been escaped already: so no two names become one.
            Self::Values => {
                let mut out = String::from(BY_VALUES);
                for at in name.char_indices() {
                    match at.1 {
                        '_' => out.push_str("__"),
                        c if may_be(at) => out.push(c),
                        c => {
                            // Into a string.
                            let _ = write!(out, "_{:x}_", u32::from(c));
                        }
                    }
                }
                Cow::Owned(out)
            }
        }
    }
}

/// A series' labels under the names that they have in an exposition, each once and none of them [`OWN_NAME`].
pub(super) fn escaped_labels<'a>(
    series: Series<'a>,
    escaping: Escaping,
) -> impl Iterator<Item = (String, Cow<'a, str>)> {
    let mut names = HashSet::new();
    series.labels().filter_map(move |(name, value)| {
        let name = escaping.label_name(&name).into_owned();
        (name != OWN_NAME && names.insert(name.clone())).then_some((name, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_the_scheme_makes_of_them() {
        // The right-hand sides are what `model.EscapeName` of Prometheus' Go library returns.
        let check = |name: &str, escaped: [&str; 4]| {
            for scheme in ["allow-utf-8", "underscores", "dots", "values"].into_iter().zip(escaped) {
                assert_eq!(Escaping::find(scheme.0).unwrap().metric_name(name), scheme.1, "{scheme:?}");
            }
        };
        check(
            "no:escaping_required",
            ["no:escaping_required", "no:escaping_required", "no:escaping__required", "no:escaping_required"],
        );
        check(
            "mysystem.prod.west.cpu.load",
            [
                "mysystem.prod.west.cpu.load",
                "mysystem_prod_west_cpu_load",
                "mysystem_dot_prod_dot_west_dot_cpu_dot_load",
                "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load",
            ],
        );
        check(
            "http.status:sum",
            ["http.status:sum", "http_status:sum", "http_dot_status:sum", "U__http_2e_status:sum"],
        );
        check(
            "label with 😱",
            ["label with 😱", "label_with__", "label__with____", "U__label_20_with_20__1f631_"],
        );
        check("9a", ["9a", "_a", "__a", "U___39_a"]);
        assert_eq!(Escaping::Values.label_name("a:b"), "U__a_3a_b");
        assert_eq!(Escaping::Values.label_name("U__a"), "U__U____a");
        assert_eq!(Escaping::find("nonsense"), None);
    }
}
