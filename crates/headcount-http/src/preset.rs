//! The names, labels and buckets of other packages.
//!
//! What a package calls a metric is its interface: dashboards and alerts are made for it. Where it labels
//! requests with what clients send, such as the raw path, these do not.

use headcount::Buckets;

use crate::label::{Label, StatusLabel};
use crate::metric::{Metric, few_seconds, fine_seconds, go_seconds, open_telemetry_bytes};
use crate::options::Options;

/// A package whose dashboards are to go on working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// `prometheus-fastapi-instrumentator` 8, as `Instrumentator().instrument(app)` has it.
    FastapiInstrumentator,
    /// `prometheus_flask_exporter` 0.23. Its default label is the raw path; here it is the template, under
    /// the same name. For its `group_by="url_rule"`, rename [`Label::Route`].
    FlaskExporter,
    /// `axum-prometheus` 0.10. Unmatched requests have one constant and not the raw path, durations are to the end of
    /// the body, and a size of answers has a count and a sum, but no quantiles: those of several processes cannot be put
    /// together.
    AxumPrometheus,
    /// OpenTelemetry's semantic conventions for HTTP servers, which are stable, as its exporter for Prometheus spells
    /// them; without the labels `otel_scope_…` of whatever library it was that measured.
    OpenTelemetry,
}

impl Preset {
    pub(crate) fn apply(self, options: &mut Options) {
        let chosen = std::mem::take(options).without_any().with(Metric::Overflow);
        *options = match self {
            Self::FastapiInstrumentator => fastapi_instrumentator(chosen),
            Self::FlaskExporter => flask_exporter(chosen),
            Self::AxumPrometheus => axum_prometheus(chosen),
            Self::OpenTelemetry => open_telemetry(chosen),
        };
    }
}

fn fastapi_instrumentator(options: Options) -> Options {
    use Label::{Method, Route, Status};
    options
        .status(StatusLabel::Class)
        .unmatched("none")
        .label_name(Route, "handler")
        .undeclared_size_is_zero()
        .metric(Metric::Requests, "http_requests_total", &[Method, Status, Route])
        .metric(Metric::RequestSize, "http_request_size_bytes", &[Route])
        .summary(Metric::RequestSize)
        .metric(Metric::ResponseSize, "http_response_size_bytes", &[Route])
        .summary(Metric::ResponseSize)
        .metric(Metric::OverallDuration, "http_request_duration_highr_seconds", &[])
        .buckets(Metric::OverallDuration, fine_seconds())
        .metric(Metric::Duration, "http_request_duration_seconds", &[Method, Route])
        .buckets(Metric::Duration, few_seconds())
        // Off in the package, too, until it is asked for.
        .name(Metric::InFlight, "http_requests_inprogress")
}

fn flask_exporter(options: Options) -> Options {
    use Label::{Method, Route, Status};
    options
        .label_name(Route, "path")
        .metric(Metric::Requests, "flask_http_request_total", &[Method, Status])
        .metric(Metric::Duration, "flask_http_request_duration_seconds", &[Method, Route, Status])
        .metric(Metric::Exceptions, "flask_http_request_exceptions_total", &[Method, Status])
        .metric(Metric::Info, "flask_exporter_info", &[Label::Version])
}

fn axum_prometheus(options: Options) -> Options {
    use Label::{Method, Route, Status};
    options
        .label_name(Route, "endpoint")
        .metric(Metric::Requests, "axum_http_requests_total", &[Method, Status, Route])
        .metric(Metric::Duration, "axum_http_requests_duration_seconds", &[Method, Status, Route])
        .buckets(Metric::Duration, go_seconds())
        .metric(Metric::InFlight, "axum_http_requests_pending", &[Method, Route])
        // Off in the package, too, until it is asked for.
        .name(Metric::ResponseSize, "axum_http_response_body_size")
        .labels(Metric::ResponseSize, &[Method, Route])
        .summary(Metric::ResponseSize)
        .ignore_empty(Metric::ResponseSize)
}

fn open_telemetry(options: Options) -> Options {
    use Label::{ErrorType, Method, Protocol, Route, Scheme, Status};
    let labels = [Method, Route, Status, Scheme, Protocol, ErrorType];
    options
        .unmatched("")
        .label_name(Method, "http_request_method")
        .label_name(Route, "http_route")
        .label_name(Status, "http_response_status_code")
        .label_name(Scheme, "url_scheme")
        .label_name(Protocol, "network_protocol_version")
        .label_name(ErrorType, "error_type")
        .metric(Metric::Duration, "http_server_request_duration_seconds", &labels)
        .buckets(Metric::Duration, Buckets::default())
        .metric(Metric::InFlight, "http_server_active_requests", &[Method, Scheme])
        .metric(Metric::RequestSize, "http_server_request_body_size_bytes", &labels)
        .buckets(Metric::RequestSize, open_telemetry_bytes())
        .ignore_empty(Metric::RequestSize)
        .metric(Metric::ResponseSize, "http_server_response_body_size_bytes", &labels)
        .buckets(Metric::ResponseSize, open_telemetry_bytes())
}

impl Options {
    fn metric(self, metric: Metric, name: &str, labels: &[Label]) -> Self {
        self.with(metric).name(metric, name).labels(metric, labels)
    }
}
