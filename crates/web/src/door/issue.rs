//! Issues: filing, changing, moving, answering.

use nightshift_api::Page;
use nightshift_api::issue::{Finding, Issue, IssueLine, Tryout};
use nightshift_api::operations as op;
use nightshift_app::record::IssueFilter;
use nightshift_app::use_case::issue::{EditIssue, NewIssue};
use nightshift_domain::budget::Budget;

use crate::cursor;
use crate::error::Failure;
use crate::operation::Call;
use crate::view;

pub(crate) async fn create(call: Call<op::IssueCreate>) -> Result<Issue, Failure> {
    let made = call
        .app
        .issue_create(&call.caller, &call.path.project, new(call.input))
        .await?;
    Ok(view::issue::issue(made))
}

pub(crate) async fn check(call: Call<op::IssueCheck>) -> Result<Page<Finding>, Failure> {
    let found = call
        .app
        .issue_check(&call.caller, &call.path.project, &new(call.input))
        .await?;
    Ok(Page {
        items: found.into_iter().map(view::issue::finding).collect(),
        next: None,
    })
}

fn new(input: nightshift_api::issue::NewIssue) -> NewIssue {
    NewIssue {
        title: input.title,
        body: input.body,
        labels: input.labels,
        priority: input.priority,
        assignee: input.assignee,
        agent: input.agent,
        blocked_by: input.blocked_by,
        acceptance: input.acceptance,
        budget: Budget {
            cost_micro_usd: input.budget_micro_usd,
            minutes: input.budget_minutes,
        },
        ready: input.ready,
    }
}

pub(crate) async fn list(call: Call<op::IssueList>) -> Result<Page<IssueLine>, Failure> {
    let query = call.query;
    let limit = cursor::limit(query.limit)?;
    let after = cursor::decode(query.cursor.as_deref())?;
    let filter = IssueFilter {
        phases: query
            .phase
            .iter()
            .flat_map(|words| words.split(','))
            .map(str::to_owned)
            .collect(),
        agent: query.agent,
        label: query.label,
        text: query.text,
        ..IssueFilter::default()
    };
    let found = call
        .app
        .issue_list(&call.caller, &call.path.project, filter, after, limit)
        .await?;
    let full = i64::try_from(found.len()).unwrap_or(i64::MAX) == limit;
    let next = found
        .last()
        .filter(|_| full)
        .map(|last| cursor::encode(last.issue.created_at, last.issue.id));
    Ok(Page {
        items: found.into_iter().map(view::issue::line).collect(),
        next,
    })
}

pub(crate) async fn get(call: Call<op::IssueGet>) -> Result<Issue, Failure> {
    let path = &call.path;
    let found = call
        .app
        .issue_get(&call.caller, &path.project, path.number)
        .await?;
    Ok(view::issue::issue(found))
}

pub(crate) async fn edit(call: Call<op::IssueEdit>) -> Result<Issue, Failure> {
    let input = call.input;
    let edit = EditIssue {
        title: input.title,
        body: input.body,
        labels: input.labels,
        priority: input.priority,
        assignee: input.assignee,
        agent: input.agent,
        blocked_by: input.blocked_by,
        acceptance: input.acceptance,
        budget_micro_usd: input.budget_micro_usd,
        budget_minutes: input.budget_minutes,
        version: input.version,
    };
    let path = &call.path;
    let edited = call
        .app
        .issue_edit(&call.caller, &path.project, path.number, edit)
        .await?;
    Ok(view::issue::issue(edited))
}

pub(crate) async fn ready(call: Call<op::IssueReady>) -> Result<Issue, Failure> {
    let path = &call.path;
    let changed = call
        .app
        .issue_ready(&call.caller, &path.project, path.number)
        .await?;
    Ok(view::issue::issue(changed))
}

pub(crate) async fn draft(call: Call<op::IssueDraft>) -> Result<Issue, Failure> {
    let path = &call.path;
    let changed = call
        .app
        .issue_draft(&call.caller, &path.project, path.number)
        .await?;
    Ok(view::issue::issue(changed))
}

pub(crate) async fn try_tests(call: Call<op::IssueTry>) -> Result<Tryout, Failure> {
    let path = &call.path;
    let tried = call
        .app
        .issue_try(&call.caller, &path.project, path.number)
        .await?;
    Ok(view::issue::tryout(tried))
}

pub(crate) async fn answer(call: Call<op::IssueAnswer>) -> Result<Issue, Failure> {
    let path = &call.path;
    let changed = call
        .app
        .issue_answer(&call.caller, &path.project, path.number, &call.input.text)
        .await?;
    Ok(view::issue::issue(changed))
}

pub(crate) async fn host(call: Call<op::IssueHost>) -> Result<Issue, Failure> {
    let (path, input) = (&call.path, &call.input);
    let changed = call
        .app
        .host_decide(
            &call.caller,
            &path.project,
            path.number,
            &input.host,
            input.decision,
        )
        .await?;
    Ok(view::issue::issue(changed))
}

pub(crate) async fn note(call: Call<op::IssueNote>) -> Result<Issue, Failure> {
    let path = &call.path;
    let changed = call
        .app
        .issue_note(&call.caller, &path.project, path.number, &call.input.text)
        .await?;
    Ok(view::issue::issue(changed))
}

pub(crate) async fn retry(call: Call<op::IssueRetry>) -> Result<Issue, Failure> {
    let path = &call.path;
    let changed = call
        .app
        .issue_retry(&call.caller, &path.project, path.number)
        .await?;
    Ok(view::issue::issue(changed))
}

pub(crate) async fn close(call: Call<op::IssueClose>) -> Result<Issue, Failure> {
    let path = &call.path;
    let changed = call
        .app
        .issue_close(&call.caller, &path.project, path.number, &call.input.text)
        .await?;
    Ok(view::issue::issue(changed))
}

pub(crate) async fn reopen(call: Call<op::IssueReopen>) -> Result<Issue, Failure> {
    let path = &call.path;
    let changed = call
        .app
        .issue_reopen(&call.caller, &path.project, path.number)
        .await?;
    Ok(view::issue::issue(changed))
}
