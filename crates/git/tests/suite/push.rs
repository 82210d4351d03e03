//! Pushes as bytes: what the protocol allows and what it must not.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use nightshift_domain::git_name::ObjectId;
use nightshift_git::{Git, GitError, Limits, Repository, Settings};
use tokio::io::AsyncReadExt as _;

use crate::world::{Below, World, commit, pack, push_body, receive};

/// A second repository from which packs are made.
async fn source(world: &World) -> Repository {
    let main = "main".parse().expect("a branch");
    Repository::init_bare(&world.git, &world.path("source.git"), &main)
        .await
        .expect("a repository")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn names_that_are_none_of_ours_are_refused_with_the_whole_push() {
    let world = World::new().await;
    let source = source(&world).await;
    let tip = commit(&source, &[], &[("a", "1")]).await;
    let pack = pack(source.path(), &tip, &[], &[]);
    let zero = ObjectId::zero();
    let long = format!("refs/heads/{}", "x".repeat(300));
    for bad in [
        "--exec=touch /tmp/x",
        "-x",
        "a\u{3000}b",
        "refs/heads/a b",
        "refs/heads/../x",
        "HEAD",
        "refs/heads/x.lock",
        "refs/heads/-x",
        "refs/heads/a..b",
        "refs/heads/.a",
        "refs/heads/a//b",
        "main",
        "refs/heads/@{1}",
        "refs/heads/a~1",
        "refs/heads/\u{7f}x",
        "config",
        "refs/../config",
        long.as_str(),
        "refs/heads/a\u{3000}b",
    ] {
        let body = push_body(
            &[("refs/heads/good", &zero, &tip), (bad, &zero, &tip)],
            &pack,
        );
        let request = world
            .repo
            .receive_pack(std::io::Cursor::new(body), &Below::ANY, "x", &|_| {})
            .await;
        match request {
            Ok(received) => {
                assert!(received.updates.is_empty(), "{bad:?} was accepted");
                assert_eq!(received.refused.len(), 2);
                assert!(
                    text(&received.response).contains("ng refs/heads/good "),
                    "{bad:?}"
                );
            }
            Err(GitError::BadRequest(_)) => {}
            Err(other) => panic!("{bad:?}: {other:?}"),
        }
        assert!(
            world
                .repo
                .list_refs("refs/")
                .await
                .expect("refs")
                .is_empty(),
            "{bad:?}"
        );
        assert!(world.object_files().is_empty(), "{bad:?} left objects");
    }
    world.assert_sound().await;
}

#[tokio::test]
async fn a_push_that_is_refused_late_leaves_nothing() {
    let world = World::new().await;
    let source = source(&world).await;
    let one = commit(&source, &[], &[("a", "1")]).await;
    let two = commit(&source, &[], &[("a", "2")]).await;
    let zero = ObjectId::zero();
    let first = push_body(
        &[("refs/heads/main", &zero, &one)],
        &pack(source.path(), &one, &[], &[]),
    );
    assert_eq!(
        receive(&world.repo, first, Below::CAREFUL)
            .await
            .updates
            .len(),
        1
    );
    let files = world.object_files();
    let both = pack(source.path(), &two, &[], &[]);
    for commands in [
        // Forced, beside a good one.
        vec![
            ("refs/heads/good", &zero, &two),
            ("refs/heads/main", &one, &two),
        ],
        // Deleted, beside a good one.
        vec![
            ("refs/heads/good", &zero, &two),
            ("refs/heads/good2", &one, &zero),
        ],
        // Stale.
        vec![
            ("refs/heads/good", &zero, &two),
            ("refs/heads/main", &two, &two),
        ],
        vec![
            ("refs/heads/good", &zero, &two),
            ("refs/heads/main", &zero, &two),
        ],
        // A directory where a file is.
        vec![
            ("refs/heads/good", &zero, &two),
            ("refs/heads/main/x", &zero, &two),
        ],
        // The same twice.
        vec![
            ("refs/heads/good", &zero, &two),
            ("refs/heads/good", &zero, &two),
        ],
    ] {
        let received = receive(&world.repo, push_body(&commands, &both), Below::CAREFUL).await;
        assert!(received.updates.is_empty(), "{commands:?}");
        assert!(
            received
                .refused
                .iter()
                .all(|(_, reason)| !reason.is_empty())
        );
        assert_eq!(world.tip("refs/heads/good").await, None, "{commands:?}");
        assert_eq!(world.object_files(), files, "{commands:?} left objects");
    }
    assert_eq!(world.tip("refs/heads/main").await, Some(one));
    world.assert_sound().await;
}

#[tokio::test]
async fn objects_that_are_missing_are_noticed() {
    let world = World::new().await;
    let source = source(&world).await;
    let one = commit(
        &source,
        &[],
        &[("a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n")],
    )
    .await;
    let two = commit(
        &source,
        std::slice::from_ref(&one),
        &[("a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n13\n")],
    )
    .await;
    let zero = ObjectId::zero();
    for pack in [
        pack(source.path(), &two, &[&one], &[]),
        pack(source.path(), &two, &[&one], &["--thin"]),
        // Another commit than the one named.
        pack(source.path(), &one, &[], &[]),
    ] {
        let received = receive(
            &world.repo,
            push_body(&[("refs/heads/main", &zero, &two)], &pack),
            Below::ANY,
        )
        .await;
        assert!(received.updates.is_empty());
        assert!(
            text(&received.response).contains("unpack "),
            "{}",
            text(&received.response)
        );
        assert!(!text(&received.response).contains("unpack ok"));
        assert!(world.object_files().is_empty());
    }
    // With its base there, a thin pack is complete.
    let body = push_body(
        &[("refs/heads/main", &zero, &one)],
        &pack(source.path(), &one, &[], &[]),
    );
    receive(&world.repo, body, Below::ANY).await;
    let thin = pack(source.path(), &two, &[&one], &["--thin"]);
    let received = receive(
        &world.repo,
        push_body(&[("refs/heads/main", &one, &two)], &thin),
        Below::CAREFUL,
    )
    .await;
    assert_eq!(received.updates.len(), 1, "{}", text(&received.response));
    // An object that is there already, under a new name, and a deletion without any pack.
    let empty = pack_of_nothing(&source, &two);
    let received = receive(
        &world.repo,
        push_body(&[("refs/heads/copy", &zero, &two)], &empty),
        Below::ANY,
    )
    .await;
    assert_eq!(received.updates.len(), 1, "{}", text(&received.response));
    let received = receive(
        &world.repo,
        push_body(&[("refs/heads/copy", &two, &zero)], b""),
        Below::ANY,
    )
    .await;
    assert_eq!(received.updates.len(), 1, "{}", text(&received.response));
    world.assert_sound().await;
}

fn pack_of_nothing(source: &Repository, tip: &ObjectId) -> Vec<u8> {
    pack(source.path(), tip, &[tip], &[])
}

#[tokio::test]
async fn branches_and_attempts_name_commits_only() {
    let world = World::new().await;
    let source = source(&world).await;
    let one = commit(&source, &[], &[("a", "1")]).await;
    let tree = source.commit(&one).await.expect("a commit").tree;
    let zero = ObjectId::zero();
    let pack = pack(source.path(), &one, &[], &[]);
    for name in ["refs/heads/x", "refs/attempts/1/1"] {
        let received = receive(
            &world.repo,
            push_body(&[(name, &zero, &tree)], &pack),
            Below::ANY,
        )
        .await;
        assert!(
            text(&received.response).contains("it can only name a commit"),
            "{name}"
        );
    }
    assert!(world.object_files().is_empty());
}

#[tokio::test]
async fn nonsense_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let zero = ObjectId::zero();
    let tip: ObjectId = "1".repeat(40).parse().expect("an id");
    let head = |pack: &[u8]| push_body(&[("refs/heads/x", &zero, &tip)], pack);
    let huge = b"PACK\0\0\0\x02\xff\xff\xff\xff";
    for body in [
        head(b""),
        head(b"PACK"),
        head(b"JUNKJUNKJUNKJUNK"),
        head(huge),
        head(b"PACK\0\0\0\x02\0\0\0\x01garbage"),
        head(b"PACK\0\0\0\x02\0\0\0\0"),
        head(b"PACK\0\0\0\x09\0\0\0\x01xxxxxxxxxxxxxxxxxxxx"),
    ] {
        let received = receive(&world.repo, body.clone(), Below::ANY).await;
        assert!(received.updates.is_empty(), "{body:?}");
        assert_eq!(received.refused.len(), 1);
    }
    for body in [
        &b"GET / HTTP/1.1"[..],
        b"0005",
        b"ffff",
        b"0004",
        b"0009hello0000",
        b"0001",
    ] {
        let answer = world
            .repo
            .receive_pack(body, &Below::ANY, "x", &|_| {})
            .await;
        assert!(
            matches!(answer, Err(GitError::BadRequest(_))),
            "{body:?}: {answer:?}"
        );
    }
    // What a client sends to find out whether it may.
    let probe = world
        .repo
        .receive_pack(&b"0000"[..], &Below::ANY, "x", &|_| {})
        .await
        .expect("an answer");
    assert!(probe.response.is_empty());
    assert!(world.object_files().is_empty());
    world.assert_sound().await;
}

