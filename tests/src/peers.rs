//! The real peers, where `tests/run` has put them.

use std::path::PathBuf;
use std::process::Command;

use crate::binary::workspace;

/// The folder of the peers.
#[must_use]
pub fn folder() -> PathBuf {
    std::env::var_os("HEADCOUNT_PEERS").map_or_else(|| workspace().join("target/peers"), PathBuf::from)
}

fn peer(path: &str) -> PathBuf {
    let found = folder().join(path);
    assert!(found.exists(), "{} is missing: run tests/run, which installs the peers", found.display());
    found
}

/// Python with the newest client, Gunicorn, Flask and the like.
#[must_use]
pub fn python() -> PathBuf {
    peer("python/bin/python")
}

/// Python with FastAPI, Flask and the packages that instrument them.
#[must_use]
pub fn instrumented_python() -> PathBuf {
    peer("instrumentation/bin/python")
}

/// Python with FastAPI and what OpenTelemetry measures of it.
#[must_use]
pub fn opentelemetry_python() -> PathBuf {
    peer("opentelemetry/bin/python")
}

/// An application with `axum-prometheus`.
#[must_use]
pub fn axum_prometheus() -> PathBuf {
    peer("rust/bin/axum-prometheus")
}

/// Python with a client that speaks HTTP/2.
#[must_use]
pub fn http2_python() -> PathBuf {
    peer("http2/bin/python")
}

/// Python with another release of its client, such as `0.17.1`.
///
/// # Panics
///
/// When it is not installed.
#[must_use]
pub fn python_with(release: &str) -> Command {
    let mut command = Command::new(python());
    command.env("PYTHONPATH", peer(&format!("prometheus_client-{release}")));
    command
}

/// The source distribution of Python's client, with its tests.
#[must_use]
pub fn python_sources() -> PathBuf {
    peer("prometheus_client-src")
}

/// A Prometheus server.
#[must_use]
pub fn prometheus() -> PathBuf {
    peer("debian/usr/bin/prometheus")
}

/// Prometheus servers of later releases of Debian, as far as they were to be had: what each is called, and where it is.
#[must_use]
pub fn newer_prometheuses() -> Vec<(&'static str, PathBuf)> {
    let found =
        ["trixie", "sid"].map(|suite| (suite, folder().join(format!("debian-{suite}/usr/bin/prometheus"))));
    found.into_iter().filter(|(_, path)| path.exists()).collect()
}

/// VictoriaMetrics.
#[must_use]
pub fn victoria() -> PathBuf {
    peer("victoria-system/usr/bin/victoria-metrics")
}

/// VictoriaMetrics of a later release of Debian, which is a receiver of OTLP as well; `None` if it was not to be had.
#[must_use]
pub fn newer_victoria() -> Option<PathBuf> {
    Some(folder().join("victoria-trixie/usr/bin/victoria-metrics")).filter(|path| path.exists())
}

/// Prometheus' tool that checks expositions.
#[must_use]
pub fn promtool() -> PathBuf {
    peer("debian/usr/bin/promtool")
}

/// A Pushgateway.
#[must_use]
pub fn pushgateway() -> PathBuf {
    peer("debian/usr/bin/prometheus-pushgateway")
}

/// `wrk` with its library beside it; `None` if it is not installed.
#[must_use]
pub fn wrk() -> Option<Command> {
    let program = folder().join("wrk/usr/bin/wrk");
    let architectures = folder().join("wrk/usr/lib").read_dir().ok()?.filter_map(Result::ok);
    let libraries: Vec<PathBuf> = architectures.map(|architecture| architecture.path()).collect();
    let mut command = Command::new(&program);
    command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).ok()?);
    program.exists().then_some(command)
}
