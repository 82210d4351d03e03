//! What one engine forgives the other punishes: many at once.

use std::collections::BTreeMap;

use nightshift_domain::job::{Event as JobEvent, Kind, Outcome};
use nightshift_domain::route::Runner as Able;
use nightshift_store::*;
use tokio::task::JoinSet;

use crate::world::{World, at};

pub(crate) async fn numbers_have_no_gap_and_no_double(w: World) {
    let project = w.project("p").await;
    let mut tasks = JoinSet::new();
    for place in 0..250 {
        let db = w.db.clone();
        tasks.spawn(async move {
            let mut tx = db.write().await.unwrap();
            let number = project_next_number(&mut tx, project.id).await.unwrap();
            if place % 5 == 4 {
                return None;
            }
            tx.commit().await.unwrap();
            Some(number)
        });
    }
    let mut taken: Vec<i64> = tasks.join_all().await.into_iter().flatten().collect();
    taken.sort_unstable();
    assert_eq!(taken, (1..=200).collect::<Vec<_>>());
}

pub(crate) async fn no_job_runs_twice(w: World) {
    const JOBS: i64 = 500;
    let (_, _, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let mut tx = w.db.write().await.unwrap();
    for created in 0..JOBS {
        job_insert(&mut tx, &w.order(&issue, created))
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let w = w.clone();
        let runner = runner.id;
        workers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let mut tx = w.db.write().await.unwrap();
                let next = job_claim_next(&mut tx, &[Kind::Author], &Able::default(), at(1000))
                    .await
                    .unwrap();
                let Some(job) = next else { return done };
                let (job, mut run) = w.claim_in(&mut tx, job, runner, at(1000)).await;
                tx.commit().await.unwrap();

                let mut tx = w.db.write().await.unwrap();
                let mut job = job_lock(&mut tx, job.id).await.unwrap().unwrap();
                let finish = JobEvent::Finish {
                    epoch: run.epoch,
                    outcome: Outcome::Succeeded,
                };
                job.state = job.state.apply(finish, at(1001)).unwrap();
                job_save(&mut tx, &job, at(1001)).await.unwrap();
                run.state = RunState::Succeeded;
                run.ended_at = Some(at(1001));
                run_save(&mut tx, &run).await.unwrap();
                tx.commit().await.unwrap();
                done.push((job.id, job.state.epoch));
            }
        });
    }
    let mut epochs: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for (id, epoch) in workers.join_all().await.into_iter().flatten() {
        epochs.entry(id).or_default().push(epoch);
    }
    let twice: Vec<_> = epochs
        .iter()
        .filter(|(_, epochs)| **epochs != [1])
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
    let mut tx = w.db.read().await.unwrap();
    let counts = job_count_by_phase(&mut tx).await.unwrap();
    assert_eq!(counts, [("succeeded".to_owned(), JOBS)]);
    assert_eq!(
        run_list(&mut tx, None, None, None, 1000)
            .await
            .unwrap()
            .len(),
        epochs.len()
    );
}

pub(crate) async fn one_of_many_saves_wins(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let mut tasks = JoinSet::new();
    for place in 0..20 {
        let (db, mut issue) = (w.db.clone(), issue.clone());
        tasks.spawn(async move {
            let mut tx = db.write().await.unwrap();
            issue.title = format!("by {place}");
            match issue_save(&mut tx, &issue, at(place)).await {
                Ok(()) => {
                    tx.commit().await.unwrap();
                    Some(issue.title)
                }
                Err(Error::Stale { .. }) => None,
                Err(other) => panic!("{other:?}"),
            }
        });
    }
    let won: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
    let mut tx = w.db.read().await.unwrap();
    let read = issue_get(&mut tx, issue.id).await.unwrap().unwrap();
    assert_eq!((won, read.version), (vec![read.title], 2));
}

pub(crate) async fn events_are_gapless_and_in_order(w: World) {
    const WRITERS: i64 = 50;
    const EACH: i64 = 4;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let w = w.clone();
        writers.spawn(async move {
            for place in 0..EACH {
                let mut tx = w.db.write().await.unwrap();
                event_append(&mut tx, &w.happened("a", None), at(1))
                    .await
                    .unwrap();
                // Some are given up after the append.
                if (writer + place) % 7 != 0 {
                    tx.commit().await.unwrap();
                }
            }
        });
    }
    let kept = (0..WRITERS)
        .flat_map(|writer| (0..EACH).map(move |place| writer + place))
        .filter(|sum| sum % 7 != 0)
        .count();
    let kept = i64::try_from(kept).unwrap();
    // A follower never sees a number before all the smaller ones.
    let mut last = 0;
    loop {
        while let Some(ended) = writers.try_join_next() {
            ended.unwrap();
        }
        let all_written = writers.is_empty();
        let mut tx = w.db.read().await.unwrap();
        let page = event_list(&mut tx, last, None, None, 10).await.unwrap();
        if page.is_empty() && all_written {
            break;
        }
        for event in page {
            assert_eq!(event.seq, last + 1, "a gap");
            last = event.seq;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(last, kept);
    let mut tx = w.db.read().await.unwrap();
    assert_eq!(event_verify_chain(&mut tx).await.unwrap(), kept);
}

pub(crate) async fn one_of_many_answers_is_kept(w: World) {
    let mut tasks = JoinSet::new();
    for status in 0..20 {
        let db = w.db.clone();
        tasks.spawn(async move {
            let kept = Kept {
                request_hash: [1; 32],
                status,
                body: Vec::new(),
            };
            let mut tx = db.write().await.unwrap();
            let is_mine = idempotency_insert(&mut tx, "h", "k", &kept, at(1))
                .await
                .unwrap();
            let there = idempotency_get(&mut tx, "h", "k").await.unwrap().unwrap();
            tx.commit().await.unwrap();
            (is_mine, status, there.status)
        });
    }
    let ended = tasks.join_all().await;
    let mine: Vec<i64> = ended.iter().filter(|end| end.0).map(|end| end.1).collect();
    assert_eq!(mine.len(), 1, "{ended:?}");
    assert!(
        ended.iter().all(|(.., there)| *there == mine[0]),
        "{ended:?}"
    );
}
