//! The hierarchy as it was: authority and view over a part of the log.

use crate::authority::Authority;
use crate::log::{Frontier, Log, MissingHeads};
use crate::view::View;

/// What the hierarchy looked like at a frontier, with the contents that are complete here today.
///
/// It belongs to the log it was made from and stays as it is while that log grows.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// let hello = ana.write(&mut replica, "motd", "hello", &[]);
/// let then = replica.log().frontier();
/// let morning = ana.write(&mut replica, "motd", "good morning", &[hello]);
/// let past = replica.view().at(replica.log(), &then)?;
/// let slot = replica.log().slot_of(hello).unwrap();
/// assert_eq!(past.view().winner(slot), Some(hello));
/// assert!(!past.authority().is_authorised(morning), "unheard of then");
/// # Ok::<(), basefs::log::MissingHeads>(())
/// ```
#[derive(Clone, Debug)]
pub struct Past {
    authority: Authority,
    view: View,
}

impl Past {
    /// Who had authority then.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What it showed then.
    pub fn view(&self) -> &View {
        &self.view
    }
}

impl View {
    /// The view of exactly the entries that a frontier [reaches](Log::reach). Costs about as much
    /// as taking these in once more, and some bytes for each entry of the log.
    ///
    /// # Errors
    ///
    /// Entries of the frontier are not in the log.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let hello = ben.write(&mut replica, "motd", "hello", &[]);
    /// let then = replica.log().frontier();
    /// ana.revoke(&mut replica, &ben, &[]);
    /// let past = replica.view().at(replica.log(), &then)?;
    /// let slot = replica.log().slot_of(hello).unwrap();
    /// assert_eq!((past.view().winner(slot), replica.view().winner(slot)), (Some(hello), None));
    /// # Ok::<(), basefs::log::MissingHeads>(())
    /// ```
    // rule: AT-1
    pub fn at(&self, log: &Log, frontier: &Frontier) -> Result<Past, MissingHeads> {
        let mut authority = Authority::new();
        let mut view = View { complete: self.complete.clone(), ..View::new() };
        for no in log.reach(frontier)? {
            let flipped = authority.apply_number(log, no);
            view.apply_number(log, &authority, no, &flipped);
        }
        view.settle(log, &authority);
        Ok(Past { authority, view })
    }
}
