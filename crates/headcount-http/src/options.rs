//! What a user may choose, whatever the framework.

use std::env;

use headcount::{Buckets, NativeBuckets, Registry};

use crate::exclusion::Exclusion;
use crate::label::{Computed, Label, StatusLabel};
use crate::metric::{Metric, Shape, Spec};
use crate::preset::Preset;

/// What the middleware measures, and how that is called.
///
/// ```
/// use headcount_http::{Label, Metric, Options, StatusLabel};
///
/// let options = Options::new()
///     .prefix("shop")
///     .status(StatusLabel::Class)
///     .label_name(Label::Route, "handler")
///     .constant_label("region", "eu")
///     .with(Metric::FirstByte)
///     .without(Metric::RequestSize)
///     .exclude_path("/internal/*");
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) specs: Vec<Spec>,
    pub(crate) prefix: String,
    pub(crate) label_names: Vec<String>,
    pub(crate) constants: Vec<(String, String)>,
    pub(crate) request_labels: Vec<Computed>,
    pub(crate) response_labels: Vec<Computed>,
    pub(crate) status: StatusLabel,
    pub(crate) unmatched: String,
    pub(crate) exclusion: Exclusion,
    pub(crate) label_sets: usize,
    pub(crate) undeclared_is_empty: bool,
    pub(crate) application: Option<(String, Vec<(String, String)>)>,
    pub(crate) traceparent: bool,
    pub(crate) is_enabled: bool,
    pub(crate) registry: Option<Registry>,
}

/// How many label sets there may be, unless told otherwise.
const LABEL_SETS: usize = 2000;
/// How many values a computed label may have, unless told otherwise.
pub(crate) const LABEL_VALUES: usize = 100;

impl Default for Options {
    fn default() -> Self {
        Self {
            specs: Metric::EVERY.iter().map(|metric| metric.default_spec()).collect(),
            prefix: String::new(),
            label_names: Label::NAMES.map(str::to_owned).to_vec(),
            constants: Vec::new(),
            request_labels: Vec::new(),
            response_labels: Vec::new(),
            status: StatusLabel::Exact,
            unmatched: "unmatched".to_owned(),
            exclusion: Exclusion::default(),
            label_sets: LABEL_SETS,
            undeclared_is_empty: false,
            application: None,
            traceparent: false,
            is_enabled: true,
            registry: None,
        }
    }
}

impl Options {
    /// The default metrics under their conventional names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The metrics of another package under its names, for dashboards that were made for it. Sets names,
    /// labels and buckets; what is called afterwards changes them further.
    #[must_use]
    pub fn preset(mut self, preset: Preset) -> Self {
        preset.apply(&mut self);
        self
    }

    /// Begins the name of every metric with `prefix` and an underscore.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// Switches a metric on.
    #[must_use]
    pub fn with(mut self, metric: Metric) -> Self {
        self.spec(metric).is_on = true;
        self
    }

    /// Switches a metric off.
    #[must_use]
    pub fn without(mut self, metric: Metric) -> Self {
        self.spec(metric).is_on = false;
        self
    }

    /// Switches every metric off, so that those that are wanted can be named.
    #[must_use]
    pub fn without_any(mut self) -> Self {
        self.specs.iter_mut().for_each(|spec| spec.is_on = false);
        self
    }

    /// Switches the metrics of streamed answers on.
    #[must_use]
    pub fn with_streams(self) -> Self {
        [
            Metric::ActiveStreams,
            Metric::StreamChunks,
            Metric::StreamBytes,
            Metric::StreamDuration,
            Metric::StreamFirstChunk,
            Metric::StreamErrors,
        ]
        .into_iter()
        .fold(self, Self::with)
    }

    /// Gives a metric another name, to which the prefix is added.
    #[must_use]
    pub fn name(mut self, metric: Metric, name: &str) -> Self {
        name.clone_into(&mut self.spec(metric).name);
        self
    }

    /// Makes a metric a histogram with these buckets, and with no others. For a metric that counts or is set, does nothing.
    #[must_use]
    pub fn buckets(self, metric: Metric, buckets: Buckets) -> Self {
        self.shape(metric, |_| Shape::Histogram(buckets))
    }

    /// Makes a metric a native histogram, with no buckets with bounds but those that are [declared
    /// beside](NativeBuckets::and_classic). For a metric that counts or is set, does nothing.
    ///
    /// Prometheus is told its buckets in protobuf, by the supervisor's exporter and by an endpoint of a directory; in text
    /// there are its count, its sum, and what it has with bounds.
    ///
    /// ```
    /// use headcount::NativeBuckets;
    /// use headcount_http::{Metric, Options};
    ///
    /// let options = Options::new().native(Metric::Duration, NativeBuckets::with_factor(1.05)?);
    /// # let _ = options;
    /// # Ok::<(), headcount::buckets::BucketError>(())
    /// ```
    #[must_use]
    pub fn native(self, metric: Metric, buckets: NativeBuckets) -> Self {
        self.shape(metric, |_| Shape::Native(buckets))
    }

    /// Makes a metric a [native histogram](Self::native) beside the buckets with bounds that it has, its own or those of a
    /// preset: dashboards that know these go on working.
    #[must_use]
    pub fn and_native(self, metric: Metric, buckets: NativeBuckets) -> Self {
        self.shape(metric, |shape| match shape {
            Shape::Histogram(classic) => Shape::Native(buckets.and_classic(classic)),
            _ => Shape::Native(buckets),
        })
    }

    /// Makes a histogram a summary: its count and sum, without buckets.
    #[must_use]
    pub fn summary(self, metric: Metric) -> Self {
        self.shape(metric, |_| Shape::Summary)
    }

