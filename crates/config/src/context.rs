//! What all readers share: the sources, what was found wrong so far, and where variables come from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::diagnostic::{Diagnostic, Diagnostics, Related, Severity};
use crate::effective::{Became, Recorded, address};
use crate::elements::env_file;
use crate::expand::{self, Expansion, Kind, Var};
use crate::nearest::nearest;
use crate::source::{self, Origin, Shown, Source, Span};
use crate::value::{Node, Text, Value};
use crate::{Surroundings, System};

/// So many errors, and so many warnings, are kept; more are counted.
const MAX_KEPT: usize = 100;
/// All strings of a configuration together may grow by this through their variables.
const MAX_EXPANDED: usize = 64 * 1024 * 1024;

/// The variable that tells an instance its number.
pub(crate) const INSTANCE: &str = "INSTANCE";
/// The file of variables beside the configuration.
const DOTENV: &str = ".env";

/// Names and values of variables, in the order of the file.
pub(crate) type Variables = Rc<Vec<(String, String)>>;

/// A diagnostic whose places are not worked out yet.
#[derive(Debug)]
pub(crate) struct Problem {
    severity: Severity,
    span: Span,
    message: String,
    hint: Option<String>,
    related: Vec<(Span, String)>,
}

impl Problem {
    /// What to do about it.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// Another place that matters.
    pub fn related(&mut self, span: Span, message: impl Into<String>) -> &mut Self {
        self.related.push((span, message.into()));
        self
    }
}

/// Variables that a service sees, besides those of Mainstay's own environment.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// By [`Context::fold`]ed name; none for one whose definition is wrong.
    pub vars: BTreeMap<String, Option<String>>,
    /// A file with more of them could not be read: what is unset may be set there.
    pub incomplete: bool,
}

/// A value of a key: what a reader needs to speak about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'n> {
    pub key: &'n str,
    pub node: &'n Node,
}

impl<'n> Field<'n> {
    /// A part of it, such as an item of a list.
    pub fn part(self, node: &'n Node) -> Field<'n> {
        Field { key: self.key, node }
    }

    pub fn span(self) -> Span {
        self.node.span
    }
}

/// A string, its variables replaced.
#[derive(Debug)]
pub(crate) struct Str {
    pub value: String,
    whole: Span,
    /// Set if `value` stands in the source as it is.
    verbatim: Option<usize>,
}

impl Str {
    /// The place of some bytes of `value`, as exactly as it can be told.
    pub fn part(&self, start: usize, end: usize) -> Span {
        match self.verbatim {
            Some(first) => Span { source: self.whole.source, start: first + start, end: first + end },
            None => self.whole,
        }
    }

    pub fn whole(&self) -> Span {
        self.whole
    }
}

pub(crate) struct Context<'a> {
    pub around: &'a Surroundings<'a>,
    pub scope: Scope,
    /// The number that `${INSTANCE}` means, while a service with instances is read.
    pub instance: Option<u32>,
    /// What is read.
    pub subject: Subject,
    /// What the strings have become, if somebody wants to know.
    recorded: Option<Recorded>,
    /// The service that is read.
    service: String,
    sources: Vec<Source>,
    files: Vec<PathBuf>,
    /// What the files of variables hold, each read once; none if something is wrong with it.
    pub variables: BTreeMap<PathBuf, Option<Variables>>,
    problems: Vec<Problem>,
    kept: [usize; 2],
    omitted: [usize; 2],
    /// What is written when no more are kept.
    surplus: Problem,
    expanded: usize,
    /// The secrets that are referred to, and where.
    pub secrets: Vec<(String, Span)>,
    /// The files that services have written, and where it says so.
    pub written: BTreeMap<String, Span>,
    /// The variables of `.env`, by folded name, once it was looked at; none in it if it is wrong.
    dotenv: Option<Option<BTreeMap<String, String>>>,
}

/// What is read by the keys of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A service: it has all that it needs.
    Service,
    /// A template that nothing extends: what it lacks, a service might add.
    Template,
}

impl<'a> Context<'a> {
    pub fn new(around: &'a Surroundings<'a>) -> Self {
        let nowhere = Span { source: 0, start: 0, end: 0 };
        Context {
            around,
            scope: Scope::default(),
            instance: None,
            subject: Subject::Service,
            recorded: None,
            service: String::new(),
            sources: Vec::new(),
            files: Vec::new(),
            variables: BTreeMap::new(),
            problems: Vec::new(),
            kept: [0; 2],
            omitted: [0; 2],
            surplus: Problem {
                severity: Severity::Error,
                span: nowhere,
                message: String::new(),
                hint: None,
                related: Vec::new(),
            },
            expanded: 0,
            secrets: Vec::new(),
            written: BTreeMap::new(),
            dotenv: None,
        }
    }

