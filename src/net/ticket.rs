//! Tickets: all that another machine needs to join a hierarchy, as one line of text.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, SocketAddr};

use data_encoding::{BASE32_NOPAD, DecodeKind};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use zeroize::Zeroizing;

use super::codec;
use super::{Access, Admission};
use crate::id::{EntryId, NodeId};
use crate::wire::ReadSecret;

/// What every ticket begins with; the version of the format follows.
const PREFIX: &str = "basefs";
/// The version that is written and read here.
const VERSION: &str = "1";
/// Most peers in a ticket: one that answers is enough to find the others.
const MAX_PEERS: usize = 16;
/// Most addresses of one peer: a few networks, both families.
const MAX_ADDRESSES: usize = 8;
/// Bytes of the checksum. A mistyped ticket passes it once in 2^48.
const CHECKSUM: usize = 6;
/// Longest address: 16 bytes and a port, with their head.
const MAX_ADDRESS_BYTES: usize = 19;
/// Longest encoding: the parts at their longest, with their heads.
const MAX_BODY: usize =
    1 + 34 + 34 + 1 + MAX_PEERS * (1 + 34 + 1 + MAX_ADDRESSES * MAX_ADDRESS_BYTES);
/// Longest text that is looked at: five bits a letter.
const MAX_TEXT: usize = PREFIX.len() + VERSION.len() + (MAX_BODY + CHECKSUM) * 8 / 5 + 1;

/// Where a node can be reached.
///
/// ```
/// use basefs::id::NodeId;
/// use basefs::net::PeerAddress;
///
/// let node = NodeId::from_bytes([1; 32]);
/// let _peer = PeerAddress { node, addresses: vec!["192.0.2.1:4000".parse()?] };
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Who must answer there.
    pub node: NodeId,
    /// Where to try.
    pub addresses: Vec<SocketAddr>,
}

/// All that another machine needs to join a hierarchy: its id, the right to read it, and whom to
/// ask.
///
/// It prints as one line of lower-case letters and digits and parses back, in either case. Whoever
/// has the text can read the hierarchy, unless it is public: hand it on like a password. [`Debug`]
/// leaves the secret out.
///
/// ```
/// use basefs::id::EntryId;
/// use basefs::net::{ReadSecret, Ticket};
///
/// let hierarchy = EntryId::from_bytes([7; 32]);
/// let secret = ReadSecret::from_bytes([9; 32]);
/// let ticket = Ticket::new(hierarchy, Some(secret.clone()), vec![]);
/// assert_eq!(ticket.secret(), Some(&secret));
/// let text = ticket.to_string();
/// assert!(text.starts_with("basefs1"));
/// assert_eq!((ticket.hierarchy(), ticket.peers().len()), (hierarchy, 0));
/// assert_eq!(text.to_uppercase().parse(), Ok(ticket));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    hierarchy: EntryId,
    secret: Option<ReadSecret>,
    peers: Vec<PeerAddress>,
}

impl Ticket {
    /// A ticket for a hierarchy; without a secret, for a public one.
    ///
    /// It keeps the first 16 peers and the first 8 addresses of each, without IPv6 scopes and flow
    /// labels, which mean nothing on another machine.
    ///
    /// ```
    /// use basefs::id::{EntryId, NodeId};
    /// use basefs::net::{PeerAddress, Ticket};
    ///
    /// let node = NodeId::from_bytes([1; 32]);
    /// let peer = PeerAddress { node, addresses: vec!["192.0.2.1:4000".parse()?] };
    /// let ticket = Ticket::new(EntryId::from_bytes([7; 32]), None, vec![peer; 20]);
    /// assert_eq!((ticket.peers().len(), ticket.secret()), (16, None)); // the text stays short
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn new(
        hierarchy: EntryId,
        secret: Option<ReadSecret>,
        mut peers: Vec<PeerAddress>,
    ) -> Self {
        peers.truncate(MAX_PEERS);
        for peer in &mut peers {
            peer.addresses.truncate(MAX_ADDRESSES);
            for address in &mut peer.addresses {
                *address = SocketAddr::new(address.ip(), address.port());
            }
        }
        Self { hierarchy, secret, peers }
    }

    /// The hierarchy: the id of its genesis.
    pub fn hierarchy(&self) -> EntryId {
        self.hierarchy
    }

