//! `log`: where a service's output goes.

use std::time::Duration;

use mainstay_core::{Compress, LogEncoding, LogFormat, LogPlan, OnFull};

use super::duration;
use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::value::Value;

pub(crate) const FORM: Form = Form::Section(&LOG);

const COMPRESSIONS: &[&str] = &["zstd", "gzip", "none"];
const ON_FULL: &[&str] = &["drop", "block"];
const STDERR: &[&str] = &["merged", "separate"];
const FORMATS: &[&str] = &["raw", "timestamps", "json"];
const ENCODINGS: &[&str] = &["raw", "auto", "utf-16le", "utf-16be", "console"];

pub(crate) static LOG: Section = Section {
    id: "log",
    title: "`log`",
    about: "Where a service's output goes: stdout and stderr into one file, in order, exactly as written, unless told otherwise.",
    one_of: &[],
    keys: &[
        Key::new("rotate", Form::Section(&ROTATE), "{ size = \"100MB\" }", "When a new file is begun.")
            .also(&["rotation"]),
        Key::new("keep", Form::Section(&KEEP), "{ files = 10 }", "What is kept of the old ones.")
            .also(&["retention", "backups"]),
        Key::new("compress", Form::Choice(COMPRESSIONS), "\"zstd\"", "How old files are compressed.")
            .default("`\"zstd\"`")
            .also(&["compression"]),
        Key::new(
            "min_free",
            Form::Size,
            "\"1GB\"",
            "Below so much free space on the disk old files are deleted.",
        )
        .also(&["min_disk_free", "free"]),
        Key::new(
            "on_full",
            Form::Choice(ON_FULL),
            "\"block\"",
            "What happens to output when the disk is full.",
        )
        .default("`\"drop\"`")
        .also(&["when_full", "full"]),
        Key::new(
            "stderr",
            Form::Choice(STDERR),
            "\"separate\"",
            "Where stderr goes: with stdout, or into `NAME.err.log`.",
        )
        .default("`\"merged\"`")
        .also(&["err", "errors"]),
        Key::new(
            "format",
            Form::Choice(FORMATS),
            "\"json\"",
            "What each line has besides its text: nothing, the time before it, or all in a JSON object.",
        )
        .default("`\"raw\"`")
        .also(&["timestamps", "style"]),
        Key::new(
            "encoding",
            Form::Choice(ENCODINGS),
            "\"auto\"",
            "What the output is encoded in; it becomes UTF-8, unless it is `raw`. `auto` recognises UTF-16 and UTF-8, and takes the rest for the console's code page on Windows.",
        )
        .default("`\"raw\"`")
        .also(&["charset", "codepage"]),
    ],
};

pub(crate) static ROTATE: Section = Section {
    id: "log_rotate",
    title: "`log.rotate`",
    about: "When a new log file is begun.",
    one_of: &[],
    keys: &[
        Key::new("size", Form::Size, "\"100MB\"", "At the first line end at or after this size.")
            .default("`\"100MB\"`")
            .also(&["max_size", "bytes", "maxbytes"]),
        Key::new("age", Form::Duration, "\"1d\"", "When the file is this old.").also(&["max_age", "every"]),
    ],
};

pub(crate) static KEEP: Section = Section {
    id: "log_keep",
    title: "`log.keep`",
    about: "Which old log files are kept; the limits hold all at once.",
    one_of: &[],
    keys: &[
        Key::new("files", Form::Count(0, MAX_FILES), "10", "So many, besides the one being written.")
            .default("`10`")
            .also(&["max_files", "backups", "count"]),
        Key::new("age", Form::Duration, "\"30d\"", "Those last written to before so long are deleted.")
            .also(&["max_age", "days"]),
        Key::new("total", Form::Size, "\"2GB\"", "All of them together are no larger.")
            .also(&["total_size", "bytes"]),
    ],
};

/// Their names have six digits.
const MAX_FILES: u32 = 999_999;
/// Smaller files would be more names than content.
const SMALLEST: u64 = 1024;

/// Reads where the output goes; what is wrong keeps its default.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> LogPlan {
    let mut plan = LogPlan::default();
    if !matches!(field.node.value, Value::Table(_)) {
        cx.wrong_type(field, "a table")
            .hint("write it like { rotate = { size = \"100MB\" }, keep = { files = 10 } }");
        return plan;
    }
    let Some(mut reader) = Reader::open(cx, field, &LOG) else { return plan };
    if let Some(rotate) = reader.get("rotate") {
        if matches!(rotate.node.value, Value::Text(_) | Value::Integer(..)) {
            cx.wrong_type(rotate, "a table").hint("write it like { size = \"100MB\" }");
        } else if let Some(mut reader) = Reader::open(cx, rotate, &ROTATE) {
            if let Some(size) = reader.get("size") {
                plan.rotate_size = cx.size(size, SMALLEST).unwrap_or(plan.rotate_size);
            }
            if let Some(age) = reader.get("age") {
                plan.rotate_age = cx.duration(age, Duration::from_secs(1)..=duration::MAX);
            }
            reader.finish();
        }
    }
    if let Some(keep) = reader.get("keep") {
        if matches!(keep.node.value, Value::Text(_) | Value::Integer(..)) {
            cx.wrong_type(keep, "a table").hint("write it like { files = 10 }");
        } else if let Some(mut reader) = Reader::open(cx, keep, &KEEP) {
            if let Some(files) = reader.get("files") {
                plan.keep_files = cx.count(files, 0, MAX_FILES).unwrap_or(plan.keep_files);
            }
            if let Some(age) = reader.get("age") {
                plan.keep_age = cx.duration(age, Duration::from_secs(1)..=duration::MAX);
            }
            if let Some(total) = reader.get("total") {
                plan.keep_total = cx.size(total, SMALLEST);
            }
            reader.finish();
        }
    }
    if let Some(compress) = reader.get("compress") {
        let choices = [("zstd", Compress::Zstd), ("gzip", Compress::Gzip), ("none", Compress::None)];
        plan.compress = cx.choice(compress, &choices).unwrap_or(plan.compress);
    }
    if let Some(free) = reader.get("min_free") {
        plan.min_free = cx.size(free, SMALLEST);
    }
    if let Some(full) = reader.get("on_full") {
        let choices = [("drop", OnFull::Drop), ("block", OnFull::Block)];
        plan.on_full = cx.choice(full, &choices).unwrap_or(plan.on_full);
    }
    if let Some(stderr) = reader.get("stderr") {
        plan.separate_stderr =
            cx.choice(stderr, &[("merged", false), ("separate", true)]).unwrap_or_default();
    }
    if let Some(format) = reader.get("format") {
        let choices =
            [("raw", LogFormat::Raw), ("timestamps", LogFormat::Timestamps), ("json", LogFormat::Json)];
        plan.format = cx.choice(format, &choices).unwrap_or_default();
    }
    if let Some(encoding) = reader.get("encoding") {
        let choices = [
            ("raw", LogEncoding::Raw),
            ("auto", LogEncoding::Auto),
            ("utf-16le", LogEncoding::Utf16le),
            ("utf-16be", LogEncoding::Utf16be),
            ("console", LogEncoding::Console),
        ];
        plan.encoding = cx.choice(encoding, &choices).unwrap_or_default();
    }
    reader.finish();
    plan
}
