//! Files of the working tree: read, write, edit.
//!
//! Invariant: only plain files below the tree are opened, links followed and then looked at again;
//! what comes back has a bound. Every mistake is words for the model. The sandbox is the wall, not
//! this; a path outside is refused since it is a mistake. Deliberately absent: rights, ownership.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Component, Path, PathBuf};

/// What one reading gives at most.
const MOST: usize = 48 << 10;
/// The longest line that is given whole.
const LINE: usize = 2_000;
/// Names of a folder at most.
const NAMES: usize = 500;
/// The largest file that is edited.
const EDITED: u64 = 8 << 20;

/// Lines of a file, or the names in a folder.
pub(super) fn read(tree: &Path, path: &str, offset: u64, limit: u64) -> Result<String, String> {
    let place = resolve(tree, path)?;
    let about = fs::metadata(&place).map_err(|error| format!("{path}: {error}"))?;
    if about.is_dir() {
        return list(&place, path);
    }
    if !about.is_file() {
        return Err(format!("{path} is no file"));
    }
    let file = File::open(&place).map_err(|error| format!("{path}: {error}"))?;
    let mut file = BufReader::new(file);
    let start = file
        .fill_buf()
        .map_err(|error| format!("{path}: {error}"))?;
    if start.contains(&0) {
        return Err(format!(
            "{path} is binary ({} bytes): look at it with bash",
            about.len()
        ));
    }
    let mut text = String::new();
    let mut number = 0;
    loop {
        let Some(line) = next_line(&mut file).map_err(|error| format!("{path}: {error}"))? else {
            return Ok(match text.is_empty() {
                true if number == 0 => "[the file is empty]".to_owned(),
                true => format!("[the file has {number} lines]"),
                false => text,
            });
        };
        number += 1;
        if number < offset {
            continue;
        }
        if number - offset >= limit || text.len() + line.len() > MOST {
            text.push_str(&format!("[there is more: read on with offset {number}]"));
            return Ok(text);
        }
        text.push_str(&line);
    }
}

/// A line with its end, cut where it is too long; the whole of it is read over.
fn next_line(file: &mut BufReader<File>) -> std::io::Result<Option<String>> {
    let mut kept = Vec::new();
    let mut left_out = 0;
    let mut any = false;
    loop {
        let buffer = file.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = end.map_or(buffer, |end| &buffer[..=end]);
        let room = (LINE - kept.len()).min(part.len());
        kept.extend_from_slice(&part[..room]);
        left_out += part.len() - room;
        let used = part.len();
        file.consume(used);
        if end.is_some() {
            break;
        }
    }
    let mut line = String::from_utf8_lossy(&kept).into_owned();
    if left_out > 0 {
        line.push_str(&format!("[{left_out} more bytes of this line]\n"));
    }
    Ok(any.then_some(line))
}

fn list(place: &Path, path: &str) -> Result<String, String> {
    let entries = fs::read_dir(place).map_err(|error| format!("{path}: {error}"))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| {
            let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let name = entry.file_name().to_string_lossy().into_owned();
            if folder { format!("{name}/") } else { name }
        })
        .collect();
    names.sort();
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    if more > 0 {
        names.push(format!("[{more} more]"));
    }
    Ok(match names.is_empty() {
        true => "[the folder is empty]".to_owned(),
        false => names.join("\n"),
    })
}

/// A whole file, in place of what was there.
pub(super) fn write(tree: &Path, path: &str, content: &str) -> Result<String, String> {
    let place = resolve(tree, path)?;
    if fs::metadata(&place).is_ok_and(|about| !about.is_file()) {
        return Err(format!("{path} is no file"));
    }
    let folder = place.parent().unwrap_or(tree);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&place, content))
        .map_err(|error| format!("{path}: {error}"))?;
    Ok(format!("{path}: {} bytes written", content.len()))
}

