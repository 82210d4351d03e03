//! What is decided at the keyboard: tried tests, words to a run, and what agents say themselves.

use nightshift_domain::access::Actor;
use nightshift_domain::check::{CheckResult, Outcome};
use nightshift_domain::grant::{Asked, Decided, Decision, Need};
use nightshift_domain::id::JobId;
use nightshift_domain::speech::{Said, Speech};
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

pub(crate) async fn what_agents_say_is_counted_and_kept(w: World) {
    let (project, user, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let job = w.order(&issue, 1);
    w.queue(&job).await;
    let run = w.claim(&job, &runner, 9).await.1.id;
    let child = w.issue(&project, &user, 2).await;
    let mut tx = w.db.write().await.unwrap();
    for speech in Speech::ALL {
        assert_eq!(
            speech_get(&mut tx, run, speech).await.unwrap(),
            Said::default()
        );
        for count in 1..=2 {
            speech_set(&mut tx, run, speech, count, at(count))
                .await
                .unwrap();
        }
        let said = speech_get(&mut tx, run, speech).await.unwrap();
        assert_eq!((said.count, said.last_at), (2, Some(at(2))));
    }
    let mut proposals = Vec::new();
    for number in 1..=2 {
        let proposal = Proposal {
            id: w.id(),
            run,
            issue: issue.id,
            round: 1,
            body: format!("rule {number}"),
            source: (number == 2).then(|| "feedback".to_owned()),
            created_at: at(number),
            decided: None,
        };
        proposal_insert(&mut tx, &proposal).await.unwrap();
        proposals.push(proposal);
    }
    assert_eq!(
        proposal_list_of_issue(&mut tx, issue.id).await.unwrap(),
        proposals
    );
    assert_eq!(proposal_list_of_run(&mut tx, run).await.unwrap(), proposals);
    let first = proposals[0].id;
    for (taken, is_new) in [
        (Taken::Dismissed, true),
        (Taken::Dismissed, false),
        (Taken::Accepted, true),
        (Taken::Accepted, false),
        (Taken::Dismissed, false),
    ] {
        let decided = proposal_decide(&mut tx, first, taken, &Actor::System, at(9)).await;
        assert_eq!(decided.unwrap(), is_new, "{taken:?}");
    }
    let kept = proposal_get(&mut tx, first).await.unwrap().unwrap();
    assert_eq!(kept.decided, Some((Taken::Accepted, Actor::System, at(9))));
    assert_eq!(kept.body, proposals[0].body);
    split_insert(&mut tx, child.id, issue.id, run)
        .await
        .unwrap();
    assert_eq!(
        split_parent(&mut tx, child.id).await.unwrap(),
        Some(issue.number)
    );
    assert_eq!(split_parent(&mut tx, issue.id).await.unwrap(), None);
    assert_eq!(
        split_children(&mut tx, issue.id).await.unwrap(),
        [child.number]
    );
    let twice = split_insert(&mut tx, child.id, issue.id, run).await;
    assert!(twice.is_err(), "an issue is split off once");
}

pub(crate) async fn hosts_that_are_open_are_found_until_somebody_decides(w: World) {
    let (project, user, issue) = w.one_issue().await;
    let other = w.issue(&project, &user, 2).await;
    let mut tx = w.db.write().await.unwrap();
    let mut asked: Vec<Asked> = (1..=2)
        .map(|number| Asked {
            issue: issue.id,
            host: format!("h{number}.example.com").parse().unwrap(),
            need: Need::Author,
            run: None,
            why: (number == 2).then(|| "for the build".to_owned()),
            at: at(number),
            decided: None,
        })
        .collect();
    for one in &asked {
        host_ask_set(&mut tx, one).await.unwrap();
    }
    assert_eq!(host_ask_list(&mut tx, issue.id).await.unwrap(), asked);
    let both = [issue.id, other.id];
    let open = host_ask_list_open(&mut tx, &both).await.unwrap();
    assert_eq!(
        host_ask_issues_open(&mut tx).await.unwrap(),
        [(project.id, issue.id)]
    );
    let mut ended = issue_get(&mut tx, issue.id).await.unwrap().unwrap();
    let phase = ended.state.phase.clone();
    ended.state.phase = nightshift_domain::issue::Phase::Closed {
        reason: String::new(),
    };
    issue_save(&mut tx, &ended, at(3)).await.unwrap();
    assert_eq!(host_ask_issues_open(&mut tx).await.unwrap(), []);
    ended.version += 1;
    ended.state.phase = phase;
    issue_save(&mut tx, &ended, at(3)).await.unwrap();
    let named = |number: i64| (issue.id, format!("h{number}.example.com"), Need::Author);
    assert_eq!(open, [named(1), named(2)]);
    for (one, decision) in asked.iter_mut().zip([Decision::Issue, Decision::Denied]) {
        one.decided = Some(Decided {
            decision,
            by: Actor::System,
            at: at(9),
        });
        host_ask_set(&mut tx, one).await.unwrap();
    }
    assert_eq!(host_ask_list(&mut tx, issue.id).await.unwrap(), asked);
    assert_eq!(host_ask_list_open(&mut tx, &both).await.unwrap(), []);
    assert_eq!(host_ask_issues_open(&mut tx).await.unwrap(), []);
    // Asked again, it is open again.
    asked[0].decided = None;
    host_ask_set(&mut tx, &asked[0]).await.unwrap();
    let open = host_ask_list_open(&mut tx, &both).await.unwrap();
    assert_eq!(open, [named(1)]);
    // What a proof misses is a question of its own, which nothing for one issue answers.
    let mut proof = Asked {
        need: Need::Proof,
        at: at(10),
        ..asked[0].clone()
    };
    host_ask_set(&mut tx, &proof).await.unwrap();
    let open = host_ask_list_open(&mut tx, &both).await.unwrap();
    let host = asked[0].host.to_string();
    assert_eq!(open, [named(1), (issue.id, host, Need::Proof)]);
    host_ask_forget(&mut tx, issue.id, Need::Proof)
        .await
        .unwrap();
    let open = host_ask_list_open(&mut tx, &both).await.unwrap();
    assert_eq!(open, [named(1)]);
    host_ask_forget(&mut tx, issue.id, Need::Author)
        .await
        .unwrap();
    assert_eq!(host_ask_list(&mut tx, issue.id).await.unwrap(), asked[1..]);
    proof.decided = Some(Decided {
        decision: Decision::Issue,
        by: Actor::System,
        at: at(11),
    });
    host_ask_set(&mut tx, &proof)
        .await
        .expect_err("for an issue, and for a proof");
}
