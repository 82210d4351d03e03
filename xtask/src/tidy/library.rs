//! Libraries of others: where each may be used, that it is accounted for, that it is used.
//!
//! Deliberately absent: versions and licences; the lock file and its review hold those.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Rule};
use crate::checkout::{Checkout, Kind};
use crate::rust::{Source, find_word};

pub(super) const RULE: Rule = Rule {
    name: "library",
    reason: "what a crate cannot name it cannot do: the domain has no clock, network or files, only the store \
             speaks to a database, and an error that a program may act on has a type",
    check,
};

pub(super) const LISTED: Rule = Rule {
    name: "library-listed",
    reason: "each library is code of ours that others wrote; the table says what it saves, and what it replaces",
    check: listed,
};

pub(super) const USED: Rule = Rule {
    name: "library-used",
    reason: "a library that nobody uses costs build time and trust for nothing; one that is there for a feature \
             only is named under [package.metadata.cargo-machete] ignored",
    check: used,
};

/// All that `domain` may be built on.
const DOMAIN: &[&str] = &[
    "base64",
    "hex",
    "jiff",
    "serde",
    "serde_json",
    "thiserror",
    "toml",
    "toml_edit",
    "uuid",
];

/// Libraries that have a home, with the crates that may be built on them.
const HOMES: &[(&str, &[&str])] = &[
    (
        "anyhow",
        &[
            "nightshift",
            "nightshift-runner",
            "nightshift-testkit",
            "xtask",
        ],
    ),
    (
        "axum",
        &["nightshift-web", "nightshift", "nightshift-testkit"],
    ),
    ("clap", &["nightshift"]),
    ("sqlx", &["nightshift-store"]),
];

const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";
const WORKSPACE: &str = "Cargo.toml";

fn check(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &checkout.packages {
        let manifest = format!("{}/Cargo.toml", package.folder);
        let mut find = |what: String| findings.push(Finding::new(&manifest, None, what));
        for dependency in package
            .dependencies
            .iter()
            .filter(|d| !d.local && d.kind != Kind::Dev)
        {
            let name = dependency.name.as_str();
            if package.name == "nightshift-domain" && !DOMAIN.contains(&name) {
                find(format!(
                    "domain may not be built on {name}, only on: {}",
                    DOMAIN.join(", ")
                ));
            }
            if let Some((_, homes)) = HOMES.iter().find(|(library, _)| *library == name)
                && !homes.contains(&package.name.as_str())
            {
                find(format!(
                    "{} may not be built on {name}; its home is: {}",
                    package.name,
                    homes.join(", ")
                ));
            }
        }
    }
    findings
}

fn listed(checkout: &Checkout) -> Vec<Finding> {
    let used: BTreeSet<&str> = external(checkout).collect();
    let Some(file) = checkout.file(ARCHITECTURE) else {
        return vec![Finding::new(
            ARCHITECTURE,
            None,
            "is missing; it holds the table of libraries under the heading Dependencies",
        )];
    };
    let rows = rows(&file.text);
    if rows.is_empty() && !used.is_empty() {
        return vec![Finding::new(
            ARCHITECTURE,
            None,
            "has no table `| name | ... |` under a heading Dependencies",
        )];
    }
    let mut findings = Vec::new();
    for name in used.iter().filter(|name| !rows.contains_key(**name)) {
        findings.push(Finding::new(
            ARCHITECTURE,
            None,
            format!("has no line for {name} in the table under Dependencies"),
        ));
    }
    for (name, line) in rows
        .iter()
        .filter(|(name, _)| !used.contains(name.as_str()))
    {
        findings.push(Finding::new(
            ARCHITECTURE,
            *line,
            format!("lists {name}, which no crate is built on; remove the line"),
        ));
    }
    findings
}

fn used(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &checkout.packages {
        let folder = format!("{}/", package.folder);
        let own = checkout
            .rust()
            .filter(|file| file.path.starts_with(&folder));
        let code: Vec<String> = own.map(|file| Source::split(&file.text).code).collect();
        for dependency in package
            .dependencies
            .iter()
            .filter(|d| !package.features_only.contains(&d.name))
        {
            if !code
                .iter()
                .any(|code| find_word(code, &dependency.ident).next().is_some())
            {
                let what = format!(
                    "{} is not used by the code of {}; remove it",
                    dependency.name, package.name
                );
                findings.push(Finding::new(&format!("{folder}Cargo.toml"), None, what));
            }
        }
    }
    let used: BTreeSet<&str> = external(checkout).collect();
    if let Some(file) = checkout.file(WORKSPACE) {
        for (line, name) in workspace_table(&file.text).filter(|(_, name)| !used.contains(name)) {
            findings.push(Finding::new(
                WORKSPACE,
                line,
                format!("{name} is used by no crate; remove the line"),
            ));
        }
    }
    findings
}

