//! The flags of the endpoint, under the names that Prometheus' own exporters have given them.

use std::path::PathBuf;

use clap::Args;

use crate::exporter::TelemetryPath;

/// How metrics are served.
#[derive(Args, Clone, Debug)]
pub struct WebArgs {
    /// Listen at the sockets that systemd has passed (LISTEN_FDS), and at no address; `run` takes those called
    /// `metrics`, and takes them without this flag, too
    #[arg(long = "web.systemd-socket")]
    pub systemd_socket: bool,
    /// The path under which metrics are served
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value_t)]
    pub telemetry_path: TelemetryPath,
    /// How many scrapes may be answered at the same time; 0 for any number
    #[arg(id = "web_max_requests", long = "web.max-requests", value_name = "N", default_value = "100")]
    pub max_requests: usize,
    /// A file that says who may connect, and how: TLS, certificates, passwords, headers, as for all of Prometheus'
    /// exporters [default: none]
    #[arg(id = "web_config", long = "web.config.file", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Have a sample called `_created` for each counter, histogram and summary in OpenMetrics, which says since when
    /// it is. Prometheus stores it as a series, unless it is started with
    /// `--enable-feature=created-timestamp-zero-ingestion`; in protobuf it needs no samples
    #[arg(long = "created-samples")]
    pub created_samples: bool,
}
