//! Who is believed to be a receiver, and how it is told who pushes. All of it is in files, which are read anew for each
//! connection: certificates and tokens are replaced while processes run, and secrets are on no command line.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::header::{HeaderName, HeaderValue};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

use crate::header::{Header, HeaderError};

/// The files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Certificates of the authorities that are believed; without it, those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The client's own certificate, if it shows one.
    pub client: Option<ClientFiles>,
    /// Header lines `NAME=VALUE`, such as `authorization=Bearer …`. Empty lines and those that begin with `#` are
    /// passed over.
    pub headers: Option<PathBuf>,
}

/// A client's certificate with those that lead to its authority, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// The certificates, its own first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What is in the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file has no certificate or key, or a wrong one.
    #[error("cannot use {}", path.display())]
    Pem {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// There is no certificate that could be believed.
    #[error("{what}: no certificate that could be believed")]
    NoRoots {
        /// Where they were looked for.
        what: String,
    },
    /// Certificate and key, or an authority's certificate, are of no use.
    #[error("the certificates cannot be used")]
    Tls(#[source] Error),
    /// A line is no header.
    #[error("{}, line {line}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        source: HeaderError,
    },
}

/// What the files said.
pub(crate) struct Read {
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Credentials {
    /// Whether everything can be used, as it is now.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub fn check(&self, encrypted: bool) -> Result<(), CredentialsError> {
        self.read(encrypted).map(drop)
    }

    pub(crate) fn read(&self, encrypted: bool) -> Result<Read, CredentialsError> {
        let tls = if encrypted { Some(Arc::new(self.client_config()?)) } else { None };
        Ok(Read { tls, headers: self.headers.as_deref().map_or(Ok(Vec::new()), read_headers)? })
    }

    fn client_config(&self) -> Result<ClientConfig, CredentialsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(CredentialsError::Tls)?
            .with_root_certificates(self.roots()?);
        let mut config = match &self.client {
            None => builder.with_no_client_auth(),
            Some(ClientFiles { cert, key }) => {
                let wrong = |source| CredentialsError::Pem { path: key.clone(), source };
                let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(wrong)?;
                builder.with_client_auth_cert(certificates(cert)?, private).map_err(CredentialsError::Tls)?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, CredentialsError> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(CredentialsError::Tls)?;
                }
            }
            // Some of a system's may be too old to be understood. The others serve.
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        if roots.is_empty() {
            let system = || "the system's certificates".to_owned();
            let what = self.ca.as_ref().map_or_else(system, |path| path.display().to_string());
            return Err(CredentialsError::NoRoots { what });
        }
        Ok(roots)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    fs::read(path).map_err(|source| CredentialsError::Unreadable { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    found.map_err(|source| CredentialsError::Pem { path: path.to_owned(), source })
}

fn read_headers(path: &Path) -> Result<Vec<(HeaderName, HeaderValue)>, CredentialsError> {
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(text, line)| match text.trim().parse() {
            Ok(Header { name, value }) => Ok((name, value)),
            Err(source) => Err(CredentialsError::Header { path: path.to_owned(), line, source }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn header_lines_are_read_and_a_wrong_one_is_named_without_what_it_says() {
        let good = written("# Who we are.\n\nauthorization=Bearer a=b\nx-scope = tenant\n");
        let headers = read_headers(good.path()).unwrap_or_default();
        let found: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(found, [("authorization", &b"Bearer a=b"[..]), ("x-scope", b"tenant")]);
        assert!(headers.iter().all(|(_, value)| value.is_sensitive()));
        let bad = written("a=b\nsecret\n");
        let error = read_headers(bad.path()).unwrap_err();
        assert!(error.to_string().ends_with(", line 2"), "{error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }

    #[test]
    fn files_that_are_of_no_use_are_named() {
        let empty = written("");
        let of = |ca: &Path| Credentials { ca: Some(ca.to_owned()), ..Credentials::default() };
        let said = |ca: &Path| of(ca).check(true).unwrap_err().to_string();
        assert!(said(empty.path()).ends_with("no certificate that could be believed"));
        assert_eq!(said(Path::new("/nowhere/ca.pem")), "cannot read /nowhere/ca.pem");
        let odd = written("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
        assert!(said(odd.path()).starts_with("cannot use "));
        assert!(of(empty.path()).check(false).is_ok(), "nobody asks for it");
    }
}
