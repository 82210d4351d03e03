//! The change of 10,000 lines: our page against `git diff` alone, and against cgit's page of it.
//!
//! cgit runs as a process without a web server before it, which is less than it costs in use.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark starts what it compares with"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nightshift_store::project_list;
use nightshift_testkit::World;

use crate::fill::{FRESH, LARGE, LINES, PROJECT};
use crate::percentile::{millis, percentiles};
use crate::visitor::Visitor;

const ROUNDS: usize = 40;
/// Between two first looks.
const REST: Duration = Duration::from_millis(500);
const CGIT: &str = "/usr/lib/cgit/cgit.cgi";

pub(crate) async fn rows(world: &World) -> Vec<String> {
    assert!(
        Path::new(CGIT).exists(),
        "no {CGIT}: scripts/setup bench installs it"
    );
    let alice = world.alice();
    let pull = alice.pull(PROJECT, LARGE).await;
    let (base, head) = (pull.base.to_string(), pull.line.head.to_string());
    let mut tx = world.db().read().await.expect("a transaction");
    let homes = project_list(&mut tx).await.expect("projects");
    drop(tx);
    let repository = world.repository(homes[0].id);
    let folder = repository.path().to_owned();
    let settings = tempfile::NamedTempFile::new().expect("a file");
    let text = format!("cache-size=0\nrepo.url=p\nrepo.path={}\n", folder.display());
    std::fs::write(settings.path(), text).expect("settings");
    let visitor = Visitor::new(world).await;
    let path = format!("/p/{PROJECT}/{LARGE}/change");
    let (mut ours, mut diff, mut cgit) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS + 3 {
        let (page, took) = visitor.get(&path, "identity").await;
        assert!(page.len() > 10_000, "a page");
        let mut git = Command::new("git");
        git.arg("--git-dir")
            .arg(&folder)
            .args(["diff", &base, &head]);
        let raw = time(&mut git, LINES * 40);
        let mut other = Command::new(CGIT);
        other
            .env("CGIT_CONFIG", settings.path())
            .env("REQUEST_METHOD", "GET")
            .env("PATH_INFO", "/p/diff/")
            .env("QUERY_STRING", format!("id={head}&id2={base}"));
        let theirs = time(&mut other, LINES * 40);
        if round >= 3 {
            ours.push(took);
            diff.push(raw);
            cgit.push(theirs);
        }
    }
    let mut first = Vec::new();
    for number in FRESH {
        let path = format!("/p/{PROJECT}/{number}/change");
        first.push(visitor.get(&path, "identity").await.1);
        // What goes on behind the page ends before somebody looks at the next.
        tokio::time::sleep(REST).await;
    }
    let ((ours, _), (first, _), (diff, _), (cgit, _)) = (
        percentiles(&mut ours),
        percentiles(&mut first),
        percentiles(&mut diff),
        percentiles(&mut cgit),
    );
    let row = |which: &str, ours: f64, reference: &str, theirs: f64| {
        format!(
            "| {which} of a change of {LINES} lines, p50, against {reference} | {ours:.1} ms | {theirs:.1} ms | {:.2} | ≤ 1 |",
            ours / theirs
        )
    };
    let (least, raw) = (diff + 25.0, "`git diff` + 25 ms");
    vec![
        row("page", ours, raw, least),
        row("page", ours, "cgit's page", cgit),
        row("first look at the page", first, raw, least),
    ]
}

/// Milliseconds of a command, which must print so many bytes at least.
fn time(command: &mut Command, least: usize) -> f64 {
    let begin = Instant::now();
    let output = command
        .env_remove("HTTP_PROXY")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let took = millis(begin.elapsed());
    assert!(output.stdout.len() > least, "{command:?}: {output:?}");
    took
}
