//! `token list`: one's own tokens, without their secrets.

use nightshift_api::{Nothing, operations};

use crate::clock;
use crate::connection::Connection;
use crate::failure::Done;
use crate::screen::{dim, plain, red};
use crate::view::age;
use crate::words::short_id;

pub(crate) async fn run(connection: &Connection) -> Done {
    let tokens = connection
        .call::<operations::TokenList>(&Nothing {}, &Nothing {}, &Nothing {})
        .await?;
    connection.output.answer(&tokens, |screen| {
        let now = clock::now();
        let rows = tokens.items.iter().map(|token| {
            let ends = match (token.revoked_at, token.expires_at) {
                (Some(at), _) => red(format!("revoked {} ago", age(at, now))),
                (None, Some(at)) if at <= now => red(format!("expired {} ago", age(at, now))),
                (None, Some(at)) => plain(format!("in {}", age(now, at))),
                (None, None) => dim("never"),
            };
            let used = token
                .used_at
                .map_or_else(|| dim("never"), |at| plain(format!("{} ago", age(at, now))));
            vec![
                plain(short_id(&token.id)),
                plain(&token.label),
                plain(format!("{} ago", age(token.created_at, now))),
                used,
                ends,
            ]
        });
        screen.table(
            "",
            &["token", "for", ">made", ">used", "ends"],
            rows.collect(),
        );
    })
}
