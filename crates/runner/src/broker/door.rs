//! What of a request opens the way to a model: a path that generates, and the token of its run and route.
//!
//! Deliberately absent: what becomes of a request that is let through.

use hyper::body::Incoming;
use hyper::http::{Method, Request};

use super::rule::Rule;
use super::usage::Dialect;

/// How callers present credentials; replaced by the real one.
pub(super) const CREDENTIALS: &[&str] =
    &["authorization", "x-api-key", "x-goog-api-key", "api-key"];
/// The same, in a query.
pub(super) const CREDENTIAL_PARAMETERS: &[&str] =
    &["key", "api_key", "api-key", "access_token", "token"];
/// What may be asked of a provider: what generates text, and what it costs nothing to know.
pub(super) fn rules(dialect: Dialect) -> Vec<Rule> {
    let root = dialect.as_str();
    let mut rules = Vec::new();
    let mut add =
        |method: Method, path: &str| rules.push(Rule::new(method, format!("/{root}{path}")));
    match dialect {
        Dialect::Anthropic => {
            for call in ["messages", "messages/count_tokens"] {
                add(Method::POST, &format!("/v1/{call}"));
            }
        }
        Dialect::OpenAi => {
            let calls = [
                "responses",
                "responses/compact",
                "chat/completions",
                "completions",
                "embeddings",
            ];
            for call in calls {
                add(Method::POST, &format!("/{call}"));
                add(Method::POST, &format!("/v1/{call}"));
                // Azure's older interface, which names a deployment.
                add(Method::POST, &format!("/openai/deployments/*/{call}"));
            }
            add(Method::GET, "/models");
            add(Method::GET, "/models/*");
        }
        Dialect::Gemini => {
            for version in ["v1", "v1beta"] {
                for call in [
                    "generateContent",
                    "streamGenerateContent",
                    "countTokens",
                    "embedContent",
                ] {
                    add(Method::POST, &format!("/{version}/models/*:{call}"));
                }
            }
            add(Method::GET, "/v1beta/models");
            add(Method::GET, "/v1beta/models/*");
        }
    }
    if dialect != Dialect::Gemini {
        add(Method::GET, "/v1/models");
        add(Method::GET, "/v1/models/*");
    }
    rules
}

/// Whether one of the credentials that the request presents is the token.
pub(super) fn presents(request: &Request<Incoming>, token: &str) -> bool {
    let in_headers = CREDENTIALS
        .iter()
        .flat_map(|name| request.headers().get_all(*name));
    let in_headers = in_headers.filter_map(|value| {
        let text = value.to_str().ok()?;
        let bearer = text
            .get(..7)
            .is_some_and(|start| start.eq_ignore_ascii_case("bearer "));
        Some(if bearer { &text[7..] } else { text })
    });
    let query = request.uri().query().unwrap_or_default();
    let in_query = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        CREDENTIAL_PARAMETERS.contains(&name).then_some(value)
    });
    in_headers.chain(in_query).any(|given| same(given, token))
}

/// Compares in a time that depends on the lengths alone.
fn same(given: &str, token: &str) -> bool {
    let pairs = given.bytes().zip(token.bytes());
    given.len() == token.len() && pairs.fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::rule;

    #[test]
    fn a_provider_generates_and_stores_nothing() {
        let allows = |dialect, method: Method, path: &str| {
            let uri = path.parse().expect("a path");
            rule::check(&rules(dialect), &method, &uri, Some("127.0.0.1:7071")).is_ok()
        };
        use Dialect::{Anthropic, Gemini, OpenAi};
        for (dialect, path) in [
            (Anthropic, "/anthropic/v1/messages?beta=true"),
            (OpenAi, "/openai/v1/responses"),
            (OpenAi, "/openai/chat/completions"),
            (
                OpenAi,
                "/openai/openai/deployments/gpt/chat/completions?api-version=1",
            ),
            (
                Gemini,
                "/gemini/v1beta/models/g:streamGenerateContent?alt=sse",
            ),
        ] {
            assert!(allows(dialect, Method::POST, path), "{path}");
        }
        for (dialect, method, path) in [
            (Anthropic, Method::POST, "/anthropic/v1/files"),
            (Anthropic, Method::POST, "/v1/messages"),
            (Anthropic, Method::POST, "/openai/v1/messages"),
            (Anthropic, Method::GET, "/anthropic/v1/organizations/keys"),
            (OpenAi, Method::POST, "/openai/v1/files"),
            (OpenAi, Method::GET, "/openai/v1/responses/r1"),
            (OpenAi, Method::DELETE, "/openai/v1/models/x"),
            (OpenAi, Method::POST, "/openai/v1/../v1/files"),
            (Gemini, Method::POST, "/gemini/upload/v1beta/files"),
            (
                Gemini,
                Method::POST,
                "/gemini/v1beta/models/a/b:generateContent",
            ),
        ] {
            assert!(!allows(dialect, method, path), "{path}");
        }
    }

    #[test]
    fn tokens_are_compared_whole() {
        assert!(same("abc", "abc"));
        assert!(
            !same("abd", "abc") && !same("ab", "abc") && !same("abcd", "abc") && !same("", "abc")
        );
    }
}
