//! The loop: keys, services, what they use, and a log become messages; what comes of them is drawn and done.

use std::io::{self, Stdout};
use std::time::{Duration, Instant};

use mainstay_api::types::{LogsQuery, Service, Stack, UsageQuery};
use mainstay_api::{Client, ClientError};
use mainstay_core::ServiceName;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use ratatui_crossterm::crossterm::{cursor, execute, terminal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{Command, Key, Look, Message, Model, draw};

/// Says why a service is as it is, in lines.
pub type Explain = Box<dyn Fn(&Stack, &Service) -> Vec<String> + Send>;

/// The services are asked for no more often, however much changes.
const PACE: Duration = Duration::from_secs(1);
/// An answer about changes is waited for so long.
const LOOK: Duration = Duration::from_secs(10);
/// What is used is looked at so often by the daemon itself; nothing is gained by asking more often.
const USAGE: Duration = Duration::from_secs(10);
/// Old lines that are shown of a log.
const OLD_LINES: u64 = 500;
/// Messages that wait for the picture; then their senders wait.
const ROOM: usize = 64;
/// Lines that become one message.
const BATCH: usize = 500;

enum Heard {
    Message(Message),
    Resized,
    /// The keyboard is gone.
    Deaf,
}

/// Shows the stack until the user has had enough.
///
/// # Errors
/// The terminal refuses, or it is none.
pub async fn run(client: Client, look: Look, explain: Explain) -> io::Result<()> {
    let (sender, heard) = mpsc::channel(ROOM);
    let screen = Screen::open()?;
    let keys = sender.clone();
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || listen(&keys))?;
    let stack = tokio::spawn(watch(client.clone(), sender.clone()));
    let usage = tokio::spawn(use_of(client.clone(), sender.clone()));
    let end = View { client, explain, sender, model: Model::new(look), told: Instant::now(), log: None }
        .show(screen, heard)
        .await;
    stack.abort();
    usage.abort();
    end
}

struct View {
    client: Client,
    explain: Explain,
    sender: mpsc::Sender<Heard>,
    model: Model,
    told: Instant,
    log: Option<JoinHandle<()>>,
}

impl View {
    async fn show(mut self, mut screen: Screen, mut heard: mpsc::Receiver<Heard>) -> io::Result<()> {
        let mut clock = tokio::time::interval(Duration::from_secs(1));
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.model.resize(screen.terminal.size()?.height);
            screen.terminal.draw(|frame| draw(&self.model, frame.buffer_mut()))?;
            let first = tokio::select! {
                heard = heard.recv() => heard,
                _ = clock.tick() => {
                    let gone = u64::try_from(self.told.elapsed().as_millis()).unwrap_or(u64::MAX);
                    Some(Heard::Message(Message::Clock(gone)))
                }
            };
            // What is there already goes into one picture.
            let mut next = first;
            for _ in 0..ROOM {
                match next {
                    None | Some(Heard::Deaf) => return Ok(()),
                    Some(Heard::Resized) => {}
                    Some(Heard::Message(message)) => {
                        if matches!(message, Message::Stack(_)) {
                            self.told = Instant::now();
                        }
                        if self.model.update(message).is_some_and(|command| self.quits(command)) {
                            return Ok(());
                        }
                    }
                }
                match heard.try_recv() {
                    Ok(more) => next = Some(more),
                    Err(_) => break,
                }
            }
        }
    }

    /// Does it; whether it is the end.
    fn quits(&mut self, command: Command) -> bool {
        match command {
            Command::Quit => return true,
            Command::Unfollow => self.unfollow(),
            Command::Follow(name) => {
                self.unfollow();
                self.log = Some(tokio::spawn(follow(self.client.clone(), name, self.sender.clone())));
            }
            Command::Explain(name) => {
                let stack = self.model.stack.as_deref();
                let service = stack.and_then(|stack| stack.services.iter().find(|it| it.name == name));
                if let (Some(stack), Some(service)) = (stack, service) {
                    let lines = (self.explain)(stack, service);
                    self.model.update(Message::Explained(lines));
                }
            }
            Command::Act(name, action) => {
                let (client, sender) = (self.client.clone(), self.sender.clone());
                tokio::spawn(async move {
                    if let Err(error) = client.action(&name, action).await {
                        let said = format!("{name} cannot {}: {error}", action.as_str());
                        let _ = sender.send(Heard::Message(Message::Said(said))).await;
                    }
                });
            }
        }
        false
    }

    fn unfollow(&mut self) {
        if let Some(task) = self.log.take() {
            task.abort();
        }
    }
}

