//! The hello: two connected nodes prove to each other that they may read the same hierarchy.
//!
//! The transport has proved *who* each end is. In the hello the dialler speaks first, and the
//! other end answers only what it could verify. Both messages have one form:
//!
//! ```text
//! [version, tag, proof]
//! tag   = hash of (role, binding, hierarchy)
//! proof = hash keyed by the read secret of (role, version, binding, both nodes, hierarchy)
//! ```
//!
//! The *binding* is a secret of this one connection, so neither part can be replayed on another or
//! passed on by somebody in between; the *role* is that of the speaker, so neither can be sent
//! back to whoever made it. Without the hierarchy's id the tag says nothing, and a stranger is
//! told nothing but [`CloseReason::OtherHierarchy`].

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;
use std::net::SocketAddr;

use blake3::Hash;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use zeroize::{Zeroize, Zeroizing};

use super::codec;
use super::{
    Access, Admission, CloseReason, ConnectError, Connection, FrameReceiver, FrameSender,
    LinkError, Transport,
};
use crate::id::{EntryId, NodeId};
use crate::wire::ReadSecret;
use crate::wire::cbor::{CborError, Reader};

/// The version of the protocol that follows the hello.
pub const PROTOCOL_VERSION: u64 = 1;
/// Longest hello in bytes. Ours has 70; the rest is room for later versions, which must be
/// understood so far as to be told from garbage.
pub const HELLO_LIMIT: usize = 256;
/// The time a connected peer has for its hello: one round trip, repeated often where half the
/// packets are lost.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(15);
/// The time for connecting and the hello together; at half the packets lost a handshake alone
/// takes up to a minute.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(75);

/// Most values in a hello of any version, so that a later one can still be told from garbage.
const MAX_FIELDS: usize = 16;

impl Admission {
    /// The keys a dialler may prove with; the one to try first comes first.
    fn keys(&self) -> Vec<Key> {
        match &self.access {
            Access::Secret { current, also_accepted } => {
                core::iter::once(current).chain(also_accepted).map(Key::of).collect()
            }
            Access::Public => alloc::vec![self.public_key()],
        }
    }

    fn current(&self) -> Key {
        match &self.access {
            Access::Secret { current, .. } => Key::of(current),
            Access::Public => self.public_key(),
        }
    }

    fn public_key(&self) -> Key {
        let proof = blake3::derive_key("basefs v1 hello public", self.hierarchy.as_bytes());
        Key { secret: None, proof: ProofKey(proof) }
    }
}

/// A way to get in.
struct Key {
    /// None in a public hierarchy.
    secret: Option<ReadSecret>,
    proof: ProofKey,
}

impl Key {
    fn of(secret: &ReadSecret) -> Self {
        Self { secret: Some(secret.clone()), proof: ProofKey::of(secret) }
    }
}

/// What proofs are keyed by.
struct ProofKey([u8; 32]);

impl ProofKey {
    fn of(secret: &ReadSecret) -> Self {
        Self(blake3::derive_key("basefs v1 hello secret", secret.as_bytes()))
    }
}

impl Drop for ProofKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Which end of a connection a node is.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::NodeId;
/// # use basefs::net::memory::MemoryNetwork;
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// # let network = MemoryNetwork::new();
/// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// # use basefs::net::Transport;
/// # let to_ben = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
/// # let to_ana = at_ben.accept().await.ok_or("closed")?;
/// # use basefs::id::EntryId;
/// use basefs::net::{Access, Admission, Role, hello};
///
/// let admission = Admission::new(EntryId::from_bytes([7; 32]), Access::Public);
/// let (first, second) = tokio::join!(
///     hello(to_ben, Role::Dialer, &admission),
///     hello(to_ana, Role::Responder, &admission),
/// );
/// assert!(first.is_ok() && second.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It dialled, and speaks first.
    Dialer,
    /// It was dialled.
    Responder,
}

impl Role {
    const fn byte(self) -> u8 {
        match self {
            Role::Dialer => 0,
            Role::Responder => 1,
        }
    }
}

