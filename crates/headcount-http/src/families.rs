//! The metrics as they are registered, and a series of each for given labels.

use headcount::family::Metric as Cells;
use headcount::{Counter, DynamicFamily, Gauge, GaugeMode, RegisterError, Registry, UpDown};

use crate::error::BuildError;
use crate::label::{Label, MOST_LABELS, Values};
use crate::metric::{Metric, Shape, Spec};
use crate::observer::Observed;
use crate::options::Options;

/// What is registered. A metric that is switched off is `None`.
pub(crate) struct Families {
    pub(crate) requests: Option<Measured<Counter>>,
    pub(crate) duration: Option<Observed>,
    pub(crate) overall_duration: Option<Observed>,
    pub(crate) first_byte: Option<Observed>,
    pub(crate) in_flight: Option<Measured<UpDown>>,
    pub(crate) request_size: Option<Observed>,
    pub(crate) response_size: Option<Observed>,
    pub(crate) exceptions: Option<Measured<Counter>>,
    pub(crate) active_streams: Option<Measured<UpDown>>,
    pub(crate) stream_chunks: Option<Measured<Counter>>,
    pub(crate) stream_bytes: Option<Measured<Counter>>,
    pub(crate) stream_duration: Option<Observed>,
    pub(crate) stream_first_chunk: Option<Observed>,
    pub(crate) stream_errors: Option<Measured<Counter>>,
    pub(crate) tokens: Option<Measured<Counter>>,
    pub(crate) grpc_responses: Option<Measured<Counter>>,
    pub(crate) overflow: Option<Counter>,
}

/// A family, and which labels it has.
pub(crate) struct Measured<M: Cells> {
    children: DynamicFamily<M>,
    labels: Vec<Label>,
    constants: Vec<String>,
    takes_computed: bool,
}

impl Families {
    pub(crate) fn register(options: &Options, registry: Registry) -> Result<Self, BuildError> {
        let plan = Plan { options, registry };
        register_info(&plan)?;
        let overflow = plan.counter(Metric::Overflow)?;
        Ok(Self {
            requests: plan.counter(Metric::Requests)?,
            duration: plan.observed(Metric::Duration)?,
            overall_duration: plan.observed(Metric::OverallDuration)?,
            first_byte: plan.observed(Metric::FirstByte)?,
            in_flight: plan.up_down(Metric::InFlight)?,
            request_size: plan.observed(Metric::RequestSize)?,
            response_size: plan.observed(Metric::ResponseSize)?,
            exceptions: plan.counter(Metric::Exceptions)?,
            active_streams: plan.up_down(Metric::ActiveStreams)?,
            stream_chunks: plan.counter(Metric::StreamChunks)?,
            stream_bytes: plan.counter(Metric::StreamBytes)?,
            stream_duration: plan.observed(Metric::StreamDuration)?,
            stream_first_chunk: plan.observed(Metric::StreamFirstChunk)?,
            stream_errors: plan.counter(Metric::StreamErrors)?,
            tokens: plan.counter(Metric::Tokens)?,
            grpc_responses: plan.counter(Metric::GrpcResponses)?,
            overflow: overflow.map(|family| family.child(&Values::none(), &[])),
        })
    }
}

/// The version of the middleware and what the application is: gauges that are 1 in each process and in the
/// merge.
fn register_info(plan: &Plan<'_>) -> Result<(), BuildError> {
    if let Some(info) = plan.gauge(Metric::Info, GaugeMode::Max)? {
        info.child(&Values::none().with(Label::Version, env!("CARGO_PKG_VERSION")), &[]).set(1.0);
    }
    if let Some((name, labels)) = &plan.options.application {
        let (names, values): (Vec<&str>, Vec<&str>) =
            labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).unzip();
        let help = "What this application is.";
        plan.registry.dynamic_gauge(name, help, GaugeMode::Max, &names)?.with(&values).set(1.0);
    }
    Ok(())
}

/// What is asked for, and where it is to be.
struct Plan<'a> {
    options: &'a Options,
    registry: Registry,
}

