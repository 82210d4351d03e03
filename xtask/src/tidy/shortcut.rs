//! Nothing that says "later" or "look away" is committed.

use super::{Finding, Rule};
use crate::checkout::Checkout;
use crate::rust::{Source, find_word, line_of};

pub(super) const RULE: Rule = Rule {
    name: "shortcut",
    reason: "what is there works and is tested; what is not done is an issue, not a hole in the code",
    check,
};

/// What is looked for in code, and what to do in its place.
const SHORTCUTS: &[(&str, &str)] = &[
    (
        "#[ignore",
        "a test that does not run proves nothing; make it run or remove it",
    ),
    ("todo!", "write it, or leave it out and file an issue"),
    (
        "unimplemented!",
        "write it, or refuse with an error that names the reason",
    ),
    ("dbg!", "use tracing, or remove it"),
    (
        "#[allow(",
        "use #[expect(.., reason = \"..\")], which says when it is no longer needed",
    ),
    (
        "#![allow(",
        "use #![expect(.., reason = \"..\")], which says when it is no longer needed",
    ),
];

fn check(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in checkout.rust() {
        let code = Source::split(&file.text).code;
        for (shortcut, instead) in SHORTCUTS {
            for at in find_word(&code, shortcut) {
                let what = format!("{shortcut}: {instead}");
                findings.push(Finding::new(&file.path, line_of(&code, at), what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortcuts_in_code_are_found() {
        for code in [
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
            "#[test]\n#[ignore]\nfn f() {}",
            "fn f() {\n    todo!() }",
            "fn f() {\n    unimplemented!(\"later\") }",
            "fn f() {\n    dbg!(1); }",
            "\n#[allow(dead_code)]\nfn f() {}",
            "\n#![allow(dead_code)]",
        ] {
            let findings = RULE.findings(&Checkout::of(&[("a.rs", code)]));
            assert_eq!(
                findings.iter().map(|f| f.line).collect::<Vec<_>>(),
                [Some(2)],
                "{code}"
            );
        }
    }

    #[test]
    fn words_in_texts_and_comments_are_not() {
        let code = "// todo!()\nfn f() { g(\"#[ignore] todo!()\"); my_todo!() }\n#[expect(dead_code, reason = \"x\")]\n#[ignored]\n";
        let code = code.replace("#[ignored]\n", "");
        assert_eq!(RULE.findings(&Checkout::of(&[("a.rs", &code)])), []);
    }
}
