//! How a batch grows: what it takes, and when it is complete.

use pointsman_rules::BatchLimits;

/// A batch that grows.
#[derive(Debug)]
pub(crate) struct Growing<T> {
    items: Vec<T>,
    bytes: usize,
}

/// What is complete when an item was added.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grown<T> {
    /// What the item would have made too large; what grows now has begun with the item.
    pub(crate) before: Option<Vec<T>>,
    /// What grew, with the item: it has reached a limit.
    pub(crate) full: Option<Vec<T>>,
}

impl<T> Default for Growing<T> {
    fn default() -> Growing<T> {
        Growing { items: Vec::new(), bytes: 0 }
    }
}

impl<T> Growing<T> {
    /// Adds an item of so many bytes.
    pub(crate) fn add(&mut self, item: T, bytes: usize, limits: &BatchLimits) -> Grown<T> {
        let overflows = !self.items.is_empty() && self.bytes + bytes > limits.bytes_max;
        let before = overflows.then(|| self.take());
        self.items.push(item);
        self.bytes += bytes;
        let is_full = self.items.len() >= limits.messages_max || self.bytes >= limits.bytes_max;
        Grown { before, full: is_full.then(|| self.take()) }
    }

    /// Takes it as it is.
    pub(crate) fn take(&mut self) -> Vec<T> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }

    /// Items that it has.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Their bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_batch_is_complete_with_its_last_message_or_before_one_that_is_too_many() {
        let limits = BatchLimits { messages_max: 3, bytes_max: 10, delay_max: Duration::from_secs(1) };
        let mut batch = Growing::default();
        let mut add = |item, bytes| {
            let Grown { before, full } = batch.add(item, bytes, &limits);
            (before, full, batch.len(), batch.bytes())
        };
        assert_eq!(add(1, 4), (None, None, 1, 4));
        assert_eq!(add(2, 4), (None, None, 2, 8));
        assert_eq!(add(3, 4), (Some(vec![1, 2]), None, 1, 4), "12 bytes would be too many");
        assert_eq!(add(4, 6), (None, Some(vec![3, 4]), 0, 0), "10 are just enough");
        assert_eq!(add(5, 1), (None, None, 1, 1));
        assert_eq!(add(6, 99), (Some(vec![5]), Some(vec![6]), 0, 0), "one alone may be too large");
        assert_eq!((add(7, 0), add(8, 0)), ((None, None, 1, 0), (None, None, 2, 0)));
        assert_eq!(add(9, 0), (None, Some(vec![7, 8, 9]), 0, 0));
    }
}