/// A connection to a peer that may read the same hierarchy, and the stream the hello was on, which
/// stays open for what comes next.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::NodeId;
/// # use basefs::net::memory::MemoryNetwork;
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// # let network = MemoryNetwork::new();
/// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// # use basefs::net::{Connection, FrameReceiver, FrameSender, Transport};
/// # let to_ben = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
/// # let to_ana = at_ben.accept().await.ok_or("closed")?;
/// # use basefs::id::EntryId;
/// # use basefs::net::{Access, Admission, Role, hello};
/// # let admission = Admission::new(EntryId::from_bytes([7; 32]), Access::Public);
/// # let (first, second) = tokio::join!(
/// #     hello(to_ben, Role::Dialer, &admission),
/// #     hello(to_ana, Role::Responder, &admission),
/// # );
/// let (mut at_ana, mut at_ben) = (first?, second?);
/// assert_eq!((at_ana.connection.peer(), at_ben.connection.peer()), (ben, ana));
/// at_ana.sender.send("what comes next".into()).await?; // on the stream of the hello
/// assert_eq!(at_ben.receiver.receive().await?.as_deref(), Some(&b"what comes next"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Established<C: Connection> {
    /// The connection.
    pub connection: C,
    /// Sends on the first stream.
    pub sender: C::Sender,
    /// Receives from the first stream.
    pub receiver: C::Receiver,
    /// What both sides proved that they know; none in a public hierarchy. A peer that got in by a
    /// secret has no place any more when that is not accepted any more.
    pub secret: Option<ReadSecret>,
}

/// Dials a peer and says hello, within [`DIAL_TIMEOUT`]. A peer that does not know the current
/// secret, as it has not heard of its rotation yet, is dialled again with the others that are
/// accepted here.
///
/// # Errors
///
/// [`ConnectError`]; no connection is left behind.
///
/// ```
/// use basefs::id::{EntryId, NodeId};
/// use basefs::net::memory::MemoryNetwork;
/// use basefs::net::{Access, Admission, Connection, Transport, dial, welcome};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let admission = Admission::new(EntryId::from_bytes([7; 32]), Access::Public);
/// let (ana, bob) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
/// let network = MemoryNetwork::new();
/// let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// let at_bob = network.bind("10.0.0.2:1".parse()?, bob)?;
///
/// let answer = async { welcome(at_bob.accept().await.unwrap(), &admission).await };
/// let (dialled, welcomed) =
///     tokio::join!(dial(&at_ana, "10.0.0.2:1".parse()?, bob, &admission), answer);
/// assert_eq!(dialled?.connection.peer(), bob);
/// assert_eq!(welcomed?.connection.peer(), ana);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn dial<T: Transport>(
    transport: &T,
    address: SocketAddr,
    expected: NodeId,
    admission: &Admission,
) -> Result<Established<T::Connection>, ConnectError> {
    let dialling = async {
        if admission.expelled.contains(&expected) {
            return Err(ConnectError::Expelled);
        }
        for key in admission.keys() {
            let connection = transport.connect(address, expected).await?;
            match timed_hello(connection, Role::Dialer, admission, key).await {
                Err(ConnectError::WrongSecret) => {}
                outcome => return outcome,
            }
        }
        Err(ConnectError::WrongSecret)
    };
    tokio::time::timeout(DIAL_TIMEOUT, dialling).await.unwrap_or(Err(ConnectError::TimedOut))
}

/// Hears the hello of a peer that connected and answers it, within [`HELLO_TIMEOUT`].
///
/// # Errors
///
/// [`ConnectError`]; the connection is closed.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::NodeId;
/// # use basefs::net::memory::MemoryNetwork;
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// # let network = MemoryNetwork::new();
/// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// # use basefs::id::EntryId;
/// use basefs::net::{Access, Admission, ConnectError, Transport, dial, welcome};
///
/// let (ours, theirs) = (EntryId::from_bytes([7; 32]), EntryId::from_bytes([8; 32]));
/// let [ours, theirs] = [ours, theirs].map(|id| Admission::new(id, Access::Public));
/// let dialling = dial(&at_ana, "10.0.0.2:1".parse()?, ben, &theirs);
/// let welcoming = async { welcome(at_ben.accept().await.unwrap(), &ours).await };
/// let (dialled, welcomed) = tokio::join!(dialling, welcoming);
/// assert_eq!(welcomed.unwrap_err(), ConnectError::OtherHierarchy);
/// assert_eq!(dialled.unwrap_err(), ConnectError::OtherHierarchy); // she is told
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn welcome<C: Connection>(
    connection: C,
    admission: &Admission,
) -> Result<Established<C>, ConnectError> {
    timed_hello(connection, Role::Responder, admission, admission.current()).await
}

