//! The descriptions of a file, decoded: the index learns what is described, and the layout where its cells go.

use headcount_store::FileError;
use headcount_store::format::family::{Family, Native, Shape};
use headcount_store::format::folded::Folded;
use headcount_store::format::record::{Record, Records};
use headcount_store::format::table::Table;
use headcount_store::metric::{GaugeMerge, Kind, check_label_name};

use crate::gauge::GaugeSlot;
use crate::gauge_layout::{GaugeContent, Info, States};
use crate::index::{Index, Sums};
use crate::labels;
use crate::layout::Layout;
use crate::native_layout::Covered;
use crate::process::{Life, Process};
use crate::sum_layout::Number;

/// Decodes descriptions, as they stand in a file.
///
/// # Errors
///
/// When they are malformed: the index has then learned nothing.
pub(crate) fn decode(bytes: &[u8], index: &mut Index) -> Result<Layout, FileError> {
    let records = Records::new(bytes).collect::<Result<Vec<_>, _>>()?;
    check(&records)?;
    let mut layout = Layout::default();
    let mut families: Vec<Described> = Vec::new();
    let mut in_order = Vec::new();
    for record in records {
        match record {
            Record::Family(family) => {
                let described = Described::new(&family, index);
                layout.families.push((described.family, family.help.into()));
                if !family.unit.is_empty() {
                    index.add_unit(described.family, family.unit);
                    layout.units.push((described.family, family.unit.into()));
                }
                if let Shape::Gauge(mode)
                | Shape::UpDown(mode)
                | Shape::Folded(Folded::Gauge(mode) | Folded::GaugeOf { mode, .. }) = described.shape
                {
                    layout.modes.push((described.family, mode));
                }
                families.push(described);
            }
            Record::Series { family, first_cell, life, table, values } => {
                in_order.clear();
                in_order.extend(values.iter());
                let described = &mut families[family as usize];
                layout.reach.add(&described.shape, first_cell, life, table);
                let series = described.add_series((first_cell, life), &in_order, index, &mut layout);
                if let Some((series, table)) = series.zip(table) {
                    described.add_table(series, (first_cell, table), index, &mut layout);
                }
            }
            Record::Process(process) => layout.processes.push(Process {
                name: process.name.into(),
                pid_namespace: process.pid_namespace,
                life: Life::Dead(process.order),
                buried: process.buried,
            }),
        }
    }
    layout.records_len = bytes.len();
    Ok(layout)
}

/// What the format does not forbid, and no client of ours writes.
fn check(records: &[Record<'_>]) -> Result<(), FileError> {
    let malformed = |what| FileError::BadDescription { offset: 0, what };
    let mut cells = Vec::new();
    let mut processes = 0;
    for record in records {
        match record {
            Record::Process(_) => processes += 1,
            Record::Family(family) => {
                if let Shape::Folded(Folded::GaugeOf { process, .. } | Folded::InfoOf { process }) =
                    family.shape
                    && usize::from(process) >= processes
                {
                    return Err(malformed("a value of a process that is not described"));
                }
                let reserved = match family.shape.kind() {
                    // Is dropped.
                    Kind::Gauge => "",
                    Kind::StateSet => family.name,
                    kind => kind.own_label(),
                };
                if matches!(family.shape, Shape::StateSet { .. }) && check_label_name(family.name).is_err() {
                    return Err(malformed("a state set that no label can be called after"));
                }
                let mut labels = family.labels.clone();
                labels.sort_unstable();
                if labels.iter().any(|label| label.is_empty() || *label == reserved) {
                    return Err(malformed("a label that this kind cannot have"));
                }
                if labels.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(malformed("a label that comes twice"));
                }
                cells.push(family.shape.cells());
            }
            Record::Series { family, first_cell, table, .. } => {
                let places = table.map_or(0, |table| table.places as usize);
                if *first_cell as usize + cells[*family as usize] + places > u32::MAX as usize {
                    return Err(malformed("a series beyond the last cell"));
                }
            }
        }
    }
    Ok(())
}

/// A family of a file, and the one of the index that it is.
struct Described {
    family: u32,
    name: String,
    shape: Shape,
    /// What its buckets or its count are.
    counted: Number,
    /// The label names, sorted, and where the value of each stands in a series.
    labels: Vec<(String, usize)>,
    encoded: Vec<u8>,
}

impl Described {
    fn new(family: &Family<'_>, index: &mut Index) -> Self {
        let kind = family.shape.kind();
        let suffix = match family.shape {
            Shape::Folded(Folded::NamedCounter) => "",
            _ => kind.name_suffix(),
        };
        let name = format!("{}{suffix}", family.name);
        let interned = index.intern_family(&name, kind);
        index.add_help(interned, family.help);
        // A gauge's `pid` is the merge's to say.
        let kept = |label: &str| kind != Kind::Gauge || label != "pid";
        let mut labels: Vec<_> = family.labels.iter().map(|&label| label.to_owned()).zip(0..).collect();
        labels.retain(|(label, _)| kept(label));
        labels.sort_unstable();
        let shape = family.shape.clone();
        let counted = if matches!(shape, Shape::Folded(_)) { Number::Float } else { Number::Integer };
        Self { family: interned, name, shape, counted, labels, encoded: Vec::new() }
    }

