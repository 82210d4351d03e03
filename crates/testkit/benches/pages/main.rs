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

use nightshift_testkit::World;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // As a server has it.
    std::thread::spawn(nightshift_web::colour_later);
    runtime.block_on(async {
        let few = fill::world(1_000, 200).await;
        let many = fill::world(100_000, 20_000).await;
        for row in page::rows(&few, &many).await {
            println!("{row}");
        }
        println!("{}", page::first_view().await);
        for row in change::rows(&few).await {
            println!("{row}");
        }
        for row in flood::rows(&few).await {
            println!("{row}");
        }
        for row in live::rows(&few).await {
            println!("{row}");
        }
        drop::<(World, World)>((few, many));
    });
}