    /// Takes a text in, and gives its number; none if it is no text, which is told.
    pub fn add_source(
        &mut self,
        name: &str,
        bytes: &[u8],
        shown: Shown,
        origin: Origin,
        base_dir: &Path,
    ) -> Option<usize> {
        let number = self.sources.len();
        match source::decode(bytes) {
            Ok(text) => {
                self.sources.push(Source::new(name, text, shown, origin, base_dir));
                Some(number)
            }
            Err(wrong) => {
                self.sources.push(Source::new(name, wrong.text, shown, origin, base_dir));
                let span = Span { source: number, start: wrong.at, end: wrong.at + 1 };
                self.error(span, wrong.message).hint(wrong.hint);
                None
            }
        }
    }

    pub fn source(&self, number: usize) -> &Source {
        &self.sources[number]
    }

    /// Where relative paths start that stand at this place: the directory of the file that it is in.
    pub fn base_dir(&self, span: Span) -> &Path {
        &self.sources[span.source].base_dir
    }

    /// What a person would call a file that is named at this place: beside the configuration file, however they called
    /// that.
    pub fn called(&self, path: &Path, span: Span) -> String {
        let name = match path.strip_prefix(self.base_dir(span)) {
            Ok(below) => Path::new(&self.source(span.source).name).with_file_name("").join(below),
            Err(_) => path.to_owned(),
        };
        name.display().to_string()
    }

    /// What stands at this place is shown to nobody.
    pub fn hide(&mut self, span: Span) {
        self.sources[span.source].hide(span.start, span.end);
    }

    /// Remembers that a file was looked at.
    pub fn add_file(&mut self, path: PathBuf) {
        self.files.push(path);
    }

    /// Begins to remember what strings become.
    pub fn remember(&mut self) {
        self.recorded = Some(Recorded::new());
    }

    /// Says which service is read from now on.
    pub fn reading(&mut self, key: &str, instance: Option<u32>) {
        self.instance = instance;
        self.service = instance.map_or_else(|| key.to_owned(), |number| format!("{key}-{number}"));
    }

    /// The service that is read.
    pub fn service_name(&self) -> &str {
        &self.service
    }

    /// Notes what a string of the tree has become for the service that is read.
    pub fn record(&mut self, text: &Text, became: impl FnOnce() -> Became) {
        if let Some(recorded) = &mut self.recorded {
            recorded.insert((self.service.clone(), address(text)), became());
        }
    }

    /// What a string of the tree has become for `service`.
    pub fn became(&self, service: &str, text: &Text) -> Option<&Became> {
        self.recorded.as_ref()?.get(&(service.to_owned(), address(text)))
    }

    /// The place of a span.
    pub fn place(&mut self, span: Span) -> crate::Place {
        self.sources[span.source].place(span.start, span.end)
    }

    /// How many errors there are so far.
    pub fn errors(&self) -> usize {
        self.kept[0] + self.omitted[0]
    }

    /// Whether further errors are only counted: there is no point in making hints for them.
    pub fn is_full(&self) -> bool {
        self.kept[0] >= MAX_KEPT
    }

    pub fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Problem {
        self.report(Severity::Error, span, message.into())
    }

    pub fn warning(&mut self, span: Span, message: impl Into<String>) -> &mut Problem {
        self.report(Severity::Warning, span, message.into())
    }

    fn report(&mut self, severity: Severity, span: Span, message: String) -> &mut Problem {
        let class = usize::from(severity == Severity::Warning);
        let problem = Problem { severity, span, message, hint: None, related: Vec::new() };
        // What is wrong with one instance is told once, and what is wrong with a template that another one extends.
        let again = |other: &Problem| other.span == span && other.message == problem.message;
        let twice = self.instance.is_some_and(|number| number > 1) || self.subject == Subject::Template;
        if twice && self.problems.iter().any(again) {
            self.surplus = problem;
            return &mut self.surplus;
        }
        if self.kept[class] >= MAX_KEPT {
            self.omitted[class] += 1;
            self.surplus = problem;
            return &mut self.surplus;
        }
        self.kept[class] += 1;
        let index = self.problems.len();
        self.problems.push(problem);
        &mut self.problems[index]
    }

