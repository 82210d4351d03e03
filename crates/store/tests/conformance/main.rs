//! The conformance suite: the same cases on both engines, each on a fresh database.
//!
//! Behaviour of the store is what these cases say. All failures of a run are reported together.
//! Deliberately absent: a way to skip PostgreSQL.
#![expect(clippy::unwrap_used, reason = "tests")]

mod check;
mod desk;
mod events;
mod harnesses;
mod images;
mod issues;
mod keyboard;
mod landing;
mod people;
#[path = "../../../testkit/src/postgres.rs"]
pub mod postgres;
mod process;
mod races;
mod schema;
mod upgrade;
mod work;
mod world;

use std::future::Future;
use std::pin::Pin;

use nightshift_store::Location;
use world::World;

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;
type Case = (&'static str, fn(World) -> Boxed);

macro_rules! cases {
    ($($module:ident: $($name:ident),+;)+) => {
        &[$($((
            concat!(stringify!($module), "::", stringify!($name)),
            (|world| Box::pin($module::$name(world))) as fn(World) -> Boxed,
        )),+),+]
    };
}

const BOTH: &[Case] = cases! {
    check: every_statement_fits_the_schema, a_newer_schema_is_refused, a_migration_that_breaks_half_way_leaves_nothing, a_dropped_transaction_leaves_nothing, a_cancelled_caller_leaves_nothing, a_reader_sees_one_snapshot_and_cannot_write, text_with_nul_is_refused;
    people: users, identities, views, secrets, sign_ins_come_back_once, tokens, labelled_tokens, passwords, runners, projects, members, the_database_has_a_size;
    issues: round_trip, versions_guard, lists_filter, pages_are_complete_while_rows_arrive, sweeps_skip_damaged_rows, acceptances, blocks, messages, what_failed_for_a_reason_is_found;
    desk: the_first_of_what_waits_are_listed, stale_standings_are_found, costs_add_up, parks, viewed_files, draft_comments;
    landing: pulls_and_heads, verdicts, reviews, merge_queue;
    keyboard: a_tried_seal_is_found_with_its_result, words_to_a_run_end_in_one_way, what_agents_say_is_counted_and_kept, hosts_that_are_open_are_found_until_somebody_decides;
    upgrade: a_database_of_version_1_is_taken_over_with_its_data;
    work: job_round_trip, jobs_are_claimed_in_order, a_damaged_job_does_not_block_the_queue, leases_expire, invariants_are_refused, runs, run_lists, sessions;
    images: what_needs_an_image_is_passed_over_without_one, settings_that_change_are_followed, many_that_need_an_image_cost_a_claim_nothing;
    harnesses: what_a_runner_lacks_is_left_to_another, settings_and_agents_that_change_count_for_what_is_queued, an_image_brings_the_program, many_that_need_a_harness_cost_a_claim_nothing, no_note_outlives_its_cause;
    events: log_and_lists, a_planted_change_is_found, the_log_cannot_be_rewritten, outbox_keeps_the_order_per_target, notifications, idempotency;
    races: numbers_have_no_gap_and_no_double, no_job_runs_twice, one_of_many_saves_wins, events_are_gapless_and_in_order, one_of_many_answers_is_kept;
};

const SQLITE: &[Case] = cases! {
    process: a_second_process_is_refused, a_killed_process_loses_nothing_it_acknowledged, a_full_disk_refuses_writes_and_keeps_reads;
    schema: sqlite_is_the_sum_of_the_migrations;
};

const POSTGRES: &[Case] = cases! {
    process: replicas_start_together;
    schema: postgres_is_the_sum_of_the_migrations;
};

fn run(cases: impl Iterator<Item = &'static Case>, place: impl Fn(&str) -> Location) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let mut failed = Vec::new();
    for (number, (name, case)) in cases.enumerate() {
        let location = place(&format!("case_{number}"));
        let ended = runtime.block_on(async {
            let world = World::open(location).await;
            tokio::spawn(case(world)).await
        });
        if ended.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed (see above): {failed:#?}");
}

#[test]
fn conformance_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    run(BOTH.iter().chain(SQLITE), |name| {
        Location::Sqlite(folder.path().join(name).join("nightshift.db"))
    });
}

#[test]
fn conformance_postgres() {
    // Tests may lose their data.
    let fast = [
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
    ];
    let server = postgres::Server::start(&fast).unwrap();
    run(BOTH.iter().chain(POSTGRES), |name| {
        Location::parse(&server.database(name).unwrap()).unwrap()
    });
}

/// Does nothing unless the suite starts it as a process of its own.
#[test]
fn child_of_sqlite() {
    process::child();
}
