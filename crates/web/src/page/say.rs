//! What pages themselves refuse, before a use case is asked.

use nightshift_domain::sentence::Template;
use nightshift_domain::sentences;

sentences! {
    form_unfit(error) = "refused.page-form-unfit": "the form does not fit: {error}";
    form_broken(error) = "refused.page-form-broken": "the form did not arrive whole: {error}";
    no_act_on_issue(what) = "refused.page-no-act-on-issue": "`what`: {what} cannot be done to an issue";
    no_act_on_proposal(what) = "refused.page-no-act-on-proposal": "`what`: {what} cannot be done to a proposal";
    no_act_on_runner(what) = "refused.page-no-act-on-runner": "`what`: {what} cannot be done to a runner";
    no_number(text) = "refused.page-no-number": "{text} is no number of an issue";
    no_role(role) = "refused.page-no-role": "`role`: {role} is no role";
    no_token(id) = "refused.page-no-token": "no token {id} of yours";
    no_identity(id) = "refused.page-no-identity": "no identity {id} of yours";
    no_time(field, text) = "refused.page-no-time": "`{field}`: {text} is no time: write it as 2026-01-31T08:00";
    no_run(id) = "refused.page-no-run": "no run {id}: a run is named by its id, as on the list of runs";
    admins_only() = "refused.page-admins-only": "only administrators see this page";
    no_commit(project, commit) = "refused.page-no-commit": "{project} has no commit {commit}";
    range_order() = "refused.page-range-order": "the first line comes before the last one, and both count from 1";
    file_gone() = "refused.page-file-gone": "the change has no such file any more";
}

/// Every text that is said to people anywhere.
pub(crate) fn all() -> impl Iterator<Item = &'static Template> {
    nightshift_app::sentences().chain(TEMPLATES.iter().copied())
}
