//! Which crate may know which: the edges of the map in `docs/ARCHITECTURE.md`.
//!
//! Deliberately absent: what a crate uses of another. A module that should be out of reach is
//! private.

use super::{Finding, Rule};
use crate::checkout::{Checkout, Dependency, Kind, Package};

pub(super) const RULE: Rule = Rule {
    name: "edge",
    reason: "a crate can only break what it can name; rules stay free of doors, doors stay free of rules, \
             and the runner is no closer to the server than any machine of the net",
    check,
};

const TESTKIT: &str = "nightshift-testkit";

/// The crates, and those that each may be built on.
const EDGES: &[(&str, &[&str])] = &[
    ("nightshift-domain", &[]),
    ("nightshift-api", &["nightshift-domain"]),
    ("nightshift-store", &["nightshift-domain"]),
    ("nightshift-git", &["nightshift-domain"]),
    (
        "nightshift-app",
        &["nightshift-domain", "nightshift-store", "nightshift-git"],
    ),
    (
        "nightshift-connect",
        &["nightshift-app", "nightshift-domain"],
    ),
    (
        "nightshift-web",
        &["nightshift-api", "nightshift-app", "nightshift-domain"],
    ),
    (
        "nightshift-runner",
        &["nightshift-api", "nightshift-domain"],
    ),
    ("nightshift", SHIPPED),
    (TESTKIT, SHIPPED),
    ("xtask", &[]),
];

const SHIPPED: &[&str] = &[
    "nightshift-domain",
    "nightshift-api",
    "nightshift-store",
    "nightshift-git",
    "nightshift-app",
    "nightshift-connect",
    "nightshift-web",
    "nightshift-runner",
];

fn check(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &checkout.packages {
        let manifest = format!("{}/Cargo.toml", package.folder);
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            let what = format!(
                "crate {} has no place on the map; give it one here and in xtask/src/tidy/edge.rs",
                package.name
            );
            findings.push(Finding::new(&manifest, None, what));
            continue;
        };
        let local = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.local);
        for dependency in local.filter(|dependency| !may(package, dependency, allowed)) {
            let what = format!(
                "a new edge, {} -> {}; {} may be built on: {}",
                package.name,
                dependency.name,
                package.name,
                list(allowed)
            );
            findings.push(Finding::new(&manifest, None, what));
        }
    }
    findings
}

fn may(package: &Package, dependency: &Dependency, allowed: &[&str]) -> bool {
    let for_tests = dependency.kind == Kind::Dev;
    allowed.contains(&dependency.name.as_str())
        || for_tests
            && (dependency.name == TESTKIT && package.name != "xtask"
                || dependency.name == package.name)
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        "no other crate".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(from: &str, to: &str, kind: Kind) -> usize {
        RULE.findings(&Checkout::default().with_package(from, "crates/x", &[(to, kind, true)]))
            .len()
    }

    #[test]
    fn edges_of_the_map_are_free() {
        assert_eq!(
            findings("nightshift-app", "nightshift-store", Kind::Normal),
            0
        );
        assert_eq!(findings("nightshift", "nightshift-runner", Kind::Normal), 0);
        assert_eq!(
            findings("nightshift-runner", "nightshift-api", Kind::Normal),
            0
        );
    }

    #[test]
    fn new_edges_are_found() {
        for (from, to) in [
            ("nightshift-runner", "nightshift-store"),
            ("nightshift-domain", "nightshift-api"),
            ("nightshift-web", "nightshift-store"),
            ("nightshift-connect", "nightshift-web"),
            ("nightshift-app", "nightshift"),
            ("xtask", "nightshift-domain"),
        ] {
            for kind in [Kind::Normal, Kind::Dev, Kind::Build] {
                assert_eq!(findings(from, to, kind), 1, "{from} -> {to} {kind:?}");
            }
        }
    }

    #[test]
    fn the_testkit_is_for_tests() {
        assert_eq!(findings("nightshift-web", TESTKIT, Kind::Dev), 0);
        assert_eq!(findings("nightshift-web", TESTKIT, Kind::Normal), 1);
        assert_eq!(findings("nightshift", TESTKIT, Kind::Build), 1);
    }

    #[test]
    fn libraries_of_others_are_no_edges() {
        let checkout = Checkout::default().with_package(
            "nightshift-domain",
            "x",
            &[("uuid", Kind::Normal, false)],
        );
        assert_eq!(RULE.findings(&checkout), []);
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let checkout = Checkout::default().with_package("nightshift-helper", "crates/helper", &[]);
        assert!(
            RULE.findings(&checkout)[0]
                .to_string()
                .starts_with("crates/helper/Cargo.toml: crate nightshift-helper has no place")
        );
    }
}
