//! How much room there is for each, where all together have a bound.

use std::collections::BTreeMap;

/// Splits items into those that there is room for, `most` in all, and the rest. Every group has the same share of the room, and what one does not need goes
/// to the others: so a group that has no more than its share loses nothing to one that has thousands. Within a group the first ones stay.
pub fn within<G: Ord, T>(items: impl IntoIterator<Item = (G, T)>, most: usize) -> (Vec<T>, Vec<T>) {
    let mut groups: BTreeMap<G, Vec<T>> = BTreeMap::new();
    for (group, item) in items {
        groups.entry(group).or_default().push(item);
    }
    let share = share(groups.values().map(Vec::len).collect(), most);
    let (mut within, mut beyond) = (Vec::new(), Vec::new());
    for mut items in groups.into_values() {
        beyond.extend(items.split_off(share.min(items.len())));
        within.extend(items);
    }
    (within, beyond)
}

/// The most that each may have, so that all together have at most `most`.
fn share(mut counts: Vec<usize>, most: usize) -> usize {
    counts.sort_unstable();
    let (mut room, mut groups) = (most, counts.len());
    for count in counts {
        let share = room / groups;
        if count > share {
            return share;
        }
        room -= count;
        groups -= 1;
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(counts: &[(&'static str, usize)], most: usize) -> Vec<(&'static str, usize)> {
        let items = counts.iter().flat_map(|(group, count)| (0..*count).map(|nth| (*group, (*group, nth))));
        let (within, beyond) = within(items, most);
        assert_eq!(within.len() + beyond.len(), counts.iter().map(|(_, count)| count).sum::<usize>());
        assert!(within.len() <= most);
        let of = |group: &str| within.iter().filter(|(other, _)| *other == group).count();
        assert!(within.iter().all(|(group, nth)| *nth < of(group)), "the first ones stay");
        counts.iter().map(|(group, _)| (*group, of(group))).collect()
    }

    #[test]
    fn who_has_no_more_than_a_share_loses_nothing_to_who_has_thousands() {
        assert_eq!(kept(&[("a", 5000), ("b", 3), ("c", 1)], 100), [("a", 96), ("b", 3), ("c", 1)]);
        assert_eq!(kept(&[("a", 5000), ("b", 40), ("c", 5000)], 100), [("a", 33), ("b", 33), ("c", 33)]);
        assert_eq!(kept(&[("a", 5000), ("b", 20), ("c", 5000)], 100), [("a", 40), ("b", 20), ("c", 40)]);
        assert_eq!(kept(&[("a", 60), ("b", 40)], 100), [("a", 60), ("b", 40)], "it all fits");
        assert_eq!(kept(&[("a", 1), ("b", 1), ("c", 1)], 2), [("a", 0), ("b", 0), ("c", 0)], "more groups than room");
        assert_eq!(kept(&[], 2), []);
    }
}
