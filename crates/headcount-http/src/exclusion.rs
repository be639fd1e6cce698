//! Which requests are left out.

/// Rules by which requests are left out.
#[derive(Clone, Debug)]
pub(crate) struct Exclusion {
    pub(crate) paths: Paths,
    pub(crate) routes: Vec<String>,
    pub(crate) methods: Vec<String>,
    /// If there are any, all other routes are left out.
    pub(crate) only_routes: Vec<String>,
    /// Whether requests that no route matches are left out.
    pub(crate) unmatched: bool,
}

/// What monitoring itself asks for.
const USUAL: [&str; 5] = ["/metrics", "/health", "/healthz", "/livez", "/readyz"];

impl Default for Exclusion {
    fn default() -> Self {
        let mut usual = Self::nothing();
        USUAL.iter().for_each(|path| usual.paths.add(path));
        usual
    }
}

impl Exclusion {
    pub(crate) fn nothing() -> Self {
        let (routes, methods, only_routes) = (Vec::new(), Vec::new(), Vec::new());
        Self { paths: Paths::default(), routes, methods, only_routes, unmatched: false }
    }

    /// Whether a method or a path is left out. Asked for every request, most of which only this tells from all that are.
    #[inline(always)]
    pub(crate) fn covers(&self, method: &str, path: &str) -> bool {
        let may_be = self.paths.marks & mark(path) != 0;
        (may_be || !self.methods.is_empty() || !self.paths.patterns.is_empty())
            && self.covers_indeed(method, path)
    }

    #[inline(never)]
    fn covers_indeed(&self, method: &str, path: &str) -> bool {
        self.paths.cover(path) || self.methods.iter().any(|left_out| left_out == method)
    }

    /// Whether no request is left out for its route.
    pub(crate) fn ignores_routes(&self) -> bool {
        self.routes.is_empty() && self.only_routes.is_empty() && !self.unmatched
    }

    /// Whether a route is left out. Asked once for each.
    pub(crate) fn covers_route(&self, route: Option<&str>) -> bool {
        let is_wanted = self.only_routes.is_empty()
            || route.is_some_and(|route| self.only_routes.iter().any(|only| only == route));
        !is_wanted
            || route.map_or(self.unmatched, |route| self.routes.iter().any(|left_out| left_out == route))
    }
}

/// Paths, and patterns of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    whole: Vec<String>,
    /// A bit for each of these, by which most other paths are told from all of them at once.
    marks: u64,
    patterns: Vec<Pattern>,
}

impl Paths {
    /// Adds a path, or a pattern.
    pub(crate) fn add(&mut self, pattern: &str) {
        if pattern.contains('*') {
            self.patterns.push(Pattern::new(pattern));
        } else {
            self.marks |= mark(pattern);
            self.whole.push(pattern.to_owned());
        }
    }

    fn cover(&self, path: &str) -> bool {
        self.whole.iter().any(|whole| whole == path)
            || self.patterns.iter().any(|pattern| pattern.matches(path))
    }
}

/// One of 64 bits, by the length and the last letter.
#[inline]
fn mark(path: &str) -> u64 {
    let last = path.as_bytes().last().map_or(0, |&last| usize::from(last));
    1 << ((path.len() + 7 * last) % 64)
}

/// A path in which `*` stands for any number of characters.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    begin: String,
    /// What stands behind each star; without a star, the beginning is all.
    parts: Vec<String>,
}

impl Pattern {
    pub(crate) fn new(pattern: &str) -> Self {
        let mut parts = pattern.split('*').map(str::to_owned);
        Self { begin: parts.next().unwrap_or_default(), parts: parts.collect() }
    }

    fn matches(&self, path: &str) -> bool {
        let Some((end, parts)) = self.parts.split_last() else { return self.begin == path };
        let Some(mut left) = path.strip_prefix(&self.begin) else { return false };
        for part in parts {
            // The first place is as good as any: a later one only leaves less.
            let Some(at) = left.find(part) else { return false };
            left = &left[at + part.len()..];
        }
        left.ends_with(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        let check = |pattern, path, expected| {
            assert_eq!(Pattern::new(pattern).matches(path), expected, "{pattern} {path}");
        };
        check("/metrics", "/metrics", true);
        check("/metrics", "/metrics/", false);
        check("/internal/*", "/internal/", true);
        check("/internal/*", "/internal/a/b", true);
        check("/internal/*", "/internals", false);
        check("*.css", "/a/b.css", true);
        check("*.css", "/a/b.css.map", false);
        check("/a/*/c/*/e", "/a/b/c/d/e", true);
        check("/a/*/c/*/e", "/a/b/c/e", false);
        check("/a*a", "/a", false);
        check("*", "", true);
    }

    #[test]
    fn routes_that_are_named_leave_out_all_others() {
        let only = Exclusion { only_routes: vec!["/a".to_owned()], ..Exclusion::default() };
        assert!(!only.covers_route(Some("/a")));
        assert!(only.covers_route(Some("/b")) && only.covers_route(None));
        let unmatched = Exclusion { unmatched: true, ..Exclusion::default() };
        assert!(unmatched.covers_route(None) && !unmatched.covers_route(Some("/a")));
    }

    #[test]
    fn what_monitoring_asks_for_is_left_out_unless_it_is_wanted() {
        let methods = Exclusion { methods: vec!["OPTIONS".to_owned()], ..Exclusion::default() };
        assert!(methods.covers("OPTIONS", "/a") && !methods.covers("GET", "/a"));
        assert!(methods.covers("GET", "/metrics") && !Exclusion::nothing().covers("GET", "/metrics"));
    }
}
