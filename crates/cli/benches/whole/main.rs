//! The whole program at work: a real server and a real runner, against what each step costs without
//! them.
//!
//! From an issue's readiness to its agent's first instruction, against a raw overlay mount and
//! bubblewrap; push and clone, against git's own `http-backend`. Ours and the reference are taken in
//! turn, so that only ratios count. Prints rows of the table that `cargo xtask bench` puts together:
//! measure, ours, reference, ratio, bar. Run as root, where a mount can be timed alone. Deliberately
//! absent: a verdict.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark is its own composition root and starts what it compares with"
)]

mod backend;
#[path = "../../../runner/benches/floor/mod.rs"]
mod floor;
mod house;
mod push;
mod start;

use house::House;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let house = House::start();
        for row in start::rows(&house).await {
            println!("{row}");
        }
        for row in push::rows(&house).await {
            println!("{row}");
        }
    });
}

/// One row of the table, for milliseconds.
fn row(measure: &str, ours: f64, reference: f64, bar: &str) -> String {
    format!(
        "| {measure} | {ours:.1} ms | {reference:.1} ms | {:.2} | {bar} |",
        ours / reference
    )
}
