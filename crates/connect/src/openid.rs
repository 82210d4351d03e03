//! An OpenID Connect provider: authorization code with PKCE, as OpenID Connect Core says.
//!
//! The protocol is the library's; here is how long a provider is waited for, what is kept of it,
//! and which of its signatures count. Invariant: an identity token counts only when an asymmetric
//! key of the provider signed it, for us, for this sign-in, and not too long ago. Discovery is asked
//! by one caller at a time and its failure is remembered for a while, so that a dead provider costs
//! everybody the same few seconds. Deliberately absent: sessions at the provider, and sign-out there.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jiff::Timestamp;
use nightshift_app::{Asked, Clock, Provider, ProviderError, SignInKeys, Vouched};
use nightshift_domain::admission::{Claims, Policy};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessToken, AdditionalClaims, AsyncHttpClient, AuthType, AuthenticationFlow,
    AuthorizationCode, ClaimsVerificationError, Client, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse,
    SubjectIdentifier, TokenResponse as _, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

/// The longest one question to a provider may take; a page waits for one.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer of a provider, in bytes.
const LONGEST: usize = 1 << 20;
/// How long what a provider says of itself is believed.
const BELIEVED: Duration = Duration::from_secs(60);
/// How long a provider that did not answer is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(5);
/// How far the clocks of a provider and of ours may differ.
const SKEW: TimeDelta = TimeDelta::seconds(60);

/// What the operator says about a provider.
#[derive(Clone)]
pub struct OpenIdSettings {
    /// Its name in addresses.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Its issuer, exactly as it calls itself.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// What proves to it that it is us; without one, only the proof key does.
    pub client_secret: Option<String>,
    /// What it is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// Where it names groups.
    pub groups_claim: String,
    /// Who gets in.
    pub policy: Policy,
}

/// An OpenID Connect provider.
pub struct OpenId {
    settings: OpenIdSettings,
    issuer: IssuerUrl,
    http: Http,
    clock: Arc<dyn Clock>,
    found: Mutex<Found>,
}

/// Why a provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadProvider {
    /// The issuer is no address, or not one that can be trusted.
    #[error(
        "the issuer {0:?} is no address that can be trusted: expected https:// (http:// only on \
         this machine), without a query"
    )]
    Issuer(String),
    /// The HTTP client cannot be made.
    #[error("no HTTP client for providers: {0}")]
    Client(String),
}

/// What is known of the provider.
#[derive(Default)]
struct Found {
    metadata: Option<(Timestamp, CoreProviderMetadata)>,
    failed: Option<(Timestamp, ProviderError)>,
}

/// Claims that no standard names.
#[derive(Debug, Default, Serialize, Deserialize)]
struct More {
    #[serde(flatten)]
    all: BTreeMap<String, Value>,
}

impl AdditionalClaims for More {}

type Fields = IdTokenFields<
    More,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Answer = StandardTokenResponse<Fields, CoreTokenType>;
type OurClient = Client<
    More,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Answer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A question that brought no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Lost(String);

/// Carries the library's questions.
struct Http(reqwest::Client);

impl Http {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Lost> {
        let lost = |error: reqwest::Error| Lost(told(&error.without_url()));
        let request = reqwest::Request::try_from(request).map_err(lost)?;
        let mut answer = self.0.execute(request).await.map_err(lost)?;
        let mut made = HttpResponse::new(Vec::new());
        *made.status_mut() = answer.status();
        *made.headers_mut() = answer.headers().clone();
        while let Some(part) = answer.chunk().await.map_err(lost)? {
            made.body_mut().extend_from_slice(&part);
            if made.body().len() > LONGEST {
                return Err(Lost("its answer is too long".to_owned()));
            }
        }
        Ok(made)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Lost;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Lost>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

impl OpenId {
    /// A provider with these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// See [`BadProvider`].
    pub fn new(settings: OpenIdSettings, clock: Arc<dyn Clock>) -> Result<Self, BadProvider> {
        let bad = || BadProvider::Issuer(settings.issuer.clone());
        let url = reqwest::Url::parse(&settings.issuer).map_err(|_| bad())?;
        let here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        let fits = url.scheme() == "https" || (url.scheme() == "http" && here);
        if !fits || url.query().is_some() || url.fragment().is_some() {
            return Err(bad());
        }
        let mut http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("nightshift/", env!("CARGO_PKG_VERSION")));
        if here {
            http = http.no_proxy();
        }
        Ok(Self {
            issuer: IssuerUrl::new(settings.issuer.clone()).map_err(|_| bad())?,
            http: Http(
                http.build()
                    .map_err(|error| BadProvider::Client(error.to_string()))?,
            ),
            settings,
            clock,
            found: Mutex::default(),
        })
    }

