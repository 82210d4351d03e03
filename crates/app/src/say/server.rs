//! What the server itself cannot do just now, and what changed while somebody looked.

use nightshift_domain::sentences;

sentences! {
    as_said(text) = "refused.server-as-said": "{text}";
    inside() = "refused.server-inside": "something went wrong inside the server; its log says what";
    changed(what) = "refused.server-changed": "the {what} changed in the meantime: look at it again and repeat";
    exists(what) = "refused.server-exists": "the {what} exists already";
    database_full() = "refused.server-database-full": "the database cannot be written (is the disk full?): nothing was changed; free some space and repeat";
    database_silent() = "refused.server-database-silent": "the database does not answer: nothing was changed; repeat in a moment";
    git_slow(error) = "refused.server-git-slow": "{error}: nothing was changed; repeat it";
    no_folder(path, why) = "refused.server-no-folder": "the directory {path} cannot be made: {why}";
    logs_full() = "refused.server-logs-full": "the disk with the logs is full: free some space; nothing was lost";
    too_many_tries(seconds) = "refused.server-too-many-tries": "too many tries: wait {seconds} s, then try again";
    crowded() = "refused.server-crowded": "too many people sign in right now: try again in a moment";
    branch_moves() = "refused.server-branch-moves": "the default branch moves too fast for a commit: nothing was changed; repeat it";
}
