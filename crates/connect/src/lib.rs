//! Who else is told, and who else is asked: outgoing webhooks, providers of identities.
//!
//! Implements the ports of `app` for places outside. Deliberately absent: what is told and when
//! (that is `app`'s), and any trust in what a place answers.

mod openid;
mod webhook;

pub use openid::{BadProvider, OpenId, OpenIdSettings};
pub use webhook::{BadWebhook, Webhook};
