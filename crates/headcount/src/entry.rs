//! An entry of a table of children: a child, and all that its labels are compared by.

use crate::part::{Key, Part};

/// Parts that an entry holds in itself; more are a step away.
const NEAR: usize = 3;

/// A child and its labels.
#[derive(Debug)]
pub(crate) struct Entry<M> {
    near: [Part; NEAR],
    count: u32,
    rest: Option<Box<Rest>>,
    pub(crate) child: M,
}

#[derive(Debug)]
struct Rest {
    far: Box<[Part]>,
    /// The texts of all parts, if one of them is long.
    texts: Box<[Box<str>]>,
}

impl<M> Entry<M> {
    pub(crate) fn new(key: &impl Key, texts: &[&str], child: M) -> Self {
        let (mut near, mut far) = ([Part::default(); NEAR], Vec::new());
        let (mut count, mut long) = (0, false);
        key.parts(|part| {
            match near.get_mut(count) {
                Some(place) => *place = part,
                None => far.push(part),
            }
            count += 1;
            long |= part.is_long();
        });
        let rest = (long || !far.is_empty()).then(|| {
            let texts = if long { texts.iter().copied().map(Box::from).collect() } else { Box::default() };
            Box::new(Rest { far: far.into(), texts })
        });
        Self { near, count: u32::try_from(count).unwrap_or(u32::MAX), rest, child }
    }

    #[inline(always)]
    pub(crate) fn has(&self, key: &impl Key) -> bool {
        let far = self.rest.as_ref().map_or(&[][..], |rest| &rest.far);
        // Without branches: that it is another's entry is rare.
        let (mut at, mut differ) = (0, 0);
        key.parts(|part| {
            let known =
                if at < NEAR { self.near[at] } else { far.get(at - NEAR).copied().unwrap_or_default() };
            differ |= (part.first ^ known.first) | (part.last ^ known.last);
            at += 1;
        });
        differ == 0 && at == self.count as usize && self.rest.as_ref().is_none_or(|rest| rest.has_texts(key))
    }
}

impl Rest {
    fn has_texts(&self, key: &impl Key) -> bool {
        self.texts.is_empty() || key.has_texts(&self.texts)
    }
}

/// The labels of an entry: what it takes to put it into another index.
impl<M> Key for Entry<M> {
    fn parts(&self, visit: impl FnMut(Part)) {
        let far = self.rest.as_ref().map_or(&[][..], |rest| &rest.far);
        self.near.iter().chain(far).take(self.count as usize).copied().for_each(visit);
    }

    fn has_texts(&self, texts: &[Box<str>]) -> bool {
        self.rest.as_ref().is_some_and(|rest| *rest.texts == *texts)
    }
}
