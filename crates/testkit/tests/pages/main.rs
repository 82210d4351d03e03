//! The pages at the level of HTTP: who gets in, what a form must carry, and what a run's page shows.

mod browser;
mod collide;
mod held_up;
mod keyboard;
mod limit;
mod live;
mod log;
mod noted;
mod offered;
mod plan;
mod provider;
mod refused;
mod saved;
mod session;
mod settings;
mod suggest;
mod told;
mod wanted;
mod watch;
