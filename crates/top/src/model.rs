//! What is shown, and what changes it.

use std::collections::{BTreeMap, VecDeque};

use mainstay_api::types::{Action, Service, Stack, StackUsage};
use mainstay_core::{ServiceName, StateName};

use crate::logs::Lines;

/// Looks at the processor that a history line has.
pub(crate) const HISTORY: usize = 12;
/// Longer words are not typed.
const LONGEST_WORD: usize = 64;

/// How it may look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Whether there are colours.
    pub colour: bool,
    /// Only letters and signs that every console has.
    pub ascii: bool,
}

/// A key, whatever the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// One that writes something.
    Char(char),
    /// Towards the beginning.
    Up,
    /// Towards the end.
    Down,
    /// A screen towards the beginning.
    PageUp,
    /// A screen towards the end.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// Return.
    Enter,
    /// Escape.
    Escape,
    /// Takes back a letter.
    Backspace,
    /// Control and C.
    Interrupt,
}

/// Something that happened.
#[derive(Debug)]
pub enum Message {
    /// A key was pressed.
    Key(Key),
    /// The services, as they are.
    Stack(Box<Stack>),
    /// What they use, as it was looked at anew.
    Usage(Box<StackUsage>),
    /// So many milliseconds have gone by since the services were told last.
    Clock(u64),
    /// Lines of the log that is shown, of this service.
    Lines(String, Vec<String>),
    /// Why a service is as it is.
    Explained(Vec<String>),
    /// What came of a command, or why nothing can be seen at present.
    Said(String),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Ask something of a service.
    Act(ServiceName, Action),
    /// Follow its log; what was followed before is not any more.
    Follow(ServiceName),
    /// Follow no log.
    Unfollow,
    /// Say why it is as it is.
    Explain(ServiceName),
    /// End.
    Quit,
}

/// By what the services are in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    Name,
    State,
    Cpu,
    Memory,
    Restarts,
    Uptime,
}

impl Order {
    const ALL: [Order; 6] =
        [Order::Name, Order::State, Order::Cpu, Order::Memory, Order::Restarts, Order::Uptime];

    fn next(self) -> Order {
        let place = Order::ALL.iter().position(|order| *order == self).unwrap_or(0);
        Order::ALL[(place + 1) % Order::ALL.len()]
    }
}

/// What a service uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    pub cpu: Option<f64>,
    pub memory: Option<u64>,
    /// The last looks at the processor, the newest last.
    pub history: VecDeque<f32>,
}

/// What fills the screen.
#[derive(Debug, Default)]
pub(crate) enum Screen {
    #[default]
    Services,
    Logs(Lines),
    Explanation {
        name: ServiceName,
        lines: Vec<String>,
        top: usize,
    },
}

/// Everything that is shown.
#[derive(Debug, Default)]
pub struct Model {
    pub(crate) look: Look,
    pub(crate) stack: Option<Box<Stack>>,
    pub(crate) used: BTreeMap<ServiceName, Used>,
    /// Milliseconds since the services were told.
    pub(crate) since_told: u64,
    pub(crate) order: Order,
    pub(crate) backwards: bool,
    pub(crate) filter: String,
    /// Whether keys go into the filter, or the word that is searched.
    pub(crate) typing: bool,
    pub(crate) screen: Screen,
    /// What is to be read in the last line.
    pub(crate) said: String,
    /// Services as they are shown, by their place in the stack.
    pub(crate) shown: Vec<usize>,
    pub(crate) selected: Option<ServiceName>,
    /// The first row on the screen.
    pub(crate) top: usize,
    /// Rows that fit the screen.
    pub(crate) room: usize,
}

impl Model {
    /// Nothing is known yet.
    pub fn new(look: Look) -> Model {
        Model { look, room: 20, ..Model::default() }
    }

    /// The screen has so many lines.
    pub fn resize(&mut self, height: u16) {
        self.room = usize::from(height).saturating_sub(3).max(1);
        self.keep_in_sight();
    }