/// Tells how the services are whenever that changes.
async fn watch(client: Client, sender: mpsc::Sender<Heard>) {
    let mut revision = None;
    loop {
        let asked = match revision {
            None => client.stack().await,
            Some(revision) => client.changes(revision, LOOK).await,
        };
        let message = match asked {
            Ok(stack) => {
                revision = Some(stack.revision);
                Message::Stack(Box::new(stack))
            }
            Err(ClientError::NotUp) => Message::Said("the stack is not up any more; q quits".to_owned()),
            Err(error) => Message::Said(error.to_string()),
        };
        if sender.send(Heard::Message(message)).await.is_err() {
            return;
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Tells what the services use.
async fn use_of(client: Client, sender: mpsc::Sender<Heard>) {
    loop {
        // A failure is told by the other one.
        if let Ok(usage) = client.usage(UsageQuery::default()).await
            && sender.send(Heard::Message(Message::Usage(Box::new(usage)))).await.is_err()
        {
            return;
        }
        tokio::time::sleep(USAGE).await;
    }
}

/// Tells the lines of a log.
async fn follow(client: Client, name: ServiceName, sender: mpsc::Sender<Heard>) {
    let query = LogsQuery { follow: true, lines: OLD_LINES, ..LogsQuery::default() };
    let mut log = match client.logs(&name, query).await {
        Ok(log) => log,
        Err(error) => {
            let said = format!("the log of {name} cannot be read: {error}");
            let _ = sender.send(Heard::Message(Message::Said(said))).await;
            return;
        }
    };
    loop {
        let mut lines = Vec::new();
        let mut next = log.next().await;
        loop {
            match next {
                Some(Ok(line)) => lines.push(line.text),
                Some(Err(error)) => {
                    let _ = sender.send(Heard::Message(Message::Said(error.to_string()))).await;
                    return;
                }
                None => return,
            }
            if lines.len() >= BATCH {
                break;
            }
            // A moment for those that come together.
            match tokio::time::timeout(Duration::from_millis(20), log.next()).await {
                Ok(more) => next = more,
                Err(_) => break,
            }
        }
        if sender.send(Heard::Message(Message::Lines(name.to_string(), lines))).await.is_err() {
            return;
        }
    }
}

/// Tells the keys, until nobody listens.
fn listen(sender: &mpsc::Sender<Heard>) {
    loop {
        let heard = match read() {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                match known(key.code, key.modifiers) {
                    Some(key) => Heard::Message(Message::Key(key)),
                    None => continue,
                }
            }
            Ok(Event::Resize(..)) => Heard::Resized,
            Ok(_) => continue,
            Err(_) => Heard::Deaf,
        };
        let is_last = matches!(heard, Heard::Deaf);
        if sender.blocking_send(heard).is_err() || is_last {
            return;
        }
    }
}

fn known(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
    Some(match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Key::Interrupt,
        KeyCode::Char(_) if modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => return None,
        KeyCode::Char(letter) => Key::Char(letter),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}

/// The terminal while it is ours. However it ends, it is given back as it was.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    fn open() -> io::Result<Screen> {
        terminal::enable_raw_mode()?;
        let opened = execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        if opened.is_err() {
            give_back();
        }
        Ok(Screen { terminal: opened? })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // There is nothing more that could be done.
    let _ = execute!(io::stdout(), cursor::Show, terminal::LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}