    /// What the provider says of itself; `anew` asks again even if it is known.
    async fn metadata(&self, anew: bool) -> Result<CoreProviderMetadata, ProviderError> {
        let mut found = self.found.lock().await;
        let now = self.clock.now();
        if let Some((at, known)) = &found.metadata
            && !anew
            && *at + BELIEVED > now
        {
            return Ok(known.clone());
        }
        if let Some((at, error)) = &found.failed
            && *at + LEFT_ALONE > now
        {
            return Err(error.clone());
        }
        let asked = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http);
        let answer = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(metadata)) => Ok(metadata),
            Ok(Err(error)) => Err(ProviderError::Silent(told(&error))),
            Err(_) => Err(ProviderError::Silent("it takes too long".to_owned())),
        };
        let now = self.clock.now();
        match answer {
            Ok(metadata) => {
                *found = Found {
                    metadata: Some((now, metadata.clone())),
                    failed: None,
                };
                Ok(metadata)
            }
            Err(error) => {
                found.failed = Some((now, error.clone()));
                Err(error)
            }
        }
    }

    fn client(&self, metadata: CoreProviderMetadata, back: &str) -> Result<OurClient, Lost> {
        let methods = metadata.token_endpoint_auth_methods_supported();
        let in_body = methods.is_some_and(|methods| {
            !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
                && methods.contains(&CoreClientAuthMethod::ClientSecretPost)
        });
        let client = OurClient::from_provider_metadata(
            metadata,
            ClientId::new(self.settings.client_id.clone()),
            self.settings.client_secret.clone().map(ClientSecret::new),
        );
        let back = RedirectUrl::new(back.to_owned())
            .map_err(|error| Lost(format!("{back:?} is no address: {error}")))?;
        let kind = if in_body {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        };
        Ok(client.set_redirect_uri(back).set_auth_type(kind))
    }

    async fn begin(&self, keys: &SignInKeys, back: &str) -> Result<String, ProviderError> {
        let metadata = self.metadata(false).await?;
        let client = self
            .client(metadata, back)
            .map_err(|error| ProviderError::Silent(error.0))?;
        let verifier = PkceCodeVerifier::new(keys.verifier.clone());
        let (state, nonce) = (keys.state.clone(), keys.nonce.clone());
        let scopes = self.settings.scopes.iter().cloned().map(Scope::new);
        let (address, _, _) = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scopes(scopes)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(address.into())
    }

    async fn end(
        &self,
        code: &str,
        keys: &SignInKeys,
        back: &str,
    ) -> Result<Vouched, ProviderError> {
        let client = self
            .client(self.metadata(false).await?, back)
            .map_err(|error| ProviderError::Silent(error.0))?;
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| ProviderError::Silent(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(keys.verifier.clone()))
            .request_async(&self.http)
            .await
            .map_err(|error| refused(&error))?;
        let vouched = match self.read(&client, &answer, keys) {
            // Keys are changed from time to time: those of now may be others than those known.
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                let client = self
                    .client(self.metadata(true).await?, back)
                    .map_err(|error| ProviderError::Silent(error.0))?;
                self.read(&client, &answer, keys)
            }
            other => other,
        };
        let (mut vouched, enough) =
            vouched.map_err(|error| ProviderError::Untrusted(told(&error)))?;
        if !enough {
            let token = answer.access_token().clone();
            self.ask_more(&client, token, &mut vouched).await?;
        }
        Ok(vouched)
    }

    /// What a token says, if it counts; and whether that is all the policy asks about.
    fn read(
        &self,
        client: &OurClient,
        answer: &Answer,
        keys: &SignInKeys,
    ) -> Result<(Vouched, bool), ClaimsVerificationError> {
        let missing = || ClaimsVerificationError::Other("there is no identity token".to_owned());
        let token = answer.id_token().ok_or_else(missing)?;
        let now = self.now();
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ASYMMETRIC)
            .set_time_fn(move || now - SKEW)
            .set_issue_time_verifier_fn(move |issued| match issued <= now + SKEW {
                true => Ok(()),
                false => Err("it was issued in the future".to_owned()),
            });
        let claims = token.claims(&verifier, &Nonce::new(keys.nonce.clone()))?;
        let more = &claims.additional_claims().all;
        let groups = groups_in(more, &self.settings.groups_claim);
        let email = claims.email().map(|email| email.to_string());
        let policy = &self.settings.policy;
        let enough = (groups.is_some() || !policy.needs_groups())
            && (email.is_some() || policy.email_domains.is_empty());
        let vouched = Vouched {
            issuer: self.settings.issuer.clone(),
            subject: claims.subject().to_string(),
            claims: Claims {
                username: claims.preferred_username().map(|name| name.to_string()),
                email,
                email_verified: claims.email_verified() == Some(true),
                groups: groups.unwrap_or_default(),
            },
        };
        Ok((vouched, enough))
    }

    /// Asks for what the token leaves out.
    async fn ask_more(
        &self,
        client: &OurClient,
        token: AccessToken,
        vouched: &mut Vouched,
    ) -> Result<(), ProviderError> {
        let subject = SubjectIdentifier::new(vouched.subject.clone());
        let Ok(request) = client.user_info(token, Some(subject)) else {
            return Ok(());
        };
        let said: UserInfoClaims<More, CoreGenderClaim> =
            request
                .request_async(&self.http)
                .await
                .map_err(|error| ProviderError::Untrusted(told(&error)))?;
        let claims = &mut vouched.claims;
        if claims.email.is_none() {
            claims.email = said.email().map(|email| email.to_string());
            claims.email_verified = said.email_verified() == Some(true);
        }
        if claims.username.is_none() {
            claims.username = said.preferred_username().map(|name| name.to_string());
        }
        let more = &said.additional_claims().all;
        if let Some(groups) = groups_in(more, &self.settings.groups_claim) {
            claims.groups.extend(groups);
        }
        Ok(())
    }

    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.clock.now().as_second(), 0).unwrap_or_default()
    }
}

