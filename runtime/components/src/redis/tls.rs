//! TLS to the server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pillion_spi::network::Connection;
use pillion_spi::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::config::Tls;

/// Makes TLS connections to one server name.
pub(super) struct Client {
    settings: Tls,
    base_dir: PathBuf,
    name: ServerName<'static>,
}

impl Client {
    /// Checks the settings, files included.
    pub(super) fn new(settings: &Tls, base_dir: &Path, host: &str) -> Result<Self> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::config("the host in `url` cannot be the name of a TLS server"))?;
        let client = Self { settings: settings.clone(), base_dir: base_dir.to_owned(), name };
        client.connector()?;
        Ok(client)
    }

    /// Wraps a connection.
    ///
    /// The files are read again each time, so that a renewed certificate is used from the next
    /// connection on.
    pub(super) async fn connect(&self, stream: Box<dyn Connection>) -> Result<Box<dyn Connection>> {
        let stream = self.connector()?.connect(self.name.clone(), stream).await;
        let stream = stream.map_err(|error| {
            Error::unavailable("the TLS handshake with the Redis server failed")
                .source(error)
                .advice("check `tls.ca_file` and the host name in `url`, and that the port is the server's TLS port")
        })?;
        Ok(Box::new(stream))
    }

    fn connector(&self) -> Result<TlsConnector> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal("TLS cannot be set up").source(error))?;
        let builder = if self.settings.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAnyone(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let config = match (&self.settings.cert_file, &self.settings.key_file) {
            (Some(cert), Some(key)) => {
                let chain = self.certificates("tls.cert_file", cert)?;
                let key_path = self.base_dir.join(key);
                let key = PrivateKeyDer::from_pem_file(&key_path)
                    .map_err(|error| unreadable("tls.key_file", &key_path, error))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| Error::config("the client's certificate and key cannot be used").source(error))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        match &self.settings.ca_file {
            Some(file) => {
                for certificate in self.certificates("tls.ca_file", file)? {
                    roots.add(certificate).map_err(|error| {
                        Error::config("`tls.ca_file` holds a certificate that is none").source(error)
                    })?;
                }
            }
            None => {
                // Some of a system's certificates may be unusable; it is enough if some are not.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(Error::config("there is no certificate authority to trust").advice("set `tls.ca_file`"));
        }
        Ok(roots)
    }

    fn certificates(&self, setting: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>> {
        let path = self.base_dir.join(file);
        let read = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let certificates = read.map_err(|error| unreadable(setting, &path, error))?;
        if certificates.is_empty() {
            return Err(Error::config(format!("`{setting}`: there is no certificate in {}", path.display())));
        }
        Ok(certificates)
    }
}

fn unreadable(setting: &str, path: &Path, error: rustls::pki_types::pem::Error) -> Error {
    Error::config(format!("`{setting}`: cannot read {}", path.display())).source(error)
}

/// Trusts every certificate; only behind `tls.insecure`.
#[derive(Debug)]
struct TrustAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnyone {
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
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
