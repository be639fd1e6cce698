//! How connections are encrypted, and whose certificates are believed.
//!
//! The names of versions, suites and curves are Go's, as in all files of this kind. What rustls does not do is
//! refused: older versions, weaker suites, and certificates that are asked for and not checked.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, IpAddr, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    CertificateError, CipherSuite, DigitallySignedStruct, DistinguishedName, Error, NamedGroup,
    ProtocolVersion, RootCertStore, ServerConfig, SignatureScheme, SupportedCipherSuite,
    SupportedProtocolVersion,
};
use webpki::EndEntityCert;

use super::Reason;
use super::file::TlsSection;

/// What HTTP/2 is called when a connection begins.
pub(in crate::exporter) const HTTP_2: &[u8] = b"h2";

/// Whether a client may speak HTTP/2 if it would rather.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Http2 {
    Allowed,
    Off,
}

/// Certificates and a key, as texts.
pub(super) struct Pems {
    pub(super) cert: String,
    pub(super) key: String,
    pub(super) client_ca: Option<String>,
}

pub(super) fn server_config(
    section: &TlsSection,
    pems: &Pems,
    http2: Http2,
) -> Result<Arc<ServerConfig>, Reason> {
    let provider = Arc::new(provider(section)?);
    let certificates = certificates("tls_server_config: no certificate in cert", &pems.cert)?;
    let key = PrivateKeyDer::from_pem_slice(pems.key.as_bytes())
        .map_err(|source| tls_reason("tls_server_config: no private key in key", source))?;
    let unusable = |source| tls_reason("tls_server_config: it cannot be used", source);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(section)?)
        .map_err(unusable)?;
    let builder = match client_verifier(section, pems, &provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|source| tls_reason("tls_server_config: cert and key cannot be used together", source))?;
    config.ignore_client_order = section.prefer_server_cipher_suites.unwrap_or(true);
    let newer = (http2 == Http2::Allowed).then_some(HTTP_2);
    config.alpn_protocols = newer.into_iter().chain([&b"http/1.1"[..]]).map(<[u8]>::to_vec).collect();
    Ok(Arc::new(config))
}

fn tls_reason(what: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Reason {
    Reason::Tls { what, source: Box::new(source) }
}

fn value(what: String) -> Reason {
    Reason::Value(format!("tls_server_config: {what}"))
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Reason> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err(Reason::Value(what.to_owned())),
        Ok(found) => Ok(found),
        Err(source) => Err(tls_reason(what, source)),
    }
}

/// The versions from the least to the most.
fn versions(section: &TlsSection) -> Result<Vec<&'static SupportedProtocolVersion>, Reason> {
    let number = |name: &str, version: &Option<String>, default| match version.as_deref() {
        None => Ok(default),
        Some("TLS12") => Ok(12),
        Some("TLS13") => Ok(13),
        Some(old @ ("TLS10" | "TLS11")) => Err(value(format!("{name}: {old} is not secure, and not there"))),
        Some(other) => Err(value(format!("{name}: unknown version `{other}`"))),
    };
    let (least, most) =
        (number("min_version", &section.min_version, 12)?, number("max_version", &section.max_version, 13)?);
    if least > most {
        return Err(value("min_version is above max_version".to_owned()));
    }
    let all = [(12, &TLS12), (13, &TLS13)].into_iter();
    Ok(all.filter(|(number, _)| (least..=most).contains(number)).map(|(_, version)| version).collect())
}

