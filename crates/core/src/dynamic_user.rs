//! Accounts that are nobody's: which number a service gets that asks for one.
//!
//! A number belongs to a service from its first start for as long as its directories are there, so that nobody else gets
//! the number who could read what they hold. Pure: others look at the machine.

use std::ops::RangeInclusive;

/// The numbers that systemd keeps for such accounts; no distribution gives them to anybody.
pub const RANGE: RangeInclusive<u32> = 61_184..=65_519;

/// What stands before the service's name where a plan has the account. No account's name has such a character, so that
/// a keeper that knows nothing of this refuses the start.
const MARK: &str = "dynamic/";

/// The account of this service in a plan.
pub fn of(service: &str) -> String {
    format!("{MARK}{service}")
}

/// Whose dynamic account this is; none if it is an ordinary one.
pub fn service_of(user: &str) -> Option<&str> {
    user.strip_prefix(MARK)
}

/// Why there is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The number of its directories has become an account's.
    Given(u32),
    /// All are taken.
    NoneLeft,
}

/// The number of `owner`. `own`: whose number its directories have. `has_account`: whether an account or a group has the
/// number. `is_used`: whether another one's directories, or a process, have it.
///
/// # Errors
/// It has none that is its own alone.
pub fn choose(
    owner: &str,
    own: Option<u32>,
    has_account: impl Fn(u32) -> bool,
    is_used: impl Fn(u32) -> bool,
) -> Result<u32, Refused> {
    if let Some(own) = own.filter(|own| RANGE.contains(own)) {
        return if has_account(own) { Err(Refused::Given(own)) } else { Ok(own) };
    }
    let count = RANGE.end() - RANGE.start() + 1;
    let first = hash(owner) % count;
    let numbers = (0..count).map(|step| RANGE.start() + (first + step) % count);
    numbers.into_iter().find(|number| !is_used(*number) && !has_account(*number)).ok_or(Refused::NoneLeft)
}

/// FNV-1a: the same for ever, so that a service mostly gets the number that it had before.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_number_is_kept_and_never_shared() {
        let no = |_| false;
        let first = choose("shop/web", None, no, no).expect("all are free");
        assert!(RANGE.contains(&first));
        assert_eq!(choose("shop/web", None, no, no), Ok(first), "it is the same each time");
        let next = choose("shop/web", None, no, |number| number == first).expect("most are free");
        assert_ne!(next, first);
        assert_eq!(choose("shop/web", None, |number| number == first, no), Ok(next));
        // What its directories have counts, and processes of its own are no obstacle.
        assert_eq!(choose("shop/web", Some(next), no, |_| true), Ok(next));
        assert_eq!(choose("shop/web", Some(next), |_| true, no), Err(Refused::Given(next)));
        // Root made the directories and came no further.
        assert_eq!(choose("shop/web", Some(0), no, no), Ok(first));
    }

    #[test]
    fn all_numbers_are_given_before_none_is_left() {
        let mut used = BTreeSet::new();
        let count = RANGE.count();
        for _ in 0..count {
            let number = choose("shop/web", None, |_| false, |number| used.contains(&number));
            assert!(used.insert(number.expect("one is left")));
        }
        assert!(used.iter().all(|number| RANGE.contains(number)));
        let none = choose("shop/web", None, |_| false, |number| used.contains(&number));
        assert_eq!((used.len(), none), (count, Err(Refused::NoneLeft)));
    }

    #[test]
    fn a_plan_says_whose_account_it_is() {
        assert_eq!(service_of(&of("web")), Some("web"));
        assert_eq!((service_of("web"), service_of("dynamic")), (None, None));
    }
}
