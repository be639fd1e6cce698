//! Which requests are left out.

/// Rules by which requests are left out.
#[derive(Clone, Debug)]
pub(crate) struct Exclusion {
    pub(crate) paths: Vec<Pattern>,
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
        Self { paths: USUAL.map(Pattern::new).to_vec(), ..Self::nothing() }
    }
}

impl Exclusion {
    pub(crate) fn nothing() -> Self {
        let (paths, routes, methods) = (Vec::new(), Vec::new(), Vec::new());
        Self { paths, routes, methods, only_routes: Vec::new(), unmatched: false }
    }

    /// Whether a method or a path is left out. Asked for every request.
    pub(crate) fn covers(&self, method: &str, path: &str) -> bool {
        self.paths.iter().any(|pattern| pattern.matches(path))
            || self.methods.iter().any(|left_out| left_out == method)
    }

    /// Whether a route is left out. Asked once for each.
    pub(crate) fn covers_route(&self, route: Option<&str>) -> bool {
        let is_wanted = self.only_routes.is_empty()
            || route.is_some_and(|route| self.only_routes.iter().any(|only| only == route));
        !is_wanted
            || route.map_or(self.unmatched, |route| self.routes.iter().any(|left_out| left_out == route))
    }
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
