//! Who is let in, as one place that a running node and its owner share.

use alloc::sync::Arc;
use core::fmt;

use tokio::sync::watch;

use super::Admission;

/// An [`Admission`] that can be changed while nodes use it. Clones are the same gate.
///
/// What is changed holds at once: for whoever connects next, and for those who are connected. A
/// node closes connections to peers that it would not let in any more, and tells them why.
///
/// ```
/// use basefs::id::{EntryId, NodeId};
/// use basefs::net::{Access, Admission, Gate};
///
/// let gate = Gate::new(Admission::new(EntryId::from_bytes([7; 32]), Access::Public));
/// let same = gate.clone();
/// let stranger = NodeId::from_bytes([9; 32]);
/// gate.change(|admission| {
///     admission.expelled.insert(stranger);
/// });
/// assert!(same.admission().expelled.contains(&stranger));
/// ```
#[derive(Clone)]
pub struct Gate(Arc<watch::Sender<Arc<Admission>>>);

impl Gate {
    /// A gate that nobody else has.
    pub fn new(admission: Admission) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(admission))))
    }

    /// Who is let in now.
    pub fn admission(&self) -> Arc<Admission> {
        self.0.borrow().clone()
    }

    /// Changes who is let in.
    ///
    /// ```
    /// use basefs::id::EntryId;
    /// use basefs::net::{Access, Admission, Gate, ReadSecret};
    ///
    /// let [old, new] = [1, 2].map(|n| ReadSecret::from_bytes([n; 32]));
    /// let access = Access::Secret { current: old.clone(), also_accepted: vec![] };
    /// let gate = Gate::new(Admission::new(EntryId::from_bytes([7; 32]), access));
    /// gate.change(|admission| {
    ///     admission.access = Access::Secret { current: new.clone(), also_accepted: vec![] };
    /// });
    /// assert!(gate.admission().accepts(Some(&new)) && !gate.admission().accepts(Some(&old)));
    /// ```
    pub fn change(&self, change: impl FnOnce(&mut Admission)) {
        self.0.send_modify(|admission| change(Arc::make_mut(admission)));
    }

    /// A way to hear of changes.
    pub(super) fn changes(&self) -> watch::Receiver<Arc<Admission>> {
        self.0.subscribe()
    }
}

impl From<Admission> for Gate {
    fn from(admission: Admission) -> Self {
        Self::new(admission)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gate").field(&self.admission()).finish()
    }
}
