//! Deterministic CBOR, cut down to what entries need.
//!
//! Unsigned integers, byte strings, text, arrays and `null`, in the one form that RFC 8949 §4.2.1
//! allows for each (ENTRY-1). [`Reader`] decodes every head with `ciborium-ll`, encodes it again
//! and compares the bytes, so that a longer form of the same number is an error. Slices are
//! borrowed from the input: decoding allocates nothing.

use alloc::vec::Vec;
use core::fmt;

use ciborium_ll::{Decoder, Encoder, Header, simple};

/// Why bytes are not the canonical CBOR that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CborError {
    /// The input ended inside a value.
    Truncated,
    /// Bytes follow the value.
    Trailing,
    /// A head in a longer form than necessary, reserved, or of indefinite length.
    NotCanonical,
    /// A type outside the subset: map, tag, negative, boolean, float.
    Forbidden,
    /// Text that is not UTF-8.
    NotUtf8,
    /// Arrays nested deeper than allowed.
    TooDeep,
    /// A value of the subset, but not the one that belongs here.
    Unexpected,
    /// A length outside what the field allows.
    Length,
}

impl CborError {
    /// Whether the bytes are not canonical CBOR at all, as opposed to the wrong value.
    pub fn is_encoding(self) -> bool {
        !matches!(self, CborError::Unexpected | CborError::Length)
    }
}

impl fmt::Display for CborError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CborError::Truncated => "the input ends inside a value",
            CborError::Trailing => "bytes follow the value",
            CborError::NotCanonical => "a head is not in its shortest, definite form",
            CborError::Forbidden => "a type outside the allowed subset",
            CborError::NotUtf8 => "text is not UTF-8",
            CborError::TooDeep => "arrays are nested too deeply",
            CborError::Unexpected => "a value of another type was expected here",
            CborError::Length => "a length is outside what this field allows",
        })
    }
}

impl core::error::Error for CborError {}

/// Accepts exactly the bytes it was made with: re-encoding must reproduce the input.
struct Compare<'a>(&'a [u8]);

impl ciborium_io::Write for Compare<'_> {
    type Error = CborError;

    fn write_all(&mut self, data: &[u8]) -> Result<(), CborError> {
        self.0 = self.0.strip_prefix(data).ok_or(CborError::NotCanonical)?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CborError> {
        Ok(())
    }
}

/// A cursor over canonical CBOR. After an error its position means nothing: give the input up.
///
/// ```
/// use basefs::wire::cbor::Reader;
///
/// let mut reader = Reader::new(&[0x82, 0x01, 0x61, b'a']);
/// assert_eq!(reader.array(2..=2), Ok(2));
/// assert_eq!(reader.uint(), Ok(1));
/// assert_eq!(reader.text(), Ok("a"));
/// assert_eq!(reader.finish(), Ok(()));
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn head(&mut self) -> Result<Header, CborError> {
        let mut decoder = Decoder::from(self.rest);
        let header = decoder.pull().map_err(|error| match error {
            ciborium_ll::Error::Io(_) => CborError::Truncated,
            ciborium_ll::Error::Syntax(_) => CborError::NotCanonical,
        })?;
        let length = decoder.offset();
        let (head, rest) = self.rest.split_at(length);
        let mut encoder = Encoder::from(Compare(head));
        encoder.push(header)?;
        self.rest = rest;
        Ok(header)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CborError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads an unsigned integer.
    ///
    /// # Errors
    ///
    /// [`CborError::Truncated`] or [`CborError::NotCanonical`];
    /// [`CborError::Unexpected`] if it is something else.
    pub fn uint(&mut self) -> Result<u64, CborError> {
        match self.head()? {
            Header::Positive(number) => Ok(number),
            _ => Err(CborError::Unexpected),
        }
    }

    /// Reads a byte string.
    ///
    /// # Errors
    ///
    /// As [`uint`](Self::uint).
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        match self.head()? {
            Header::Bytes(Some(length)) => self.take(length),
            _ => Err(CborError::Unexpected),
        }
    }

    /// Reads a byte string of exactly `N` bytes.
    ///
    /// # Errors
    ///
    /// As [`uint`](Self::uint); [`CborError::Length`] if it has another length.
    pub fn bytes_exact<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        self.bytes()?.try_into().map_err(|_| CborError::Length)
    }

    /// Reads a text string.
    ///
    /// # Errors
    ///
    /// As [`uint`](Self::uint); [`CborError::NotUtf8`].
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        match self.head()? {
            Header::Text(Some(length)) => {
                core::str::from_utf8(self.take(length)?).map_err(|_| CborError::NotUtf8)
            }
            _ => Err(CborError::Unexpected),
        }
    }

    /// Reads the head of an array whose length must lie in `lengths`.
    ///
    /// # Errors
    ///
    /// As [`uint`](Self::uint); [`CborError::Length`] if the length is not among them.
    pub fn array(&mut self, lengths: core::ops::RangeInclusive<usize>) -> Result<usize, CborError> {
        match self.head()? {
            Header::Array(Some(length)) if lengths.contains(&length) => Ok(length),
            Header::Array(Some(_)) => Err(CborError::Length),
            _ => Err(CborError::Unexpected),
        }
    }

    /// Reads `null` if it comes next; says whether it did.
    ///
    /// # Errors
    ///
    /// [`CborError::Truncated`] or [`CborError::NotCanonical`].
    pub fn null(&mut self) -> Result<bool, CborError> {
        let before = self.rest;
        if self.head()? == Header::Simple(simple::NULL) {
            return Ok(true);
        }
        self.rest = before;
        Ok(false)
    }

    /// Ends the reading: nothing may be left.
    ///
    /// # Errors
    ///
    /// [`CborError::Trailing`] if something is.
    pub fn finish(self) -> Result<(), CborError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CborError::Trailing) }
    }
}

