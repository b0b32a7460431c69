//! Random numbers that depend on nothing but a seed.

/// What a stream of random numbers is for: streams of different purposes do not disturb each
/// other, so that a change in one part leaves the luck of the others as it was.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Delays, losses, duplicates.
    Network,
    /// Seeds of nodes.
    Nodes,
    /// What a scenario does and when.
    Scenario,
    /// What a hostile host does.
    Malice,
}

/// A SplitMix64 generator.
#[derive(Clone, Debug)]
pub struct Rng(u64);

/// A bijection of 64 bits without visible structure.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Rng {
    /// The stream of one purpose in the run of a seed.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self(mix(seed ^ mix(purpose as u64 + 1)))
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Evenly from zero up to, and without, one.
    pub fn unit(&mut self) -> f64 {
        // 53 bits are what a float holds exactly.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly below a bound, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        // The bias is below 2^-32 for the bounds in use here.
        self.next() % bound
    }

    /// An index of a collection that is not empty.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a length")
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// 32 bytes, the seed of a node.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()));
        bytes
    }
}
