//! How fast the pages are: each page with few issues and with 100,000, a change of 10,000 lines, the
//! size of the first view, a desk that a thousand people look at, and one while somebody floods.
//!
//! A server of the testkit with everything real but the clock, over the loopback. Ours and the
//! reference are taken in turn, so that only ratios count. Prints rows of the table that `cargo
//! xtask bench` puts together: measure, ours, reference, ratio, bar. Deliberately absent: a verdict,
//! and the time a browser takes to draw.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

mod change;
mod fill;
mod flood;
mod live;
mod page;
#[path = "../../../runner/benches/floor/percentile.rs"]
mod percentile;
mod visitor;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // As a server has it.
    std::thread::spawn(nightshift_web::colour_later);
    let words = std::env::args().skip(1);
    let words: Vec<String> = words.filter(|word| !word.starts_with("--")).collect();
    let wanted = |part: &str| words.is_empty() || words.iter().any(|word| word == part);
    runtime.block_on(async {
        let few = fill::world(1_000, 200).await;
        let mut rows = Vec::new();
        if wanted("page") {
            let many = fill::world(100_000, 20_000).await;
            rows.extend(page::rows(&few, &many, &words).await);
        }
        if wanted("view") {
            rows.push(page::first_view().await);
        }
        if wanted("change") {
            rows.extend(change::rows(&few).await);
        }
        if wanted("flood") {
            rows.extend(flood::rows(&few).await);
        }
        if wanted("live") {
            rows.extend(live::rows(&few).await);
        }
        for row in rows {
            println!("{row}");
        }
    });
}
