//! Certificates for tests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};

/// An authority of our own, a server certificate for `localhost` and `127.0.0.1`, and a client
/// certificate, as PEM files in one folder.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The certificate of the authority.
    pub authority: PathBuf,
    /// The certificate of the server.
    pub server: PathBuf,
    /// The key of the server.
    pub server_key: PathBuf,
    /// The certificate of a client.
    pub client: PathBuf,
    /// The key of the client.
    pub client_key: PathBuf,
}

impl Certificates {
    /// Makes them in `folder`.
    ///
    /// # Errors
    /// When the folder is not writable.
    pub fn make(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, "Pillion test authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let write = |name: &str, text: String| -> Result<PathBuf> {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("writing {name}"))?;
            Ok(path)
        };
        let issue = |name: &str, subjects: &[&str]| -> Result<(PathBuf, PathBuf)> {
            let key = KeyPair::generate()?;
            let subjects: Vec<String> = subjects.iter().copied().map(str::to_owned).collect();
            let certificate = CertificateParams::new(subjects)?.signed_by(&key, &authority)?;
            Ok((
                write(&format!("{name}.pem"), certificate.pem())?,
                write(&format!("{name}-key.pem"), key.serialize_pem())?,
            ))
        };
        let (server, server_key) = issue("server", &["localhost", "127.0.0.1"])?;
        let (client, client_key) = issue("client", &["client"])?;
        Ok(Self { authority: write("authority.pem", authority.pem())?, server, server_key, client, client_key })
    }
}
