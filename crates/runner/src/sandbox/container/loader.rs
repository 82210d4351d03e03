//! How our own program starts in a system that is not the one it was linked to.
//!
//! A program that is linked to this machine's libraries does not start where there are others, or none:
//! in an image of another distribution, of another C library, or with one static file. So the loader
//! and the libraries are put beside it, once, when a runner starts, and it is started by that loader.
//! Invariant: nothing of the image is read on the way to our first instruction: neither its libraries,
//! nor its cache of them, nor what it wants loaded before. A program that is linked to nothing needs
//! none of this. Deliberately absent: any other program.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sandbox::error::{Part, SandboxError};
use crate::sandbox::remove::remove_tree;
use crate::sandbox::spec::{self, SandboxProgram};

/// The loader's name among what is put beside the program.
const LOADER: &str = "loader";
/// Where the program itself is mounted.
const PROGRAM: &str = "program";
/// What starts the program where somebody has its path only.
const SCRIPT: &str = "start";

/// What is put beside our program, on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loader {
    folder: PathBuf,
    words: Vec<String>,
}

impl Loader {
    /// Composes the folder anew; none where the program needs nothing. Nothing may be using it.
    pub(super) fn prepare(
        program: &SandboxProgram,
        folder: &Path,
    ) -> Result<Option<Self>, SandboxError> {
        let shown = program.path.display();
        let failed = |e: &dyn std::fmt::Display| {
            SandboxError::part(Part::Program, format!("{shown}: its libraries: {e}"))
        };
        let head = head(&program.path).map_err(|e| failed(&e))?;
        let interpreter = interpreter(&head).map_err(|e| failed(&e))?;
        remove_tree(folder).map_err(|e| failed(&e))?;
        let Some(interpreter) = interpreter else {
            return Ok(None);
        };
        let listed = list(&interpreter, &program.path).map_err(|e| failed(&e))?;
        let needed = needed(&listed, &interpreter).map_err(|e| failed(&e))?;
        let words = words(&interpreter, &program.prefix_args);
        compose(folder, &interpreter, &needed, &words).map_err(|e| failed(&e))?;
        Ok(Some(Self {
            folder: folder.to_owned(),
            words,
        }))
    }

    /// The words that start our program inside, before any argument.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// What is to be visible for it, in this order: on this machine, and inside.
    pub(super) fn binds(&self, program: &Path) -> [(PathBuf, String); 3] {
        [
            (self.folder.clone(), spec::LIB.to_owned()),
            (program.to_owned(), format!("{}/{PROGRAM}", spec::LIB)),
            (self.folder.join(SCRIPT), spec::PROGRAM.to_owned()),
        ]
    }
}

fn words(interpreter: &Path, prefix: &[String]) -> Vec<String> {
    let mut words = vec![format!("{}/{LOADER}", spec::LIB)];
    // An option of the GNU C library's loader, which alone has such a cache.
    let name = interpreter.file_name().unwrap_or_default();
    if name.to_string_lossy().starts_with("ld-linux") {
        words.push("--inhibit-cache".to_owned());
    }
    words.extend(["--library-path", spec::LIB].map(str::to_owned));
    words.push(format!("{}/{PROGRAM}", spec::LIB));
    words.extend_from_slice(prefix);
    words
}

fn compose(
    folder: &Path,
    interpreter: &Path,
    needed: &[(String, PathBuf)],
    words: &[String],
) -> io::Result<()> {
    fs::create_dir(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    let copy = |from: &Path, name: &str| {
        fs::copy(from, folder.join(name))?;
        fs::set_permissions(folder.join(name), Permissions::from_mode(0o755))
    };
    copy(interpreter, LOADER)?;
    for (name, path) in needed {
        copy(path, name)?;
    }
    // A place to mount on.
    fs::write(folder.join(PROGRAM), "")?;
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
        .collect();
    let script = format!("#!/bin/sh\nexec {} \"$@\"\n", quoted.join(" "));
    fs::write(folder.join(SCRIPT), script)?;
    fs::set_permissions(folder.join(SCRIPT), Permissions::from_mode(0o755))
}

/// The libraries that the program needs, by the names that it asks for.
fn needed(listed: &str, interpreter: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let mut all = Vec::new();
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some("=>")) = (words.next(), words.next()) else {
            // The kernel's own library, and the loader.
            continue;
        };
        let path = words.next().filter(|path| path.starts_with('/'));
        let path = path.ok_or_else(|| format!("{name} is not found"))?;
        let plain = !name.contains('/') && ![LOADER, PROGRAM, SCRIPT].contains(&name);
        if plain && Path::new(path) != interpreter {
            all.push((name.to_owned(), PathBuf::from(path)));
        }
    }
    Ok(all)
}

