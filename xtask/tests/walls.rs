//! The walls of this very checkout: one test a rule, so that a failure has the rule's name.

use std::sync::LazyLock;

use xtask::checkout::{self, Checkout};
use xtask::tidy::RULES;

static CHECKOUT: LazyLock<Checkout> = LazyLock::new(|| {
    Checkout::read(&checkout::root()).expect("git and cargo describe the checkout")
});

#[track_caller]
fn holds(name: &str) {
    let rule = RULES
        .iter()
        .find(|rule| rule.name == name)
        .expect("the rule exists");
    let findings = rule.findings(&CHECKOUT);
    let broken: Vec<String> = findings
        .iter()
        .filter(|finding| !finding.warns)
        .map(ToString::to_string)
        .collect();
    assert!(
        broken.is_empty(),
        "rule {name}: {}\n{}",
        rule.reason,
        broken.join("\n")
    );
}

macro_rules! walls {
    ($($test:ident: $rule:literal,)*) => {
        $(
            #[test]
            fn $test() {
                holds($rule);
            }
        )*

        #[test]
        fn every_rule_is_held_here() {
            let here = [$($rule),*];
            let all: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
            assert_eq!(all, here);
        }
    };
}

walls! {
    crates_know_only_who_the_map_says: "edge",
    libraries_stay_at_home: "library",
    every_library_has_its_line: "library-listed",
    every_library_is_used: "library-used",
    lints_and_versions_come_from_the_workspace: "workspace",
    every_file_says_what_it_is: "header",
    every_file_ends: "length",
    statements_stand_in_the_store: "sql",
    tests_stand_apart: "tests-apart",
    refusals_are_said: "said",
    nothing_says_later: "shortcut",
    nothing_is_of_one_machine: "local",
    snapshots_have_tests: "snapshot",
    the_changelog_has_a_place_for_what_comes: "changelog",
}

#[test]
fn the_checkout_is_seen_at_all() {
    assert!(CHECKOUT.rust().count() > 20, "git lists the sources");
    assert!(
        CHECKOUT.file("xtask/tests/walls.rs").is_some(),
        "paths begin at the top"
    );
    let names: Vec<&str> = CHECKOUT
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    assert!(
        names.contains(&"nightshift-domain") && names.contains(&"xtask"),
        "{names:?}"
    );
    let app = CHECKOUT
        .packages
        .iter()
        .find(|package| package.name == "nightshift-app")
        .expect("listed above");
    assert_eq!(app.folder, "crates/app");
    assert!(
        app.dependencies.iter().any(|dependency| dependency.local),
        "edges are seen"
    );
    assert!(
        app.dependencies.iter().any(|dependency| !dependency.local),
        "libraries are seen"
    );
}
