//! Every crate takes the lints, and the versions of libraries, from the workspace.

use super::{Finding, Rule};
use crate::checkout::Checkout;

pub(super) const RULE: Rule = Rule {
    name: "workspace",
    reason: "a crate that sets its own lints or versions is outside the walls without anybody having decided it",
    check,
};

fn check(checkout: &Checkout) -> Vec<Finding> {
    let members = checkout
        .packages
        .iter()
        .map(|package| format!("{}/Cargo.toml", package.folder));
    let files = members.filter_map(|path| checkout.file(&path));
    files
        .flat_map(|file| manifest(&file.path, &file.text))
        .collect()
}

fn manifest(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut section, mut has_lints) = ("", false);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if section == "lints" && line.replace(' ', "") == "workspace=true" {
            has_lints = true;
        } else if section.ends_with("dependencies") && line.contains('=') && !line.starts_with('#')
        {
            let squeezed = line.replace(' ', "");
            if !squeezed.contains("workspace=true") {
                findings.push(Finding::new(path, number + 1, "names a version; put it into [workspace.dependencies] and say workspace = true"));
            }
        }
    }
    if !has_lints {
        findings.push(Finding::new(
            path,
            None,
            "does not take the lints of the workspace; add [lints] with workspace = true",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(manifest: &str) -> usize {
        let checkout =
            Checkout::of(&[("crates/x/Cargo.toml", manifest)]).with_package("x", "crates/x", &[]);
        RULE.findings(&checkout).len()
    }

    #[test]
    fn lints_and_versions_come_from_the_workspace() {
        let good = "[lints]\nworkspace = true\n[dependencies]\na.workspace = true\nb = { workspace = true, features = [\"x\"] }\n";
        assert_eq!(count(good), 0);
        assert_eq!(count(&good.replace("a.workspace = true", "a = \"1\"")), 1);
        assert_eq!(
            count(&format!(
                "{good}[target.'cfg(unix)'.dev-dependencies]\nc = {{ version = \"1\" }}\n"
            )),
            1
        );
        assert_eq!(count(&good.replace("[lints]\nworkspace = true\n", "")), 1);
    }
}
