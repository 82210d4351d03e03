//! A run's page: its log in parts, searched, followed; and its question.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use nightshift_api::runner::{End, WorkOrder};
use nightshift_domain::failure::Reason;
use nightshift_testkit::{Hand, World};
use serde_json::json;

use crate::browser::Browser;

fn record(text: &str) -> String {
    let record = json!({"at": "2026-01-02T03:04:05Z", "step": "agent", "kind": "output", "stream": "stdout", "text": text});
    format!("{record}\n")
}

async fn begun(world: &World) -> (Hand, WorkOrder) {
    world.project("tally").await;
    world.alice().files_ready("tally", "Talk").await;
    let hand = world.hand("r1").await;
    let order = hand.claims().await.expect("a job");
    (hand, order)
}

/// Appends records and returns where the log ends.
async fn log(hand: &Hand, order: &WorkOrder, offset: u64, text: &str) -> u64 {
    let size = hand.logs(order, offset, text).await.expect("logged");
    u64::try_from(size).expect("a size")
}

/// The anchors of the records on a page.
fn anchors(text: &str) -> Vec<u64> {
    text.split("id=\"o")
        .skip(1)
        .map(|rest| {
            rest.split('"')
                .next()
                .expect("an end")
                .parse()
                .expect("an offset")
        })
        .collect()
}