/// Checks that `bytes` is one canonical value of the subset, arrays nested at most `depth` deep.
///
/// Iterative: what is nested deeply costs no stack.
///
/// # Errors
///
/// The first thing that is wrong, in the order of the bytes.
///
/// ```
/// use basefs::wire::cbor::{CborError, check};
///
/// assert_eq!(check(&[0x81, 0x01], 1), Ok(()));
/// assert_eq!(check(&[0x81, 0x18, 0x01], 1), Err(CborError::NotCanonical), "1 has a shorter form");
/// ```
// rule: ENTRY-1
pub fn check(bytes: &[u8], depth: usize) -> Result<(), CborError> {
    let mut reader = Reader::new(bytes);
    // How many values each open array still lacks, innermost last.
    let mut open: Vec<usize> = Vec::with_capacity(depth);
    loop {
        let mut complete = true;
        match reader.head()? {
            Header::Positive(_) | Header::Simple(simple::NULL) => {}
            Header::Bytes(Some(length)) => drop(reader.take(length)?),
            Header::Text(Some(length)) => {
                core::str::from_utf8(reader.take(length)?).map_err(|_| CborError::NotUtf8)?;
            }
            Header::Array(Some(length)) => {
                if open.len() == depth {
                    return Err(CborError::TooDeep);
                }
                open.push(length);
                complete = length == 0;
                if complete {
                    open.pop();
                }
            }
            Header::Bytes(None) | Header::Text(None) | Header::Array(None) => {
                return Err(CborError::NotCanonical);
            }
            _ => return Err(CborError::Forbidden),
        }
        while complete {
            let Some(missing) = open.last_mut() else { return reader.finish() };
            *missing -= 1;
            complete = *missing == 0;
            if complete {
                open.pop();
            } else {
                break;
            }
        }
    }
}

/// Builds canonical CBOR in memory.
///
/// ```
/// use basefs::wire::cbor::Writer;
///
/// let mut writer = Writer::new();
/// writer.array(2).uint(1).text("a");
/// assert_eq!(writer.into_bytes(), [0x82, 0x01, 0x61, b'a']);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Starts empty.
    pub fn new() -> Self {
        Self::default()
    }

    fn head(&mut self, header: Header) -> &mut Self {
        let mut encoder = Encoder::from(&mut self.bytes);
        let written: Result<(), core::convert::Infallible> =
            encoder.push(header).map_err(|error| match error {});
        let Ok(()) = written;
        self
    }

    /// Writes an unsigned integer.
    pub fn uint(&mut self, number: u64) -> &mut Self {
        self.head(Header::Positive(number))
    }

    /// Writes a byte string.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.head(Header::Bytes(Some(bytes.len()))).raw(bytes)
    }

    /// Writes a text string.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.head(Header::Text(Some(text.len()))).raw(text.as_bytes())
    }

    /// Writes the head of an array; `length` values must follow.
    pub fn array(&mut self, length: usize) -> &mut Self {
        self.head(Header::Array(Some(length)))
    }

    /// Writes `null`.
    pub fn null(&mut self) -> &mut Self {
        self.head(Header::Simple(simple::NULL))
    }

    /// Appends bytes that are encoded already.
    pub fn raw(&mut self, encoded: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(encoded);
        self
    }

    /// The encoding.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: ENTRY-1
    #[test]
    fn only_one_form_is_accepted() {
        assert_eq!(check(&[0x18, 0x18], 4), Ok(()));
        for (bytes, error) in [
            (&[0x18, 0x17][..], CborError::NotCanonical),
            (&[0x20], CborError::Forbidden),
            (&[0x9f, 0xff], CborError::NotCanonical),
            (&[0x80, 0x80], CborError::Trailing),
            (&[0x82, 0x01], CborError::Truncated),
            (&[0x81, 0x81, 0x81, 0x81, 0x80], CborError::TooDeep),
            (&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255, 0], CborError::Truncated),
            (&[0x5b, 255, 255, 255, 255, 255, 255, 255, 255, 0], CborError::Truncated),
            (&[0x61, 0xff], CborError::NotUtf8),
            (&[0xf5], CborError::Forbidden),
            (&[], CborError::Truncated),
        ] {
            assert_eq!(check(bytes, 4), Err(error), "{bytes:02x?}");
        }
    }
}
