//! Signing and verifying: Ed25519 as SIG-1 has it.

use core::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::id::PublicKey;

/// A signature that does not hold, or a key that cannot sign.
///
/// ```
/// use basefs::wire::{SecretKey, SignatureError, key};
///
/// let secret = SecretKey::from_seed([7; 32]);
/// let forged = key::verify(&secret.public(), b"hello", &[0; 64]);
/// assert_eq!(forged, Err(SignatureError));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureError;

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature does not hold for this key and message")
    }
}

impl core::error::Error for SignatureError {}

/// The secret half of an Ed25519 key pair; wiped from memory when dropped, never printed.
///
/// ```
/// use basefs::wire::SecretKey;
///
/// let key = SecretKey::from_seed([7; 32]);
/// assert_eq!(format!("{key:?}"), format!("SecretKey(of {:?})", key.public()));
/// ```
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key pair of an RFC 8032 seed.
    ///
    /// ```
    /// use basefs::wire::SecretKey;
    ///
    /// // The first test vector of RFC 8032, section 7.1.
    /// let seed = *b"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\
    ///               \x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
    /// let key = SecretKey::from_seed(seed);
    /// assert_eq!(key.public().as_bytes()[..4], [0xd7, 0x5a, 0x98, 0x01]);
    /// assert_eq!(*key.to_seed(), seed);
    /// ```
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The seed, wiped when dropped. It is all there is to the key: keep it where secrets go.
    pub fn to_seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs a message; callers separate domains by a prefix.
    ///
    /// ```
    /// use basefs::wire::{SecretKey, key};
    ///
    /// let secret = SecretKey::from_seed([7; 32]);
    /// let signature = secret.sign(b"basefs v1 sig: hello");
    /// assert_eq!(signature, secret.sign(b"basefs v1 sig: hello"), "the same in every run");
    /// assert!(key::verify(&secret.public(), b"hello", &signature).is_err(), "another domain");
    /// ```
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}

/// Verifies one signature strictly: canonical key, no small order, no cofactor.
///
/// # Errors
///
/// [`SignatureError`] if the signature does not hold; it does not say why.
///
/// ```
/// use basefs::wire::{SecretKey, key};
///
/// let secret = SecretKey::from_seed([7; 32]);
/// let signature = secret.sign(b"hello");
/// assert!(key::verify(&secret.public(), b"hello", &signature).is_ok());
/// assert!(key::verify(&secret.public(), b"hullo", &signature).is_err());
/// ```
// rule: SIG-1
pub fn verify(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
    Verifier::new().verify(key, message, signature)
}

/// Verifies signatures one by one and remembers the last key: finding the point that a key stands
/// for is a tenth of the work, and entries of one author come in runs.
///
/// ```
/// use basefs::wire::{SecretKey, key::Verifier};
///
/// let key = SecretKey::from_seed([7; 32]);
/// let mut verifier = Verifier::new();
/// for message in [b"one", b"two"] {
///     assert!(verifier.verify(&key.public(), message, &key.sign(message)).is_ok());
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    last: Option<(PublicKey, VerifyingKey)>,
}

impl Verifier {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Verifies one signature, as [`verify`] does.
    ///
    /// `verify_strict` leaves one case open: it accepts a key whose y coordinate is not reduced.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] if it does not hold.
    ///
    /// ```
    /// use basefs::wire::{SecretKey, SignatureError, key::Verifier};
    ///
    /// let (ana, ben) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
    /// let mut verifier = Verifier::new();
    /// assert_eq!(verifier.verify(&ana.public(), b"hello", &ana.sign(b"hello")), Ok(()));
    /// let by_another = ben.sign(b"hello");
    /// assert_eq!(verifier.verify(&ana.public(), b"hello", &by_another), Err(SignatureError));
    /// ```
    // rule: SIG-1
    pub fn verify(
        &mut self,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), SignatureError> {
        let point = match &self.last {
            Some((last, point)) if last == key => point,
            _ => {
                if !is_reduced(key.as_bytes()) {
                    return Err(SignatureError);
                }
                let point = VerifyingKey::from_bytes(key.as_bytes()).map_err(|_| SignatureError)?;
                &self.last.insert((*key, point)).1
            }
        };
        let signature = Signature::from_bytes(signature);
        point.verify_strict(message, &signature).map_err(|_| SignatureError)
    }
}

/// Whether the y coordinate of an encoded point, little endian without its sign bit, is below
/// p = 2^255 − 19.
fn is_reduced(encoded: &[u8; 32]) -> bool {
    let top_is_full = encoded[31] & 0x7f == 0x7f && encoded[1..31].iter().all(|&byte| byte == 0xff);
    !top_is_full || encoded[0] < 0xed
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: SIG-1
    #[test]
    fn reduced_means_below_p() {
        let mut p = [0xff; 32];
        p[0] = 0xed;
        p[31] = 0x7f;
        assert!(!is_reduced(&p));
        p[0] = 0xec;
        assert!(is_reduced(&p));
        p[31] = 0xff;
        assert!(is_reduced(&p), "the sign bit is not part of y");
    }

    #[test]
    fn signs_and_verifies() {
        let key = SecretKey::from_seed([1; 32]);
        let signature = key.sign(b"message");
        assert_eq!(verify(&key.public(), b"message", &signature), Ok(()));
        assert_eq!(verify(&key.public(), b"massage", &signature), Err(SignatureError));
    }
}