/// The address of the first link with this word.
fn link<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (before, _) = text.split_once(&format!(">{word}</a>"))?;
    let (_, address) = before.rsplit_once("href=\"")?;
    address.split(['"', '#']).next()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_is_read_in_parts_forth_and_back_and_every_record_has_its_place() {
    let world = World::new().await;
    let (hand, order) = begun(&world).await;
    let mut at = 0;
    let mut offsets = Vec::new();
    for chunk in 0..12 {
        let mut text = String::new();
        for n in 0..300 {
            offsets.push(at + text.len() as u64);
            text.push_str(&record(&format!(
                "line {chunk}.{n} {}",
                "x".repeat(n % 200)
            )));
        }
        at = log(&hand, &order, at, &text).await;
    }
    // One record that is longer than a whole part.
    offsets.push(at);
    at = log(&hand, &order, at, &record(&"long ".repeat(60_000))).await;
    let browser = Browser::signed_in(&world, "alice").await;
    let page = format!("/runs/{}", order.run);

    let mut back = Vec::new();
    let mut path = page.clone();
    loop {
        let answer = browser.get(&path).await;
        assert_eq!(answer.status, 200);
        let mut part = anchors(&answer.text);
        part.extend(back);
        back = part;
        match link(&answer.text, "Earlier") {
            Some(earlier) => path = format!("{page}{earlier}"),
            None => break,
        }
    }
    assert_eq!(back, offsets, "every record once, going back");
    let mut forth = Vec::new();
    let mut path = format!("{page}?at=0");
    loop {
        let answer = browser.get(&path).await;
        forth.extend(anchors(&answer.text));
        match link(&answer.text, "Later") {
            Some(later) => path = format!("{page}{later}"),
            None => break,
        }
    }
    assert_eq!(forth, offsets, "every record once, going forth");
    // A link to one record shows it first, wherever it is.
    let some = offsets[1_234];
    let linked = browser.get(&format!("{page}?at={some}")).await;
    assert_eq!(anchors(&linked.text)[0], some);
    for odd in [
        "?at=x",
        "?at=-1",
        "?at=99999999999999999999",
        "?before=0",
        "?at=18446744073709551615",
    ] {
        assert_eq!(
            browser.get(&format!("{page}{odd}")).await.status,
            200,
            "{odd}"
        );
    }
    // The same once the log is closed and compressed.
    hand.fails(&order, Reason::AgentFailed)
        .await
        .expect("ended");
    world.after(Duration::from_secs(3 * 3_600)).await;
    let packed = browser.get(&format!("{page}?at={some}")).await;
    assert_eq!(anchors(&packed.text), anchors(&linked.text));
    assert!(at > 512 << 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_finds_in_what_is_shown_and_links_there() {
    let world = World::new().await;
    let (hand, order) = begun(&world).await;
    let first = log(&hand, &order, 0, &record("nothing to see <here>")).await;
    let second = log(
        &hand,
        &order,
        first,
        &record("a \"Needle\"\nin \u{1b}[31mred\u{1b}[0m hay"),
    )
    .await;
    log(&hand, &order, second, &record(&"hay ".repeat(100))).await;
    let browser = Browser::signed_in(&world, "alice").await;
    let page = format!("/runs/{}", order.run);
    for (query, count) in [
        ("needle", 1),
        ("%22needle%22", 1),
        ("in%20red%20hay", 1),
        ("HAY", 2),
        ("stdout", 0),
        ("%3Chere%3E", 1),
        ("%3Cscript%3E", 0),
    ] {
        let text = browser.get(&format!("{page}?q={query}")).await.text;
        assert_eq!(text.matches("<mark>").count(), count, "{query}: {text}");
        assert!(
            !text.contains("<here>") && !text.contains("<script>"),
            "{query}"
        );
    }
    let text = browser.get(&format!("{page}?q=needle")).await.text;
    assert!(text.contains(&format!("?at={first}#o{first}")), "{text}");
    // More finds than one answer shows are a link away.
    let many: String = (0..120).map(|n| record(&format!("find me {n}"))).collect();
    let size = hand.logs(&order, 0, "").await.expect("a size");
    log(&hand, &order, u64::try_from(size).expect("a size"), &many).await;
    let (mut found, mut path) = (0, format!("{page}?q=find%20me"));
    loop {
        let text = browser.get(&path).await.text;
        found += text.matches("<mark>").count();
        match link(&text, "Search on") {
            Some(on) => path = format!("{page}{}", on.replace("&amp;", "&")),
            None => break,
        }
    }
    assert_eq!(found, 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_follows_its_log_and_goes_on_where_it_was() {
    let world = World::new().await;
    let (hand, order) = begun(&world).await;
    let first = log(&hand, &order, 0, &record("one")).await;
    let browser = Browser::signed_in(&world, "alice").await;
    let page = browser.get(&format!("/runs/{}", order.run)).await.text;
    let live = format!("/live/run/{}?offset={first}", order.run);
    assert!(page.contains(&format!("data-follow=\"{live}\"")), "{page}");
    let second = log(&hand, &order, first, &record("two <b>")).await;
    let mut heard = listen(&browser, &live, None, "event: facts").await;
    assert!(
        heard.contains(&format!("id: {second}")) && !heard.contains(">one"),
        "{heard}"
    );
    assert!(heard.contains("two &lt;b&gt;"), "{heard}");
    log(&hand, &order, second, &record("three")).await;
    // The browser's own resumption wins over the address.
    heard = listen(&browser, &live, Some(&second.to_string()), "three").await;
    assert!(!heard.contains("two"), "{heard}");
    hand.fails(&order, Reason::AgentFailed)
        .await
        .expect("ended");
    heard = listen(&browser, &live, None, "event: end").await;
    assert!(heard.contains("agent-failed"), "{heard}");
    let page = browser.get(&format!("/runs/{}", order.run)).await.text;
    assert!(
        !page.contains("data-follow"),
        "an ended run is not followed"
    );
}

/// Reads a stream until this text has come.
async fn listen(browser: &Browser, path: &str, last: Option<&str>, until: &str) -> String {
    let mut request = browser.request("GET", path);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let mut stream = answer.bytes_stream();
    let mut heard = String::new();
    let reading = async {
        while !heard.contains(until) {
            let chunk = stream.next().await.expect("more").expect("bytes");
            heard.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
    assert!(read.is_ok(), "{until:?} did not come in time: {heard}");
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_session() {
    let world = World::new().await;
    let (hand, order) = begun(&world).await;
    let browser = Browser::signed_in(&world, "alice").await;
    let live = format!("/live/run/{}?offset=0", order.run);
    let request = browser.request("GET", &live);
    let mut stream = request.send().await.expect("an answer").bytes_stream();
    stream.next().await.expect("the facts").expect("bytes");
    browser.post("/sign-out", &[]).await;
    log(&hand, &order, 0, &record("secret")).await;
    let mut heard = String::new();
    let reading = async {
        while let Some(Ok(chunk)) = stream.next().await {
            heard.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), reading).await;
    assert!(ended.is_ok(), "the stream goes on: {heard}");
    assert!(!heard.contains("secret"), "{heard}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_answered_where_it_was_asked() {
    let world = World::new().await;
    let (hand, order) = begun(&world).await;
    let question = "Which <b>one</b>?".to_owned();
    hand.ends(&order, End::Asked { question }, None)
        .await
        .expect("asked");
    let browser = Browser::signed_in(&world, "alice").await;
    let page = format!("/runs/{}", order.run);
    let text = browser.get(&page).await.text;
    let form = format!("{page}/answer");
    assert!(text.contains(&form) && !text.contains("<b>one"), "{text}");
    let answered = browser.post(&form, &[("text", "The first.")]).await;
    assert_eq!((answered.status, answered.location()), (303, "/p/tally/1"));
    assert!(!browser.get(&page).await.text.contains(&form));
    assert_eq!(browser.post(&form, &[("text", "Again.")]).await.status, 409);
}

/// How long the end of a log of 100 MB takes beside that of an empty one; generous, since others
/// build on this machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_log_opens_as_a_short_one() {
    let world = World::new().await;
    let (hand, order) = begun(&world).await;
    let text = record(&"x".repeat(900)).repeat(900);
    let mut at = 0;
    while at < 64 << 20 {
        at = log(&hand, &order, at, &text).await;
    }
    let browser = Browser::signed_in(&world, "alice").await;
    let page = format!("/runs/{}", order.run);
    for path in [page.clone(), format!("{page}?at={}", at / 2)] {
        let began = Instant::now();
        let answer = browser.get(&path).await;
        let took = began.elapsed();
        assert_eq!(answer.status, 200);
        assert!(answer.text.len() < 512 << 10, "{} bytes", answer.text.len());
        assert!(took < Duration::from_secs(2), "{path} took {took:?}");
    }
}
