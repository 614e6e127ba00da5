//! Where redb's pages lie in the file: behind the first page, in groups, each behind its page of sums.

/// A page, in bytes: redb's, and the file's.
pub(crate) const PAGE_BYTES: usize = 4096;
/// How many pages share a page of sums.
pub(super) const GROUP_PAGES: u64 = PAGE_BYTES as u64 / 8;

/// The page of the file where a page of redb lies.
pub(super) fn of_page(page: u64) -> u64 {
    of_sums(page / GROUP_PAGES) + 1 + page % GROUP_PAGES
}

/// The page of the file where the sums of a group lie.
pub(super) fn of_sums(group: u64) -> u64 {
    1 + group * (GROUP_PAGES + 1)
}

/// How many pages a file has that holds so many of redb's.
pub(super) fn file_pages(pages: u64) -> u64 {
    1 + pages.div_ceil(GROUP_PAGES) + pages
}

/// How many of redb's pages a file of so many pages holds.
pub(super) fn pages_in(file_pages: u64) -> u64 {
    let behind_first = file_pages.saturating_sub(1);
    behind_first - behind_first.div_ceil(GROUP_PAGES + 1)
}

/// Where a page of the file starts, in bytes.
pub(super) fn offset(file_page: u64) -> u64 {
    file_page * PAGE_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_a_place_of_its_own_within_the_file() {
        let mut taken = std::collections::BTreeSet::from([0]);
        for page in 0..3 * GROUP_PAGES + 2 {
            assert_eq!(pages_in(file_pages(page)), page);
            assert_eq!(pages_in(file_pages(page + 1) - 1), page, "a file that is cut ends a page earlier");
            taken.insert(of_sums(page / GROUP_PAGES));
            assert!(taken.insert(of_page(page)));
            assert_eq!(taken.last(), Some(&(file_pages(page + 1) - 1)));
        }
    }
}
