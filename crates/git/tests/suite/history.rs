//! Commits, trees and trial merges.

use nightshift_git::{FileChange, FileContent, GitError, Merge, Mode, NewCommit, Person};

use crate::world::{World, commit_of};

fn change(path: &str, mode: Mode, bytes: &[u8]) -> FileChange {
    FileChange {
        path: path.into(),
        content: FileContent::Bytes(mode, bytes.to_vec()),
    }
}

#[tokio::test]
async fn a_commit_is_read_as_it_was_made() {
    let world = World::new().await;
    let tree = world.repo.empty_tree().await.expect("a tree");
    let author = Person {
        name: "Äda <x>\nCommitter: y".to_owned(),
        email: "ada@example.com".to_owned(),
    };
    let committer = Person {
        name: " <> ".to_owned(),
        email: String::new(),
    };
    let message = "Add a thing\n\nWhy.\n\nNightshift-Issue: p#7\n";
    let new = NewCommit {
        tree: &tree,
        parents: &[],
        author: &author,
        committer: &committer,
        message,
        time: 1_700_000_000,
    };
    let id = world.repo.commit_tree(new).await.expect("a commit");
    let read = world.repo.commit(&id).await.expect("read");
    assert_eq!(read.author.name, "Äda xCommitter: y");
    assert_eq!(read.committer.name, "unknown");
    assert_eq!(read.committer.email, "unknown@localhost");
    assert_eq!((read.subject(), read.time), ("Add a thing", 1_700_000_000));
    assert_eq!(read.message, message.trim_end());
    assert_eq!((read.tree, read.parents.len()), (tree, 0));
    let missing = "1".repeat(40).parse().expect("an id");
    let none = world.repo.commit(&missing).await;
    assert!(matches!(none, Err(GitError::NoObject(_))), "{none:?}");
}

#[tokio::test]
async fn history_is_counted_and_compared() {
    let world = World::new().await;
    let one = world.commit(&[], &[("a", "1")]).await;
    let two = world
        .commit(std::slice::from_ref(&one), &[("a", "2")])
        .await;
    let three = world
        .commit(std::slice::from_ref(&two), &[("a", "3")])
        .await;
    let side = world
        .commit(std::slice::from_ref(&one), &[("b", "1")])
        .await;
    let alone = world.commit(&[], &[("c", "1")]).await;
    let repo = &world.repo;
    assert!(repo.is_ancestor(&one, &three).await.expect("answer"));
    assert!(repo.is_ancestor(&one, &one).await.expect("answer"));
    assert!(!repo.is_ancestor(&three, &one).await.expect("answer"));
    assert_eq!(
        repo.merge_base(&three, &side).await.expect("answer"),
        Some(one.clone())
    );
    assert_eq!(repo.merge_base(&three, &alone).await.expect("answer"), None);
    assert_eq!(repo.rev_count(&one, &three).await.expect("answer"), 2);
    let list = repo
        .commits_between(Some(&one), &three, 10)
        .await
        .expect("list");
    assert_eq!(
        list.iter().map(|c| &c.id).collect::<Vec<_>>(),
        [&three, &two]
    );
    assert_eq!(
        repo.commits_between(None, &three, 1)
            .await
            .expect("list")
            .len(),
        1
    );
}

#[tokio::test]
async fn a_tree_is_written_and_read_without_a_worktree() {
    let world = World::new().await;
    let repo = &world.repo;
    let base = repo
        .write_tree_with(
            None,
            &[
                change("dir/a b.txt", Mode::File, b"text\r\n"),
                change("run.sh", Mode::Executable, b"#!/bin/sh\n"),
                change("link", Mode::Symlink, b"/etc"),
                FileChange {
                    path: b"bytes-\xff"[..].into(),
                    content: FileContent::Bytes(Mode::File, vec![0, 1]),
                },
            ],
        )
        .await
        .expect("a tree");
    let blob = repo
        .read_blob(&base, "dir/a b.txt", 4)
        .await
        .expect("read")
        .expect("a file");
    assert_eq!(
        (blob.bytes.as_slice(), blob.size, blob.truncated),
        (&b"text"[..], 6, true)
    );
    let blob = repo
        .read_blob(&base, "dir/a b.txt", 6)
        .await
        .expect("read")
        .expect("a file");
    assert_eq!(
        (blob.bytes.as_slice(), blob.truncated),
        (&b"text\r\n"[..], false),
        "no conversion"
    );
    let link = repo
        .read_blob(&base, "link", 99)
        .await
        .expect("read")
        .expect("a link");
    assert_eq!(
        (link.bytes.as_slice(), link.mode),
        (&b"/etc"[..], Mode::Symlink)
    );
    let odd = repo
        .read_blob(&base, b"bytes-\xff", 99)
        .await
        .expect("read");
    assert_eq!(odd.expect("a file").bytes, [0, 1]);
    for none in [
        "",
        "dir",
        "dir/",
        "link/passwd",
        "nothing",
        "../x",
        "*",
        ":(glob)**",
    ] {
        assert_eq!(
            repo.read_blob(&base, none, 99).await.expect("read"),
            None,
            "{none}"
        );
    }
    let next = repo
        .write_tree_with(
            Some(&base),
            &[
                FileChange {
                    path: "run.sh".into(),
                    content: FileContent::Gone,
                },
                change("dir/sub/new", Mode::File, b"x"),
            ],
        )
        .await
        .expect("a tree");
    let (all, more) = repo.list_tree(&next, "", true, 10).await.expect("list");
    let paths: Vec<_> = all
        .iter()
        .map(|entry| entry.path.to_text().into_owned())
        .collect();
    assert_eq!(
        paths,
        ["bytes-\u{fffd}", "dir/a b.txt", "dir/sub/new", "link"]
    );
    assert!(!more);
    let (some, more) = repo.list_tree(&next, "dir", false, 1).await.expect("list");
    assert_eq!((some.len(), more), (1, true));
}

