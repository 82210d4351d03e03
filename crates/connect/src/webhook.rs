//! Outgoing webhooks, signed as the Standard Webhooks specification says.
//!
//! A message has an id that is the same for every try, the time of the try, and a signature over
//! `id.timestamp.body` by HMAC-SHA-256. The operator names the address, so no address of a
//! repository or an issue is ever called. Redirects are not followed. Deliberately absent: retries;
//! whoever calls [`Target::send`] decides about them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use nightshift_app::Clock;
use nightshift_app::reconcile::deliver::Target;
use serde_json::Value;
use sha2::Sha256;
use uuid::Uuid;

/// The longest a target may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// What a secret begins with, in the specification.
const SECRET_PREFIX: &str = "whsec_";

/// A place that takes signed messages.
pub struct Webhook {
    name: String,
    url: String,
    key: Vec<u8>,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
}

/// Why a webhook cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadWebhook {
    /// The address is none.
    #[error("{0:?} is no address for a webhook: expected http:// or https://")]
    Url(String),
    /// The secret is none.
    #[error(
        "the secret of webhook {0:?} is not `whsec_` and base64 of 24 to 64 bytes: make one with \
         `openssl rand -base64 32`"
    )]
    Secret(String),
    /// The HTTP client cannot be made.
    #[error("no HTTP client for webhooks: {0}")]
    Client(String),
}

impl Webhook {
    /// A webhook of this name.
    ///
    /// # Errors
    /// See [`BadWebhook`].
    pub fn new(
        name: &str,
        url: &str,
        secret: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BadWebhook> {
        let good = reqwest::Url::parse(url)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !good {
            return Err(BadWebhook::Url(url.to_owned()));
        }
        let key = secret
            .strip_prefix(SECRET_PREFIX)
            .and_then(|text| BASE64.decode(text).ok())
            .filter(|key| (24..=64).contains(&key.len()))
            .ok_or_else(|| BadWebhook::Secret(name.to_owned()))?;
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("nightshift/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| BadWebhook::Client(error.to_string()))?;
        Ok(Self {
            name: name.to_owned(),
            url: url.to_owned(),
            key,
            http,
            clock,
        })
    }

    fn sign(&self, id: &str, timestamp: i64, body: &str) -> Result<String, String> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).map_err(|error| error.to_string())?;
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        Ok(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
    }

    async fn bring(&self, id: Uuid, event: Value) -> Result<(), String> {
        let body = event.to_string();
        let id = format!("msg_{id}");
        let timestamp = self.clock.now().as_second();
        let signature = self.sign(&id, timestamp, &body)?;
        let answer = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await
            .map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(format!("the target answered {}", answer.status()))
        }
    }
}

impl Target for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(
        &self,
        id: Uuid,
        event: Value,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(self.bring(id, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::from_second(1_614_265_330).expect("a time")
        }
    }

    fn webhook(url: &str, secret: &str) -> Result<Webhook, BadWebhook> {
        drop(rustls::crypto::ring::default_provider().install_default());
        Webhook::new("ops", url, secret, Arc::new(Fixed))
    }

    /// The example of the specification's reference libraries.
    #[test]
    fn the_signature_is_the_specifications() {
        let hook = webhook(
            "http://127.0.0.1:1",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        )
        .expect("a webhook");
        let signature = hook
            .sign(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
            )
            .expect("a signature");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn bad_addresses_and_secrets_are_refused_with_the_way_out() {
        let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for url in ["", "ftp://x", "file:///etc/passwd", "x"] {
            assert!(webhook(url, good).is_err(), "{url}");
        }
        for secret in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_short",
            "whsec_!!",
        ] {
            let error = webhook("http://127.0.0.1:1", secret)
                .err()
                .expect("refused");
            assert!(error.to_string().contains("openssl rand"), "{error}");
        }
    }
}
