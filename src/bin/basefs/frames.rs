//! How requests and answers go through the socket: a head in JSON and bytes beside it, each with
//! its length before it as four bytes, the most significant first.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::request::Message;

/// Longest head of a request: a batch of all paths that an import puts into one.
pub(crate) const MAX_REQUEST: usize = 16 << 20;
/// Longest head of an answer: the listing of about a million paths.
pub(crate) const MAX_ANSWER: usize = 256 << 20;
/// Most bytes beside a head: the longest file there is.
const MAX_BODY: usize = 1 << 30;
/// Most memory that is set aside before anything has come: a length alone costs no more.
const FIRST_PIECE: usize = 64 << 10;

const _: () = assert!(MAX_BODY as u64 == basefs::limits::MAX_FILE);

/// Writes a message.
pub(crate) fn write<Head: Serialize>(
    to: &mut impl Write,
    message: &Message<Head>,
    most: usize,
) -> io::Result<()> {
    let head = serde_json::to_vec(&message.head)?;
    if head.len() > most || message.body.len() > MAX_BODY {
        let what = "it is too much for one message; ask for less, such as a smaller subtree";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    for part in [&head[..], &message.body[..]] {
        let length = u32::try_from(part.len()).map_err(io::Error::other)?;
        to.write_all(&length.to_be_bytes())?;
        to.write_all(part)?;
    }
    to.flush()
}

/// Reads a message, or nothing if there is no more.
pub(crate) fn read<Head: DeserializeOwned>(
    from: &mut impl Read,
    most: usize,
) -> io::Result<Option<Message<Head>>> {
    let Some(head) = read_part(from, most)? else { return Ok(None) };
    let body = read_part(from, MAX_BODY)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(Some(Message { head: serde_json::from_slice(&head)?, body: body.into() }))
}

/// Reads bytes with their length before them; nothing if not even that has come.
fn read_part(from: &mut impl Read, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read(&mut length)? {
        0 => return Ok(None),
        some => from.read_exact(&mut length[some..])?,
    }
    let length = u32::from_be_bytes(length);
    if length as usize > most {
        let what = format!("{length} bytes announced, at most {most} are allowed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let mut bytes = Vec::with_capacity(FIRST_PIECE.min(length as usize));
    from.take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_as_they_went() {
        let mut bytes = Vec::new();
        let sent = Message { head: "hello".to_owned(), body: vec![0, 255].into() };
        write(&mut bytes, &sent, 7).expect("it fits");
        let mut from = &bytes[..];
        let came: Message<String> = read(&mut from, 7).expect("whole").expect("one");
        assert_eq!((came.head, came.body), (sent.head.clone(), sent.body.clone()));
        assert!(read::<String>(&mut from, 7).expect("an end").is_none());
        assert!(write(&mut Vec::new(), &sent, 6).is_err(), "too long");
    }

    /// Whatever comes is an error, not a panic, and costs no memory before it is there.
    #[test]
    fn what_is_no_message() {
        let read = |bytes: &[u8]| read::<String>(&mut &*bytes, 100).map(|came| came.is_some());
        assert!(read(&[0, 0, 0, 101]).is_err(), "longer than allowed");
        assert!(read(&[0, 0]).is_err(), "cut in the length");
        assert!(read(b"\0\0\0\x04\"ab").is_err(), "cut in the head");
        assert!(read(b"\0\0\0\x04\"ab\"").is_err(), "nothing beside");
        assert!(read(b"\0\0\0\x04\"ab\"\x3f\xff\xff\xff").is_err(), "cut in what is beside");
        assert!(read(b"\0\0\0\x02ab\0\0\0\0").is_err(), "no JSON");
        assert!(read(b"\0\0\0\x04\"ab\"\0\0\0\0").expect("a message"));
    }
}
