//! What rules say when they forbid something: the texts, by the rule's own module.
//!
//! Deliberately absent: when a rule forbids; what use cases refuse; what only programs are told.

/// Where an issue stands, and what that forbids.
pub(crate) mod issue {
    use crate::sentence::sentences;

    sentences! {
        in_phase(phase, need) = "refused.phase": "the issue is {phase}: {need}";
        to_draft() = "refused.to-draft": "only a ready issue goes back to draft";
        start() = "refused.start": "only a ready issue starts an author";
        ask() = "refused.ask": "only a working agent asks";
        no_question() = "refused.no-question": "no question waits for an answer";
        no_author() = "refused.no-author": "no author is at work";
        not_proved() = "refused.not-proved": "no result is being proved";
        approve() = "refused.approve": "only a result in review can be approved";
        send_back() = "refused.send-back": "only a result in review or landing can be sent back";
        not_queued() = "refused.not-queued": "the issue is not in the merge queue";
        prove_again() = "refused.prove-again": "only a result in review is proved again";
        ended_already() = "refused.ended-already": "it has already ended";
        reopen() = "refused.reopen": "only a closed issue can be reopened";
        to_ready() = "refused.to-ready": "only a draft can be marked ready";
        ended() = "refused.ended": "it has ended";
        retry() = "refused.retry": "nothing failed that could be tried again";
        landed() = "refused.landed": "it cannot have landed";
        take_back() = "refused.take-back": "no decision waits that could be taken back";
        draft() = "stands.draft": "draft";
        ready() = "stands.ready": "ready";
        working() = "stands.working": "working";
        needs_input() = "stands.needs-input": "needs-input";
        in_review() = "stands.in-review": "in-review";
        landing() = "stands.landing": "landing";
        done() = "stands.done": "done";
        closed() = "stands.closed": "closed";
    }
}

/// Suggestions in comments.
pub(crate) mod suggestion {
    use crate::sentence::sentences;

    sentences! {
        line(line) = "suggestion.line": "line {line}";
        lines(first, last) = "suggestion.lines": "lines {first}-{last}";
        several() = "suggestion.several": "a comment has one suggestion at most: write another comment for the other lines";
        binary() = "suggestion.binary": "the file is binary: it has no lines to replace";
        beyond(count, lines) = "suggestion.beyond": "the file has {count} lines, and {lines} are meant";
        not_text(lines) = "suggestion.not-text": "{lines} cannot be shown as text: change them in a checkout";
        overlap(one, other) = "suggestion.overlap": "two suggestions are about the same lines ({one}, {other}): apply one of them";
    }
}

/// Decisions about hosts.
pub(crate) mod grant {
    use crate::sentence::sentences;

    sentences! {
        nothing() = "grant.nothing": "nobody asked for it, and what nobody allows is out of reach: there is nothing to deny";
        project() = "grant.project": "proofs reach only what the project's list names: allow it for the project (maintainers), or deny it";
    }
}

/// Saved views.
pub(crate) mod view {
    use crate::sentence::sentences;

    sentences! {
        unfit_name(most) = "unfit-view.name": "a view's name has 1 to {most} characters, all of them visible, and is not a dot or two: choose another";
        unfit_part(part, most) = "unfit-view.part": "`{part}` has more than {most} characters: shorten it";
        everything() = "unfit-view.everything": "the view leaves nothing out: choose a project, an agent, a label or a text first";
        too_many(most) = "unfit-view.many": "{most} views are kept already: remove one first";
        taken(name) = "unfit-view.taken": "there is a view named {name} already: choose another name, or save that one anew";
    }
}

/// Secrets of projects.
pub(crate) mod secret {
    use crate::sentence::sentences;

    sentences! {
        name_unfit(name) = "unfit-secret.name": "{name} can name no secret: use up to 64 capital letters, digits and `_`, not a variable that programs know already";
        short(least) = "unfit-secret.short": "the value has fewer than {least} bytes, so it could not be hidden in logs: use a longer one";
        long(most) = "unfit-secret.long": "the value has more than {most} bytes: keep it elsewhere and store what opens it";
        nul() = "unfit-secret.nul": "the value holds a NUL, which no variable can: encode it, as base64 for instance";
    }
}

/// Guidelines that agents propose.
pub(crate) mod guideline {
    use crate::sentence::sentences;

    sentences! {
        invisible(code, path) = "unfit-guideline.invisible": "the proposal holds the character {code}, which no page shows: write the guideline into {path} in your own words";
        too_long(path, bytes, most) = "unfit-guideline.long": "{path} would have {bytes} bytes, and {most} reach a prompt: shorten the file with git, then accept it again";
    }
}

/// Names of hosts.
pub(crate) mod host {
    use crate::sentence::sentences;

    sentences! {
        empty() = "unfit-host.empty": "a part of the name is empty";
        too_long() = "unfit-host.long": "the name is too long";
        sign() = "unfit-host.sign": "only letters, digits, hyphens and dots make a name; write other alphabets in their ASCII form (xn--…)";
        hyphen() = "unfit-host.hyphen": "a part of the name begins or ends with a hyphen";
        number() = "unfit-host.number": "a number is no name; write an address as 192.0.2.1";
        bracket() = "unfit-host.bracket": "what is in brackets is no IPv6 address";
        port() = "unfit-host.port": "a port from 1 to 65535 is needed";
        address() = "unfit-host.address": "only a host is named, without https:// and without a path";
        star() = "unfit-host.star": "a star stands for the names below one with at least two parts, as in *.example.com";
    }
}

/// Names in git.
pub(crate) mod git_name {
    use crate::sentence::sentences;

    sentences! {
        object(text) = "unfit-git.object": "{text} is not an object id: expected 40 hexadecimal digits";
        branch(text) = "unfit-git.branch": "{text} is not a branch name that git accepts";
    }
}

/// Every text of these rules, for catalogues.
pub(crate) fn all() -> impl Iterator<Item = &'static crate::sentence::Template> {
    [
        issue::TEMPLATES,
        suggestion::TEMPLATES,
        grant::TEMPLATES,
        view::TEMPLATES,
        secret::TEMPLATES,
        guideline::TEMPLATES,
        host::TEMPLATES,
        git_name::TEMPLATES,
    ]
    .into_iter()
    .flatten()
    .copied()
}
