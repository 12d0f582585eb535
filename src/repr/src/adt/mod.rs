//! Value types that Rust lacks. Each file documents its representation and range.

pub mod calendar;
pub mod date;
pub mod error;
pub mod fields;
pub mod interval;
pub mod jsonb;
pub mod jsonpath;
pub mod numeric;
pub mod time;
pub mod timestamp;
pub mod timezone;

pub use date::Date;
pub use error::AdtError;
pub use fields::DateTimeField;
pub use interval::Interval;
pub use numeric::Numeric;
pub use time::Time;
pub use timestamp::CivilTimestamp;
pub use timezone::TimeZone;
