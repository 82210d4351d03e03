//! Trees that attack whoever checks them out, and arguments that would be options.

use std::os::unix::fs::PermissionsExt as _;

use nightshift_domain::git_name::ObjectId;
use nightshift_git::{DiffOptions, Git, Limits, Repository, Settings};

use crate::world::{
    Below, World, client_with, commit, commit_of, pack, push_body, receive, update,
};

/// Mode, name, object.
type Entry<'a> = (&'a str, &'a str, &'a ObjectId);

/// A tree object out of raw entries, whatever they say.
async fn raw_tree(source: &Repository, entries: &[Entry<'_>]) -> ObjectId {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        for pair in id.as_str().as_bytes().chunks(2) {
            let digits = std::str::from_utf8(pair).expect("digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("a byte"));
        }
    }
    let args = ["hash-object", "-t", "tree", "--literally", "-w", "--stdin"];
    let (good, said) = client_with(source.path(), &args, &[], &bytes);
    assert!(good, "{said}");
    said.trim().parse().expect("an id")
}

#[tokio::test]
async fn trees_that_attack_a_checkout_are_refused_with_all_their_objects() {
    let world = World::new().await;
    let main = "main".parse().expect("a branch");
    let source = Repository::init_bare(&world.git, &world.path("source.git"), &main)
        .await
        .expect("made");
    let blob = source.write_blob(b"x").await.expect("a blob");
    let inner = raw_tree(&source, &[("100644", "config", &blob)]).await;
    let modules = |text: &'static [u8]| source.write_blob(text);
    let option = modules(b"[submodule \"a\"]\n\tpath = a\n\turl = -u./x\n")
        .await
        .expect("a blob");
    let path = modules(b"[submodule \"a\"]\n\tpath = -a\n\turl = ./x\n")
        .await
        .expect("a blob");
    let name = modules(b"[submodule \"../../hooks\"]\n\tpath = a\n\turl = ./x\n")
        .await
        .expect("a blob");
    let carriage = modules(b"[submodule \"a\"]\n\tpath = \"sub\r\"\n\turl = ./x\n")
        .await
        .expect("a blob");
    let newline = modules(b"[submodule \"a\"]\n\tpath = a\n\turl = \"https://h/\\nx\"\n")
        .await
        .expect("a blob");
    let cases: &[(&str, &[Entry<'_>])] = &[
        (".git", &[("40000", ".git", &inner)]),
        (".GIT", &[("40000", ".GIT", &inner)]),
        ("git~1", &[("40000", "git~1", &inner)]),
        (".g\u{200c}it", &[("40000", ".g\u{200c}it", &inner)]),
        ("..", &[("40000", "..", &inner)]),
        (".", &[("40000", ".", &inner)]),
        ("slash", &[("100644", "a/b", &blob)]),
        ("twice", &[("100644", "a", &blob), ("100644", "a", &blob)]),
        (
            "file and directory",
            &[("100644", "a", &blob), ("40000", "a", &inner)],
        ),
        (
            "unsorted",
            &[("100644", "b", &blob), ("100644", "a", &blob)],
        ),
        ("zero-padded mode", &[("040000", "a", &inner)]),
        ("linked modules", &[("120000", ".gitmodules", &blob)]),
        ("option as url", &[("100644", ".gitmodules", &option)]),
        ("option as path", &[("100644", ".gitmodules", &path)]),
        ("name that climbs", &[("100644", ".gitmodules", &name)]),
        (
            "carriage return in a path",
            &[("100644", ".gitmodules", &carriage)],
        ),
        ("line feed in a url", &[("100644", ".gitmodules", &newline)]),
    ];
    let zero = ObjectId::zero();
    for (case, entries) in cases {
        let evil = raw_tree(&source, entries).await;
        // Deep in history, below a harmless tip.
        let first = commit_of(&source, &evil, &[]).await;
        let tip = commit(&source, std::slice::from_ref(&first), &[("a", "harmless")]).await;
        let body = push_body(
            &[("refs/heads/x", &zero, &tip)],
            &pack(source.path(), &tip, &[], &[]),
        );
        let received = receive(&world.repo, body, Below::ANY).await;
        assert!(received.updates.is_empty(), "{case} was accepted");
        assert_eq!(received.refused.len(), 1, "{case}");
        assert!(world.object_files().is_empty(), "{case} left objects");
    }
    let fine = modules(b"[submodule \"a\"]\r\n\tpath = a\r\n\turl = ./x\r\n")
        .await
        .expect("a blob");
    let tree = raw_tree(&source, &[("100644", ".gitmodules", &fine)]).await;
    let tip = commit_of(&source, &tree, &[]).await;
    let body = push_body(
        &[("refs/heads/x", &zero, &tip)],
        &pack(source.path(), &tip, &[], &[]),
    );
    let received = receive(&world.repo, body, Below::ANY).await;
    assert_eq!(received.updates.len(), 1, "{received:?}");
}

/// Writes down every argument that git is started with.
fn recording(world: &World) -> (Git, std::path::PathBuf) {
    let log = world.path("argv");
    let program = world.path("git-recorder");
    let script = format!(
        "#!/bin/sh\nfor a in \"$@\"; do printf '%s\\n' \"$a\" >> '{}'; done\nenv >> '{}.env'\nexec git \"$@\"\n",
        log.display(),
        log.display()
    );
    std::fs::write(&program, script).expect("a script");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let git = Git::new(Settings {
        program,
        path: std::env::var_os("PATH").expect("PATH"),
        proxy: None,
        ca_file: None,
        limits: Limits::default(),
    });
    (git, log)
}

#[tokio::test]
async fn names_reach_git_as_names_only() {
    let world = World::new().await;
    let (git, log) = recording(&world);
    let repo = Repository::open(&git, world.repo.path()).expect("open");
    let one = commit(
        &repo,
        &[],
        &[("-x", "1"), ("--output=y", "1"), ("$(id)", "1")],
    )
    .await;
    let two = commit(&repo, std::slice::from_ref(&one), &[("-x", "2")]).await;
    let name = "refs/heads/$(touch x)".replace(' ', "-");
    repo.update_refs(&[update(&name, None, Some(&one))], "--stdin")
        .await
        .expect("created");
    for path in ["-x", "--output=y", "$(id)"] {
        let blob = repo.read_blob(&one, path, 9).await.expect("read");
        assert_eq!(blob.expect("a file").bytes, b"1", "{path}");
    }
    let options = DiffOptions {
        paths: vec!["--output=y".into()],
        ..DiffOptions::default()
    };
    let diff = repo.diff(&one, &two, &options).await.expect("a diff");
    assert_eq!(diff.files.len(), 1);
    let zero = ObjectId::zero();
    let body = push_body(&[("--exec=evil", &zero, &one)], b"");
    let received = receive(&repo, body, Below::ANY).await;
    assert!(received.updates.is_empty());
    let argv = std::fs::read_to_string(&log).expect("a record");
    assert!(!argv.contains("evil"), "{argv}");
    for (at, line) in argv.lines().enumerate() {
        if line == "-x" || line == "--output=y" {
            let before = argv.lines().nth(at - 1);
            assert_eq!(before, Some("--"), "{line} came without --");
        }
    }
    let env = std::fs::read_to_string(log.with_extension("env")).expect("a record");
    let home = env
        .lines()
        .filter(|line| line.starts_with("HOME=") || line.starts_with("USER="));
    assert_eq!(home.count(), 0, "the environment is not cleared");
    assert!(env.contains("GIT_CONFIG_GLOBAL=/dev/null") && env.contains("safe.bareRepository"));
}

#[tokio::test]
async fn hooks_and_settings_in_the_repository_run_nothing() {
    let world = World::new().await;
    let source = world.worktree("source");
    let hooks = world.repo.path().join("hooks");
    std::fs::create_dir(&hooks).expect("a directory");
    // Not even when the repository's own configuration lets them.
    let settings = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n";
    std::fs::write(world.repo.path().join("config"), settings).expect("a file");
    let mark = world.path("mark");
    for hook in [
        "pre-receive",
        "update",
        "post-receive",
        "reference-transaction",
        "post-update",
        "pre-auto-gc",
    ] {
        let path = hooks.join(hook);
        std::fs::write(&path, format!("#!/bin/sh\ntouch '{}'\n", mark.display())).expect("a hook");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let tip: ObjectId = world
        .client("source", &["rev-parse", "HEAD"])
        .parse()
        .expect("an id");
    let body = push_body(
        &[("refs/heads/main", &ObjectId::zero(), &tip)],
        &pack(&source, &tip, &[], &[]),
    );
    let received = receive(&world.repo, body, Below::ANY).await;
    assert_eq!(received.updates.len(), 1);
    assert!(!mark.exists(), "a hook ran");
}
