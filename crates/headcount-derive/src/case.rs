//! How the name of a variant becomes text.

use syn::LitStr;

/// A way to write words; the names are those that serde has for them.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Snake,
    ScreamingSnake,
    Kebab,
}

impl Case {
    const EVERY: [(&'static str, Self); 6] = [
        ("lowercase", Self::Lower),
        ("UPPERCASE", Self::Upper),
        ("PascalCase", Self::Pascal),
        ("snake_case", Self::Snake),
        ("SCREAMING_SNAKE_CASE", Self::ScreamingSnake),
        ("kebab-case", Self::Kebab),
    ];

    pub(crate) fn parse(name: &LitStr, of: &str) -> syn::Result<Self> {
        let known = Self::EVERY.iter().find(|(known, _)| *known == name.value());
        known.map(|(_, case)| *case).ok_or_else(|| {
            let names = Self::EVERY.map(|(name, _)| name).join("`, `");
            syn::Error::new(name.span(), format!("{of}: the cases are `{names}`"))
        })
    }

    /// A name in `PascalCase`, in this case.
    pub(crate) fn apply(self, name: &str) -> String {
        match self {
            Self::Lower => name.to_lowercase(),
            Self::Upper => name.to_uppercase(),
            Self::Pascal => name.to_owned(),
            Self::Snake => words(name).join("_"),
            Self::ScreamingSnake => words(name).join("_").to_uppercase(),
            Self::Kebab => words(name).join("-"),
        }
    }
}

/// A word begins with each capital that follows a small letter or a digit, or has a small letter behind it.
fn words(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    for (at, &character) in characters.iter().enumerate() {
        let after_small = at.checked_sub(1).is_some_and(|before| !characters[before].is_uppercase());
        let before_small = characters.get(at + 1).is_some_and(|next| next.is_lowercase());
        let begins = character.is_uppercase() && (after_small || before_small);
        match words.last_mut() {
            Some(word) if !begins => word.extend(character.to_lowercase()),
            _ => words.push(character.to_lowercase().collect()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_in_every_case() {
        let check = |name, expected: [&str; 6]| {
            assert_eq!(Case::EVERY.map(|(_, case)| case.apply(name)), expected);
        };
        check("Get", ["get", "GET", "Get", "get", "GET", "get"]);
        check("NotFound", ["notfound", "NOTFOUND", "NotFound", "not_found", "NOT_FOUND", "not-found"]);
        check(
            "HTTPError5xx",
            [
                "httperror5xx",
                "HTTPERROR5XX",
                "HTTPError5xx",
                "http_error5xx",
                "HTTP_ERROR5XX",
                "http-error5xx",
            ],
        );
    }
}
