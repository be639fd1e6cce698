//! The web configuration: who may connect, and how. Its file is that of Prometheus' exporter toolkit.
//!
//! The file is strict: what is not understood, or cannot be done, is an error and never less than was asked for.
//! It is looked at for each connection and each request, together with all files that it names. If any of them
//! has changed, they are read anew; as long as what they say is wrong, nobody gets in.
//!
//! * `file`: what the file says, and `tls`, what that comes to for connections.
//! * `auth`: who a client is, and `rate`, how often it may ask.
//! * `stamp`: whether a file is still the same.

mod auth;
mod file;
mod rate;
mod stamp;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio_rustls::rustls::ServerConfig;

use crate::chain;
use auth::Users;
pub(super) use auth::Verdict;
use rate::RateLimit;
use stamp::Stamps;
pub(super) use tls::HTTP_2;

/// The web configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the web configuration {}", path.display())]
pub struct WebConfigError {
    path: PathBuf,
    source: Reason,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// With the place.
    #[error("{0}")]
    Yaml(String),
    #[error("{0}")]
    Value(String),
    #[error("{what}")]
    Tls { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("TLS cannot be switched on or off without a restart")]
    Switched,
}

/// A configuration, checked and ready for use.
#[derive(Debug, Default)]
pub(super) struct WebConfig {
    tls: Option<Arc<ServerConfig>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    users: Option<Users>,
    rate: Option<RateLimit>,
}

/// The configuration of an exporter, as its file says it at each moment.
#[derive(Debug)]
pub(super) struct Gate {
    path: Option<PathBuf>,
    has_tls: bool,
    current: Mutex<(Stamps, Current)>,
}

type Current = Result<Arc<WebConfig>, Refused>;

/// The configuration is wrong, as the log says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused;

impl Gate {
    /// A gate by the configuration in a file; without one it is open.
    pub(super) fn new(path: Option<&Path>) -> Result<Self, WebConfigError> {
        let (stamps, config) = match path {
            Some(path) => WebConfig::read(path)?,
            None => Default::default(),
        };
        let has_tls = config.tls.is_some();
        Ok(Self {
            path: path.map(Path::to_owned),
            has_tls,
            current: Mutex::new((stamps, Ok(Arc::new(config)))),
        })
    }

    /// Whether connections are encrypted.
    pub(super) fn has_tls(&self) -> bool {
        self.has_tls
    }

    /// What the files say now.
    pub(super) fn current(&self) -> Current {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = self.path.as_deref().filter(|_| current.0.have_changed()) else {
            return current.1.clone();
        };
        *current = match WebConfig::read(path).and_then(|read| self.keep_tls(path, read)) {
            Ok((stamps, config)) => {
                tracing::info!(path = %path.display(), "the web configuration has changed");
                (stamps, Ok(Arc::new(config)))
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "nobody gets in until that is corrected");
                (current.0.taken_anew(), Err(Refused))
            }
        };
        current.1.clone()
    }

    fn keep_tls(
        &self,
        path: &Path,
        read: (Stamps, WebConfig),
    ) -> Result<(Stamps, WebConfig), WebConfigError> {
        if read.1.tls.is_some() == self.has_tls {
            return Ok(read);
        }
        Err(WebConfigError { path: path.to_owned(), source: Reason::Switched })
    }
}

impl WebConfig {
    /// Reads a file and those that it names. What they said is known by when they were written.
    fn read(path: &Path) -> Result<(Stamps, Self), WebConfigError> {
        let mut stamps = Stamps::default();
        let read =
            file::read(path, &mut stamps).map_err(|source| WebConfigError { path: path.to_owned(), source });
        Ok((stamps, read?))
    }

    /// How connections are encrypted.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.clone()
    }

    /// What each answer has beside its own headers.
    pub(super) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.headers.iter().cloned()
    }

    /// Whether a request may be answered.
    pub(super) async fn judge(&self, headers: &HeaderMap) -> Verdict {
        if self.rate.as_ref().is_some_and(|rate| !rate.allows()) {
            return Verdict::TooOften;
        }
        match &self.users {
            Some(users) => users.judge(headers).await,
            None => Verdict::Welcome,
        }
    }
}

/// Whether a file says what can be done; for whoever is to know it before anything is started.
///
/// # Errors
///
/// When it does not.
pub fn check_web_config(path: &Path) -> Result<(), WebConfigError> {
    WebConfig::read(path).map(drop)
}
