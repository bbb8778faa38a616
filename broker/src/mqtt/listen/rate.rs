//! How often an address may connect: one number for each address that did so lately, in a table that is bounded.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Addresses remembered. Beyond, those that have their full allowance again are forgotten, then whoever is nearest to it.
const ADDRESSES_MAX: usize = 65_536;

/// Over which time an allowance may be saved up and used at once.
const BURST_NANOS: u64 = 1_000_000_000;

/// Who connected when.
#[derive(Debug, Default)]
pub(super) struct AddressRates {
    /// When each address will have its full allowance again: the "theoretical arrival time" of the generic cell rate
    /// algorithm, in nanoseconds.
    full_at: HashMap<IpAddr, u64>,
}

impl AddressRates {
    /// Takes one connection from an address's allowance; false if nothing is left of it. `now` is the time since the
    /// server started.
    pub(super) fn take(&mut self, address: IpAddr, per_second: u32, now: Duration) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let cost = BURST_NANOS / u64::from(per_second.max(1));
        let network = network(address);
        let full_at = self.full_at.get(&network).copied().unwrap_or(0).max(now) + cost;
        if full_at - now > BURST_NANOS {
            return false;
        }
        if self.full_at.len() >= ADDRESSES_MAX && !self.full_at.contains_key(&network) {
            self.forget(now);
        }
        self.full_at.insert(network, full_at);
        true
    }

    /// Makes room: at least half of the table, so that it need not be done again soon.
    fn forget(&mut self, now: u64) {
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() > ADDRESSES_MAX / 2 {
            let mut times: Vec<u64> = self.full_at.values().copied().collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            let mut spare = times.len() - ADDRESSES_MAX / 2;
            self.full_at.retain(|_, full_at| {
                let goes = *full_at <= median && spare > 0;
                spare -= usize::from(goes);
                !goes
            });
        }
    }
}

/// Whom an address stands for: of IPv6 everybody has a /64 to choose from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn an_address_has_its_allowance_and_gets_it_back_over_time() {
        let mut rates = AddressRates::default();
        let mut taken = |at| rates.take(address("192.0.2.1"), 4, millis(at));
        assert_eq!([0, 0, 0, 0, 0].map(&mut taken), [true, true, true, true, false]);
        assert!(!taken(249), "what is refused costs nothing");
        assert!(taken(250) && !taken(250));
        assert_eq!(
            [5_000; 5].map(taken),
            [true, true, true, true, false],
            "no more than a second's is saved up"
        );
    }

    #[test]
    fn addresses_do_not_share_but_a_network_of_ipv6_does() {
        let mut rates = AddressRates::default();
        let mut taken = |text| rates.take(address(text), 1, millis(0));
        assert!(taken("192.0.2.1") && taken("192.0.2.2"));
        assert!(!taken("::ffff:192.0.2.1"), "the same in another form");
        assert!(taken("2001:db8::1") && !taken("2001:db8::2"), "one /64");
        assert!(taken("2001:db8:0:1::1"), "another /64");
    }

    #[test]
    fn the_table_is_bounded_and_forgets_those_who_may_anyway() {
        let mut rates = AddressRates::default();
        for number in 0..3 * u32::try_from(ADDRESSES_MAX).unwrap() {
            let address = IpAddr::V4(number.into());
            assert!(rates.take(address, 1, millis(u64::from(number) / 1_000)));
            assert!(rates.full_at.len() <= ADDRESSES_MAX);
        }
        let mut rates = AddressRates::default();
        for number in 0..2 * u32::try_from(ADDRESSES_MAX).unwrap() {
            assert!(rates.take(IpAddr::V4(number.into()), 1, millis(0)), "all at once, all equal");
            assert!(rates.full_at.len() <= ADDRESSES_MAX);
        }
    }
}
