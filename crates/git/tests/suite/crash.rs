//! A server that is killed in the middle of a push.
//!
//! The push runs in a process of its own: this test binary, started again with one test chosen.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use nightshift_domain::git_name::ObjectId;
use nightshift_git::{Limits, Repository};

use crate::world::{Below, World, commit, git_with, pack, push_body, receive};

/// Names the directory in which the process to be killed finds its repository and its request.
const PLACE: &str = "NIGHTSHIFT_TEST_CRASH";

#[tokio::test]
async fn the_push_that_is_killed() {
    // Without the variable it is one of many tests and has nothing to do.
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else {
        return;
    };
    let git = git_with(Limits::default());
    let repo = Repository::open(&git, &place.join("server.git")).expect("open");
    let body = std::fs::read(place.join("body")).expect("a request");
    std::fs::write(place.join("started"), "").expect("a mark");
    receive(&repo, body, Below::ANY).await;
}

fn start(place: &Path) -> std::process::Child {
    let program = std::env::current_exe().expect("this binary");
    let child = Command::new(program)
        .args(["--exact", "crash::the_push_that_is_killed"])
        .env(PLACE, place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.expect("a second process")
}

#[tokio::test]
async fn a_killed_server_leaves_each_ref_old_or_new_and_every_object_sound() {
    let world = World::new().await;
    let main = "main".parse().expect("a branch");
    let source = Repository::init_bare(&world.git, &world.path("source.git"), &main).await;
    let source = source.expect("a repository");
    let (started, body) = (world.path("started"), world.path("body"));
    let mut parent: Option<ObjectId> = None;
    let (mut kept, mut moved) = (0, 0);
    // The push takes some 30 ms; the kill comes a little later each time, until one is too late.
    for round in 0_u32.. {
        let delay = match round.checked_sub(24) {
            None => round * 3,
            Some(_) if moved > 0 => break,
            Some(more) => 100 << more,
        };
        let text = round.to_string();
        let new = commit(&source, parent.as_slice(), &[("a", &text)]).await;
        let old = parent.clone().unwrap_or_else(ObjectId::zero);
        let exclude: Vec<&ObjectId> = parent.iter().collect();
        let names = ["refs/heads/a", "refs/heads/b"];
        let commands = names.map(|name| (name, &old, &new));
        let pack = pack(source.path(), &new, &exclude, &[]);
        std::fs::write(&body, push_body(&commands, &pack)).expect("a request");
        let mut child = start(world.dir.path());
        let deadline = Instant::now() + Duration::from_secs(20);
        while !started.exists() {
            assert!(Instant::now() < deadline, "it did not start");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(delay.into())).await;
        child.kill().expect("killed");
        child.wait().expect("gone");
        std::fs::remove_file(&started).expect("the mark");
        settle(&world, deadline).await;
        let tips = [world.tip(names[0]).await, world.tip(names[1]).await];
        assert_eq!(
            tips[0], tips[1],
            "round {round}: one ref moved without the other"
        );
        if tips[0].as_ref() == Some(&new) {
            moved += 1;
            parent = Some(new);
        } else {
            assert_eq!(tips[0], parent, "round {round}");
            kept += 1;
        }
        assert_eq!(
            world.repo.fsck().await.expect("fsck"),
            Vec::<String>::new(),
            "round {round}"
        );
    }
    assert!(kept > 0, "every kill came too late");
    let later = SystemTime::now() + Duration::from_secs(2 * 60 * 60);
    world.repo.sweep(later).await.expect("a sweep");
    world.assert_sound().await;
}

/// Waits until the git programs of the killed server have noticed and let go of their locks.
async fn settle(world: &World, deadline: Instant) {
    loop {
        let held = ["a", "b"].map(|name| {
            let lock = format!("refs/heads/{name}.lock");
            world.repo.path().join(lock).exists()
        });
        if held == [false, false] {
            return;
        }
        assert!(Instant::now() < deadline, "a lock is held for ever");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
