//! Deliver: brings events to outside targets, in order, once each.
//!
//! Theory: a delivery is written with the state it tells of. It is sent with an idempotency key (its
//! own id) until the target says yes, with growing pauses; one dead target delays no other.

use std::time::Duration;

use futures_util::future::join_all;
use nightshift_store::outbox::Delivery;
use nightshift_store::{event, outbox, project};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Report;
use crate::{App, Error};

const BATCH: i64 = 100;
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// A place that events are brought to.
pub trait Target: Send + Sync {
    /// Its name, as in the settings.
    fn name(&self) -> &str;

    /// Brings one event. `id` is the idempotency key: the same for every try.
    fn send(
        &self,
        id: Uuid,
        event: Value,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
}

impl App {
    /// Brings what is due, the oldest of each target at once. Targets that are not given keep their
    /// deliveries.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn deliver(&self, targets: &[Box<dyn Target>]) -> Result<Report, Error> {
        let mut tx = self.db().read().await?;
        let due = outbox::outbox_due(&mut tx, self.now(), BATCH).await?;
        drop(tx);
        let brought = due.iter().filter_map(|delivery| {
            let target = targets
                .iter()
                .find(|target| target.name() == delivery.target)?;
            Some(self.bring(delivery, target.as_ref()))
        });
        let mut report = Report::default();
        for outcome in join_all(brought).await {
            report.count("delivery", outcome);
        }
        Ok(report)
    }

    async fn bring(&self, delivery: &Delivery, target: &dyn Target) -> Result<bool, Error> {
        let mut tx = self.db().read().await?;
        let found = event::event_list(&mut tx, delivery.seq - 1, None, None, 1).await?;
        let Some(event) = found.into_iter().find(|event| event.seq == delivery.seq) else {
            return Ok(false);
        };
        let project = match event.project {
            Some(id) => project::project_get(&mut tx, id).await?.map(|one| one.name),
            None => None,
        };
        drop(tx);
        let body = json!({
            "type": event.kind,
            "timestamp": event.at,
            "data": {
                "seq": event.seq,
                "project": project,
                "run": event.run,
                "actor": event.actor.label(),
                "detail": event.data,
            },
        });
        let sent = target.send(delivery.id, body).await;
        let mut tx = self.db().write().await?;
        match sent {
            Ok(()) => outbox::outbox_delivered(&mut tx, delivery.id, self.now()).await?,
            Err(why) => {
                tracing::warn!(
                    target = delivery.target,
                    why,
                    "a delivery failed; it is repeated"
                );
                let tries = u32::try_from(delivery.attempts).unwrap_or(u32::MAX).min(10);
                let pause = Duration::from_secs(5 * 2u64.pow(tries)).min(LONGEST_PAUSE);
                outbox::outbox_failed(&mut tx, delivery.id, &why, self.now() + pause).await?;
            }
        }
        tx.commit().await?;
        Ok(true)
    }
}
