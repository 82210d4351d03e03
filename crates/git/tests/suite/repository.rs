//! Making, opening, sweeping and keeping a repository.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use nightshift_git::{Git, GitError, Limits, Repository, Settings, Upkeep};

use crate::world::{World, git_with};

#[tokio::test]
async fn a_new_repository_is_bare_empty_and_has_no_hooks() {
    let world = World::new().await;
    let main = world.repo.default_branch().await.expect("HEAD");
    assert_eq!(main.as_str(), "main");
    assert!(!world.repo.path().join("hooks").exists());
    assert!(
        world
            .repo
            .list_refs("refs/")
            .await
            .expect("refs")
            .is_empty()
    );
    world
        .git
        .check_version()
        .await
        .expect("a version that is new enough");
    world.assert_sound().await;
}

#[tokio::test]
async fn a_place_that_is_taken_or_empty_is_told_apart() {
    let world = World::new().await;
    let main = "main".parse().expect("a branch");
    let taken = Repository::init_bare(&world.git, world.repo.path(), &main).await;
    assert!(matches!(taken, Err(GitError::Exists(_))), "{taken:?}");
    let missing = Repository::open(&world.git, &world.path("none.git"));
    assert!(
        matches!(missing, Err(GitError::NoRepository(_))),
        "{missing:?}"
    );
    let names: Vec<_> = std::fs::read_dir(world.dir.path())
        .expect("a directory")
        .collect();
    assert_eq!(names.len(), 1, "nothing is left beside it: {names:?}");
}

#[tokio::test]
async fn upkeep_keeps_what_refs_reach() {
    let world = World::new().await;
    let first = world.commit(&[], &[("a", "1")]).await;
    let second = world
        .commit(std::slice::from_ref(&first), &[("a", "2")])
        .await;
    world.branch("main", &second).await;
    let now = SystemTime::now();
    world.repo.upkeep(Upkeep::Quick, now).await.expect("quick");
    world.repo.upkeep(Upkeep::Full, now).await.expect("full");
    world
        .repo
        .upkeep(Upkeep::Quick, now)
        .await
        .expect("quick again");
    let commits = world
        .repo
        .commits_between(None, &second, 10)
        .await
        .expect("history");
    assert_eq!(commits.len(), 2);
    assert_eq!(world.tip("refs/heads/main").await, Some(second));
    assert!(world.repo.size_on_disk().await.expect("a size") > 500);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_sweep_takes_what_a_crash_left_and_nothing_else() {
    let world = World::new().await;
    let tip = world.commit(&[], &[("a", "1")]).await;
    world.branch("main", &tip).await;
    let root = world.repo.path().to_owned();
    let lock = root.join("refs/heads/main.lock");
    let incoming = root.join("objects/tmp_objdir-incoming-x");
    let keep = root.join("objects/pack/pack-1.keep");
    let foreign = root.join("objects/pack/pack-2.keep");
    std::fs::write(&lock, "").expect("a lock");
    std::fs::create_dir_all(incoming.join("pack")).expect("a quarantine");
    std::fs::create_dir_all(root.join("objects/pack")).expect("a directory");
    std::fs::write(&keep, "nightshift push\n").expect("a guard");
    std::fs::write(&foreign, "kept by a person\n").expect("another guard");
    let now = SystemTime::now();
    assert_eq!(
        world.repo.sweep(now).await.expect("a sweep"),
        0,
        "what is fresh may be in use"
    );
    let later = now + Duration::from_secs(2 * 60 * 60);
    assert_eq!(world.repo.sweep(later).await.expect("a sweep"), 3);
    assert!(!lock.exists() && !incoming.exists() && !keep.exists() && foreign.exists());
    assert_eq!(world.tip("refs/heads/main").await, Some(tip));
}

#[tokio::test]
async fn time_and_output_are_bounded() {
    let world = World::new().await;
    let tip = world.commit(&[], &[("a", "some text")]).await;
    let tight = git_with(Limits {
        output: 10,
        ..Limits::default()
    });
    let repo = Repository::open(&tight, world.repo.path()).expect("open");
    let cut = repo.commit(&tip).await;
    assert!(matches!(cut, Err(GitError::TooLarge { .. })), "{cut:?}");
}

#[tokio::test]
async fn a_program_over_its_time_is_ended_with_its_children() {
    let world = World::new().await;
    let pids = world.path("pids");
    let program = world.path("slow-git");
    let script = format!(
        "#!/bin/sh\nsleep 600 &\necho $! > '{0}.new'\nmv '{0}.new' '{0}'\nwait\n",
        pids.display()
    );
    std::fs::write(&program, script).expect("a script");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let slow = Git::new(Settings {
        program,
        path: std::env::var_os("PATH").expect("PATH"),
        proxy: None,
        ca_file: None,
        limits: Limits {
            command: Duration::from_secs(1),
            ..Limits::default()
        },
    });
    let late = slow.check_version().await;
    assert!(matches!(late, Err(GitError::TimedOut { .. })), "{late:?}");
    let child = std::fs::read_to_string(&pids).expect("it had started");
    let proc = PathBuf::from("/proc").join(child.trim()).join("stat");
    let deadline = Instant::now() + Duration::from_secs(10);
    // Gone, or dead and not yet collected by whoever adopted it.
    while std::fs::read_to_string(&proc).is_ok_and(|stat| !stat.contains(") Z")) {
        assert!(
            Instant::now() < deadline,
            "the child of the program lives on"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
