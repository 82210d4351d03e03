//! The kit of tests: a world with a real store and real git, people and runners with verbs, a
//! clock that the test owns, and model servers that follow a script.
//!
//! Verbs go through the public doors. Deliberately absent: hooks into production code; a test
//! drives time and ticks itself.

pub mod canary;
pub mod checkout;
pub mod clock;
pub mod containers;
pub mod finish;
pub mod hand;
pub mod identities;
pub mod invariants;
pub mod model;
pub mod person;
pub mod postgres;
pub mod world;

pub use canary::Canaries;
pub use checkout::Checkout;
pub use clock::{ManualClock, SeededIds};
pub use hand::Hand;
pub use identities::{Fault, Identities};
/// For the tests of crates that may not be built on it.
pub use nightshift_git as git;
pub use person::Person;
pub use world::World;
