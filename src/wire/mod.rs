//! Bytes: the canonical encoding that ids and signatures are computed over, and keys.
//!
//! Nothing here allocates more than the caller's limit allows, whatever a length field says.

pub mod cbor;
pub mod key;
mod secret;

pub use key::{SecretKey, SignatureError};
pub use secret::ReadSecret;