async fn timed_hello<C: Connection>(
    connection: C,
    role: Role,
    admission: &Admission,
    key: Key,
) -> Result<Established<C>, ConnectError> {
    let exchange = hello_with(connection.clone(), role, admission, key);
    let outcome = tokio::time::timeout(HELLO_TIMEOUT, exchange).await;
    outcome.unwrap_or_else(|_elapsed| {
        connection.close(CloseReason::Done);
        Err(ConnectError::TimedOut)
    })
}

/// The exchange itself, over any transport and without a time limit; with the current secret.
///
/// For the dialler it is done when the answer was verified: both ends are sure of each other then.
/// The responder is sure of the dialler when it answers; should the dialler refuse the answer, the
/// connection closes.
///
/// # Errors
///
/// [`ConnectError`]; the connection is closed, and the peer told why.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::NodeId;
/// # use basefs::net::memory::MemoryNetwork;
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// # let network = MemoryNetwork::new();
/// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// # use basefs::net::Transport;
/// # let to_ben = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
/// # let to_ana = at_ben.accept().await.ok_or("closed")?;
/// # use basefs::id::EntryId;
/// use basefs::net::{Access, Admission, ConnectError, ReadSecret, Role, hello};
///
/// let hierarchy = EntryId::from_bytes([7; 32]);
/// let [secret, guess] = [1, 2].map(|n| {
///     let current = ReadSecret::from_bytes([n; 32]);
///     Admission::new(hierarchy, Access::Secret { current, also_accepted: vec![] })
/// });
/// let (first, second) = tokio::join!(
///     hello(to_ben, Role::Dialer, &guess),
///     hello(to_ana, Role::Responder, &secret),
/// );
/// assert_eq!(first.unwrap_err(), ConnectError::WrongSecret);
/// assert_eq!(second.unwrap_err(), ConnectError::WrongSecret);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn hello<C: Connection>(
    connection: C,
    role: Role,
    admission: &Admission,
) -> Result<Established<C>, ConnectError> {
    hello_with(connection, role, admission, admission.current()).await
}

/// The exchange, in which the dialler proves with this key.
async fn hello_with<C: Connection>(
    connection: C,
    role: Role,
    admission: &Admission,
    key: Key,
) -> Result<Established<C>, ConnectError> {
    let streams = match role {
        Role::Dialer => connection.open().await,
        Role::Responder => connection.accept().await,
    };
    let (mut sender, mut receiver) = streams.map_err(lost)?;
    let transcript = Transcript::of(&connection, role, admission.hierarchy);
    let outcome = match role {
        Role::Dialer => introduce(&transcript, key, &mut sender, &mut receiver).await,
        Role::Responder => answer(&transcript, admission, &mut sender, &mut receiver).await,
    };
    match outcome {
        Ok(secret) => {
            connection.admit();
            Ok(Established { connection, sender, receiver, secret })
        }
        Err(error) => {
            // Before the streams are dropped: their end would reach the peer instead.
            connection.close(parting(&error));
            Err(error)
        }
    }
}

async fn introduce(
    transcript: &Transcript,
    Key { secret, proof: key }: Key,
    sender: &mut impl FrameSender,
    receiver: &mut impl FrameReceiver,
) -> Result<Option<ReadSecret>, ConnectError> {
    sender.send(transcript.message(Role::Dialer, &key)).await.map_err(lost)?;

    let hello = hear(receiver).await?;
    transcript.check_tag(Role::Responder, &hello)?;
    if transcript.is_proved_by(Role::Responder, &key, &hello) {
        Ok(secret)
    } else {
        Err(ConnectError::WrongSecret)
    }
}

async fn answer(
    transcript: &Transcript,
    admission: &Admission,
    sender: &mut impl FrameSender,
    receiver: &mut impl FrameReceiver,
) -> Result<Option<ReadSecret>, ConnectError> {
    let hello = hear(receiver).await?;
    transcript.check_tag(Role::Dialer, &hello)?;
    let proves = |key: &Key| transcript.is_proved_by(Role::Dialer, &key.proof, &hello);
    let Some(Key { secret, proof }) = admission.keys().into_iter().find(proves) else {
        return Err(ConnectError::WrongSecret);
    };
    // Whom this is about is certain: the transport has proved it.
    if admission.expelled.contains(&transcript.dialer) {
        return Err(ConnectError::Expelled);
    }
    // Answered with the secret the dialler used: it may not know a newer one.
    sender.send(transcript.message(Role::Responder, &proof)).await.map_err(lost)?;
    Ok(secret)
}

