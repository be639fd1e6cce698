//! The metrics that there are, and what each is unless told otherwise.

use headcount::{Buckets, NativeBuckets};

use crate::label::Label;

/// A metric of the middleware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Requests that are over, by how they ended.
    Requests,
    /// Seconds from a request's arrival to the end of its answer's body.
    Duration,
    /// The same without labels, for buckets that would be too many for each route.
    OverallDuration,
    /// Seconds from a request's arrival to the head of its answer.
    FirstByte,
    /// Requests that have arrived and are not over.
    InFlight,
    /// Bytes of the request's body: as it declares them, else as they are read.
    RequestSize,
    /// Bytes of the answer's body that were handed on.
    ResponseSize,
    /// Panics, errors of services and bodies, and what handlers report.
    Exceptions,
    /// 1, with the version of the middleware.
    Info,
    /// Streamed answers that are not over. An answer is streamed if its length is not known at its head.
    ActiveStreams,
    /// Pieces of streamed answers.
    StreamChunks,
    /// Bytes of streamed answers.
    StreamBytes,
    /// Seconds from the head of a streamed answer to its end.
    StreamDuration,
    /// Seconds from a request's arrival to the first piece of its streamed answer.
    StreamFirstChunk,
    /// Streamed answers that broke off: by an error, a panic, or a client that went away.
    StreamErrors,
    /// Tokens that language models have read and written, as handlers report them.
    Tokens,
    /// Answers of gRPC, by the status in their trailers or head.
    GrpcResponses,
    /// Requests that were counted under another label set, because there were as many as may be.
    Overflow,
}

/// What a metric is made of.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) is_on: bool,
    pub(crate) name: String,
    pub(crate) help: &'static str,
    pub(crate) shape: Shape,
    pub(crate) labels: Vec<Label>,
    /// Whether the size of a body that is empty is not observed.
    pub(crate) ignores_empty: bool,
}

/// The kind of a metric.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Counter,
    Gauge,
    Histogram(Buckets),
    Native(NativeBuckets),
    Summary,
}

impl Shape {
    /// Whether it is of what is observed, so that users may choose how.
    pub(crate) fn is_observed(&self) -> bool {
        matches!(self, Self::Histogram(_) | Self::Native(_) | Self::Summary)
    }
}

impl Metric {
    /// Every metric, in the order of their numbers.
    pub const EVERY: [Self; 18] = [
        Self::Requests,
        Self::Duration,
        Self::OverallDuration,
        Self::FirstByte,
        Self::InFlight,
        Self::RequestSize,
        Self::ResponseSize,
        Self::Exceptions,
        Self::Info,
        Self::ActiveStreams,
        Self::StreamChunks,
        Self::StreamBytes,
        Self::StreamDuration,
        Self::StreamFirstChunk,
        Self::StreamErrors,
        Self::Tokens,
        Self::GrpcResponses,
        Self::Overflow,
    ];

    /// Whether it is about a single request, so that labels that are computed from requests belong to it.
    pub(crate) fn takes_computed_labels(self) -> bool {
        matches!(
            self,
            Self::Requests | Self::Duration | Self::FirstByte | Self::RequestSize | Self::ResponseSize
        )
    }

    pub(crate) fn default_spec(self) -> Spec {
        use Label::{Method, Route, Status};
        let (name, help) = self.describe();
        let (shape, labels): (_, &[Label]) = match self {
            Self::Requests => (Shape::Counter, &[Method, Route, Status]),
            Self::Duration => (Shape::Histogram(Buckets::default()), &[Method, Route, Status]),
            Self::OverallDuration => (Shape::Histogram(fine_seconds()), &[]),
            Self::FirstByte => (Shape::Histogram(Buckets::default()), &[Method, Route]),
            Self::InFlight => (Shape::Gauge, &[]),
            Self::RequestSize | Self::ResponseSize => (Shape::Histogram(bytes()), &[Method, Route]),
            Self::Exceptions => (Shape::Counter, &[Method, Route, Status, Label::Exception]),
            Self::Info => (Shape::Gauge, &[Label::Version]),
            Self::ActiveStreams => (Shape::Gauge, &[Route]),
            Self::StreamChunks | Self::StreamBytes | Self::StreamErrors => (Shape::Counter, &[Route]),
            Self::StreamDuration | Self::StreamFirstChunk => (Shape::Histogram(long_seconds()), &[Route]),
            Self::Tokens => (Shape::Counter, &[Route, Label::Model, Label::TokenKind]),
            Self::GrpcResponses => (Shape::Counter, &[Route, Label::GrpcStatus]),
            Self::Overflow => (Shape::Counter, &[]),
        };
        Spec {
            is_on: self.is_on_by_default(),
            name: name.to_owned(),
            help,
            shape,
            labels: labels.to_vec(),
            ignores_empty: false,
        }
    }

