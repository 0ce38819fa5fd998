//! A certificate authority and what it signs: the API server, and someone who may do everything.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Files by their name.
pub(crate) struct Certificates(Vec<(&'static str, String)>);

impl Certificates {
    pub(crate) fn generate() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);

        let mut server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (server, server_key) = sign(&server, &issuer);

        let mut admin = CertificateParams::default();
        admin.distinguished_name.push(DnType::CommonName, "admin");
        // The group that RBAC lets do everything.
        admin.distinguished_name.push(DnType::OrganizationName, "system:masters");
        admin.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (admin, admin_key) = sign(&admin, &issuer);

        let accounts = KeyPair::generate().unwrap();
        Self(vec![
            ("ca.crt", authority),
            ("server.crt", server),
            ("server.key", server_key),
            ("admin.crt", admin),
            ("admin.key", admin_key),
            // They sign and prove the tokens of service accounts.
            ("accounts.key", accounts.serialize_pem()),
            ("accounts.pub", accounts.public_key_pem()),
        ])
    }

    pub(crate) fn write(&self, dir: &Path) {
        for (name, pem) in &self.0 {
            fs::write(dir.join(name), pem).unwrap();
        }
    }
}

fn sign(params: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}