impl Provider for OpenId {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn title(&self) -> &str {
        &self.settings.title
    }

    fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    fn policy(&self) -> &Policy {
        &self.settings.policy
    }

    fn address<'a>(&'a self, keys: &'a SignInKeys, back: &'a str) -> Asked<'a, String> {
        Box::pin(within(self.begin(keys, back)))
    }

    fn redeem<'a>(
        &'a self,
        code: &'a str,
        keys: &'a SignInKeys,
        back: &'a str,
    ) -> Asked<'a, Vouched> {
        Box::pin(within(self.end(code, keys, back)))
    }
}

/// Signatures that count: what anybody who knows the client's secret could make does not.
const ASYMMETRIC: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The groups under a claim: one name, or a way of names separated by dots.
fn groups_in(claims: &BTreeMap<String, Value>, name: &str) -> Option<Vec<String>> {
    let plain = claims.get(name);
    let found = plain.or_else(|| {
        let mut way = name.split('.');
        let first = claims.get(way.next()?)?;
        way.try_fold(first, |value, step| value.get(step))
    })?;
    let texts = match found {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one.as_str()],
        _ => return None,
    };
    Some(texts.into_iter().map(str::to_owned).collect())
}

/// Waits no longer than a person at a page would, whoever else waits for the same provider.
async fn within<T>(
    asked: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let late = |_| Err(ProviderError::Silent("it takes too long".to_owned()));
    tokio::time::timeout(PATIENCE + PATIENCE / 8, asked)
        .await
        .unwrap_or_else(late)
}

/// A token endpoint's no is the provider's word; everything else is silence.
fn refused<E: std::error::Error + 'static>(
    error: &openidconnect::RequestTokenError<E, StandardErrorResponse<CoreErrorResponseType>>,
) -> ProviderError {
    match error {
        openidconnect::RequestTokenError::ServerResponse(said) => {
            ProviderError::Untrusted(format!("it does not take the code back: {said}"))
        }
        other => ProviderError::Silent(told(other)),
    }
}

/// An error with all that is below it.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    fn settings(issuer: &str) -> OpenIdSettings {
        OpenIdSettings {
            name: "house".to_owned(),
            title: "House".to_owned(),
            issuer: issuer.to_owned(),
            client_id: "n".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
            groups_claim: "groups".to_owned(),
            policy: Policy::default(),
        }
    }

    #[test]
    fn an_issuer_is_reached_by_tls_or_is_on_this_machine() {
        drop(rustls::crypto::ring::default_provider().install_default());
        for (issuer, good) in [
            ("https://id.example/realms/x", true),
            ("http://127.0.0.1:9", true),
            ("http://localhost:9/x", true),
            ("http://id.example", false),
            ("http://127.0.0.1.evil.test", false),
            ("https://id.example?x=1", false),
            ("id.example", false),
            ("", false),
        ] {
            let made = OpenId::new(settings(issuer), Arc::new(Fixed));
            assert_eq!(made.is_ok(), good, "{issuer}");
        }
    }

    #[test]
    fn groups_are_found_where_providers_put_them() {
        let claims: BTreeMap<String, Value> = serde_json::from_value(serde_json::json!({
            "groups": ["a", 1, "b"],
            "one": "c",
            "realm_access": { "roles": ["d"] },
            "https://x.test/groups": ["e"],
            "none": 1,
        }))
        .expect("claims");
        let found = |name| groups_in(&claims, name).map(|all| all.join(" "));
        assert_eq!(found("groups").as_deref(), Some("a b"));
        assert_eq!(found("one").as_deref(), Some("c"));
        assert_eq!(found("realm_access.roles").as_deref(), Some("d"));
        assert_eq!(found("https://x.test/groups").as_deref(), Some("e"));
        for missing in ["none", "other", "realm_access.other", ""] {
            assert_eq!(found(missing), None, "{missing}");
        }
    }
}
