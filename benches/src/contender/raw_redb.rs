//! redb without anything on top: what the storage below Tidewater costs by itself. Commits are two-phase with quick
//! repair, as Tidewater's are; records are stored in a plain binary form.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::{Contender, Outcome};
use crate::records::Record;

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const BY_SIZE: TableDefinition<'_, (i64, &str), ()> = TableDefinition::new("by size");

pub(crate) struct RawRedb(Database);

impl RawRedb {
    fn write(&self, work: impl FnOnce(&WriteTransaction) -> Outcome<()>) -> Outcome<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
        work(&transaction)?;
        Ok(transaction.commit()?)
    }
}

impl Contender for RawRedb {
    const NAME: &'static str = "redb";

    fn open(folder: &Path) -> Outcome<Self> {
        Ok(Self(Database::create(folder.join("raw.redb"))?))
    }

    fn insert(&self, records: &[Record]) -> Outcome<()> {
        self.write(|transaction| {
            let mut table = transaction.open_table(RECORDS)?;
            for record in records {
                table.insert(record.id.as_str(), encode(record).as_slice())?;
            }
            Ok(())
        })
    }

    fn set_sizes(&self, changes: &[(String, i64)]) -> Outcome<()> {
        self.write(|transaction| {
            let mut table = transaction.open_table(RECORDS)?;
            for (id, size) in changes {
                let stored = table.get(id.as_str())?.map(|bytes| decode(id, bytes.value()));
                let Some(mut record) = stored.transpose()? else { return Err("a record is missing".into()) };
                record.size = *size;
                table.insert(id.as_str(), encode(&record).as_slice())?;
            }
            Ok(())
        })
    }

    fn index_sizes(&self) -> Outcome<()> {
        self.write(|transaction| {
            let table = transaction.open_table(RECORDS)?;
            let mut index = transaction.open_table(BY_SIZE)?;
            for row in table.iter()? {
                let (id, bytes) = row?;
                index.insert((decode(id.value(), bytes.value())?.size, id.value()), ())?;
            }
            Ok(())
        })
    }

    fn get(&self, ids: &[String]) -> Outcome<u64> {
        let table = match self.0.begin_read()?.open_table(RECORDS) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(0),
            table => table?,
        };
        let mut found = 0;
        for id in ids {
            if let Some(bytes) = table.get(id.as_str())? {
                found += u64::from(decode(id, bytes.value())?.id == *id);
            }
        }
        Ok(found)
    }

    fn range(&self, starts: &[i64], count: usize) -> Outcome<u64> {
        let transaction = self.0.begin_read()?;
        let (records, index) = (transaction.open_table(RECORDS)?, transaction.open_table(BY_SIZE)?);
        let mut found = 0;
        for start in starts {
            for row in index.range((*start, "")..)?.take(count) {
                let (key, ()) = row.map(|(key, _)| (key, ()))?;
                let (_, id) = key.value();
                let bytes = records.get(id)?.ok_or("the index names a record that is missing")?;
                found += u64::from(decode(id, bytes.value())?.size >= *start);
            }
        }
        Ok(found)
    }
}

fn encode(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + record.title.len() + record.section.len());
    for text in [&record.title, &record.section] {
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    }
    out.extend(record.size.to_le_bytes());
    out.extend(record.score.to_le_bytes());
    out.push(u8::from(record.done));
    out
}

fn decode(id: &str, bytes: &[u8]) -> Outcome<Record> {
    let mut rest = bytes;
    let mut take = |length: usize| {
        let (head, tail) = rest.split_at_checked(length).ok_or("a record is cut off")?;
        rest = tail;
        Ok::<&[u8], &'static str>(head)
    };
    let mut text = || -> Outcome<String> {
        let length = u32::from_le_bytes(take(4)?.try_into()?);
        Ok(String::from_utf8(take(length as usize)?.to_vec())?)
    };
    let (title, section) = (text()?, text()?);
    Ok(Record {
        id: id.to_owned(),
        title,
        section,
        size: i64::from_le_bytes(take(8)?.try_into()?),
        score: f64::from_le_bytes(take(8)?.try_into()?),
        done: take(1)? == [1],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let record = Record::numbered(3);
        assert_eq!(decode(&record.id, &encode(&record)).expect("whole"), record);
        assert!(decode("x", &encode(&record)[..10]).is_err());
    }
}
