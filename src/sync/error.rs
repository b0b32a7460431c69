//! Why a session ends early.

use core::fmt;

/// Why a session cannot go on. Each is the peer's fault: an honest peer of this version never
/// causes one.
///
/// The session is over and takes no more messages. No entry was lost or changed: what was admitted
/// stays, and another session goes on from there.
///
/// ```
/// use basefs::sync::{KeyRange, Nonce, Session, SyncError};
///
/// let mut session = Session::respond(Nonce::from_bytes([1; 16]), KeyRange::ALL);
/// assert_eq!(session.handle(&[0xff]), Err(SyncError::UnknownKind(0xff)));
/// assert_eq!(session.handle(&[0xff]), Err(SyncError::Over), "one chance");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncError {
    /// The peer sent a message that ends too early.
    Truncated,
    /// The peer sent a message with bytes after its end.
    Trailing,
    /// The peer sent a message in another form than the one that is allowed for it.
    NotCanonical,
    /// The peer sent a kind of message or statement that does not exist.
    UnknownKind(u8),
    /// The peer opened a session of a version that this one does not speak.
    UnknownVersion(u8),
    /// The peer asked for a range that reaches beyond what this replica holds.
    ForeignRange,
    /// The peer sent a bound that does not lie after the one before it, or is too long.
    BadBound,
    /// The peer sent more than it was asked for, or than a replica of its size can need.
    TooMuch,
    /// The peer sent a message that has no place at this point of the session.
    OutOfPlace,
    /// The session had ended already, by an error or in good order.
    Over,
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer broke the sync protocol: ")?;
        match self {
            SyncError::Truncated => f.write_str("a message ends too early"),
            SyncError::Trailing => f.write_str("bytes follow the end of a message"),
            SyncError::NotCanonical => f.write_str("a message is not in its only allowed form"),
            SyncError::UnknownKind(kind) => write!(f, "there is no message or statement {kind}"),
            SyncError::UnknownVersion(version) => write!(f, "version {version} is not known here"),
            SyncError::ForeignRange => f.write_str("it asked for more than this replica holds"),
            SyncError::BadBound => f.write_str("a bound is too long or out of order"),
            SyncError::TooMuch => f.write_str("it sent more than it can need to"),
            SyncError::OutOfPlace => f.write_str("a message came when it had no place"),
            SyncError::Over => f.write_str("a message came after the session had ended"),
        }
    }
}

impl core::error::Error for SyncError {}
