//! From what the application knows to what goes over the wire; plain functions, one file a noun.

pub(crate) mod account;
pub(crate) mod desk;
pub(crate) mod issue;
pub(crate) mod project;
pub(crate) mod pull;
pub(crate) mod run;
pub(crate) mod runner;
pub(crate) mod saved;
pub(crate) mod secret;
pub(crate) mod server;
pub(crate) mod settings;
