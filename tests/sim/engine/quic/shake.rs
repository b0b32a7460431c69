//! How a connection begins: the handshake of TLS, then a question and an answer of this protocol.

use super::super::queue::{MILLI, Micros, SECOND};
use super::recovery::Rtt;

/// What a packet of the beginning carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The client's first.
    Initial,
    /// The server's answer takes two packets.
    Answer(u8),
    /// Part of the server's answer is here.
    Ack,
    /// The client's certificate and the end of its handshake.
    Finished,
    /// Who the client is in this protocol, and for which hierarchy.
    Hello,
    /// The same of the server.
    Welcome,
}

impl Step {
    /// Bytes of its packet.
    pub fn bytes(self) -> u64 {
        match self {
            Step::Initial | Step::Answer(0) => 1_200,
            Step::Answer(_) => 700,
            Step::Finished => 600,
            Step::Ack => 40,
            Step::Hello | Step::Welcome => 100,
        }
    }
}

/// The wait for an answer while no round trip is known.
const FIRST_WAIT: Micros = 300 * MILLI;
/// When it is given up.
const PATIENCE: Micros = 60 * SECOND;

/// One end on its way to a connection.
#[derive(Debug)]
pub struct Shake {
    is_client: bool,
    is_finishing: bool,
    started: Micros,
    /// Which of the two packets of the other side's flight are here.
    got: u8,
    pub rtt: Rtt,
    /// When the last packet was sent that came in: what is sent now answers it.
    pub answers: Micros,
    wait: Micros,
    pub due: Micros,
}

impl Shake {
    pub fn new(now: Micros, is_client: bool) -> Self {
        Self {
            is_client,
            is_finishing: false,
            started: now,
            got: 0,
            rtt: Rtt::default(),
            answers: now,
            wait: FIRST_WAIT,
            due: now + FIRST_WAIT,
        }
    }

    /// What is sent now, and again until it is answered.
    pub fn flight(&self) -> &'static [Step] {
        match (self.is_client, self.is_finishing) {
            (true, false) => &[Step::Initial],
            (true, true) => &[Step::Finished, Step::Hello],
            (false, _) => &[Step::Answer(0), Step::Answer(1)],
        }
    }

    /// Takes a packet: when it was sent, and when the packet was sent that it answers.
    pub fn take(&mut self, now: Micros, step: Step, sent: Micros, answers: Micros) -> Progress {
        self.answers = sent;
        if step == Step::Ack {
            let is_first = self.rtt.srtt == 0;
            self.rtt.sample(now - answers, 0);
            // Now that the round trip is known, the lost part is sent again sooner: once, or the
            // answers to what was sent again would call for it again.
            if is_first {
                self.due = self.due.min(now + self.rtt.pto());
            }
            return Progress::Nothing;
        }
        let bit = match (self.is_client, step) {
            (true, Step::Answer(part)) => 1 << part,
            (false, Step::Finished) => 1,
            (false, Step::Hello) => 2,
            (true, Step::Welcome) if self.is_finishing => return Progress::Open,
            _ => return Progress::Nothing,
        };
        self.rtt.sample(now - answers, 0);
        self.got |= bit;
        if self.got != 3 || self.is_finishing {
            return if self.is_client { Progress::Ack } else { Progress::Nothing };
        }
        if !self.is_client {
            return Progress::Open;
        }
        self.is_finishing = true;
        self.wait = self.rtt.pto();
        self.due = now + self.wait;
        Progress::Send
    }

    /// Nothing was heard for too long; whether to send again.
    pub fn timed_out(&mut self, now: Micros) -> bool {
        self.wait *= 2;
        self.due = (now + self.wait).min(self.started + PATIENCE);
        now < self.started + PATIENCE
    }
}

/// What a packet of the beginning led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Nothing,
    /// The other end should know that part of its flight is here.
    Ack,
    /// The flight is another now.
    Send,
    /// The connection stands.
    Open,
}
