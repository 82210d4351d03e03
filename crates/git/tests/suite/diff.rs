//! Comparing: renames, binaries, line ends, modes, hunks.

use futures_util::TryStreamExt as _;
use nightshift_domain::git_name::ObjectId;
use nightshift_git::{
    DiffOptions, FileChange, FileContent, FileDiff, GitPath, LineKind, Mode, Status,
};

use crate::world::World;

async fn tree(world: &World, files: &[(&str, Mode, &[u8])]) -> ObjectId {
    let changes: Vec<_> = files
        .iter()
        .map(|(path, mode, bytes)| FileChange {
            path: (*path).into(),
            content: FileContent::Bytes(*mode, bytes.to_vec()),
        })
        .collect();
    world
        .repo
        .write_tree_with(None, &changes)
        .await
        .expect("a tree")
}

const TEXT: &[u8] = b"one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n";

async fn two(world: &World) -> (ObjectId, ObjectId) {
    let old = tree(
        world,
        &[
            ("bin", Mode::File, b"\0\x01old"),
            ("crlf", Mode::File, b"a\nb\nc\n"),
            ("gone", Mode::File, b"bye\n"),
            ("link", Mode::Symlink, b"target"),
            ("mode", Mode::File, b"x\n"),
            ("old name", Mode::File, TEXT),
            ("space", Mode::File, b"a b\n"),
        ],
    )
    .await;
    let new = tree(
        world,
        &[
            ("bin", Mode::File, b"\0\x01new!"),
            ("crlf", Mode::File, b"a\r\nb\r\nc\r\n"),
            ("link", Mode::File, b"a file now\n"),
            ("mode", Mode::Executable, b"x\n"),
            ("n\"ew ü", Mode::File, b"new\nno end"),
            ("new name", Mode::File, &[TEXT, b"nine\n"].concat()),
            ("space", Mode::File, b"a  b\n"),
        ],
    )
    .await;
    (old, new)
}

fn find<'a>(files: &'a [FileDiff], path: &str) -> &'a FileDiff {
    files
        .iter()
        .find(|file| *file.path() == path)
        .unwrap_or_else(|| panic!("{path} is missing"))
}

#[tokio::test]
async fn every_kind_of_change_is_told() {
    let world = World::new().await;
    let (old, new) = two(&world).await;
    let diff = world
        .repo
        .diff(&old, &new, &DiffOptions::default())
        .await
        .expect("a diff");
    let status = |path| find(&diff.files, path).status;
    assert_eq!(status("bin"), Status::Modified);
    assert!(find(&diff.files, "bin").binary);
    assert_eq!(status("gone"), Status::Deleted);
    assert_eq!(status("link"), Status::TypeChanged);
    assert_eq!(status("mode"), Status::Modified);
    assert!(find(&diff.files, "mode").mode_changed());
    assert_eq!(status("n\"ew ü"), Status::Added);
    let renamed = find(&diff.files, "new name");
    assert_eq!(renamed.status, Status::Renamed);
    assert_eq!(
        renamed
            .old
            .as_ref()
            .map(|side| side.path.to_string())
            .as_deref(),
        Some("old name")
    );
    assert_eq!((renamed.additions, renamed.deletions), (1, 0));
    assert!(renamed.similarity > 50);
    let apart = DiffOptions {
        renames: false,
        ..DiffOptions::default()
    };
    let diff = world.repo.diff(&old, &new, &apart).await.expect("a diff");
    assert_eq!(find(&diff.files, "new name").status, Status::Added);
    let some = DiffOptions {
        paths: vec![GitPath::from("crlf")],
        ..DiffOptions::default()
    };
    let diff = world.repo.diff(&old, &new, &some).await.expect("a diff");
    assert_eq!(
        (diff.files.len(), diff.additions(), diff.deletions()),
        (1, 3, 3)
    );
}

#[tokio::test]
async fn facts_tell_churn_of_line_ends_from_change() {
    let world = World::new().await;
    let (old, new) = two(&world).await;
    let facts = world.repo.diff_facts(&old, &new).await.expect("facts");
    let find = |path: &str| {
        facts
            .iter()
            .find(|fact| *fact.file.path() == path)
            .expect("a file")
    };
    let crlf = find("crlf");
    assert!(crlf.only_line_ends());
    assert_eq!((crlf.file.additions, crlf.additions_ignoring_cr), (3, 0));
    assert_eq!(crlf.new_text.map(|text| (text.crlf, text.lf)), Some((3, 0)));
    assert!(!find("new name").only_line_ends());
    assert!(!find("mode").only_line_ends());
    let bin = find("bin");
    assert_eq!((bin.old_size, bin.new_size, bin.new_text), (5, 6, None));
    let added = find("n\"ew ü");
    assert_eq!(added.new_text.map(|text| text.final_newline), Some(false));
    assert_eq!(added.old_text, None);
}

