//! `cargo xtask tidy | generate [--check] | ci [--lint] | bench [--write] | agents [HARNESS ...]`.
//!
//! Deliberately absent: an argument parser; five words need none.

#![expect(
    clippy::print_stderr,
    reason = "a command line tool talks to its person"
)]

use std::process::ExitCode;

use anyhow::{Result, bail};
use xtask::{agents, bench, checkout, ci, generate, tidy};

const USAGE: &str = "usage:
  cargo xtask tidy               check the walls: edges, headers, lengths, dependencies, paths
  cargo xtask generate [--check] write the generated files, or only compare them
  cargo xtask ci [--lint]        all that CI does, or only its fast half
  cargo xtask bench [--write]    one table of ratios, also for docs/PERFORMANCE.md
  cargo xtask agents [HARNESS]   the table of real agent programs, all or these";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    let root = checkout::root();
    match arguments {
        ["tidy"] => tidy::run(&root),
        ["generate"] => generate::write(&root),
        ["generate", "--check"] => generate::check(&root),
        ["ci"] => ci::run(&root, ci::Extent::Everything),
        ["ci", "--lint"] => ci::run(&root, ci::Extent::Lint),
        ["bench"] => bench::run(&root, false),
        ["bench", "--write"] => bench::run(&root, true),
        ["agents", harnesses @ ..] => agents::run(&root, harnesses),
        _ => bail!("the command line cannot be understood\n{USAGE}"),
    }
}
