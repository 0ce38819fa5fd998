//! One archive, entry by entry.

use std::fs::File;
use std::io::{Read, Write as _};
use std::ops::ControlFlow;

use pilar_artifact::{FeatureId, text};
use pilar_store::StoreError;
use tar::{Archive, EntryType, Header};

use super::pax::{Said, Spoken};
use super::{Refusal, Rule, Unpacker, path};
use crate::transport::Limits;

/// setuid, setgid and the sticky bit.
const SPECIAL_BITS: u32 = 0o7000;
/// How much is written at once.
const PIECE: usize = 64 * 1024;
/// How much of a path a message shows, in characters.
const SHOWN: usize = 160;

impl Unpacker {
    /// Takes the entries of one archive.
    pub(super) fn entries(&mut self, source: &mut impl Read) -> Result<(), Refusal> {
        self.paths.next_layer();
        let mut count = Count { entries: self.entries, limit: self.limits.entries };
        let taken = each(source, &mut count, |header, spoken, content, count| {
            self.entry(header, spoken, content, count).map(|()| ControlFlow::Continue(()))
        });
        self.entries = count.entries;
        taken?;
        only_zeros(source)
    }

    fn entry(
        &mut self,
        header: &Header,
        spoken: &Spoken,
        content: &mut dyn Read,
        count: &mut Count,
    ) -> Result<(), Refusal> {
        let in_header = header.path_bytes();
        let raw = spoken.path.as_deref().unwrap_or(&in_header);
        let size = header.entry_size().map_err(Refusal::of)?;
        let mut implied = 0;
        let placed = || -> Result<Option<(&str, bool)>, Rule> {
            let is_directory = kind(header.entry_type())?;
            if header.mode().map_err(|_| Rule::Header)? & SPECIAL_BITS != 0 {
                return Err(Rule::Mode);
            }
            // The content was measured by the header; were the record right, what follows would be other entries.
            if spoken.size.is_some_and(|spoken| spoken != size) || (is_directory && size > 0) {
                return Err(Rule::Header);
            }
            let path = path::plain(raw, is_directory, &self.limits)?;
            implied = self.paths.note(path, is_directory)?;
            let within = path::within(path, is_directory, &self.feature)?;
            Ok(within.map(|within| (within, is_directory)))
        }();
        let placed = placed.map_err(|rule| refuse(raw, rule))?;
        count.more(implied)?;
        if let Some(limit) = self.paths.too_long(&self.limits) {
            let what = "the bytes of all paths of the image";
            return Err(Refusal::TooMuch { code: "paths-too-long", what, limit });
        }
        match placed {
            Some((path, false)) => self.file(path, size, content),
            _ => Ok(()),
        }
    }

    fn file(&self, path: &str, size: u64, content: &mut dyn Read) -> Result<(), Refusal> {
        let limit = self.limits.artifact.file_bytes;
        if size > limit {
            let what = "the bytes of one file";
            return Err(Refusal::TooMuch { code: "file-too-large", what, limit });
        }
        copy(size, content, &mut self.into.create(path)?, path)
    }
}

/// The feature in whose directory the first entry of an archive lies that lies in one.
pub(super) fn first_feature(
    source: &mut impl Read,
    limits: &Limits,
) -> Result<Option<FeatureId>, Refusal> {
    let mut count = Count { entries: 0, limit: limits.entries };
    let mut found = None;
    each(source, &mut count, |header, spoken, _, _| {
        let is_directory = kind(header.entry_type()).unwrap_or(false);
        let in_header = header.path_bytes();
        let path = spoken.path.as_deref().unwrap_or(&in_header);
        found = path::plain(path, is_directory, limits).ok().and_then(path::feature);
        Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(found)
}

/// The entries of an image so far, with the directories that have none and are only on the way to others: they cost as
/// much.
struct Count {
    entries: usize,
    limit: usize,
}

impl Count {
    fn more(&mut self, entries: usize) -> Result<(), Refusal> {
        self.entries = self.entries.saturating_add(entries);
        if self.entries <= self.limit {
            return Ok(());
        }
        let what = "the files and directories of the image";
        Err(Refusal::TooMuch { code: "too-many-entries", what, limit: self.limit as u64 })
    }
}

/// Hands each entry of an archive to `take`, with what the headers before it say of it, until that has enough. The
/// `tar` crate parses headers; the extended ones are read here, because it would keep them in memory whatever their size.
fn each(
    source: &mut impl Read,
    count: &mut Count,
    mut take: impl FnMut(
        &Header,
        &Spoken,
        &mut dyn Read,
        &mut Count,
    ) -> Result<ControlFlow<()>, Refusal>,
) -> Result<(), Refusal> {
    let mut archive = Archive::new(source);
    let mut spoken = Spoken::default();
    for entry in archive.entries().map_err(Refusal::of)?.raw(true) {
        let mut entry = entry.map_err(Refusal::of)?;
        count.more(1)?;
        let header = entry.header().clone();
        let said = match header.entry_type() {
            EntryType::GNULongName => spoken.read_long_name(&mut entry),
            EntryType::XHeader => spoken.read_records(&mut entry, false),
            EntryType::XGlobalHeader => spoken.read_records(&mut entry, true),
            _ => {
                if take(&header, &std::mem::take(&mut spoken), &mut entry, count)?.is_break() {
                    return Ok(());
                }
                Ok(())
            }
        };
        said.map_err(|said| match said {
            Said::Rule(rule) => refuse(&header.path_bytes(), rule),
            Said::Refusal(refusal) => refusal,
        })?;
    }
    if spoken.is_empty() {
        return Ok(());
    }
    Err(refuse(&spoken.path.unwrap_or_default(), Rule::Header))
}

/// Whether it is a directory; all but two kinds of entry are refused.
fn kind(entry_type: EntryType) -> Result<bool, Rule> {
    match entry_type {
        EntryType::Regular => Ok(false),
        EntryType::Directory => Ok(true),
        EntryType::Link | EntryType::Symlink | EntryType::GNULongLink => Err(Rule::Link),
        EntryType::Char | EntryType::Block => Err(Rule::Device),
        EntryType::Fifo => Err(Rule::Pipe),
        EntryType::GNUSparse => Err(Rule::Sparse),
        _ => Err(Rule::Type),
    }
}

/// Reading and writing fail for different reasons, which [`std::io::copy`] does not tell apart.
fn copy(size: u64, content: &mut dyn Read, file: &mut File, path: &str) -> Result<(), Refusal> {
    let mut piece = vec![0; PIECE.min(usize::try_from(size).unwrap_or(PIECE))];
    let mut left = size;
    while left > 0 {
        let read = content.read(&mut piece).map_err(Refusal::of)?;
        if read == 0 {
            return Err(Refusal::Damaged(std::io::ErrorKind::UnexpectedEof.into()));
        }
        file.write_all(piece.get(..read).unwrap_or_default())
            .map_err(|error| StoreError::write(path, error))?;
        left = left.saturating_sub(read as u64);
    }
    Ok(())
}

/// Behind the end of an archive there is padding. Another reader might go on there, and see other entries.
fn only_zeros(source: &mut impl Read) -> Result<(), Refusal> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = source.read(&mut piece).map_err(Refusal::of)?;
        if read == 0 {
            return Ok(());
        }
        if piece.get(..read).is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0)) {
            return Err(refuse(b"", Rule::Behind));
        }
    }
}

fn refuse(path: &[u8], rule: Rule) -> Refusal {
    let path = String::from_utf8_lossy(path);
    let shown: String = text::for_people(&path).chars().take(SHOWN).collect();
    Refusal::Entry { path: shown, rule }
}