/// What the loader says that the program needs.
#[expect(
    clippy::disallowed_methods,
    reason = "the loader of our own program, asked once"
)]
fn list(interpreter: &Path, program: &Path) -> Result<String, String> {
    let asked = Command::new(interpreter)
        .arg("--list")
        .arg(program)
        .env_clear()
        .stdin(Stdio::null())
        .output();
    let output = asked.map_err(|e| format!("{}: {e}", interpreter.display()))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(said(&output.stdout)),
        false => Err(said(&output.stderr).trim().to_owned()),
    }
}

/// The beginning of a file, where a program says what starts it.
fn head(program: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut head = Vec::new();
    fs::File::open(program)?
        .take(64 << 10)
        .read_to_end(&mut head)?;
    Ok(head)
}

/// The loader that a program names, if it is linked to anything: the segment `PT_INTERP` of the
/// Executable and Linkable Format, as elf(5) describes it, of 64 bits in this machine's byte order.
fn interpreter(head: &[u8]) -> Result<Option<PathBuf>, String> {
    const PT_INTERP: u64 = 3;
    let bytes = |at: usize, count: usize| {
        let end = at.checked_add(count).ok_or("it ends too early")?;
        head.get(at..end).ok_or("it ends too early")
    };
    let number = |at: usize, count: usize| -> Result<u64, &str> {
        let mut all = [0; 8];
        all[..count].copy_from_slice(bytes(at, count)?);
        Ok(u64::from_le_bytes(all))
    };
    let place = |number: u64| usize::try_from(number).map_err(|_| "it is too large");
    if bytes(0, 6)? != b"\x7fELF\x02\x01" {
        return Err("it is no program of 64 bits".to_owned());
    }
    let first = place(number(0x20, 8)?)?;
    let size = place(number(0x36, 2)?)?;
    let count = place(number(0x38, 2)?)?;
    for index in 0..count {
        let at = first + index * size;
        if number(at, 4)? == PT_INTERP {
            let name = bytes(place(number(at + 8, 8)?)?, place(number(at + 32, 8)?)?)?;
            let name = name.split(|b| *b == 0).next().unwrap_or_default();
            let name = std::str::from_utf8(name).map_err(|e| e.to_string())?;
            return Ok(Some(PathBuf::from(name)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_and_the_libraries_of_a_program_are_found() {
        let this = std::env::current_exe().expect("a path");
        let head = head(&this).expect("a file");
        let found = interpreter(&head).expect("a program").expect("a loader");
        assert!(found.is_file(), "{}", found.display());
        let listed = list(&found, &this).expect("a list");
        let needed = needed(&listed, &found).expect("libraries");
        assert!(needed.iter().any(|(name, _)| name.starts_with("libc.")));
        assert!(needed.iter().all(|(_, path)| path.is_file()), "{needed:?}");
        // Nothing but what is linked to nothing.
        assert!(interpreter(b"#!/bin/sh\n").is_err());
        assert!(interpreter(&head[..40]).is_err());
    }

    #[test]
    fn what_is_put_beside_a_program_starts_it_with_its_arguments() {
        let dir = tempfile::tempdir().expect("a directory");
        let folder = dir.path().join("lib");
        let program = SandboxProgram {
            path: "/bin/sh".into(),
            prefix_args: vec!["it's".to_owned()],
        };
        let loader = Loader::prepare(&program, &folder).expect("prepared");
        let loader = loader.expect("a shell is linked to something");
        assert_eq!(loader.words.last().map(String::as_str), Some("it's"));
        assert!(loader.words[0].starts_with("/nightshift/lib/"));
        let script = fs::read_to_string(folder.join(SCRIPT)).expect("a script");
        assert!(script.ends_with("'it'\\''s' \"$@\"\n"), "{script}");
        assert!(folder.join(LOADER).is_file() && folder.join(PROGRAM).is_file());
        // Again, over what an earlier runner left.
        assert_eq!(
            Loader::prepare(&program, &folder).expect("again"),
            Some(loader)
        );
    }
}