#[tokio::test]
async fn a_path_cannot_leave_the_tree_or_go_through_a_link() {
    let world = World::new().await;
    let base = world
        .repo
        .write_tree_with(
            None,
            &[
                change("link", Mode::Symlink, b"/tmp"),
                change("file", Mode::File, b"x"),
                change("dir/deep/x", Mode::File, b"x"),
            ],
        )
        .await
        .expect("a tree");
    for path in [
        "dir",
        "dir/deep",
        "link/x",
        "file/x",
        "../x",
        "/x",
        ".git/config",
        "a/.GIT/hooks/x",
        "git~1/x",
        "a\nb",
    ] {
        let written = world
            .repo
            .write_tree_with(Some(&base), &[change(path, Mode::File, b"x")])
            .await;
        assert!(
            matches!(written, Err(GitError::BadPath { .. })),
            "{path}: {written:?}"
        );
    }
}

#[tokio::test]
async fn a_link_can_be_replaced_when_that_is_said() {
    let world = World::new().await;
    let repo = &world.repo;
    let link = [change("link", Mode::Symlink, b"/tmp")];
    let base = repo.write_tree_with(None, &link).await.expect("a tree");
    let gone = FileChange {
        path: "link".into(),
        content: FileContent::Gone,
    };
    let new = change("link/x", Mode::File, b"x");
    let written = repo
        .write_tree_with(Some(&base), &[new.clone(), gone])
        .await
        .expect("a tree");
    let (files, _) = repo.list_tree(&written, "", true, 9).await.expect("list");
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].path, "link/x");
    for clash in [
        [new.clone(), new.clone()],
        [new, change("link", Mode::File, b"y")],
    ] {
        let written = repo.write_tree_with(None, &clash).await;
        assert!(
            matches!(written, Err(GitError::BadPath { .. })),
            "{written:?}"
        );
    }
}

#[tokio::test]
async fn a_merge_is_clean_or_names_its_conflicts() {
    let world = World::new().await;
    let repo = &world.repo;
    let base = world.commit(&[], &[("a", "1\n2\n3\n"), ("b", "1\n")]).await;
    let ours = world
        .commit(
            std::slice::from_ref(&base),
            &[("a", "0\n2\n3\n"), ("b", "1\n")],
        )
        .await;
    let theirs = world
        .commit(
            std::slice::from_ref(&base),
            &[("a", "1\n2\n3\n"), ("b", "2\n")],
        )
        .await;
    let clash = world
        .commit(std::slice::from_ref(&base), &[("a", "x\n2\n3\n")])
        .await;
    let Merge::Merged { tree } = repo.merge(&ours, &theirs, None).await.expect("merge") else {
        panic!("a clean merge conflicts");
    };
    let a = repo
        .read_blob(&tree, "a", 99)
        .await
        .expect("read")
        .expect("a file");
    let b = repo
        .read_blob(&tree, "b", 99)
        .await
        .expect("read")
        .expect("a file");
    assert_eq!(
        (a.bytes.as_slice(), b.bytes.as_slice()),
        (&b"0\n2\n3\n"[..], &b"2\n"[..])
    );
    let Merge::Conflicted { paths, reasons, .. } =
        repo.merge(&ours, &clash, None).await.expect("merge")
    else {
        panic!("a conflict was merged");
    };
    assert_eq!(paths, ["a"]);
    assert!(
        reasons.iter().any(|reason| reason.contains("content")),
        "{reasons:?}"
    );
    let Merge::Conflicted { paths, .. } = repo.merge(&theirs, &clash, None).await.expect("merge")
    else {
        panic!("a conflict was merged");
    };
    assert_eq!(paths, ["b"], "changed here, deleted there");
}