    /// Gives a metric another kind, if it is one of those that observe.
    fn shape(mut self, metric: Metric, change: impl FnOnce(Shape) -> Shape) -> Self {
        let shape = &mut self.spec(metric).shape;
        if shape.is_observed() {
            *shape = change(shape.clone());
        }
        self
    }

    /// Says which labels a metric has. One that has no meaning for it is empty: the status of a request that
    /// is not over, the model of one that is no language model's.
    #[must_use]
    pub fn labels(mut self, metric: Metric, labels: &[Label]) -> Self {
        self.spec(metric).labels = labels.to_vec();
        self
    }

    /// Gives a label another name, on all metrics.
    #[must_use]
    pub fn label_name(mut self, label: Label, name: &str) -> Self {
        name.clone_into(&mut self.label_names[label as usize]);
        self
    }

    /// A label that has the same value on every series.
    #[must_use]
    pub fn constant_label(mut self, name: &str, value: &str) -> Self {
        self.constants.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Says how a status is shown.
    #[must_use]
    pub fn status(mut self, status: StatusLabel) -> Self {
        self.status = status;
        self
    }

    /// The route of all requests that no route matches: `unmatched`, unless told otherwise.
    #[must_use]
    pub fn unmatched(mut self, route: &str) -> Self {
        route.clone_into(&mut self.unmatched);
        self
    }

    /// Leaves out requests that no route matches.
    #[must_use]
    pub fn ignore_unmatched(mut self) -> Self {
        self.exclusion.unmatched = true;
        self
    }

    /// Leaves out requests for this path. A `*` stands for any number of characters.
    ///
    /// `/metrics`, `/health`, `/healthz`, `/livez` and `/readyz` are left out anyway.
    #[must_use]
    pub fn exclude_path(mut self, pattern: &str) -> Self {
        self.exclusion.paths.add(pattern);
        self
    }

    /// Leaves out requests that this route's template matches.
    #[must_use]
    pub fn exclude_route(mut self, route: &str) -> Self {
        self.exclusion.routes.push(route.to_owned());
        self
    }

    /// Leaves out requests with this method.
    #[must_use]
    pub fn exclude_method(mut self, method: &str) -> Self {
        self.exclusion.methods.push(method.to_owned());
        self
    }

    /// Measures requests of this route, and of others that are named so, and leaves out all others.
    #[must_use]
    pub fn only_route(mut self, route: &str) -> Self {
        self.exclusion.only_routes.push(route.to_owned());
        self
    }

    /// Forgets what is left out, the metrics' endpoint and health checks included.
    #[must_use]
    pub fn exclude_nothing(mut self) -> Self {
        self.exclusion = Exclusion::nothing();
        self
    }

    /// How many label sets there may be, 2,000 unless told otherwise: method, route, status and computed
    /// labels in all their combinations. What comes beyond is counted under the route [`OTHER`](crate::OTHER),
    /// for which there is always room.
    #[must_use]
    pub fn label_sets(mut self, most: usize) -> Self {
        self.label_sets = most;
        self
    }

    /// Counts a request whose body declares no length, and one that gets no answer, as of no bytes, as some
    /// packages do. Otherwise such sizes are not observed.
    #[must_use]
    pub fn undeclared_size_is_zero(mut self) -> Self {
        self.undeclared_is_empty = true;
        self
    }

    /// Observes no size of a body that is not there, as some packages do: of most requests with `GET`, of answers without
    /// content. Otherwise it is observed as of no bytes. For a metric that is none of sizes, does nothing.
    #[must_use]
    pub fn ignore_empty(mut self, metric: Metric) -> Self {
        self.spec(metric).ignores_empty = true;
        self
    }

    /// A gauge that is 1 and says in its labels what the application is.
    #[must_use]
    pub fn application_info(mut self, name: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.application = Some((name.to_owned(), labels.collect()));
        self
    }

    /// Keeps the trace of the header `traceparent` as the exemplar of a request's count and durations, if it is sampled.
    /// A function of the application's that finds one goes first.
    ///
    /// The span is that of whoever sent the request: the caller's, or a proxy's. Clients choose what they send, so this
    /// is for servers that are reached through what sets the header anew.
    #[must_use]
    pub fn exemplars_from_traceparent(mut self) -> Self {
        self.traceparent = true;
        self
    }

    /// Does nothing unless this variable is `1` or `true`, in whatever case.
    #[must_use]
    pub fn enabled_by(mut self, variable: &str) -> Self {
        let value = env::var(variable).unwrap_or_default();
        self.is_enabled = value == "1" || value.eq_ignore_ascii_case("true");
        self
    }

    /// Counts in another registry than the default one.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// A label that a framework's crate computes from requests, in the order of these calls.
    #[must_use]
    pub fn request_label(mut self, name: &str, bound: Option<usize>) -> Self {
        let bound = bound.unwrap_or(LABEL_VALUES);
        self.request_labels.push(Computed { name: name.to_owned(), bound });
        self
    }

    /// A label that a framework's crate computes from answers, in the order of these calls.
    #[must_use]
    pub fn response_label(mut self, name: &str, bound: Option<usize>) -> Self {
        let bound = bound.unwrap_or(LABEL_VALUES);
        self.response_labels.push(Computed { name: name.to_owned(), bound });
        self
    }

    pub(crate) fn ignores_empty(&self, metric: Metric) -> bool {
        self.specs[metric as usize].ignores_empty
    }

    pub(crate) fn spec(&mut self, metric: Metric) -> &mut Spec {
        &mut self.specs[metric as usize]
    }
}
