//! Who is let in.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::id::{EntryId, NodeId};
use crate::wire::ReadSecret;

/// Who may read a hierarchy.
///
/// To rotate a secret without losing anybody: make the new one the current one everywhere, one
/// node after the other, while the old one is still accepted; then drop the old one. A node that
/// dials another that has not got so far falls back on what it accepts.
///
/// ```
/// use basefs::net::{Access, ReadSecret};
///
/// let (old, new) = (ReadSecret::from_bytes([1; 32]), ReadSecret::from_bytes([2; 32]));
/// let _first = Access::Secret { current: old.clone(), also_accepted: vec![] };
/// let _then = Access::Secret { current: new.clone(), also_accepted: vec![old] };
/// let _last = Access::Secret { current: new, also_accepted: vec![] };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever knows a secret.
    Secret {
        /// The secret that this node dials with.
        current: ReadSecret,
        /// Further secrets that it lets others in with.
        also_accepted: Vec<ReadSecret>,
    },
    /// Whoever knows the id of the hierarchy. Both ends must be set so.
    Public,
}

/// Who is let in: peers that replicate this hierarchy and may read it. A [`Gate`](super::Gate) is
/// one that can be changed while it is used.
///
/// ```
/// let ana = basefs::Fs::in_memory()?;
/// let admission = ana.ticket(vec![]).admission();
/// assert_eq!(admission.hierarchy, ana.hierarchy());
/// assert!(!admission.accepts(None), "it is not public");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The hierarchy: the id of its genesis.
    pub hierarchy: EntryId,
    /// Who may read it.
    pub access: Access,
    /// Nodes that are neither let in nor dialled, whatever they know.
    pub expelled: BTreeSet<NodeId>,
}

impl Admission {
    /// Lets in whoever may read the hierarchy.
    ///
    /// ```
    /// use basefs::id::EntryId;
    /// use basefs::net::{Access, Admission, ReadSecret};
    ///
    /// let secret = ReadSecret::from_bytes([9; 32]);
    /// let access = Access::Secret { current: secret.clone(), also_accepted: vec![] };
    /// let admission = Admission::new(EntryId::from_bytes([7; 32]), access);
    /// assert!(admission.accepts(Some(&secret)) && admission.expelled.is_empty());
    /// ```
    pub const fn new(hierarchy: EntryId, access: Access) -> Self {
        Self { hierarchy, access, expelled: BTreeSet::new() }
    }

    /// Whether a proof by this secret lets a peer in; by none, in a public hierarchy.
    ///
    /// ```
    /// use basefs::id::EntryId;
    /// use basefs::net::{Access, Admission, ReadSecret};
    ///
    /// let [old, new, wrong] = [1, 2, 3].map(|n| ReadSecret::from_bytes([n; 32]));
    /// let access = Access::Secret { current: new.clone(), also_accepted: vec![old.clone()] };
    /// let admission = Admission::new(EntryId::from_bytes([7; 32]), access);
    /// assert!(admission.accepts(Some(&new)) && admission.accepts(Some(&old)));
    /// assert!(!admission.accepts(Some(&wrong)) && !admission.accepts(None));
    /// ```
    pub fn accepts(&self, secret: Option<&ReadSecret>) -> bool {
        match (&self.access, secret) {
            (Access::Secret { current, also_accepted }, Some(secret)) => {
                current == secret || also_accepted.contains(secret)
            }
            (Access::Public, None) => true,
            _ => false,
        }
    }
}
