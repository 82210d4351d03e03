//! Stock git clients over smart HTTP.

use crate::world::{Below, Served, World, client_with};

fn with<'a>(protocol: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [&["-c", protocol][..], args].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_clone_fetch_and_push_in_every_protocol() {
    for version in ["0", "1", "2"] {
        let world = World::new().await;
        let served = Served::start(&world.repo, Below::CAREFUL).await;
        world.worktree("one");
        let protocol = format!("protocol.version={version}");

        world.client("one", &["remote", "add", "origin", &served.url]);
        world.client("one", &with(&protocol, &["push", "-q", "origin", "main"]));
        let pushed = world.client("one", &["rev-parse", "main"]);
        assert_eq!(
            world.tip("refs/heads/main").await.map(|id| id.to_string()),
            Some(pushed.clone())
        );
        world.client("", &with(&protocol, &["clone", "-q", &served.url, "two"]));
        std::fs::write(world.path("two/b.txt"), "b\n").expect("a file");
        world.client("two", &["add", "."]);
        world.client("two", &["commit", "-q", "-m", "second"]);
        world.client(
            "two",
            &with(
                &protocol,
                &[
                    "push",
                    "-q",
                    "origin",
                    "HEAD:main",
                    "HEAD:refs/attempts/x/1",
                ],
            ),
        );
        world.client("one", &with(&protocol, &["pull", "-q", "origin", "main"]));
        assert!(world.path("one/b.txt").exists());
        world.client(
            "one",
            &with(&protocol, &["fetch", "-q", "origin", "refs/attempts/x/1"]),
        );
        let received = served.received.lock().expect("lock").clone();
        assert_eq!(
            received.iter().map(|r| r.updates.len()).collect::<Vec<_>>(),
            [1, 2]
        );
        world.assert_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shallow_and_partial_clones_work_and_can_push() {
    let world = World::new().await;
    let served = Served::start(&world.repo, Below::CAREFUL).await;
    world.worktree("one");
    for n in 0..20 {
        std::fs::write(world.path("one/n"), n.to_string()).expect("a file");
        world.client("one", &["add", "."]);
        world.client("one", &["commit", "-q", "-m", "more"]);
    }
    world.client("one", &["push", "-q", &served.url, "main"]);
    for (name, option) in [("shallow", "--depth=2"), ("partial", "--filter=blob:none")] {
        world.client("", &["clone", "-q", option, &served.url, name]);
        std::fs::write(world.path(name).join(name), "x").expect("a file");
        world.client(name, &["add", "."]);
        world.client(name, &["commit", "-q", "-m", name]);
        let to = format!("HEAD:refs/heads/{name}");
        world.client(name, &["push", "-q", "origin", &to]);
        let branch = format!("refs/heads/{name}");
        let tip = world.tip(&branch).await.expect("a branch");
        assert_eq!(
            world
                .repo
                .commits_between(None, &tip, 99)
                .await
                .expect("history")
                .len(),
            22
        );
    }
    // The runner fetches one commit by its id.
    let id = world.client("one", &["rev-parse", "main~3"]);
    std::fs::create_dir(world.path("by-id")).expect("a directory");
    world.client("by-id", &["init", "-q"]);
    world.client("by-id", &["fetch", "-q", "--depth=1", &served.url, &id]);
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_the_person_with_its_reason() {
    let world = World::new().await;
    let attempt = Below {
        prefix: "refs/attempts/7/",
        force: false,
        delete: false,
    };
    let served = Served::start(&world.repo, attempt).await;
    world.worktree("one");
    let (good, said) = world.try_client(
        "one",
        &["push", &served.url, "main:refs/attempts/7/a", "main"],
    );
    assert!(!good);
    assert!(
        said.contains("this token can write refs/attempts/7/ only"),
        "{said}"
    );
    assert!(
        said.contains("another ref of this push was refused"),
        "{said}"
    );
    assert!(
        world
            .repo
            .list_refs("refs/")
            .await
            .expect("refs")
            .is_empty()
    );
    assert_eq!(
        world.object_files().len(),
        0,
        "a refused push leaves no object"
    );
    world.client(
        "one",
        &["push", "-q", &served.url, "main:refs/attempts/7/a"],
    );
    world.client("one", &["commit", "-q", "--amend", "-m", "other"]);
    let files = world.object_files();
    for args in [
        &["push", "--force", &served.url, "main:refs/attempts/7/a"][..],
        &["push", "--force", &served.url, ":refs/attempts/7/a"],
    ] {
        let (good, said) = world.try_client("one", args);
        assert!(!good && said.contains("is not allowed"), "{said}");
        assert_eq!(world.object_files(), files);
    }
    let (good, said) = world.try_client("one", &["push", &served.url, "main:refs/attempts/7/a"]);
    assert!(!good && said.contains("rejected"), "{said}");
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn force_delete_and_tags_are_done_where_the_policy_lets_them() {
    let world = World::new().await;
    let served = Served::start(&world.repo, Below::ANY).await;
    world.worktree("one");
    world.client("one", &["tag", "-a", "v1", "-m", "one"]);
    world.client("one", &["push", "-q", &served.url, "main", "main:x", "v1"]);
    world.client("one", &["commit", "-q", "--amend", "-m", "other"]);
    world.client("one", &["push", "-q", "--force", &served.url, "main:x"]);
    world.client("one", &["push", "-q", &served.url, ":x"]);
    assert_eq!(world.tip("refs/heads/x").await, None);
    let (good, said) = world.try_client("one", &["push", &served.url, ":main"]);
    assert!(!good && said.contains("default branch"), "{said}");
    assert!(world.tip("refs/tags/v1").await.is_some());
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_megabytes_stream_in_and_out() {
    let world = World::new().await;
    let served = Served::start(&world.repo, Below::CAREFUL).await;
    world.worktree("one");
    let mut state = 7_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    })
    .take(50 << 20)
    .collect();
    std::fs::write(world.path("one/big"), &bytes).expect("a file");
    world.client("one", &["add", "."]);
    world.client("one", &["commit", "-q", "-m", "big"]);
    world.client("one", &["push", "-q", &served.url, "main"]);
    // The first request only asks whether it may.
    let last = served.received.lock().expect("lock").pop();
    assert!(last.expect("a push").pack_bytes > 50 << 20);
    world.client("", &["clone", "-q", &served.url, "two"]);
    assert!(std::fs::read(world.path("two/big")).expect("a file") == bytes);
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strange_protocol_header_is_not_passed_on() {
    let world = World::new().await;
    let served = Served::start(&world.repo, Below::CAREFUL).await;
    world.worktree("one");
    world.client("one", &["push", "-q", &served.url, "main"]);
    for value in [
        "version=2;touch x",
        "version=2:evil=$(id)",
        "version=99",
        "x",
    ] {
        let header = format!("http.extraHeader=Git-Protocol: {value}");
        let (good, said) = client_with(
            &world.path("one"),
            &[
                "-c",
                "protocol.version=0",
                "-c",
                &header,
                "ls-remote",
                &served.url,
            ],
            &[],
            b"",
        );
        assert!(good && said.contains("refs/heads/main"), "{value}: {said}");
    }
}
