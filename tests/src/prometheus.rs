//! A real Prometheus server, or another one that scrapes and answers as it does.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{http, peers, wait};

/// A Prometheus server of the test's own, stopped at its end.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: String,
    _folder: TempDir,
}

impl Prometheus {
    /// A configuration that scrapes one target every second; with these further lines of the job, four spaces deep.
    #[must_use]
    pub fn config(target: &str, more: &str) -> String {
        Self::config_of([("headcount", target, more)])
    }

    /// A configuration of several jobs: of each its name, its target and further lines.
    #[must_use]
    pub fn config_of<'a, T: AsRef<str>>(jobs: impl IntoIterator<Item = (&'a str, &'a str, T)>) -> String {
        let job = |(name, target, more): (&str, &str, T)| {
            let more = more.as_ref();
            format!("  - job_name: {name}\n{more}    static_configs:\n      - targets: ['{target}']\n")
        };
        let jobs: String = jobs.into_iter().map(job).collect();
        format!("global:\n  scrape_interval: 1s\nscrape_configs:\n{jobs}")
    }

    /// Starts the one that is always there.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start(config: &str) -> Self {
        Self::start_program(&peers::prometheus(), config, &[])
    }

    /// Starts another one, with these further flags.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start_program(program: &Path, config: &str, flags: &[&str]) -> Self {
        Self::start_by(program, config, ["config.file", "storage.tsdb.path", "web.listen-address"], flags)
    }

    /// Starts VictoriaMetrics in its place.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start_victoria(program: &Path, config: &str, flags: &[&str]) -> Self {
        // Not what it thinks is all there, but the newest.
        let flags: Vec<_> = flags.iter().chain(&["--search.latencyOffset=0s"]).copied().collect();
        Self::start_by(program, config, ["promscrape.config", "storageDataPath", "httpListenAddr"], &flags)
    }

    /// Starts a server whose flags for its configuration, its data and its address have these names.
    fn start_by(program: &Path, config: &str, [file, data, listen]: [&str; 3], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let address = free_address();
        let child = Command::new(program)
            .arg(format!("--{file}={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--{data}={}", folder.path().join("data").display()))
            .arg(format!("--{listen}={address}"))
            .args(flags)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address, _folder: folder }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The series of an expression, each with its labels and its value.
    #[must_use]
    pub fn series(&self, expression: &str) -> Vec<(BTreeMap<String, String>, String)> {
        let Some(json) = self.ask(expression) else { return Vec::new() };
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let labels = |one: &serde_json::Value| {
            let labels = one["metric"].as_object().into_iter().flatten();
            labels.map(|(name, value)| (name.clone(), text(value))).collect()
        };
        let series = json["data"]["result"].as_array().into_iter().flatten();
        series.map(|one| (labels(one), text(&one["value"][1]))).collect()
    }

    /// The labels of the exemplars that are stored of the series of an expression.
    #[must_use]
    pub fn exemplars(&self, expression: &str) -> Vec<BTreeMap<String, String>> {
        let path = format!("/api/v1/query_exemplars?query={expression}&start=0&end=9999999999");
        let answer = http::get(&self.address, &path).ok();
        let json: Option<serde_json::Value> =
            answer.and_then(|answer| serde_json::from_slice(&answer.body).ok());
        let Some(json) = json else { return Vec::new() };
        let series = json["data"].as_array().into_iter().flatten();
        let exemplars = series.flat_map(|one| one["exemplars"].as_array().into_iter().flatten());
        exemplars.filter_map(|one| serde_json::from_value(one["labels"].clone()).ok()).collect()
    }

    /// The value of an expression that has one series; `None` as long as there is none.
    #[must_use]
    pub fn query(&self, expression: &str) -> Option<f64> {
        self.ask(expression)?["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    /// What is stored of the one series of a range such as `up[10m]`: when, in seconds, and what.
    #[must_use]
    pub fn samples(&self, range: &str) -> Vec<(f64, f64)> {
        let Some(json) = self.ask(range) else { return Vec::new() };
        let samples = json["data"]["result"][0]["values"].as_array().into_iter().flatten();
        samples.filter_map(|sample| Some((sample[0].as_f64()?, sample[1].as_str()?.parse().ok()?))).collect()
    }

    fn ask(&self, expression: &str) -> Option<serde_json::Value> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = http::get(&self.address, &format!("/api/v1/query?query={encoded}")).ok()?;
        serde_json::from_slice(&answer.body).ok()
    }

    /// Waits until an expression has a value.
    ///
    /// # Panics
    ///
    /// When it never has.
    pub fn wait_for(&self, expression: &str, expected: f64) {
        wait::until_true(format!("{expression} is {expected}"), || self.query(expression) == Some(expected));
    }
}

/// A port that is free at the moment, and that nobody else is likely to take.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
