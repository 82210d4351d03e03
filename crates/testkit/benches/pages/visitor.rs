//! Somebody who is signed in and asks for pages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nightshift_testkit::{ManualClock, World, person};
use reqwest::header::SET_COOKIE;
use reqwest::redirect::Policy;

use crate::percentile::millis;

/// A signed-in browser that draws nothing.
pub(crate) struct Visitor {
    client: reqwest::Client,
    pub(crate) url: String,
    pub(crate) cookie: String,
    clock: Arc<ManualClock>,
}

impl Visitor {
    pub(crate) async fn new(world: &World) -> Self {
        Self::of(world, "alice").await
    }

    /// Signs that person in.
    pub(crate) async fn of(world: &World, name: &str) -> Self {
        drop(person::http());
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .build();
        let client = client.expect("a client");
        let code = world.app.link_create(name).await.expect("a link");
        let answer = client
            .post(format!("{}/sign-in", world.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("code={}", code.reveal()))
            .send()
            .await
            .expect("an answer");
        let cookie = answer.headers().get(SET_COOKIE).expect("a cookie");
        let cookie = cookie.to_str().expect("text").split(';').next();
        Self {
            client,
            url: world.url.clone(),
            cookie: cookie.expect("a pair").to_owned(),
            clock: Arc::clone(&world.clock),
        }
    }

    /// A page, and the milliseconds until its last byte was here.
    pub(crate) async fn get(&self, path: &str, encoding: &str) -> (Vec<u8>, f64) {
        // Slow enough by the server's clock that no limit of searches is met.
        self.pass(Duration::from_secs(1));
        self.look(path, encoding).await
    }

    /// Lets the server's clock go on.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }

    /// The same while the server's clock stands.
    pub(crate) async fn look(&self, path: &str, encoding: &str) -> (Vec<u8>, f64) {
        let begin = Instant::now();
        let answer = self
            .client
            .get(format!("{}{path}", self.url))
            .header("cookie", &self.cookie)
            .header("accept-encoding", encoding)
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        let body = answer.bytes().await.expect("a page").to_vec();
        let took = millis(begin.elapsed());
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        (body, took)
    }
}