    /// Notes where the cells of a series go: the first one, and its life cell. Returns its number in the index, if it
    /// is one series there.
    fn add_series(
        &mut self,
        (first_cell, life): (u32, Option<u32>),
        values: &[&str],
        index: &mut Index,
        layout: &mut Layout,
    ) -> Option<u32> {
        self.encoded.clear();
        for (name, at) in &self.labels {
            labels::encode(name, &mut self.encoded);
            labels::encode(values[*at], &mut self.encoded);
        }
        let family = self.family;
        if let Shape::StateSet { states } = &self.shape {
            let slots = states.iter().filter_map(|state| self.state(state, index)).collect();
            layout.gauges.add_states(States { family, cell: first_cell, slots });
            return None;
        }
        let series = index.intern_series(family, &self.encoded);
        match (&self.shape, &index.series(series).sums) {
            (Shape::Counter, &Sums::One(slot)) => layout.sums.add(first_cell, slot, Number::Integer),
            (Shape::FloatCounter | Shape::Folded(Folded::NamedCounter), &Sums::One(slot)) => {
                layout.sums.add(first_cell, slot, Number::Float);
            }
            (Shape::Summary | Shape::Folded(Folded::Summary), &Sums::Summary { sum, count }) => {
                layout.sums.add(first_cell, sum, Number::Float);
                layout.sums.add(first_cell + 1, count, self.counted);
            }
            (
                Shape::Histogram { bounds } | Shape::Folded(Folded::Histogram { bounds }),
                &Sums::Histogram { sum, .. },
            ) => {
                layout.sums.add(first_cell, sum, Number::Float);
                for (&bound, cell) in bounds.iter().chain(&[f64::INFINITY]).zip(first_cell + 1..) {
                    layout.sums.add(cell, index.intern_bucket(series, bound), self.counted);
                }
            }
            (Shape::NativeHistogram(native), &Sums::Histogram { sum, .. }) => {
                layout.sums.add(first_cell, sum, Number::Float);
                if !native.bounds.is_empty() {
                    let bounds = native.bounds.iter().chain(&[f64::INFINITY]);
                    for (&bound, cell) in bounds.zip(first_cell + Native::CLASSIC..) {
                        layout.sums.add(cell, index.intern_bucket(series, bound), self.counted);
                    }
                }
            }
            (Shape::GaugeHistogram { bounds }, &Sums::GaugeHistogram { sum, .. }) => {
                layout.add_gauge(family, sum, first_cell, GaugeContent::Value);
                for (&bound, cell) in bounds.iter().chain(&[f64::INFINITY]).zip(first_cell + 1..) {
                    let bucket = index.intern_bucket(series, bound);
                    layout.add_gauge(family, bucket, cell, GaugeContent::Value);
                }
            }
            (Shape::UpDown(_), &Sums::Gauge(slot)) => {
                layout.gauges.add_difference(family, slot, first_cell, life);
            }
            (Shape::Info, &Sums::Gauge(slot)) => {
                layout.gauges.add_info(Info { family, slot, life, of: None });
            }
            (&Shape::Folded(Folded::InfoOf { process }), &Sums::Gauge(slot)) => {
                layout.gauges.add_info(Info { family, slot, life, of: Some(process) });
            }
            (shape, &Sums::Gauge(slot)) => {
                let content = match shape {
                    Shape::Gauge(mode) if mode.merge() == GaugeMerge::MostRecent => {
                        GaugeContent::ValueAndTime
                    }
                    Shape::Folded(Folded::Gauge(_)) => GaugeContent::Folded,
                    Shape::Folded(Folded::GaugeOf { process, .. }) => GaugeContent::Of(*process),
                    _ => GaugeContent::Value,
                };
                layout.add_gauge(family, slot, first_cell, content);
            }
            // The index made the sums for the same kind.
            _ => {}
        }
        // Of what is set, a process that has removed it says nothing.
        if !matches!(index.series(series).sums, Sums::Gauge(_) | Sums::GaugeHistogram { .. }) {
            layout.add_life(series, life);
        }
        Some(series)
    }

    /// Notes where the cells of a table of a native histogram go.
    fn add_table(
        &self,
        series: u32,
        (first_cell, table): (u32, Table),
        index: &mut Index,
        layout: &mut Layout,
    ) {
        let native = index.intern_native(series);
        let Some((native, declared)) = native.zip(self.shape.native()) else { return };
        let is_folded = matches!(self.shape, Shape::Folded(_));
        let covered = match declared.classic_buckets() {
            0 if is_folded => Covered::First,
            0 => Covered::Beyond(index.intern_bucket(series, f64::INFINITY)),
            count => Covered::By(count),
        };
        layout.natives.add((native, declared), first_cell, table, covered);
    }

    /// The slot of a state of the series whose labels are encoded. The label that names it comes last, so that the
    /// states of a series stand side by side, as OpenMetrics wants them.
    fn state(&self, state: &str, index: &mut Index) -> Option<GaugeSlot> {
        let mut encoded = self.encoded.clone();
        labels::encode(&self.name, &mut encoded);
        labels::encode(state, &mut encoded);
        let series = index.intern_series(self.family, &encoded);
        match index.series(series).sums {
            Sums::Gauge(slot) => Some(slot),
            _ => None,
        }
    }
}
