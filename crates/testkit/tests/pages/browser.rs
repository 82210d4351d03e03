//! A browser of few talents: it keeps cookies, reads form tokens, and follows nothing by itself.

use nightshift_testkit::World;
use reqwest::header::{HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;

/// A browser at one server.
pub(crate) struct Browser {
    client: reqwest::Client,
    url: String,
    cookie: Option<String>,
}

/// Sends fields as a browser sends a form.
pub(crate) trait Form {
    /// With these fields as the body.
    fn form(self, fields: &[(&str, &str)]) -> Self;
}

impl Form for reqwest::RequestBuilder {
    fn form(self, fields: &[(&str, &str)]) -> Self {
        let url = reqwest::Url::parse_with_params("http://form/", fields).expect("fields");
        self.header("content-type", "application/x-www-form-urlencoded")
            .body(url.query().unwrap_or_default().to_owned())
    }
}

/// A page, or what came in its place.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Browser {
    pub(crate) fn new(world: &World) -> Self {
        drop(nightshift_testkit::person::http());
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .build()
            .expect("a client");
        Self {
            client,
            url: world.url.clone(),
            cookie: None,
        }
    }

    /// A browser in which this person is signed in.
    pub(crate) async fn signed_in(world: &World, name: &str) -> Self {
        let code = world.app.link_create(name).await.expect("a link");
        let mut browser = Self::new(world);
        let answer = browser.sign_in(&[("code", code.reveal())]).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        browser
    }

    /// Sends the form of the sign-in page and keeps the cookie.
    pub(crate) async fn sign_in(&mut self, fields: &[(&str, &str)]) -> Answer {
        let answer = self
            .send(self.client.post(self.at("/sign-in")).form(fields))
            .await;
        if let Some(cookie) = answer.cookie() {
            let pair = cookie.split(';').next().expect("a pair");
            self.cookie = Some(pair.to_owned());
        }
        answer
    }

    /// Takes over a session's cookie.
    pub(crate) fn keep(&mut self, cookie: &str) {
        self.cookie = Some(cookie.to_owned());
    }

    /// From now on as somebody who chose this language.
    pub(crate) fn speaks(&mut self, language: &str) {
        let others = self.cookie.take().unwrap_or_default();
        self.cookie = Some(format!("{others}; nightshift_language={language}"));
    }

    /// The session's cookie, as it is sent.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A request with what a browser would send along.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self
            .client
            .request(method.parse().expect("a method"), self.at(path));
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    /// A request to any address, as a browser follows a link; without a cookie.
    pub(crate) fn to(&self, url: &str) -> reqwest::RequestBuilder {
        self.client.get(url)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// Sends a form as our own page would: with its token.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.form_token().await;
        let mut all = vec![("form_token", token.as_str())];
        all.extend(fields);
        self.send(self.request("POST", path).form(&all)).await
    }

    /// The token that every form of this session carries.
    pub(crate) async fn form_token(&self) -> String {
        let page = self.get("/account").await;
        assert_eq!(page.status, 200, "{}", page.text);
        let (_, rest) = page
            .text
            .split_once("name=\"form_token\" value=\"")
            .expect("a form");
        rest.split('"').next().expect("a value").to_owned()
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.expect("an answer");
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: answer.text().await.expect("a text"),
        }
    }
}

impl Answer {
    /// Where it leads.
    pub(crate) fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    /// The session's cookie that it sets, with its flags.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find(|value| value.starts_with("nightshift_session="))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(HeaderValue::as_bytes)
            .and_then(|value| std::str::from_utf8(value).ok())
            .unwrap_or_default()
    }
}
