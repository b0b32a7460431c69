//! Clocks as arguments: the core is told the time and never asks for it.
//!
//! [`Timestamp`] is monotonic and drives protocols; [`WallTime`] is what people read and decides
//! nothing. Neither can be made from the other.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A monotonic instant, in microseconds since an origin that the driver chooses.
///
/// ```
/// use basefs::time::Timestamp;
/// use std::time::Duration;
///
/// let start = Timestamp::from_micros(0);
/// let later = start + Duration::from_millis(2);
/// assert_eq!((later - start, later.as_micros()), (Duration::from_millis(2), 2_000));
/// assert_eq!(start - later, Duration::ZERO, "never negative");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin.
    ///
    /// ```
    /// use basefs::time::Timestamp;
    ///
    /// assert_eq!(Timestamp::ZERO, Timestamp::from_micros(0));
    /// assert_eq!(Timestamp::ZERO, Timestamp::default());
    /// ```
    pub const ZERO: Timestamp = Timestamp(0);

    /// An instant so many microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    /// Saturates instead of wrapping: a deadline that far away never comes.
    fn add(self, duration: Duration) -> Timestamp {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Timestamp(self.0.saturating_add(micros))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    /// The time since `earlier`, or zero if it is later.
    fn sub(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A reading of the wall clock in milliseconds since 1970; informative, and possibly wrong.
///
/// ```
/// use basefs::time::WallTime;
///
/// let then = WallTime::from_millis(1_700_000_000_000);
/// assert!(then > WallTime::from_millis(0));
/// assert_eq!(then.as_millis() / 1_000, 1_700_000_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(u64);

impl WallTime {
    /// So many milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let late = Timestamp::from_micros(u64::MAX);
        assert_eq!(late + Duration::MAX, late);
        assert_eq!(Timestamp::ZERO - late, Duration::ZERO);
    }
}
