//! The choice of the time at which a query reads (pure).

use hw_repr::Timestamp;

use crate::error::AdapterError;

/// How consistent reads are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Reads are at or above the oracle's read timestamp, and move it.
    StrictSerializable,
    /// Reads take the newest time that is complete.
    Serializable,
}

impl Isolation {
    /// The isolation that a session setting names: whatever is weaker than serializable is serializable.
    pub fn from_setting(value: &str) -> Isolation {
        if value == "strict serializable" { Isolation::StrictSerializable } else { Isolation::Serializable }
    }
}

/// When a read has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// As the isolation says.
    Immediately,
    /// AS OF
    At(Timestamp),
    /// AS OF AT LEAST
    AtLeast(Timestamp),
}

/// What the choice depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadInputs {
    /// The least time at which all inputs can be read.
    pub since: Timestamp,
    /// The least upper of the inputs; where none of them ever changes again, that of the tables, which follows the clock.
    pub upper: Timestamp,
    /// The oracle's read timestamp.
    pub oracle_read_ts: Timestamp,
}

/// The time at which to read. If it is not below `upper`, the read must wait.
///
/// # Errors
/// 22023-like when AS OF names a time before since.
pub fn select(when: When, isolation: Isolation, inputs: ReadInputs) -> Result<Timestamp, AdapterError> {
    let ReadInputs { since, upper, oracle_read_ts } = inputs;
    let complete = upper.saturating_sub(1).max(since);
    let newest = match isolation {
        Isolation::StrictSerializable => oracle_read_ts.max(complete),
        Isolation::Serializable => complete,
    };
    match when {
        When::Immediately => Ok(newest),
        When::AtLeast(ts) => Ok(ts.max(newest)),
        When::At(ts) if ts < since => Err(AdapterError::new(
            "22000",
            format!("Timestamp ({ts}) is not valid for all inputs: the earliest is {since}"),
        )),
        When::At(ts) => Ok(ts),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(since: u64, upper: u64, oracle_read_ts: u64) -> ReadInputs {
        ReadInputs { since, upper, oracle_read_ts }
    }

    #[test]
    fn takes_the_newest_complete_time_but_not_below_the_oracle() {
        let strict = |i| select(When::Immediately, Isolation::StrictSerializable, i).unwrap();
        assert_eq!(strict(at(10, 101, 50)), 100);
        assert_eq!(strict(at(10, 101, 200)), 200);
        assert_eq!(strict(at(300, 101, 200)), 300);
        let serial = |i| select(When::Immediately, Isolation::Serializable, i).unwrap();
        assert_eq!(serial(at(10, 101, 200)), 100);
    }

    #[test]
    fn as_of_is_exact_and_checked() {
        assert_eq!(select(When::At(60), Isolation::StrictSerializable, at(50, 101, 90)), Ok(60));
        assert!(select(When::At(40), Isolation::StrictSerializable, at(50, 101, 90)).is_err());
        assert_eq!(select(When::AtLeast(60), Isolation::StrictSerializable, at(50, 101, 90)), Ok(100));
    }
}