#[tokio::test]
async fn lines_are_told_with_their_numbers() {
    let world = World::new().await;
    let (old, new) = two(&world).await;
    let options = DiffOptions {
        context: 1,
        ..DiffOptions::default()
    };
    let patch = world
        .repo
        .patch(&old, &new, &options, 1 << 20)
        .await
        .expect("a patch");
    assert!(!patch.truncated);
    let hunks = |path: &str| {
        let file = patch
            .files
            .iter()
            .find(|file| *file.file.path() == path)
            .expect("a file");
        file.hunks.as_ref().expect("lines")
    };
    assert!(hunks("bin").is_empty());
    assert!(hunks("mode").is_empty());
    assert_eq!(hunks("link").len(), 2, "the link goes, the file comes");
    let last = hunks("new name").first().expect("a hunk");
    let line = last.lines.last().expect("a line");
    assert_eq!(
        (line.kind, line.new_number, &line.bytes[..]),
        (LineKind::Added, Some(9), &b"nine"[..])
    );
    assert_eq!(last.lines[0].old_number, Some(8));
    let crlf = hunks("crlf").first().expect("a hunk");
    assert!(crlf.lines.iter().any(|line| &line.bytes[..] == b"a\r"));
    let added = hunks("n\"ew ü").first().expect("a hunk");
    assert!(added.lines.last().expect("a line").no_newline);
    assert!(!added.lines[0].no_newline);
}

#[tokio::test]
async fn ignored_changes_leave_the_files_in_step() {
    let world = World::new().await;
    let (old, new) = two(&world).await;
    let options = DiffOptions {
        ignore_whitespace: true,
        ..DiffOptions::default()
    };
    let patch = world
        .repo
        .patch(&old, &new, &options, 1 << 20)
        .await
        .expect("a patch");
    for file in &patch.files {
        let hunks = file.hunks.as_ref().expect("lines");
        let added: usize = hunks
            .iter()
            .flat_map(|h| &h.lines)
            .filter(|l| l.kind == LineKind::Added)
            .count();
        assert_eq!(added as u64, file.file.additions, "{}", file.file.path());
        let expected = usize::from(matches!(
            &*file.file.path().to_text(),
            "gone" | "n\"ew ü" | "new name"
        ));
        if *file.file.path() != "link" {
            assert_eq!(hunks.len(), expected, "{}", file.file.path());
        }
    }
}

#[tokio::test]
async fn a_patch_counts_its_lines_as_git_does() {
    let world = World::new().await;
    let (old, new) = two(&world).await;
    let default = DiffOptions::default();
    for options in [
        DiffOptions {
            renames: false,
            ..default.clone()
        },
        DiffOptions {
            ignore_whitespace: true,
            ..default.clone()
        },
        DiffOptions {
            ignore_cr_at_eol: true,
            ..default.clone()
        },
        DiffOptions {
            context: 0,
            ..default
        },
    ] {
        let diff = world.repo.diff(&old, &new, &options).await.expect("a diff");
        for limit in [100, 700, 1 << 20] {
            let patch = world.repo.patch(&old, &new, &options, limit).await;
            let files = patch.expect("a patch").files.into_iter();
            let files: Vec<_> = files.map(|file| file.file).collect();
            assert_eq!(files, diff.files, "{options:?} {limit}");
        }
    }
}

#[tokio::test]
async fn a_patch_over_the_limit_says_what_is_missing() {
    let world = World::new().await;
    let (old, new) = two(&world).await;
    let options = DiffOptions::default();
    let whole = world
        .repo
        .patch(&old, &new, &options, 1 << 20)
        .await
        .expect("a patch");
    for limit in [0, 1, 100, 400, 700, 1000] {
        let cut = world
            .repo
            .patch(&old, &new, &options, limit)
            .await
            .expect("a patch");
        assert!(cut.truncated, "{limit}");
        for (cut, whole) in cut.files.iter().zip(&whole.files) {
            if cut.hunks.is_some() {
                assert_eq!(cut, whole, "what is there is complete");
            }
        }
    }
}

#[tokio::test]
async fn the_text_of_a_patch_can_be_applied() {
    let world = World::new().await;
    let (old, new) = two(&world).await;
    let stream = world
        .repo
        .patch_text(&old, &new, &DiffOptions::default())
        .expect("a stream");
    let pieces: Vec<_> = stream.try_collect().await.expect("a whole patch");
    let text = pieces.concat();
    let index = world.path("index");
    let env = [
        ("GIT_INDEX_FILE", index.to_str().expect("text")),
        ("GIT_DIR", world.repo.path().to_str().expect("text")),
    ];
    let run = |args: &[&str], input: &[u8]| {
        let (good, said) = crate::world::client_with(world.dir.path(), args, &env, input);
        assert!(good, "{said}");
        said.trim().to_owned()
    };
    run(&["read-tree", old.as_str()], b"");
    run(&["apply", "--cached", "--whitespace=nowarn"], &text);
    assert_eq!(run(&["write-tree"], b""), new.to_string());
}