    /// "`key`: expected …, found …". Says nothing of what is broken already.
    pub fn wrong_type(&mut self, field: Field<'_>, expected: &str) -> &mut Problem {
        let kind = field.node.kind();
        let message = format!("`{}`: expected {expected}, found {kind}", field.key);
        if field.node.is_broken() {
            self.surplus.related.clear();
            return &mut self.surplus;
        }
        self.error(field.span(), message)
    }

    /// Names of variables as the system compares them.
    pub fn fold<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match self.around.system {
            System::Linux => Cow::Borrowed(name),
            System::Windows => Cow::Owned(name.to_uppercase()),
        }
    }

    /// A variable of Mainstay's own environment, or else of the file `.env` beside the configuration.
    pub fn outside(&mut self, name: &str) -> Var {
        if let Some(number) = self.instance.filter(|_| self.fold(name) == INSTANCE) {
            return Var::Set(number.to_string());
        }
        if let Some(value) = (self.around.env)(name) {
            return Var::Set(value);
        }
        if self.dotenv.is_none() {
            self.dotenv = Some(self.read_dotenv());
        }
        let folded = self.fold(name);
        match &self.dotenv {
            Some(Some(variables)) => {
                variables.get(folded.as_ref()).map_or(Var::Unset, |v| Var::Set(v.clone()))
            }
            // It could not be read: what is unset may be set there.
            Some(None) => Var::Broken,
            None => Var::Unset,
        }
    }

    /// Reads `.env`, when the first variable is asked for that the environment does not have.
    fn read_dotenv(&mut self) -> Option<BTreeMap<String, String>> {
        let path = self.around.base_dir.join(DOTENV);
        self.files.push(path.clone());
        let name =
            self.sources.first().map_or_else(PathBuf::new, |s| Path::new(&s.name).with_file_name(DOTENV));
        let name = name.display().to_string();
        let found = match (self.around.read_file)(&path) {
            Ok(bytes) => env_file::variables(self, &name, &bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Some(BTreeMap::new()),
            Err(error) => {
                let top = Span { source: 0, start: 0, end: 0 };
                self.error(top, format!("cannot read {name}: {error}"))
                    .hint("it gives variables that the environment does not have");
                return None;
            }
        };
        Some(found.into_iter().map(|(name, value)| (self.fold(&name).into_owned(), value)).collect())
    }

    /// The variables that the service has of its own.
    pub fn visible(&self) -> BTreeMap<String, String> {
        let set = self.scope.vars.iter();
        set.filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect()
    }

    /// A variable as the service will see it.
    pub fn lookup(&mut self, name: &str) -> Var {
        match self.scope.vars.get(self.fold(name).as_ref()) {
            Some(Some(value)) => Var::Set(value.clone()),
            Some(None) => Var::Broken,
            None => match self.outside(name) {
                Var::Unset if self.scope.incomplete => Var::Broken,
                var => var,
            },
        }
    }

    /// A string, its variables replaced. `expected` is what to say if it is something else.
    pub fn string(&mut self, field: Field<'_>, expected: &str) -> Option<Str> {
        let Value::Text(text) = &field.node.value else {
            self.wrong_type(field, expected);
            return None;
        };
        self.expand(text, field.span())
    }

    /// A string in which secrets may stand.
    pub fn string_with_secrets(&mut self, field: Field<'_>, expected: &str) -> Option<Str> {
        let Value::Text(text) = &field.node.value else {
            self.wrong_type(field, expected);
            return None;
        };
        self.expand_with_secrets(text, field.span())
    }

    /// Replaces the variables of a string, in which no secret may stand.
    pub fn expand(&mut self, text: &Text, whole: Span) -> Option<Str> {
        let expanded = self.expand_with_secrets(text, whole)?;
        if expand::has_secret(&expanded.value) {
            self.error(whole, "a secret cannot stand here").hint(
                "values of `environment` and headers of a probe may have one, commands not: everybody can read the \
                 arguments of a process. See docs/secrets.md",
            );
            return None;
        }
        Some(expanded)
    }

    /// The same for a place where secrets may stand; see [`expand::secret_text`].
    pub fn expand_with_secrets(&mut self, text: &Text, whole: Span) -> Option<Str> {
        let expansion = expand::expand(&text.raw, &mut |name, _| self.lookup(name));
        let value = self.take_expansion(text, whole, expansion)?;
        let verbatim = text.verbatim.filter(|_| value == text.raw);
        Some(Str { value, whole, verbatim })
    }

    /// Reports the problems of an expansion. None if there are any.
    pub fn take_expansion(&mut self, text: &Text, whole: Span, expansion: Expansion) -> Option<String> {
        for problem in expansion.problems {
            let unset = matches!(problem.kind, Kind::Unset(_) | Kind::Demanded(..));
            if unset && self.subject == Subject::Template {
                // A service that extends it may have it.
                continue;
            }
            if self.is_full() {
                self.omitted[0] += 1;
                continue;
            }
            let span = text.part(whole, problem.range.start, problem.range.end);
            let (message, hint) = self.words(problem.kind);
            self.error(span, message).hint(hint);
        }
        if text.raw.contains('\0') {
            self.error(whole, "a NUL character (\\u0000) cannot be passed to a program");
            return None;
        }
        let value = expansion.value?;
        if expand::has_secret(&value) {
            let text = expand::secret_text(&value);
            self.secrets.extend(text.names().map(|name| (name, whole)));
        }
        self.record(text, || Became::Text(value.clone()));
        self.grow(value.len().saturating_sub(text.raw.len()), whole).then_some(value)
    }

    /// Counts what variables add. False: it is too much, which is told.
    pub fn grow(&mut self, bytes: usize, span: Span) -> bool {
        self.expanded = self.expanded.saturating_add(bytes);
        if self.expanded > MAX_EXPANDED {
            self.error(span, "the values of variables make this configuration too large")
                .hint("all of them together may add 64 MiB");
        }
        self.expanded <= MAX_EXPANDED
    }

    fn words(&self, kind: Kind) -> (String, String) {
        match kind {
            Kind::Unset(name) => {
                let known = self.scope.vars.keys().map(String::as_str);
                let hint = match nearest(&name, known) {
                    Some(near) => format!("did you mean `{near}`, which the service's environment has?"),
                    None => {
                        format!("set it in the environment or in .env, or give a default: ${{{name}:-value}}")
                    }
                };
                (format!("the variable `{name}` is not set"), hint)
            }
            Kind::Demanded(name, message) => {
                let message = if message.is_empty() { "it has to be set" } else { message.as_str() };
                (
                    format!("the variable `{name}` is not set or empty: {message}"),
                    "set it in the environment or in .env".to_owned(),
                )
            }
            Kind::Unclosed => {
                ("`${` without its `}`".to_owned(), "write `$${` if you mean the characters `${`".to_owned())
            }
            Kind::BadName(name) => (
                format!("`{name}` is not the name of a variable"),
                "names have letters, digits and `_`; write `$${` if you mean the characters `${`".to_owned(),
            ),
            Kind::BadSecret(name) => (
                format!("`{name}` is not the name of a secret"),
                "names have letters, digits, `_` and `-`, at most 64: ${secret:db_password}".to_owned(),
            ),
            Kind::Operator(operator) => (
                format!("`{operator}` is not understood after the name of a variable"),
                "write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${NAME:+other}".to_owned(),
            ),
            Kind::TooDeep => {
                ("defaults within defaults too deep".to_owned(), "16 levels are understood".to_owned())
            }
            Kind::TooLong => (
                "the values of variables make this string too long".to_owned(),
                format!("at most {} bytes are accepted", expand::MAX_LENGTH),
            ),
        }
    }

    /// Everything found, in the order of the places, and the files looked at.
    pub fn finish(mut self) -> (Diagnostics, Vec<PathBuf>) {
        self.problems.sort_by(|a, b| a.span.cmp(&b.span).then(a.severity.cmp(&b.severity)));
        self.problems.dedup_by(|a, b| a.span == b.span && a.message == b.message);
        let mut list = Vec::with_capacity(self.problems.len());
        for problem in self.problems {
            let mut place = |span: Span| self.sources[span.source].place(span.start, span.end);
            list.push(Diagnostic {
                severity: problem.severity,
                message: problem.message,
                place: Some(place(problem.span)),
                hint: problem.hint,
                related: problem
                    .related
                    .into_iter()
                    .map(|(span, message)| Related { message, place: place(span) })
                    .collect(),
            });
        }
        let [omitted_errors, omitted_warnings] = self.omitted;
        (Diagnostics { list, omitted_errors, omitted_warnings }, self.files)
    }
}