async fn hear(receiver: &mut impl FrameReceiver) -> Result<Hello, ConnectError> {
    match receiver.receive_at_most(HELLO_LIMIT).await {
        Ok(Some(frame)) => Hello::decode(&frame),
        Ok(None) => Err(misbehaved("it ended the stream without a hello")),
        Err(error) => Err(lost(error)),
    }
}

/// The message: version, tag, proof.
#[derive(Serialize, Deserialize)]
struct Hello(u64, ByteArray<32>, ByteArray<32>);

impl Hello {
    fn decode(frame: &[u8]) -> Result<Self, ConnectError> {
        // Whatever else later versions change, they keep the array and its first number.
        let garbage = |_: CborError| misbehaved("its hello is not one of any version");
        let mut reader = Reader::new(frame);
        reader.array(1..=MAX_FIELDS).map_err(garbage)?;
        if reader.uint().map_err(garbage)? != PROTOCOL_VERSION {
            return Err(ConnectError::OtherVersion);
        }
        codec::decode(frame, HELLO_LIMIT).ok_or_else(|| misbehaved("its hello is malformed"))
    }
}

/// What both ends know of a connection and prove statements about.
struct Transcript {
    binding: Zeroizing<[u8; 32]>,
    dialer: NodeId,
    responder: NodeId,
    hierarchy: EntryId,
}

impl Transcript {
    fn of<C: Connection>(connection: &C, role: Role, hierarchy: EntryId) -> Self {
        let (node, peer) = (connection.node(), connection.peer());
        let (dialer, responder) = match role {
            Role::Dialer => (node, peer),
            Role::Responder => (peer, node),
        };
        Self { binding: Zeroizing::new(connection.binding()), dialer, responder, hierarchy }
    }

    fn tag(&self, speaker: Role) -> Hash {
        blake3::Hasher::new_derive_key("basefs v1 hello tag")
            .update(&[speaker.byte()])
            .update(&*self.binding)
            .update(self.hierarchy.as_bytes())
            .finalize()
    }

    fn proof(&self, speaker: Role, key: &ProofKey) -> Hash {
        blake3::Hasher::new_keyed(&key.0)
            .update(&[speaker.byte()])
            .update(&PROTOCOL_VERSION.to_be_bytes())
            .update(&*self.binding)
            .update(self.dialer.as_bytes())
            .update(self.responder.as_bytes())
            .update(self.hierarchy.as_bytes())
            .finalize()
    }

    fn message(&self, speaker: Role, key: &ProofKey) -> Bytes {
        let (tag, proof) = (self.tag(speaker), self.proof(speaker, key));
        let hello =
            Hello(PROTOCOL_VERSION, ByteArray::new(tag.into()), ByteArray::new(proof.into()));
        Bytes::copy_from_slice(&codec::encode(&hello, HELLO_LIMIT))
    }

    // The comparisons are those of `blake3::Hash`, which take the same time wherever the two
    // differ.

    fn check_tag(&self, speaker: Role, hello: &Hello) -> Result<(), ConnectError> {
        if self.tag(speaker) == Hash::from_bytes(*hello.1) {
            Ok(())
        } else {
            Err(ConnectError::OtherHierarchy)
        }
    }

    fn is_proved_by(&self, speaker: Role, key: &ProofKey, hello: &Hello) -> bool {
        self.proof(speaker, key) == Hash::from_bytes(*hello.2)
    }
}

fn misbehaved(what: &str) -> ConnectError {
    ConnectError::Misbehaved { what: what.into() }
}

/// What the end of a connection means while saying hello.
fn lost(error: LinkError) -> ConnectError {
    match error {
        LinkError::Closed(CloseReason::OtherHierarchy) => ConnectError::OtherHierarchy,
        LinkError::Closed(CloseReason::WrongSecret) => ConnectError::WrongSecret,
        LinkError::Closed(CloseReason::OtherVersion) => ConnectError::OtherVersion,
        LinkError::Closed(CloseReason::Expelled) => ConnectError::Expelled,
        LinkError::Closed(CloseReason::Busy) => ConnectError::Busy,
        LinkError::Closed(reason) => ConnectError::HungUp { reason },
        LinkError::ClosedHere => ConnectError::Local { what: error.to_string() },
        LinkError::TimedOut => ConnectError::TimedOut,
        LinkError::FrameTooLong { .. } | LinkError::Truncated => {
            ConnectError::Misbehaved { what: error.to_string() }
        }
        LinkError::Failed { what } => ConnectError::Lost { what },
    }
}

