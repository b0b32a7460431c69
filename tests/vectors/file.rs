//! Reading vector files.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file beside this test.
pub(crate) fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

/// Reads a vector file, unpacking it if it is gzip.
pub(crate) fn read(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text).expect("valid gzip");
        text
    } else {
        bytes
    };
    let file: Value = serde_json::from_slice(&text).expect("valid JSON");
    assert_eq!(file["format"], "basefs-vectors-1");
    file
}

/// The bytes of a hexadecimal string.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("a string");
    data_encoding::HEXLOWER.decode(text.as_bytes()).expect("lower-case hex")
}

/// 32 bytes, or as many as the type has.
pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().expect("the right length")
}

/// The items of an array.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

/// A string.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}
