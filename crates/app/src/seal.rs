//! Seals values for the database: who has the database alone has nothing of them.
//!
//! ChaCha20-Poly1305 (RFC 8439) under a key that lies outside of the database, with a fresh nonce each
//! time. What a value belongs to is sealed along, so that it cannot be put in the place of another.
//! Deliberately absent: where the key lies, and changing it.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// The key of a server's sealed values.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}

impl SealKey {
    /// The key with these bytes; they must be luck.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Seals a value for a place. `luck` must be new for each value.
    pub(crate) fn seal(&self, place: &str, value: &str, luck: [u8; 32]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&luck[..NONCE_LEN]);
        let mut sealed = value.as_bytes().to_vec();
        self.cipher()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place),
                &mut sealed,
            )
            .ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for a place; `None` when it was not, or not by this key.
    pub(crate) fn open(&self, place: &str, sealed: &[u8]) -> Option<String> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut value = sealed.to_vec();
        let cipher = self.cipher()?;
        let value = cipher
            .open_in_place(nonce, Aad::from(place), &mut value)
            .ok()?;
        String::from_utf8(value.to_vec()).ok()
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.0).ok()?;
        Some(LessSafeKey::new(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_opens_a_value_and_only_in_its_place() {
        let key = SealKey::new([1; 32]);
        let sealed = key.seal("shop DB", "swordfish", [9; 32]).expect("sealed");
        assert_eq!(key.open("shop DB", &sealed).as_deref(), Some("swordfish"));
        let text = String::from_utf8_lossy(&sealed).into_owned();
        assert!(!text.contains("sword"), "{text}");
        assert_eq!(key.open("shop OTHER", &sealed), None);
        assert_eq!(SealKey::new([2; 32]).open("shop DB", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open("shop DB", &changed), None, "{at}");
        }
        for short in [0, 5, NONCE_LEN, NONCE_LEN + 3] {
            assert_eq!(key.open("shop DB", &sealed[..short]), None);
        }
        assert_ne!(key.seal("shop DB", "swordfish", [8; 32]), Some(sealed));
        assert_eq!(format!("{key:?}"), "SealKey(..)");
    }
}
