//! Whole lines: a sample's, and those before a family's.

use super::escaped::write_help;
use super::labels::write_metric_name;
use super::value::{Value, write_value};
use crate::metric::Kind;

/// Appends `# HELP` and `# TYPE` of a family. For a counter, `name` ends in `_total`; for an info, in `_info`.
pub fn write_family(out: &mut Vec<u8>, name: &str, help: &str, kind: Kind) {
    out.extend(b"# HELP ");
    write_metric_name(out, name);
    out.push(b' ');
    write_help(out, help);
    out.extend(b"\n# TYPE ");
    write_metric_name(out, name);
    out.push(b' ');
    out.extend(kind.text_type().as_bytes());
    out.push(b'\n');
}

/// The line of one sample.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The family's name, as [`write_metric_name`] spells it.
    pub family: &'a [u8],
    /// What this sample puts behind it, such as `_bucket`.
    pub suffix: &'a str,
    /// Its labels, as [`write_labels`](super::write_labels) spells them.
    pub labels: &'a [u8],
    /// The upper bound of a bucket, as [`write_bound`](super::write_bound) spells it.
    pub bound: Option<&'a [u8]>,
}

impl Sample<'_> {
    /// Appends the line.
    pub fn write(self, out: &mut Vec<u8>, value: Value) {
        self.write_key(out);
        write_value(out, value);
        out.push(b'\n');
    }

    /// Appends what stands before the value.
    pub fn write_key(self, out: &mut Vec<u8>) {
        out.extend(self.family);
        out.extend(self.suffix.as_bytes());
        if !self.labels.is_empty() || self.bound.is_some() {
            out.push(b'{');
            out.extend(self.labels);
            if let Some(bound) = self.bound {
                out.extend(if self.labels.is_empty() { b"le=\"".as_slice() } else { b",le=\"" });
                out.extend(bound);
                out.push(b'"');
            }
            out.push(b'}');
        }
        out.push(b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::super::labels::{write_label_name, write_labels};
    use super::super::written;
    use super::*;

    fn line(labels: &[(&str, &str)], bound: Option<&str>) -> String {
        let plain = labels.iter().all(|(name, _)| name.is_ascii());
        let labels = written(|out| assert_eq!(write_labels(out, labels.iter().copied()), plain));
        let (labels, bound) = (labels.as_bytes(), bound.map(str::as_bytes));
        let sample = Sample { family: b"x", suffix: "_bucket", labels, bound };
        written(|out| sample.write(out, Value::Integer(1)))
    }

    #[test]
    fn label_values_and_help_texts_are_escaped_each_by_its_rule() {
        assert_eq!(line(&[], None), "x_bucket 1\n");
        assert_eq!(line(&[], Some("1.0")), "x_bucket{le=\"1.0\"} 1\n");
        let escaped = "x_bucket{a=\"x\",b=\"\\\"\\\\\\n\t\",le=\"+Inf\"} 1\n";
        assert_eq!(line(&[("a", "x"), ("b", "\"\\\n\t")], Some("+Inf")), escaped);
        let family = written(|out| write_family(out, "x_total", "say \"hi\"\nnow\\", Kind::Counter));
        assert_eq!(family, "# HELP x_total say \"hi\"\\nnow\\\\\n# TYPE x_total counter\n");
    }

    #[test]
    fn names_that_the_format_cannot_carry_get_underscores() {
        assert_eq!(written(|out| write_metric_name(out, "9 é:x9")), "___:x9");
        assert_eq!(written(|out| write_label_name(out, "a:b\"\n")), "a_b__");
        let labels = [("é", "1"), ("ü", "2"), ("a", "3"), ("_", "4"), ("aé", ",_=\"")];
        assert_eq!(line(&labels, None), "x_bucket{_=\"1\",a=\"3\",a_=\",_=\\\"\"} 1\n");
        assert_eq!(line(&[("a", "1"), ("é_name__", "2"), ("z", "3")], None), "x_bucket{a=\"1\",z=\"3\"} 1\n");
    }
}