    /// Takes in what happened; what is to be done about it.
    pub fn update(&mut self, message: Message) -> Option<Command> {
        match message {
            Message::Key(key) => return self.key(key),
            Message::Stack(stack) => {
                self.stack = Some(stack);
                self.since_told = 0;
                self.arrange();
            }
            Message::Usage(usage) => {
                let mut used = std::mem::take(&mut self.used);
                for service in usage.services {
                    let mut entry = used.remove(&service.name).unwrap_or_default();
                    let (cpu, memory) =
                        service.usage.map_or((None, None), |usage| (usage.cpu, Some(usage.private_bytes)));
                    (entry.cpu, entry.memory) = (cpu, memory);
                    #[expect(clippy::cast_possible_truncation, reason = "a bar of eight steps")]
                    entry.history.push_back(cpu.unwrap_or(0.0) as f32);
                    let old = entry.history.len().saturating_sub(HISTORY);
                    entry.history.drain(..old);
                    self.used.insert(service.name, entry);
                }
                self.arrange();
            }
            Message::Clock(since) => self.since_told = since,
            Message::Lines(name, new) => {
                if let Screen::Logs(lines) = &mut self.screen
                    && lines.name.as_str() == name
                {
                    lines.extend(new);
                }
            }
            Message::Explained(text) => {
                if let Screen::Explanation { lines, .. } = &mut self.screen {
                    *lines = text;
                }
            }
            Message::Said(said) => self.said = said,
        }
        None
    }

