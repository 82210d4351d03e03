//! What is true: ids, access rules, state machines and planners.
//!
//! Everything here is data in, data out. Time and identities arrive as values.
//! Deliberately absent: IO, async, the clock, randomness, SQL, HTTP, file paths of this machine.
#![warn(missing_docs)]

pub mod git_name;
pub mod id;
pub mod transcript;
