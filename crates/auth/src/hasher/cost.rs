//! How much work one hash is.

use scrypt::Params;

/// The cost parameters of scrypt (RFC 7914 §2). One run takes 128·r·2^log_n bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScryptCost {
    /// Binary logarithm of the CPU and memory cost N.
    pub log_n: u8,
    /// Block size.
    pub r: u32,
    /// Parallelisation: how many times the work is done, one after the other.
    pub p: u32,
}

/// A cost that is no scrypt cost, or one beyond four times the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scrypt cost needs log_n, r and p of at least 1, and 128·2^log_n·r·p of at most 512 MiB")]
pub struct ScryptCostError;

impl ScryptCost {
    /// Bytes of memory that one run takes.
    pub(super) const fn memory(self) -> usize {
        (128 * self.r as usize) << self.log_n
    }
}

impl Default for ScryptCost {
    /// The first choice of OWASP's Password Storage Cheat Sheet: N = 2^17, r = 8, p = 1, 128 MiB.
    fn default() -> Self {
        Self { log_n: 17, r: 8, p: 1 }
    }
}

impl TryFrom<ScryptCost> for Params {
    type Error = ScryptCostError;

    /// Bounds memory and time before scrypt sees the numbers: they may come from a database that was
    /// tampered with, and scrypt would allocate whatever they say.
    fn try_from(cost: ScryptCost) -> Result<Self, ScryptCostError> {
        let positive = cost.log_n >= 1 && cost.r >= 1 && cost.p >= 1;
        let bounded = cost.log_n < 32
            && 128 * (1_u128 << cost.log_n) * u128::from(cost.r) * u128::from(cost.p) <= MAX_WORK;
        if !(positive && bounded) {
            return Err(ScryptCostError);
        }
        Params::new(cost.log_n, cost.r, cost.p).map_err(|_| ScryptCostError)
    }
}

/// Bytes mixed in one run; the memory it takes is never more.
const MAX_WORK: u128 = 512 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_bounded_before_anything_is_allocated() {
        let params = |log_n, r, p| Params::try_from(ScryptCost { log_n, r, p });
        assert!(Params::try_from(ScryptCost::default()).is_ok());
        assert!(params(1, 1, 1).is_ok());
        assert!(params(19, 8, 1).is_ok());
        for (log_n, r, p) in [
            (20, 8, 1),
            (19, 8, 2),
            (63, 8, 1),
            (255, 1, 1),
            (1, u32::MAX, 1),
            (1, 1 << 16, 1 << 16),
            (31, u32::MAX, u32::MAX),
            (0, 8, 1),
            (14, 0, 1),
            (14, 8, 0),
        ] {
            assert_eq!(params(log_n, r, p), Err(ScryptCostError), "{log_n} {r} {p}");
        }
    }
}
