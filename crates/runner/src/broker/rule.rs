//! Which requests may leave, decided on the request line alone.
//!
//! Invariant: a path is compared as it is sent; anything that another program might read as a
//! different path (dots, doubled or encoded slashes, a scheme, another host) is refused, not
//! repaired. Deliberately absent: IO.

use hyper::http::{Method, Uri};
use serde::{Deserialize, Serialize};

/// One kind of request that is let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    method: String,
    pattern: String,
}

impl Rule {
    /// `pattern` is a path; `*` in a segment stands for any characters but a slash.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a method is given as a constant, and read as one"
    )]
    pub fn new(method: Method, pattern: impl Into<String>) -> Self {
        Self {
            method: method.as_str().to_owned(),
            pattern: pattern.into(),
        }
    }

    fn allows(&self, method: &Method, path: &str) -> bool {
        if self.method != method.as_str() {
            return false;
        }
        let (mut wanted, mut given) = (self.pattern.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(wanted), Some(given)) if segment(wanted, given) => {}
                _ => return false,
            }
        }
    }
}

/// The smart HTTP requests of one repository, `path` being such as `/git/<project>.git`.
#[must_use]
pub fn git(path: &str) -> Vec<Rule> {
    vec![
        Rule::new(Method::GET, format!("{path}/info/refs")),
        Rule::new(Method::POST, format!("{path}/git-upload-pack")),
        Rule::new(Method::POST, format!("{path}/git-receive-pack")),
    ]
}

/// Why a request stays inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The target names a scheme or a host, or is no plain path.
    #[error("the request target must be a plain path")]
    Target,
    /// The Host header is not the relay's.
    #[error("the Host header names another host")]
    Host,
    /// No rule lets it through.
    #[error("this request is not among those that a run may make")]
    Rule,
}

/// The path of the request if it may leave.
pub(super) fn check<'a>(
    rules: &[Rule],
    method: &Method,
    uri: &'a Uri,
    host: Option<&str>,
) -> Result<&'a str, Refusal> {
    let path = uri.path();
    let lower = path.to_ascii_lowercase();
    let odd = uri.scheme().is_some()
        || uri.authority().is_some()
        || !path.starts_with('/')
        || path.contains("//")
        || path.contains('\\')
        || path.split('/').any(|segment| matches!(segment, "." | ".."))
        || ["%2e", "%2f", "%5c", "%00", "%25"]
            .iter()
            .any(|code| lower.contains(code))
        || !path.bytes().all(|b| b.is_ascii_graphic());
    if odd {
        return Err(Refusal::Target);
    }
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    if !matches!(name, Some("127.0.0.1" | "localhost")) {
        return Err(Refusal::Host);
    }
    if rules.iter().any(|rule| rule.allows(method, path)) {
        Ok(path)
    } else {
        Err(Refusal::Rule)
    }
}

fn segment(wanted: &str, given: &str) -> bool {
    match wanted.split_once('*') {
        None => wanted == given,
        Some((before, after)) => {
            given.len() > before.len() + after.len()
                && given.starts_with(before)
                && given.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(
        rules: &[Rule],
        method: &str,
        target: &str,
        host: Option<&str>,
    ) -> Result<(), Refusal> {
        let uri: Uri = target.parse().map_err(|_| Refusal::Target)?;
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        check(rules, &method, &uri, host).map(drop)
    }

    #[test]
    fn a_run_reaches_its_own_repository_and_nothing_else() {
        let mut rules = git("/git/p1.git");
        rules.push(Rule::new(Method::POST, "/api/v1/runs/r1/ask"));
        let here = Some("127.0.0.1:7070");
        for (method, target) in [
            ("GET", "/git/p1.git/info/refs?service=git-receive-pack"),
            ("POST", "/git/p1.git/git-upload-pack"),
            ("POST", "/api/v1/runs/r1/ask"),
        ] {
            assert_eq!(
                verdict(&rules, method, target, here),
                Ok(()),
                "{method} {target}"
            );
        }
        for (method, target) in [
            ("GET", "/git/p2.git/info/refs"),
            ("GET", "/git/p1.git/../p2.git/info/refs"),
            ("GET", "/git/p1.git/%2e%2e/p2.git/info/refs"),
            ("GET", "/git//p1.git/info/refs"),
            ("GET", "/git/p1.git/info%2Frefs"),
            ("GET", "http://127.0.0.1/git/p1.git/info/refs"),
            ("GET", "http://evil.test/git/p1.git/info/refs"),
            ("CONNECT", "evil.test:443"),
            ("DELETE", "/api/v1/runs/r1/ask"),
            ("POST", "/api/v1/runs/r1/ask/"),
            ("POST", "/api/v1/runs/r2/ask"),
            ("POST", "/api/v1/runs/r1/ask\u{0}"),
            ("GET", "/"),
        ] {
            assert!(
                verdict(&rules, method, target, here).is_err(),
                "{method} {target}"
            );
        }
        for host in [
            None,
            Some("evil.test"),
            Some("127.0.0.1.evil.test"),
            Some(""),
        ] {
            let refused = verdict(&rules, "POST", "/api/v1/runs/r1/ask", host);
            assert_eq!(refused, Err(Refusal::Host), "{host:?}");
        }
    }
}
