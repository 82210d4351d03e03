//! What the composition root supplies: time and luck.

use jiff::Timestamp;
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Makes identities and secrets.
pub trait Ids: Send + Sync + 'static {
    /// A new UUID, version 7.
    fn uuid(&self) -> Uuid;
    /// 32 bytes nobody can guess.
    fn secret(&self) -> [u8; 32];
}