#[tokio::test]
async fn limits_end_a_push() {
    let limits = Limits {
        push_bytes: 100_000,
        push_objects: 50,
        push_refs: 2,
        idle: Duration::from_millis(300),
        ..Limits::default()
    };
    let world = World::with_limits(limits).await;
    let source = source(&world).await;
    let zero = ObjectId::zero();
    let mut state = 1_u32;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + (state >> 24) as u8 % 90)
    })
    .take(300_000)
    .collect();
    let large = commit(&source, &[], &[("a", &noise)]).await;
    let names: Vec<String> = (0..60).map(|n| format!("f{n}")).collect();
    let files: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), name.as_str()))
        .collect();
    let many = commit(&source, &[], &files).await;
    for tip in [&large, &many] {
        let body = push_body(
            &[("refs/heads/x", &zero, tip)],
            &pack(source.path(), tip, &[], &[]),
        );
        let received = receive(&world.repo, body, Below::ANY).await;
        assert!(received.updates.is_empty(), "{}", text(&received.response));
    }
    let three = [
        ("refs/heads/a", &zero, &many),
        ("refs/heads/b", &zero, &many),
        ("refs/heads/c", &zero, &many),
    ];
    let answer = world
        .repo
        .receive_pack(
            std::io::Cursor::new(push_body(&three, b"")),
            &Below::ANY,
            "x",
            &|_| {},
        )
        .await;
    assert!(matches!(answer, Err(GitError::BadRequest(_))), "{answer:?}");
    // A client that falls silent in the middle of its pack.
    let whole = push_body(
        &[("refs/heads/x", &zero, &many)],
        &pack(source.path(), &many, &[], &[]),
    );
    let (ours, silent) = tokio::io::duplex(16);
    let start = std::io::Cursor::new(whole[..whole.len() / 2].to_vec());
    let answer = world
        .repo
        .receive_pack(start.chain(ours), &Below::ANY, "x", &|_| {})
        .await;
    assert!(
        matches!(answer, Err(GitError::TimedOut { .. })),
        "{answer:?}"
    );
    drop(silent);
    assert!(world.object_files().is_empty());
    assert!(
        world
            .repo
            .list_refs("refs/")
            .await
            .expect("refs")
            .is_empty()
    );
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let world = World::new().await;
    let source = source(&world).await;
    let tip = commit(&source, &[], &[("a", "1")]).await;
    let whole = push_body(
        &[("refs/heads/x", &ObjectId::zero(), &tip)],
        &pack(source.path(), &tip, &[], &[]),
    );
    for length in (0..whole.len()).step_by(7) {
        let cut = std::io::Cursor::new(whole[..length].to_vec());
        let answer = world
            .repo
            .receive_pack(cut, &Below::ANY, "x", &|_| {})
            .await;
        assert!(
            answer.map_or(true, |received| received.updates.is_empty()),
            "{length}"
        );
        assert!(world.object_files().is_empty(), "{length}");
    }
    // Dropped at any time: nothing, or all of it.
    let mut polls = 0;
    while world.tip("refs/heads/x").await.is_none() {
        polls += 1;
        let push = world.repo.receive_pack(
            std::io::Cursor::new(whole.clone()),
            &Below::ANY,
            "x",
            &|_| {},
        );
        let wait = Duration::from_millis(polls);
        // Dropped at the end of this statement.
        let _either = tokio::time::timeout(wait, push).await;
        assert!(polls < 5_000, "it never came through");
    }
    assert_eq!(world.repo.fsck().await.expect("fsck"), Vec::<String>::new());
    assert_eq!(world.tip("refs/heads/x").await, Some(tip));
}

