//! Everybody does their part until every issue has ended: what must always be possible, whatever
//! happened before.

use std::time::Duration;

use nightshift_api::Nothing;
use nightshift_api::issue::{IssueLine, IssueQuery, Words};
use nightshift_api::operations as op;
use nightshift_api::runner::WorkOrder;
use nightshift_domain::job::Kind;

use crate::hand::{Hand, tried};
use crate::person::{Person, home, place};
use crate::world::World;

/// A file in which changes of several issues may conflict.
pub const SHARED: &str = "shared.txt";
/// Longer than any lease, and than the pause after any failure.
const LONG: Duration = Duration::from_secs(60 * 60);

/// Works, answers, approves and waits until every issue of a project has ended.
///
/// # Panics
/// When one does not end.
pub async fn finish(world: &World, project: &str) {
    let (alice, hand) = (world.alice(), world.hand("finisher").await);
    for _ in 0..60 {
        world.settle().await;
        let mut moved = false;
        while let Some(order) = hand.claims().await {
            works(&hand, &order).await;
            moved = true;
        }
        let open = open(&alice, project).await;
        if open.is_empty() {
            return;
        }
        for line in &open {
            moved |= decides(&alice, project, line).await;
        }
        if !moved {
            world.after(LONG).await;
        }
    }
    let open: Vec<String> = open(&alice, project)
        .await
        .iter()
        .map(|line| format!("#{} is {}: {:?}", line.number, line.phase, line.waiting))
        .collect();
    panic!("these issues do not end:\n{}", open.join("\n"));
}

async fn open(alice: &Person, project: &str) -> Vec<IssueLine> {
    let query = IssueQuery {
        limit: Some(200),
        phase: Some("draft,ready,working,needs-input,in-review,landing".to_owned()),
        ..IssueQuery::default()
    };
    let page = alice
        .client()
        .call::<op::IssueList>(&home(project), &query, &Nothing {})
        .await;
    page.expect("issues").items
}

/// Does a job as it should be done.
pub async fn works(hand: &Hand, order: &WorkOrder) {
    let done = match order.kind {
        Kind::Author => {
            let own = format!("work-{}.txt", order.number);
            let text = format!("{}\n", order.run);
            let mut files = vec![(own.as_str(), text.as_str())];
            let tree = hand.workspace(order);
            let mended = mended(&tree);
            if let Some(mended) = &mended {
                files.push((SHARED, mended));
            }
            hand.authors(order, &files).await
        }
        Kind::Verify | Kind::Trial => hand.proves(order, true).await,
        Kind::Tryout => hand.ends(order, tried(order, 1, ""), None).await,
    };
    done.unwrap_or_else(|error| panic!("#{} was not taken: {error}", order.number));
}

/// The shared file without its marks of conflict, if it has any.
fn mended(tree: &crate::checkout::Checkout) -> Option<String> {
    if !tree.file(SHARED).exists() {
        return None;
    }
    let text = tree.read(SHARED);
    let marks = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];
    let plain: Vec<&str> = text
        .lines()
        .filter(|line| !marks.iter().any(|mark| line.starts_with(mark)))
        .collect();
    (plain.len() < text.lines().count()).then(|| plain.join("\n") + "\n")
}

/// Does what the issue waits for, if it waits for a person; says whether that was so.
async fn decides(alice: &Person, project: &str, line: &IssueLine) -> bool {
    let at = || place(project, line.number);
    let failed = alice.sees(project, line.number).await.failed.is_some();
    match line.phase.as_str() {
        "draft" => alice
            .call::<op::IssueReady>(at(), Nothing {})
            .await
            .expect("ready"),
        "needs-input" => {
            let words = Words {
                text: "Go on.".to_owned(),
            };
            alice
                .call::<op::IssueAnswer>(at(), words)
                .await
                .expect("answered")
        }
        "ready" | "in-review" if failed => alice
            .call::<op::IssueRetry>(at(), Nothing {})
            .await
            .expect("tried again"),
        "in-review" => {
            let pull = alice.pull(project, line.number).await;
            let decided = match pull.line.verdict.map(|colour| colour.as_str()) {
                Some("green") => alice.approves(project, line.number).await,
                _ => alice.sends_back(project, line.number, "Again.").await,
            };
            decided.expect("decided");
            return true;
        }
        _ => return false,
    };
    true
}
