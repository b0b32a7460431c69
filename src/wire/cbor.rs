//! Deterministic CBOR, cut down to what entries need.
//!
//! Unsigned integers, byte strings, text, arrays and `null`, in the one form that RFC 8949 §4.2.1
//! allows for each (ENTRY-1). [`Writer`] encodes with `ciborium-ll`. [`Reader`] decodes the five
//! kinds of heads itself, for opening a replica decodes every entry in it, and a general decoder
//! followed by a comparison with what it re-encodes took most of that time; the tests hold the two
//! against each other. Slices are borrowed from the input: decoding allocates nothing.

use alloc::vec::Vec;
use core::fmt;

use ciborium_ll::{Encoder, Header, simple};

/// Why bytes are not the canonical CBOR that was expected.
///
/// ```
/// use basefs::wire::cbor::{CborError, Reader, check};
///
/// assert_eq!(check(&[0x18, 0x01], 4), Err(CborError::NotCanonical), "1 is the one byte 01");
/// assert_eq!(check(&[0xf5], 4), Err(CborError::Forbidden), "a boolean");
/// assert_eq!(Reader::new(&[0x41, 7]).uint(), Err(CborError::Unexpected), "a byte string");
/// ```
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
    ///
    /// ```
    /// use basefs::wire::cbor::Reader;
    ///
    /// let text = Reader::new(b"\x61a").uint().unwrap_err();
    /// assert!(!text.is_encoding(), "canonical, but no number");
    /// let cut = Reader::new(&[0x19, 1]).uint().unwrap_err();
    /// assert!(cut.is_encoding(), "a head of three bytes, cut after two");
    /// ```
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

/// The head of a value: its type, and a number or the length of what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    Uint(u64),
    Bytes(usize),
    Text(usize),
    Array(usize),
    Null,
    /// Something without a length in its head.
    Endless,
    /// A type outside the subset.
    Other,
}

