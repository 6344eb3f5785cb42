//! Runs of a real Go program (`examples/leaky`), recorded. A minute of them stands for an hour.

use mainstay_core::leak::{Change, Resource, Series};

const NONE: &str = include_str!("recorded/none.txt");
const MEMORY: &str = include_str!("recorded/memory.txt");
const GOROUTINES: &str = include_str!("recorded/goroutines.txt");
const HANDLES: &str = include_str!("recorded/handles.txt");

/// Hours until a growth of a resource was told, and its rate per hour.
fn told(recording: &str, resource: Resource) -> Option<(f64, f64)> {
    let column = match resource {
        Resource::Memory => 1,
        Resource::Handles => 2,
        Resource::Threads => 3,
        Resource::Processes => unreachable!("one process"),
    };
    let mut series = Series::new(resource);
    let unit = if resource == Resource::Memory { 1024.0 } else { 1.0 };
    recording.lines().find_map(|line| {
        let fields: Vec<u64> = line.split(' ').map(|field| field.parse().expect("a number")).collect();
        let at = 1_767_571_200 + fields[0] * 60;
        match series.sample(at, 1, fields[column] as f64 * unit) {
            Some(Change::Grows(growth)) => Some((fields[0] as f64 / 60.0, growth.per_hour)),
            _ => None,
        }
    })
}

#[test]
fn a_real_program_that_leaks_is_told() {
    let (hours, rate) = told(MEMORY, Resource::Memory).unwrap();
    assert!(hours < 20.0 && (0.5e6..5e6).contains(&rate), "{hours} h, {rate}");
    let (hours, rate) = told(GOROUTINES, Resource::Memory).unwrap();
    assert!(hours < 20.0 && (0.3e6..3e6).contains(&rate), "{hours} h, {rate}");
    let (hours, rate) = told(HANDLES, Resource::Handles).unwrap();
    assert!(hours < 20.0 && (2.0..3.0).contains(&rate), "{hours} h, {rate}");
}

#[test]
fn the_same_program_without_leaks_is_not() {
    for resource in [Resource::Memory, Resource::Handles, Resource::Threads] {
        assert_eq!(told(NONE, resource), None, "{resource}");
    }
    assert_eq!(told(HANDLES, Resource::Threads), None);
    assert_eq!(told(MEMORY, Resource::Handles), None);
}
