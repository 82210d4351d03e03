//! One file for each noun, one function for each intention.

pub mod account;
pub mod audit;
pub mod board;
pub(crate) mod budget;
pub mod change;
pub mod desk;
pub mod event;
pub mod finish;
pub mod issue;
pub mod lease;
pub mod picture;
pub mod preflight;
pub mod project;
pub mod pull;
pub mod push;
pub mod run;
pub mod session;
pub mod settings;
pub mod steer;
pub mod storage;
pub mod story;
pub mod suggest;
pub mod transcript;
pub mod tryout;
pub mod watch;
