//! What a gather has found, as an archive: read again, it merges to the same.
//!
//! Integers and floats are kept apart, as [`totals`](crate::totals) has them, and of a gauge what each way
//! to merge has made of it: a living process may yet declare another mode. Everything stands in the order in which it
//! was found, that of the archive before first: so an archive of the same series has the same descriptions, to the
//! byte, and those whose cells stand side by side in a process's file mostly do so here.

use std::collections::{HashMap, HashSet};

use headcount_store::cell::{Life, encode_gauge};
use headcount_store::format::archive::{ArchiveBuilder, Summed};
use headcount_store::format::family::{Family, Native, Shape};
use headcount_store::format::folded::{Folded, FoldedProcess};
use headcount_store::format::header::Header;
use headcount_store::format::record::TooLong;
use headcount_store::format::source::Source;
use headcount_store::metric::{GaugeMode, Kind};
use headcount_store::process::{Origin, ProcessId, now_nanos};

use crate::exemplars::Exemplars;
use crate::gauge::{GaugeSlot, Gauges};
use crate::index::{FamilyEntry, Index, Sums};
use crate::labels;
use crate::lives::{LifeParts, MergedLives};
use crate::native_buckets::NativeSlot;
use crate::native_totals::NativeTotals;
use crate::process::Processes;
use crate::reading::{ByGauge, Infos};
use crate::tally::Tally;
use crate::totals::{Slot, Totals};

/// Of how many dead processes an archive keeps the values of gauges in the mode `all`.
pub(crate) const KEPT_PROCESSES: usize = 16;

/// The bytes of an archive that stands for `sources`, which the tally has been taken of.
///
/// # Errors
///
/// When a peer's names, labels or bounds are longer than the format has room for.
pub(crate) fn encode(
    index: &Index,
    tally: &Tally,
    sources: &[Source],
    folded: u64,
) -> Result<Vec<u8>, TooLong> {
    let Tally { totals, natives, processes, .. } = tally;
    let merged = |mode: GaugeMode| {
        let mut gauges = Gauges::default();
        gauges.fill(index.gauges(), &tally.gauges, |_| mode, processes);
        gauges
    };
    let gauges = [GaugeMode::Sum, GaugeMode::Min, GaugeMode::Max, GaugeMode::MostRecent].map(merged);
    let mut readings = ByGauge::default();
    readings.fill(&tally.gauges, |family| index.family(family).mode, processes);
    let series = index.series_count();
    let mut merged = MergedLives::default();
    merged.fill(tally.lives.hidden(series, &tally.gauges, processes), &tally.lives, series);
    let lives = LifeParts { merged: &merged, lives: &tally.lives, cells: &tally.gauges, series };
    let (kept, builder) = (Vec::new(), ArchiveBuilder::default());
    let exemplars = &tally.exemplars;
    let mut writer =
        Writer { index, totals, natives, processes, gauges, readings, lives, exemplars, kept, builder };
    writer.keep_newest()?;
    writer.everything()?;
    let header = Header {
        process: ProcessId::default(),
        origin: Origin::default(),
        created: now_nanos(),
        extent_count: 0,
        records_used: 0,
        lost_series: tally.lost.series,
        lost_updates: tally.lost.updates,
        lost_exemplars: tally.lost.exemplars,
        folded,
    };
    Ok(writer.builder.encode(&header, sources))
}

struct Writer<'a> {
    index: &'a Index,
    totals: &'a Totals,
    natives: &'a NativeTotals,
    processes: &'a Processes,
    /// What the sums, the least, the greatest and the latest values of all gauges are.
    gauges: [Gauges; 4],
    /// Of gauges that show each process by itself.
    readings: ByGauge,
    lives: LifeParts<'a>,
    exemplars: &'a Exemplars,
    /// The processes of which single values are kept, and their numbers in the archive.
    kept: Vec<(u32, u16)>,
    builder: ArchiveBuilder,
}

