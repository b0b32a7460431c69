//! Identity in TLS: a node is its Ed25519 key.
//!
//! A node shows a self-signed certificate that carries its key and nothing else of meaning: no
//! name, no authority, no dates that anybody looks at, so that a wrong clock locks nobody out.
//! What proves the identity is the handshake signature, which both sides must make and which is
//! checked here as strictly as the signature of an entry.
//!
//! The node key signs handshakes and its own certificate, never anything else. The two cannot be
//! mistaken for each other: what TLS 1.3 signs begins with 64 spaces, a certificate does not.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use rustls::DigitallySignedStruct;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{CertificateError, DistinguishedName, SignatureAlgorithm, SignatureScheme};

use crate::id::{NodeId, PublicKey};
use crate::wire::{SecretKey, key};

/// The application protocol; its number is the version of everything below the hello.
const ALPN: &[u8] = b"basefs/1";
/// The name every node is dialled by. It is checked by nobody and, without SNI, never sent.
pub(super) const SERVER_NAME: &str = "basefs";
/// Longest certificate that is looked at; ours have about 200 bytes.
const MAX_CERTIFICATE: usize = 1_024;

/// What a node needs to take part in handshakes.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    node: NodeId,
    certified: Arc<CertifiedKey>,
    provider: Arc<CryptoProvider>,
}

impl Identity {
    /// Makes the certificate of a node key.
    pub(super) fn new(node_key: &SecretKey) -> Result<Self, rcgen::Error> {
        let signer = NodeSigner { public: node_key.public(), key: node_key.clone() };
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        // A constant: authorities number certificates, a node has only this one.
        parameters.serial_number = Some(rcgen::SerialNumber::from(1));
        let certificate = parameters.self_signed(&signer)?.der().clone();
        Ok(Self {
            node: NodeId::from_bytes(*signer.public.as_bytes()),
            certified: Arc::new(CertifiedKey::new(vec![certificate], Arc::new(signer))),
            // Named, not the process's default: that one panics where an application brought two.
            provider: Arc::new(rustls::crypto::ring::default_provider()),
        })
    }

    /// Who this is.
    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    /// For accepting: any node, as long as it proves who it is.
    pub(super) fn server_config(&self) -> Result<rustls::ServerConfig, rustls::Error> {
        let verifier = Arc::new(NodeVerifier { expected: None });
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(self.certified.clone())));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session skips the verifier: a node that was removed would get back in.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        Ok(config)
    }

    /// For dialling: the node `expected` and no other.
    pub(super) fn client_config(
        &self,
        expected: NodeId,
    ) -> Result<rustls::ClientConfig, rustls::Error> {
        let verifier = Arc::new(NodeVerifier { expected: Some(expected) });
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(self.certified.clone())));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Ok(config)
    }
}

/// The node key as rustls and rcgen want to see it: the seed stays in its one type.
#[derive(Clone, Debug)]
struct NodeSigner {
    key: SecretKey,
    public: PublicKey,
}

impl rcgen::PublicKeyData for NodeSigner {
    fn der_bytes(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for NodeSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign(message).to_vec())
    }
}

