//! The bytes of one segment, whatever form it is stored in.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use zstd::stream::read::Decoder;

use crate::segment::{Form, open_closed};

const BLOCK: usize = 64 << 10;

/// A segment that is read.
pub(crate) enum Source {
    Plain(File),
    Zstd(Box<Decoder<'static, BufReader<File>>>),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

impl Source {
    /// A closed segment from its start; none if it is not there.
    pub(crate) fn closed(dir: &Path, name: &str, number: u64) -> io::Result<Option<Source>> {
        let Some((file, form)) = open_closed(dir, name, number)? else { return Ok(None) };
        Ok(Some(match form {
            Form::Plain => Source::Plain(file),
            Form::Zstd => Source::Zstd(Box::new(Decoder::new(file)?)),
            Form::Gzip => Source::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(BLOCK, file)))),
        }))
    }

    /// Goes on at this byte, from the start. What is compressed has to be read up to there. A place beyond the end
    /// is the end.
    pub(crate) fn seek(&mut self, offset: u64) -> io::Result<()> {
        match self {
            Source::Plain(file) => file.seek(SeekFrom::Start(offset)).map(drop),
            Source::Zstd(_) | Source::Gzip(_) => {
                io::copy(&mut self.by_ref().take(offset), &mut io::sink()).map(drop)
            }
        }
    }

    /// The file's own, if it is the plain one.
    pub(crate) fn plain_metadata(&self) -> io::Result<Option<Metadata>> {
        match self {
            Source::Plain(file) => file.metadata().map(Some),
            Source::Zstd(_) | Source::Gzip(_) => Ok(None),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Plain(file) => file.read(buffer),
            Source::Zstd(decoder) => decoder.read(buffer),
            Source::Gzip(decoder) => decoder.read(buffer),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Plain(_) => "Plain",
            Source::Zstd(_) => "Zstd",
            Source::Gzip(_) => "Gzip",
        })
    }
}
