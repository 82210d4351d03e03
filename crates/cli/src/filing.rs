//! The order in which issue files that block each other are filed.
//!
//! Invariant: a file comes after every file it names, and otherwise files keep their order.
//! Deliberately absent: filing.

use nightshift_api::issue::NewIssue;

use crate::failure::{Done, Failure};

/// An issue read from a file.
#[derive(Debug, Clone)]
pub(crate) struct Filing {
    /// The file's name without `.md`.
    pub(crate) stem: String,
    /// Files that it names as blockers.
    pub(crate) after: Vec<String>,
    /// The issue; its numbers of blockers from files are not in it yet.
    pub(crate) issue: NewIssue,
}

/// Puts blockers first.
pub(crate) fn in_order(mut waiting: Vec<Filing>) -> Done<Vec<Filing>> {
    for filing in &waiting {
        let unknown = |name: &&String| !waiting.iter().any(|other| other.stem == **name);
        if let Some(name) = filing.after.iter().find(unknown) {
            return Err(Failure::usage(format!(
                "{:?} is blocked by {name:?}, which is neither a number of an issue nor one of the \
                 files given: give that file too, or write the number",
                filing.stem
            )));
        }
    }
    let mut ordered: Vec<Filing> = Vec::new();
    while !waiting.is_empty() {
        let filed = |name: &String| ordered.iter().any(|before| before.stem == *name);
        let Some(at) = waiting.iter().position(|next| next.after.iter().all(filed)) else {
            let names: Vec<_> = waiting.iter().map(|next| next.stem.as_str()).collect();
            return Err(Failure::usage(format!(
                "these files block each other in a circle: {}",
                names.join(", ")
            )));
        };
        ordered.push(waiting.remove(at));
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(files: &[(&str, &[&str])]) -> Result<String, String> {
        let filings = files.iter().map(|(stem, after)| Filing {
            stem: (*stem).to_owned(),
            after: after.iter().map(|name| (*name).to_owned()).collect(),
            issue: NewIssue::default(),
        });
        let ordered = in_order(filings.collect()).map_err(|failure| failure.message)?;
        let stems: Vec<_> = ordered.into_iter().map(|filing| filing.stem).collect();
        Ok(stems.join(" "))
    }

    #[test]
    fn blockers_come_first() {
        assert_eq!(
            order(&[("c", &["b"]), ("a", &[]), ("b", &["d"]), ("d", &[])]),
            Ok("a d b c".to_owned())
        );
        assert!(
            order(&[("a", &["b"]), ("b", &["a"])])
                .expect_err("a circle")
                .contains("circle")
        );
        assert!(
            order(&[("a", &["x"])])
                .expect_err("unknown")
                .contains("\"x\"")
        );
    }
}
