//! Bearer secrets: made once, shown once, kept as a hash.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// What every secret begins with, so that scanners can know it.
const PREFIX: &str = "nst_";

/// A secret on its way to its owner. Deliberately without `Display`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", hex::encode(bytes)))
    }

    /// The text, for its owner.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What forms of a session carry, to prove that they come from its own pages: derived from the
    /// session's secret, and worth nothing without it.
    #[must_use]
    pub fn form_token(session: &str) -> String {
        let digest = Sha256::digest(format!("form token\n{session}").as_bytes());
        hex::encode(&digest[..16])
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The hash under which a secret is kept. A plain hash is enough for 256 random bits.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
