//! What is true: ids, access rules, state machines and planners.
//!
//! Everything here is data in, data out. Time and identities arrive as values.
//! Deliberately absent: IO, async, the clock, randomness, SQL, HTTP, file paths of this machine.
#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod access;
pub mod admission;
pub mod brief;
pub mod budget;
pub mod check;
pub mod config;
pub mod desk;
pub mod diagram;
pub mod facts;
pub mod failure;
pub mod git_name;
pub mod grant;
pub mod guideline;
pub mod health;
pub mod host;
pub mod id;
pub mod image;
pub mod issue;
pub mod job;
pub mod mask;
pub mod merge;
pub mod preflight;
pub mod prompt;
mod refusal;
pub mod route;
pub mod sentence;
pub mod size;
pub mod speech;
pub mod suggestion;
pub mod told;
pub mod traffic;
pub mod transcript;
pub mod trust;
pub mod tryout;
pub mod view;
pub mod waiting;
