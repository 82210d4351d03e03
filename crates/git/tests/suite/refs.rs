//! Compare-and-swap of refs.

use nightshift_git::{GitError, Ref};

use crate::world::{World, update};

#[tokio::test]
async fn a_ref_moves_only_from_the_value_named() {
    let world = World::new().await;
    let one = world.commit(&[], &[("a", "1")]).await;
    let two = world
        .commit(std::slice::from_ref(&one), &[("a", "2")])
        .await;
    let name = "refs/heads/nightshift/1";
    let create = update(name, None, Some(&one));
    world
        .repo
        .update_refs(std::slice::from_ref(&create), "made")
        .await
        .expect("created");
    let again = world.repo.update_refs(&[create], "made").await;
    let Err(GitError::RefMoved(moved)) = again else {
        panic!("{again:?}")
    };
    assert_eq!((moved.expected, moved.found), (None, Some(one.clone())));
    let stale = world
        .repo
        .update_refs(&[update(name, Some(&two), Some(&one))], "x")
        .await;
    assert!(matches!(stale, Err(GitError::RefMoved(_))), "{stale:?}");
    world
        .repo
        .update_refs(&[update(name, Some(&one), Some(&two))], "moved")
        .await
        .expect("moved");
    assert_eq!(world.tip(name).await, Some(two.clone()));
    let wrong = world
        .repo
        .update_refs(&[update(name, Some(&one), None)], "gone")
        .await;
    assert!(matches!(wrong, Err(GitError::RefMoved(_))), "{wrong:?}");
    world
        .repo
        .update_refs(&[update(name, Some(&two), None)], "gone")
        .await
        .expect("deleted");
    assert_eq!(world.tip(name).await, None);
    let absent = world
        .repo
        .update_refs(&[update(name, Some(&two), Some(&one))], "x")
        .await;
    let Err(GitError::RefMoved(moved)) = absent else {
        panic!("{absent:?}")
    };
    assert_eq!(moved.found, None);
    world.assert_sound().await;
}

#[tokio::test]
async fn many_refs_move_together_or_not_at_all() {
    let world = World::new().await;
    let one = world.commit(&[], &[("a", "1")]).await;
    world.branch("taken", &one).await;
    let good = update("refs/heads/new", None, Some(&one));
    let bad = update("refs/heads/taken", None, Some(&one));
    let both = world.repo.update_refs(&[good.clone(), bad], "x").await;
    assert!(matches!(both, Err(GitError::RefMoved(_))), "{both:?}");
    assert_eq!(world.tip("refs/heads/new").await, None);
    let twice = world.repo.update_refs(&[good.clone(), good], "x").await;
    assert!(
        matches!(twice, Err(GitError::RefBlocked { .. })),
        "{twice:?}"
    );
}

#[tokio::test]
async fn a_ref_in_the_way_is_named() {
    let world = World::new().await;
    let one = world.commit(&[], &[("a", "1")]).await;
    world.branch("billing", &one).await;
    let below = update("refs/heads/billing/x", None, Some(&one));
    let blocked = world
        .repo
        .update_refs(std::slice::from_ref(&below), "x")
        .await;
    let Err(GitError::RefBlocked { name, .. }) = blocked else {
        panic!("{blocked:?}")
    };
    assert_eq!(name, below.name);
    world.assert_sound().await;
}

#[tokio::test]
async fn names_that_a_shell_would_run_are_only_names() {
    let world = World::new().await;
    let one = world.commit(&[], &[("a", "1")]).await;
    for name in [
        "refs/heads/a;b",
        "refs/heads/$(id)",
        "refs/heads/größe",
        "refs/heads/x/-y",
    ] {
        let update = update(name, None, Some(&one));
        world
            .repo
            .update_refs(&[update], "--exec=x\nrefs/heads/y")
            .await
            .expect(name);
        assert_eq!(world.tip(name).await, Some(one.clone()));
    }
    let refs = world.repo.list_refs("refs/heads/").await.expect("refs");
    assert_eq!(refs.len(), 4);
    let found = Ref {
        name: "refs/heads/$(id)".parse().expect("a ref"),
        target: one,
    };
    assert!(refs.contains(&found));
}

#[tokio::test]
async fn of_many_writers_from_one_value_one_wins() {
    let world = World::new().await;
    let base = world.commit(&[], &[("a", "0")]).await;
    world.branch("main", &base).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let text = number.to_string();
        let new = world
            .commit(std::slice::from_ref(&base), &[("a", &text)])
            .await;
        let repo = world.repo.clone();
        let update = update("refs/heads/main", Some(&base), Some(&new));
        tasks.spawn(async move { (new, repo.update_refs(&[update], "race").await) });
    }
    let mut winners = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done.expect("no panic") {
            (new, Ok(())) => winners.push(new),
            (_, Err(GitError::RefMoved(_))) => {}
            (_, Err(other)) => panic!("{other:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(world.tip("refs/heads/main").await, winners.pop());
    let log = world.repo.path().join("logs/refs/heads/main");
    let log = std::fs::read_to_string(log).expect("a reflog");
    assert_eq!(log.lines().count(), 2, "one line per move: {log}");
    world.assert_sound().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_lock_and_no_half() {
    let world = World::new().await;
    let one = world.commit(&[], &[("a", "1")]).await;
    let updates: Vec<_> = (0..20)
        .map(|number| update(&format!("refs/heads/x/{number}"), None, Some(&one)))
        .collect();
    let mut gone = 0;
    for wait in (0..12).map(|doubled| 1 << doubled) {
        let work = world.repo.update_refs(&updates, "x");
        let wait = std::time::Duration::from_millis(wait);
        if tokio::time::timeout(wait, work).await.is_ok() {
            break;
        }
        gone += 1;
        // What it had begun to write it still writes to the end; what it had locked it lets go.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let count = world
                .repo
                .list_refs("refs/heads/")
                .await
                .expect("refs")
                .len();
            let dir = std::fs::read_dir(world.repo.path().join("refs/heads/x"));
            let names = dir
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.file_name());
            let locked = names
                .filter(|name| name.to_string_lossy().ends_with(".lock"))
                .count();
            if locked == 0 && matches!(count, 0 | 20) {
                break;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "{count} refs, locked: {locked}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        if world.tip("refs/heads/x/0").await.is_some() {
            break;
        }
    }
    assert!(gone > 0, "it was never interrupted");
    world.assert_sound().await;
}