#[tokio::test]
async fn the_files_of_many_changes_are_named_at_once() {
    let world = World::new().await;
    let repo = &world.repo;
    let base = world
        .commit(&[], &[("a", "1\n"), ("s/b\u{e9} x", "1\n")])
        .await;
    let on = async |files: &[(&str, &str)]| world.commit(std::slice::from_ref(&base), files).await;
    let edited = on(&[("a", "2\n"), ("s/b\u{e9} x", "1\n")]).await;
    let renamed = on(&[("a", "1\n"), ("s/c", "1\n")]).await;
    let same = on(&[("a", "1\n"), ("s/b\u{e9} x", "1\n")]).await;
    let stranger = world.commit(&[], &[("z", "9\n")]).await;
    let cases: &[(&_, &[&str])] = &[
        (&edited, &["a"]),
        (&same, &[]),
        (&renamed, &["s/b\u{e9} x", "s/c"]),
        (&edited, &["a"]),
        (&stranger, &["a", "s/b\u{e9} x", "z"]),
        (&base, &[]),
    ];
    let pairs: Vec<_> = cases
        .iter()
        .map(|(new, _)| (base.clone(), (*new).clone()))
        .collect();
    let found = repo.touched(&pairs).await.expect("names");
    for ((new, expected), found) in cases.iter().zip(&found) {
        assert_eq!(found, expected, "{new}");
    }
    assert_eq!(found.len(), cases.len());
    assert!(repo.touched(&[]).await.expect("nothing").is_empty());
}

#[tokio::test]
async fn collisions_with_many_are_found_at_once_and_are_those_of_single_merges() {
    let world = World::new().await;
    let repo = &world.repo;
    let base = world
        .commit(&[], &[("a", "1\n"), ("b\u{e9} x", "1\n")])
        .await;
    let on = async |files: &[(&str, &str)]| world.commit(std::slice::from_ref(&base), files).await;
    let ours = on(&[("a", "2\n"), ("b\u{e9} x", "2\n")]).await;
    let clean = on(&[("a", "1\n"), ("b\u{e9} x", "1\n"), ("c", "1\n")]).await;
    let one = on(&[("a", "3\n"), ("b\u{e9} x", "1\n")]).await;
    let both = on(&[("a", "3\n"), ("b\u{e9} x", "3\n")]).await;
    let stranger = world.commit(&[], &[("a", "9\n")]).await;
    let cases: [(&[&nightshift_domain::git_name::ObjectId], &[&[&str]]); 4] = [
        (&[], &[]),
        (&[&both, &clean, &one], &[&["a", "b\u{e9} x"], &[], &["a"]]),
        (&[&clean], &[&[]]),
        // Without a common history there is nothing to merge, and the others are tried all the same.
        (
            &[&one, &stranger, &both],
            &[&["a"], &[], &["a", "b\u{e9} x"]],
        ),
    ];
    for (others, expected) in cases {
        let others: Vec<_> = others.iter().map(|id| (*id).clone()).collect();
        let found = repo.collisions(&ours, &others).await.expect("merges");
        let found: Vec<Vec<String>> = found
            .iter()
            .map(|paths| {
                paths
                    .iter()
                    .map(|path| path.to_text().into_owned())
                    .collect()
            })
            .collect();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_commit_is_replayed_elsewhere_with_an_explicit_base() {
    let world = World::new().await;
    let repo = &world.repo;
    let base = world.commit(&[], &[("a", "1\n")]).await;
    let first = world
        .commit(std::slice::from_ref(&base), &[("a", "1\n"), ("b", "1\n")])
        .await;
    let second = world
        .commit(
            std::slice::from_ref(&first),
            &[("a", "1\n"), ("b", "1\n"), ("c", "1\n")],
        )
        .await;
    let alone = world.commit(&[], &[("z", "1\n"), ("b", "1\n")]).await;
    let Merge::Merged { tree } = repo
        .merge(&alone, &second, Some(&first))
        .await
        .expect("merge")
    else {
        panic!("a clean replay conflicts");
    };
    let replayed = commit_of(repo, &tree, std::slice::from_ref(&alone)).await;
    let (files, _) = repo.list_tree(&replayed, "", true, 9).await.expect("list");
    let names: Vec<_> = files.iter().map(|f| f.path.to_string()).collect();
    assert_eq!(names, ["b", "c", "z"]);
    let edited = world.commit(&[], &[("z", "1\n"), ("a", "2\n")]).await;
    let without = world.commit(std::slice::from_ref(&base), &[]).await;
    let conflict = repo.merge(&edited, &without, Some(&base)).await;
    let Ok(Merge::Conflicted { paths, reasons, .. }) = conflict else {
        panic!("changed here, deleted there: {conflict:?}");
    };
    assert_eq!(paths, ["a"]);
    let both_named = reasons[0].contains(edited.as_str()) && reasons[0].contains(without.as_str());
    assert!(both_named, "{reasons:?}");
    let unrelated = repo.merge(&alone, &second, None).await;
    assert!(
        matches!(unrelated, Err(GitError::Unrelated { .. })),
        "{unrelated:?}"
    );
}
