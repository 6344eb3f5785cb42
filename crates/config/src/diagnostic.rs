//! What is wrong with a configuration, and where.

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::render::{self, Layout};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is accepted, but something in it does not do what it seems to.
    Warning,
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, as the person who asked called it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1. One behind the line's last character where something is missing.
    pub column: usize,
    /// How many characters of the line it goes over; 0 where something is missing.
    pub length: usize,
    /// The line; only the part around the column if it is very long. Absent for files of environment variables,
    /// which hold secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The column of the first character of `text`.
    #[serde(skip_serializing_if = "is_one")]
    pub text_column: usize,
}

fn is_one(column: &usize) -> bool {
    *column == 1
}

/// Another place that has to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Related {
    /// What is there.
    pub message: String,
    /// Where.
    pub place: Place,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Whether it is an error.
    pub severity: Severity,
    /// What is wrong, in a line.
    pub message: String,
    /// Where; absent if a file could not be read at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Other places that matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
}

/// All problems of a configuration, in the order of their places.
///
/// [`Display`](fmt::Display) is the plain text for a person, in 80 columns; [`Serialize`] the form for a program:
/// `{"errors": 1, "warnings": 0, "diagnostics": […]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    pub(crate) list: Vec<Diagnostic>,
    /// Further ones that were counted but not kept.
    pub(crate) omitted_errors: usize,
    pub(crate) omitted_warnings: usize,
}

impl Diagnostics {
    /// Errors and warnings in the order of their places.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the configuration is refused.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error) + self.omitted_errors
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning) + self.omitted_warnings
    }

    /// How many were counted but not kept, since there are so many.
    pub fn omitted(&self) -> usize {
        self.omitted_errors + self.omitted_warnings
    }

    /// As text for a person.
    pub fn render(&self, layout: &Layout) -> String {
        render::all(self, layout)
    }

    fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|d| d.severity == severity).count()
    }
}

impl Serialize for Diagnostics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Diagnostics", 3)?;
        out.serialize_field("errors", &self.errors())?;
        out.serialize_field("warnings", &self.warnings())?;
        out.serialize_field("diagnostics", &self.list)?;
        out.end()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Layout::default()))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::one(self, &Layout::default()))
    }
}
