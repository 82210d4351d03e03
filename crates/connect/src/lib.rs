//! Who else is told: outgoing webhooks.
//!
//! Implements the ports of `app` for places outside. Deliberately absent: what is told and when
//! (that is `app`'s), and any trust in what a place answers.

mod webhook;

pub use webhook::{BadWebhook, Webhook};