    /// The services that are shown, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Service> {
        let services = self.stack.iter().flat_map(|stack| &stack.services);
        let services: Vec<&Service> = services.collect();
        self.shown.iter().filter_map(move |place| services.get(*place).copied())
    }

    fn service(&self) -> Option<&Service> {
        let selected = self.selected.as_ref()?;
        self.stack.as_ref()?.services.iter().find(|service| service.name == *selected)
    }

    fn name_at(&self, place: usize) -> Option<ServiceName> {
        self.rows().nth(place).map(|service| service.name.clone())
    }

    fn place(&self) -> usize {
        let selected = self.selected.as_ref();
        self.rows().position(|service| Some(&service.name) == selected).unwrap_or(0)
    }

    /// Which services are shown, and in which order.
    fn arrange(&mut self) {
        let Some(stack) = &self.stack else { return };
        let wanted = self.filter.to_lowercase();
        let fits = |service: &Service| {
            service.name.as_str().to_lowercase().contains(&wanted) || service.state.as_str().contains(&wanted)
        };
        let mut shown: Vec<usize> =
            (0..stack.services.len()).filter(|place| fits(&stack.services[*place])).collect();
        let used = |place: &usize| self.used.get(&stack.services[*place].name);
        let of = |place: &usize| &stack.services[*place];
        // What is most interesting comes first; the names are in order already, and the sort keeps that.
        match self.order {
            Order::Name => {}
            Order::State => shown.sort_by_key(|place| rank(of(place))),
            Order::Cpu => shown.sort_by(|a, b| {
                let cpu = |place| used(place).and_then(|used| used.cpu).unwrap_or(-1.0);
                cpu(b).total_cmp(&cpu(a))
            }),
            Order::Memory => {
                shown.sort_by_key(|place| std::cmp::Reverse(used(place).and_then(|used| used.memory)));
            }
            Order::Restarts => shown.sort_by_key(|place| std::cmp::Reverse(of(place).restarts)),
            Order::Uptime => shown.sort_by_key(|place| of(place).uptime_ms.unwrap_or(u64::MAX)),
        }
        if self.backwards {
            shown.reverse();
        }
        self.shown = shown;
        let is_there = self.rows().any(|service| Some(&service.name) == self.selected.as_ref());
        if !is_there {
            let place = self.top.min(self.shown.len().saturating_sub(1));
            self.selected = self.name_at(place);
        }
        self.keep_in_sight();
    }

    fn keep_in_sight(&mut self) {
        let place = self.place();
        self.top = self.top.clamp(place.saturating_sub(self.room - 1), place);
        self.top = self.top.min(self.shown.len().saturating_sub(self.room));
        if let Screen::Logs(lines) = &mut self.screen {
            lines.fit(self.room);
        }
    }

    fn select(&mut self, place: usize) {
        let place = place.min(self.shown.len().saturating_sub(1));
        self.selected = self.name_at(place);
        self.keep_in_sight();
    }

    fn key(&mut self, key: Key) -> Option<Command> {
        self.said.clear();
        if key == Key::Interrupt {
            return Some(Command::Quit);
        }
        if self.typing {
            self.typed(key);
            return None;
        }
        match &mut self.screen {
            Screen::Services => self.key_at_services(key),
            Screen::Logs(lines) => match key {
                Key::Escape | Key::Char('q') => {
                    self.screen = Screen::Services;
                    Some(Command::Unfollow)
                }
                Key::Char('/') => {
                    lines.word.clear();
                    self.typing = true;
                    None
                }
                other => {
                    lines.key(other);
                    None
                }
            },
            Screen::Explanation { lines, top, .. } => {
                let last = lines.len().saturating_sub(self.room);
                match key {
                    Key::Escape | Key::Char('q' | 'e') | Key::Enter => self.screen = Screen::Services,
                    Key::Up | Key::Char('k') => *top = top.saturating_sub(1),
                    Key::Down | Key::Char('j') => *top = (*top + 1).min(last),
                    Key::PageUp => *top = top.saturating_sub(self.room),
                    Key::PageDown => *top = (*top + self.room).min(last),
                    Key::Home => *top = 0,
                    Key::End => *top = last,
                    _ => {}
                }
                None
            }
        }
    }

    fn typed(&mut self, key: Key) {
        let word = match &mut self.screen {
            Screen::Logs(lines) => &mut lines.word,
            _ => &mut self.filter,
        };
        match key {
            Key::Char(letter) if word.chars().count() < LONGEST_WORD => word.push(letter),
            Key::Backspace => {
                word.pop();
            }
            Key::Escape => {
                word.clear();
                self.typing = false;
            }
            Key::Enter => {
                self.typing = false;
                if let Screen::Logs(lines) = &mut self.screen {
                    lines.find(false);
                }
            }
            _ => {}
        }
        if matches!(self.screen, Screen::Services) {
            self.arrange();
        }
    }

    fn key_at_services(&mut self, key: Key) -> Option<Command> {
        let place = self.place();
        match key {
            Key::Up | Key::Char('k') => self.select(place.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.select(place + 1),
            Key::PageUp => self.select(place.saturating_sub(self.room)),
            Key::PageDown => self.select(place + self.room),
            Key::Home => self.select(0),
            Key::End => self.select(usize::MAX),
            Key::Char('/') => self.typing = true,
            Key::Escape => {
                self.filter.clear();
                self.arrange();
            }
            Key::Char('o') => {
                self.order = self.order.next();
                self.arrange();
            }
            Key::Char('O') => {
                self.backwards = !self.backwards;
                self.arrange();
            }
            Key::Char('q') => return Some(Command::Quit),
            Key::Enter | Key::Char('l') => {
                let name = self.selected.clone()?;
                self.screen = Screen::Logs(Lines::new(name.clone(), self.room));
                return Some(Command::Follow(name));
            }
            Key::Char('e') => {
                let name = self.selected.clone()?;
                self.screen = Screen::Explanation { name: name.clone(), lines: Vec::new(), top: 0 };
                return Some(Command::Explain(name));
            }
            Key::Char('s') => return self.act(Action::Start),
            Key::Char('x') => return self.act(Action::Stop),
            Key::Char('r') => return self.act(Action::Restart),
            Key::Char('p') => {
                let frozen = matches!(self.service()?.state, StateName::Paused | StateName::Pausing);
                return self.act(if frozen { Action::Continue } else { Action::Pause });
            }
            _ => {}
        }
        None
    }

    fn act(&mut self, action: Action) -> Option<Command> {
        let name = self.selected.clone()?;
        self.said = format!("{name}: asked to {}", action.as_str());
        Some(Command::Act(name, action))
    }
}

/// The troubled first, then those on their way, those that are well, those that are down.
fn rank(service: &Service) -> u8 {
    match service.state {
        StateName::Failed => 0,
        _ if service.crash_loop => 1,
        StateName::Backoff => 2,
        StateName::Starting | StateName::Stopping | StateName::Pausing | StateName::Continuing => 3,
        StateName::Paused => 4,
        StateName::Running | StateName::Ready => 5,
        StateName::Completed => 6,
        StateName::Stopped => 7,
    }
}
