//! Small numbers for what has a large id: everything in memory refers by number.
//!
//! Entries are numbered in the order of their admission, so a smaller number is never admitted
//! later. Numbers mean nothing outside one replica and never leave it.

use core::fmt;
use core::num::NonZeroU32;

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The number with a position, or nothing past 2^32 − 2.
            pub fn from_index(index: usize) -> Option<Self> {
                u32::try_from(index).ok()?.checked_add(1).and_then(NonZeroU32::new).map(Self)
            }

            /// The position, counted from 0.
            pub fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.index())
            }
        }
    };
}

number_type! {
    /// An admitted entry.
    ///
    /// ```
    /// use basefs::log::EntryNo;
    ///
    /// let first = EntryNo::from_index(0).unwrap();
    /// assert!(first < EntryNo::from_index(1).unwrap(), "admitted before it");
    /// assert_eq!(format!("{first:?}"), "EntryNo(0)");
    /// assert_eq!(EntryNo::from_index(usize::MAX), None, "more than a replica holds");
    /// ```
    EntryNo
}
number_type! {
    /// A name in a directory.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let morning = ana.write(&mut replica, "motd", "good morning", &[hello]);
    /// assert_eq!(replica.log().slot_of(hello), replica.log().slot_of(morning));
    /// ```
    SlotNo
}
number_type! {
    /// A directory.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let users = ana.mkdir(&mut replica, "users");
    /// let dir = replica.log().dir(&users).unwrap();
    /// assert_eq!(dir.index(), 1, "the root has number 0");
    /// ```
    DirNo
}
number_type! {
    /// A capability.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let cap = replica.log().cap_of(hello);
    /// assert_eq!(cap.index(), 0, "that of the first root key");
    /// ```
    CapNo
}
number_type! {
    /// A public key that has or had a capability.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let log = replica.log();
    /// assert_eq!(Some(log.cap_key(log.cap_of(hello))), log.key_no(&ana.key.public()));
    /// ```
    KeyNo
}
number_type! {
    /// A value that a slot can have.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let other = ana.write(&mut replica, "motd", "good morning", &[hello]);
    /// assert_ne!(replica.log().value_no(hello), replica.log().value_no(other));
    /// ```
    ValueNo
}
number_type! {
    /// A content that some write names, in blocks or not.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let content = replica.log().content_of(hello).unwrap();
    /// assert_eq!(replica.log().content(content).levels, 0, "a single block would do");
    /// ```
    ContentNo
}
