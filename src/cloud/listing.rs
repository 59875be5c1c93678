//! When a listing counts as complete. Anything less says nothing about what is not in it.

use super::{
    backup::RemoteBackup,
    services::{Page, Record},
};
use std::collections::HashMap;

/// More pages than this are no listing that anybody can wait for.
const MAX_PAGES: usize = 500;
/// Nor are more records than these, which would only fill the memory.
const MAX_RECORDS: usize = 50_000;

/// A listing that is being read page by page. Pages overlap by one record: if that is not the same one on both, the list shifted meanwhile.
#[derive(Debug)]
pub struct Listing {
    page_size: usize,
    offset: usize,
    pages: usize,
    total: u64,
    last: Option<String>,
    seen: HashMap<String, Record>,
}

/// What comes after a page.
#[derive(Debug, PartialEq)]
pub enum Progress {
    /// The page from this offset on.
    More(usize),
    /// Everything is there: the manual backups, by id.
    Complete(Vec<RemoteBackup>),
    /// It does not hold together, and has to be read anew. In one line, why.
    Incomplete(String),
}

impl Listing {
    /// A listing whose first page is at offset 0.
    pub fn new(page_size: usize) -> Self {
        Self { page_size, offset: 0, pages: 0, total: 0, last: None, seen: HashMap::new() }
    }

    /// Takes the page that was asked for last.
    pub fn take(&mut self, page: Page) -> Progress {
        if self.pages == 0 {
            self.total = page.total;
        } else if page.total != self.total {
            return Progress::Incomplete(format!("the total changed from {} to {}", self.total, page.total));
        }
        self.pages += 1;
        let (count, first) = (page.records.len(), page.records.first().map(|record| record.backup.id.clone()));
        if self.last.is_some() && self.last != first {
            return Progress::Incomplete("the list shifted between two pages".into());
        }
        self.last = page.records.last().map(|record| record.backup.id.clone());
        self.seen.extend(page.records.into_iter().map(|record| (record.backup.id.clone(), record)));
        // A full page is the end only if everything is there; a total that is too small is no reason to believe so.
        if count >= self.page_size && self.seen.len() as u64 != self.total {
            return self.next_page();
        }
        if (self.seen.len() as u64) < self.total {
            return Progress::Incomplete(format!("{} records of {}", self.seen.len(), self.total));
        }
        let manual = std::mem::take(&mut self.seen).into_values().filter(|record| record.is_manual);
        let mut backups: Vec<RemoteBackup> = manual.map(|record| record.backup).collect();
        // Whoever names several of them names them the same way every time.
        backups.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        Progress::Complete(backups)
    }

    fn next_page(&mut self) -> Progress {
        if self.pages >= MAX_PAGES {
            return Progress::Incomplete(format!("more than {MAX_PAGES} pages"));
        }
        if self.seen.len() > MAX_RECORDS {
            return Progress::Incomplete(format!("more than {MAX_RECORDS} records"));
        }
        self.offset += self.page_size - 1;
        Progress::More(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::backup::RemoteState;

    fn record(id: &str) -> Record {
        let backup = RemoteBackup {
            id: id.into(),
            instance_id: "i".into(),
            mark: id.into(),
            state: RemoteState::Running,
            cloud_status: "BUILDING".into(),
            start_time: None,
            completion_time: None,
            size: None,
            engine_version: None,
            failure: None,
        };
        Record { backup, is_manual: true }
    }

    fn page(ids: &[&str], total: u64) -> Page {
        Page { records: ids.iter().map(|id| record(id)).collect(), total }
    }

    #[test]
    fn an_empty_list_is_complete() {
        assert_eq!(Listing::new(3).take(page(&[], 0)), Progress::Complete(vec![]));
    }

    #[test]
    fn pages_overlap_by_one_and_the_overlap_is_counted_once() {
        let mut listing = Listing::new(3);
        assert_eq!(listing.take(page(&["a", "b", "c"], 5)), Progress::More(2));
        let Progress::Complete(all) = listing.take(page(&["c", "e", "d"], 5)) else { panic!("not complete") };
        assert_eq!(all.iter().map(|backup| backup.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_list_that_shifted_says_nothing() {
        let mut listing = Listing::new(3);
        listing.take(page(&["a", "b", "c"], 5));
        assert!(matches!(listing.take(page(&["b", "c", "d"], 5)), Progress::Incomplete(_)));
    }

    #[test]
    fn a_total_that_changed_says_nothing() {
        let mut listing = Listing::new(3);
        listing.take(page(&["a", "b", "c"], 5));
        assert!(matches!(listing.take(page(&["c", "d", "e"], 6)), Progress::Incomplete(_)));
    }

    #[test]
    fn fewer_records_than_the_total_say_nothing() {
        assert!(matches!(Listing::new(3).take(page(&["a"], 2)), Progress::Incomplete(_)));
        assert!(matches!(Listing::new(3).take(page(&["a", "a", "a"], 3)), Progress::More(_)), "ids are counted once");
    }

    #[test]
    fn a_full_page_is_not_the_end_because_the_total_is_too_small() {
        let mut listing = Listing::new(3);
        assert_eq!(listing.take(page(&["a", "b", "c"], 0)), Progress::More(2));
        assert!(matches!(listing.take(page(&["c", "d"], 0)), Progress::Complete(all) if all.len() == 4));
    }

    #[test]
    fn automatic_backups_count_for_completeness_and_are_left_out() {
        let mut auto = record("auto");
        auto.is_manual = false;
        let listed = Listing::new(3).take(Page { records: vec![record("a"), auto], total: 2 });
        assert!(matches!(listed, Progress::Complete(all) if all.len() == 1));
    }

    #[test]
    fn a_list_of_more_records_than_fit_into_memory_is_given_up() {
        let mut listing = Listing::new(1001);
        let end = (0..).find_map(|n: usize| {
            let ids: Vec<String> = (0..=1000).map(|i| (n * 1000 + i).to_string()).collect();
            match listing.take(page(&ids.iter().map(String::as_str).collect::<Vec<_>>(), 1_000_000)) {
                Progress::More(_) => None,
                end => Some(end),
            }
        });
        assert_eq!(end, Some(Progress::Incomplete("more than 50000 records".into())));
        assert!(listing.seen.len() <= MAX_RECORDS + 1001);
    }

    #[test]
    fn a_list_without_end_is_given_up() {
        let mut listing = Listing::new(2);
        let mut pages = 0;
        let end = (0..).find_map(|n: usize| {
            pages = n;
            let ids = [format!("r{n}"), format!("r{}", n + 1)];
            match listing.take(page(&[&ids[0], &ids[1]], 1_000_000)) {
                Progress::More(_) => None,
                end => Some(end),
            }
        });
        assert!(matches!(end, Some(Progress::Incomplete(_))));
        assert!(pages <= MAX_PAGES);
    }
}
