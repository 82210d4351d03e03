//! Sealed tests, gathered from a folder: every file in it, by its path below the folder.
//!
//! Invariant: what is sealed is what stands in the folder itself; a link is refused, since it would
//! seal something from elsewhere. Deliberately absent: running them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightshift_domain::check::{Acceptance, SealedFile};
use nightshift_domain::config::DEFAULT_TIMEOUT_S;

use crate::failure::{Done, Exit, Failure};

/// All files together, in bytes.
const MOST: u64 = 1 << 20;

/// Seals the files of `folder`; without one, the command alone decides.
pub(crate) fn seal(
    folder: Option<&Path>,
    run: Option<&str>,
    already_green: bool,
) -> Done<Option<Acceptance>> {
    let run = match (run, folder) {
        (Some(run), _) => run,
        (None, None) if already_green => {
            return Err(Failure::usage(
                "--already-green speaks of acceptance tests, and there are none: add \
                 --acceptance and --acceptance-run",
            ));
        }
        (None, None) => return Ok(None),
        (None, Some(folder)) => {
            return Err(Failure::usage(format!(
                "the acceptance tests in {} need the command that runs them: --acceptance-run, or \
                 acceptance_run in the file",
                folder.display()
            )));
        }
    };
    let mut files = Vec::new();
    if let Some(folder) = folder {
        let mut left = MOST;
        gather(folder, "", &mut left, &mut files)?;
        if files.is_empty() {
            return Err(Failure::usage(format!(
                "{} holds no file to seal",
                folder.display()
            )));
        }
    }
    files.sort_by(|a: &SealedFile, b| a.path.cmp(&b.path));
    Ok(Some(Acceptance {
        run: run.to_owned(),
        already_green,
        timeout_s: DEFAULT_TIMEOUT_S,
        files,
    }))
}

fn gather(folder: &Path, below: &str, left: &mut u64, files: &mut Vec<SealedFile>) -> Done {
    let entries = fs::read_dir(folder).map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Failed,
        };
        Failure::new(
            exit,
            format!(
                "cannot read the acceptance tests in {}: {error}",
                folder.display()
            ),
        )
    })?;
    for entry in entries {
        let entry = entry.map_err(|error| cannot_read(folder, &error))?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| {
            Failure::usage(format!("the name of {} is not UTF-8", path.display()))
        })?;
        let inside = format!("{below}{name}");
        // Does not follow links.
        let about = fs::symlink_metadata(&path).map_err(|error| cannot_read(&path, &error))?;
        if about.is_dir() {
            gather(&path, &format!("{inside}/"), left, files)?;
        } else if about.is_file() {
            let bytes = fs::read(&path).map_err(|error| cannot_read(&path, &error))?;
            *left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
                Failure::usage(format!(
                    "the acceptance tests are larger than {} KiB together: seal what decides, and \
                     keep large material in the repository",
                    MOST / 1024
                ))
            })?;
            files.push(SealedFile {
                path: inside,
                executable: about.permissions().mode() & 0o111 != 0,
                content_base64: STANDARD.encode(&bytes),
            });
        } else {
            return Err(Failure::usage(format!(
                "{} is a link or no plain file: put the file itself there",
                path.display()
            )));
        }
    }
    Ok(())
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_tree() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("tests/deep")).expect("folders");
        fs::write(root.join("tests/deep/b.py"), "b").expect("a file");
        fs::write(root.join("a.sh"), "a").expect("a file");
        fs::set_permissions(root.join("a.sh"), fs::Permissions::from_mode(0o755)).expect("mode");
        let sealed = seal(Some(root), Some("sh a.sh"), false)
            .expect("sealed")
            .expect("tests");
        let files: Vec<_> = sealed
            .files
            .iter()
            .map(|file| {
                (
                    file.path.as_str(),
                    file.executable,
                    file.content_base64.as_str(),
                )
            })
            .collect();
        assert_eq!(
            files,
            [("a.sh", true, "YQ=="), ("tests/deep/b.py", false, "Yg==")]
        );

        std::os::unix::fs::symlink("/etc/passwd", root.join("tests/link")).expect("a link");
        let refused = seal(Some(root), Some("true"), false).expect_err("refused");
        assert!(refused.message.contains("is a link"), "{refused}");
    }

    #[test]
    fn what_cannot_be_sealed_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let message = |run| {
            seal(Some(folder.path()), run, false)
                .expect_err("refused")
                .message
        };
        assert!(message(Some("true")).contains("holds no file"));
        assert!(message(None).contains("--acceptance-run"));
        let file = fs::File::create(folder.path().join("big")).expect("a file");
        file.set_len(MOST + 1).expect("a size");
        assert!(message(Some("true")).contains("larger than 1024 KiB"));
        let missing = seal(Some(&folder.path().join("x")), Some("true"), false);
        assert_eq!(missing.expect_err("missing").exit, Exit::NotFound);
        assert_eq!(seal(None, None, false).expect("nothing"), None);
        assert!(seal(None, None, true).is_err());
    }
}
