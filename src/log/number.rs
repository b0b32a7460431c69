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
    EntryNo
}
number_type! {
    /// A name in a directory.
    SlotNo
}
number_type! {
    /// A directory.
    DirNo
}
number_type! {
    /// A capability.
    CapNo
}
number_type! {
    /// A public key that has or had a capability.
    KeyNo
}
number_type! {
    /// A value that a slot can have.
    ValueNo
}
number_type! {
    /// A content in blocks.
    ContentNo
}
