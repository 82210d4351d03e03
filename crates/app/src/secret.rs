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
    /// session's secret, and worth nothing without it. The `mask` makes it another text in each
    /// answer, so that its length when compressed tells nothing (BREACH).
    pub(crate) fn form_token(session: &str, mask: [u8; 32]) -> String {
        let mut bytes = mask[..16].to_vec();
        let plain = form_secret(session);
        bytes.extend(plain.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        hex::encode(bytes)
    }

    /// Whether a form carries what this session's pages put into it.
    #[must_use]
    pub fn form_token_fits(session: &str, given: &str) -> bool {
        let Ok(bytes) = hex::decode(given) else {
            return false;
        };
        let plain = form_secret(session);
        bytes.len() == 32
            && bytes[16..]
                .iter()
                .zip(&bytes[..16])
                .zip(&plain)
                .fold(0, |differs, ((byte, mask), plain)| {
                    differs | (byte ^ mask ^ plain)
                })
                == 0
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

fn form_secret(session: &str) -> [u8; 16] {
    let digest = Sha256::digest(format!("form token\n{session}").as_bytes());
    let mut secret = [0; 16];
    secret.copy_from_slice(&digest[..16]);
    secret
}

/// The hash under which a secret is kept. A plain hash is enough for 256 random bits.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_token_fits_its_own_session_only_and_looks_different_each_time() {
        let one = Secret::form_token("nst_a", [1; 32]);
        let two = Secret::form_token("nst_a", [2; 32]);
        assert_ne!(one[32..], two[32..]);
        for token in [&one, &two] {
            assert!(Secret::form_token_fits("nst_a", token));
            assert!(!Secret::form_token_fits("nst_b", token));
        }
        for bad in [
            "",
            "00",
            "zz",
            &one[..62],
            &format!("{one}00"),
            &"0".repeat(64),
        ] {
            assert!(!Secret::form_token_fits("nst_a", bad), "{bad}");
        }
    }
}
