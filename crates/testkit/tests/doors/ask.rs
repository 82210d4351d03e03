//! One request as bytes, and its answer; every error is checked to be a proper problem document.

use nightshift_testkit::person::http;
use serde_json::Value;

/// A request to be sent.
pub(crate) struct Ask {
    request: reqwest::RequestBuilder,
    what: String,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
    what: String,
}

impl Ask {
    pub(crate) fn new(method: &str, url: &str) -> Self {
        let method = method.parse().expect("a method");
        let mut parsed = reqwest::Url::parse(url).expect("an address");
        // What the test wrote is what goes over the wire.
        assert!(parsed.query().is_none() || url.contains('?'));
        parsed.set_fragment(None);
        Self {
            what: format!("{method} {url}"),
            request: http().request(method, parsed),
        }
    }

    pub(crate) fn token(mut self, token: Option<&str>) -> Self {
        if let Some(token) = token {
            self.request = self.request.bearer_auth(token);
        }
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.request = self.request.json(body);
        self
    }

    pub(crate) fn bytes(mut self, body: Vec<u8>) -> Self {
        self.request = self
            .request
            .header("content-type", "application/json")
            .body(body);
        self
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(self) -> Answer {
        let answer = self.request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let streams = headers
            .get("content-type")
            .is_some_and(|media| media.as_bytes() == b"text/event-stream");
        let body = if streams {
            Vec::new()
        } else {
            answer.bytes().await.expect("a body").to_vec()
        };
        let answer = Answer {
            status,
            headers,
            body,
            what: self.what,
        };
        answer.check();
        answer
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.what, self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The kind of problem it tells of.
    pub(crate) fn problem(&self) -> String {
        let body = self.json();
        let kind = body["type"].as_str().expect("a type");
        kind.trim_start_matches("/problems/").to_owned()
    }

    /// An error is a problem document that says what it is about; none of them is our fault.
    fn check(&self) {
        assert!(self.headers.contains_key("x-request-id"), "{}", self.what);
        if self.status < 400 {
            return;
        }
        assert!(
            self.status < 500,
            "{}: {} {}",
            self.what,
            self.status,
            self.text()
        );
        let media = self.headers.get("content-type").map(|m| m.as_bytes());
        assert_eq!(
            media,
            Some(b"application/problem+json".as_slice()),
            "{}: {}",
            self.what,
            self.text()
        );
        let body = self.json();
        assert_eq!(body["status"], self.status, "{}", self.what);
        let kind = body["type"].as_str().expect("a type");
        assert!(kind.starts_with("/problems/"), "{}: {kind}", self.what);
        for field in ["title", "detail"] {
            let text = body[field].as_str().expect("words");
            assert!(!text.trim().is_empty(), "{}: no {field}", self.what);
        }
        assert_eq!(
            self.status == 401,
            self.headers.contains_key("www-authenticate"),
            "{}",
            self.what
        );
    }
}
