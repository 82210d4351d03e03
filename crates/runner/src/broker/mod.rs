//! The broker: a process of its own, and the only way out of a runner's sandboxes.
//!
//! ```text
//! runner ──socket pair──▶ broker ──▶ server, model endpoints, allowed hosts
//!   │ rooms opened and closed   ▲
//!   └─ sandbox ── relay ── socket in the run's directory
//! ```
//! The runner ([`Broker`], `keeper.rs`) starts it, tells it what each run may reach, and starts it
//! again when it dies or falls silent. The broker (`process.rs`) holds the keys of model endpoints
//! and opens a *room* for each run: sockets that relays inside the sandbox lead to. Invariants: what
//! a run may reach comes from the runner only, never from inside; keys are in no other process; where
//! the broker is dead or hung the answer inside is 503 within five seconds, and there is no second
//! way. Deliberately absent: DNS for the sandbox, and rules about what happens to a run.

mod account;
mod answer;
mod asked;
mod bodies;
mod door;
mod forward;
mod hello;
mod keeper;
mod login;
mod model;
mod network;
mod price;
mod process;
mod reset;
mod room;
pub mod rule;
mod settings;
mod stream;
mod tunnel;
mod usage;
mod wire;

pub use keeper::{Broker, BrokerError, BrokerProgram, Lever, Room};
pub use price::{Price, shipped as shipped_prices};
pub use process::serve;
pub use rule::Rule;
pub use settings::{EndpointSpec, KeySource, Settings};
pub use usage::Dialect;
pub use wire::{
    Budget, Event, Grant, ModelsWay, NetworkWay, PlatformWay, Report, RouteWay, Traffic, Ways,
};
