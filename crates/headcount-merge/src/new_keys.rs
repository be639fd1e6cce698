//! Keys of peers' files that were not met before, taken apart.
//!
//! That needs nothing of what is known already, so that two threads can do it. What is found is learned afterwards.

use std::ops::Range;

use headcount_store::FileError;
use headcount_store::metric::Kind;
use headcount_store::peer::{Client, Key};

use crate::index::{Index, Sums};
use crate::labels;
use crate::plan::Target;

/// Keys of one file, all of them well-formed, in the order of its entries.
#[derive(Debug, Default)]
pub(crate) struct NewKeys {
    keys: Vec<NewKey>,
    families: Vec<NewFamily>,
    /// The keys as they stand in files.
    bytes: Vec<u8>,
    /// The labels of their series, encoded.
    labels: Vec<u8>,
    /// Where the last key names the upper bound of a bucket, if nothing else in it means the same.
    bound: Option<Range<usize>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct NewKey {
    /// Where it stands among the bytes of all.
    pub(crate) bytes: Range<usize>,
    pub(crate) hash: u64,
    pub(crate) client: Client,
    family: usize,
    labels: Range<usize>,
    part: Part,
}

/// A family as keys name it, one after the other.
#[derive(Debug)]
struct NewFamily {
    /// As it is exposed.
    name: String,
    help: String,
}

/// What an entry is to its series.
#[derive(Clone, Copy, Debug)]
enum Part {
    Value,
    Bucket(f64),
    Sum,
    Count,
}

impl NewKeys {
    /// In the order of the entries.
    pub(crate) fn keys(&self) -> &[NewKey] {
        &self.keys
    }

    /// All keys as they stand in files.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes room for keys of so many bytes.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Takes the key of the entry at `offset` apart.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub(crate) fn push(&mut self, bytes: &[u8], kind: Kind, hash: u64, offset: u64) -> Result<(), FileError> {
        if self.push_next_bucket(bytes, hash).is_some() {
            return Ok(());
        }
        let key = Key::decode(bytes, offset)?;
        if key.family.is_empty() || key.labels.iter().any(|(label, _)| label.is_empty()) {
            return Err(FileError::WrongElements { offset });
        }
        let foreign = || FileError::ForeignSample { offset };
        let suffix = key.sample.strip_prefix(&*key.family).ok_or_else(foreign)?;
        let part = match (kind, suffix) {
            (Kind::Counter | Kind::Gauge, "") | (Kind::Counter, "_total") => Part::Value,
            (Kind::Histogram, "_bucket") => Part::Bucket(bucket_bound(&key, offset)?),
            (Kind::Histogram | Kind::Summary, "_sum") => Part::Sum,
            (Kind::Histogram | Kind::Summary, "_count") => Part::Count,
            _ => return Err(foreign()),
        };
        let (family, labels) = (self.family(&key, kind), self.labels(&key, kind));
        self.bound = if matches!(part, Part::Bucket(_)) { plain_bound(bytes) } else { None };
        let (bytes, client) = (self.keep(bytes), key.client);
        self.keys.push(NewKey { bytes, hash, client, family, labels, part });
        Ok(())
    }

