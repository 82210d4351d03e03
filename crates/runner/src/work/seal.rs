//! The sealed acceptance tests, as the sandbox sees them: read-only copies under
//! `/nightshift/acceptance`, and a script that lays them over the tree.
//!
//! Invariant: what the agent made of a sealed path (another content, a link, a directory) is
//! replaced, never written through. Deliberately absent: running the tests.

use std::path::{Component, Path};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightshift_domain::check::{Acceptance, SealedFile};
use nightshift_domain::failure::Reason;
use nightshift_domain::sentence::Place;
use nightshift_domain::told::failure as say;

use super::cut::Cut;
use crate::sandbox::RunDir;

/// Puts the files into the tree at the current directory.
pub(crate) const LAY: &str = r#"
sealed() {
    place=.
    rest=$2
    while [ "$rest" != "${rest#*/}" ]; do
        place=$place/${rest%%/*}
        rest=${rest#*/}
        if [ -L "$place" ] || [ ! -d "$place" ]; then
            rm -rf -- "$place"
            mkdir -- "$place"
        fi
    done
    rm -rf -- "$place/$rest"
    cp -- "/nightshift/acceptance/$2" "$place/$rest"
    chmod "$1" -- "$place/$rest"
}
. /nightshift/sealed.sh
"#;

/// Writes the files and the list into the run's control directory.
pub(crate) fn write(run: &RunDir, acceptance: Option<&Acceptance>) -> Result<(), Cut> {
    let files = acceptance.map(|a| a.files.as_slice()).unwrap_or_default();
    let mut list = String::new();
    for file in files {
        let bytes = STANDARD
            .decode(&file.content_base64)
            .map_err(|e| unusable(file, e.to_string()))?;
        let path = Path::new(&file.path);
        let plain = path.components().all(
            |part| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git")),
        );
        if !plain || file.path.is_empty() || file.path.contains("//") || file.path.ends_with('/') {
            return Err(unusable(file, say::leaves_tree()));
        }
        run.write_control(&Path::new("acceptance").join(path), &bytes, file.executable)?;
        let mode = if file.executable { "755" } else { "644" };
        list.push_str(&format!("sealed {mode} {}\n", quoted(&file.path)));
    }
    run.write_control(Path::new("sealed.sh"), list.as_bytes(), false)?;
    Ok(())
}

fn unusable(file: &SealedFile, why: impl Into<Place>) -> Cut {
    Cut::failed(
        Reason::Misconfigured,
        say::test_unusable(format!("{:?}", file.path), why),
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
