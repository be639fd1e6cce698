//! What a registry of the crate `prometheus-client` holds. It tells so by the text of OpenMetrics and in no other
//! way, so that is read: as that crate writes it, in which a family's lines follow its `# TYPE`.

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::registry::Registry;

use crate::exposed::{Exposed, Kind, Sample, Value};

/// A registry's metrics. What has no place here (the quantiles of summaries, exemplars, state sets' meaning) is left
/// out or a gauge.
pub(crate) fn gather(registry: &Registry) -> Vec<Exposed> {
    let mut text = String::new();
    match encode_registry(&mut text, registry) {
        Ok(()) => parse(&text),
        // A metric of the application's own refused to be written. The others will do so the next time, too.
        Err(_) => Vec::new(),
    }
}

fn parse(text: &str) -> Vec<Exposed> {
    let (mut families, mut helps): (Vec<Exposed>, Vec<(&str, String)>) = (Vec::new(), Vec::new());
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            helps.push((name, unescape(help)));
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let help = helps.pop().filter(|(of, _)| *of == name).map(|(_, help)| help).unwrap_or_default();
            families.push(begin(name, kind, help));
        } else if let (Some(family), Some(line)) = (families.last_mut(), Line::parse(line)) {
            add(family, line);
        }
    }
    families
}

fn begin(name: &str, kind: &str, help: String) -> Exposed {
    let kind = match kind {
        "counter" => Kind::Counter,
        "histogram" => Kind::Histogram,
        "summary" => Kind::Summary,
        "info" => Kind::Info,
        _ => Kind::Gauge,
    };
    Exposed { name: name.to_owned(), help, kind, samples: Vec::new() }
}

/// A sample, as it is written.
struct Line<'a> {
    name: &'a str,
    labels: Vec<(String, String)>,
    value: f64,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, value) = rest.split_once("=\"")?;
                let end = closing_quote(value)?;
                labels.push((label.to_owned(), unescape(&value[..end])));
                rest = &value[end + 1..];
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
            rest = &rest[1..];
        }
        // A time or an exemplar may follow.
        let value = rest.split_ascii_whitespace().next()?;
        Some(Self { name, labels, value: value.parse().ok()? })
    }
}

/// Where a label's value ends: at the first quote without a backslash of its own before it.
fn closing_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some(c) => out.push(c),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

fn add(family: &mut Exposed, mut line: Line<'_>) {
    if matches!(family.kind, Kind::Counter | Kind::Gauge | Kind::Info) {
        let is_created = family.kind == Kind::Counter && line.name.ends_with("_created");
        if !is_created {
            family.samples.push(Sample { labels: line.labels, value: Value::Number(line.value) });
        }
        return;
    }
    let Some(part) = line.name.strip_prefix(family.name.as_str()) else { return };
    let bound = line.labels.iter().position(|(name, _)| name == "le").map(|at| line.labels.remove(at).1);
    let at = family.samples.iter().position(|sample| sample.labels == line.labels).unwrap_or_else(|| {
        let value = Value::Observed { buckets: Vec::new(), count: 0, sum: 0.0 };
        family.samples.push(Sample { labels: line.labels, value });
        family.samples.len() - 1
    });
    let Value::Observed { buckets, count, sum } = &mut family.samples[at].value else { return };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count is written as an integer"
    )]
    let number = line.value as u64;
    match (part, bound.and_then(|bound| bound.parse::<f64>().ok())) {
        ("_bucket", Some(bound)) if bound.is_finite() => buckets.push((bound, number)),
        ("_count", _) => *count = number,
        ("_sum", _) => *sum = line.value,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::Unit;

    use super::*;

    #[test]
    fn what_the_crate_writes_is_read_as_it_was_meant() {
        let mut registry = Registry::with_prefix("app");
        let family = Family::<Vec<(String, String)>, Counter>::default();
        let odd = ("a".to_owned(), "x\"},\\\n 1".to_owned());
        family.get_or_create(&vec![odd.clone(), ("b".to_owned(), String::new())]).inc_by(7);
        registry.register("jobs", "Jobs done", family);
        let seconds = Histogram::new([0.5, 2.0]);
        [0.25, 1.0, 9.0].into_iter().for_each(|value| seconds.observe(value));
        registry.register_with_unit("took", "How long", Unit::Seconds, seconds);
        registry.register("build", "What it is", Info::new(vec![("version", "1")]));
        let found = gather(&registry);
        assert_eq!(found.len(), 3, "{found:#?}");
        assert_eq!((found[0].name.as_str(), found[0].help.as_str()), ("app_jobs", "Jobs done."));
        let labels = vec![odd, ("b".to_owned(), String::new())];
        assert_eq!(found[0].samples, [Sample { labels, value: Value::Number(7.0) }]);
        let value = Value::Observed { buckets: vec![(0.5, 1), (2.0, 2)], count: 3, sum: 10.25 };
        assert_eq!((found[1].name.as_str(), found[1].kind), ("app_took_seconds", Kind::Histogram));
        assert_eq!(found[1].samples, [Sample { labels: Vec::new(), value }]);
        assert_eq!((found[2].name.as_str(), found[2].kind), ("app_build", Kind::Info));
        let labels = vec![("version".to_owned(), "1".to_owned())];
        assert_eq!(found[2].samples, [Sample { labels, value: Value::Number(1.0) }]);
    }

    #[test]
    fn lines_that_are_none_are_passed_over() {
        for line in
            ["", "x", "x{", "x{a=", "x{a=\"", "x{a=\"b\"", "x{a=\"b\"}", "x y", "# EOF", "x{a=\"b\\\"} 1"]
        {
            assert!(Line::parse(line).is_none() || line == "# EOF", "{line}");
            parse(&format!("# TYPE x counter\n{line}\n"));
        }
    }
}
