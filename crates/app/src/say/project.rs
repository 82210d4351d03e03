//! Projects, their settings, members, secrets and saved views.

use nightshift_domain::sentences;

sentences! {
    no_project(name) = "refused.project-no-project": "no project {name} that you may see: `nightshift project list` shows yours";
    gone() = "refused.project-gone": "the project is gone";
    git_suffix(name) = "refused.project-git-suffix": "{name}: leave out `.git`; it is added in the clone address";
    bad_branch(error) = "refused.project-bad-branch": "`default_branch`: {error}";
    branch_ours() = "refused.project-branch-ours": "`default_branch`: names under `nightshift/` belong to issues; choose another";
    exists(name) = "refused.project-exists": "there is a project named {name} already: choose another name";
    last_maintainer(who, project) = "refused.project-last-maintainer": "{who} is the last maintainer of {project}: make somebody else one first";
    no_member(who, project) = "refused.project-no-member": "{who} is no member of {project}";
    unborn(project, branch) = "refused.project-unborn": "{project} has no commit on {branch} yet, and settings are a file there: push first";
    unusable(path, why) = "refused.project-unusable": "{path}: {why}; put it right with git, by a change or a push";
    bad_tree(why) = "refused.project-bad-tree": "{why}: put the tree right with git, by a change or a push";
    settings_changed() = "refused.project-settings-changed": "somebody else changed the settings since you read them, and nothing was saved: look at theirs, and save yours again on top of it";
    no_commit(project, commit) = "refused.project-no-commit": "{project} has no commit {commit}";
    settings_large(bytes, most) = "refused.project-settings-large": "the file would have {bytes} bytes; {most} are allowed: leave something out";
    message_large(bytes, most) = "refused.project-message-large": "`message` has {bytes} bytes; {most} are allowed";
    secrets_many(project, most) = "refused.project-secrets-many": "{project} keeps {most} secrets already: remove one first";
    no_secret(project, name) = "refused.project-no-secret": "{project} has no value for a secret {name}: `nightshift secret list` shows them";
    no_seal_key() = "refused.project-no-seal-key": "this server has no key to seal secrets with: its operator gives it one (see docs/operations.md, Secrets of projects)";
    no_view(name) = "refused.project-no-view": "no view {name} of yours: `nightshift view list` shows them";
}
