//! Many pushes to one ref at once.

use nightshift_domain::git_name::ObjectId;
use nightshift_git::Repository;

use crate::world::{Below, World, commit, pack, push_body, receive};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_pushes_at_once_one_wins_and_the_rest_leave_nothing() {
    let world = World::new().await;
    let main = "main".parse().expect("a branch");
    let source = Repository::init_bare(&world.git, &world.path("source.git"), &main)
        .await
        .expect("made");
    let base = commit(&source, &[], &[("a", "0")]).await;
    let zero = ObjectId::zero();
    let body = push_body(
        &[("refs/heads/main", &zero, &base)],
        &pack(source.path(), &base, &[], &[]),
    );
    assert_eq!(
        receive(&world.repo, body, Below::CAREFUL)
            .await
            .updates
            .len(),
        1
    );
    let before = world.object_files().len();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        // Every tenth pushes the very same commit as its neighbour: the same pack.
        let text = (number - number % 10 / 9).to_string();
        let new = commit(&source, std::slice::from_ref(&base), &[("a", &text)]).await;
        let pack = pack(source.path(), &new, &[&base], &[]);
        let body = push_body(&[("refs/heads/main", &base, &new)], &pack);
        let repo = world.repo.clone();
        tasks.spawn(async move { (new, receive(&repo, body, Below::CAREFUL).await) });
    }
    let mut winners = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (new, received) = done.expect("no panic");
        if received.updates.is_empty() {
            let (_, reason) = &received.refused[0];
            assert!(reason.contains("fetch first"), "{reason}");
        } else {
            winners.push(new);
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(world.tip("refs/heads/main").await, winners.pop());
    let log = world.repo.path().join("logs/refs/heads/main");
    let log = std::fs::read_to_string(log).expect("a reflog");
    assert_eq!(log.lines().count(), 2, "one line per move");
    // A pack is two files or, since git 2.41, three.
    assert_eq!(
        world.object_files().len(),
        before + before,
        "the losers leave no object"
    );
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_to_different_refs_all_come_through_while_upkeep_runs() {
    let world = World::new().await;
    let main = "main".parse().expect("a branch");
    let source = Repository::init_bare(&world.git, &world.path("source.git"), &main)
        .await
        .expect("made");
    let zero = ObjectId::zero();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..30 {
        let text = number.to_string();
        let new = commit(&source, &[], &[("a", &text)]).await;
        let name = format!("refs/attempts/x/{number}");
        let body = push_body(
            &[(&name, &zero, &new)],
            &pack(source.path(), &new, &[], &[]),
        );
        let repo = world.repo.clone();
        tasks.spawn(async move { receive(&repo, body, Below::CAREFUL).await.updates.len() });
        if number % 10 == 5 {
            let now = std::time::SystemTime::now();
            world
                .repo
                .upkeep(nightshift_git::Upkeep::Quick, now)
                .await
                .expect("upkeep");
        }
    }
    let moved: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(moved, 30);
    assert_eq!(
        world
            .repo
            .list_refs("refs/attempts/")
            .await
            .expect("refs")
            .len(),
        30
    );
    world.assert_sound().await;
}
