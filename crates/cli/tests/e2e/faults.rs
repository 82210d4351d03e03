//! `kill -9` of the server and of the runner in the middle of ten concurrent runs: nothing is lost,
//! nothing is doubled, nothing stays behind.

use nix::sys::signal::{Signal, kill};

use super::house::{House, within};
use super::ten::{
    TEN, all_is_well, all_work, approve_until, done, file_ten, items, open_the_gate, phases,
};

/// How often an agent was started.
fn starts(house: &House) -> usize {
    let runs = house.json(&["run", "list", "-n", "200"]);
    let authors = items(&runs).iter().filter(|run| run["kind"] == "author");
    authors.count()
}

#[test]
fn e2e_kill_of_server_and_runner_loses_and_doubles_nothing() {
    let mut house = House::with_runner(10, "", "");
    let token = house.token.clone();
    file_ten(&house);
    all_work(&house);

    // The server: the agents do not even notice.
    house.kill_server();
    house.start_server();
    all_work(&house);
    assert_eq!(starts(&house), 10);

    // The runner: its runs are gone with it, and are started again when their leases have ended.
    house.kill_runner();
    house.nothing_runs();
    house.start_runner();
    assert_eq!(phases(&house), [("working".to_owned(), TEN)]);
    open_the_gate(&house, &token);

    // The server once more, while some are proved and some land.
    approve_until(&house, |house| done(house) >= 2);
    house.kill_server();
    house.start_server();
    approve_until(&house, |house| done(house) == TEN);
    all_is_well(&house, &token);
    house.stop();
    house.nothing_is_left();
}

#[test]
fn e2e_kill_of_all_below_up_loses_and_doubles_nothing() {
    let mut house = House::with_up(10);
    file_ten(&house);
    all_work(&house);

    // The runner, which `up` starts again, and then `up` itself with the server in it.
    let first = house.runner_of_up();
    kill(first, Signal::SIGKILL).expect("killed");
    within(30, "another runner", || {
        (house.runner_of_up() != first).then_some(())
    });
    let second = house.runner_of_up();
    house.kill_up();
    within(90, "end of the runner", || {
        kill(second, None).is_err().then_some(())
    });
    house.nothing_runs();
    house.start_up();
    let token = house.saved_token();
    assert_eq!(phases(&house), [("working".to_owned(), TEN)]);
    open_the_gate(&house, &token);
    approve_until(&house, |house| done(house) == TEN);
    all_is_well(&house, &token);
    house.stop();
    house.nothing_is_left();
}
