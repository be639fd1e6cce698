//! The flags of pushing metrics to where nobody scrapes them from.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use headcount_push::{
    ClientFiles, Credentials, CredentialsError, Gateway, Group, Header, Label, Receiver, Url,
};

use super::value::duration;
use crate::exporter::{AfterPush, GatewayPush, OtlpPush, Push};

/// Where else than to scrapers the metrics go.
#[derive(Args, Clone, Debug)]
pub struct PushArgs {
    /// Push the merged metrics to this Pushgateway, such as http://gateway:9091, for hosts that nobody can scrape
    #[arg(long = "push.gateway", value_name = "URL")]
    pub gateway: Option<Url>,
    /// Export the merged metrics to this receiver of the OpenTelemetry protocol (OTLP over HTTP), such as
    /// http://collector:4318; without a path, /v1/metrics is meant
    #[arg(long = "push.otlp", value_name = "URL")]
    pub otlp: Option<Url>,
    /// A header for that receiver; repeatable
    #[arg(long = "push.otlp-header", value_name = "NAME=VALUE")]
    pub push_otlp_header: Vec<Header>,
    /// The label `job` of what is pushed, `service.name` for OTLP
    #[arg(long = "push.job", value_name = "NAME", default_value = "headcount", value_parser = job)]
    pub push_job: String,
    /// Another label of what is pushed, which tells it from what others push for this job; repeatable. For OTLP
    /// `instance` is `service.instance.id` [default: instance=<the host's name>]
    #[arg(long = "push.label", value_name = "NAME=VALUE")]
    pub push_label: Vec<Label>,
    /// Believe only receivers whose certificates one of the authorities in this file has signed [default: those that
    /// the system trusts]
    #[arg(long = "push.ca-file", value_name = "FILE")]
    pub push_ca_file: Option<PathBuf>,
    /// Show receivers the certificate in this file …
    #[arg(long = "push.cert-file", value_name = "FILE", requires = "push_key_file")]
    pub push_cert_file: Option<PathBuf>,
    /// … whose private key is in this one
    #[arg(long = "push.key-file", value_name = "FILE", requires = "push_cert_file")]
    pub push_key_file: Option<PathBuf>,
    /// Tell receivers the headers in this file, a NAME=VALUE in each line, such as authorization=Bearer …
    #[arg(long = "push.header-file", value_name = "FILE")]
    pub push_header_file: Option<PathBuf>,
    /// How often to push
    #[arg(long = "push.interval", value_name = "TIME", default_value = "15s", value_parser = interval)]
    pub push_interval: Duration,
    /// What becomes at the end of what a Pushgateway has
    #[arg(long = "push.at-exit", value_name = "WHAT", value_enum, default_value_t)]
    pub push_at_exit: AtExit,
}

/// What becomes of what was pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AtExit {
    /// It is deleted
    #[default]
    Delete,
    /// It is pushed once more, and stays until somebody deletes it
    Keep,
}

impl PushArgs {
    /// What is to be pushed.
    ///
    /// # Errors
    ///
    /// When the files that are needed for it are of no use.
    pub(crate) fn into_push(self) -> Result<Push, CredentialsError> {
        // Whatever becomes of this process's folder.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let client = self.push_cert_file.zip(self.push_key_file);
        let credentials = Credentials {
            ca: self.push_ca_file.map(absolute),
            client: client.map(|(cert, key)| ClientFiles { cert: absolute(cert), key: absolute(key) }),
            headers: self.push_header_file.map(absolute),
        };
        for url in [&self.gateway, &self.otlp].into_iter().flatten() {
            credentials.check(url.is_encrypted())?;
        }
        let mut labels = self.push_label;
        if labels.is_empty() {
            let host = nix::unistd::gethostname().unwrap_or_default();
            labels.extend(Label::new("instance", &host.to_string_lossy()));
        }
        let otlp = self.otlp.map(|url| OtlpPush {
            receiver: Receiver { url, headers: self.push_otlp_header, credentials: credentials.clone() },
            interval: self.push_interval,
            resource: resource(&self.push_job, &labels),
        });
        let gateway = self.gateway.map(|url| GatewayPush {
            gateway: Gateway { url, group: Group { job: self.push_job, labels }, credentials },
            interval: self.push_interval,
            after: match self.push_at_exit {
                AtExit::Delete => AfterPush::Delete,
                AtExit::Keep => AfterPush::Keep,
            },
        });
        Ok(Push { gateway, otlp })
    }
}

/// The attributes of a resource that Prometheus would take for these labels.
fn resource(job: &str, labels: &[Label]) -> Vec<(String, String)> {
    let name = |label| if label == "instance" { "service.instance.id" } else { label };
    let others = labels.iter().map(Label::pair).map(|(label, value)| (name(label), value));
    let all = [("service.name", job)].into_iter().chain(others);
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn job(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("a job has a name".to_owned()) } else { Ok(text.to_owned()) }
}

/// A second at least: what is pushed more often is scraped no more often.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_secs(1) { Err("less than a second".to_owned()) } else { Ok(interval) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_a_second_at_least() {
        assert_eq!(interval("1"), Ok(Duration::from_secs(1)));
        assert_eq!(interval("2m"), Ok(Duration::from_secs(120)));
        assert!(interval("0").is_err() && interval("999ms").is_err() && interval("x").is_err());
    }
}