fn external(checkout: &Checkout) -> impl Iterator<Item = &str> {
    let all = checkout
        .packages
        .iter()
        .flat_map(|package| &package.dependencies);
    all.filter(|dependency| !dependency.local)
        .map(|dependency| dependency.name.as_str())
}

/// The names in the first column of the tables under the heading Dependencies, with their lines. A
/// cell may hold several, with commas; backquotes do not count.
fn rows(text: &str) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(heading) = line.strip_prefix('#') {
            inside = heading
                .trim_start_matches('#')
                .trim()
                .eq_ignore_ascii_case("dependencies");
        }
        let cell = line
            .trim()
            .strip_prefix('|')
            .and_then(|rest| rest.split('|').next());
        let Some(cell) = cell.filter(|_| inside) else {
            continue;
        };
        for name in cell.split(',').map(|name| name.trim().trim_matches('`')) {
            let is_name = name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
            let is_rule = name.chars().all(|c| matches!(c, '-' | ':'));
            let is_head = matches!(
                name.to_ascii_lowercase().as_str(),
                "name" | "library" | "dependency" | "crate"
            );
            if is_name && !is_rule && !is_head {
                rows.insert(name.to_owned(), number + 1);
            }
        }
    }
    rows
}

/// The libraries of others in the table of versions, with their lines.
fn workspace_table(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    manifest
        .lines()
        .enumerate()
        .filter_map(move |(number, line)| {
            if line.starts_with('[') {
                inside = line.trim() == "[workspace.dependencies]";
            }
            let (name, value) = line
                .split_once('=')
                .filter(|_| inside && !line.starts_with('#'))?;
            (!value.contains("path =")).then(|| (number + 1, name.trim()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn domain_is_built_on_little() {
        let with = |name, kind| {
            RULE.findings(&Checkout::default().with_package(
                "nightshift-domain",
                "crates/domain",
                &[(name, kind, false)],
            ))
            .len()
        };
        assert_eq!(with("serde", Kind::Normal), 0);
        assert_eq!(with("proptest", Kind::Dev), 0);
        assert_eq!(with("tokio", Kind::Normal), 1);
        assert_eq!(with("tokio", Kind::Build), 1);
    }

    #[test]
    fn libraries_stay_at_home() {
        let with = |package, name| {
            RULE.findings(&Checkout::default().with_package(
                package,
                "x",
                &[(name, Kind::Normal, false)],
            ))
            .len()
        };
        assert_eq!(with("nightshift-store", "sqlx"), 0);
        assert_eq!(with("nightshift-app", "sqlx"), 1);
        assert_eq!(with("nightshift-store", "anyhow"), 1);
    }

    #[test]
    fn a_library_without_a_line_is_found() {
        let checkout = |text| {
            Checkout::of(&[(ARCHITECTURE, text)]).with_package(
                "nightshift",
                "crates/cli",
                &[
                    ("serde", Kind::Normal, false),
                    ("hyper-util", Kind::Dev, false),
                    ("nightshift-api", Kind::Normal, true),
                ],
            )
        };
        let table =
            "# Map\n| other | x |\n## Dependencies\n\n| name | why |\n|---|---|\n| serde | x |\n";
        assert_eq!(
            whats(&LISTED.findings(&checkout(table))),
            ["docs/ARCHITECTURE.md: has no line for hyper-util in the table under Dependencies"]
        );
        let full = format!("{table}| `hyper`, `hyper-util` | x |\n## Next\n| more | x |\n");
        assert_eq!(
            whats(&LISTED.findings(&checkout(&full))),
            ["docs/ARCHITECTURE.md:8: lists hyper, which no crate is built on; remove the line"]
        );
        assert!(whats(&LISTED.findings(&checkout("# Map\n")))[0].contains("has no table"));
        assert!(whats(&LISTED.findings(&Checkout::default()))[0].contains("is missing"));
    }

    #[test]
    fn a_library_that_nobody_uses_is_found() {
        let manifest = "[workspace]\nx = 1\n[workspace.dependencies]\na = { path = \"a\" }\nhyper-util = \"1\"\nserde = \"1\"\nold = \"1\"\n[profile]\ny = 1\n";
        let code = "//! serde\nuse hyper_util::client;\n// serde\nfn f() { g(\"serde\") }\n";
        let checkout = Checkout::of(&[(WORKSPACE, manifest), ("crates/x/src/lib.rs", code)]);
        let checkout = checkout.with_package(
            "x",
            "crates/x",
            &[
                ("hyper-util", Kind::Normal, false),
                ("serde", Kind::Dev, false),
            ],
        );
        assert_eq!(
            whats(&USED.findings(&checkout)),
            [
                "crates/x/Cargo.toml: serde is not used by the code of x; remove it",
                "Cargo.toml:7: old is used by no crate; remove the line",
            ]
        );
        let mut named = checkout;
        named.packages[0].features_only.insert("serde".to_owned());
        assert_eq!(USED.findings(&named).len(), 1);
    }
}
