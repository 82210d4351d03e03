//! The example project and its issues, in the program itself, so that the demo works anywhere.
//!
//! Invariant: the list below is what stands under `examples/`; a test compares them. Deliberately
//! absent: what the demo does with them.

use std::fs;
use std::path::Path;

use crate::failure::{Done, Failure};

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        /// Paths below `examples/`, and what the files hold.
        const FILES: &[(&str, &[u8])] =
            &[$(($path, include_bytes!(concat!("../../../../examples/", $path)))),+];
    };
}

files! {
    "demo-issues/01-cents-round-half-up.md",
    "demo-issues/02-work-past-midnight.md",
    "demo-issues/03-invoice.md",
    "demo-issues/04-time-by-week.md",
    "demo-issues/05-corrections.md",
    "demo-issues/06-empty-ledger.md",
    "demo-issues/acceptance/01-cents-round-half-up/sealed/test_cents_round_half_up.py",
    "demo-issues/acceptance/02-work-past-midnight/sealed/test_work_past_midnight.py",
    "demo-issues/acceptance/03-invoice/sealed/test_invoice.py",
    "demo-issues/acceptance/04-time-by-week/sealed/test_time_by_week.py",
    "demo-issues/acceptance/05-corrections/sealed/test_corrections.py",
    "demo-issues/acceptance/06-empty-ledger/sealed/test_empty_ledger.py",
    "tally/.gitignore",
    "tally/.nightshift/config.toml",
    "tally/AGENTS.md",
    "tally/README.md",
    "tally/tally/__init__.py",
    "tally/tally/__main__.py",
    "tally/tally/cli.py",
    "tally/tally/clock.py",
    "tally/tally/commands/__init__.py",
    "tally/tally/commands/bill.py",
    "tally/tally/commands/check.py",
    "tally/tally/commands/days.py",
    "tally/tally/commands/summary.py",
    "tally/tally/duration.py",
    "tally/tally/ledger.py",
    "tally/tally/money.py",
    "tally/tally/table.py",
    "tally/tests/__init__.py",
    "tally/tests/test_cli.py",
    "tally/tests/test_clock.py",
    "tally/tests/test_duration.py",
    "tally/tests/test_ledger.py",
    "tally/tests/test_money.py",
    "tally/tests/test_table.py",
}

/// The project's name and its folder.
pub(crate) const PROJECT: &str = "tally";

/// Writes everything below `folder`.
pub(crate) fn unpack(folder: &Path) -> Done {
    for (path, bytes) in FILES {
        let path = folder.join(path);
        let written = match path.parent() {
            Some(parent) => fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes)),
            None => fs::write(&path, bytes),
        };
        written.map_err(|error| {
            Failure::failed(format!("cannot write {}: {error}", path.display()))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.ends_with("__pycache__") {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let below = path.strip_prefix(root).expect("below");
                found.insert(below.to_str().expect("text").to_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_examples_is_in_the_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let mut there = BTreeSet::new();
        for part in ["tally", "demo-issues"] {
            walk(&root, &root.join(part), &mut there);
        }
        let here: BTreeSet<_> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(here, there);
    }
}
