//! The key of stateless resets (RFC 9000, section 10.3).
//!
//! An endpoint that gets a packet of a connection it knows nothing of answers with a token. The
//! other end was told that token within the connection, and takes the answer as its end.

use quinn::crypto::{CryptoError, HmacKey};
use zeroize::{Zeroize, Zeroizing};

use crate::wire::SecretKey;

const TOKENS: &str = "basefs v1 QUIC stateless reset tokens";
const IDS: &str = "basefs v1 QUIC connection ids";
/// Length of a signature in bytes, of which the first 16 are the token.
const SIGNATURE: usize = 32;

/// Makes the tokens of one node, the same in all its lives.
pub(super) struct ResetKey([u8; SIGNATURE]);

impl ResetKey {
    pub(super) fn of(node_key: &SecretKey) -> Self {
        Self(blake3::derive_key(TOKENS, &*node_key.to_seed()))
    }

    /// By what a node tells the ids of its connections from noise, which it does not answer.
    pub(super) fn of_ids(&self) -> u64 {
        let key = Zeroizing::new(blake3::derive_key(IDS, &self.0));
        let (first, _) = key.split_first_chunk().unwrap_or((&[0; 8], &[]));
        u64::from_le_bytes(*first)
    }
}

impl Drop for ResetKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(blake3::keyed_hash(&self.0, data).as_bytes());
    }

    fn signature_len(&self) -> usize {
        SIGNATURE
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        // Compares in constant time.
        let is_right = blake3::keyed_hash(&self.0, data) == *signature;
        is_right.then_some(()).ok_or(CryptoError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_the_same_tokens_in_every_life_and_nobody_else_has_them() {
        let [one, again, other] =
            [1, 1, 2].map(|seed| ResetKey::of(&SecretKey::from_seed([seed; 32])));
        let token = |key: &ResetKey, id: &[u8]| {
            let mut token = [0; SIGNATURE];
            key.sign(id, &mut token);
            token
        };
        assert_eq!(token(&one, b"id"), token(&again, b"id"));
        assert_ne!(token(&one, b"id"), token(&other, b"id"));
        assert_ne!(token(&one, b"id"), token(&one, b"is"));
        assert!(one.verify(b"id", &token(&again, b"id")).is_ok());
        assert!(one.verify(b"id", &token(&other, b"id")).is_err());
        assert_eq!(one.of_ids(), again.of_ids());
        assert_ne!(one.of_ids(), other.of_ids());
    }
}
