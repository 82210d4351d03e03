//! What records tell people: why a verdict is not green, what stands out in a change, why a run
//! failed, what is wrong with a settings file, what the platform notes on an issue and notifies of. A
//! function for each text, by subject.
//!
//! Deliberately absent: when it is said; words of others, which stand in a place as they are.

pub mod failure;
pub mod note;
pub mod notice;
pub mod settings;

/// Why a verdict is not green.
pub(crate) mod verdict {
    use crate::sentence::sentences;

    sentences! {
        other_head(found, wanted) = "verdict-why.other-head": "the report is about commit {found}, not about {wanted}";
        setup(ended) = "verdict-why.setup": "the set-up command {ended} on this change";
        no_setup() = "verdict-why.no-setup": "the set-up command has no result";
        no_result(check) = "verdict-why.no-result": "check {check} has no result";
        other_commit(check) = "verdict-why.other-commit": "check {check} ran on another commit";
        check(check, ended) = "verdict-why.check": "check {check} {ended}";
        nothing() = "verdict-why.nothing": "nothing was proved: the project defines no check and the issue has no acceptance test";
        sealed(path) = "verdict-why.sealed": "the change alters the sealed file {path}";
        tests_no_result() = "verdict-why.tests-no-result": "the acceptance tests have no result on the change";
        tests_other_commit() = "verdict-why.tests-other-commit": "the acceptance tests ran on another commit";
        tests(ended) = "verdict-why.tests": "the acceptance tests {ended} on the change";
        base_no_result() = "verdict-why.base-no-result": "the acceptance tests have no result on the base";
        base_green() = "verdict-why.base-green": "the acceptance tests pass without the change: they prove nothing (declare them already green, or make them test what is wrong)";
        base_broken() = "verdict-why.base-broken": "the acceptance command does not run on the base (command not found)";
        base(ended) = "verdict-why.base": "the acceptance tests {ended} on the base";
        passed() = "ended.passed": "passed";
        failed(code) = "ended.failed": "failed with exit status {code}";
        timed_out() = "ended.timed-out": "ran out of time";
        capped(limit) = "ended.capped": "hit the {limit} limit";
        memory() = "limit.memory": "memory";
        processes() = "limit.process": "process";
        disk() = "limit.disk": "disk";
        log() = "limit.log": "log";
    }
}

/// What stands out in a change.
pub(crate) mod finding {
    use crate::sentence::sentences;

    sentences! {
        large(lines, files) = "finding-note.large": "{lines} lines changed in {files} files";
        protected(pattern) = "finding-note.protected": "protected by {pattern}";
        steers() = "finding-note.steers": "steers agents, the platform or a build";
        dependencies() = "finding-note.dependencies": "dependencies change";
        secret(what) = "finding-note.secret": "an added line looks like {what}";
        binary() = "finding-note.binary": "a binary file";
        line_endings() = "finding-note.line-endings": "only line endings changed";
        symlink() = "finding-note.symlink": "a symbolic link";
        submodule() = "finding-note.submodule": "a submodule";
        test_gone() = "finding-note.test-gone": "a test file is gone";
        skips(count) = "finding-note.skips": "{count} skip marks added";
        assertions_lost(lost, won) = "finding-note.assertions-lost": "{lost} assertions removed, {won} added";
        assertions_rewritten(lost) = "finding-note.assertions-rewritten": "{lost} assertions rewritten";
        private_key() = "secret-kind.private-key": "a private key";
        aws_key() = "secret-kind.aws-key": "an AWS access key";
        github_token() = "secret-kind.github-token": "a GitHub token";
        gitlab_token() = "secret-kind.gitlab-token": "a GitLab token";
        anthropic_key() = "secret-kind.anthropic-key": "an Anthropic key";
        openai_key() = "secret-kind.openai-key": "an OpenAI key";
        slack_token() = "secret-kind.slack-token": "a Slack token";
        google_key() = "secret-kind.google-key": "a Google key";
        nightshift_token() = "secret-kind.nightshift-token": "a Nightshift token";
    }
}

/// Kinds of work, as texts name them.
pub(crate) mod kind {
    use crate::sentence::sentences;

    sentences! {
        author() = "job-kind.author": "author";
        verify() = "job-kind.verify": "verify";
        trial() = "job-kind.trial": "trial";
        tryout() = "job-kind.tryout": "tryout";
    }
}

/// Every text of these records, for catalogues.
pub(crate) fn all() -> impl Iterator<Item = &'static crate::sentence::Template> {
    [
        verdict::TEMPLATES,
        finding::TEMPLATES,
        failure::TEMPLATES,
        settings::TEMPLATES,
        note::TEMPLATES,
        notice::TEMPLATES,
        kind::TEMPLATES,
    ]
    .into_iter()
    .flatten()
    .copied()
}
