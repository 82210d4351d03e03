//! `schema/*.sql` shows the newest schema on one page and is what the migrations add up to.
#![expect(
    clippy::disallowed_methods,
    reason = "an environment variable says that the pages shall be written anew"
)]

use std::fmt::Write as _;
use std::path::Path;

use nightshift_store::Location;
use sqlx::Connection as _;

use crate::world::World;

fn compare(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("schema")
        .join(name);
    if std::env::var_os("NIGHTSHIFT_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let shown = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shown == found,
        "schema/{name} is not what the migrations make: run the tests once with NIGHTSHIFT_WRITE_SCHEMA=1 and look at the difference"
    );
}

pub(crate) async fn sqlite_is_the_sum_of_the_migrations(w: World) {
    let Location::Sqlite(path) = &w.location else {
        panic!("a case for SQLite")
    };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut raw = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    let found: Vec<(String,)> = sqlx::query_as(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY tbl_name, type = 'table' DESC, name",
    )
    .fetch_all(&mut raw)
    .await
    .unwrap();
    let page: Vec<String> = found
        .into_iter()
        .map(|(sql,)| format!("{sql};\n"))
        .collect();
    compare("sqlite.sql", &page.join("\n"));
}

/// As the catalogue tells it, one line a column, constraint, index and trigger.
pub(crate) async fn postgres_is_the_sum_of_the_migrations(w: World) {
    let Location::Postgres(url) = &w.location else {
        panic!("a case for PostgreSQL")
    };
    let mut raw = sqlx::PgConnection::connect(url).await.unwrap();
    let found: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.relname::text, line FROM pg_class c, LATERAL (
            SELECT 1 AS kind, lpad(a.attnum::text, 4) AS place, '    ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') || CASE WHEN a.attcollation = 'pg_catalog.\"C\"'::regcollation THEN ' COLLATE \"C\"' ELSE '' END AS line
                FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL SELECT 2, conname, '    ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = c.oid AND contype <> 'n'
            UNION ALL SELECT 3, indexname::text, '    ' || indexdef FROM pg_indexes WHERE tablename = c.relname AND schemaname = 'public'
            UNION ALL SELECT 4, tgname, '    ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal
        ) AS lines WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname, kind, place, line",
    )
    .fetch_all(&mut raw)
    .await
    .unwrap();
    let mut page = String::new();
    let mut table = String::new();
    for (name, line) in found {
        if name != table {
            writeln!(page, "-- {name}").unwrap();
            table = name;
        }
        writeln!(page, "{line}").unwrap();
    }
    compare("postgres.sql", &page);
}
