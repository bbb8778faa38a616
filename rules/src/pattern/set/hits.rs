//! What the values of one event have met so far.

/// Noted by number, and only valid if noted for the present event: so nothing is cleared between events.
#[derive(Debug, Default)]
pub(super) struct Hits {
    event: u32,
    /// By condition: the event that last met it by passing a test.
    conditions: Vec<u32>,
    /// The conditions met by passing a test.
    pub(super) met: Vec<u32>,
    exclusions: Vec<Exclusion>,
    paths: Vec<AtPath>,
    /// The paths with values.
    pub(super) present: Vec<u32>,
    /// Whether some value lies in an element of an array.
    pub(super) has_arrays: bool,
    /// By rule: the event that last matched it.
    rules: Vec<u32>,
}

/// How many values an `anything-but` excludes.
#[derive(Clone, Copy, Debug, Default)]
struct Exclusion {
    event: u32,
    values: u32,
    /// The last of them.
    last: u32,
}

/// The values at a path.
#[derive(Clone, Copy, Debug, Default)]
struct AtPath {
    event: u32,
    values: u32,
    /// Whether some of them lie in elements of arrays.
    is_in_array: bool,
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) conditions: usize,
    pub(super) exclusions: usize,
    pub(super) paths: usize,
    pub(super) rules: usize,
}

impl Hits {
    /// Begins with an event.
    pub(super) fn begin(&mut self, sizes: Sizes) {
        if self.event == u32::MAX {
            *self = Self::default();
        }
        self.event += 1;
        self.met.clear();
        self.present.clear();
        self.has_arrays = false;
        grow(&mut self.conditions, sizes.conditions);
        grow(&mut self.exclusions, sizes.exclusions);
        grow(&mut self.paths, sizes.paths);
        grow(&mut self.rules, sizes.rules);
    }

    /// Notes a value at a path.
    #[inline]
    pub(super) fn add_value(&mut self, path: u32, is_in_array: bool) {
        let at = &mut self.paths[path as usize];
        if at.event != self.event {
            *at = AtPath { event: self.event, values: 0, is_in_array: false };
            self.present.push(path);
        }
        at.values += 1;
        at.is_in_array |= is_in_array;
        self.has_arrays |= is_in_array;
    }

    /// Notes that a value meets a condition.
    #[inline]
    pub(super) fn meet(&mut self, condition: u32) {
        let noted = &mut self.conditions[condition as usize];
        if *noted != self.event {
            *noted = self.event;
            self.met.push(condition);
        }
    }

    /// Notes that an `anything-but` excludes the value of this index.
    #[inline]
    pub(super) fn exclude(&mut self, exclusion: u32, value: u32) {
        let noted = &mut self.exclusions[exclusion as usize];
        if noted.event != self.event {
            *noted = Exclusion { event: self.event, values: 1, last: value };
        } else if noted.last != value {
            noted.values += 1;
            noted.last = value;
        }
    }

    #[inline]
    pub(super) fn is_met(&self, condition: u32) -> bool {
        self.conditions[condition as usize] == self.event
    }

    /// Whether an `anything-but` leaves a value of its path.
    #[inline]
    pub(super) fn leaves_some(&self, exclusion: u32, path: u32) -> bool {
        let noted = self.exclusions[exclusion as usize];
        let excluded = if noted.event == self.event { noted.values } else { 0 };
        excluded < self.values(path)
    }

    /// How many values are at a path.
    #[inline]
    pub(super) fn values(&self, path: u32) -> u32 {
        let at = self.paths[path as usize];
        if at.event == self.event { at.values } else { 0 }
    }

    #[inline]
    pub(super) fn is_in_array(&self, path: u32) -> bool {
        let at = self.paths[path as usize];
        at.event == self.event && at.is_in_array
    }

    pub(super) fn has_matched(&self, rule: u32) -> bool {
        self.rules[rule as usize] == self.event
    }

    /// Notes that a rule matches.
    pub(super) fn match_rule(&mut self, rule: u32) {
        self.rules[rule as usize] = self.event;
    }
}

fn grow<T: Clone + Default>(list: &mut Vec<T>, len: usize) {
    if list.len() < len {
        list.resize(len, T::default());
    }
}
