//! The lines of samples, as all formats of lines have them.

use headcount_store::metric::check_metric_name;
use headcount_store::text::{
    Sample, Value, is_legal_label_name, write_bound, write_label_value, write_labels, write_value,
};

use super::Escaping;
use super::escaping::escaped_labels;
use super::written::Written;
use crate::exemplars::Exemplar;
use crate::merged::{Family, Series};

/// Writes the samples of one family after another.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) written: Written,
    escaping: Escaping,
    /// Whether there are samples of since when series are.
    pub(super) has_created: bool,
    /// The name of the family.
    name: String,
    /// Whether that has to stand between quotation marks, and therefore between the braces.
    is_quoted: bool,
    /// Whether its labels are spelled as every reader knows them.
    has_plain_labels: bool,
    /// The spelling of the series' labels.
    labels: Vec<u8>,
    /// The spelling of name and labels, where the name is quoted.
    quoted: Vec<u8>,
    /// The spelling of the last histogram's bounds: most often the next one has the same.
    bounds: Vec<(f64, Vec<u8>)>,
}

impl Lines {
    pub(super) fn new(out: Vec<u8>, escaping: Escaping) -> Self {
        Self {
            written: Written::new(out),
            escaping,
            has_created: false,
            name: String::new(),
            is_quoted: false,
            has_plain_labels: false,
            labels: Vec::new(),
            quoted: Vec::new(),
            bounds: Vec::new(),
        }
    }

    /// The samples that follow are of this family.
    pub(super) fn begin_family(&mut self, name: &str, family: &Family<'_>) {
        self.written.end_head();
        name.clone_into(&mut self.name);
        self.has_plain_labels = family.has_plain_labels();
        self.is_quoted = check_metric_name(name).is_err();
    }

    /// Appends a line such as `# TYPE name counter`.
    pub(super) fn comment(&mut self, word: &str, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let out = &mut self.written.out;
        out.extend(b"# ");
        out.extend(word.as_bytes());
        out.push(b' ');
        if check_metric_name(name).is_ok() {
            out.extend(name.as_bytes());
        } else {
            write_quoted(out, name);
        }
        out.push(b' ');
        write(out);
        out.push(b'\n');
    }

    /// The samples that follow are of this series.
    pub(super) fn begin_series(&mut self, series: Series<'_>) {
        self.labels.clear();
        match self.escaping {
            Escaping::Underscores | Escaping::AllowUtf8 if self.has_plain_labels => {
                series.spell_plain(&mut self.labels);
            }
            Escaping::Underscores => {
                write_labels(&mut self.labels, series.labels());
            }
            _ => self.write_escaped_labels(series),
        }
    }

    fn write_escaped_labels(&mut self, series: Series<'_>) {
        for (name, value) in escaped_labels(series, self.escaping) {
            if !self.labels.is_empty() {
                self.labels.push(b',');
            }
            if is_legal_label_name(&*name) {
                self.labels.extend(name.as_bytes());
            } else {
                write_quoted(&mut self.labels, &name);
            }
            self.labels.extend(b"=\"");
            write_label_value(&mut self.labels, &value);
            self.labels.push(b'"');
        }
    }

    /// Appends a sample. `bound` is the upper bound of a bucket, and which of the histogram's buckets it is.
    pub(super) fn sample(&mut self, suffix: &str, bound: Option<(usize, f64)>, value: Value) {
        let bound = bound.map(|(at, bound)| {
            if self.bounds.get(at).is_none_or(|(known, _)| *known != bound) {
                let mut spelled = Vec::new();
                write_bound(&mut spelled, bound);
                self.bounds.truncate(at);
                self.bounds.push((bound, spelled));
            }
            at
        });
        let bound = bound.map(|at| &*self.bounds[at].1);
        let sample = if self.is_quoted {
            self.quoted.clear();
            write_quoted(&mut self.quoted, &[&self.name, suffix].concat());
            if !self.labels.is_empty() {
                self.quoted.push(b',');
                self.quoted.extend(&self.labels);
            }
            Sample { family: b"", suffix: "", labels: &self.quoted, bound }
        } else {
            Sample { family: self.name.as_bytes(), suffix, labels: &self.labels, bound }
        };
        sample.write_key(&mut self.written.out);
        self.written.value(value);
        self.written.out.push(b'\n');
    }

    /// Appends an exemplar to the last sample.
    pub(super) fn exemplar(&mut self, exemplar: Exemplar<'_>) {
        let out = &mut self.written.out;
        out.pop();
        out.extend(b" # {");
        for (at, (name, value)) in exemplar.labels().enumerate() {
            out.extend(if at == 0 { b"".as_slice() } else { b"," });
            out.extend(name.as_bytes());
            out.extend(b"=\"");
            write_label_value(out, value);
            out.push(b'"');
        }
        out.extend(b"} ");
        write_value(out, Value::Float(exemplar.value()));
        out.push(b' ');
        write_value(out, Value::Float(exemplar.time()));
        out.push(b'\n');
    }
}

fn write_quoted(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    write_label_value(out, name);
    out.push(b'"');
}
