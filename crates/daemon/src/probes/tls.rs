//! TLS for the probes that ask over it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstay_core::Tls;
use mainstay_sys::local::Duplex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_rustls::TlsConnector;

use super::io_in_words;

/// The machine's authorities are read again after this time.
const ROOTS_TIME: Duration = Duration::from_secs(600);
/// The longest file of certificates that is read.
const MAX_FILE: u64 = 4 << 20;
/// What an answer says if the server's certificate was not checked.
pub(super) const UNCHECKED: &str = " (certificate not checked)";

static ROOTS: Mutex<Option<(Instant, Arc<RootCertStore>)>> = Mutex::new(None);

/// Puts TLS over a connection to `host`, which may be an IP address.
pub(super) async fn connect(
    stream: Box<dyn Duplex>,
    host: &str,
    tls: &Tls,
    protocol: &'static [u8],
) -> Result<Box<dyn Duplex>, String> {
    let tls = tls.clone();
    let made = tokio::task::spawn_blocking(move || config(&tls)).await;
    let mut config = made.map_err(|error| error.to_string())??;
    config.alpn_protocols = vec![protocol.to_vec()];
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} cannot be in a certificate"))?;
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(io_in_words(&error)),
    }
}

/// Reads the files anew each time: certificates are renewed while a stack is up.
fn config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &tls.ca {
        _ if tls.insecure => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider.signature_verification_algorithms))),
        Some(file) => builder.with_root_certificates(authorities(file)?),
        None => builder.with_root_certificates(machine_roots()?),
    };
    let (Some(cert), Some(key)) = (&tls.cert, &tls.key) else { return Ok(builder.with_no_client_auth()) };
    let key = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|error| format!("{key} has no private key in PEM: {error}"))?;
    builder
        .with_client_auth_cert(certificates(cert)?, key)
        .map_err(|error| format!("{cert} and its key cannot be used: {error}"))
}

fn read(file: &str) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let told = |error: std::io::Error| format!("cannot read {file}: {}", io_in_words(&error));
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(Path::new(file)).map_err(told)?;
    opened.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("{file} is longer than {} MiB", MAX_FILE >> 20));
    }
    Ok(bytes)
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(format!("{file} has no certificate in PEM")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("{file} is damaged: {error}")),
    }
}

fn authorities(file: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| format!("{file} has a certificate of no use: {error}"))?;
    }
    Ok(roots)
}

fn machine_roots() -> Result<Arc<RootCertStore>, String> {
    let mut kept = ROOTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, roots)) = kept.as_ref().filter(|(read, _)| read.elapsed() < ROOTS_TIME) {
        return Ok(Arc::clone(roots));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(format!("this machine trusts no authority{why}; name one with `ca`"));
    }
    let roots = Arc::new(roots);
    *kept = Some((Instant::now(), Arc::clone(&roots)));
    Ok(roots)
}

/// The same words for what goes wrong in TLS, with what to do about it.
pub(super) fn in_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            CertificateError::UnknownIssuer => {
                "its certificate is of an authority that is not trusted; name the authority with `ca`"
                    .to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("its certificate is for another name: {wrong}")
            }
            other => format!("its certificate is refused: {other}"),
        },
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::HandshakeFailure
            | AlertDescription::BadCertificate,
        ) => "it refuses the handshake; perhaps it wants a client certificate (`cert` and `key`)".to_owned(),
        rustls::Error::AlertReceived(alert) => format!("it refuses the handshake: {alert:?}"),
        rustls::Error::InvalidMessage(_) => "the answer is not TLS".to_owned(),
        other => other.to_string(),
    }
}

/// Takes every certificate, as `insecure` says.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
