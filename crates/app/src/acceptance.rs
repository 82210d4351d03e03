//! Sealed tests: what is accepted as one, and whether a head still holds it unchanged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nightshift_domain::check::Acceptance;
use nightshift_domain::git_name::ObjectId;
use nightshift_git::{Mode, Repository};
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::say::{issue, quoted};

/// The most that all sealed files of an issue may hold together, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The most sealed files of an issue.
const MAX_FILES: usize = 200;

/// Refuses what cannot be laid over a tree.
pub(crate) fn check(acceptance: &Acceptance) -> Result<(), Error> {
    if acceptance.run.trim().is_empty() {
        return Err(Error::invalid(issue::tests_no_command()));
    }
    if !(1..=86_400).contains(&acceptance.timeout_s) {
        return Err(Error::invalid(issue::tests_timeout()));
    }
    if acceptance.files.len() > MAX_FILES {
        return Err(Error::invalid(issue::tests_files(
            acceptance.files.len(),
            MAX_FILES,
        )));
    }
    let mut total = 0;
    let mut seen = std::collections::BTreeSet::new();
    for file in &acceptance.files {
        let path = &file.path;
        let bad = path.is_empty()
            || path.len() > 512
            || path.contains(['\0', '\\', '\n', '\r'])
            || path.split('/').any(|part| {
                part.is_empty() || part == "." || part == ".." || part.eq_ignore_ascii_case(".git")
            });
        if bad {
            return Err(Error::invalid(issue::tests_path(quoted(path))));
        }
        if !seen.insert(path) {
            return Err(Error::invalid(issue::tests_twice(quoted(path))));
        }
        let bytes = BASE64
            .decode(&file.content_base64)
            .map_err(|_| Error::invalid(issue::tests_base64(quoted(path))))?;
        total += bytes.len();
    }
    if total > MAX_BYTES {
        return Err(Error::invalid(issue::tests_large(total, MAX_BYTES)));
    }
    Ok(())
}

/// What of sealed tests decides a result on some commit, as a hash: the command, its time, the files.
pub(crate) fn seal(acceptance: &Acceptance) -> String {
    let mut files: Vec<_> = acceptance.files.iter().collect();
    files.sort_by_key(|file| &file.path);
    let mut hash = Sha256::new();
    // Each part with its length, so that no two tests write the same bytes.
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(acceptance.run.as_bytes());
    part(&acceptance.timeout_s.to_be_bytes());
    for file in files {
        part(file.path.as_bytes());
        part(&[u8::from(file.executable)]);
        part(file.content_base64.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// The sealed paths whose content in `head` is not the sealed one.
pub(crate) async fn changed(
    repository: &Repository,
    head: &ObjectId,
    acceptance: &Acceptance,
) -> Result<Vec<String>, Error> {
    let mut paths = Vec::new();
    for file in &acceptance.files {
        let sealed = BASE64
            .decode(&file.content_base64)
            .map_err(Error::internal)?;
        let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX) + 1;
        let found = repository.read_blob(head, &file.path, limit).await?;
        let same = found.is_some_and(|blob| {
            blob.bytes == sealed
                && matches!(blob.mode, Mode::File | Mode::Executable)
                && !blob.truncated
        });
        if !same {
            paths.push(file.path.clone());
        }
    }
    Ok(paths)
}
