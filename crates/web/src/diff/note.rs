//! What is to be said about a changed file beside its lines: moves, modes, links, submodules,
//! images, and why there are no lines.
//!
//! Nothing that changed goes unsaid: a file whose lines do not differ says what does. Deliberately
//! absent: the lines.

use maud::{Markup, html};
use nightshift_app::git::{FileDiff, FilePatch, GitPath, Mode, Side, Status};

use super::line::plain;
use super::options::{Options, href};
use super::rows::Rows;
use super::text::Text;
use super::wording::{Wording, fill};

/// Endings of images that browsers show and git takes for binary.
const IMAGES: &[&str] = &[
    "apng", "avif", "bmp", "gif", "ico", "jpeg", "jpg", "png", "webp",
];

/// All notes of a file, in the order in which they matter. `rows` when its lines are shown.
pub(super) fn notes(patch: &FilePatch, rows: Option<&Rows<'_>>, o: &Options<'_>) -> Markup {
    let (file, w) = (&patch.file, o.wording);
    let (old, new) = (file.old.as_ref(), file.new.as_ref());
    html! {
        @if rows.is_some_and(|rows| rows.misleads) { p.note.warn { (w.misleads) } }
        @if rows.is_some_and(|rows| rows.lossy) { p.note { (w.lossy) } }
        @if matches!(file.status, Status::Renamed | Status::Copied) { (moved(file, w)) }
        (modes(old, new, w))
        @if has(file, Mode::Symlink) { p.note { (w.target) } }
        @if let Some(commits) = commits(old, new, w) {
            (commits)
        } @else if file.binary {
            (binary(file.path(), o))
        } @else if patch.hunks.as_ref().is_some_and(Vec::is_empty) {
            p.note { (no_lines(file, w)) }
        }
    }
}

/// Whether it is and was nothing else than a commit of another repository: git's lines about it
/// are left out.
pub(super) fn is_submodule(file: &FileDiff) -> bool {
    sides(file).all(|side| side.mode == Mode::Submodule)
}

fn has(file: &FileDiff, mode: Mode) -> bool {
    sides(file).any(|side| side.mode == mode)
}

fn sides(file: &FileDiff) -> impl Iterator<Item = &Side> {
    [&file.old, &file.new].into_iter().flatten()
}

fn moved(file: &FileDiff, w: &Wording) -> Markup {
    let name = |side: &Option<Side>| {
        let text = side
            .as_ref()
            .map(|side| Text::of(side.path.as_bytes()))
            .unwrap_or_default();
        html! { code { (plain(&text, w)) } }
    };
    let alike = html! { (file.similarity) };
    html! { p.note { (fill(w.moved, &[name(&file.old), name(&file.new), alike])) } }
}

/// Says what kind of entry it was and is, unless it is and stays a plain file.
fn modes(old: Option<&Side>, new: Option<&Side>, w: &Wording) -> Markup {
    let name =
        |side: &Side| html! { (mode_name(side.mode, w)) " (" code { (side.mode.as_str()) } ")" };
    let words = match (old, new) {
        (Some(old), Some(new)) if old.mode != new.mode => fill(w.mode, &[name(old), name(new)]),
        (_, Some(side)) if tells(old, side) => fill(w.is_mode, &[name(side)]),
        (Some(side), None) if side.mode != Mode::File => fill(w.was_mode, &[name(side)]),
        _ => return html! {},
    };
    html! { p.note { (words) } }
}

/// That an executable file stays one need not be said.
fn tells(old: Option<&Side>, new: &Side) -> bool {
    match new.mode {
        Mode::File => false,
        Mode::Executable => old.is_none(),
        Mode::Symlink | Mode::Tree | Mode::Submodule => true,
    }
}

fn mode_name(mode: Mode, w: &Wording) -> &'static str {
    match mode {
        Mode::File => w.plain,
        Mode::Executable => w.executable,
        Mode::Symlink => w.symlink,
        Mode::Tree => w.directory,
        Mode::Submodule => w.submodule,
    }
}

/// The commit that a submodule stands at.
fn commit(side: Option<&Side>) -> Option<&str> {
    side.filter(|side| side.mode == Mode::Submodule)
        .map(|side| side.id.as_str())
}

/// The commits of a submodule.
fn commits(old: Option<&Side>, new: Option<&Side>, w: &Wording) -> Option<Markup> {
    let (old, new) = (commit(old), commit(new));
    if old.is_none() && new.is_none() {
        return None;
    }
    let name = |id: Option<&str>| html! { code { (id.unwrap_or("-")) } };
    Some(html! { p.note { (fill(w.moved_commit, &[name(old), name(new)])) } })
}

fn binary(path: &GitPath, o: &Options<'_>) -> Markup {
    let w = o.wording;
    let name = path.to_text().to_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let image = IMAGES.contains(&ending);
    html! {
        p.note.binary data-image[image] {
            (if image { w.image } else { w.binary })
            @for (address, word) in [(o.before, w.before), (o.after, w.after)] {
                @if let Some(address) = address.and_then(href) {
                    " " a href=(address) { (word) }
                }
            }
        }
    }
}

/// Why a file without lines is in the list.
fn no_lines(file: &FileDiff, w: &Wording) -> &'static str {
    match (&file.old, &file.new) {
        (Some(old), Some(new)) if old.id == new.id => w.unchanged,
        (Some(_), Some(_)) => w.ignored,
        (None, _) | (_, None) => w.empty,
    }
}
