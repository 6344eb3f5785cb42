//! The files of programs, as the daemon makes them: before a start, and while the program runs. A secret's value stands
//! for its own mark, and a content for its own.

use std::time::Duration;

use mainstay_core::{FilesOutcome, Input, Piece, RunId, SecretMarks, SecretText, ServiceName};

use super::World;
use crate::transition::Answer;

/// The secret.
pub const SECRET: &str = "db";

/// What tells of this value.
pub fn marks(value: &str) -> SecretMarks {
    SecretMarks::from([(SECRET.to_owned(), value.to_owned())])
}

/// A text with the value in its place.
pub fn filled(text: &SecretText, value: &str) -> String {
    let piece = |piece| match piece {
        Piece::Text(text) => text.into_owned(),
        Piece::Secret(..) => value.to_owned(),
    };
    text.pieces().into_iter().map(piece).collect()
}

/// What is to be noted of files with the secret.
#[derive(Clone)]
struct Noted {
    secrets: SecretMarks,
    contents: SecretMarks,
}

impl Noted {
    fn of(self, run: RunId) -> Input {
        Input::FilesMade { run, secrets: self.secrets, contents: self.contents }
    }
}

impl World {
    /// What a service's files are to be, and what is to be noted of those with the secret: as the daemon has it, a value
    /// that did not work is left out, and what was there before is kept instead.
    fn files_of(&self, service: &ServiceName) -> (String, Option<Noted>) {
        let Some(plan) = self.kept.plan.services.get(service) else { return (String::new(), None) };
        let (config, present) = (&plan.config, Some(&self.secret));
        let is_refused = config.notes.refused.get(SECRET) == present;
        let (mut files, mut contents, mut mark) = (String::new(), SecretMarks::new(), present);
        for (path, file) in &config.files {
            let mut made = format!("{path}={};", filled(&file.content, &self.secret));
            if file.content.names().next().is_some() {
                let known = config.notes.contents.get(path);
                if let Some(kept) = known.filter(|kept| is_refused && self.os.keeps(service, kept)) {
                    made.clone_from(kept);
                    mark = config.secrets.get(SECRET);
                }
                contents.insert(path.clone(), made.clone());
            }
            files += &made;
        }
        let noted = || Noted { secrets: marks(mark.map_or("", String::as_str)), contents: contents.clone() };
        let noted = (!contents.is_empty()).then(noted);
        (files, noted)
    }

    /// Changes files and tells the program at once; the answer comes later, or never.
    pub(super) fn configure(&mut self, service: &ServiceName, run: RunId, tell: Option<RunId>) {
        self.os.reserve(run);
        let (files, noted) = self.files_of(service);
        let (after, outcome, noted) = match self.os.conduct(service).files {
            Answer::Good(after) => {
                self.os.write_files(service, files, tell);
                (after, FilesOutcome::Done("files are new".to_owned()), noted)
            }
            Answer::TooLate(after) => {
                self.os.write_files(service, files, None);
                (after, FilesOutcome::NotTold("no answer".to_owned()), noted)
            }
            Answer::Bad(after) => (after, FilesOutcome::Refused("exit code 1".to_owned()), None),
            Answer::Hangs | Answer::Lost => return,
        };
        let at = self.now.after(after);
        if let Some(noted) = noted {
            self.answer_at(self.now, noted.of(run));
        }
        self.answer_at(at, Input::Configured { run, outcome });
    }

    /// Does what comes before a start. The answer comes later.
    pub(super) fn prepare(&mut self, service: &ServiceName, run: RunId) {
        self.os.reserve(run);
        let (files, noted) = self.files_of(service);
        self.os.write_files(service, files, None);
        if let Some(noted) = noted {
            self.answer_at(self.now, Input::SecretsRead { run, marks: marks(&self.secret) });
            self.answer_at(self.now, noted.of(run));
        }
        let (after, error) = match self.os.conduct(service).prepares {
            Answer::Good(after) => (after, None),
            Answer::Bad(after) | Answer::TooLate(after) => (after, Some("exit code 1".to_owned())),
            Answer::Hangs | Answer::Lost => (Duration::ZERO, Some("did not end in time".to_owned())),
        };
        self.answer_at(self.now.after(after), Input::Prepared { run, error });
    }
}
