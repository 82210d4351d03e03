//! `user list`: the people whom the server knows.

use nightshift_api::{Nothing, operations};

use crate::clock;
use crate::connection::Connection;
use crate::failure::Done;
use crate::screen::plain;
use crate::view::age;

pub(crate) async fn run(connection: &Connection) -> Done {
    let users = connection
        .call::<operations::UserList>(&Nothing {}, &Nothing {}, &Nothing {})
        .await?;
    connection.output.answer(&users, |screen| {
        let now = clock::now();
        let rows = users.items.iter().map(|user| {
            vec![
                plain(&user.name),
                plain(if user.is_admin { "administrator" } else { "" }),
                plain(format!("{} ago", age(user.created_at, now))),
            ]
        });
        screen.table("", &["person", "", ">known since"], rows.collect());
    })
}