/// One place of a file, or all alike.
pub(super) fn edit(
    tree: &Path,
    path: &str,
    old: &str,
    new: &str,
    all: bool,
) -> Result<String, String> {
    let place = resolve(tree, path)?;
    let about = fs::metadata(&place).map_err(|error| format!("{path}: {error}"))?;
    if !about.is_file() {
        return Err(format!("{path} is no file"));
    }
    if about.len() > EDITED {
        return Err(format!("{path} is too large to edit: use bash"));
    }
    let mut bytes = Vec::new();
    File::open(&place)
        .and_then(|file| file.take(EDITED).read_to_end(&mut bytes))
        .map_err(|error| format!("{path}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{path} is no text: use bash"))?;
    let (text, count) = replaced(&text, old, new, all).map_err(|why| format!("{path}: {why}"))?;
    fs::write(&place, text).map_err(|error| format!("{path}: {error}"))?;
    Ok(match count {
        1 => format!("{path}: replaced"),
        _ => format!("{path}: {count} places replaced"),
    })
}

fn replaced(text: &str, old: &str, new: &str, all: bool) -> Result<(String, usize), String> {
    if old.is_empty() {
        return Err("`old` is empty: to make a file use write".to_owned());
    }
    if old == new {
        return Err("`old` and `new` are the same".to_owned());
    }
    // Models write line feeds alone, whatever the file has.
    let (mut old, mut new) = (old.to_owned(), new.to_owned());
    if !text.contains(&old) && text.contains("\r\n") {
        for words in [&mut old, &mut new] {
            *words = words.replace("\r\n", "\n").replace('\n', "\r\n");
        }
    }
    match text.matches(&old).count() {
        0 => Err("`old` does not occur in it: read the file again, and give the text exactly, with its white space".to_owned()),
        1 => Ok((text.replacen(&old, &new, 1), 1)),
        count if all => Ok((text.replace(&old, &new), count)),
        count => Err(format!("`old` occurs {count} times: give more of the lines around it, or set `all`")),
    }
}

