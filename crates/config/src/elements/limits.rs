//! `limits`: what a service may use.

use mainstay_core::{Limits, Settings};

use super::duration::scale;
use crate::System;
use crate::context::{Context, Field};
use crate::keys::{Form, Key, Section};
use crate::reader::Reader;
use crate::value::Value;

pub(crate) const FORM: Form = Form::Section(&LIMITS);

const WEIGHT: Form = Form::Count(1, 10_000);
const MAX_PROCESSES: u32 = 1 << 22;
/// Less is a mistake, and the kernel does not take it.
const LEAST_MEMORY: u64 = 1_000_000;
/// Thousandths of a processor: the kernel takes no less than a hundredth.
const PROCESSORS: std::ops::RangeInclusive<u32> = 10..=4_096_000;

pub(crate) static LIMITS: Section = Section {
    id: "limits",
    title: "`limits`",
    about: "What a service may use, all of its processes together; docs/limits.md says what holds it on which system, \
            and what happens at each limit. A limit that cannot hold on a machine is said at the start, and is no \
            error.",
    one_of: &[],
    keys: &[
        Key::new("memory", Form::Size, "\"512MB\"", "Memory, swapped memory included.")
            .also(&["mem", "memory_max", "max_memory", "mem_limit"]),
        Key::new(
            "memory_high",
            Form::Size,
            "\"400MB\"",
            "Beyond it the service is slowed down and its memory taken back, before `memory` kills. Linux, cgroup v2.",
        )
        .also(&["mem_high", "memory_reservation"]),
        Key::new(
            "cpu",
            Form::Processors,
            "1.5",
            "Processor time: a number of processors, or a percentage of one (`\"50%\"`).",
        )
        .also(&["cpus", "cpu_quota", "cpu_percent"]),
        Key::new(
            "cpu_weight",
            WEIGHT,
            "50",
            "Its share when the processors do not suffice; what has no weight has 100.",
        )
        .also(&["cpu_shares"]),
        Key::new(
            "processes",
            Form::Count(1, MAX_PROCESSES),
            "100",
            "Processes. On Linux threads count too.",
        )
        .also(&["pids", "pids_limit", "tasks_max", "tasks", "nproc"]),
        Key::new("open_files", Form::Count(1, u32::MAX), "65536", "Open files, of each process by itself. Linux.")
            .also(&["nofile", "files", "fds"]),
        Key::new(
            "io_read",
            Form::Size,
            "\"50MB\"",
            "Bytes a second read from the disk of `working_dir`. Linux.",
        )
        .also(&["read_bps", "io_read_bandwidth_max"]),
        Key::new(
            "io_write",
            Form::Size,
            "\"20MB\"",
            "Bytes a second written to the disk of `working_dir`. Linux.",
        )
        .also(&["write_bps", "io_write_bandwidth_max"]),
        Key::new(
            "io_weight",
            WEIGHT,
            "50",
            "Its share when the disks do not suffice; what has no weight has 100. Linux.",
        )
        .also(&["blkio_weight"]),
    ],
};

/// Reads the limits; what is wrong is left out. `settings`: what the process has besides.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>, settings: &Settings) -> Limits {
    let mut limits = Limits::default();
    let Some(mut reader) = Reader::open(cx, field, &LIMITS) else { return limits };
    let (memory, high) = (reader.get("memory"), reader.get("memory_high"));
    limits.memory = memory.and_then(|memory| cx.size(memory, LEAST_MEMORY));
    limits.memory_high = high.and_then(|high| cx.size(high, LEAST_MEMORY));
    if let (Some(most), Some(slowed), Some(high)) = (limits.memory, limits.memory_high, high)
        && slowed >= most
    {
        cx.error(high.span(), "`memory_high` is not below `memory`")
            .hint("it is what comes before the limit; nine tenths of it are usual");
    }
    limits.cpu_millis = reader.get("cpu").and_then(|cpu| processors(cx, cpu));
    limits.cpu_weight = reader.get("cpu_weight").and_then(|weight| cx.count(weight, 1, 10_000));
    limits.processes = reader.get("processes").and_then(|most| cx.count(most, 1, MAX_PROCESSES));
    let files = reader.get("open_files");
    limits.open_files = files.and_then(|files| cx.count(files, 1, u32::MAX)).map(u64::from);
    if let Some(files) = files
        && settings.rlimits.contains_key("nofile")
    {
        cx.error(files.span(), "`open_files` and `rlimits.nofile` are the same limit")
            .hint("keep one of them");
    }
    let (read, write) = (reader.get("io_read"), reader.get("io_write"));
    limits.io_read = read.and_then(|read| cx.size(read, 1_000));
    limits.io_write = write.and_then(|write| cx.size(write, 1_000));
    let weight = reader.get("io_weight");
    limits.io_weight = weight.and_then(|weight| cx.count(weight, 1, 10_000));
    if cx.around.system == System::Windows {
        for field in [high, files, read, write, weight].into_iter().flatten() {
            cx.warning(field.span(), format!("`{}` has no effect on Windows", field.key))
                .hint("it is checked and otherwise ignored");
        }
        limits = Limits {
            memory: limits.memory,
            cpu_millis: limits.cpu_millis,
            cpu_weight: limits.cpu_weight,
            processes: limits.processes,
            ..Limits::default()
        };
    }
    reader.finish();
    limits
}

/// In thousandths of a processor.
fn processors(cx: &mut Context<'_>, field: Field<'_>) -> Option<u32> {
    let hint = "write a number of processors like 1.5, or a percentage of one like \"50%\"";
    let span = field.span();
    let written = match &field.node.value {
        Value::Integer(number, _) => number.clone(),
        // As it stands in the file: what a parser made of it has other digits.
        Value::Decimal => {
            cx.source(span.source).text.get(span.start..span.end).unwrap_or_default().to_owned()
        }
        Value::Text(_) => cx.string(field, "a number or a percentage")?.value,
        _ => {
            cx.wrong_type(field, "a number or a percentage").hint(hint);
            return None;
        }
    };
    let text = written.trim().replace('_', "");
    let millis = match text.strip_suffix('%') {
        Some(percent) => scale(percent.trim_end(), 10),
        None => scale(&text, 1_000),
    };
    let millis = millis.and_then(|millis| u32::try_from(millis).ok()).filter(|n| PROCESSORS.contains(n));
    if millis.is_none() {
        cx.error(span, format!("`{}` cannot be {}", field.key, written.trim())).hint(hint);
    }
    millis
}
