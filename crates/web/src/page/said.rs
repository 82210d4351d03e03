//! What people say about lines of a change: comments of reviews, comments not yet said, the form for
//! a new one, and suggestions with the buttons that apply them.
//!
//! A suggestion is shown as the small diff that it is, with where it stands by now. Deliberately
//! absent: the lines of the change around.

use maud::{Markup, html};
use nightshift_app::record::Review;
use nightshift_app::use_case::change::ChangeView;
use nightshift_app::use_case::suggest::{Fit, Source, Suggestion};
use nightshift_domain::suggestion;

use super::change::Open;
use super::words::Words;
use super::{Visit, markdown, parts};
use crate::diff::{self, Comments, Wording};

/// The words of the diff in this language.
pub(super) fn wording(words: &Words) -> &'static Wording {
    match words.code {
        "zh-Hant" => &Wording::CHINESE,
        _ => &Wording::ENGLISH,
    }
}

fn put(comments: &mut Comments, path: &str, line: Option<i64>, said: Markup) {
    let line = line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
    let place = (path.to_owned(), line);
    comments.by_line.entry(place).or_default().push(said);
}

/// Comments of reviews, and the visitor's own that are not said yet.
pub(super) fn comments(visit: &Visit, project: &str, view: &ChangeView) -> Comments {
    let words = visit.words;
    let mut comments = Comments::default();
    let number = view.pull.line.line.issue.number;
    for review in &view.pull.reviews {
        let mut place = 0;
        for comment in &review.comments {
            let parts = suggestion::read(&comment.body).ok();
            let found = parts
                .as_ref()
                .filter(|parts| parts.suggested.is_some() && comment.line.is_some())
                .and_then(|_| {
                    place += 1;
                    let source = Source::Review {
                        review: review.id,
                        number: place,
                    };
                    of(view, source)
                });
            let said = html! {
                div.said {
                    p.quiet { (review.by_name) " · " (words.fill("change.in-round", &[("round", &review.round)]))
                        (range(words, comment.first, comment.line)) }
                    div.prose { (markdown::render(parts.as_ref().map_or(&comment.body, |parts| &parts.words))) }
                    @if let Some(found) = found { (shown(visit, project, view, found)) }
                }
            };
            put(
                &mut comments,
                &comment.path,
                line_of(comment.line, found),
                said,
            );
        }
    }
    for draft in &view.drafts {
        let found = of(view, Source::Draft(draft.id));
        let parts = suggestion::read(&draft.body).ok();
        let said = html! {
            div.said.draft {
                p.quiet { (words.get("change.draft")) (range(words, draft.first, draft.line)) }
                div.prose { (markdown::render(parts.as_ref().map_or(&draft.body, |parts| &parts.words))) }
                @if let Some(found) = found { (shown(visit, project, view, found)) }
                form.inline method="post" action={ "/p/" (project) "/" (number) "/change/drop" } {
                    (parts::form_token(visit))
                    input type="hidden" name="id" value=(draft.id);
                    button.quiet { (words.get("change.drop")) }
                }
            }
        };
        put(&mut comments, &draft.path, line_of(draft.line, found), said);
    }
    comments
}

fn of(view: &ChangeView, source: Source) -> Option<&Suggestion> {
    view.suggestions.iter().find(|one| one.source == source)
}

/// The line under which something stands: where its lines are by now, if that is known.
fn line_of(line: Option<i64>, found: Option<&Suggestion>) -> Option<i64> {
    match found.map(|found| &found.fit) {
        Some(Fit::Here(lines)) => i64::try_from(lines.last()).ok(),
        _ => line,
    }
}

fn range(words: &Words, first: Option<i64>, last: Option<i64>) -> Markup {
    html! {
        @if let (Some(first), Some(last)) = (first, last) {
            @if first < last { " · " (words.fill("change.lines", &[("first", &first), ("last", &last)])) }
        }
    }
}

/// A suggestion as a small diff, where it stands, and the way to apply it.
fn shown(visit: &Visit, project: &str, view: &ChangeView, one: &Suggestion) -> Markup {
    let words = visit.words;
    let wording = wording(words);
    let lines = |lines: &suggestion::Lines| {
        words.fill(
            "change.lines",
            &[("first", &lines.first()), ("last", &lines.last())],
        )
    };
    html! {
        figure.suggestion {
            figcaption { (words.get("change.suggestion")) " · " (lines(&one.lines)) }
            div.scroll role="region" tabindex="0" aria-label={ (words.get("change.suggestion")) ", " (lines(&one.lines)) } {
                table.diff {
                    caption.quiet { (words.get("change.suggestion")) }
                    tbody {
                        @for line in &one.old { tr.del { td.s { "-" } td.c { (diff::shown(line, wording)) } } }
                        @for line in &one.new { tr.add { td.s { "+" } td.c { (diff::shown(line, wording)) } } }
                    }
                }
            }
            @match &one.fit {
                Fit::Here(here) => {
                    @if *here != one.lines { p.quiet { (words.fill("change.suggestion-moved", &[("lines", &lines(here))])) } }
                    (button(visit, project, view, html! { (source(&one.source)) }, words.get("change.apply")))
                }
                Fit::Done => p.quiet { "✓ " (words.get("change.suggestion-done")) },
                Fit::Not(why) => p.quiet { (parts::said(words, why)) },
            }
        }
    }
}