    /// Takes a key that differs from the last one in nothing but a bucket's upper bound, as most keys of histograms do.
    fn push_next_bucket(&mut self, bytes: &[u8], hash: u64) -> Option<()> {
        let (bound, last) = (self.bound.clone()?, self.keys.last()?);
        let (head, rest) = bytes.split_at_checked(bound.start)?;
        let (own, tail) = rest.split_at(rest.iter().position(|&byte| byte == b'"')?);
        let (before, after) = (&self.bytes[last.bytes.clone()], bound.end);
        if *head != before[..bound.start] || *tail != before[after..] {
            return None;
        }
        // A number has neither escapes nor anything else in it that might mean something.
        let part = Part::Bucket(parse_bound(std::str::from_utf8(own).ok()?)?);
        self.bound = Some(bound.start..bound.start + own.len());
        let (client, family, labels) = (last.client, last.family, last.labels.clone());
        let bytes = self.keep(bytes);
        self.keys.push(NewKey { bytes, hash, client, family, labels, part });
        Some(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend(bytes);
        start..self.bytes.len()
    }

    /// The family of a key: most often that of the last one.
    fn family(&mut self, key: &Key<'_>, kind: Kind) -> usize {
        // Python's counters are called after the family with `_total`; Ruby's as they please.
        let name = if kind == Kind::Counter { &*key.sample } else { &*key.family };
        let help = key.help.as_deref().unwrap_or_default();
        if self.families.last().is_none_or(|last| last.name != name || last.help != help) {
            self.families.push(NewFamily { name: name.to_owned(), help: help.to_owned() });
        }
        self.families.len() - 1
    }

    /// Encodes the labels of a key's series: most often, in a histogram, they are those of the last one.
    fn labels(&mut self, key: &Key<'_>, kind: Kind) -> Range<usize> {
        // What the exposition and the merge say themselves.
        let said = kind.own_label();
        let start = self.labels.len();
        for (name, value) in key.labels.iter().filter(|(name, _)| name != said) {
            labels::encode(name, &mut self.labels);
            labels::encode(value, &mut self.labels);
        }
        let last = self.keys.last().map(|last| last.labels.clone());
        match last.filter(|last| self.labels[last.clone()] == self.labels[start..]) {
            Some(last) => {
                self.labels.truncate(start);
                last
            }
            None => start..self.labels.len(),
        }
    }
}

/// What the last key that was interned has become: the next one most often has the same series.
#[derive(Debug, Default)]
pub(crate) struct Last {
    family: Option<(usize, u32)>,
    series: Option<(Range<usize>, u32)>,
}

impl NewKeys {
    /// Adds the family and the series of a key to the index, if they are new to it; tells which series that is, and where
    /// the values go.
    pub(crate) fn intern(
        &self,
        key: &NewKey,
        kind: Kind,
        index: &mut Index,
        last: &mut Last,
    ) -> (u32, Target) {
        let NewKey { client, family: at, labels, part, .. } = key;
        let family = match last.family.filter(|(last, _)| last == at) {
            Some((_, family)) => family,
            None => {
                let NewFamily { name, help } = &self.families[*at];
                let family = index.intern_family(name, kind);
                index.add_help(family, help);
                *last = Last { family: Some((*at, family)), series: None };
                family
            }
        };
        let series = match &last.series {
            Some((last, series)) if last == labels => *series,
            _ => index.intern_series(family, &self.labels[labels.clone()]),
        };
        last.series = Some((labels.clone(), series));
        let target = match (&index.series(series).sums, *part) {
            (&Sums::Gauge(slot), Part::Value) => Target::Gauge { family, slot },
            (&Sums::One(slot), Part::Value) => Target::Sum(slot),
            (&Sums::Summary { sum, .. } | &Sums::Histogram { sum, .. }, Part::Sum) => Target::Sum(sum),
            (&Sums::Summary { count, .. }, Part::Count) => Target::Sum(count),
            (Sums::Histogram { .. }, Part::Bucket(bound)) => {
                let slot = index.intern_bucket(series, bound);
                match client {
                    Client::Python => Target::Sum(slot),
                    Client::Ruby => Target::CumulatedBucket { series, bound, slot },
                }
            }
            _ => Target::Nowhere,
        };
        (series, target)
    }
}

fn bucket_bound(key: &Key<'_>, offset: u64) -> Result<f64, FileError> {
    let le = key.labels.iter().find(|(name, _)| name == "le");
    le.and_then(|(_, value)| parse_bound(value)).ok_or(FileError::BadBucketBound { offset })
}

fn parse_bound(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|bound: &f64| !bound.is_nan())
}

