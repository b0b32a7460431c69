//! The handshake: its packets, round trips and repetitions.

use super::super::queue::Micros;

/// The first repetition while no round trip is known: three times quinn's `initial_rtt` as basefs
/// sets it.
const FIRST_PTO: Micros = 300_000;

/// A packet of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Dialler: hello, TLS.
    Initial,
    /// The answer, part 0 and 1; without the keys in part 0 nothing can be made of part 1.
    Flight(u8),
    /// Dialler: part 0 of the answer is here.
    Ack,
    /// Dialler: the end of TLS, and the hello of basefs.
    Finished,
    /// The answer to the hello.
    Welcome,
}

impl Step {
    /// Bytes of UDP payload. Whatever a dialler says before it has keys is padded.
    pub fn size(self) -> usize {
        match self {
            Step::Initial | Step::Ack | Step::Flight(0) => 1_200,
            Step::Flight(_) => 700,
            Step::Finished => 720,
            Step::Welcome => 150,
        }
    }
}

/// A packet under way: when it was sent, and when the packet was that it answers.
#[derive(Clone, Copy, Debug)]
pub struct Shaking {
    pub step: Step,
    sent: Micros,
    answers: Micros,
}

/// How far one side is.
#[derive(Debug)]
pub struct Shake {
    is_dialler: bool,
    /// Which parts of the answer are known to have arrived.
    flight: [bool; 2],
    /// Whether this side's last flight is on the way: the dialler's Finished, the other's answer.
    pub is_answering: bool,
    /// The first round trip, once it is known.
    pub rtt: Option<Micros>,
    /// When the packet was sent that came in last.
    heard: Micros,
    /// When this side's present flight was sent last.
    sent: Option<Micros>,
    pub due: Option<Micros>,
    repeats: u32,
}

impl Shake {
    pub fn new(is_dialler: bool, now: Micros) -> Self {
        Self {
            is_dialler,
            flight: [false; 2],
            is_answering: false,
            rtt: None,
            heard: now,
            sent: None,
            due: is_dialler.then_some(now),
            repeats: 0,
        }
    }

    fn pto(&self) -> Micros {
        self.rtt.map_or(FIRST_PTO, |rtt| 3 * rtt.max(1_000)) << self.repeats.min(8)
    }

    fn packet(&self, now: Micros, step: Step) -> Shaking {
        Shaking { step, sent: now, answers: self.heard }
    }

    /// What this side has to say, all of it that may be lost.
    fn flight(&self, now: Micros) -> Vec<Shaking> {
        let steps: &[Step] = match (self.is_dialler, self.is_answering) {
            (true, false) => &[Step::Initial],
            (true, true) => &[Step::Finished],
            (false, _) if self.flight[0] => &[Step::Flight(1)],
            (false, _) => &[Step::Flight(0), Step::Flight(1)],
        };
        steps.iter().map(|step| self.packet(now, *step)).collect()
    }

    /// Takes a packet; gives what to answer, and whether the connection stands at this side.
    pub fn take(&mut self, now: Micros, packet: Shaking) -> (Vec<Shaking>, bool) {
        let answers = now - packet.answers;
        match (self.is_dialler, packet.step) {
            (false, Step::Initial) if !self.is_answering => {
                self.heard = packet.sent;
                (self.answer(now), false)
            }
            (false, Step::Ack) => {
                self.flight[0] = true;
                self.rtt.get_or_insert(answers);
                self.due = self.sent.map(|sent| (sent + self.pto()).max(now));
                (Vec::new(), false)
            }
            (false, Step::Finished) if self.is_answering => {
                self.rtt.get_or_insert(answers);
                self.heard = packet.sent;
                (vec![self.packet(now, Step::Welcome)], true)
            }
            (true, Step::Flight(part)) if !self.is_answering => {
                if part == 1 && !self.flight[0] {
                    return (Vec::new(), false);
                }
                self.rtt.get_or_insert(answers);
                self.heard = packet.sent;
                self.flight[usize::from(part)] = true;
                self.repeats = 0;
                if self.flight == [true; 2] {
                    return (self.answer(now), false);
                }
                // The server has all of Initial: only it has something to repeat.
                self.due = Some(now + self.pto());
                (vec![self.packet(now, Step::Ack)], false)
            }
            (true, Step::Welcome) if self.is_answering => (Vec::new(), true),
            _ => (Vec::new(), false),
        }
    }

    fn answer(&mut self, now: Micros) -> Vec<Shaking> {
        self.is_answering = true;
        (self.repeats, self.sent) = (0, Some(now));
        self.due = Some(now + self.pto());
        self.flight(now)
    }

    /// Nothing came in time: says it again, twice as probes are. A dialler says it the first time.
    pub fn repeat(&mut self, now: Micros) -> Vec<Shaking> {
        let flight = if self.is_dialler && !self.is_answering && self.flight[0] {
            vec![self.packet(now, Step::Ack)]
        } else {
            self.flight(now)
        };
        let is_first = self.sent.replace(now).is_none();
        self.repeats += u32::from(!is_first);
        self.due = Some(now + self.pto());
        if is_first || flight.len() > 1 { flight } else { flight.repeat(2) }
    }
}
