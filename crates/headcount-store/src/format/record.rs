//! Records: the descriptions of families and series.
//!
//! A record is eight bytes of head (length of the body, kind, flags) and a body, padded to a multiple
//! of eight. Records are appended, published by the header's mark, and final from then on: a reader
//! decodes each one once. No record crosses from one extent into the next; a filler closes an extent
//! in which the next record finds no room.

use super::family::{self, Family};
use super::folded::FoldedProcess;
use super::table::Table;
use super::u32_at;
use crate::error::FileError;

/// Bytes before a record's body.
pub const HEAD_LEN: usize = 8;
/// The longest body in bytes that a writer makes and a reader accepts.
pub const MAX_BODY: usize = 1 << 18;

/// The number of a cell that is not there.
const NO_CELL: u32 = u32::MAX;

const FILLER: u8 = 0;
pub(super) const FAMILY: u8 = 1;
const SERIES: u8 = 2;
pub(super) const PROCESS: u8 = 3;
/// Set in the flags of a record that a reader which does not know its kind may pass over.
const IGNORABLE: u8 = 1;

/// One decoded record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record<'a> {
    /// A family; families are numbered from 0 in the order in which they appear.
    Family(Family<'a>),
    /// A series of a family that was described before.
    Series {
        /// The family's number.
        family: u32,
        /// The first of its cells, in the space that its family's shape says.
        first_cell: u32,
        /// The number of its [life](crate::cell::Life) cell, in the space of shared cells.
        life: Option<u32>,
        /// Of a native histogram, its table, or one of them: a series may be described several times.
        table: Option<Table>,
        /// Its label values.
        values: Values<'a>,
    },
    /// A process of which an archive keeps single values; numbered from 0 in the order of appearance.
    Process(FoldedProcess<'a>),
}

/// The label values of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Values<'a> {
    /// The length of each, in four bytes.
    lengths: &'a [u8],
    /// All of them, one after the other.
    text: &'a str,
}

impl<'a> Values<'a> {
    /// The values, in the order of the family's label names.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let mut rest = self.text;
        self.lengths.chunks_exact(4).map(move |length| {
            // That the lengths add up was checked when the record was decoded.
            let (value, after) = rest.split_at_checked(u32_at(length, 0) as usize).unwrap_or_default();
            rest = after;
            value
        })
    }

    /// Whether the lengths divide the text, each part of it being text again.
    fn are_sound(self) -> bool {
        let mut at = 0_usize;
        let on_boundary = self.lengths.chunks_exact(4).all(|length| {
            at = at.saturating_add(u32_at(length, 0) as usize);
            self.text.is_char_boundary(at)
        });
        on_boundary && at == self.text.len()
    }
}

/// A description too long to be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name, help, labels or buckets take {len} bytes, more than the {MAX_BODY} that a record can hold"
)]
pub struct TooLong {
    /// The length that the record's body would have, in bytes.
    pub len: usize,
}

/// Appends the record of a series to `out`.
///
/// # Errors
///
/// When it is longer than [`MAX_BODY`]; `out` is then as it was.
pub fn encode_series(
    family: u32,
    first_cell: u32,
    life: Option<u32>,
    table: Option<Table>,
    values: &[&str],
    out: &mut Vec<u8>,
) -> Result<(), TooLong> {
    encode_record(SERIES, out, |body| {
        for number in [family, first_cell, life.unwrap_or(NO_CELL)] {
            body.extend(number.to_le_bytes());
        }
        table.into_iter().for_each(|table| table.encode(body));
        // The lengths first and the texts in one, so that a reader checks one text and not many.
        for value in values {
            body.extend(text_len(value).to_le_bytes());
        }
        values.iter().for_each(|value| body.extend(value.as_bytes()));
    })
}

/// The head of a filler over the last `len` bytes of an extent. `len` is a multiple of eight.
#[must_use]
pub fn filler(len: u64) -> [u8; HEAD_LEN] {
    // An extent is shorter than 4 GiB, and the remainder of one is shorter still.
    head(FILLER, u32::try_from(len - HEAD_LEN as u64).unwrap_or(u32::MAX))
}

fn head(kind: u8, body_len: u32) -> [u8; HEAD_LEN] {
    let [a, b, c, d] = body_len.to_le_bytes();
    [a, b, c, d, kind, 0, 0, 0]
}

