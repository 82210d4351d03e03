//! What is decided at the keyboard: tried tests, and words to a run.

use nightshift_domain::access::Actor;
use nightshift_domain::check::{CheckResult, Outcome};
use nightshift_domain::id::JobId;
use nightshift_domain::trust::Trust;
use nightshift_domain::tryout::Tried;
use nightshift_store::*;

use crate::world::{World, at, commit};

pub(crate) async fn a_tried_seal_is_found_with_its_result(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let seals = ["a".repeat(64), "b".repeat(64)];
    let mut tryouts = Vec::new();
    let mut runs = Vec::new();
    for (number, seal) in (1..).zip([&seals[0], &seals[0], &seals[1]]) {
        let job = w.order(&issue, number);
        w.queue(&job).await;
        let tryout = Tryout {
            job: job.id,
            issue: issue.id,
            seal: seal.clone(),
            created_at: at(number),
            result: None,
        };
        let mut tx = w.db.write().await.unwrap();
        tryout_insert(&mut tx, &tryout).await.unwrap();
        tx.commit().await.unwrap();
        runs.push(w.claim(&job, &runner, 9).await.1.id);
        tryouts.push(tryout);
    }
    let result = TryoutResult {
        base: commit(7),
        run: runs[0],
        tried: Tried::Red {
            result: CheckResult {
                name: "acceptance".to_owned(),
                commit: commit(7),
                outcome: Outcome::Failed { code: 1 },
                duration_ms: 5,
                output_tail: "no greeting".to_owned(),
            },
        },
        ended_at: at(20),
    };
    let mut tx = w.db.write().await.unwrap();
    let job = tryouts[0].job;
    assert!(tryout_finish(&mut tx, job, &result).await.unwrap());
    let other = TryoutResult {
        base: commit(8),
        ..result.clone()
    };
    assert!(
        !tryout_finish(&mut tx, job, &other).await.unwrap(),
        "a result is written once"
    );
    tryouts[0].result = Some(result);
    let found = tryout_list(&mut tx, issue.id, &seals[0], 9).await.unwrap();
    assert_eq!(found, [tryouts[1].clone(), tryouts[0].clone()]);
    let found = tryout_list(&mut tx, issue.id, &seals[0], 1).await.unwrap();
    assert_eq!(found, [tryouts[1].clone()]);
    assert_eq!(
        tryout_get(&mut tx, tryouts[2].job).await.unwrap(),
        Some(tryouts[2].clone())
    );
    assert_eq!(tryout_get(&mut tx, JobId(w.id())).await.unwrap(), None);
}

pub(crate) async fn words_to_a_run_end_in_one_way(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let job = w.order(&issue, 1);
    w.queue(&job).await;
    let run = w.claim(&job, &runner, 9).await.1.id;
    let mut said = Vec::new();
    let mut tx = w.db.write().await.unwrap();
    for number in 1..=3 {
        let steer = Steer {
            id: w.id(),
            run,
            issue: issue.id,
            round: 1,
            author: Actor::System,
            trust: Trust::Collaborator,
            body: format!("words {number}"),
            interrupts: number == 2,
            created_at: at(number),
            handed_at: None,
            late_at: None,
        };
        steer_insert(&mut tx, &steer).await.unwrap();
        said.push(steer);
    }
    assert_eq!(steer_list_waiting(&mut tx, run).await.unwrap(), said);
    assert!(
        steer_handed(&mut tx, run, said[0].id, at(10))
            .await
            .unwrap()
    );
    assert!(
        !steer_handed(&mut tx, run, said[0].id, at(11))
            .await
            .unwrap()
    );
    assert_eq!(steer_list_waiting(&mut tx, run).await.unwrap(), said[1..]);
    assert_eq!(steer_late(&mut tx, run, at(12)).await.unwrap(), 2);
    assert_eq!(steer_late(&mut tx, run, at(13)).await.unwrap(), 0);
    assert!(
        !steer_handed(&mut tx, run, said[1].id, at(14))
            .await
            .unwrap(),
        "what came too late stays late"
    );
    said[0].handed_at = Some(at(10));
    for late in &mut said[1..] {
        late.late_at = Some(at(12));
    }
    assert_eq!(steer_list_of_run(&mut tx, run).await.unwrap(), said);
    assert_eq!(steer_list_of_issue(&mut tx, issue.id).await.unwrap(), said);
    assert_eq!(steer_list_waiting(&mut tx, run).await.unwrap(), []);
}