    fn is_on_by_default(self) -> bool {
        matches!(
            self,
            Self::Requests
                | Self::Duration
                | Self::InFlight
                | Self::RequestSize
                | Self::ResponseSize
                | Self::Exceptions
                | Self::Info
                | Self::Overflow
        )
    }

    fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Requests => ("http_requests_total", "Requests that are over."),
            Self::Duration => (
                "http_request_duration_seconds",
                "Seconds from a request's arrival to the end of its answer.",
            ),
            Self::OverallDuration => (
                "http_request_duration_highr_seconds",
                "Seconds from a request's arrival to the end of its answer, of all requests.",
            ),
            Self::FirstByte => (
                "http_request_time_to_first_byte_seconds",
                "Seconds from a request's arrival to the head of its answer.",
            ),
            Self::InFlight => ("http_requests_in_flight", "Requests that have arrived and are not over."),
            Self::RequestSize => ("http_request_size_bytes", "Bytes of the requests' bodies."),
            Self::ResponseSize => ("http_response_size_bytes", "Bytes of the answers' bodies."),
            Self::Exceptions => {
                ("http_exceptions_total", "Panics and errors while requests were answered, by type.")
            }
            Self::Info => ("http_exporter_info", "The version of the middleware."),
            Self::ActiveStreams => ("http_streams_active", "Streamed answers that are not over."),
            Self::StreamChunks => ("http_stream_chunks_total", "Pieces of streamed answers."),
            Self::StreamBytes => ("http_stream_bytes_total", "Bytes of streamed answers."),
            Self::StreamDuration => {
                ("http_stream_duration_seconds", "Seconds from the head of a streamed answer to its end.")
            }
            Self::StreamFirstChunk => (
                "http_stream_time_to_first_chunk_seconds",
                "Seconds from a request's arrival to the first piece of its streamed answer.",
            ),
            Self::StreamErrors => ("http_stream_errors_total", "Streamed answers that broke off."),
            Self::Tokens => ("http_token_usage_total", "Tokens that language models have read and written."),
            Self::GrpcResponses => ("grpc_responses_total", "Answers of gRPC, by their status."),
            Self::Overflow => (
                "http_label_overflow_total",
                "Requests that were counted under other labels, because there were too many label sets.",
            ),
        }
    }
}

/// Bounds that are made of constants, and checked by a test.
fn buckets(bounds: &[f64]) -> Buckets {
    Buckets::new(bounds.iter().copied()).unwrap_or_default()
}

/// From 100 bytes to 10 megabytes, as `promhttp`'s users know them.
fn bytes() -> Buckets {
    buckets(&[100.0, 1e3, 1e4, 1e5, 1e6, 1e7])
}

/// The defaults of OpenTelemetry's SDKs, which are what sizes have: its conventions name no bounds for them.
pub(crate) fn open_telemetry_bytes() -> Buckets {
    buckets(&[0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1e3, 2.5e3, 5e3, 7.5e3, 1e4])
}

/// Streams last longer than requests.
fn long_seconds() -> Buckets {
    buckets(&[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0])
}

/// Those of `prometheus-fastapi-instrumentator` for its metric of many buckets.
pub(crate) fn fine_seconds() -> Buckets {
    buckets(&[
        0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 7.5,
        10.0, 30.0, 60.0,
    ])
}

/// Those of Prometheus' Go client.
pub(crate) fn go_seconds() -> Buckets {
    buckets(&[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

/// Those of `prometheus-fastapi-instrumentator` for each route.
pub(crate) fn few_seconds() -> Buckets {
    buckets(&[0.1, 0.5, 1.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_own_number_and_name() {
        for (at, metric) in Metric::EVERY.into_iter().enumerate() {
            assert_eq!(metric as usize, at, "{metric:?}");
            let name = metric.describe().0;
            assert_eq!(Metric::EVERY.iter().filter(|other| other.describe().0 == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn bounds_are_those_that_are_written_here() {
        let lens =
            [bytes(), open_telemetry_bytes(), long_seconds(), fine_seconds(), go_seconds(), few_seconds()]
                .map(|buckets| buckets.bounds().len());
        assert_eq!(lens, [6, 15, 13, 21, 11, 3]);
    }
}
