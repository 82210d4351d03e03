//! Settings of a project: read, changed by a commit, in conflict, repaired; and what the merge queue
//! makes of a branch that moves under it.

use std::collections::BTreeMap;

use nightshift_api::client::CallError;
use nightshift_api::operations as op;
use nightshift_api::project::ProjectPath;
use nightshift_api::settings::{EditSettings, SavedSettings, Settings};
use nightshift_api::{Nothing, Problem};
use nightshift_domain::access::Role;
use nightshift_domain::config::field::Value;
use nightshift_domain::job::Kind;
use nightshift_testkit::{Person, World, invariants};

const PATH: &str = ".nightshift/config.toml";

fn home() -> ProjectPath {
    ProjectPath {
        project: "tally".to_owned(),
    }
}

async fn read(person: &Person) -> Settings {
    person
        .call::<op::SettingsGet>(home(), Nothing {})
        .await
        .expect("settings")
}

async fn save(person: &Person, edit: EditSettings) -> Result<SavedSettings, CallError> {
    person.call::<op::SettingsSave>(home(), edit).await
}

/// One key set on the file as it was read.
fn set(on: &Settings, key: &str, value: &str) -> EditSettings {
    EditSettings {
        blob: on.blob.clone(),
        set: BTreeMap::from([(key.to_owned(), Some(Value::Text(value.to_owned())))]),
        ..EditSettings::default()
    }
}