    /// The read secret; none if the hierarchy is public.
    pub fn secret(&self) -> Option<&ReadSecret> {
        self.secret.as_ref()
    }

    /// Whom to ask.
    pub fn peers(&self) -> &[PeerAddress] {
        &self.peers
    }

    /// How the holder of the ticket gets in.
    ///
    /// ```
    /// use basefs::id::EntryId;
    /// use basefs::net::{Access, Ticket};
    ///
    /// let public = Ticket::new(EntryId::from_bytes([7; 32]), None, vec![]);
    /// assert_eq!(public.admission().access, Access::Public);
    /// ```
    pub fn admission(&self) -> Admission {
        let access = match &self.secret {
            Some(secret) => Access::Secret { current: secret.clone(), also_accepted: Vec::new() },
            None => Access::Public,
        };
        Admission::new(self.hierarchy, access)
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = codec::encode(&Body::from(self), MAX_BODY);
        let mut sealed = Zeroizing::new(Vec::with_capacity(body.len() + CHECKSUM));
        sealed.extend_from_slice(&body);
        sealed.extend_from_slice(&checksum(&body));
        let mut letters = Zeroizing::new(BASE32_NOPAD.encode(&sealed));
        letters.make_ascii_lowercase();
        write!(f, "{PREFIX}{VERSION}{}", *letters)
    }
}

/// Why a text is not a ticket.
///
/// ```
/// use basefs::net::{Ticket, TicketError};
///
/// assert_eq!("hello".parse::<Ticket>(), Err(TicketError::NotATicket));
/// assert_eq!("basefs2abc".parse::<Ticket>(), Err(TicketError::OtherVersion));
/// assert_eq!("basefs1abc".parse::<Ticket>(), Err(TicketError::Mistyped));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TicketError {
    /// It does not begin like one.
    NotATicket,
    /// It is of a version that is not known here: made by a newer release.
    OtherVersion,
    /// A character that stands in no ticket.
    BadLetter {
        /// Which: the first is 0, white space around the ticket not counted.
        position: usize,
    },
    /// A letter is wrong, missing or too many.
    Mistyped,
    /// It was made wrongly: the letters are as they were written, but they do not say what a
    /// ticket says.
    Malformed,
}

impl fmt::Display for TicketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TicketError::NotATicket => write!(f, "a ticket begins with {PREFIX}{VERSION}"),
            TicketError::OtherVersion => f.write_str("the ticket was made by a newer version"),
            TicketError::BadLetter { position } => {
                write!(f, "character {} cannot be part of a ticket", position + 1)
            }
            TicketError::Mistyped => f.write_str("a letter of the ticket is wrong or missing"),
            TicketError::Malformed => f.write_str("the ticket was not made by this program"),
        }
    }
}

impl core::error::Error for TicketError {}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        let letters = letters_of(text)?;
        if text.len() > MAX_TEXT {
            return Err(TicketError::Mistyped);
        }
        let upper = Zeroizing::new(letters.to_ascii_uppercase());
        let sealed = BASE32_NOPAD.decode(upper.as_bytes()).map_err(|error| match error.kind {
            DecodeKind::Symbol => {
                TicketError::BadLetter { position: text.len() - letters.len() + error.position }
            }
            _ => TicketError::Mistyped,
        })?;
        let sealed = Zeroizing::new(sealed);
        let (body, found) = sealed.split_last_chunk::<CHECKSUM>().ok_or(TicketError::Mistyped)?;
        if *found != checksum(body) {
            return Err(TicketError::Mistyped);
        }
        let body: Body = codec::decode(body, MAX_BODY).ok_or(TicketError::Malformed)?;
        Ticket::try_from(body)
    }
}