/// Where Python's client spells the upper bound, in a key in which it stands once and nothing is escaped: then each
/// quotation mark begins or ends a text.
fn plain_bound(key: &[u8]) -> Option<Range<usize>> {
    const NAME: &[u8] = b"\"le\"";
    const BETWEEN: &[u8] = b": \"";
    let mut names = (0..key.len()).filter(|&at| key[at] == b'"' && key[at..].starts_with(NAME));
    let (name, another) = (names.next()?, names.next());
    let rest = key[name + NAME.len()..].strip_prefix(BETWEEN)?;
    let start = name + NAME.len() + BETWEEN.len();
    let len = rest.iter().position(|&byte| byte == b'"')?;
    (another.is_none() && !key.contains(&b'\\')).then_some(start..start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts and labels of keys that are pushed one after the other.
    fn pushed(keys: &[&str]) -> Vec<(String, Vec<u8>, usize)> {
        let mut new = NewKeys::default();
        for key in keys {
            new.push(key.as_bytes(), Kind::Histogram, 0, 8).unwrap();
        }
        let of =
            |key: &NewKey| (format!("{:?}", key.part), new.labels[key.labels.clone()].to_vec(), key.family);
        new.keys().iter().map(of).collect()
    }

    #[test]
    fn keys_that_differ_in_a_buckets_bound_are_taken_apart_as_if_they_were_alone() {
        let keys = [
            r#"["h", "h_sum", {"a": "x"}, "Help."]"#,
            r#"["h", "h_bucket", {"a": "x", "le": "1.0", "z": "\u00e9"}, "Help."]"#,
            r#"["h", "h_bucket", {"a": "x", "le": "2.0", "z": "\u00e9"}, "Help."]"#,
            r#"["h", "h_bucket", {"a": "x", "le": "1.0", "z": "y"}, "Help."]"#,
            r#"["h", "h_bucket", {"a": "x", "le": "+Inf", "z": "y"}, "Help."]"#,
            r#"["h", "h_bucket", {"a": "x", "le": " 1e3", "z": "y"}, "Help."]"#,
            r#"["h", "h_bucket", {"a": "x", "le": "1.0", "z": "z"}, "Help."]"#,
            r#"["h", "h_bucket", {"a": "x", "le": "1.0", "le": "4.0"}, "Help."]"#,
            r#"["h", "h_bucket", {"a": "x", "le": "2.0", "le": "4.0"}, "Help."]"#,
            r#"["h", "h_bucket", {"a": "x", "le": "1.0", "le" : "4.0"}, "Help."]"#,
            r#"["h", "h_bucket", {"a": "x", "le": "2.0", "le" : "4.0"}, "Help."]"#,
            r#"["h", "h_bucket", {"le": "2.0"}, "Another."]"#,
            r#"["h","h_bucket",["le"],["3.0"]]"#,
            r#"["h","h_bucket",["le"],["4.0"]]"#,
        ];
        let together = pushed(&keys);
        for (key, (part, labels, _)) in keys.iter().zip(&together) {
            let alone = pushed(&[key]);
            assert_eq!((&alone[0].0, &alone[0].1), (part, labels), "{key}");
        }
        let families: Vec<_> = together.iter().map(|(_, _, family)| *family).collect();
        assert_eq!(families, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2]);
    }

    #[test]
    fn a_bound_that_is_none_is_refused_behind_others_as_well() {
        let mut new = NewKeys::default();
        let key = |le: &str| format!(r#"["h", "h_bucket", {{"a": "b", "le": "{le}"}}, ""]"#);
        let mut push =
            |le| new.push(key(le).as_bytes(), Kind::Histogram, 0, 8).map_err(|error| error.reason());
        assert_eq!(push("1"), Ok(()));
        assert_eq!(push("NaN"), Err("bad_bucket_bound"));
        assert_eq!(push("x"), Err("bad_bucket_bound"));
        assert_eq!(push(r#"2", "b": "c"#), Ok(()));
        assert_eq!(new.keys().len(), 2);
    }
}
