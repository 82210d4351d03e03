//! What the platform says in the conversation on an issue: notes of its own, and the question for
//! hosts with its answer, which it puts into words for an agent and a person.
//!
//! Deliberately absent: what people and agents say themselves; it stands in a place as it is.

use crate::sentence::sentences;

sentences! {
    pub;
    taken_out(why) = "note.taken-out": "Taken out of the merge queue: {why}.";
    holds_it() = "note.holds-it": "the default branch holds this change already";
    not_rebased() = "note.not-rebased": "its commits cannot be put on top of the default branch one by one: merge the default branch into it, or set merge.method = \"squash\"";
    too_late(who, quoted) = "note.too-late": "What {who} said to the agent came too late for its run. The next run gets it:\n\n{quoted}";
    may_reach(hosts, why) = "note.may-reach": "May I reach {hosts}?\n\n{why}";
    opened(hosts) = "note.opened": "You may reach {hosts} now, through the proxy that the environment names.";
    stays_closed(hosts) = "note.stays-closed": "{hosts} stays out of reach: do without, and say in your summary what that means.";
    opened_in_part(opened, closed) = "note.opened-in-part": "{opened} {closed}";
}