fn problem<T: std::fmt::Debug>(refused: Result<T, CallError>) -> Problem {
    match refused {
        Err(CallError::Problem(problem)) => *problem,
        other => panic!("no problem: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_is_a_commit_of_the_person_and_takes_effect() {
    let world = World::new().await;
    let file = "# ours\n[[check]]\nname = \"test\" # all\nrun = \"sh check.sh\"\n";
    let main = world.project_with("tally", file).await;
    let keeper = world.person("keeper", &[("tally", Role::Maintainer)]).await;
    let before = read(&keeper).await;
    assert_eq!((before.text.as_str(), before.may_edit), (file, true));
    assert!(before.problems.is_empty() && before.locked.is_none());

    let looked = save(
        &keeper,
        EditSettings {
            dry_run: true,
            ..set(&before, "check[test].run", "make test")
        },
    )
    .await
    .expect("a look");
    assert_eq!(looked.commit, None);
    assert!(
        looked
            .diff
            .contains("-run = \"sh check.sh\"\n+run = \"make test\"\n"),
        "{}",
        looked.diff
    );
    assert_eq!(read(&keeper).await.text, file, "a look changed something");

    let saved = save(&keeper, set(&before, "check[test].run", "make test"))
        .await
        .expect("saved");
    let commit = saved.commit.expect("a commit");
    main.take("main");
    assert_eq!(main.git(&["rev-parse", "HEAD"]), commit);
    assert_eq!(main.read(PATH), file.replace("sh check.sh", "make test"));
    assert_eq!(
        main.git(&["log", "-1", "--format=%an <%ae> %s"]),
        "keeper <keeper@users.nightshift.invalid> settings: change check[test].run"
    );
    assert_eq!(
        main.git(&["diff", "--name-only", "HEAD^", "HEAD"]),
        PATH,
        "something else changed"
    );
    let after = read(&keeper).await;
    assert_eq!(after.blob, saved.blob);
    assert_eq!(after.in_force.checks[0].run, "make test");

    // The same once more changes nothing, whatever it was made on.
    let again = save(&keeper, set(&before, "check[test].run", "make test"))
        .await
        .expect("the same");
    assert_eq!((again.commit, again.diff.as_str()), (None, ""));

    let events = keeper
        .client()
        .call::<op::EventList>(&Nothing {}, &Default::default(), &Nothing {})
        .await
        .expect("events");
    let told = events
        .items
        .iter()
        .find(|event| event.kind == "project.configured");
    let told = told.expect("an event");
    assert_eq!(
        (told.actor.as_str(), &told.data["new"]),
        ("keeper", &commit.into())
    );
    invariants::hold(&world, "settings").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_told_at_their_keys_and_nothing_is_written() {
    let world = World::new().await;
    let main = world.project("tally").await;
    let alice = world.alice();
    let before = read(&alice).await;
    let mut edit = set(&before, "check[test].timeout", "soon");
    edit.set
        .insert("repair.in_run".to_owned(), Some(Value::Number(300)));
    let told = problem(save(&alice, edit).await);
    assert_eq!(told.status, 422);
    let fields: Vec<_> = told
        .errors
        .iter()
        .map(|error| error.field.as_deref().unwrap_or_default())
        .collect();
    assert_eq!(fields, ["check[0].timeout", "repair.in_run"]);
    assert!(told.errors[0].message.contains("write it as"), "{told:?}");

    let text = EditSettings {
        blob: before.blob.clone(),
        text: Some("[merge\n".to_owned()),
        ..EditSettings::default()
    };
    let told = problem(save(&alice, text).await);
    assert_eq!((told.status, told.errors[0].line), (422, Some(1)));
    for (key, part) in [
        ("merge.x", "it has method"),
        ("check.run", "say which check"),
    ] {
        let told = problem(save(&alice, set(&before, key, "x")).await);
        assert_eq!(told.errors[0].field.as_deref(), Some(key));
        assert!(told.detail.contains(part), "{}", told.detail);
    }
    let head = main.git(&["rev-parse", "HEAD"]);
    assert_eq!(
        read(&alice).await.commit,
        Some(head),
        "something was written"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_slower_learns_it_and_loses_nothing() {
    let world = World::new().await;
    world.project("tally").await;
    let alice = world.alice();
    let keeper = world.person("keeper", &[("tally", Role::Maintainer)]).await;
    let (hers, theirs) = (read(&alice).await, read(&keeper).await);
    save(&keeper, set(&theirs, "merge.method", "rebase"))
        .await
        .expect("the first");
    let edit = EditSettings {
        set: BTreeMap::from([("merge.four_eyes".to_owned(), Some(Value::Flag(true)))]),
        ..set(&hers, "merge.method", "merge")
    };
    let told = problem(save(&alice, edit.clone()).await);
    assert_eq!(
        (told.status, told.kind.as_str()),
        (409, "/problems/conflict")
    );
    let now = read(&alice).await;
    assert!(!now.text.contains("four_eyes"), "{}", now.text);
    let edit = EditSettings {
        blob: now.blob.clone(),
        ..edit
    };
    save(&alice, edit).await.expect("on top of theirs");
    let now = read(&alice).await;
    assert!(
        now.text.contains("method = \"rebase\"\nfour_eyes = true"),
        "{}",
        now.text
    );

    // Both at once: one wins, the other is told.
    let ways = ["squash", "merge"].map(|way| save(&alice, set(&now, "merge.method", way)));
    let [one, two] = ways;
    let (one, two) = tokio::join!(one, two);
    let kinds =
        [one.map(drop), two.map(drop)].map(|end| end.map_err(|e| e.kind().map(str::to_owned)));
    let lost = Err(Some("conflict".to_owned()));
    assert!(
        kinds.contains(&Ok(())) && kinds.contains(&lost),
        "{kinds:?}"
    );
    invariants::hold(&world, "settings").await;
}

async fn broken_on_desk(world: &World) -> Vec<String> {
    let alice = world.app.authenticate(world.alice().token()).await;
    let desk = world
        .app
        .desk(&alice.expect("alice"))
        .await
        .expect("a desk");
    desk.broken
        .into_iter()
        .map(|project| project.name)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_repaired_at_its_keys() {
    let world = World::new().await;
    let broken =
        "[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\ntimeout = \"soon\"\n[[chek]]\n";
    world.project_with("tally", broken).await;
    let alice = world.alice();
    let before = read(&alice).await;
    let at = |settings: &Settings| -> Vec<(Option<String>, Option<usize>)> {
        let problems = settings.problems.iter();
        problems.map(|one| (one.field.clone(), one.line)).collect()
    };
    assert_eq!(
        at(&before),
        [
            (Some("check[0].timeout".to_owned()), Some(4)),
            (Some("chek[0]".to_owned()), Some(5))
        ]
    );
    assert!(
        before.in_force.checks.is_empty(),
        "a broken file is in force"
    );
    assert_eq!(broken_on_desk(&world).await, ["tally"]);
    let told = problem(save(&alice, set(&before, "check[test].timeout", "5m")).await);
    assert_eq!(told.errors.len(), 1, "{told:?}");
    let text = EditSettings {
        blob: before.blob.clone(),
        text: Some(broken.replace("soon", "5m").replace("[[chek]]\n", "")),
        ..EditSettings::default()
    };
    save(&alice, text).await.expect("repaired");
    let after = read(&alice).await;
    assert!(after.problems.is_empty());
    assert_eq!(after.in_force.checks[0].timeout_s, 300);
    assert!(broken_on_desk(&world).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_look_and_only_maintainers_save() {
    let world = World::new().await;
    world.project("tally").await;
    let writer = world.person("writer", &[("tally", Role::Writer)]).await;
    let seen = read(&writer).await;
    assert!(!seen.may_edit);
    let told = problem(save(&writer, set(&seen, "merge.method", "merge")).await);
    assert_eq!(told.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_plain_file_is_never_written_through() {
    let world = World::new().await;
    let alice = world.alice();
    let outside = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(outside.path(), "outside\n").expect("a file");
    for (name, link, target) in [
        ("file", ".nightshift/config.toml", outside.path()),
        (
            "folder",
            ".nightshift",
            outside.path().parent().expect("a folder"),
        ),
    ] {
        alice.makes_project(name).await;
        let checkout = world.checkout(name, alice.token());
        checkout.write("README.md", "a project\n");
        let link = checkout.file(link);
        std::fs::create_dir_all(link.parent().expect("a parent")).expect("folders");
        std::os::unix::fs::symlink(target, &link).expect("a link");
        checkout.commit("begin");
        checkout.push(&["HEAD:refs/heads/main"]).expect("a push");
        let path = || ProjectPath {
            project: name.to_owned(),
        };
        let seen = alice
            .call::<op::SettingsGet>(path(), Nothing {})
            .await
            .expect("settings");
        assert!(
            !seen.text.contains("outside"),
            "{name}: the link was followed"
        );
        let told = problem(
            alice
                .call::<op::SettingsSave>(path(), set(&seen, "merge.method", "merge"))
                .await,
        );
        assert_eq!(
            (told.status, told.kind.as_str()),
            (409, "/problems/refused")
        );
        let after = alice.call::<op::SettingsGet>(path(), Nothing {}).await;
        assert_eq!(after.expect("settings").commit, seen.commit, "{name}");
    }
    let text = std::fs::read_to_string(outside.path()).expect("a file");
    assert_eq!(text, "outside\n");

    // Nothing to be put a commit on.
    alice.makes_project("tally").await;
    let seen = read(&alice).await;
    assert!(seen.locked.expect("a reason").contains("push first"));
    let told = problem(
        save(
            &alice,
            set(
                &Settings {
                    locked: None,
                    ..read(&alice).await
                },
                "merge.method",
                "merge",
            ),
        )
        .await,
    );
    assert_eq!(told.status, 409);
    // No file yet, and one that is no text.
    let checkout = world.checkout("tally", alice.token());
    checkout.write("README.md", "a project\n");
    checkout.commit("begin");
    checkout.push(&["HEAD:refs/heads/main"]).expect("a push");
    let seen = read(&alice).await;
    assert_eq!((seen.blob.as_ref(), seen.text.as_str()), (None, ""));
    let made = save(&alice, set(&seen, "check[test].run", "make"))
        .await
        .expect("made");
    assert!(made.diff.starts_with("--- /dev/null\n"), "{}", made.diff);
    assert_eq!(read(&alice).await.in_force.checks[0].run, "make");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_merge_queue_builds_anew_on_a_save() {
    let world = World::new().await;
    let main = world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Say hello").await;
    hand.works(&[("hello.txt", "hello\n")]).await;
    // The base moves, so that a trial has to be made; the settings move while it runs.
    let seen = read(&alice).await;
    save(&alice, set(&seen, "check[test].timeout", "5m"))
        .await
        .expect("saved");
    alice.approves("tally", number).await.expect("approved");
    world.settle().await;
    let trial = hand.claims_of(&[Kind::Trial]).await.expect("a trial");
    let seen = read(&alice).await;
    let saved = save(&alice, set(&seen, "check[test].run", "sh check.sh # twice"))
        .await
        .expect("saved");
    let of_save = saved.commit.expect("a commit");
    // What the old trial brings counts nothing any more.
    drop(hand.proves(&trial, true).await);
    world.settle().await;
    let trial = hand.claims_of(&[Kind::Trial]).await.expect("another trial");
    assert_eq!(trial.checks[0].run, "sh check.sh # twice");
    hand.proves(&trial, true).await.expect("tried");
    world.settle().await;
    assert_eq!(alice.phase("tally", number).await, "done");
    main.take("main");
    assert_eq!(main.read("hello.txt"), "hello\n");
    assert!(main.read(PATH).contains("# twice"));
    assert_eq!(main.git(&["rev-parse", "HEAD^"]), of_save);
    invariants::hold(&world, "settings").await;
}
