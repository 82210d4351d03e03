//! Jobs of projects that name an image, and claims that can have none.

use nightshift_domain::config::Config;
use nightshift_domain::id::JobId;
use nightshift_domain::job::{Event, Kind, Phase};
use nightshift_domain::route::Runner as Able;
use nightshift_store::*;

use crate::world::{World, at};

/// A runner without images.
const BARE: Able = Able {
    kinds: None,
    harnesses: None,
    images: false,
    draining: false,
};

fn contained() -> Able {
    Able {
        images: true,
        ..BARE
    }
}

/// The settings of a project that names an image.
fn with_image() -> Config {
    let text = "[environment]\nimage = \"team/base:1\"\n";
    Config::parse(text).expect("a file")
}

async fn configure(w: &World, project: &Project, config: &Config) {
    let mut tx = w.db.write().await.unwrap();
    project_set_config(&mut tx, project.id, config, None, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// What each of the claims that follow takes, by the place in `put`, until there is nothing.
async fn taken(w: &World, put: &[JobId], runner: &Runner, has: &Able) -> Vec<usize> {
    let mut order = Vec::new();
    loop {
        let mut tx = w.db.write().await.unwrap();
        let urgent = job_claim_urgent(&mut tx, has, at(100)).await.unwrap();
        let next = match urgent {
            None => job_claim_next(&mut tx, Kind::ALL, has, at(100))
                .await
                .unwrap(),
            some => some,
        };
        let Some(job) = next else {
            tx.commit().await.unwrap();
            return order;
        };
        order.push(put.iter().position(|id| *id == job.id).unwrap());
        w.claim_in(&mut tx, job, runner.id, at(100)).await;
        tx.commit().await.unwrap();
    }
}

/// Two jobs of a project with an image and two of one without in turn, and a tryout of each.
async fn mixed(w: &World) -> (Project, Vec<JobId>) {
    let (_, user, plain) = w.one_issue().await;
    let project = w.project("contained").await;
    configure(w, &project, &with_image()).await;
    let contained = w.issue(&project, &user, 1).await;
    let mut put = Vec::new();
    for (created, issue, kind) in [
        (1, &contained, Kind::Author),
        (2, &plain, Kind::Author),
        (3, &contained, Kind::Verify),
        (4, &plain, Kind::Trial),
        (5, &contained, Kind::Tryout),
        (6, &plain, Kind::Tryout),
    ] {
        let mut job = w.order(issue, created);
        job.kind = kind;
        w.queue(&job).await;
        put.push(job.id);
    }
    (project, put)
}

pub(crate) async fn what_needs_an_image_is_passed_over_without_one(w: World) {
    let runner = w.runner("r").await;
    let (_, put) = mixed(&w).await;
    // Whoever has images takes all in one order, noted or not.
    let mut tx = w.db.write().await.unwrap();
    let first = job_claim_next(&mut tx, Kind::ALL, &contained(), at(100))
        .await
        .unwrap();
    assert_eq!(first.unwrap().id, put[0]);
    drop(tx);
    assert_eq!(taken(&w, &put, &runner, &BARE).await, [5, 1, 3]);
    let (_, _, plain) = {
        let user = w.user("bob").await;
        let project = w.project("q").await;
        let issue = w.issue(&project, &user, 1).await;
        (project, user, issue)
    };
    let between = w.order(&plain, 2);
    w.queue(&between).await;
    let put = [put, vec![between.id]].concat();
    assert_eq!(taken(&w, &put, &runner, &contained()).await, [4, 0, 6, 2]);
}

pub(crate) async fn settings_that_change_are_followed(w: World) {
    let runner = w.runner("r").await;
    let (project, put) = mixed(&w).await;
    // Noted by a claim, then without an image.
    assert_eq!(taken(&w, &put, &runner, &BARE).await, [5, 1, 3]);
    configure(&w, &project, &Config::default()).await;
    assert_eq!(taken(&w, &put, &runner, &BARE).await, [4, 0, 2]);
    // Queued without one, then with one, then without it while nobody looked.
    let user = w.user("bob").await;
    let issue = w.issue(&project, &user, 2).await;
    let job = w.order(&issue, 7);
    w.queue(&job).await;
    let put = [job.id];
    configure(&w, &project, &with_image()).await;
    assert_eq!(taken(&w, &put, &runner, &BARE).await, [0; 0]);
    configure(&w, &project, &with_image()).await;
    assert_eq!(taken(&w, &put, &runner, &BARE).await, [0; 0]);
    configure(&w, &project, &Config::default()).await;
    let mut tx = w.db.write().await.unwrap();
    let found = job_claim_next(&mut tx, Kind::ALL, &BARE, at(100))
        .await
        .unwrap();
    assert_eq!(found.unwrap().id, job.id);
    drop(tx);
    // A claimed one that comes back is looked at anew.
    configure(&w, &project, &with_image()).await;
    assert_eq!(taken(&w, &put, &runner, &BARE).await, [0; 0]);
    let mut tx = w.db.write().await.unwrap();
    let found = job_claim_next(&mut tx, Kind::ALL, &contained(), at(100))
        .await
        .unwrap();
    let (mut back, _) = w
        .claim_in(&mut tx, found.unwrap(), runner.id, at(100))
        .await;
    tx.commit().await.unwrap();
    configure(&w, &project, &Config::default()).await;
    let mut tx = w.db.write().await.unwrap();
    back.state = back.state.apply(Event::Expire, at(9_000)).unwrap();
    back.state.phase = Phase::Queued {
        not_before: None,
        after: None,
    };
    job_save(&mut tx, &back, at(9_000)).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = w.db.write().await.unwrap();
    let found = job_claim_next(&mut tx, Kind::ALL, &BARE, at(9_000))
        .await
        .unwrap();
    assert_eq!(found.unwrap().id, job.id);
}

/// After the first claim that came upon them, a claim reads none of them; counted in rows, since
/// time is the machine's.
pub(crate) async fn many_that_need_an_image_cost_a_claim_nothing(w: World) {
    const MANY: i64 = 2_500;
    let (_, user, plain) = w.one_issue().await;
    let project = w.project("contained").await;
    configure(&w, &project, &with_image()).await;
    let contained = w.issue(&project, &user, 1).await;
    let mut tx = w.db.write().await.unwrap();
    for created in 0..MANY {
        let mut job = w.order(&contained, created);
        if created % 2 == 0 {
            job.kind = Kind::Tryout;
        }
        job_insert(&mut tx, &job).await.unwrap();
    }
    tx.commit().await.unwrap();
    let last = w.order(&plain, MANY);
    w.queue(&last).await;
    let mut tx = w.db.write().await.unwrap();
    let none = job_claim_urgent(&mut tx, &BARE, at(9_000)).await.unwrap();
    assert_eq!(none, None);
    let found = job_claim_next(&mut tx, Kind::ALL, &BARE, at(9_000))
        .await
        .unwrap();
    assert_eq!(found.unwrap().id, last.id);
    tx.commit().await.unwrap();
    w.raw("CREATE TABLE counted (one BIGINT CHECK (one = 1))")
        .await
        .unwrap();
    let unnoted =
        "INSERT INTO counted SELECT COUNT(*) FROM jobs WHERE phase = 'queued' AND image = 0";
    w.raw(unnoted).await.unwrap();
}
