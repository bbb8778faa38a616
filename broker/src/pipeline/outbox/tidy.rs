//! The task that keeps what was given up for one server within its bounds.

use std::sync::Arc;

use tracing::warn;

use super::Outbox;
use super::table::{self, PAGE_ROWS, UNDELIVERED};
use super::target::{Load, Target};
use crate::store::Write;

/// A share of so much more than allowed is let be before the oldest are removed: counting them takes a while.
const SLACK: u64 = 16;

impl Outbox {
    /// Works until the server stops.
    pub(super) async fn tidy(self: Arc<Self>, target: Arc<Target>) {
        while !self.stopping.is_cancelled() {
            self.trim(&target).await;
            tokio::select! { () = target.more_given_up.notified() => {}, () = self.stopping.cancelled() => {} }
        }
    }

    /// Removes the oldest of what was given up for a server where that is too much.
    async fn trim(self: &Arc<Self>, target: &Target) {
        let max = self.settings.load_max();
        let slack = Load { rows: max.rows / SLACK, bytes: max.bytes / SLACK };
        if !target.undelivered().exceeds(Load { rows: max.rows + slack.rows, bytes: max.bytes + slack.bytes })
        {
            return;
        }
        let (outbox, server) = (Arc::clone(self), target.server.clone());
        // Some have expired by themselves since they were counted.
        let counted =
            tokio::task::spawn_blocking(move || table::load(&outbox.store, UNDELIVERED, &server)).await;
        let Ok(Ok(mut load)) = counted else { return };
        let mut removed = 0;
        while load.exceeds(max) {
            let (outbox, server) = (Arc::clone(self), target.server.clone());
            let oldest = tokio::task::spawn_blocking(move || {
                table::page(&outbox.store, UNDELIVERED, &server, None, PAGE_ROWS)
            });
            let Ok(Ok(oldest)) = oldest.await else { return };
            let mut writes = Vec::new();
            for row in oldest {
                if !load.exceeds(max) {
                    break;
                }
                load = load.less(Load { rows: 1, bytes: row.value.len() as u64 });
                writes.push(Write::delete(UNDELIVERED, &target.server, &row.sort));
            }
            removed += writes.len();
            if writes.is_empty() || !self.append(writes).await {
                return;
            }
        }
        target.set_undelivered(load);
        warn!(
            server = target.server,
            removed, "removed the oldest of what could not be delivered: there was too much of it"
        );
    }
}
