//! What a family's description says: name, help, kind, labels, buckets.

use super::folded::Folded;
use super::record::{Body, FAMILY, TooLong, encode_record, put_text};
use super::{u16_at, u64_at};
use crate::cell::MAX_STATES;
use crate::error::FileError;
use crate::exponential::{Scale, Schema};
use crate::metric::GaugeMode;

pub use super::shape::{Native, Shape};

/// The numbers of shapes with a zero bucket, of which more is to be said.
const NATIVE: u8 = 16;
const FOLDED_NATIVE: u8 = 17;

/// The description of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Family<'a> {
    /// The family's name, without `_total` for counters.
    pub name: &'a str,
    /// The help text.
    pub help: &'a str,
    /// The unit, or nothing.
    pub unit: &'a str,
    /// What its series consist of.
    pub shape: Shape,
    /// The names of its labels.
    pub labels: Vec<&'a str>,
}

impl Family<'_> {
    /// Appends the record of this family to `out`.
    ///
    /// # Errors
    ///
    /// When it is longer than [`MAX_BODY`](super::record::MAX_BODY); `out` is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let (shape, mode, number) = match &self.shape {
            Shape::Counter => (1, 0, 0),
            Shape::FloatCounter => (2, 0, 0),
            Shape::Gauge(mode) => (3, mode_number(*mode), 0),
            Shape::Histogram { .. } => (4, 0, 0),
            Shape::Summary => (5, 0, 0),
            Shape::NativeHistogram(native) => (NATIVE, schema_number(native), native.limit),
            Shape::Folded(Folded::NamedCounter) => (6, 0, 0),
            Shape::Folded(Folded::Gauge(mode)) => (7, mode_number(*mode), 0),
            Shape::Folded(Folded::GaugeOf { mode, process }) => (8, mode_number(*mode), *process),
            Shape::Folded(Folded::Histogram { .. }) => (9, 0, 0),
            Shape::Folded(Folded::Summary) => (10, 0, 0),
            Shape::UpDown(mode) => (11, mode_number(*mode), 0),
            Shape::GaugeHistogram { .. } => (12, 0, 0),
            Shape::Info => (13, 0, 0),
            Shape::StateSet { .. } => (STATE_SET, 0, 0),
            Shape::Folded(Folded::InfoOf { process }) => (15, 0, *process),
            Shape::Folded(Folded::NativeHistogram(native)) => {
                (FOLDED_NATIVE, schema_number(native), native.limit)
            }
        };
        let threshold = self.shape.native().map(|native| native.scale.zero_threshold);
        let (bounds, states) = (self.shape.bounds(), self.shape.states());
        encode_record(FAMILY, out, |body| {
            body.extend([shape, mode]);
            put_len16(body, self.labels.len());
            // No shape has both.
            put_len16(body, bounds.len() + states.len());
            body.extend(number.to_le_bytes());
            for bound in threshold.iter().chain(bounds) {
                body.extend(bound.to_le_bytes());
            }
            let states = states.iter().map(String::as_str);
            let texts = [self.name, self.help, self.unit].into_iter();
            texts.chain(self.labels.iter().copied()).chain(states).for_each(|text| put_text(body, text));
        })
    }
}

/// The number of a shape that has states where others have bounds.
const STATE_SET: u8 = 14;

