//! A value that must never be seen: tokens and keys on their way to a header.
//!
//! Invariant: no `Display`, a `Debug` without content, no serialisation. The only way to the bytes
//! is [`Secret::expose`], so a search for that word finds every use.

use std::fmt;

/// A token or key. Cloning is allowed; formatting never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the value out of sight.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; to be put into a header or an environment, never into a message.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