impl Plan<'_> {
    /// The metric, if it is on.
    fn spec(&self, metric: Metric) -> Option<&Spec> {
        Some(&self.options.specs[metric as usize]).filter(|spec| spec.is_on)
    }

    fn name(&self, spec: &Spec) -> String {
        match self.options.prefix.as_str() {
            "" => spec.name.clone(),
            prefix => format!("{prefix}_{}", spec.name),
        }
    }

    fn counter(&self, metric: Metric) -> Result<Option<Measured<Counter>>, BuildError> {
        self.register(metric, |name, spec, labels| self.registry.dynamic_counter(name, spec.help, labels))
    }

    fn gauge(&self, metric: Metric, mode: GaugeMode) -> Result<Option<Measured<Gauge>>, BuildError> {
        self.register(metric, |name, spec, labels| self.registry.dynamic_gauge(name, spec.help, mode, labels))
    }

    /// What goes on now: what is dead does nothing.
    fn up_down(&self, metric: Metric) -> Result<Option<Measured<UpDown>>, BuildError> {
        let mode = GaugeMode::LiveSum;
        self.register(metric, |name, spec, labels| {
            self.registry.dynamic_up_down(name, spec.help, mode, labels)
        })
    }

    fn observed(&self, metric: Metric) -> Result<Option<Observed>, BuildError> {
        let (options, registry) = (self.options, self.registry);
        Ok(match &options.specs[metric as usize].shape {
            Shape::Histogram(buckets) => self
                .register(metric, |name, spec, labels| {
                    registry.dynamic_histogram(name, spec.help, buckets, labels)
                })?
                .map(Observed::Histogram),
            Shape::Native(buckets) => self
                .register(metric, |name, spec, labels| {
                    registry.dynamic_native_histogram(name, spec.help, buckets.clone(), labels)
                })?
                .map(Observed::Native),
            _ => self
                .register(metric, |name, spec, labels| registry.dynamic_summary(name, spec.help, labels))?
                .map(Observed::Summary),
        })
    }

    fn register<M: Cells>(
        &self,
        metric: Metric,
        make: impl FnOnce(&str, &Spec, &[&str]) -> Result<DynamicFamily<M>, RegisterError>,
    ) -> Result<Option<Measured<M>>, BuildError> {
        let Some(spec) = self.spec(metric) else { return Ok(None) };
        let Options { label_names, constants, request_labels, response_labels, .. } = self.options;
        let takes_computed = metric.takes_computed_labels();
        let own = spec.labels.iter().map(|label| &label_names[*label as usize]);
        let mut labels: Vec<&str> =
            own.chain(constants.iter().map(|(name, _)| name)).map(String::as_str).collect();
        if takes_computed {
            labels.extend(request_labels.iter().chain(response_labels).map(|label| label.name.as_str()));
        }
        let name = self.name(spec);
        if labels.len() > MOST_LABELS {
            return Err(BuildError::TooManyLabels { name, count: labels.len() });
        }
        let children = make(&name, spec, &labels)?;
        let constants = constants.iter().map(|(_, value)| value.clone()).collect();
        Ok(Some(Measured { children, labels: spec.labels.clone(), constants, takes_computed }))
    }
}

impl<M: Cells> Measured<M> {
    pub(crate) fn has(&self, label: Label) -> bool {
        self.labels.contains(&label)
    }

    /// The series with these values, and those of the computed labels, if it has such.
    pub(crate) fn child(&self, values: &Values<'_>, computed: &[&str]) -> M {
        self.with(&self.values(values, computed))
    }

    /// The series with these values of all its labels.
    pub(crate) fn with(&self, values: &[&str]) -> M {
        self.children.with(values)
    }

    /// The values of all its labels.
    pub(crate) fn values<'a>(&'a self, values: &Values<'a>, computed: &[&'a str]) -> Vec<&'a str> {
        let own = self.labels.iter().map(|label| values.get(*label));
        let mut all: Vec<&str> = own.chain(self.constants.iter().map(String::as_str)).collect();
        if self.takes_computed {
            all.extend(computed);
        }
        all
    }
}

/// The series of one metric, if it is on. Any `M` of [`Cells`] is a small handle.
pub(crate) fn series<M: Cells>(
    family: Option<&Measured<M>>,
    values: &Values<'_>,
    computed: &[&str],
) -> Option<M> {
    family.map(|family| family.child(values, computed))
}

impl Families {
    /// Whether a metric of single requests tells values of this label apart.
    pub(crate) fn tell_apart(&self, label: Label) -> bool {
        let observed = [
            &self.duration,
            &self.overall_duration,
            &self.first_byte,
            &self.request_size,
            &self.response_size,
        ];
        let counted = [&self.requests, &self.exceptions];
        observed.into_iter().flatten().any(|family| family.has(label))
            || counted.into_iter().flatten().any(|family| family.has(label))
            || self.in_flight.as_ref().is_some_and(|family| family.has(label))
    }
}

impl Measured<UpDown> {
    /// Whether all its series are known before there is any request: then it can begin at 0.
    pub(crate) fn has_no_labels(&self) -> bool {
        self.labels.is_empty()
    }
}