/// What the peer is told when the hello failed with `error` here.
fn parting(error: &ConnectError) -> CloseReason {
    match error {
        ConnectError::OtherHierarchy => CloseReason::OtherHierarchy,
        ConnectError::WrongSecret => CloseReason::WrongSecret,
        ConnectError::OtherVersion => CloseReason::OtherVersion,
        ConnectError::Expelled => CloseReason::Expelled,
        ConnectError::Misbehaved { .. } => CloseReason::Misbehaved,
        _ => CloseReason::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn transcript() -> Transcript {
        Transcript {
            binding: Zeroizing::new([1; 32]),
            dialer: NodeId::from_bytes([2; 32]),
            responder: NodeId::from_bytes([3; 32]),
            hierarchy: EntryId::from_bytes([4; 32]),
        }
    }

    fn secret(byte: u8) -> ProofKey {
        ProofKey::of(&ReadSecret::from_bytes([byte; 32]))
    }

    #[test]
    fn the_message_is_frozen() {
        let message = transcript().message(Role::Dialer, &secret(5));
        assert_eq!(message.len(), 70);
        assert_eq!(message[..4], [0x83, 0x01, 0x58, 0x20]);
        assert_eq!(blake3::hash(&message).to_hex()[..16], *"262f2e40af96abda");
    }

    #[test]
    fn a_proof_holds_for_its_speaker_connection_and_secret_only() {
        let transcript = transcript();
        let hello = Hello::decode(&transcript.message(Role::Dialer, &secret(5))).unwrap();
        assert_eq!(transcript.check_tag(Role::Dialer, &hello), Ok(()));
        assert!(transcript.is_proved_by(Role::Dialer, &secret(5), &hello));
        assert!(!transcript.is_proved_by(Role::Dialer, &secret(6), &hello));

        // Sent back to whoever made it.
        assert_eq!(
            transcript.check_tag(Role::Responder, &hello),
            Err(ConnectError::OtherHierarchy)
        );
        assert!(!transcript.is_proved_by(Role::Responder, &secret(5), &hello));

        // On another connection, or between other nodes.
        let elsewhere = Transcript { binding: Zeroizing::new([9; 32]), ..self::transcript() };
        assert_eq!(elsewhere.check_tag(Role::Dialer, &hello), Err(ConnectError::OtherHierarchy));
        assert!(!elsewhere.is_proved_by(Role::Dialer, &secret(5), &hello));
        let other = Transcript { dialer: NodeId::from_bytes([9; 32]), ..self::transcript() };
        assert!(!other.is_proved_by(Role::Dialer, &secret(5), &hello));
    }

    #[test]
    fn a_later_version_is_told_from_garbage() {
        assert_eq!(Hello::decode(&[0x82, 0x02, 0x40]).err(), Some(ConnectError::OtherVersion));
        for garbage in [&[][..], b"GET / HTTP/1.1", &[0x01], &[0x83, 0x01, 0x40, 0x40]] {
            let error = Hello::decode(garbage).err();
            assert!(matches!(error, Some(ConnectError::Misbehaved { .. })), "{garbage:?}");
        }
        let mut trailing = transcript().message(Role::Dialer, &secret(5)).to_vec();
        trailing.push(0);
        assert!(Hello::decode(&trailing).is_err());
    }

    #[test]
    fn secrets_are_not_printed() {
        let access = Access::Secret {
            current: ReadSecret::from_bytes([0xab; 32]),
            also_accepted: alloc::vec![ReadSecret::from_bytes([0xcd; 32])],
        };
        let printed = format!("{access:?}");
        assert!(!printed.contains("ab") && !printed.contains("171") && !printed.contains("cd"));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(
            version in 0u8..3,
            bytes in proptest::collection::vec(0u8.., 0..HELLO_LIMIT + 10),
        ) {
            // With a good beginning half of the time, so that the rest is looked at as well.
            let started = [&[0x83, version, 0x58, 0x20][..], &bytes].concat();
            for frame in [bytes, started] {
                if let Ok(hello) = Hello::decode(&frame) {
                    assert_eq!(**codec::encode(&hello, HELLO_LIMIT), frame[..]);
                }
            }
        }
    }
}