/// What is computed with: suites and curves, in the order in which they are preferred.
fn provider(section: &TlsSection) -> Result<CryptoProvider, Reason> {
    let mut provider = ring::default_provider();
    if let Some(names) = section.cipher_suites.as_ref().filter(|names| !names.is_empty()) {
        // As in Go, those of TLS 1.3 are not to choose from.
        let (newest, mut chosen): (Vec<SupportedCipherSuite>, Vec<SupportedCipherSuite>) = provider
            .cipher_suites
            .iter()
            .partition(|suite| suite.version().version == ProtocolVersion::TLSv1_3);
        let numbers = names.iter().map(|name| suite(name)).collect::<Result<Vec<_>, _>>()?;
        let place = |wanted: CipherSuite| numbers.iter().position(|&number| number == wanted);
        chosen.retain(|suite| place(suite.suite()).is_some());
        chosen.sort_by_key(|suite| place(suite.suite()));
        provider.cipher_suites = newest.into_iter().chain(chosen).collect();
    }
    if let Some(names) = section.curve_preferences.as_ref().filter(|names| !names.is_empty()) {
        let group = |name: &String| {
            let wanted = match name.as_str() {
                "CurveP256" => NamedGroup::secp256r1,
                "CurveP384" => NamedGroup::secp384r1,
                "X25519" => NamedGroup::X25519,
                other => {
                    return Err(value(format!(
                        "curve_preferences: there is no {other}, only CurveP256, CurveP384 and X25519"
                    )));
                }
            };
            let all: &[&'static dyn SupportedKxGroup] = ring::ALL_KX_GROUPS;
            all.iter()
                .copied()
                .find(|group| group.name() == wanted)
                .ok_or_else(|| value(format!("there is no {name}")))
        };
        provider.kx_groups = names.iter().map(group).collect::<Result<_, _>>()?;
    }
    Ok(provider)
}

fn suite(name: &str) -> Result<CipherSuite, Reason> {
    Ok(match name {
        "TLS_AES_128_GCM_SHA256" => CipherSuite::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_256_GCM_SHA384" => CipherSuite::TLS13_AES_256_GCM_SHA384,
        "TLS_CHACHA20_POLY1305_SHA256" => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => {
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
        other => {
            return Err(value(format!(
                "cipher_suites: there is no {other}, only ECDHE with AES-GCM or ChaCha20"
            )));
        }
    })
}

/// Who checks the clients' certificates, if anybody does.
fn client_verifier(
    section: &TlsSection,
    pems: &Pems,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Reason> {
    let kind = section.client_auth_type.as_deref().unwrap_or_default();
    let is_required = match kind {
        "" | "NoClientCert" if pems.client_ca.is_some() => {
            return Err(value("a client_ca needs a client_auth_type that checks certificates".to_owned()));
        }
        "" | "NoClientCert" => return Ok(None),
        "VerifyClientCertIfGiven" => false,
        "RequireAndVerifyClientCert" => true,
        "RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert" => {
            return Err(value(format!("client_auth_type: {kind} would check nothing, and is not there")));
        }
        other => return Err(value(format!("client_auth_type: unknown type `{other}`"))),
    };
    let ca = pems.client_ca.as_deref();
    let ca =
        ca.ok_or_else(|| value(format!("client_auth_type: {kind} needs a client_ca or client_ca_file")))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates("tls_server_config: no certificate in client_ca", ca)? {
        roots
            .add(certificate)
            .map_err(|source| tls_reason("tls_server_config: client_ca cannot be used", source))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
    let builder = if is_required { builder } else { builder.allow_unauthenticated() };
    let verifier = builder
        .build()
        .map_err(|source| tls_reason("tls_server_config: client_ca cannot be used", source))?;
    let names = section.client_allowed_sans.as_deref().unwrap_or_default();
    if names.is_empty() {
        return Ok(Some(verifier));
    }
    if let Some(odd) = names.iter().find(|name| name.contains('@') || name.contains("://")) {
        return Err(value(format!("client_allowed_sans: `{odd}` is neither a DNS name nor an address")));
    }
    Ok(Some(Arc::new(NamedClients { verifier, names: names.to_vec() })))
}

/// Clients whose certificates have one of these names, to the letter.
#[derive(Debug)]
struct NamedClients {
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
}

impl NamedClients {
    fn has_name(&self, certificate: &EndEntityCert<'_>) -> bool {
        self.names.iter().any(|name| match name.parse::<std::net::IpAddr>() {
            Ok(address) => {
                let address = ServerName::IpAddress(IpAddr::from(address));
                certificate.verify_is_valid_for_subject_name(&address).is_ok()
            }
            Err(_) => certificate.valid_dns_names().any(|known| known == name),
        })
    }
}

impl ClientCertVerifier for NamedClients {
    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(certificate, intermediates, now)?;
        let parsed = EndEntityCert::try_from(certificate);
        let is_named = parsed.is_ok_and(|parsed| self.has_name(&parsed));
        if is_named { Ok(verified) } else { Err(CertificateError::NotValidForName.into()) }
    }

    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
