//! A receiver of the OpenTelemetry protocol over HTTP, which keeps what it takes. It decodes with `prost`, by the
//! published field numbers, and takes nothing that it cannot decode to the last byte.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use prost::Message;

/// `ExportMetricsServiceRequest`, and all below.
#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct Request {
    #[prost(message, repeated, tag = "1")]
    pub resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct AnyValue {
    #[prost(string, optional, tag = "1")]
    pub string_value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct Metric {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub description: String,
    #[prost(message, optional, tag = "5")]
    pub gauge: Option<Data>,
    #[prost(message, optional, tag = "7")]
    pub sum: Option<Data>,
    #[prost(message, optional, tag = "9")]
    pub histogram: Option<Histograms>,
    #[prost(message, optional, tag = "11")]
    pub summary: Option<Summaries>,
}

/// `Sum`, and `Gauge`, which has the points alone.
#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct Data {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberDataPoint>,
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    pub is_monotonic: bool,
}

#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct NumberDataPoint {
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    #[prost(double, optional, tag = "4")]
    pub as_double: Option<f64>,
    #[prost(sfixed64, optional, tag = "6")]
    pub as_int: Option<i64>,
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct Histograms {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<HistogramDataPoint>,
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
}

#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct HistogramDataPoint {
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    #[prost(double, optional, tag = "5")]
    pub sum: Option<f64>,
    #[prost(fixed64, repeated, tag = "6")]
    pub bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    pub explicit_bounds: Vec<f64>,
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct Summaries {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<SummaryDataPoint>,
}

#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub struct SummaryDataPoint {
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    #[prost(double, tag = "5")]
    pub sum: f64,
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
}

/// Name and value of attributes, in their order.
#[must_use]
pub fn pairs(attributes: &[KeyValue]) -> Vec<(&str, &str)> {
    let value =
        |pair: &'_ KeyValue| pair.value.as_ref().and_then(|any| any.string_value.as_deref()).is_some();
    assert!(attributes.iter().all(value), "{attributes:?}");
    attributes
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.as_ref().unwrap().string_value.as_deref().unwrap()))
        .collect()
}

/// What came with one request.
#[derive(Clone, Debug)]
pub struct Export {
    /// The request line and the headers, in lower case.
    pub head: String,
    /// What it says.
    pub request: Request,
}

impl Export {
    /// A metric by its name.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        let all = self.request.resource_metrics.iter().flat_map(|all| &all.scope_metrics);
        all.flat_map(|scope| &scope.metrics).find(|metric| metric.name == name)
    }

    /// The value of a sum that has one point.
    #[must_use]
    pub fn sum(&self, name: &str) -> Option<i64> {
        self.metric(name)?.sum.as_ref()?.data_points[0].as_int
    }
}

/// A receiver. It listens as long as the test runs.
#[derive(Debug)]
pub struct Receiver {
    /// Where it listens.
    pub address: String,
    taken: Arc<Mutex<Vec<Export>>>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
}

impl Receiver {
    /// Listens on a free port, and gives these answers, from the status code on, before it takes anything.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this process does not fork")]
    pub fn start(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answers: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(answers.iter().copied().collect()));
        let taken: Arc<Mutex<Vec<_>>> = Arc::default();
        let receiver = Self { address, taken: Arc::clone(&taken), answers: Arc::clone(&answers) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(export) = read(&stream) else { continue };
                let answer = answers.lock().unwrap().pop_front();
                let body = answer.unwrap_or("200 OK\r\nContent-Length: 0\r\n\r\n");
                let _ = (&stream).write_all(format!("HTTP/1.1 {body}").as_bytes());
                if body.starts_with("200") {
                    taken.lock().unwrap().push(export);
                }
            }
        });
        receiver
    }

    /// What it has taken so far.
    ///
    /// # Panics
    ///
    /// When it has got what is no request.
    #[must_use]
    pub fn taken(&self) -> Vec<Export> {
        self.taken.lock().unwrap().clone()
    }

    /// Whether all answers have been given that were to be.
    ///
    /// # Panics
    ///
    /// See [`taken`](Self::taken).
    #[must_use]
    pub fn has_refused_all(&self) -> bool {
        self.answers.lock().unwrap().is_empty()
    }
}

/// `None` if the client has gone in the middle of it.
fn read(stream: &TcpStream) -> Option<Export> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let head = head.to_lowercase();
    let len = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    let request = Request::decode(&body[..]).unwrap();
    Some(Export { head, request })
}
