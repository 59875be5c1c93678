//! When a listing counts as complete. Whatever its pages show is true, but only a complete listing says anything about what is not in it.

use super::{backup::RemoteBackup, service::Page};
use std::collections::HashMap;

/// More pages than this are no listing that anybody can wait for.
const MAX_PAGES: usize = 500;
/// Nor are more records than these, which would only fill the memory.
const MAX_RECORDS: usize = 50_000;

/// A listing that is being read page by page. Pages overlap by one record: if that is not the same one on both, the list shifted meanwhile.
///
/// A listing that does not hold together is read on all the same: each further page shows where some backup stands.
#[derive(Debug)]
pub struct Listing {
    page_size: usize,
    offset: usize,
    pages: usize,
    total: u64,
    last: Option<String>,
    seen: HashMap<String, RemoteBackup>,
    /// Why it does not hold together, if it does not.
    gap: Option<Gap>,
}

/// What comes after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The page from this offset on.
    More(usize),
    /// That was the last one.
    End,
}

/// Why a listing does not hold together. The texts carry no numbers: they go into messages, which must not change from look to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Gap {
    /// The total changed between two pages.
    #[error("its total changed between two pages")]
    TotalChanged,
    /// Two pages do not overlap as they should.
    #[error("it shifted between two pages")]
    Shifted,
    /// Fewer records than the total says.
    #[error("it has fewer records than its total says")]
    RecordsMissing,
    /// More pages or records than anybody can wait for.
    #[error("it is longer than can be read")]
    TooLong,
}

impl Listing {
    /// A listing whose first page is at offset 0.
    pub fn new(page_size: usize) -> Self {
        Self { page_size, offset: 0, pages: 0, total: 0, last: None, seen: HashMap::new(), gap: None }
    }

    /// Takes the page that was asked for last.
    pub fn take(&mut self, page: Page) -> Progress {
        if self.pages == 0 {
            self.total = page.total;
        } else if page.total != self.total {
            self.gap.get_or_insert(Gap::TotalChanged);
        }
        self.pages += 1;
        let (count, first) = (page.records.len(), page.records.first().map(|record| record.id.clone()));
        if self.last.is_some() && self.last != first {
            self.gap.get_or_insert(Gap::Shifted);
        }
        self.last = page.records.last().map(|record| record.id.clone());
        let before = self.seen.len();
        self.seen.extend(page.records.into_iter().map(|record| (record.id.clone(), record)));
        // A full page is the end only if everything is there; a total that is too small is no reason to believe so. Without a gap every page but the
        // first brings something new, so one that brings nothing would come again and again.
        let is_full = count >= self.page_size && (self.seen.len() as u64 != self.total || self.gap.is_some());
        let goes_on = is_full && (self.pages == 1 || self.gap.is_none() || self.seen.len() > before);
        if goes_on {
            return self.next_page();
        }
        if (self.seen.len() as u64) < self.total {
            self.gap.get_or_insert(Gap::RecordsMissing);
        }
        Progress::End
    }

    fn next_page(&mut self) -> Progress {
        if self.pages >= MAX_PAGES || self.seen.len() > MAX_RECORDS {
            self.gap = Some(Gap::TooLong);
            return Progress::End;
        }
        self.offset += self.page_size - 1;
        Progress::More(self.offset)
    }

