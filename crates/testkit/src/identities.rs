//! A provider of identities of the test's own: OpenID Connect over HTTP on the loopback, with the
//! mistakes and attacks that a test asks it for.
//!
//! It checks what a real one checks (client, address to come back to, proof key, one use of a code)
//! and signs with RSA until its keys are changed, then with an elliptic curve. It tells time by the
//! world's clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nightshift_app::{Clock as _, Provider};
use nightshift_connect::{OpenId, OpenIdSettings};
use nightshift_domain::admission::Policy;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use crate::clock::ManualClock;

const CLIENT: &str = "nightshift";
const SECRET: &str = "a secret: of %the client";

/// What the provider does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its pages say no.
    Denies,
    /// Its token carries the nonce of another sign-in.
    WrongNonce,
    /// Its token carries none.
    NoNonce,
    /// Its token names another issuer.
    WrongIssuer,
    /// Its token is for somebody else.
    WrongAudience,
    /// Its token is for us and somebody else.
    MoreAudiences,
    /// Its token is from yesterday.
    Expired,
    /// Its token is from tomorrow.
    Early,
    /// Its token is not signed.
    Unsigned,
    /// Its token is signed with the client's secret.
    SignedWithSecret,
    /// Its token is signed by somebody else under its key's name.
    Forged,
    /// It takes a code as often as it is brought.
    TakesCodesTwice,
    /// Its answer comes from another issuer.
    MixedUp,
    /// It does not answer.
    Hangs,
    /// It answers something else.
    Babbles,
}

/// The provider.
pub struct Identities {
    /// Its issuer.
    pub issuer: String,
    /// The time.
    pub clock: Arc<ManualClock>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    issuer: String,
    clock: Arc<ManualClock>,
    inner: Mutex<Inner>,
}

struct Inner {
    person: Value,
    /// Claims that only the user information has.
    aside: Value,
    fault: Option<Fault>,
    key: Key,
    codes: HashMap<String, Asked>,
    asked: usize,
}

#[derive(Clone)]
struct Asked {
    nonce: String,
    challenge: String,
    back: String,
    used: bool,
}

enum Key {
    Rsa(RsaKeyPair),
    Curve(EcdsaKeyPair),
}

impl Identities {
    /// Starts one, which vouches for nobody yet.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let clock = Arc::new(ManualClock::default());
        let pkcs8 = include_bytes!("../testdata/provider-key.der");
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            clock: Arc::clone(&clock),
            inner: Mutex::new(Inner {
                person: Value::Null,
                aside: json!({}),
                fault: None,
                key: Key::Rsa(RsaKeyPair::from_pkcs8(pkcs8).expect("a key")),
                codes: HashMap::new(),
                asked: 0,
            }),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/agree", get(agree))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("a provider");
        });
        Self {
            issuer,
            clock,
            shared,
            task,
        }
    }

    /// The provider as a server knows it, under the name `house`.
    #[must_use]
    pub fn known(&self, policy: Policy) -> Arc<dyn Provider> {
        // Another test of this process may have installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let settings = OpenIdSettings {
            name: "house".to_owned(),
            title: "House & Co".to_owned(),
            issuer: self.issuer.clone(),
            client_id: CLIENT.to_owned(),
            client_secret: Some(SECRET.to_owned()),
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            groups_claim: "groups".to_owned(),
            policy,
        };
        let clock = Arc::clone(&self.clock) as Arc<dyn nightshift_app::Clock>;
        Arc::new(OpenId::new(settings, clock).expect("a provider"))
    }

    /// Vouches for this person from now on: claims with `sub`.
    pub fn vouches_for(&self, person: Value) {
        self.inner().person = person;
    }

    /// Says these claims only where user information is asked for.
    pub fn says_aside(&self, claims: Value) {
        self.inner().aside = claims;
    }

    /// Does this wrong from now on.
    pub fn errs(&self, fault: Option<Fault>) {
        self.inner().fault = fault;
    }

    /// Signs with another key from now on.
    pub fn changes_keys(&self) {
        self.inner().key = Key::Curve(curve());
    }

    /// How often anything was asked of it.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.inner().asked
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner()
    }
}

impl Drop for Identities {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while it is held")
    }

    /// Counts a question; says what is wrong with the answer, if it is not to be an answer at all.
    async fn asked(&self) -> Option<Response> {
        let fault = {
            let mut inner = self.inner();
            inner.asked += 1;
            inner.fault
        };
        match fault {
            Some(Fault::Hangs) => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Some(StatusCode::GATEWAY_TIMEOUT.into_response())
            }
            Some(Fault::Babbles) => Some(Html("<h1>It works!</h1>").into_response()),
            _ => None,
        }
    }

    fn identity_token(&self, asked: &Asked) -> String {
        let inner = self.inner();
        let now = self.clock.now().as_second();
        let mut claims = inner.person.clone();
        let day = 24 * 3_600;
        let fault = inner.fault;
        let issued = match fault {
            Some(Fault::Expired) => now - day,
            Some(Fault::Early) => now + day,
            _ => now,
        };
        claims["iss"] = match fault {
            Some(Fault::WrongIssuer) => json!("https://evil.test"),
            _ => json!(self.issuer),
        };
        claims["aud"] = match fault {
            Some(Fault::WrongAudience) => json!("another"),
            Some(Fault::MoreAudiences) => json!([CLIENT, "another"]),
            _ => json!(CLIENT),
        };
        claims["iat"] = json!(issued);
        claims["exp"] = json!(issued + 300);
        claims["nonce"] = match fault {
            Some(Fault::WrongNonce) => json!("0".repeat(64)),
            Some(Fault::NoNonce) => Value::Null,
            _ => json!(asked.nonce),
        };
        match fault {
            Some(Fault::Unsigned) => {
                format!("{}.", parts(&json!({ "alg": "none" }), &claims))
            }
            Some(Fault::SignedWithSecret) => {
                let parts = parts(&json!({ "alg": "HS256" }), &claims);
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
                let mac = ring::hmac::sign(&key, parts.as_bytes());
                format!("{parts}.{}", URL_SAFE_NO_PAD.encode(mac))
            }
            Some(Fault::Forged) => {
                let header = json!({ "alg": "ES256", "kid": inner.key.name() });
                Key::Curve(curve()).sign(&parts(&header, &claims))
            }
            _ => {
                let header =
                    json!({ "alg": inner.key.algorithm(), "kid": inner.key.name(), "typ": "JWT" });
                inner.key.sign(&parts(&header, &claims))
            }
        }
    }
}

