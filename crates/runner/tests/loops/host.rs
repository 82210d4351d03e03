//! What a person allowed for one issue: reached by its author, and by no proof.

use axum::Router;
use axum::routing::get;
use nightshift_api::runner::End;
use nightshift_domain::check::Outcome;

use super::house::{House, check};

/// A host of a company, on this machine: the operator lets its address be reached.
async fn mirror() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().route("/", get(|| async { "from the mirror" }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("localhost:{port}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_for_an_issue_is_reached_by_its_author_and_by_no_proof() {
    let mirror = mirror().await;
    let fetch = format!("curl -sSf --noproxy '' -x http://127.0.0.1:7072 http://{mirror}/");
    let mut house = House::empty(&[("a.txt", "a\n")]).await;
    let mut config = house.config();
    config.network.private = vec![mirror.parse().unwrap()];
    house.runner(config);

    let body = format!("Fetch it.\n\n```sh\n{fetch} > a.txt\n```");
    let refused = house.author(&body);
    let run = house.give(&refused);
    let complete = house.server.ended(run).await;
    let End::Failed { failure } = &complete.end else {
        panic!("it was reached without a grant: {complete:?}");
    };
    assert!(
        failure
            .detail
            .as_str()
            .contains(&format!("could not reach {mirror}"))
            && failure.detail.as_str().contains("nightshift issue allow"),
        "{failure:?}"
    );

    let mut order = house.author(&body);
    order.grants = vec![mirror.parse().unwrap()];
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let attempt = complete.attempt.clone().expect("a change");
    assert_eq!(
        house.git(&["show", &format!("{attempt}:a.txt")]),
        "from the mirror"
    );
    let traffic = complete.traffic.expect("what it reached");
    assert_eq!(
        traffic.hosts[0].allowed_by.as_deref(),
        Some("issue"),
        "{traffic:?}"
    );

    // Even where a server said so.
    let mut proof = house.verify(&attempt);
    proof.grants = vec![mirror.parse().unwrap()];
    proof.checks = vec![check("fetch", &fetch)];
    let run = house.give(&proof);
    let complete = house.server.ended(run).await;
    let End::Proved { report } = &complete.end else {
        panic!("it was not proved: {complete:?}");
    };
    assert!(
        matches!(report.checks[0].outcome, Outcome::Failed { .. }),
        "{report:?}"
    );
    // What it missed is known.
    let missed = complete.traffic.expect("what it was refused");
    let missed: Vec<&str> = missed.blocked().map(|host| host.host.as_str()).collect();
    assert_eq!(missed, [mirror.as_str()]);
}