    /// Everything that the pages showed, by id; and why it may not be everything that there is.
    pub fn into_parts(self) -> (Vec<RemoteBackup>, Option<Gap>) {
        let mut backups: Vec<RemoteBackup> = self.seen.into_values().collect();
        // Whoever names several of them names them the same way every time.
        backups.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        (backups, self.gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::backup::RemoteState;

    fn record(id: &str) -> RemoteBackup {
        RemoteBackup {
            id: id.into(),
            instance_id: "i".into(),
            mark: id.into(),
            kind: crate::cloud::backup::BackupKind::Manual,
            is_unusable: false,
            state: RemoteState::Running,
            cloud_status: "BUILDING".into(),
            start_time: None,
            completion_time: None,
            size: None,
            engine_version: None,
            failure: None,
        }
    }

    fn page(ids: &[&str], total: u64) -> Page {
        Page { records: ids.iter().map(|id| record(id)).collect(), total }
    }

    /// What pages of three records come to.
    fn read(pages: &[(&[&str], u64)]) -> (Vec<String>, Option<Gap>) {
        let mut listing = Listing::new(3);
        for (at, (ids, total)) in pages.iter().enumerate() {
            let is_last = at + 1 == pages.len();
            assert_eq!(listing.take(page(ids, *total)) == Progress::End, is_last, "page {at}");
        }
        let (backups, gap) = listing.into_parts();
        (backups.into_iter().map(|backup| backup.id).collect(), gap)
    }

    #[test]
    fn an_empty_list_is_complete() {
        assert_eq!(read(&[(&[], 0)]), (vec![], None));
    }

    #[test]
    fn pages_overlap_by_one_and_the_overlap_is_counted_once() {
        let mut listing = Listing::new(3);
        assert_eq!(listing.take(page(&["a", "b", "c"], 5)), Progress::More(2));
        assert_eq!(listing.take(page(&["c", "e", "d"], 5)), Progress::End);
        let (all, gap) = listing.into_parts();
        assert_eq!(all.iter().map(|backup| backup.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d", "e"]);
        assert_eq!(gap, None);
    }

    #[test]
    fn a_list_that_shifted_is_read_on_and_is_not_complete() {
        let (all, gap) = read(&[(&["a", "b", "c"], 5), (&["b", "c", "d"], 5), (&["d", "e"], 5)]);
        assert_eq!((all.len(), gap), (5, Some(Gap::Shifted)));
    }

    #[test]
    fn a_total_that_changed_is_read_on_and_is_not_complete() {
        let (all, gap) = read(&[(&["a", "b", "c"], 5), (&["c", "d", "e"], 6), (&["e", "f"], 6)]);
        assert_eq!((all.len(), gap), (6, Some(Gap::TotalChanged)), "what the pages show counts");
    }

    #[test]
    fn fewer_records_than_the_total_are_not_complete() {
        assert_eq!(read(&[(&["a"], 2)]), (vec!["a".to_owned()], Some(Gap::RecordsMissing)));
        assert!(matches!(Listing::new(3).take(page(&["a", "a", "a"], 3)), Progress::More(_)), "ids are counted once");
    }

    #[test]
    fn a_full_page_is_not_the_end_because_the_total_is_too_small() {
        let (all, gap) = read(&[(&["a", "b", "c"], 0), (&["c", "d"], 0)]);
        assert_eq!((all.len(), gap), (4, None));
    }

    #[test]
    fn the_same_page_again_and_again_is_the_end() {
        let (all, gap) = read(&[(&["a", "b", "c"], 9), (&["a", "b", "c"], 9)]);
        assert_eq!((all.len(), gap), (3, Some(Gap::Shifted)));
    }

    #[test]
    fn a_list_of_more_records_than_fit_into_memory_is_given_up() {
        let mut listing = Listing::new(1001);
        for n in 0_usize.. {
            let ids: Vec<String> = (0..=1000).map(|i| (n * 1000 + i).to_string()).collect();
            if listing.take(page(&ids.iter().map(String::as_str).collect::<Vec<_>>(), 1_000_000)) == Progress::End {
                break;
            }
        }
        assert!(listing.seen.len() <= MAX_RECORDS + 1001);
        assert_eq!(listing.into_parts().1, Some(Gap::TooLong));
    }

    #[test]
    fn a_list_without_end_is_given_up() {
        let mut listing = Listing::new(2);
        let mut pages = 0;
        while listing.take(page(&[&format!("r{pages}"), &format!("r{}", pages + 1)], 1_000_000)) != Progress::End {
            pages += 1;
        }
        assert!(pages <= MAX_PAGES);
        assert_eq!(listing.into_parts().1, Some(Gap::TooLong));
    }
}
