//! Which files changes touch: of many changes at once, names only.
//!
//! Deliberately absent: what was done to a file ([`Repository::diff`]).

use nightshift_domain::git_name::ObjectId;

use crate::error::GitError;
use crate::path::GitPath;
use crate::refs::odd;
use crate::repository::Repository;

impl Repository {
    /// The paths that differ between the commits of each pair, old and new, sorted; a renamed file is
    /// there with both names. One process for all of them.
    pub async fn touched(
        &self,
        pairs: &[(ObjectId, ObjectId)],
    ) -> Result<Vec<Vec<GitPath>>, GitError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        // The commit comes first, and then what is to be taken for its parent.
        let lines = pairs.iter().map(|(old, new)| format!("{new} {old}\n"));
        let lines: String = lines.collect();
        let said = self
            .call("diff-tree")
            .args(["--stdin", "--always", "-r", "-z", "--name-only"])
            .args(["--no-renames", "--no-ext-diff", "--no-textconv"])
            .input(lines)
            .run()
            .await?;
        parse(&said.stdout, pairs).ok_or_else(|| odd("diff-tree --stdin", &said.stdout))
    }
}

/// `<commit> NUL (<path> NUL)…`, once for each pair.
fn parse(output: &[u8], pairs: &[(ObjectId, ObjectId)]) -> Option<Vec<Vec<GitPath>>> {
    let mut fields = output.split(|b| *b == 0).peekable();
    let mut all = Vec::with_capacity(pairs.len());
    for (place, (_, new)) in pairs.iter().enumerate() {
        if fields.next()? != new.as_str().as_bytes() {
            return None;
        }
        let next = pairs.get(place + 1).map(|(_, new)| new.as_str().as_bytes());
        let mut paths = Vec::new();
        while let Some(path) = fields.next_if(|path| !path.is_empty() && Some(*path) != next) {
            paths.push(GitPath::from(path));
        }
        paths.sort();
        all.push(paths);
    }
    (fields.next() == Some(b"") && fields.next().is_none()).then_some(all)
}
