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
use crate::sequence::Entries;
use crate::template::Template;

/// Keys of one file, all of them well-formed, in the order of its entries.
#[derive(Debug, Default)]
pub(crate) struct NewKeys {
    keys: Vec<NewKey>,
    families: Vec<NewFamily>,
    /// The keys as they stand in files.
    bytes: Vec<u8>,
    /// The labels of their series, encoded.
    labels: Vec<u8>,
    /// How the last one is spelled.
    template: Option<Template>,
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

    /// Makes room for keys of so many bytes, with those of their values.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
        self.keys.reserve(bytes / Entries::LEN);
    }

    /// Takes the key of the entry at `offset` apart.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub(crate) fn push(&mut self, bytes: &[u8], kind: Kind, hash: u64, offset: u64) -> Result<(), FileError> {
        if self.push_like_last(bytes, kind, hash).is_some() {
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
        self.template = Template::of(bytes, &key);
        let (bytes, client) = (self.keep(bytes), key.client);
        self.keys.push(NewKey { bytes, hash, client, family, labels, part });
        Ok(())
    }

    /// Takes a key that differs from the last one in nothing but the values of labels, as most do.
    fn push_like_last(&mut self, bytes: &[u8], kind: Kind, hash: u64) -> Option<()> {
        let Self { keys, bytes: all, labels: encoded, template, .. } = self;
        let last = keys.last()?;
        let template = template.as_mut()?;
        template.fit(&all[last.bytes.clone()], bytes)?;
        let own = kind.own_label().as_bytes();
        let part = match last.part {
            Part::Bucket(_) => {
                let bound = template.labels(bytes).find(|(name, ..)| *name == own);
                let bound = bound.and_then(|(_, value, _)| parse_bound(std::str::from_utf8(value).ok()?));
                bound.map(Part::Bucket)
            }
            part => Some(part),
        };
        let others = || template.labels(bytes).filter(|(name, ..)| *name != own);
        let labels = if others().any(|(.., has_changed)| has_changed) {
            let start = encoded.len();
            for text in others().flat_map(|(name, value, _)| [name, value]) {
                labels::encode_plain(text, encoded);
            }
            start..encoded.len()
        } else {
            last.labels.clone()
        };
        let (client, family) = (last.client, last.family);
        let Some(part) = part else {
            // The template is this one's by now.
            self.template = None;
            return None;
        };
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
        self.labels_from(start)
    }

    /// Where the labels are that were encoded last.
    fn labels_from(&mut self, start: usize) -> Range<usize> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What becomes of keys that are pushed one after the other: part, labels, name and help text.
    fn pushed(keys: &[&str], kind: Kind) -> Vec<Result<String, &'static str>> {
        let mut new = NewKeys::default();
        let mut push = |key: &&str| {
            new.push(key.as_bytes(), kind, 0, 8).map_err(|error| error.reason())?;
            let NewKey { bytes, client, family, labels, part, .. } = new.keys.last().unwrap();
            assert_eq!(&new.bytes[bytes.clone()], key.as_bytes());
            let (family, labels) = (&new.families[*family], &new.labels[labels.clone()]);
            Ok(format!("{part:?} {client:?} {family:?} {:?}", String::from_utf8_lossy(labels)))
        };
        keys.iter().map(&mut push).collect()
    }

    fn check_alike(keys: &[&str], kind: Kind) {
        let together = pushed(keys, kind);
        for (key, pushed_together) in keys.iter().zip(together) {
            assert_eq!(pushed(&[key], kind), [pushed_together], "{key} of {keys:#?}");
        }
    }

    #[test]
    fn keys_that_differ_in_values_of_labels_are_taken_apart_as_if_they_were_alone() {
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
            r#"["h","h_bucket",["a","le"],["x","4.0"]]"#,
            r#"["h","h_bucket",["a","le"],["long","4.0"]]"#,
        ];
        check_alike(&keys, Kind::Histogram);
        assert!(pushed(&keys, Kind::Histogram).iter().all(Result::is_ok));
    }

    #[test]
    fn keys_of_one_family_share_it_and_buckets_of_one_series_its_labels() {
        let mut new = NewKeys::default();
        for le in ["1.0", "2.0", "+Inf"] {
            let key = format!(r#"["h", "h_bucket", {{"a": "x", "le": "{le}"}}, "Help."]"#);
            new.push(key.as_bytes(), Kind::Histogram, 0, 8).unwrap();
        }
        assert_eq!((new.families.len(), &*new.labels), (1, b"a\0x\0".as_slice()));
    }

    /// Keys of both clients, some of them broken.
    fn any_key() -> impl Strategy<Value = String> {
        let text = || {
            prop::sample::select(vec![
                "a",
                "",
                "x y",
                "é",
                r"\u00e9",
                r#"\""#,
                r#"a", "z": "b"#,
                "1",
                "NaN",
                " 2 ",
                "\t",
                "\u{7f}",
                "\"",
            ])
        };
        let format = prop::sample::select(vec![
            r#"["h", "h_bucket", {"a": "A", "le": "B", "z": "C"}, "Help."]"#,
            r#"["h", "h_bucket", {"a": "A", "le": "1", "le": "B"}, "Help."]"#,
            r#"["h", "h_bucket", {"z": "A", "le": "B", "a": "C"}, "Help."]"#,
            r#"["h", "h_sum", {"a": "A", "z": "C"}, "Help."]"#,
            r#"["h", "h_sum", {"A": "x"}, "Help."]"#,
            r#"["h", "h_count", {}, "A"]"#,
            r#"["h","h_bucket",["a","le"],["A","B"]]"#,
            r#"["h","h_bucket",["le"],["B"]]"#,
            r#"["h","h_bucket",["a","le"],[null,"B"]]"#,
        ]);
        (format, text(), text(), text())
            .prop_map(|(format, a, b, c)| format.replace('A', a).replace('B', b).replace('C', c))
    }

    proptest! {
        #[test]
        fn what_stood_before_a_key_changes_nothing(keys in prop::collection::vec(any_key(), 1..8)) {
            check_alike(&keys.iter().map(|key| &**key).collect::<Vec<_>>(), Kind::Histogram);
        }
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