impl SigningKey for NodeSigner {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let ours = offered.contains(&SignatureScheme::ED25519);
        ours.then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some([ED25519_KEY_INFO, self.public.as_bytes()].concat().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for NodeSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.key.sign(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Accepts a handshake if the peer proves its key, and if it is the expected one.
#[derive(Debug)]
struct NodeVerifier {
    expected: Option<NodeId>,
}

impl NodeVerifier {
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
    ) -> Result<(), rustls::Error> {
        let node = match chain {
            [] => node_of(certificate).ok_or(CertificateError::BadEncoding)?,
            _ => return Err(CertificateError::BadEncoding.into()),
        };
        match self.expected {
            // The one use of this error here: the dialler tells another node by its alert.
            Some(expected) if expected != node => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(()),
        }
    }
}

/// Checks the signature over the handshake: the proof that the peer holds the key it showed.
fn verify_handshake(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let node = node_of(certificate).ok_or(CertificateError::BadEncoding)?;
    let holds = signed.scheme == SignatureScheme::ED25519
        && signed.signature().try_into().is_ok_and(|signature| {
            key::verify(&PublicKey::from_bytes(*node.as_bytes()), message, signature).is_ok()
        });
    if holds {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_handshake(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for NodeVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_handshake(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// DER of `[0] EXPLICIT INTEGER 2`: an X.509 certificate of version 3.
const VERSION_3: &[u8] = &[0xa0, 0x03, 0x02, 0x01, 0x02];
/// DER of the algorithm identifier of Ed25519 (RFC 8410).
const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
/// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo.
const ED25519_KEY_INFO: &[u8] =
    &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What stands before the 64 bytes of a signature.
const SIGNATURE_HEAD: &[u8] = &[0x03, 0x41, 0x00];
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// The node whose certificate this is, if it is an X.509 v3 certificate that carries an Ed25519
/// key and is signed by it.
///
/// Only what decides is read; names, dates and extensions are stepped over. The signature rules
/// out keys that are not canonical or of small order, as for entries.
pub(super) fn node_of(certificate: &[u8]) -> Option<NodeId> {
    if certificate.len() > MAX_CERTIFICATE {
        return None;
    }
    let (whole, rest) = element(certificate, SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    let (to_sign, seal) = element(whole.contents, SEQUENCE)?;
    let signature = seal.strip_prefix(ED25519)?.strip_prefix(SIGNATURE_HEAD)?.try_into().ok()?;

    let (_serial, rest) = element(to_sign.contents.strip_prefix(VERSION_3)?, INTEGER)?;
    let (_issuer, rest) = element(rest.strip_prefix(ED25519)?, SEQUENCE)?;
    let (_validity, rest) = element(rest, SEQUENCE)?;
    let (_subject, rest) = element(rest, SEQUENCE)?;
    let (public, _extensions) = rest.strip_prefix(ED25519_KEY_INFO)?.split_first_chunk::<32>()?;

    key::verify(&PublicKey::from_bytes(*public), to_sign.encoded, signature).ok()?;
    Some(NodeId::from_bytes(*public))
}

/// One DER element.
struct Element<'a> {
    /// With its head.
    encoded: &'a [u8],
    /// Without.
    contents: &'a [u8],
}

/// Splits off the first element, which must have this tag and a length in its shortest form.
fn element(input: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    let (head, length) = match *input {
        [found, length, ..] if found == tag && length < 0x80 => (2, usize::from(length)),
        [found, 0x81, length, ..] if found == tag && length >= 0x80 => (3, usize::from(length)),
        [found, 0x82, high, low, ..] if found == tag && high > 0 => {
            (4, usize::from(u16::from_be_bytes([high, low])))
        }
        _ => return None,
    };
    let (encoded, rest) = input.split_at_checked(head + length)?;
    Some((Element { encoded, contents: &encoded[head..] }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(seed: u8) -> Vec<u8> {
        let identity = Identity::new(&SecretKey::from_seed([seed; 32])).unwrap();
        identity.certified.cert[0].to_vec()
    }

    #[test]
    fn a_certificate_names_its_node() {
        let key = SecretKey::from_seed([1; 32]);
        let node = NodeId::from_bytes(*key.public().as_bytes());
        assert_eq!(Identity::new(&key).unwrap().node(), node);
        assert_eq!(node_of(&certificate(1)), Some(node));
        assert_eq!(certificate(1), certificate(1), "a node always shows the same certificate");
    }

    #[test]
    fn no_changed_bit_and_no_cut_passes() {
        let good = certificate(1);
        for length in 0..good.len() {
            assert_eq!(node_of(&good[..length]), None);
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[length] ^= 1 << bit;
                assert_eq!(node_of(&bad), None, "bit {bit} of byte {length}");
            }
        }
        let longer = [&good[..], &[0]].concat();
        assert_eq!(node_of(&longer), None);
    }

    #[test]
    fn another_key_cannot_be_put_in() {
        let (good, other) = (certificate(1), SecretKey::from_seed([2; 32]).public());
        let at = good.windows(12).position(|window| window == ED25519_KEY_INFO).unwrap() + 12;
        let mut bad = good;
        bad[at..at + 32].copy_from_slice(other.as_bytes());
        assert_eq!(node_of(&bad), None);
    }

    #[test]
    fn a_key_of_small_order_is_nobody() {
        // For the identity point, R = identity and S = 0 "sign" every message.
        let mut identity_point = [0; 32];
        identity_point[0] = 1;
        let good = certificate(1);
        let at = good.windows(12).position(|window| window == ED25519_KEY_INFO).unwrap() + 12;
        let mut bad = good;
        bad[at..at + 32].copy_from_slice(&identity_point);
        let signature = bad.len() - 64;
        bad[signature..].fill(0);
        bad[signature] = 1;
        assert_eq!(node_of(&bad), None);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_are_nobody(bytes in proptest::collection::vec(0u8.., 0..600)) {
            assert_eq!(node_of(&bytes), None);
        }
    }
}
