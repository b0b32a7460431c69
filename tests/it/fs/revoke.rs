//! Revoking.
