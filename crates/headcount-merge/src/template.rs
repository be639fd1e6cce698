//! How a key is spelled but for the values of its labels: most keys differ from the one before in nothing else.

use std::borrow::Cow;
use std::ops::Range;

use headcount_store::peer::Key;
use memchr::memchr;

/// The places of labels in a key.
#[derive(Debug)]
pub(crate) struct Template {
    /// In the order in which they stand there.
    labels: Vec<Label>,
    /// Space for values of the next key, and whether they are other ones.
    values: Vec<(Range<usize>, bool)>,
}

#[derive(Debug)]
struct Label {
    name: Range<usize>,
    value: Range<usize>,
    /// Whether the key before had another value.
    has_changed: bool,
}

impl Template {
    /// Of a key and what it was decoded to. `None` if something is escaped in its labels, or they are in another order.
    pub(crate) fn of(bytes: &[u8], key: &Key<'_>) -> Option<Self> {
        let place = |text: &Cow<'_, str>| {
            let Cow::Borrowed(text) = text else { return None };
            let start = text.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
            let place = start..start.checked_add(text.len())?;
            let quoted = bytes.get(start.checked_sub(1)?..=place.end)?;
            (quoted.starts_with(b"\"") && quoted.ends_with(b"\"")).then_some(place)
        };
        let label = |(name, value): &(_, _)| {
            Some(Label { name: place(name)?, value: place(value)?, has_changed: true })
        };
        let labels: Vec<_> = key.labels.iter().map(label).collect::<Option<_>>()?;
        // Each name behind the value before it: so it keeps its distance from its own.
        let is_in_order = labels.windows(2).all(|pair| pair[0].value.end < pair[1].name.start)
            && labels.iter().all(|label| label.name.end < label.value.start);
        is_in_order.then_some(Self { labels, values: Vec::new() })
    }

    /// Makes it that of another key, if that is spelled as the last one is. `None`, and nothing is changed, if not, or if
    /// there might be more in it than texts that stand for themselves.
    pub(crate) fn fit(&mut self, last: &[u8], bytes: &[u8]) -> Option<()> {
        // Without a branch in it, so that many bytes are compared at once.
        let is_special = |byte: u8| !(b' '..0x7f).contains(&byte) || byte == b'\\';
        if bytes.iter().fold(false, |any, &byte| any | is_special(byte)) {
            return None;
        }
        self.values.clear();
        let (mut rest, mut behind) = (bytes, 0);
        for Label { value, .. } in &self.labels {
            let start = bytes.len() - rest.len() + value.start - behind;
            // Most values are those of the key before.
            if let Some(after) = rest.strip_prefix(&last[behind..=value.end]) {
                self.values.push((start..start + value.len(), false));
                (rest, behind) = (after, value.end + 1);
                continue;
            }
            rest = rest.strip_prefix(&last[behind..value.start])?;
            let len = memchr(b'"', rest)?;
            self.values.push((start..start + len, true));
            (rest, behind) = (&rest[len..], value.end);
        }
        if *rest != last[behind..] {
            return None;
        }
        for (Label { name, value, has_changed }, (new, is_other)) in
            self.labels.iter_mut().zip(self.values.drain(..))
        {
            // As far apart as they were.
            let start = new.start - (value.start - name.start);
            (*name, *value, *has_changed) = (start..start + name.len(), new, is_other);
        }
        Some(())
    }

    /// The names and values in the key, and whether the key before had other values.
    pub(crate) fn labels<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8], bool)> {
        let label = |Label { name, value, has_changed }: &Label| {
            (&bytes[name.clone()], &bytes[value.clone()], *has_changed)
        };
        self.labels.iter().map(label)
    }
}
