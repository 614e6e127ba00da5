//! The sums of pages, in memory as far as they are used.

use std::collections::BTreeMap;
use std::io;

use redb::StorageBackend;

use super::place::{self, GROUP_PAGES, PAGE_BYTES};

/// At most so many pages of sums are kept in memory.
const GROUPS_MAX: usize = 1_024;
/// The sum of a page that was never written.
pub(super) const UNWRITTEN: u64 = 0;

/// The sum of a page with these bytes.
pub(super) fn sum(page: u64, bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(bytes, page).max(1)
}

/// The pages of sums that are in use.
#[derive(Debug, Default)]
pub(super) struct Sums {
    groups: BTreeMap<u64, Group>,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Group {
    bytes: Box<[u8; PAGE_BYTES]>,
    /// It is not stored as it is.
    is_changed: bool,
    used: u64,
}

impl Group {
    fn store(&mut self, backend: &dyn StorageBackend, group: u64) -> io::Result<()> {
        if self.is_changed {
            backend.write(place::offset(place::of_sums(group)), &*self.bytes)?;
            self.is_changed = false;
        }
        Ok(())
    }
}

/// Where the sum of a page stands in its page of sums.
fn within(page: u64) -> usize {
    (page % GROUP_PAGES) as usize * 8
}

impl Sums {
    fn group(&mut self, backend: &dyn StorageBackend, group: u64) -> io::Result<&mut Group> {
        self.clock += 1;
        if !self.groups.contains_key(&group) {
            if self.groups.len() >= GROUPS_MAX {
                self.let_go(backend)?;
            }
            let mut bytes = Box::new([0; PAGE_BYTES]);
            backend.read(place::offset(place::of_sums(group)), &mut *bytes)?;
            self.groups.insert(group, Group { bytes, is_changed: false, used: 0 });
        }
        let found = self.groups.get_mut(&group).expect("it was just read");
        found.used = self.clock;
        Ok(found)
    }

    /// Lets the longest unused page of sums go. Sums of pages that are in use don't change, so it may be stored at any time.
    fn let_go(&mut self, backend: &dyn StorageBackend) -> io::Result<()> {
        let Some(oldest) = self.groups.iter().min_by_key(|(_, group)| group.used).map(|(number, _)| *number) else {
            return Ok(());
        };
        if let Some(group) = self.groups.get_mut(&oldest) {
            group.store(backend, oldest)?;
        }
        self.groups.remove(&oldest);
        Ok(())
    }

    pub fn get(&mut self, backend: &dyn StorageBackend, page: u64) -> io::Result<u64> {
        let group = self.group(backend, page / GROUP_PAGES)?;
        let sum = group.bytes[within(page)..].first_chunk().expect("a sum is within its page");
        Ok(u64::from_le_bytes(*sum))
    }

    pub fn set(&mut self, backend: &dyn StorageBackend, page: u64, sum: u64) -> io::Result<()> {
        let group = self.group(backend, page / GROUP_PAGES)?;
        let at = within(page);
        let sum = sum.to_le_bytes();
        group.is_changed |= group.bytes[at..at + 8] != sum;
        group.bytes[at..at + 8].copy_from_slice(&sum);
        Ok(())
    }

    /// Stores what changed.
    pub fn store(&mut self, backend: &dyn StorageBackend) -> io::Result<()> {
        self.groups.iter_mut().try_for_each(|(number, group)| group.store(backend, *number))
    }

    /// Forgets the sums from `pages` on: there are no such pages any more.
    pub fn cut(&mut self, backend: &dyn StorageBackend, pages: u64) -> io::Result<()> {
        self.groups.split_off(&pages.div_ceil(GROUP_PAGES));
        if !pages.is_multiple_of(GROUP_PAGES) {
            let group = self.group(backend, pages / GROUP_PAGES)?;
            let beyond = &mut group.bytes[within(pages)..];
            group.is_changed |= beyond.iter().any(|byte| *byte != 0);
            beyond.fill(0);
        }
        Ok(())
    }
}
