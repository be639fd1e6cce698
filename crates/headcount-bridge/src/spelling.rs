//! What names become that Prometheus does not allow: as `metrics-exporter-prometheus` spells them, so that
//! dashboards go on working.

/// A metric's name: every character that is not allowed becomes an underscore.
pub(crate) fn metric_name(name: &str) -> String {
    spell(name, |c| c == ':')
}

/// A label's name. Two leading underscores are Prometheus' own and become one; the names that the merge gives itself
/// begin with `exported_`, as Prometheus has it where it finds names taken.
pub(crate) fn label_name(name: &str, reserved: &str) -> String {
    let spelled = spell(name, |_| false);
    let spelled = match spelled.strip_prefix("__") {
        Some(rest) => format!("_{}", rest.trim_start_matches('_')),
        None => spelled,
    };
    if spelled == reserved { format!("exported_{spelled}") } else { spelled }
}

fn spell(name: &str, is_also_allowed: impl Fn(char) -> bool) -> String {
    let is_allowed = |(at, c): (usize, char)| {
        let may_be = c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit());
        if may_be || is_also_allowed(c) { c } else { '_' }
    };
    name.chars().enumerate().map(is_allowed).collect()
}

/// The name with its unit behind it, but before the ending that a kind gives it.
#[cfg(feature = "metrics")]
pub(crate) fn with_unit(name: &str, unit: &str) -> String {
    const ENDINGS: [&str; 4] = ["_sum", "_count", "_bucket", "_total"];
    let ending = ENDINGS.into_iter().find(|ending| name.ends_with(ending)).unwrap_or_default();
    let stem = &name[..name.len() - ending.len()];
    if stem.ends_with(unit) { name.to_owned() } else { format!("{stem}_{unit}{ending}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_the_exporter_of_metrics_makes_of_them() {
        let check = |name: &str, expected: &str| assert_eq!(metric_name(name), expected, "{name}");
        check("*", "_");
        check("foo_bar", "foo_bar");
        check("foo1:bar2", "foo1:bar2");
        check("123", "_23");
        check("http.requests-total", "http_requests_total");
        check("größe", "gr__e");
        check("", "");
    }

    #[test]
    fn labels_have_no_colons_and_no_name_that_is_taken() {
        let check = |name: &str, expected: &str| assert_eq!(label_name(name, "le"), expected, "{name}");
        check(":", "_");
        check("1foobar", "_foobar");
        check("__name", "_name");
        check("____", "_");
        check("le", "exported_le");
        check("pid", "pid");
    }

    #[cfg(feature = "metrics")]
    #[test]
    fn a_unit_stands_behind_the_stem_once() {
        let check = |name: &str, expected: &str| assert_eq!(with_unit(name, "bytes"), expected, "{name}");
        check("sent", "sent_bytes");
        check("sent_bytes", "sent_bytes");
        check("sent_total", "sent_bytes_total");
        check("sent_bytes_total", "sent_bytes_total");
    }
}
