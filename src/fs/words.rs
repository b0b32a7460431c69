//! How texts for people say things.

use core::fmt;

/// A number of things, in the singular if it is one.
pub(super) struct Count<'w, Number>(pub(super) Number, pub(super) &'w str, pub(super) &'w str);

impl<Number: fmt::Display + PartialEq + From<u8>> fmt::Display for Count<'_, Number> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, one, many) = self;
        let noun = if *number == Number::from(1) { one } else { many };
        write!(f, "{number} {noun}")
    }
}

/// A length in bytes.
pub(super) fn bytes(size: u64) -> Count<'static, u64> {
    Count(size, "byte", "bytes")
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn one_thing_is_singular() {
        let said = [0, 1, 2].map(|size| bytes(size).to_string());
        assert_eq!(said, ["0 bytes", "1 byte", "2 bytes"]);
    }
}
