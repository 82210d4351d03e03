//! Every page with few issues and with many, and how much of the desk travels.

use std::collections::BTreeSet;

use nightshift_testkit::World;

use crate::fill::{self, PROJECT, SMALL};
use crate::percentile::percentiles;
use crate::visitor::Visitor;

const ROUNDS: usize = 100;
/// What a page may take, in milliseconds.
const MOST: f64 = 50.0;
/// A morning's results, for the size of the first view.
const MORNING: i64 = 20;
/// What the first view may weigh.
const FIRST_VIEW: usize = 60 << 10;

/// `words` may name pages; else it is all of them.
pub(crate) async fn rows(few: &World, many: &World, words: &[String]) -> Vec<String> {
    let pages = [
        ("desk", "/".to_owned()),
        ("board", "/board".to_owned()),
        ("board, filtered by text", "/board?text=name+(9".to_owned()),
        (
            "board, filtered by a text that nothing has",
            "/board?text=no+such".to_owned(),
        ),
        ("runs", "/runs".to_owned()),
        ("project", format!("/p/{PROJECT}")),
        ("issue", format!("/p/{PROJECT}/{SMALL}")),
        ("issue form", format!("/p/{PROJECT}/new")),
        ("change", format!("/p/{PROJECT}/{SMALL}/change")),
        ("server", "/server".to_owned()),
    ];
    let named = |name: &str| words.iter().any(|word| word == name);
    let some = pages.iter().any(|(name, _)| named(name));
    let visitors = [Visitor::new(few).await, Visitor::new(many).await];
    let mut rows = Vec::new();
    for (name, path) in pages.into_iter().filter(|(name, _)| !some || named(name)) {
        let mut took = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS + 3 {
            for (visitor, took) in visitors.iter().zip(&mut took) {
                let (_, time) = visitor.get(&path, "identity").await;
                if round >= 3 {
                    took.push(time);
                }
            }
        }
        let [few, many] = &mut took;
        let ((few, _), (many, slow)) = (percentiles(few), percentiles(many));
        rows.push(format!(
            "| page {name}: 100,000 issues, 20,000 open changes, p99, against 50 ms | {slow:.1} ms | {MOST:.1} ms | {:.2} | ≤ 1 |",
            slow / MOST
        ));
        rows.push(format!(
            "| page {name}: the same, p50, against 1,000 and 200 | {many:.1} ms | {few:.1} ms | {:.2} | ≤ 1.5 |",
            many / few
        ));
    }
    rows
}

/// The desk with a morning's results and everything it loads, compressed.
pub(crate) async fn first_view() -> String {
    let world = fill::world(MORNING, MORNING).await;
    let visitor = Visitor::new(&world).await;
    let (page, _) = visitor.get("/", "identity").await;
    let page = String::from_utf8(page).expect("text");
    let loaded: BTreeSet<&str> = page
        .split('"')
        .filter(|part| part.starts_with("/assets/"))
        .collect();
    let (mut size, mut names) = (visitor.get("/", "gzip").await.0.len(), 0);
    for path in loaded {
        size += visitor.get(path, "gzip").await.0.len();
        names += 1;
    }
    format!(
        "| first view of a desk with {MORNING} results, with its {names} files | {:.1} KB | {:.1} KB | {:.2} | ≤ 1 |",
        kilobytes(size),
        kilobytes(FIRST_VIEW),
        kilobytes(size) / kilobytes(FIRST_VIEW)
    )
}

fn kilobytes(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).expect("a size")) / 1024.0
}
