//! `runners`: who can work.

use nightshift_api::{Nothing, operations};

use crate::clock;
use crate::connection::Connection;
use crate::failure::Done;
use crate::screen::{dim, green, plain, red, yellow};
use crate::view::age;

pub(crate) async fn run(connection: &Connection) -> Done {
    let runners = connection
        .call::<operations::RunnerList>(&Nothing {}, &Nothing {}, &Nothing {})
        .await?;
    connection.output.answer(&runners, |screen| {
        if runners.items.is_empty() {
            screen.line([dim("no runner yet; start one with `nightshift runner`")]);
            return;
        }
        let now = clock::now();
        let rows = runners.items.iter().map(|runner| {
            vec![
                plain(&runner.name),
                match (runner.alive, runner.draining) {
                    (true, false) => green("alive"),
                    (true, true) => yellow("draining"),
                    (false, false) => red("silent"),
                    (false, true) => red("silent, draining"),
                },
                plain(runner.slots.to_string()),
                plain(if runner.images { "yes" } else { "no" }),
                plain(match runner.harnesses.as_deref() {
                    None => "all".to_owned(),
                    Some([]) => "none".to_owned(),
                    Some(some) => some.join(", "),
                }),
                plain(&runner.version),
                plain(format!("{} ago", age(runner.last_seen_at, now))),
            ]
        });
        let header = [
            "runner",
            "state",
            ">slots",
            "images",
            "harnesses",
            "version",
            ">heard of",
        ];
        screen.table("", &header, rows.collect());
    })
}
