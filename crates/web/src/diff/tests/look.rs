//! How small cases look: snapshots.

use nightshift_app::git::{FilePatch, Mode, Status};
use nightshift_domain::git_name::ObjectId;

use super::super::plan::{Shape, Why};
use super::super::{Budget, Layout, Seen, plan};
use super::page::Node;
use super::sample::{hunk, side};
use super::{patch, render};

/// Breaks the line before each block, so that a change of the snapshot can be read.
fn broken(page: &str) -> String {
    Node::read(page);
    [
        "<h3", "<p", "<details", "<table", "<tbody", "<tr", "<td", "</table",
    ]
    .iter()
    .fold(page.to_owned(), |page, tag| {
        page.replace(tag, &format!("\n{tag}"))
    })
}

fn code() -> FilePatch {
    let lines = [
        " fn main() {",
        "-    let a = 1; // <one>",
        "+    let a = 2; // <two>",
        "+    run(\"a\");\r",
        " }",
        "\\",
    ];
    let mut hunk = hunk(11, 12, &lines);
    hunk.heading = bytes::Bytes::from_static(b"mod <a>");
    let mut patch = patch("src/main.rs", vec![hunk]);
    (patch.file.additions, patch.file.deletions) = (2, 1);
    patch
}

#[test]
fn unified() {
    let page = render(&code(), |o| o.comment = Some("/p/demo/changes/7?comment="));
    insta::assert_snapshot!(broken(&page));
}

#[test]
fn split() {
    let page = render(&code(), |o| o.layout = Layout::Split);
    insta::assert_snapshot!(broken(&page));
}

/// The notes of a file as text.
fn notes(patch: &FilePatch, shape: Option<Shape>) -> String {
    let page = Node::read(&render(patch, |o| o.shape = shape.unwrap_or(o.shape)));
    let notes = page.all(&|node| node.tag == "p");
    let notes: Vec<String> = notes.iter().map(|node| node.text()).collect();
    notes.join("\n")
}

#[test]
fn every_kind_of_change_says_what_it_is() {
    let id = |digit: &str| -> ObjectId { digit.repeat(40).parse().expect("an id") };
    let modes = |old: Option<Mode>, new: Option<Mode>| {
        let mut patch = patch("a", Vec::new());
        patch.file.old = old.map(|mode| side("a", mode));
        patch.file.new = new.map(|mode| side("a", mode));
        patch
    };
    let mut moved = patch("new/a", Vec::new());
    moved.file.status = Status::Renamed;
    moved.file.old = Some(side("old/a", Mode::File));
    moved.file.similarity = 100;
    let mut binary = patch("a.bin", Vec::new());
    binary.file.binary = true;
    let mut image = patch("a.PNG", Vec::new());
    image.file.binary = true;
    let mut commits = modes(Some(Mode::Submodule), Some(Mode::Submodule));
    for (side, digit) in [(&mut commits.file.old, "1"), (&mut commits.file.new, "2")] {
        side.as_mut().expect("a side").id = id(digit);
    }
    commits.hunks = Some(vec![hunk(
        1,
        1,
        &["-Subproject commit 1", "+Subproject commit 2"],
    )]);
    let mut ignored = modes(Some(Mode::File), Some(Mode::File));
    ignored.file.new.as_mut().expect("a side").id = id("2");
    let mut missing = code();
    missing.hunks = None;
    let cases = [
        ("renamed", notes(&moved, None)),
        ("binary", notes(&binary, None)),
        ("image", notes(&image, None)),
        ("submodule", notes(&commits, None)),
        ("white space only", notes(&ignored, None)),
        (
            "executable",
            notes(&modes(Some(Mode::File), Some(Mode::Executable)), None),
        ),
        (
            "new executable",
            notes(&modes(None, Some(Mode::Executable)), None),
        ),
        (
            "new empty file",
            notes(&modes(None, Some(Mode::File)), None),
        ),
        (
            "file to link",
            notes(&modes(Some(Mode::File), Some(Mode::Symlink)), None),
        ),
        (
            "deleted link",
            notes(&modes(Some(Mode::Symlink), None), None),
        ),
        (
            "not UTF-8",
            notes(&patch("a", vec![hunk(1, 1, &[b"+\xff"])]), None),
        ),
        (
            "trojan",
            notes(&patch("a", vec![hunk(1, 1, &["+\u{2066}"])]), None),
        ),
        (
            "trojan gone",
            notes(&patch("a", vec![hunk(1, 1, &["-\u{2066}"])]), None),
        ),
        ("missing", notes(&missing, None)),
        ("viewed", notes(&code(), Some(Shape::Later(Why::Viewed)))),
        (
            "generated",
            notes(&code(), Some(Shape::Later(Why::Generated))),
        ),
        ("large", notes(&code(), Some(Shape::Later(Why::Large)))),
        ("rest", notes(&code(), Some(Shape::Later(Why::Rest)))),
    ];
    let list: Vec<String> = cases
        .iter()
        .map(|(name, said)| format!("## {name}\n{said}\n"))
        .collect();
    insta::assert_snapshot!(list.join("\n"));
}

#[test]
fn a_closed_file_has_no_lines_but_a_way_to_them() {
    let page = render(&code(), |o| {
        o.shape = Shape::Later(Why::Rest);
        o.index = 4;
    });
    assert!(!page.contains("<table"));
    let page = Node::read(&page);
    let load = page.all(&|node| node.has_class("load"));
    assert_eq!(
        load[0].attribute("href"),
        Some("/p/demo/changes/7?open=4#f4")
    );
}

#[test]
fn more_lines_are_a_link_that_works_without_scripts() {
    let lines = ["+a", " b", " c", " d"];
    let page = render(
        &patch("a", vec![hunk(9, 9, &lines), hunk(900, 900, &lines)]),
        |o| {
            o.page = "/p/demo/changes/7?w=1";
        },
    );
    let page = Node::read(&page);
    let more: Vec<_> = page
        .all(&|node| node.has_class("more"))
        .iter()
        .filter_map(|node| node.attribute("href"))
        .collect();
    let link = |context: u32| format!("/p/demo/changes/7?w=1&context={context}&file=0#f0");
    assert_eq!(more, [link(11), link(23), link(23)]);
}

#[test]
fn a_change_of_ten_thousand_lines_is_small_on_the_first_screen() {
    let lines: Vec<String> = (0..100).map(|n| format!("+let a{n} = {n};")).collect();
    let files: Vec<FilePatch> = (0..100)
        .map(|n| patch(format!("src/{n}.rs"), vec![hunk(0, 1, &lines)]))
        .collect();
    let shapes = plan(&files, &Seen::default(), Budget::default());
    let open = shapes
        .iter()
        .filter(|shape| matches!(shape, Shape::Open { .. }));
    assert_eq!(open.count(), 10);
    let page: usize = files
        .iter()
        .zip(&shapes)
        .map(|(file, shape)| render(file, |o| o.shape = *shape).len())
        .sum();
    assert!(page < 400_000, "the page has {page} bytes");
}
