//! What was given up, for the operator: to look at, to send once more, to remove.

use std::sync::Arc;

use data_encoding::BASE64;
use serde::Serialize;

use super::Outbox;
use super::table::{self, Letter, PAGE_ROWS, UNDELIVERED, WAITING};
use super::target::Load;
use crate::aside::aside;
use crate::store::{ReadError, Row, Write};

/// A request that was given up.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterView {
    /// Its `Idempotency-Key`.
    pub id: String,
    /// The rule that asked for it.
    pub rule: String,
    /// The method.
    pub method: String,
    /// Where it was to go.
    pub url: String,
    /// Why it was given up.
    pub why: String,
    /// How often it was tried since the server started.
    pub attempts: u32,
    /// When the rule asked for it, in milliseconds since 1970.
    pub asked_at_ms: u64,
    /// When it was given up.
    pub given_up_at_ms: u64,
    /// The body, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body in base64, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// Some of what was given up for a server, the oldest first.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LettersPage {
    /// The requests.
    pub requests: Vec<LetterView>,
    /// Behind which id the next page begins, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Outbox {
    /// A page of what was given up for a server behind an id. May wait for the disk.
    pub fn letters(&self, server: &str, after: Option<&str>) -> Result<LettersPage, ReadError> {
        let rows = table::page(&self.store, UNDELIVERED, server, after, PAGE_ROWS)?;
        let next = (rows.len() == PAGE_ROWS).then(|| rows.last().map(|row| row.sort.clone())).flatten();
        Ok(LettersPage { requests: rows.into_iter().filter_map(view).collect(), next })
    }

    /// Puts a request that was given up into the queue again, or all of a page if no id is said; gives how many. Its id and
    /// so its `Idempotency-Key` stay, so that doing it twice does no harm.
    pub async fn send_again(&self, server: &str, id: Option<&str>) -> Result<usize, ReadError> {
        let mut again = 0;
        let Some(target) = self.targets.get(server) else { return Ok(0) };
        let _alone = self.at_letters.lock().await;
        for row in self.pick(server, id).await? {
            let Some(letter) = Letter::decode(row.value.clone()) else { continue };
            let mut delivery = letter.delivery;
            // Its time begins anew.
            delivery.at_ms = self.clock.now_ms();
            let value = delivery.encode();
            let Some(ticket) = target.reserve(value.len() as u64, self.settings.load_max()) else { break };
            let writes = vec![
                Write::delete(UNDELIVERED, server, &row.sort),
                Write::put(WAITING, server, &row.sort, value, None),
            ];
            if self.append(writes).await {
                target.is_gone(Load { rows: 1, bytes: row.value.len() as u64 });
                ticket.keep();
                again += 1;
            }
        }
        Ok(again)
    }

    /// Removes a request that was given up, or all of a page if no id is said; gives how many.
    pub async fn forget(&self, server: &str, id: Option<&str>) -> Result<usize, ReadError> {
        let mut gone = 0;
        let Some(target) = self.targets.get(server) else { return Ok(0) };
        let _alone = self.at_letters.lock().await;
        for row in self.pick(server, id).await? {
            if self.append(vec![Write::delete(UNDELIVERED, server, &row.sort)]).await {
                target.is_gone(Load { rows: 1, bytes: row.value.len() as u64 });
                gone += 1;
            }
        }
        Ok(gone)
    }

    async fn pick(&self, server: &str, id: Option<&str>) -> Result<Vec<Row>, ReadError> {
        let (store, server, id) = (Arc::clone(&self.store), server.to_owned(), id.map(str::to_owned));
        let read = move || match id {
            Some(id) => Ok(store.get(UNDELIVERED, &server, &id)?.into_iter().collect()),
            None => table::page(&store, UNDELIVERED, &server, None, PAGE_ROWS),
        };
        aside(read).await
    }
}

fn view(row: Row) -> Option<LetterView> {
    let Letter { given_up_at_ms, attempts, why, delivery } = Letter::decode(row.value)?;
    let text = std::str::from_utf8(&delivery.body).ok().map(str::to_owned);
    let body_base64 = text.is_none().then(|| BASE64.encode(&delivery.body));
    Some(LetterView {
        id: row.sort,
        rule: delivery.rule,
        method: delivery.method,
        url: delivery.url,
        why,
        attempts,
        asked_at_ms: delivery.at_ms,
        given_up_at_ms,
        body: text,
        body_base64,
    })
}