/// The one byte of `null`.
const NULL: u8 = 0xe0 | simple::NULL;

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
    ///
    /// ```
    /// let mut reader = basefs::wire::cbor::Reader::new(&[0x01, 0x02]);
    /// reader.uint()?;
    /// assert_eq!(reader.rest(), [0x02]);
    /// # Ok::<(), basefs::wire::cbor::CborError>(())
    /// ```
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn head(&mut self) -> Result<Head, CborError> {
        let (&first, rest) = self.rest.split_first().ok_or(CborError::Truncated)?;
        self.rest = rest;
        let argument = match first & 0x1f {
            small @ 0..24 => u64::from(small),
            24 => self.argument::<1>(24)?,
            25 => self.argument::<2>(1 << 8)?,
            26 => self.argument::<4>(1 << 16)?,
            27 => self.argument::<8>(1 << 32)?,
            31 => return Ok(Head::Endless),
            // Reserved.
            _ => return Err(CborError::NotCanonical),
        };
        // Where addresses have 32 bits, nothing can follow that is longer than they reach.
        let length = usize::try_from(argument).map_err(|_| CborError::Truncated);
        match first >> 5 {
            0 => Ok(Head::Uint(argument)),
            2 => length.map(Head::Bytes),
            3 => length.map(Head::Text),
            4 => length.map(Head::Array),
            _ if first == NULL => Ok(Head::Null),
            _ => Ok(Head::Other),
        }
    }

    /// The number in the `N` bytes after the first of a head. Below `least` a shorter head would
    /// have done.
    fn argument<const N: usize>(&mut self, least: u64) -> Result<u64, CborError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(CborError::Truncated)?;
        self.rest = rest;
        let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        if number < least { Err(CborError::NotCanonical) } else { Ok(number) }
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
    ///
    /// ```
    /// use basefs::wire::cbor::{CborError, Reader};
    ///
    /// assert_eq!(Reader::new(&[0x17]).uint(), Ok(23), "small numbers stand in the head");
    /// assert_eq!(Reader::new(&[0x18, 0x18]).uint(), Ok(24));
    /// assert_eq!(Reader::new(&[0x18]).uint(), Err(CborError::Truncated));
    /// ```
    pub fn uint(&mut self) -> Result<u64, CborError> {
        match self.head()? {
            Head::Uint(number) => Ok(number),
            _ => Err(CborError::Unexpected),
        }
    }

    /// Reads a byte string.
    ///
    /// # Errors
    ///
    /// As [`uint`](Self::uint).
    ///
    /// ```
    /// use basefs::wire::cbor::{CborError, Reader};
    ///
    /// assert_eq!(Reader::new(&[0x42, 7, 8]).bytes(), Ok(&[7, 8][..]));
    /// assert_eq!(Reader::new(&[0x5a, 255, 255, 255, 255]).bytes(), Err(CborError::Truncated));
    /// ```
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        match self.head()? {
            Head::Bytes(length) => self.take(length),
            _ => Err(CborError::Unexpected),
        }
    }

    /// Reads a byte string of exactly `N` bytes.
    ///
    /// # Errors
    ///
    /// As [`uint`](Self::uint); [`CborError::Length`] if it has another length.
    ///
    /// ```
    /// use basefs::wire::cbor::{CborError, Reader};
    ///
    /// assert_eq!(Reader::new(&[0x42, 7, 8]).bytes_exact(), Ok([7, 8]));
    /// assert_eq!(Reader::new(&[0x42, 7, 8]).bytes_exact::<32>(), Err(CborError::Length));
    /// ```
    pub fn bytes_exact<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        self.bytes()?.try_into().map_err(|_| CborError::Length)
    }

    /// Reads a text string.
    ///
    /// # Errors
    ///
    /// As [`uint`](Self::uint); [`CborError::NotUtf8`].
    ///
    /// ```
    /// use basefs::wire::cbor::{CborError, Reader};
    ///
    /// assert_eq!(Reader::new(b"\x65hello").text(), Ok("hello"));
    /// assert_eq!(Reader::new(b"\x61\xff").text(), Err(CborError::NotUtf8));
    /// ```
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        match self.head()? {
            Head::Text(length) => {
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
    ///
    /// ```
    /// use basefs::wire::cbor::{CborError, Reader};
    ///
    /// let pair = [0x82, 0x01, 0x02];
    /// assert_eq!(Reader::new(&pair).array(0..=4), Ok(2), "two values follow");
    /// assert_eq!(Reader::new(&pair).array(3..=3), Err(CborError::Length));
    /// ```
    pub fn array(&mut self, lengths: core::ops::RangeInclusive<usize>) -> Result<usize, CborError> {
        match self.head()? {
            Head::Array(length) if lengths.contains(&length) => Ok(length),
            Head::Array(_) => Err(CborError::Length),
            _ => Err(CborError::Unexpected),
        }
    }

    /// Reads `null` if it comes next; says whether it did.
    ///
    /// # Errors
    ///
    /// [`CborError::Truncated`] or [`CborError::NotCanonical`].
    ///
    /// ```
    /// # use basefs::wire::cbor::Reader;
    /// let mut reader = Reader::new(&[0xf6, 0x01]);
    /// assert!(reader.null()?);
    /// assert!(!reader.null()?, "another value; it stays where it is");
    /// assert_eq!(reader.uint(), Ok(1));
    /// # Ok::<(), basefs::wire::cbor::CborError>(())
    /// ```
    pub fn null(&mut self) -> Result<bool, CborError> {
        let before = self.rest;
        if self.head()? == Head::Null {
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
    ///
    /// ```
    /// use basefs::wire::cbor::{CborError, Reader};
    ///
    /// let mut reader = Reader::new(&[0x01, 0x00]);
    /// assert_eq!(reader.uint(), Ok(1));
    /// assert_eq!(reader.finish(), Err(CborError::Trailing));
    /// ```
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
            Head::Uint(_) | Head::Null => {}
            Head::Bytes(length) => drop(reader.take(length)?),
            Head::Text(length) => {
                core::str::from_utf8(reader.take(length)?).map_err(|_| CborError::NotUtf8)?;
            }
            Head::Array(length) => {
                if open.len() == depth {
                    return Err(CborError::TooDeep);
                }
                open.push(length);
                complete = length == 0;
                if complete {
                    open.pop();
                }
            }
            Head::Endless => return Err(CborError::NotCanonical),
            Head::Other => return Err(CborError::Forbidden),
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
    ///
    /// ```
    /// # use basefs::wire::cbor::Writer;
    /// let mut writer = Writer::new();
    /// writer.uint(23).uint(24);
    /// assert_eq!(writer.into_bytes(), [0x17, 0x18, 0x18], "each in its shortest form");
    /// ```
    pub fn uint(&mut self, number: u64) -> &mut Self {
        self.head(Header::Positive(number))
    }

    /// Writes a byte string.
    ///
    /// ```
    /// # use basefs::wire::cbor::Writer;
    /// let mut writer = Writer::new();
    /// writer.bytes(&[7, 8]);
    /// assert_eq!(writer.into_bytes(), [0x42, 7, 8]);
    /// ```
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.head(Header::Bytes(Some(bytes.len()))).raw(bytes)
    }

    /// Writes a text string.
    ///
    /// ```
    /// # use basefs::wire::cbor::Writer;
    /// let mut writer = Writer::new();
    /// writer.text("été");
    /// assert_eq!(writer.into_bytes(), b"\x65\xc3\xa9t\xc3\xa9", "five bytes, three letters");
    /// ```
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.head(Header::Text(Some(text.len()))).raw(text.as_bytes())
    }

    /// Writes the head of an array; `length` values must follow.
    ///
    /// ```
    /// # use basefs::wire::cbor::Writer;
    /// let mut writer = Writer::new();
    /// writer.array(2).uint(1).array(0);
    /// assert_eq!(writer.into_bytes(), [0x82, 0x01, 0x80]);
    /// ```
    pub fn array(&mut self, length: usize) -> &mut Self {
        self.head(Header::Array(Some(length)))
    }

    /// Writes `null`.
    ///
    /// ```
    /// # use basefs::wire::cbor::Writer;
    /// let mut writer = Writer::new();
    /// writer.null();
    /// assert_eq!(writer.into_bytes(), [0xf6]);
    /// ```
    pub fn null(&mut self) -> &mut Self {
        self.head(Header::Simple(simple::NULL))
    }

    /// Appends bytes that are encoded already.
    ///
    /// ```
    /// # use basefs::wire::cbor::Writer;
    /// let mut body = Writer::new();
    /// body.array(1).uint(7);
    /// let body = body.into_bytes();
    /// let mut signed = Writer::new();
    /// signed.array(2).raw(&body).bytes(&[0; 64]);
    /// assert_eq!(signed.into_bytes()[1..3], body);
    /// ```
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

    /// What a general decoder makes of a head, if re-encoding gives the same bytes.
    fn oracle(bytes: &[u8]) -> Option<(Head, usize)> {
        let mut decoder = ciborium_ll::Decoder::from(bytes);
        let header = decoder.pull().ok()?;
        let length = decoder.offset();
        let mut again = Vec::new();
        Encoder::from(&mut again).push(header).ok()?;
        let head = match header {
            Header::Positive(number) => Head::Uint(number),
            Header::Bytes(Some(length)) => Head::Bytes(length),
            Header::Text(Some(length)) => Head::Text(length),
            Header::Array(Some(length)) => Head::Array(length),
            Header::Simple(simple::NULL) => Head::Null,
            _ => return None,
        };
        (again == bytes[..length]).then_some((head, length))
    }

    fn is_in_subset(head: Head) -> bool {
        !matches!(head, Head::Endless | Head::Other)
    }

    // rule: ENTRY-1
    #[test]
    fn heads_are_what_a_general_decoder_and_encoder_agree_on() {
        let edges = [0u64, 1, 23, 24, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32];
        let edges = edges.into_iter().chain([u64::MAX]);
        for (first, argument) in (0..=u8::MAX).flat_map(|f| edges.clone().map(move |a| (f, a))) {
            // The argument in every width, with bytes to spare and cut off.
            for skip in [0, 4, 6, 7] {
                let mut bytes = Vec::from([first]);
                bytes.extend_from_slice(&argument.to_be_bytes()[skip..]);
                bytes.extend_from_slice(&[0x5a; 9]);
                for end in [1, 2, 3, 5, 9, bytes.len()] {
                    let mut reader = Reader::new(&bytes[..end]);
                    let head = reader.head().ok().filter(|head| is_in_subset(*head));
                    let head = head.map(|head| (head, end - reader.rest.len()));
                    assert_eq!(head, oracle(&bytes[..end]), "{:02x?}", &bytes[..end]);
                }
            }
        }
    }
}
