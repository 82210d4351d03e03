//! The typed client: calls any declared operation.
//!
//! Answers are either the operation's output or a [`Problem`]. Deliberately absent: retries (the
//! caller knows what may be repeated) and any knowledge of single operations.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use serde_json::Value;

use crate::operation::{Method, Operation, RawOperation};
use crate::problem::Problem;

/// A connection to a server, with a token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
}

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server answered with a problem.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The server did not answer.
    #[error("no answer from {server}: {cause}; is it running? (`nightshift up`)")]
    Unreachable {
        /// Its address.
        server: String,
        /// What happened.
        cause: String,
    },
    /// The answer is not what this version expects.
    #[error(
        "an answer of {server} that this version does not understand ({cause}); do client and server have the same version?"
    )]
    Strange {
        /// Its address.
        server: String,
        /// What happened.
        cause: String,
    },
}

impl CallError {
    /// The problem's kind, such as `not-found`, if the server answered with one.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => problem.kind.rsplit('/').next(),
            Self::Unreachable { .. } | Self::Strange { .. } => None,
        }
    }
}

impl Client {
    /// A client for the server at `server` (`http://host:port`).
    #[must_use]
    pub fn new(http: reqwest::Client, server: &str, token: Option<String>) -> Self {
        Self {
            http,
            server: server.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// The server's address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Calls an operation.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call<O: Operation>(
        &self,
        path: &O::Path,
        query: &O::Query,
        input: &O::Input,
    ) -> Result<O::Output, CallError> {
        self.call_once::<O>(path, query, input, None).await
    }

    /// Calls an operation under an idempotency key, so that a repeated call is done once.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_once<O: Operation>(
        &self,
        path: &O::Path,
        query: &O::Query,
        input: &O::Input,
        key: Option<&str>,
    ) -> Result<O::Output, CallError> {
        let url = self.url(O::PATH, path)?;
        let mut request = self.request(O::METHOD, &url).query(query);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if O::METHOD != Method::Get && O::METHOD != Method::Delete {
            request = request.json(input);
        }
        let answer = self.send(request).await?;
        answer.json().await.map_err(|error| self.strange(&error))
    }

    /// Calls an operation whose answer is bytes, whole.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn bytes(
        &self,
        operation: &RawOperation,
        path: &impl Serialize,
        query: &[(&str, String)],
        body: Option<Bytes>,
    ) -> Result<Bytes, CallError> {
        let answer = self.raw(operation, path, query, body).await?;
        answer
            .bytes()
            .await
            .map_err(|error| self.unreachable(&error))
    }

    /// Calls an operation whose answer is a stream.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn stream<P: Serialize>(
        &self,
        operation: &RawOperation,
        path: &P,
        query: &[(&str, String)],
    ) -> Result<impl Stream<Item = Result<Bytes, CallError>> + use<P>, CallError> {
        let answer = self.raw(operation, path, query, None).await?;
        let client = self.clone();
        Ok(answer
            .bytes_stream()
            .map(move |chunk| chunk.map_err(|error| client.unreachable(&error))))
    }

    async fn raw(
        &self,
        operation: &RawOperation,
        path: &impl Serialize,
        query: &[(&str, String)],
        body: Option<Bytes>,
    ) -> Result<reqwest::Response, CallError> {
        let url = self.url(operation.path, path)?;
        let mut request = self.request(operation.method, &url).query(query);
        if let Some(body) = body {
            request = request.body(body);
        }
        self.send(request).await
    }

    fn request(&self, method: Method, url: &str) -> reqwest::RequestBuilder {
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, CallError> {
        let answer = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body = answer
            .bytes()
            .await
            .map_err(|error| self.unreachable(&error))?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(CallError::Problem(Box::new(problem))),
            Err(_) => Err(CallError::Strange {
                server: self.server.clone(),
                cause: format!("status {status}"),
            }),
        }
    }

    /// Fills the `{names}` of a path with the fields of `values`, percent-encoded.
    fn url(&self, template: &str, values: &impl Serialize) -> Result<String, CallError> {
        let values = serde_json::to_value(values).map_err(|error| self.strange(&error))?;
        let mut url = self.server.clone();
        for part in template.split('/').skip(1) {
            url.push('/');
            match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
                None => url.push_str(part),
                Some(name) => {
                    let text = match &values[name] {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    url.push_str(&encode(&text));
                }
            }
        }
        Ok(url)
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> CallError {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause = inner.to_string();
            source = inner.source();
        }
        CallError::Unreachable {
            server: self.server.clone(),
            cause,
        }
    }

    fn strange(&self, error: &dyn std::error::Error) -> CallError {
        CallError::Strange {
            server: self.server.clone(),
            cause: error.to_string(),
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986, so that a value stays one
/// part of the path; `.` and `..` would be resolved away by clients and are encoded as well.
fn encode(text: &str) -> String {
    let all = text == "." || text == "..";
    let mut out = String::new();
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if plain && !all {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_a_path_stays_one_part() {
        assert_eq!(encode("a/b?c"), "a%2Fb%3Fc");
        assert_eq!(encode(".."), "%2E%2E");
        assert_eq!(encode("nightshift.io"), "nightshift.io");
    }
}
