//! The schema's history: numbered, forward only, the same numbers on both engines.
//!
//! Each migration is one transaction together with the note that it was applied, so that a process
//! killed half-way leaves the one before and the next start goes on. A schema from a newer program
//! and a migration that was edited after it was applied are refused. Deliberately absent: the way
//! back; that is a backup.

use sha2::{Digest as _, Sha256};

use crate::engine::{Db, Engine};
use crate::error::Error;
use crate::statement::{sql, values};

/// One step of the schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// Every step, in order.
pub(crate) const ALL: &[Migration] = &[
    Migration {
        version: 1,
        name: "first",
        sqlite: include_str!("../migrations/sqlite/0001_first.sql"),
        postgres: include_str!("../migrations/postgres/0001_first.sql"),
    },
    Migration {
        version: 2,
        name: "desk",
        sqlite: include_str!("../migrations/sqlite/0002_desk.sql"),
        postgres: include_str!("../migrations/postgres/0002_desk.sql"),
    },
    Migration {
        version: 3,
        name: "keyboard",
        sqlite: include_str!("../migrations/sqlite/0003_keyboard.sql"),
        postgres: include_str!("../migrations/postgres/0003_keyboard.sql"),
    },
    Migration {
        version: 4,
        name: "standing",
        sqlite: include_str!("../migrations/sqlite/0004_standing.sql"),
        postgres: include_str!("../migrations/postgres/0004_standing.sql"),
    },
    Migration {
        version: 5,
        name: "suggestions",
        sqlite: include_str!("../migrations/sqlite/0005_suggestions.sql"),
        postgres: include_str!("../migrations/postgres/0005_suggestions.sql"),
    },
    Migration {
        version: 6,
        name: "identities",
        sqlite: include_str!("../migrations/sqlite/0006_identities.sql"),
        postgres: include_str!("../migrations/postgres/0006_identities.sql"),
    },
    Migration {
        version: 7,
        name: "traffic",
        sqlite: include_str!("../migrations/sqlite/0007_traffic.sql"),
        postgres: include_str!("../migrations/postgres/0007_traffic.sql"),
    },
    Migration {
        version: 8,
        name: "views",
        sqlite: include_str!("../migrations/sqlite/0008_views.sql"),
        postgres: include_str!("../migrations/postgres/0008_views.sql"),
    },
    Migration {
        version: 9,
        name: "secrets",
        sqlite: include_str!("../migrations/sqlite/0009_secrets.sql"),
        postgres: include_str!("../migrations/postgres/0009_secrets.sql"),
    },
    Migration {
        version: 10,
        name: "inside",
        sqlite: include_str!("../migrations/sqlite/0010_inside.sql"),
        postgres: include_str!("../migrations/postgres/0010_inside.sql"),
    },
    Migration {
        version: 11,
        name: "proof_hosts",
        sqlite: include_str!("../migrations/sqlite/0011_proof_hosts.sql"),
        postgres: include_str!("../migrations/postgres/0011_proof_hosts.sql"),
    },
    Migration {
        version: 12,
        name: "guidelines",
        sqlite: include_str!("../migrations/sqlite/0012_guidelines.sql"),
        postgres: include_str!("../migrations/postgres/0012_guidelines.sql"),
    },
    Migration {
        version: 13,
        name: "images",
        sqlite: include_str!("../migrations/sqlite/0013_images.sql"),
        postgres: include_str!("../migrations/postgres/0013_images.sql"),
    },
    Migration {
        version: 14,
        name: "filter",
        sqlite: include_str!("../migrations/sqlite/0014_filter.sql"),
        postgres: include_str!("../migrations/postgres/0014_filter.sql"),
    },
    Migration {
        version: 15,
        name: "harness",
        sqlite: include_str!("../migrations/sqlite/0015_harness.sql"),
        postgres: include_str!("../migrations/postgres/0015_harness.sql"),
    },
    Migration {
        version: 16,
        name: "said",
        sqlite: include_str!("../migrations/sqlite/0016_said.sql"),
        postgres: include_str!("../migrations/postgres/0016_said.sql"),
    },
    Migration {
        version: 17,
        name: "answered",
        sqlite: include_str!("../migrations/sqlite/0017_answered.sql"),
        postgres: include_str!("../migrations/postgres/0017_answered.sql"),
    },
];

/// The one table that exists before the first migration.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_versions (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL
)";