#[tokio::test]
async fn a_waiting_client_is_kept_alive() {
    let world = World::new().await;
    let source = source(&world).await;
    let tip = commit(&source, &[], &[("a", "1")]).await;
    let program = world.path("slow-git");
    let script = "#!/bin/sh\ncase \"$*\" in *rev-list*) sleep 0.3;; esac\nexec git \"$@\"\n";
    std::fs::write(&program, script).expect("a script");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let slow = Git::new(Settings {
        program,
        path: std::env::var_os("PATH").expect("PATH"),
        proxy: None,
        ca_file: None,
        limits: Limits {
            heartbeat: Duration::from_millis(20),
            ..Limits::default()
        },
    });
    let repo = Repository::open(&slow, world.repo.path()).expect("open");
    let zero = ObjectId::zero();
    let pack = pack(source.path(), &tip, &[], &[]);
    let body = push_body(&[("refs/heads/x", &zero, &tip)], &pack);
    let beats = std::sync::Mutex::new(Vec::new());
    let beat = |bytes| beats.lock().expect("lock").push(bytes);
    let body = std::io::Cursor::new(body);
    let received = repo
        .receive_pack(body, &Below::ANY, "x", &beat)
        .await
        .expect("an answer");
    assert_eq!(received.updates.len(), 1);
    let beats = beats.into_inner().expect("lock");
    assert!(beats.len() > 1, "{beats:?}");
    assert!(beats.iter().all(|bytes| &bytes[..] == b"0005\x01"));
}

#[tokio::test]
async fn a_small_pack_cannot_take_much_memory() {
    let limits = Limits {
        push_memory: 4 << 20,
        ..Limits::default()
    };
    let world = World::with_limits(limits).await;
    let source = source(&world).await;
    let zeros = "0".repeat(32 << 20);
    let tip = commit(&source, &[], &[("a", &zeros)]).await;
    let pack = pack(source.path(), &tip, &[], &[]);
    assert!(pack.len() < 1 << 20, "it packs well");
    let body = push_body(&[("refs/heads/x", &ObjectId::zero(), &tip)], &pack);
    let received = receive(&world.repo, body, Below::ANY).await;
    assert!(received.updates.is_empty(), "{received:?}");
    assert!(world.object_files().is_empty());
}