/// A series of a family, to be written in one shape or in several.
struct Described<'a> {
    family: &'a FamilyEntry,
    names: Vec<&'a str>,
    values: Vec<&'a str>,
    life: Life,
}

impl Writer<'_> {
    /// Describes the processes that were buried last, of those that have something to show, and those whose infos
    /// are shown as long as nobody lives.
    fn keep_newest(&mut self) -> Result<(), TooLong> {
        let infos = || self.index.families().iter().filter(|family| family.kind == Kind::Info);
        let info_slots = infos().flat_map(|family| self.index.info_slots(family));
        let info_slots: HashSet<GaugeSlot> = info_slots.map(|(_, slot)| slot).collect();
        let gauges = self.readings.all().iter().filter(|reading| !info_slots.contains(&reading.gauge));
        let mut shown: Vec<u32> = gauges.map(|reading| reading.process).collect();
        shown.sort_unstable_by_key(|&process| (self.processes.get(process).buried, process));
        shown.dedup();
        let mut kept = shown.split_off(shown.len().saturating_sub(KEPT_PROCESSES));
        kept.extend(infos().flat_map(|family| self.infos(family)).map(|(_, process)| process));
        kept.sort_unstable_by_key(|&process| (self.processes.get(process).buried, process));
        kept.dedup();
        for process in kept {
            let known = self.processes.get(process);
            let described = FoldedProcess {
                name: &known.name,
                pid_namespace: known.pid_namespace,
                order: known.life.order(),
                buried: known.buried,
            };
            self.kept.push((process, self.builder.process(&described)?));
        }
        Ok(())
    }

    /// The label sets of an info that are shown as long as nobody lives, and whose each is.
    fn infos(&self, family: &FamilyEntry) -> Vec<(u32, u32)> {
        let Self { index, readings, processes, .. } = self;
        let infos = Infos::of(family, index, readings, processes);
        let slots = index.info_slots(family);
        slots.filter_map(|(series, slot)| Some((series, infos.holder(slot, readings, processes)?))).collect()
    }

    /// All series that the dead have, then the families of which they have none.
    fn everything(&mut self) -> Result<(), TooLong> {
        let index = self.index;
        let infos = index.families().iter().filter(|family| family.kind == Kind::Info);
        let holders: HashMap<u32, u32> = infos.flat_map(|family| self.infos(family)).collect();
        let mut has_series = vec![false; index.families().len()];
        for series in 0..index.series_count() {
            let number = index.series(series).family;
            let family = index.family(number);
            let holder = holders.get(&series).copied();
            if self.is_there(series, family, holder) {
                has_series[number as usize] = true;
                let labels: Vec<_> = labels::decode(index.labels(series)).collect();
                let (names, values) = labels.iter().map(|(name, value)| (&**name, &**value)).unzip();
                let described = Described { family, names, values, life: self.lives.of(series) };
                match holder {
                    Some(process) => self.info(process, &described)?,
                    None => self.series(series, &described)?,
                }
            }
        }
        let has_none = index.families().iter().zip(has_series).filter(|(_, has_series)| !has_series);
        has_none.map(|(family, _)| family).try_for_each(|family| self.alone(family))
    }

    /// Whether the dead have a series. Of an info it is said who is its holder.
    fn is_there(&self, series: u32, family: &FamilyEntry, holder: Option<u32>) -> bool {
        match self.index.series(series).sums {
            Sums::Gauge(_) if family.kind == Kind::Info => holder.is_some(),
            // It is of the living.
            Sums::GaugeHistogram { .. } => false,
            // The dead do not count in live modes.
            Sums::Gauge(slot) => !family.mode.is_live() && self.gauges[0].get(slot).is_some(),
            _ => true,
        }
    }

    /// Help and mode of a family count even where there is no series.
    fn alone(&mut self, family: &FamilyEntry) -> Result<(), TooLong> {
        let shape = match family.kind {
            Kind::Gauge => Shape::Folded(Folded::Gauge(family.mode)),
            Kind::Counter => counter_shape(family),
            Kind::Histogram => Shape::Histogram { bounds: Vec::new() },
            Kind::Summary => Shape::Summary,
            Kind::GaugeHistogram => Shape::GaugeHistogram { bounds: Vec::new() },
            Kind::StateSet => Shape::StateSet { states: Vec::new() },
            Kind::Info => Shape::Info,
        };
        let (names, values, life) = (Vec::new(), Vec::new(), Life::default());
        self.describe(&Described { family, names, values, life }, shape).map(drop)
    }

    fn series(&mut self, series: u32, described: &Described<'_>) -> Result<(), TooLong> {
        match &self.index.series(series).sums {
            &Sums::Gauge(slot) => self.gauge(slot, described),
            Sums::GaugeHistogram { .. } => Ok(()),
            &Sums::One(slot) => self.counter(slot, described),
            &Sums::Summary { sum, count } => self.observed(sum, &[count], described, |floats| {
                if floats { Shape::Folded(Folded::Summary) } else { Shape::Summary }
            }),
            Sums::Histogram { sum, buckets, native } => {
                let (mut bounds, mut slots): (Vec<_>, Vec<_>) = buckets.iter().copied().unzip();
                // The last bound is implied.
                if bounds.last() == Some(&f64::INFINITY) {
                    bounds.pop();
                } else {
                    slots.push(NO_SLOT);
                }
                self.observed(*sum, &slots, described, |floats| {
                    let bounds = bounds.clone();
                    if floats {
                        Shape::Folded(Folded::Histogram { bounds })
                    } else {
                        Shape::Histogram { bounds }
                    }
                })?;
                native.map_or(Ok(()), |native| self.native(native, described))
            }
        }
    }

    fn counter(&mut self, slot: Slot, described: &Described<'_>) -> Result<(), TooLong> {
        let (integer, float) = (self.totals.integer(slot), self.totals.float(slot));
        let shape = counter_shape(described.family);
        let has_integer = shape == Shape::Counter && (integer != 0 || float.0 == 0.0);
        if has_integer {
            self.summed(described, shape.clone(), &[(slot, Summed::Integer(integer))])?;
        }
        if float.0 != 0.0 || !has_integer {
            let shape = if shape == Shape::Counter { Shape::FloatCounter } else { shape };
            self.summed(described, shape, &[(slot, Summed::Float(float.0, float.1))])?;
        }
        Ok(())
    }

    /// What was observed: a sum of floats, and counts that are integers, or floats, or both.
    fn observed(
        &mut self,
        sum: Slot,
        counts: &[Slot],
        described: &Described<'_>,
        shape: impl Fn(bool) -> Shape,
    ) -> Result<(), TooLong> {
        let float = |slot| if slot == NO_SLOT { (0.0, 0.0) } else { self.totals.float(slot) };
        let integer = |slot| if slot == NO_SLOT { 0 } else { self.totals.integer(slot) };
        let to_float = |(sum, rest)| Summed::Float(sum, rest);
        let floats: Vec<_> = counts.iter().map(|&slot| (slot, to_float(float(slot)))).collect();
        let integers: Vec<_> = counts.iter().map(|&slot| (slot, Summed::Integer(integer(slot)))).collect();
        let has_floats = floats.iter().any(|(_, float)| !matches!(float, Summed::Float(0.0, _)));
        let has_integers = integers.iter().any(|&(_, integer)| integer != Summed::Integer(0));
        let mut sum = (sum, to_float(self.totals.float(sum)));
        if has_integers || !has_floats {
            let cells: Vec<_> = std::iter::once(sum).chain(integers).collect();
            self.summed(described, shape(false), &cells)?;
            sum = (sum.0, Summed::Float(0.0, 0.0));
        }
        if has_floats {
            let cells: Vec<_> = std::iter::once(sum).chain(floats).collect();
            self.summed(described, shape(true), &cells)?;
        }
        Ok(())
    }

    fn gauge(&mut self, slot: GaugeSlot, described: &Described<'_>) -> Result<(), TooLong> {
        let [sum, least, greatest, latest] =
            self.gauges.each_ref().map(|gauges| gauges.get(slot).map_or(0, encode_gauge));
        let time = if latest == 0 { 0 } else { self.gauges[3].time(slot).to_bits() };
        let cells = [sum, least, greatest, latest, time];
        let mode = described.family.mode;
        let readings = self.readings.of(slot).iter();
        let shown: Vec<_> = readings
            .filter_map(|reading| {
                let kept = self.kept.iter().find(|(process, _)| *process == reading.process)?;
                Some((kept.1, encode_gauge(reading.value)))
            })
            .collect();
        let family = self.describe(described, Shape::Folded(Folded::Gauge(mode)))?;
        self.builder.shared(family, &described.values, &cells)?;
        for (process, cell) in shown {
            let family = self.describe(described, Shape::Folded(Folded::GaugeOf { mode, process }))?;
            self.builder.shared(family, &described.values, &[cell])?;
        }
        Ok(())
    }

    fn info(&mut self, process: u32, described: &Described<'_>) -> Result<(), TooLong> {
        let Some(&(_, process)) = self.kept.iter().find(|(kept, _)| *kept == process) else { return Ok(()) };
        let family = self.describe(described, Shape::Folded(Folded::InfoOf { process }))?;
        self.builder.shared(family, &described.values, &[])
    }

    /// What a histogram has beside its sum and its buckets with bounds, if it is native.
    fn native(&mut self, native: NativeSlot, described: &Described<'_>) -> Result<(), TooLong> {
        let Some(total) = self.natives.get(native, self.index.natives()) else { return Ok(()) };
        let (declared, buckets) = total.to_table();
        let schema = declared.scale.schema;
        let (keys, counts): (Vec<_>, Vec<_>) = buckets.unzip();
        let cells = [total.sum.covered, total.sum.zero, total.sum.nowhere].into_iter().chain(counts);
        let cells: Vec<_> = cells.map(Summed::Integer).collect();
        let family = self.describe(described, Shape::Folded(Folded::NativeHistogram(declared)))?;
        let first = self.builder.table(family, &described.values, (schema, &keys), &cells, described.life)?;
        // In whose cells they are says only whose they are.
        let exemplars = self.exemplars.of_native(native);
        exemplars.for_each(|exemplar| self.builder.exemplar(&exemplar.of_cell(first + Native::ZERO)));
        Ok(())
    }

    /// Adds a series of sums, each with its slot, and the exemplars that belong to them.
    fn summed(
        &mut self,
        described: &Described<'_>,
        shape: Shape,
        sums: &[(Slot, Summed)],
    ) -> Result<(), TooLong> {
        let family = self.describe(described, shape)?;
        let cells: Vec<_> = sums.iter().map(|&(_, cell)| cell).collect();
        let first = self.builder.summed(family, &described.values, &cells, described.life)?;
        for (&(slot, _), cell) in sums.iter().zip(first..) {
            let exemplar = self.exemplars.get(slot).map(|exemplar| exemplar.of_cell(cell));
            exemplar.iter().for_each(|exemplar| self.builder.exemplar(exemplar));
        }
        Ok(())
    }

    fn describe(&mut self, described: &Described<'_>, shape: Shape) -> Result<u32, TooLong> {
        let FamilyEntry { name, help, unit, .. } = described.family;
        let name = match shape {
            Shape::Folded(Folded::NamedCounter) => name,
            _ => name.strip_suffix(shape.kind().name_suffix()).unwrap_or(name),
        };
        self.builder.family(&Family { name, help, unit, shape, labels: described.names.clone() })
    }
}

/// A bucket that nothing has been added to.
const NO_SLOT: Slot = Slot::MAX;

/// The shape of a counter of integers, or of one whose name has not the usual end: a peer's, of floats.
fn counter_shape(family: &FamilyEntry) -> Shape {
    match family.name.strip_suffix(Kind::Counter.name_suffix()) {
        Some(name) if !name.is_empty() => Shape::Counter,
        _ => Shape::Folded(Folded::NamedCounter),
    }
}
