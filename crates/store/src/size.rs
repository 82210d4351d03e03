//! How large the database is. No table of its own: the engine knows.

use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

sql! { "database size";
    SIZE = sqlite("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"),
        postgres("SELECT pg_database_size(current_database())");
}

/// The size of the database on disk, in bytes.
pub async fn database_size(tx: &mut Tx) -> Result<i64, Error> {
    tx.number(&SIZE, values![]).await
}