impl Key {
    fn name(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "one",
            Self::Curve(_) => "two",
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Curve(_) => "ES256",
        }
    }

    fn public(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.name(),
                    "n": text(&public.n), "e": text(&public.e) })
            }
            Self::Curve(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "use": "sig", "crv": "P-256", "kid": self.name(),
                    "x": text(&point[1..33]), "y": text(&point[33..]) })
            }
        }
    }

    fn sign(&self, parts: &str) -> String {
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(pair) => {
                let mut made = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, parts.as_bytes(), &mut made)
                    .expect("a signature");
                made
            }
            Self::Curve(pair) => {
                let made = pair.sign(&random, parts.as_bytes()).expect("a signature");
                made.as_ref().to_vec()
            }
        };
        format!("{parts}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn curve() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
    let pkcs8 = pkcs8.expect("a key");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
        .expect("a key")
}

fn parts(header: &Value, claims: &Value) -> String {
    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", text(header), text(claims))
}

async fn configuration(State(shared): State<Arc<Shared>>) -> Response {
    if let Some(answer) = shared.asked().await {
        return answer;
    }
    let at = |path: &str| format!("{}{path}", shared.issuer);
    Json(json!({
        "issuer": shared.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
    }))
    .into_response()
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    if let Some(answer) = shared.asked().await {
        return answer;
    }
    let key = shared.inner().key.public();
    Json(json!({ "keys": [key] })).into_response()
}

/// The provider's own page: a person agrees.
async fn authorize(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    if let Some(answer) = shared.asked().await {
        return answer;
    }
    let said = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let fits = said("client_id") == CLIENT
        && said("response_type") == "code"
        && said("code_challenge_method") == "S256"
        && said("scope").split(' ').any(|scope| scope == "openid")
        && said("redirect_uri").ends_with("/sign-in/with/house/back");
    if !fits {
        return (StatusCode::BAD_REQUEST, format!("{query:?}")).into_response();
    }
    let code = {
        let mut inner = shared.inner();
        let code = format!("code-{}", inner.codes.len());
        let asked = Asked {
            nonce: said("nonce").to_owned(),
            challenge: said("code_challenge").to_owned(),
            back: said("redirect_uri").to_owned(),
            used: false,
        };
        inner.codes.insert(code.clone(), asked);
        code
    };
    Html(format!(
        "<!doctype html><html lang=en><title>House</title><main><h1>House</h1>\
         <a id=agree href=\"/agree?code={code}&amp;state={}\">Yes, it is me</a></main>",
        said("state")
    ))
    .into_response()
}

async fn agree(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let (code, state) = (&query["code"], &query["state"]);
    let inner = shared.inner();
    let back = &inner.codes[code].back;
    let issuer = match inner.fault {
        Some(Fault::MixedUp) => "https://evil.test",
        _ => shared.issuer.as_str(),
    };
    let to = match inner.fault {
        Some(Fault::Denies) => format!(
            "{back}?state={state}&error=access_denied&error_description=%3Cb%3Enot%20today%3C/b%3E"
        ),
        _ => format!("{back}?code={code}&state={state}&iss={issuer}"),
    };
    Redirect::to(&to).into_response()
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    if let Some(answer) = shared.asked().await {
        return answer;
    }
    let no =
        |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    let form = reqwest::Url::parse(&format!("http://form/?{body}")).expect("a form");
    let form: HashMap<_, _> = form.query_pairs().into_owned().collect();
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|text| STANDARD.decode(text).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    // RFC 6749 section 2.3.1: both are encoded as forms are.
    if given.as_deref() != Some("nightshift:a+secret%3A+of+%25the+client") {
        return no("invalid_client");
    }
    let asked = {
        let mut inner = shared.inner();
        let twice = inner.fault == Some(Fault::TakesCodesTwice);
        let Some(asked) = inner.codes.get_mut(&form["code"]) else {
            return no("invalid_grant");
        };
        if asked.used && !twice {
            return no("invalid_grant");
        }
        asked.used = true;
        asked.clone()
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    if challenge != asked.challenge || form["redirect_uri"] != asked.back {
        return no("invalid_grant");
    }
    let token = shared.identity_token(&asked);
    Json(json!({ "access_token": "access", "token_type": "Bearer", "id_token": token }))
        .into_response()
}

async fn userinfo(State(shared): State<Arc<Shared>>) -> Response {
    if let Some(answer) = shared.asked().await {
        return answer;
    }
    let inner = shared.inner();
    let mut said = inner.aside.clone();
    if said["sub"].is_null() {
        said["sub"] = inner.person["sub"].clone();
    }
    Json(said).into_response()
}
