//! Many short lists in one piece of memory.

/// Lists that are known by their numbers, and lie beside each other in this order.
#[derive(Debug)]
pub(super) struct Lists<T> {
    items: Box<[T]>,
    /// Where each list ends.
    ends: Box<[u32]>,
}

impl<T> Lists<T> {
    pub(super) fn new(lists: Vec<Vec<T>>) -> Self {
        let mut items = Vec::new();
        let mut ends = Vec::with_capacity(lists.len());
        for list in lists {
            items.extend(list);
            ends.push(u32::try_from(items.len()).expect("memory ends long before 2^32 items"));
        }
        Self { items: items.into(), ends: ends.into() }
    }

    /// The list of this number.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &[T] {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.items[start as usize..self.ends[number] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_those_put_in() {
        let lists = Lists::new(vec![vec![], vec![1], vec![], vec![2, 3]]);
        let all: Vec<&[i32]> = (0..4).map(|number| lists.get(number)).collect();
        assert_eq!(all, [&[][..], &[1], &[], &[2, 3]]);
    }
}