/// What follows the prefix of a ticket.
fn letters_of(text: &str) -> Result<&str, TicketError> {
    let starts = text.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    let rest = if starts { &text[PREFIX.len()..] } else { return Err(TicketError::NotATicket) };
    match rest.strip_prefix(VERSION) {
        Some(letters) => Ok(letters),
        None if rest.starts_with(|letter: char| letter.is_ascii_digit()) => {
            Err(TicketError::OtherVersion)
        }
        None => Err(TicketError::NotATicket),
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    let hash = blake3::Hasher::new_derive_key("basefs v1 ticket checksum").update(body).finalize();
    let mut checksum = [0; CHECKSUM];
    checksum.copy_from_slice(&hash.as_bytes()[..CHECKSUM]);
    checksum
}

/// The encoding of a ticket: hierarchy, secret or null, peers.
#[derive(Serialize, Deserialize)]
struct Body(ByteArray<32>, Option<ByteArray<32>>, Vec<Peer>);

/// A node and its addresses, each an IP address and a port in network order.
#[derive(Serialize, Deserialize)]
struct Peer(ByteArray<32>, Vec<ByteBuf>);

impl From<&Ticket> for Body {
    fn from(ticket: &Ticket) -> Self {
        let bytes = |bytes: &[u8; 32]| ByteArray::new(*bytes);
        let peer = |peer: &PeerAddress| {
            Peer(bytes(peer.node.as_bytes()), peer.addresses.iter().map(pack).collect())
        };
        Body(
            bytes(ticket.hierarchy.as_bytes()),
            ticket.secret.as_ref().map(|secret| bytes(secret.as_bytes())),
            ticket.peers.iter().map(peer).collect(),
        )
    }
}

impl TryFrom<Body> for Ticket {
    type Error = TicketError;

    fn try_from(Body(hierarchy, secret, peers): Body) -> Result<Self, TicketError> {
        if peers.len() > MAX_PEERS || peers.iter().any(|peer| peer.1.len() > MAX_ADDRESSES) {
            return Err(TicketError::Malformed);
        }
        let peer = |Peer(node, addresses): Peer| {
            let addresses: Option<Vec<_>> = addresses.iter().map(|packed| unpack(packed)).collect();
            Some(PeerAddress { node: NodeId::from_bytes(*node), addresses: addresses? })
        };
        let peers: Option<Vec<_>> = peers.into_iter().map(peer).collect();
        Ok(Ticket {
            hierarchy: EntryId::from_bytes(*hierarchy),
            secret: secret.map(|secret| ReadSecret::from_bytes(*secret)),
            peers: peers.ok_or(TicketError::Malformed)?,
        })
    }
}

fn pack(address: &SocketAddr) -> ByteBuf {
    let port = address.port().to_be_bytes();
    ByteBuf::from(match address.ip() {
        IpAddr::V4(ip) => [&ip.octets()[..], &port].concat(),
        IpAddr::V6(ip) => [&ip.octets()[..], &port].concat(),
    })
}

fn unpack(packed: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = packed.split_last_chunk::<2>()?;
    let ip: IpAddr = match ip.len() {
        4 => <[u8; 4]>::try_from(ip).ok()?.into(),
        16 => <[u8; 16]>::try_from(ip).ok()?.into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec;

    fn ticket() -> Ticket {
        let peers = vec![PeerAddress {
            node: NodeId::from_bytes([3; 32]),
            addresses: vec!["192.0.2.7:4433".parse().unwrap(), "[2001:db8::1]:9".parse().unwrap()],
        }];
        let secret = ReadSecret::from_bytes([0xcd; 32]);
        Ticket::new(EntryId::from_bytes([1; 32]), Some(secret), peers)
    }

    /// The text of a ticket with such a body, whatever it says.
    fn sealed(body: &[u8]) -> String {
        format!("basefs1{}", BASE32_NOPAD.encode(&[body, &checksum(body)].concat()))
    }

    #[test]
    fn the_text_is_frozen() {
        assert_eq!(
            ticket().to_string(),
            "basefs1qnmcaaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaiblaqm3tonzxg43\
             tonzxg43tonzxg43tonzxg43tonzxg43tonzxg43tmbqjmcaaydambqgaydambqgaydambqgayda\
             mbqgaydambqgaydambqgaydqjdmaaaca4ivcuraaeg3qaaaaaaaaaaaaaaaaaabaaewjpa52g57s"
        );
    }

    #[test]
    fn parses_what_it_prints() {
        let secret = ReadSecret::from_bytes([0xcd; 32]);
        let many = PeerAddress {
            node: NodeId::from_bytes([3; 32]),
            addresses: vec!["[fe80::1%7]:65535".parse().unwrap(); MAX_ADDRESSES + 1],
        };
        for ticket in [
            ticket(),
            Ticket::new(EntryId::from_bytes([1; 32]), None, vec![]),
            Ticket::new(EntryId::from_bytes([1; 32]), Some(secret), vec![many; MAX_PEERS + 1]),
        ] {
            let text = ticket.to_string();
            assert!(text.len() <= MAX_TEXT);
            assert_eq!(text.parse(), Ok(ticket.clone()));
            assert_eq!(format!("  {}\r\n", text.to_uppercase()).parse(), Ok(ticket));
        }
    }

    #[test]
    fn any_wrong_letter_is_noticed() {
        let text = ticket().to_string();
        for position in 0..text.len() {
            for letter in "abcdefghijklmnopqrstuvwxyz0123456789-é".chars() {
                if text[position..].starts_with(letter) {
                    continue;
                }
                let wrong = format!("{}{letter}{}", &text[..position], &text[position + 1..]);
                let error = wrong.parse::<Ticket>().expect_err(&wrong);
                assert_ne!(error, TicketError::Malformed);
            }
        }
    }

    #[test]
    fn missing_doubled_and_swapped_letters_are_noticed() {
        let text = ticket().to_string();
        for position in 0..text.len() {
            let (before, after) = text.split_at(position);
            assert!(format!("{before}{}", &after[1..]).parse::<Ticket>().is_err());
            assert!(format!("{before}{}{after}", &after[..1]).parse::<Ticket>().is_err());
            assert!(before.parse::<Ticket>().is_err());
            if after.len() > 1 && after[..1] != after[1..2] {
                let swapped = format!("{before}{}{}{}", &after[1..2], &after[..1], &after[2..]);
                assert!(swapped.parse::<Ticket>().is_err());
            }
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (text, error) in [
            ("", TicketError::NotATicket),
            ("https://example.org", TicketError::NotATicket),
            ("basefs", TicketError::NotATicket),
            ("basefs2abc", TicketError::OtherVersion),
            (" basefs1ab1c", TicketError::BadLetter { position: 9 }),
            ("basefs1", TicketError::Mistyped),
            (&sealed(&[0xff]), TicketError::Malformed),
            (&sealed(&[0x80]), TicketError::Malformed),
            (&"basefs1a".repeat(1_000), TicketError::Mistyped),
        ] {
            assert_eq!(text.parse::<Ticket>(), Err(error), "{text}");
        }
    }

    #[test]
    fn limits_hold_for_what_others_made() {
        let longer = Ticket {
            peers: vec![PeerAddress { node: NodeId::from_bytes([3; 32]), addresses: vec![] }; 17],
            ..ticket()
        };
        assert_eq!(longer.to_string().parse::<Ticket>(), Err(TicketError::Malformed));
    }

    #[test]
    fn the_secret_is_not_printed_for_debugging() {
        let printed = format!("{:?}", ticket());
        assert!(!printed.contains("205") && !printed.to_lowercase().contains("cd"));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_is_no_ticket(text in ".{0,200}") {
            assert!(text.parse::<Ticket>().is_err());
            assert!(format!("basefs1{text}").parse::<Ticket>().is_err());
        }

        #[test]
        fn what_is_accepted_prints_the_same(
            changes in proptest::collection::vec((0usize..200, 0u8..), 0..4),
            length in 0usize..200,
        ) {
            let mut body = codec::encode(&Body::from(&ticket()), MAX_BODY).to_vec();
            for (position, byte) in changes {
                let position = position % body.len();
                body[position] = byte;
            }
            body.resize(body.len().max(length), 0);
            // Past the checksum, which whoever made this got right.
            if let Ok(ticket) = sealed(&body).parse::<Ticket>() {
                assert_eq!(ticket.to_string(), sealed(&body).to_lowercase());
            }
        }

        #[test]
        fn arbitrary_tickets_come_back(
            hierarchy: [u8; 32],
            secret: Option<[u8; 32]>,
            peers in proptest::collection::vec((proptest::array::uniform32(0u8..), proptest::collection::vec(proptest::prelude::any::<SocketAddr>(), 0..10)), 0..18),
        ) {
            let peers = peers.into_iter().map(|(node, addresses)| PeerAddress {
                node: NodeId::from_bytes(node),
                addresses,
            });
            let ticket = Ticket::new(
                EntryId::from_bytes(hierarchy),
                secret.map(ReadSecret::from_bytes),
                peers.collect(),
            );
            assert_eq!(ticket.to_string().parse(), Ok(ticket));
        }
    }
}
