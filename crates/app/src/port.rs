//! What the composition root supplies: time, luck, and providers of identities.

use std::pin::Pin;

use jiff::Timestamp;
use nightshift_domain::admission::{Claims, Policy};
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

/// The secrets of one sign-in, known to the browser that began it.
#[derive(Clone, PartialEq, Eq)]
pub struct SignInKeys {
    /// Comes back with the answer.
    pub state: String,
    /// Comes back within what the provider signs.
    pub nonce: String,
    /// Proves to the provider that who redeems the answer is who asked (RFC 7636).
    pub verifier: String,
}

/// A person, as a provider vouches for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// Who vouches.
    pub issuer: String,
    /// For whom; never changes, and is never given to another.
    pub subject: String,
    /// What else it says.
    pub claims: Claims,
}

/// Why a provider brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderError {
    /// It does not answer, or not as a provider.
    Silent(String),
    /// It answered, and what it said is not to be trusted.
    Untrusted(String),
}

/// What a provider's function returns.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

/// Vouches for people: an OpenID Connect provider.
pub trait Provider: Send + Sync + 'static {
    /// Its name in addresses and settings.
    fn name(&self) -> &str;
    /// Its name for people.
    fn title(&self) -> &str;
    /// Who it is, in its own words.
    fn issuer(&self) -> &str;
    /// What the operator decided about it.
    fn policy(&self) -> &Policy;
    /// Where the browser goes to sign in there; it comes back to `back`.
    fn address<'a>(&'a self, keys: &'a SignInKeys, back: &'a str) -> Asked<'a, String>;
    /// Redeems the code with which the browser came back.
    fn redeem<'a>(
        &'a self,
        code: &'a str,
        keys: &'a SignInKeys,
        back: &'a str,
    ) -> Asked<'a, Vouched>;
}