/// More than 65,535 of anything makes a record longer than [`MAX_BODY`](super::record::MAX_BODY) on its own.
fn put_len16(body: &mut Vec<u8>, len: usize) {
    body.extend(u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
}

fn mode_number(mode: GaugeMode) -> u8 {
    let position = GaugeMode::EVERY.iter().position(|&known| known == mode).unwrap_or(0);
    u8::try_from(position).unwrap_or(0)
}

fn schema_number(native: &Native) -> u8 {
    native.scale.schema.number().cast_unsigned()
}

pub(super) fn decode(mut body: Body<'_>) -> Result<Family<'_>, FileError> {
    let fixed = body.take(8)?;
    let (shape, mode_byte, labels, count) = (fixed[0], fixed[1], u16_at(fixed, 2), u16_at(fixed, 4));
    let number = u16_at(fixed, 6);
    let (bounds, states) = if shape == STATE_SET { (0, count) } else { (count, 0) };
    let zero_threshold = match shape {
        NATIVE | FOLDED_NATIVE => f64::from_bits(u64_at(body.take(8)?, 0)),
        _ => 0.0,
    };
    let bounds = body
        .take(usize::from(bounds) * 8)?
        .chunks_exact(8)
        .map(|bound| f64::from_bits(u64_at(bound, 0)))
        .collect();
    let (name, help, unit) = (body.text()?, body.text()?, body.text()?);
    let labels = (0..labels).map(|_| body.text()).collect::<Result<_, _>>()?;
    let states = (0..states).map(|_| body.text().map(str::to_owned)).collect::<Result<_, _>>()?;
    let mode = || {
        let mode = GaugeMode::EVERY.get(usize::from(mode_byte));
        mode.copied().ok_or_else(|| body.malformed("an unknown gauge mode"))
    };
    let native = |bounds| {
        let schema = Schema::new(mode_byte.cast_signed());
        let schema = schema.ok_or_else(|| body.malformed("an unknown schema of a native histogram"))?;
        if !(0.0..f64::INFINITY).contains(&zero_threshold) {
            return Err(body.malformed("a zero bucket without an end"));
        }
        let bounds = checked_bounds(bounds, &body)?;
        Ok(Native { scale: Scale { schema, zero_threshold }, limit: number, bounds })
    };
    let shape = match shape {
        1 => Shape::Counter,
        2 => Shape::FloatCounter,
        3 => Shape::Gauge(mode()?),
        4 => Shape::Histogram { bounds: checked_bounds(bounds, &body)? },
        5 => Shape::Summary,
        6 => Shape::Folded(Folded::NamedCounter),
        7 => Shape::Folded(Folded::Gauge(mode()?)),
        8 => Shape::Folded(Folded::GaugeOf { mode: mode()?, process: number }),
        9 => Shape::Folded(Folded::Histogram { bounds: checked_bounds(bounds, &body)? }),
        10 => Shape::Folded(Folded::Summary),
        11 => Shape::UpDown(mode()?),
        12 => Shape::GaugeHistogram { bounds: checked_bounds(bounds, &body)? },
        13 => Shape::Info,
        STATE_SET => Shape::StateSet { states: checked_states(states, &body)? },
        15 => Shape::Folded(Folded::InfoOf { process: number }),
        NATIVE => Shape::NativeHistogram(native(bounds)?),
        FOLDED_NATIVE => Shape::Folded(Folded::NativeHistogram(native(bounds)?)),
        _ => return Err(body.malformed("an unknown kind of metric")),
    };
    if name.is_empty() {
        return Err(body.malformed("a family without a name"));
    }
    Ok(Family { name, help, unit, shape, labels })
}

fn checked_bounds(bounds: Vec<f64>, body: &Body<'_>) -> Result<Vec<f64>, FileError> {
    // Not even NaN is below infinity. What is below everything is a bound that a peer's file may have.
    if bounds.iter().all(|&bound| bound < f64::INFINITY) && bounds.is_sorted_by(|a, b| a < b) {
        Ok(bounds)
    } else {
        Err(body.malformed("bucket bounds that are not ascending, or that reach +Inf"))
    }
}

fn checked_states(states: Vec<String>, body: &Body<'_>) -> Result<Vec<String>, FileError> {
    let comes_twice = |(at, state)| states[..at].contains(state);
    if states.len() > MAX_STATES || states.iter().enumerate().any(comes_twice) {
        return Err(body.malformed("a state that comes twice, or more states than there are bits"));
    }
    Ok(states)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::record::{MAX_BODY, Record, Records};
    use super::*;

    pub(crate) fn requests() -> Family<'static> {
        Family {
            name: "http_requests",
            help: "Requests\nanswered",
            unit: "",
            shape: Shape::Counter,
            labels: vec!["method", "code"],
        }
    }

    pub(crate) fn latency() -> Family<'static> {
        Family {
            name: "latency_seconds",
            help: "",
            unit: "seconds",
            shape: Shape::Histogram { bounds: vec![0.1, 1.0, 10.0] },
            labels: vec![],
        }
    }

    pub(crate) fn native() -> Family<'static> {
        let scale = Scale { schema: Schema::MAX, zero_threshold: 0.0 };
        let shape = Shape::NativeHistogram(Native { scale, limit: 160, bounds: vec![] });
        Family { shape, labels: vec!["l"], ..latency() }
    }

    fn read_back(bytes: &[u8]) -> Result<Record<'_>, &'static str> {
        Records::new(bytes).next().unwrap().map_err(|error| error.reason())
    }

    #[test]
    fn every_gauge_mode_survives_the_file() {
        for mode in GaugeMode::EVERY {
            for shape in [Shape::Gauge(mode), Shape::UpDown(mode)] {
                survives(shape);
            }
        }
    }

    fn survives(shape: Shape) {
        let family = Family { shape, ..requests() };
        let mut bytes = Vec::new();
        family.encode(&mut bytes).unwrap();
        assert_eq!(read_back(&bytes), Ok(Record::Family(family)));
    }

    #[test]
    fn what_is_no_number_that_is_set_or_counted_survives_the_file() {
        survives(Shape::Info);
        survives(Shape::GaugeHistogram { bounds: vec![1.0, 2.0] });
        for states in [&[][..], &["off"], &["ready", ""]] {
            survives(Shape::StateSet { states: states.iter().map(|&state| state.into()).collect() });
        }
    }

    #[test]
    fn states_that_have_no_bit_of_their_own_are_refused() {
        let many = (0..=MAX_STATES).map(|n| n.to_string()).collect();
        for states in [many, vec!["a".to_owned(), "a".to_owned()]] {
            let family = Family { shape: Shape::StateSet { states }, ..requests() };
            let mut bytes = Vec::new();
            family.encode(&mut bytes).unwrap();
            assert_eq!(read_back(&bytes), Err("bad_description"));
        }
    }

    #[test]
    fn what_archives_hold_survives_the_file() {
        for folded in [
            Folded::NamedCounter,
            Folded::Gauge(GaugeMode::MostRecent),
            Folded::GaugeOf { mode: GaugeMode::All, process: 300 },
            Folded::Histogram { bounds: vec![f64::NEG_INFINITY, 1.0] },
            Folded::Summary,
            Folded::InfoOf { process: 7 },
        ] {
            survives(Shape::Folded(folded));
        }
    }

    #[test]
    fn a_native_histogram_survives_the_file_and_is_refused_if_it_cannot_be() {
        let encoded = |shape| {
            let (family, mut bytes) = (Family { shape, ..requests() }, Vec::new());
            family.encode(&mut bytes).unwrap();
            (family, bytes)
        };
        let native = |schema, zero_threshold, bounds| {
            let scale = Scale { schema, zero_threshold };
            Native { scale, limit: 160, bounds }
        };
        for schema in [Schema::MIN, Schema::MAX] {
            let folded = Folded::NativeHistogram(native(schema, 0.001, vec![]));
            for shape in [Shape::NativeHistogram(native(schema, 0.0, vec![0.5, 1.0])), Shape::Folded(folded)]
            {
                let (family, bytes) = encoded(shape);
                assert_eq!(read_back(&bytes), Ok(Record::Family(family)));
            }
        }
        for threshold in [-1.0, f64::NAN, f64::INFINITY] {
            let (_, bytes) = encoded(Shape::NativeHistogram(native(Schema::MAX, threshold, vec![])));
            assert_eq!(read_back(&bytes), Err("bad_description"));
        }
        let (_, mut bytes) = encoded(Shape::NativeHistogram(native(Schema::MAX, 0.0, vec![])));
        bytes[super::super::record::HEAD_LEN + 1] = 9;
        assert_eq!(read_back(&bytes), Err("bad_description"));
    }

    #[test]
    fn bounds_that_are_not_ascending_are_refused() {
        for bounds in [vec![2.0, 1.0], vec![1.0, 1.0], vec![f64::NAN], vec![f64::INFINITY]] {
            let family = Family { shape: Shape::Histogram { bounds }, ..latency() };
            let mut bytes = Vec::new();
            family.encode(&mut bytes).unwrap();
            assert_eq!(read_back(&bytes), Err("bad_description"));
        }
    }

    #[test]
    fn a_description_that_is_too_long_leaves_nothing_behind() {
        let help = "x".repeat(MAX_BODY);
        let mut bytes = vec![1, 2, 3];
        let family = Family { help: &help, ..latency() };
        assert!(family.encode(&mut bytes).unwrap_err().len > MAX_BODY);
        assert_eq!(bytes, [1, 2, 3]);
    }
}
