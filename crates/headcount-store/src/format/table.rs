//! The table of a native histogram's series: which of its cells stands for which bucket.
//!
//! A table has *places*. What each stands for is the [key](crate::exponential::Key) in a shared cell, which is 0 as
//! long as the place is free, and final afterwards; what it counts is a summed cell. A process that has no place left
//! for another bucket describes a further, coarser table of the same series, and counts there from then on: the
//! series is what all its tables hold together.

use super::record::Body;
use super::u32_at;
use crate::error::FileError;
use crate::exponential::Schema;

/// What a series' record says of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The number of the first key, in the space of the shared cells.
    pub first_key: u32,
    /// How many places there are.
    pub places: u32,
    /// How fine its buckets are.
    pub schema: Schema,
}

/// So many places, and no more, can a table have.
pub const MAX_PLACES: u32 = 1 << 14;

impl Table {
    pub(super) fn encode(self, body: &mut Vec<u8>) {
        for number in [self.first_key, self.places, i32::from(self.schema.number()).cast_unsigned()] {
            body.extend(number.to_le_bytes());
        }
    }

    pub(super) fn decode(body: &mut Body<'_>) -> Result<Self, FileError> {
        let bytes = body.take(12)?;
        let schema = i8::try_from(u32_at(bytes, 8).cast_signed()).ok().and_then(Schema::new);
        let table =
            schema.map(|schema| Self { first_key: u32_at(bytes, 0), places: u32_at(bytes, 4), schema });
        let is_sound =
            |table: &Self| table.places <= MAX_PLACES && table.first_key.checked_add(table.places).is_some();
        table.filter(is_sound).ok_or_else(|| body.malformed("a table that cannot be"))
    }
}