pub(super) fn encode_record(
    kind: u8,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>),
) -> Result<(), TooLong> {
    let start = out.len();
    out.extend(head(kind, 0));
    body(out);
    let len = out.len() - start - HEAD_LEN;
    match u32::try_from(len) {
        Ok(body_len) if len <= MAX_BODY => {
            out[start..start + HEAD_LEN].copy_from_slice(&head(kind, body_len));
            out.resize(start + HEAD_LEN + len.next_multiple_of(8), 0);
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(TooLong { len })
        }
    }
}

pub(super) fn put_text(body: &mut Vec<u8>, text: &str) {
    body.extend(text_len(text).to_le_bytes());
    body.extend(text.as_bytes());
}

/// More than 4 GiB of text makes a record longer than [`MAX_BODY`] on its own.
fn text_len(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

/// What the records of a family's series hold.
#[derive(Clone, Copy, Debug)]
struct SeriesForm {
    labels: usize,
    has_table: bool,
}

/// Decodes published records in order.
///
/// After an error it yields nothing more: lengths behind a broken one mean nothing.
#[derive(Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    /// For each family so far, what its series' records hold.
    families: Vec<SeriesForm>,
}

impl<'a> Records<'a> {
    /// The records in `bytes`, the published part of the descriptions.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, families: Vec::new() }
    }

    fn decode_next(&mut self) -> Result<Option<Record<'a>>, FileError> {
        while self.at < self.bytes.len() {
            let offset = self.at as u64;
            let too_far = || FileError::BadLength { offset };
            let head = self.bytes.get(self.at..self.at + HEAD_LEN).ok_or_else(too_far)?;
            let (len, kind, flags) = (u32_at(head, 0) as usize, head[4], head[5]);
            let start = self.at + HEAD_LEN;
            let end = start + len;
            let body = self.bytes.get(start..end).ok_or_else(too_far)?;
            self.at = end.next_multiple_of(8);
            match kind {
                FILLER => {}
                FAMILY => {
                    let family = family::decode(Body { bytes: body, offset })?;
                    let has_table = family.shape.native().is_some();
                    self.families.push(SeriesForm { labels: family.labels.len(), has_table });
                    return Ok(Some(Record::Family(family)));
                }
                SERIES => return self.decode_series(Body { bytes: body, offset }).map(Some),
                PROCESS => {
                    let process = FoldedProcess::decode(Body { bytes: body, offset })?;
                    return Ok(Some(Record::Process(process)));
                }
                _ if flags & IGNORABLE != 0 => {}
                kind => return Err(FileError::UnknownRecord { kind, offset }),
            }
        }
        Ok(None)
    }

    fn decode_series(&self, mut body: Body<'a>) -> Result<Record<'a>, FileError> {
        let family = body.u32()?;
        let first_cell = body.u32()?;
        let life = Some(body.u32()?).filter(|&life| life != NO_CELL);
        let Some(&SeriesForm { labels, has_table }) = self.families.get(family as usize) else {
            return Err(body.malformed("a series of a family that is not described"));
        };
        let table = if has_table { Some(Table::decode(&mut body)?) } else { None };
        let lengths = body.take(labels * 4)?;
        let values = Values { lengths, text: body.rest_as_text()? };
        if !values.are_sound() {
            return Err(body.malformed("label values that do not fit their lengths"));
        }
        Ok(Record::Series { family, first_cell, life, table, values })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.decode_next();
        if next.is_err() {
            self.at = self.bytes.len();
        }
        next.transpose()
    }
}

/// What is left of a record's body.
pub(super) struct Body<'a> {
    bytes: &'a [u8],
    /// Where the record begins.
    offset: u64,
}