/// Where a path leads, if that is in the tree. The file itself need not be there.
fn resolve(tree: &Path, path: &str) -> Result<PathBuf, String> {
    let outside = || {
        format!(
            "{path} is outside of the working tree {}: use bash",
            tree.display()
        )
    };
    if path.is_empty() || path.contains('\0') {
        return Err("`path` is no path".to_owned());
    }
    let tree = tree.canonicalize().map_err(|error| error.to_string())?;
    let wanted = tree.join(path);
    let mut there = wanted.as_path();
    let real = loop {
        match there.canonicalize() {
            Ok(real) => break real,
            // A link that leads nowhere is not made the name of a file elsewhere.
            Err(_) if there.is_symlink() => return Err(format!("{path} goes over a broken link")),
            Err(_) => there = there.parent().ok_or_else(outside)?,
        }
    };
    let rest = wanted.strip_prefix(there).map_err(|_| outside())?;
    let plain = rest
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    match real.starts_with(&tree) && plain {
        true if rest.as_os_str().is_empty() => Ok(real),
        true => Ok(real.join(rest)),
        false => Err(outside()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        let tree = dir.path();
        fs::create_dir(tree.join("src")).expect("a folder");
        fs::write(tree.join("src/a.txt"), "one\ntwo\nthree\n").expect("a file");
        fs::write(tree.join("empty"), "").expect("a file");
        fs::write(tree.join("picture"), b"\x89PNG\0\x01").expect("a file");
        fs::write(tree.join("latin"), b"caf\xe9\n").expect("a file");
        symlink("/etc", tree.join("out")).expect("a link");
        symlink("/nowhere/x", tree.join("broken")).expect("a link");
        symlink("src/a.txt", tree.join("in")).expect("a link");
        dir
    }

    #[test]
    fn lines_are_read_by_parts() {
        let dir = tree();
        let read = |path: &str, offset, limit| super::read(dir.path(), path, offset, limit);
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(read("src/a.txt", 1, 100), ok("one\ntwo\nthree\n"));
        assert_eq!(
            read("src/a.txt", 2, 1),
            ok("two\n[there is more: read on with offset 3]")
        );
        assert_eq!(read("src/a.txt", 9, 1), ok("[the file has 3 lines]"));
        assert_eq!(read("./in", 3, 1), ok("three\n"));
        assert_eq!(read("empty", 1, 1), ok("[the file is empty]"));
        assert_eq!(read("src", 1, 1), ok("a.txt"));
        let names = "broken\nempty\nin\nlatin\nout\npicture\nsrc/";
        assert_eq!(read(".", 1, 1), ok(names));
        assert_eq!(read("latin", 1, 1), ok("caf\u{fffd}\n"));
        let absolute = dir.path().join("src/a.txt");
        assert_eq!(read(&absolute.to_string_lossy(), 3, 1), ok("three\n"));
    }

    #[test]
    fn what_is_huge_is_given_by_parts_and_what_is_no_text_not_at_all() {
        let dir = tree();
        let long = format!("{}\nend\n", "x".repeat(10_000_000));
        fs::write(dir.path().join("long"), long).expect("a file");
        let text = read(dir.path(), "long", 1, 10).expect("lines");
        assert!(
            text.ends_with("[9998001 more bytes of this line]\nend\n"),
            "{}",
            &text[text.len() - 80..]
        );
        fs::write(dir.path().join("many"), "line\n".repeat(100_000)).expect("a file");
        let text = read(dir.path(), "many", 1, 100_000).expect("lines");
        assert!(text.len() <= MOST + 100, "{}", text.len());
        assert!(text.ends_with("[there is more: read on with offset 9831]"));
        let binary = read(dir.path(), "picture", 1, 1).expect_err("binary");
        assert_eq!(binary, "picture is binary (6 bytes): look at it with bash");
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        for told in [
            read(dir.path(), "pipe", 1, 1),
            write(dir.path(), "pipe", "x"),
            edit(dir.path(), "pipe", "x", "y", false),
        ] {
            assert_eq!(told, Err("pipe is no file".to_owned()), "it does not wait");
        }
    }

    #[test]
    fn a_path_that_leads_outside_is_a_mistake() {
        let dir = tree();
        for path in [
            "/etc/passwd",
            "../x",
            "src/../../x",
            "out/passwd",
            "out/new",
            "broken",
            "new/../../x",
            "",
            "a\0b",
        ] {
            for told in [
                read(dir.path(), path, 1, 1),
                write(dir.path(), path, "x"),
                edit(dir.path(), path, "x", "y", false),
            ] {
                assert!(told.is_err(), "{path:?}: {told:?}");
            }
        }
        assert!(!Path::new("/nowhere").exists());
    }

    #[test]
    fn files_are_written_and_edited() {
        let dir = tree();
        let tree = dir.path();
        let text = |path: &str| fs::read_to_string(tree.join(path)).expect("a file");
        write(tree, "new/deep/b.txt", "b\n").expect("written");
        assert_eq!(text("new/deep/b.txt"), "b\n");
        edit(tree, "in", "two", "2", false).expect("edited");
        assert_eq!(text("src/a.txt"), "one\n2\nthree\n");
        assert!(tree.join("in").is_symlink(), "a link stays one");
        assert!(write(tree, "src", "x").is_err());

        let of = |text: &str, old: &str, new: &str, all| replaced(text, old, new, all);
        assert_eq!(of("a a", "a", "b", true), Ok(("b b".to_owned(), 2)));
        assert_eq!(
            of("a\r\nb\r\nc", "a\nb", "a\nx\nb", false),
            Ok(("a\r\nx\r\nb\r\nc".to_owned(), 1))
        );
        for (old, told) in [
            ("", "`old` is empty"),
            ("x", "`old` does not occur"),
            ("a", "`old` occurs 2 times"),
            ("b", "`old` and `new` are the same"),
        ] {
            let error = of("a a", old, "b", false).expect_err("wrong");
            assert!(error.starts_with(told), "{error}");
        }
    }
}