/// The fields that name a suggestion.
fn source(source: &Source) -> Markup {
    html! {
        @match source {
            Source::Draft(id) => input type="hidden" name="draft" value=(id);,
            Source::Review { review, number } => {
                input type="hidden" name="review" value=(review);
                input type="hidden" name="only" value=(number);
            }
        }
    }
}

fn button(visit: &Visit, project: &str, view: &ChangeView, which: Markup, word: &str) -> Markup {
    let line = &view.pull.line;
    let issue = &line.line.issue;
    html! {
        @if view.pull.may.push && !issue.state.phase.is_final() {
            form.inline.apply method="post" action={ "/p/" (project) "/" (issue.number) "/change/apply" } {
                (parts::form_token(visit))
                input type="hidden" name="head" value=(line.pull.head.as_str());
                (which)
                button title=(visit.words.get("change.apply-hint")) { (word) }
            }
        }
    }
}

fn count(view: &ChangeView, mine: impl Fn(&Source) -> bool) -> usize {
    let fits = |one: &&Suggestion| mine(&one.source) && matches!(one.fit, Fit::Here(_));
    view.suggestions.iter().filter(fits).count()
}

/// Applies all of the visitor's own suggestions that are not said yet, which a reviewer does who
/// would rather not start a round for them.
pub(super) fn apply_drafts(visit: &Visit, project: &str, view: &ChangeView) -> Markup {
    let words = visit.words;
    let mine = |source: &Source| matches!(source, Source::Draft(_));
    let count = count(view, mine);
    html! {
        @if count > 1 && view.pull.may.push {
            p.quiet { (words.get("change.apply-hint")) }
            (button(
                visit,
                project,
                view,
                html! {
                    @for one in &view.suggestions {
                        @if mine(&one.source) && matches!(one.fit, Fit::Here(_)) { (source(&one.source)) }
                    }
                },
                &words.fill("change.apply-all", &[("count", &count)]),
            ))
        }
    }
}

/// Applies all suggestions of a review.
pub(super) fn apply_review(
    visit: &Visit,
    project: &str,
    view: &ChangeView,
    review: &Review,
) -> Markup {
    let of_it =
        |source: &Source| matches!(source, Source::Review { review: id, .. } if *id == review.id);
    let count = count(view, of_it);
    html! {
        @if count > 1 && review.withdrawn_at.is_none() {
            (button(
                visit,
                project,
                view,
                html! {
                    input type="hidden" name="review" value=(review.id);
                    @for one in &view.suggestions {
                        @if let (Source::Review { review: id, number }, Fit::Here(_)) = (one.source, &one.fit) {
                            @if id == review.id { input type="hidden" name="only" value=(number); }
                        }
                    }
                },
                &visit.words.fill("change.apply-all", &[("count", &count)]),
            ))
        }
    }
}

/// The same comments, with a form for one more.
pub(super) fn with_form(
    visit: &Visit,
    project: &str,
    view: &ChangeView,
    look: &[(&str, &str)],
    open: &Open,
    mut comments: Comments,
) -> Comments {
    let words = visit.words;
    let number = view.pull.line.line.issue.number;
    let Some(patch) = view.patch.files.get(open.file) else {
        return comments;
    };
    let path = patch.file.path().to_text().into_owned();
    let form = html! {
        form.said.stack method="post" action={ "/p/" (project) "/" (number) "/change/comment" } {
            (parts::form_token(visit))
            input type="hidden" name="path" value=(path);
            input type="hidden" name="file" value=(open.file);
            input type="hidden" name="head" value=(view.new.as_str());
            @for (name, value) in look { input type="hidden" name=(name) value=(value); }
            div.range {
                label { (words.get("change.first"))
                    input type="number" name="first" min="1" required value=(open.first);
                }
                label { (words.get("change.last"))
                    input type="number" name="line" min="1" required value=(open.last);
                }
            }
            label { (words.get("change.comment"))
                textarea #say name="body" rows="5" required autofocus { "\n" (open.body) }
            }
            div.actions {
                button.primary name="do" value="keep" { (words.get("change.keep")) }
                button name="do" value="suggest" formnovalidate title=(words.get("change.suggest-hint")) { (words.get("change.suggest")) }
            }
        }
    };
    put(&mut comments, &path, Some(open.last), form);
    comments
}