impl<'a> Body<'a> {
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], FileError> {
        let (taken, rest) =
            self.bytes.split_at_checked(len).ok_or(FileError::BadLength { offset: self.offset })?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn u32(&mut self) -> Result<u32, FileError> {
        self.take(4).map(|bytes| u32_at(bytes, 0))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, FileError> {
        let len = self.u32()? as usize;
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| FileError::InvalidUtf8 { offset: self.offset })
    }

    fn rest_as_text(&mut self) -> Result<&'a str, FileError> {
        let len = self.bytes.len();
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| FileError::InvalidUtf8 { offset: self.offset })
    }

    pub(super) fn malformed(&self, what: &'static str) -> FileError {
        FileError::BadDescription { offset: self.offset, what }
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::tests::{latency, native, requests};
    use super::super::table::MAX_PLACES;
    use super::*;
    use crate::exponential::Schema;
    use proptest::prelude::*;

    fn log() -> Vec<u8> {
        let mut bytes = Vec::new();
        requests().encode(&mut bytes).unwrap();
        encode_series(0, 7, Some(9), None, &["GET", "200"], &mut bytes).unwrap();
        latency().encode(&mut bytes).unwrap();
        encode_series(1, 8, None, None, &[], &mut bytes).unwrap();
        bytes
    }

    fn reason(bytes: &[u8]) -> &'static str {
        Records::new(bytes).find_map(Result::err).map_or("none", |error| error.reason())
    }

    #[test]
    fn records_are_read_back_as_they_were_written() {
        let bytes = log();
        let records: Vec<_> = Records::new(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(records[0], Record::Family(requests()));
        assert_eq!(records[2], Record::Family(latency()));
        let Record::Series { family: 0, first_cell: 7, life: Some(9), table: None, values } = records[1]
        else {
            panic!("{:?}", records[1]);
        };
        assert_eq!(values.iter().collect::<Vec<_>>(), ["GET", "200"]);
        assert!(matches!(records[3], Record::Series { family: 1, first_cell: 8, life: None, .. }));
        assert_eq!(records.len(), 4);
    }

    #[test]
    fn a_table_is_read_back_with_its_series_and_refused_if_it_cannot_be() {
        let table = |first_key, places, schema| Table { first_key, places, schema };
        let read = |table| {
            let mut bytes = Vec::new();
            native().encode(&mut bytes).unwrap();
            encode_series(0, 5, None, Some(table), &["x"], &mut bytes).unwrap();
            let record = Records::new(&bytes).nth(1).unwrap().map_err(|error| error.reason())?;
            let Record::Series { first_cell: 5, table, values, .. } = record else { panic!("{record:?}") };
            assert_eq!(values.iter().collect::<Vec<_>>(), ["x"]);
            Ok(table)
        };
        for sound in [table(7, 256, Schema::MIN), table(0, MAX_PLACES, Schema::MAX)] {
            assert_eq!(read(sound), Ok(Some(sound)));
        }
        for odd in [table(u32::MAX, 1, Schema::MAX), table(0, MAX_PLACES + 1, Schema::MAX)] {
            assert_eq!(read(odd), Err("bad_description"));
        }
    }

    #[test]
    fn a_filler_is_passed_over() {
        let mut bytes = filler(32).to_vec();
        bytes.resize(32, 0xee);
        latency().encode(&mut bytes).unwrap();
        assert_eq!(Records::new(&bytes).count(), 1);
    }

    #[test]
    fn a_kind_of_a_newer_release_is_passed_over_if_it_says_so() {
        let mut bytes = vec![0, 0, 0, 0, 77, IGNORABLE, 0, 0];
        latency().encode(&mut bytes).unwrap();
        assert_eq!(Records::new(&bytes).count(), 1);
        bytes[5] = 0;
        assert_eq!(reason(&bytes), "unknown_record");
    }

    #[test]
    fn malformed_records_are_refused_with_their_reason() {
        let mut beyond = log();
        beyond[0] = 0xff;
        beyond[2] = 0xff;
        assert_eq!(reason(&beyond), "bad_length");
        assert_eq!(reason(&log()[..20]), "bad_length");
        let mut stranger = Vec::new();
        encode_series(3, 0, None, None, &[], &mut stranger).unwrap();
        assert_eq!(reason(&stranger), "bad_description");
        let mut too_many = log();
        encode_series(1, 0, None, None, &["x"], &mut too_many).unwrap();
        assert_eq!(reason(&too_many), "bad_description");
        let mut not_text = log();
        let at = not_text.windows(3).position(|window| window == b"GET").unwrap();
        not_text[at] = 0xff;
        assert_eq!(reason(&not_text), "invalid_utf8");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(noise in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..300) {
            let mut bytes = log();
            native().encode(&mut bytes).unwrap();
            let table = Table { first_key: 1, places: 2, schema: Schema::MAX };
            encode_series(2, 9, Some(8), Some(table), &["x"], &mut bytes).unwrap();
            let at = at.min(bytes.len());
            let end = bytes.len().min(at + noise.len());
            bytes.splice(at..end, noise);
            for record in Records::new(&bytes).flatten() {
                if let Record::Series { values, .. } = record {
                    values.iter().for_each(drop);
                }
            }
        }
    }
}