sql! { "schema version";
    // Replicas start together; on SQLite the write transaction is the lock.
    LOCK = sqlite("SELECT 1"), postgres("SELECT pg_advisory_xact_lock(7810457306321)");
    APPLIED = both("SELECT version, name, checksum FROM schema_versions ORDER BY version");
    RECORD = both("INSERT INTO schema_versions (version, name, checksum) VALUES ($1, $2, $3)");
}

impl Migration {
    fn text(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }

    fn checksum(&self, engine: Engine) -> String {
        hex::encode(Sha256::digest(self.text(engine)))
    }
}

/// Applies what is missing, one transaction each.
pub(crate) async fn migrate(db: &Db, migrations: &[Migration]) -> Result<(), Error> {
    let known = migrations.last().map_or(0, |last| last.version);
    loop {
        let mut tx = db.write().await?;
        let engine = tx.engine();
        tx.run(&LOCK, values![]).await?;
        tx.script(TABLE).await?;
        let applied: Vec<(i64, String, String)> = tx.all(&APPLIED, values![]).await?;
        if let Some((found, ..)) = applied.last().filter(|(version, ..)| *version > known) {
            return Err(Error::TooNew {
                found: *found,
                known,
            });
        }
        for ((version, name, checksum), migration) in applied.iter().zip(migrations) {
            if *version != migration.version || *checksum != migration.checksum(engine) {
                return Err(Error::Corrupt {
                    what: "schema",
                    detail: format!(
                        "version {version} ({name}) was applied from another text than this program's version {} ({}): use the program that wrote the database, or restore a backup",
                        migration.version, migration.name
                    ),
                });
            }
        }
        let Some(next) = migrations.get(applied.len()) else {
            return tx.commit().await;
        };
        tx.script(next.text(engine)).await?;
        let checksum = next.checksum(engine);
        tx.run(&RECORD, values![next.version, next.name, checksum])
            .await?;
        tx.commit().await?;
        tracing::info!(
            version = next.version,
            name = next.name,
            "migrated the database"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Location;

    const ONE: Migration = Migration {
        version: 1,
        name: "one",
        sqlite: "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);",
        postgres: "",
    };
    const TWO: Migration = Migration {
        version: 2,
        name: "two",
        sqlite: "CREATE TABLE b (y INTEGER NOT NULL); INSERT INTO b SELECT x FROM a;",
        postgres: "",
    };
    const BROKEN: Migration = Migration {
        sqlite: "CREATE TABLE b (y INTEGER); INSERT INTO nowhere VALUES (1);",
        ..TWO
    };

    sql! { "test table";
        COUNT_B = both("SELECT COUNT(*) FROM b");
    }

    async fn open(folder: &tempfile::TempDir) -> Db {
        Db::connect(&Location::Sqlite(folder.path().join("n.db")))
            .await
            .expect("a database")
    }

    #[tokio::test]
    async fn a_step_that_breaks_half_way_leaves_nothing_and_is_taken_up_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = open(&folder).await;
        migrate(&db, &[ONE, BROKEN]).await.expect_err("broken");
        migrate(&db, &[ONE, TWO]).await.expect("goes on");
        migrate(&db, &[ONE, TWO]).await.expect("twice is once");
        let mut tx = db.read().await.expect("a transaction");
        assert_eq!(tx.number(&COUNT_B, values![]).await.expect("a count"), 1);
    }

    #[tokio::test]
    async fn a_newer_schema_and_an_edited_step_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = open(&folder).await;
        migrate(&db, &[ONE, TWO]).await.expect("migrated");
        let newer = migrate(&db, &[ONE]).await.expect_err("refused");
        assert!(matches!(newer, Error::TooNew { found: 2, known: 1 }));
        assert!(
            newer.to_string().contains("start a newer nightshift"),
            "{newer}"
        );
        let edited = migrate(&db, &[ONE, BROKEN]).await.expect_err("refused");
        assert!(matches!(edited, Error::Corrupt { what: "schema", .. }));
        assert_eq!(STATEMENTS.len(), 1);
    }

    #[test]
    fn the_list_is_what_the_folders_hold() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        for engine in ["sqlite", "postgres"] {
            let mut files: Vec<String> = std::fs::read_dir(root.join(engine))
                .expect("a folder")
                .map(|entry| {
                    entry
                        .expect("an entry")
                        .file_name()
                        .to_string_lossy()
                        .into_owned()
                })
                .collect();
            files.sort();
            let listed: Vec<String> = ALL
                .iter()
                .map(|step| format!("{:04}_{}.sql", step.version, step.name))
                .collect();
            assert_eq!(files, listed, "{engine}");
        }
        assert!(
            ALL.iter()
                .zip(1..)
                .all(|(step, number)| step.version == number)
        );
    }
}
